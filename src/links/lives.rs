//! Which process speaks for each node: of two with copies of the same files, the one that speaks first.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::types::NodeId;

/// The lives of the processes that this one is connected with, whichever side dialed.
#[derive(Clone, Debug, Default)]
pub struct Lives(Arc<Mutex<BTreeMap<NodeId, Life>>>);

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
    /// A connection with this life of a node.
    ///
    /// # Errors
    /// Another life of it is connected.
    pub(super) fn enter(&self, node: NodeId, life: u64) -> Result<Lived, String> {
        let mut all = self.0.lock();
        let known = all.entry(node).or_insert(Life { life, connections: 0 });
        if known.life != life {
            return Err(format!("another process speaks for {node}: stop one of the two"));
        }
        known.connections += 1;
        Ok(Lived { lives: self.clone(), node })
    }
}

impl Drop for Lived {
    fn drop(&mut self) {
        let mut all = self.lives.0.lock();
        let Some(known) = all.get_mut(&self.node) else { return };
        known.connections -= 1;
        if known.connections == 0 {
            all.remove(&self.node);
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
