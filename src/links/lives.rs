//! Which process speaks for each node: of two with copies of the same files, the one that speaks first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use derive_more::Debug;
use parking_lot::{Condvar, Mutex};

use crate::types::NodeId;

/// How long the connections of a process that was killed may take to end.
const ENDS_WITHIN: Duration = Duration::from_millis(300);

/// The lives of the processes that this one is or was connected with, whichever side dialed.
#[derive(Clone, Debug, Default)]
pub struct Lives(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lives: Mutex<BTreeMap<NodeId, Life>>,
    /// A life has ended.
    ended: Condvar,
    /// Who hears that a node came in with another life than before.
    #[debug(skip)]
    on_new_life: Option<Box<dyn Fn(NodeId) + Send + Sync>>,
}

#[derive(Debug)]
struct Life {
    life: u64,
    /// Zero once it has ended: then it is the last one that was here.
    connections: usize,
}

/// A connection with a node. Once the last one of a life is dropped, another life may come.
#[derive(Debug)]
pub(super) struct Lived {
    lives: Lives,
    node: NodeId,
}

impl Lives {
    /// Tells of each node that comes in with another life than before.
    pub fn telling(on_new_life: impl Fn(NodeId) + Send + Sync + 'static) -> Lives {
        Lives(Arc::new(Shared { on_new_life: Some(Box::new(on_new_life)), ..Shared::default() }))
    }

    /// A connection with this life of a node. The connections of an earlier one, which has just ended, are waited for.
    ///
    /// # Errors
    /// Another life of it is connected.
    pub(super) fn enter(&self, node: NodeId, life: u64) -> Result<Lived, String> {
        let deadline = Instant::now() + ENDS_WITHIN;
        let mut all = self.0.lives.lock();
        while all.get(&node).is_some_and(|known| known.life != life && known.connections > 0) {
            if self.0.ended.wait_until(&mut all, deadline).timed_out() {
                return Err(format!("another process speaks for {node}: stop one of the two"));
            }
        }
        let known = all.entry(node).or_insert(Life { life, connections: 0 });
        if known.life != life {
            known.life = life;
            self.0.on_new_life.iter().for_each(|tell| tell(node));
        }
        known.connections += 1;
        Ok(Lived { lives: self.clone(), node })
    }

    /// Whether a process that speaks for this node is connected.
    pub fn has(&self, node: NodeId) -> bool {
        self.0.lives.lock().get(&node).is_some_and(|known| known.connections > 0)
    }
}

impl Drop for Lived {
    fn drop(&mut self) {
        let mut all = self.lives.0.lives.lock();
        let Some(known) = all.get_mut(&self.node) else { return };
        known.connections -= 1;
        if known.connections == 0 {
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

    #[test]
    fn a_new_life_is_told_of_once_and_a_new_connection_of_the_same_is_not() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let lives = Lives::telling(move |node| telling.lock().push(node));
        let node = NodeId::new(3);
        for life in [1, 1, 2, 2, 3] {
            let connection = lives.enter(node, life).expect("the one before has ended");
            assert!(lives.has(node));
            drop(connection);
        }
        assert!(!lives.has(node));
        assert_eq!(*told.lock(), [node, node]);
    }
}
