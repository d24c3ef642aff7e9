//! A copy of a simulation as it stands, so that a run that is made again need not begin at its beginning.

use std::collections::BTreeMap;

use super::Simulation;
use super::node::Node;
use crate::panics::caught;
use crate::types::NodeId;

impl Simulation {
    /// A copy, which continues as this one would. None while a node has work under way beside its log, and of a run
    /// that follows a recording or has a broken rule.
    pub(super) fn copied(&self) -> Option<Simulation> {
        let is_idle = self.nodes.values().chain(self.removed.values()).all(Node::is_idle);
        let can_be_copied = is_idle && self.following.is_none() && self.mutation.is_none();
        // A state machine's own code may panic. Then there is no copy, and the node meets it when its turn comes.
        can_be_copied.then(|| caught(|| self.copy_idle()).ok())?
    }

    /// About the bytes of memory that a copy takes: what logs, checks and disks hold of each entry, as measured with short
    /// values.
    pub(super) fn bytes_copied(&self) -> usize {
        5 * self.nodes.values().map(|node| node.disk.bytes()).sum::<usize>()
    }

    fn copy_idle(&self) -> Simulation {
        Simulation {
            settings: self.settings.clone(),
            machine: self.machine.clone(),
            now: self.now,
            random: self.random.clone(),
            queue: self.queue.clone(),
            scheduled: self.scheduled,
            founders: self.founders.clone(),
            nodes: self.copies(&self.nodes),
            removed: self.copies(&self.removed),
            clients: self.clients.clone(),
            faults: self.faults.clone(),
            counts: self.counts.clone(),
            raft: self.raft.clone(),
            safety: self.safety.clone(),
            members: self.members.clone(),
            replay: self.replay.clone(),
            tally: self.tally,
            broken_at: self.broken_at,
            observer: self.observer.clone(),
            follows: self.follows,
            mutation: None,
            digest: self.digest,
            happened: self.happened,
            following: None,
            forked: self.forked.clone(),
            again: None,
            speed: self.speed,
            pace: None,
            interrupt: None,
        }
    }

    fn copies(&self, nodes: &BTreeMap<NodeId, Node>) -> BTreeMap<NodeId, Node> {
        let blank = || (self.machine.blank)(self.settings.sessions);
        nodes.iter().map(|(name, node)| (*name, node.copy(&blank))).collect()
    }
}
