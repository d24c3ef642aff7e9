//! Broken rules for the museum: a way to put a defect into simulated nodes, and nowhere else.
//!
//! A mutation changes what goes into a step, what comes out of it, the state between steps, or what the disk does. The core
//! has no switch for it, so no shipped code can be broken by one.

use crate::raft::Recovered;
use crate::server::{Arrival, Outbox, Server};
use crate::state_machine::kv::KeyValue;
use crate::state_machine::{Machine, Replica};
use crate::storage::simulated::SimulatedDisk;
use crate::types::{NodeId, Time};

pub trait Mutation: Send {
    /// Before a node's step; the node's clock shows this time.
    fn before(&mut self, _now: Time, _server: &mut Server, _arrivals: &mut Vec<Arrival>) {}

    /// After a node's step, before the checks see it and before anything leaves.
    fn after(&mut self, _server: &mut Server, _outbox: &mut Outbox) {}

    /// A node is about to start from this disk.
    fn opening(&mut self, _disk: &mut SimulatedDisk) {}

    /// A node starts from what its disk held.
    fn recovered(&mut self, _node: NodeId, _recovered: &mut Recovered) {}

    /// The state machine of a node that starts, in its first state.
    fn machine(&self, replica: Replica<KeyValue>) -> Box<dyn Machine> {
        Box::new(replica)
    }

    /// After a node's step, beside what the step itself has written.
    fn use_disk(&mut self, _disk: &mut SimulatedDisk) {}

    fn disk_use(&self) -> DiskUse {
        DiskUse::Proper
    }
}

/// How a node uses its disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskUse {
    /// What is written is synced, and the node stops at a failure and says why: the rule.
    Proper,
    /// Entries are reported as durable without an fsync.
    WithoutFsync,
    /// Failures are ignored, and nothing more is reported as durable.
    FailuresHidden,
    /// Failures are taken for successes, as when a failed fsync is tried again.
    FailuresTakenForSuccess,
}
