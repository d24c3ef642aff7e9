//! A copy of a simulation as it stands, so that a run that is made again need not begin at its beginning.

use std::collections::BTreeMap;

use super::Simulation;
use super::node::Node;
use crate::types::NodeId;

impl Simulation {
    /// A copy, which continues as this one would. None while a node has work under way that cannot be copied, and of a run
    /// that follows a recording or has a broken rule.
    pub(super) fn copy(&self) -> Option<Simulation> {
        let is_idle = self.nodes.values().chain(self.removed.values()).all(Node::is_idle);
        let can_be_copied = is_idle && self.following.is_none() && self.mutation.is_none();
        can_be_copied.then(|| Simulation {
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
        })
    }

    fn copies(&self, nodes: &BTreeMap<NodeId, Node>) -> BTreeMap<NodeId, Node> {
        let blank = || (self.machine.blank)(self.settings.sessions);
        nodes.iter().map(|(name, node)| (*name, node.copy(&blank))).collect()
    }
}
