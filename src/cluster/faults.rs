//! Faults of a cluster on threads, as methods for a program's own tests.

use super::Cluster;
use crate::faults::NetChange;
use crate::lab::{Lab, LabError, NodeOrder};
use crate::state_machine::StateMachine;
use crate::types::NodeId;

/// What a crash takes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Crash {
    /// The process ends: what it had not written is gone.
    Process,
    /// The power fails: what it had not synced is gone too.
    Power,
}

/// Faults. A fault changes nothing that was committed; a cluster with a majority of its nodes up and connected serves.
///
/// ```
/// use std::time::Duration;
///
/// use raftlab::kv::Command;
/// use raftlab::{Cluster, Crash};
///
/// let mut cluster = Cluster::builder().nodes(3).memory().start()?;
/// let client = cluster.client().with_timeout(Duration::from_secs(20));
/// let leader = cluster.wait_until_leader(Duration::from_secs(10)).expect("a leader in time");
/// cluster.crash(leader, Crash::Power)?;
/// client.submit(Command::put("x", "1"))?;
/// cluster.restart(leader)?;
///
/// let nodes = cluster.nodes();
/// cluster.partition(&[&nodes[..1], &nodes[1..]])?;
/// client.submit(Command::put("x", "2"))?;
/// cluster.heal();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<M: StateMachine> Cluster<M> {
    /// The nodes that there are now, running or not, in order: [`Cluster::members`] says which of them belong to it.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.slots.keys().copied().collect()
    }

    /// Ends a node at once.
    ///
    /// # Errors
    /// It is down already, or not a member.
    pub fn crash(&mut self, node: NodeId, crash: Crash) -> Result<(), LabError> {
        let order = match crash {
            Crash::Process => NodeOrder::Crash,
            Crash::Power => NodeOrder::PowerCut,
        };
        self.order(node, order).map(drop)
    }

    /// Ends a node when everything it has is on disk. One that leads hands over first, if another node can take over.
    ///
    /// # Errors
    /// It is down, not a member, or its disk failed meanwhile.
    pub fn stop(&mut self, node: NodeId) -> Result<(), LabError> {
        if self.leader() == Some(node) {
            // One that no other node can follow ends as it is.
            let _ = self.transfer(None);
        }
        self.order(node, NodeOrder::Stop).map(drop)
    }

    /// Starts a node that is down.
    ///
    /// # Errors
    /// It runs already, is not a member, or its files cannot be used.
    pub fn restart(&mut self, node: NodeId) -> Result<(), LabError> {
        self.order(node, NodeOrder::Restart).map(drop)
    }

    /// Starts a node that is down from an empty disk. Its new files count once the others have taken them in: leave a
    /// majority of the others intact.
    ///
    /// # Errors
    /// It runs already, or is not a member.
    pub fn restart_wiped(&mut self, node: NodeId) -> Result<(), LabError> {
        self.order(node, NodeOrder::Wipe).map(drop)
    }

    /// Freezes a node: it does nothing until it is resumed, and its inbox fills.
    ///
    /// # Errors
    /// It is down, paused already, or not a member.
    pub fn pause(&mut self, node: NodeId) -> Result<(), LabError> {
        self.order(node, NodeOrder::Pause).map(drop)
    }

    /// Lets a paused node continue.
    ///
    /// # Errors
    /// It is not paused, or not a member.
    pub fn resume(&mut self, node: NodeId) -> Result<(), LabError> {
        self.order(node, NodeOrder::Resume).map(drop)
    }

    /// From now on two nodes hear each other only if a group holds both; nodes in no group form one more. Clients reach every
    /// node.
    ///
    /// # Errors
    /// A group names a node that is not a member.
    pub fn partition(&mut self, groups: &[&[NodeId]]) -> Result<(), LabError> {
        self.change_network(&NetChange::Partition(groups.iter().map(|group| group.to_vec()).collect()))
    }

    /// Changes the network: cuts, loss, delay, duplication, reordering.
    ///
    /// # Errors
    /// The change names a node that is not a member.
    pub fn change_network(&mut self, change: &NetChange) -> Result<(), LabError> {
        Lab::change_network(self, change).map(drop)
    }

    /// Notes the rules of the network, which were changed elsewhere, where steps are recorded.
    pub(crate) fn note_rules(&self) {
        self.context.flight_recorder.note_rules(self.network.rules());
    }

    /// Ends every fault of the network.
    pub fn heal(&mut self) {
        self.change_network(&NetChange::Reset).expect("a reset names no node");
    }
}
