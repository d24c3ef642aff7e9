//! The nodes of a cluster, as the clients of one process share them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::types::NodeId;

/// The nodes that there are. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct SharedNodes(Arc<Versioned>);

#[derive(Debug)]
struct Versioned {
    /// Counts the changes.
    version: AtomicU64,
    nodes: Mutex<Vec<NodeId>>,
}

/// One client's look at them.
#[derive(Debug)]
pub(super) struct Watched {
    shared: SharedNodes,
    seen: u64,
}

impl SharedNodes {
    pub fn new(nodes: Vec<NodeId>) -> SharedNodes {
        SharedNodes(Arc::new(Versioned { version: AtomicU64::new(0), nodes: Mutex::new(nodes) }))
    }

    pub fn now(&self) -> Vec<NodeId> {
        self.0.nodes.lock().clone()
    }

    /// These are the nodes from now on. Each client learns of it before it next asks.
    pub fn change(&self, nodes: Vec<NodeId>) {
        *self.0.nodes.lock() = nodes;
        self.0.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn watch(self) -> Watched {
        Watched { seen: u64::MAX, shared: self }
    }
}

impl Watched {
    /// The nodes, if they have changed since the last look, and at the first.
    pub fn news(&mut self) -> Option<Vec<NodeId>> {
        let version = self.shared.0.version.load(Ordering::Acquire);
        let seen = std::mem::replace(&mut self.seen, version);
        (seen != version).then(|| self.shared.now())
    }
}
