//! Which process speaks for each node: of two with copies of the same files, the one that speaks first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::types::NodeId;

/// How long the connections of a process that was killed may take to end.
const ENDS_WITHIN: Duration = Duration::from_millis(300);

/// The lives of the processes that this one is connected with, whichever side dialed.
#[derive(Clone, Debug, Default)]
pub struct Lives(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lives: Mutex<BTreeMap<NodeId, Life>>,
    /// A life has ended.
    ended: Condvar,
}

#[derive(Debug)]
struct Life {
    life: u64,
    connections: usize,
}

/// A connection with a node. Once the last one of a life is dropped, another life may come.
#[derive(Debug)]
pub(super) struct Lived {
    lives: Lives,
    node: NodeId,
}

impl Lives {
    /// A connection with this life of a node. The connections of an earlier one, which has just ended, are waited for.
    ///
    /// # Errors
    /// Another life of it is connected.
    pub(super) fn enter(&self, node: NodeId, life: u64) -> Result<Lived, String> {
        let deadline = Instant::now() + ENDS_WITHIN;
        let mut all = self.0.lives.lock();
        while all.get(&node).is_some_and(|known| known.life != life) {
            if self.0.ended.wait_until(&mut all, deadline).timed_out() {
                return Err(format!("another process speaks for {node}: stop one of the two"));
            }
        }
        all.entry(node).or_insert(Life { life, connections: 0 }).connections += 1;
        Ok(Lived { lives: self.clone(), node })
    }

    /// Whether a process that speaks for this node is connected.
    pub fn has(&self, node: NodeId) -> bool {
        self.0.lives.lock().contains_key(&node)
    }
}

impl Drop for Lived {
    fn drop(&mut self) {
        let mut all = self.lives.0.lives.lock();
        let Some(known) = all.get_mut(&self.node) else { return };
        known.connections -= 1;
        if known.connections == 0 {
            all.remove(&self.node);
            self.lives.0.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_life_comes_in_when_the_last_connection_of_the_first_has_ended() {
        let lives = Lives::default();
        let node = NodeId::new(3);
        let (dialed, accepted) = (lives.enter(node, 1).expect("first"), lives.enter(node, 1).expect("same"));
        assert!(lives.enter(node, 2).is_err() && lives.enter(NodeId::new(2), 2).is_ok());
        drop(dialed);
        assert!(lives.enter(node, 2).is_err());
        drop(accepted);
        assert!(lives.enter(node, 2).is_ok());
    }
}
