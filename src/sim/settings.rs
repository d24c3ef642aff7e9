//! How large a simulated cluster is, how it is set, and how long its messages, disks and machines take.

use std::time::Duration;

use crate::client::ClientSettings;
use crate::config::RaftSettings;
use crate::state_machine::sessions::Bounds;
use crate::types::NodeId;

/// What a simulated cluster is made of.
#[derive(Clone, Debug)]
pub struct SimulationSettings {
    pub nodes: u8,
    /// The node that leads whenever it can.
    pub preferred: Option<NodeId>,
    /// It decides the whole run.
    pub seed: u64,
    pub raft: RaftSettings,
    /// The least time that a message takes.
    pub link_delay: Duration,
    /// The most time beyond that; above zero, messages overtake one another.
    pub link_jitter: Duration,
    /// How late a node's thread may run: all arrivals until then make one step. With zero it runs for each arrival.
    pub lateness: Duration,
    /// How long a write takes to become durable. With zero it is before any message leaves, as in memory, unless a node
    /// decides alone; no disk stalls or is slow then.
    pub disk_delay: Duration,
    /// How long a state machine takes for each task. Above zero it works on a thread of its own.
    pub machine_delay: Duration,
    /// What the replicas keep of each session.
    pub sessions: Bounds,
    /// The shortest and longest pause of a client before it tries again.
    pub client: ClientSettings,
}

impl SimulationSettings {
    /// A cluster of this size with constant delays: messages take 1 ms, writes 1 ms.
    pub fn new(nodes: u8, seed: u64) -> SimulationSettings {
        SimulationSettings {
            nodes,
            preferred: None,
            seed,
            raft: RaftSettings::default(),
            link_delay: Duration::from_millis(1),
            link_jitter: Duration::ZERO,
            disk_delay: Duration::from_millis(1),
            machine_delay: Duration::ZERO,
            lateness: Duration::ZERO,
            sessions: Bounds::default(),
            client: ClientSettings::default(),
        }
    }
}
