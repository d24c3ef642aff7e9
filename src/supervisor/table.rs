//! Which processes run, as the one who started them knows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::lab::Life;
use crate::text::layout::duration_shown;
use crate::types::NodeId;

/// The nodes with a process of this program's, or without one. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Table(Arc<Mutex<BTreeMap<NodeId, Condition>>>);

/// How a process is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    Runs,
    Frozen(Instant),
    /// Why there is none, and since when.
    Ended(Ended),
}

/// Why there is no process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    /// `was killed by signal 9`; none if there never was one.
    pub how: Option<(String, Instant)>,
    /// What it said last, or why it cannot start.
    pub why: String,
}

impl Table {
    /// Whether a node's process has ended or is frozen. None when it runs, or was started elsewhere.
    pub fn life(&self, node: NodeId) -> Option<Life> {
        match self.0.lock().get(&node)? {
            Condition::Runs => None,
            Condition::Frozen(since) => Some(Life::Frozen(since.elapsed())),
            Condition::Ended(Ended { how, why }) => {
                let how = how.as_ref().map(|(how, since)| {
                    format!("its process {how}, {} ago", duration_shown(since.elapsed()))
                });
                let said = how.into_iter().chain(Some(why.clone()).filter(|why| !why.is_empty()));
                Some(Life::Down(said.collect::<Vec<_>>().join(": ")))
            }
        }
    }

    /// Whether this program has started the node's process, or should have.
    pub fn has(&self, node: NodeId) -> bool {
        self.0.lock().contains_key(&node)
    }

    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.0.lock().keys().copied().collect()
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<Condition> {
        self.0.lock().get(&node).cloned()
    }

    pub(crate) fn set(&self, node: NodeId, condition: Condition) {
        self.0.lock().insert(node, condition);
    }

    pub(super) fn remove(&self, node: NodeId) {
        self.0.lock().remove(&node);
    }
}
