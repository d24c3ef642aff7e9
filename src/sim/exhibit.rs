//! Broken rules for the museum: a way to put a defect into simulated nodes, and nowhere else.
//!
//! An exhibit changes what goes into a step, what comes out of it, the state between steps, or what the disk does. The core
//! has no switch for it, so no shipped code can be broken by one.

use crate::raft::Recovered;
use crate::server::{Arrival, Outbox, Server};
use crate::state_machine::kv::KeyValue;
use crate::state_machine::{Machine, Replica};
use crate::storage::simulated::SimulatedDisk;
use crate::types::{NodeId, Time};

pub trait Exhibit: Send {
    /// What the clock of the node shows whose step comes next.
    fn tell_time(&mut self, _now: Time) {}

    fn before(&mut self, _server: &mut Server, _arrivals: &mut Vec<Arrival>) {}

    /// After a node's step, before the checks see it and before anything leaves.
    fn after(&mut self, _server: &mut Server, _outbox: &mut Outbox) {}

    /// A node is about to start from this disk.
    fn opening(&mut self, _node: NodeId, _disk: &mut SimulatedDisk) {}

    /// A node starts from what its disk held.
    fn recovered(&mut self, _node: NodeId, _recovered: &mut Recovered) {}

    /// The state machine of a node that starts, in its first state.
    fn machine(&self, machine: Replica<KeyValue>) -> Box<dyn Machine> {
        Box::new(machine)
    }

    /// After a node's step, beside what the step itself has written.
    fn use_disk(&mut self, _disk: &mut SimulatedDisk) {}

    /// Whether entries are reported as durable without an fsync.
    fn skips_sync(&self) -> bool {
        false
    }

    /// What a node makes of an error of its disk.
    fn disk_failure(&self) -> DiskFailure {
        DiskFailure::EndsNode
    }
}

/// What a node makes of an error of its disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFailure {
    /// The node stops and says why: the rule.
    EndsNode,
    /// It is ignored, and nothing more is reported as durable.
    Hidden,
    /// It is taken for a success, as when a failed fsync is tried again.
    TakenForSuccess,
}
