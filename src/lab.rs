//! The seam between the console and what it drives: real threads and virtual time answer the same questions and take
//! the same faults, so one language runs on both.
//!
//! Answers are facts, not text for people, unless a sentence is all there is to say. Nothing here knows a directive.

use std::fmt;
use std::time::Duration;

use crate::check::linearizability::Start;
use crate::check::property::Verdict;
use crate::client::{Ask, Ended, Pipeline};
use crate::faults::{End, NetChange};
use crate::net::counts::LinkCounts;
use crate::server::{LogView, Status};
use crate::types::{NodeId, Time};

/// A cluster on which a person, or a script, experiments.
pub trait Lab {
    /// The nodes, in order.
    fn nodes(&self) -> Vec<NodeId>;

    /// The time of the run.
    fn now(&self) -> Time;

    /// The seed of the run.
    fn seed(&self) -> u64;

    /// Waits until something may have changed, but not beyond `until`. In virtual time this is the next event.
    fn wait(&mut self, until: Time);

    /// Whether a person asked to stop what is running (Ctrl-C). Reading it does not clear it.
    fn interrupted(&self) -> bool;

    /// Carries out these calls at once, from one client, and returns when each has ended: how, when it began and how
    /// long it took, in their order.
    fn ask(&mut self, asks: Vec<Ask>) -> Vec<Ended>;

    /// A client of its own that keeps many calls under way, for a thread of its own. Only a cluster on threads has one.
    fn pipeline(&self) -> Result<Pipeline, LabError>;

    /// How often the nodes have forced something to disk; none where nobody counts.
    fn disk_syncs(&self) -> Option<u64>;

    /// What the keys held when the run began.
    fn began_with(&self) -> Start;

    /// Asked before each step of a long search: whether to go on. It ends after as many steps as it may take in virtual
    /// time, else after as much time; a person can end it at once.
    fn patience(&self) -> Box<dyn FnMut() -> bool + '_>;

    /// What a node is and knows.
    fn view(&mut self, node: NodeId) -> NodeView;

    /// A running node's state as names and values, in order.
    fn items(&mut self, node: NodeId) -> Result<Vec<(String, String)>, LabError>;

    /// A running node's log.
    fn log(&mut self, node: NodeId) -> Result<LogView, LabError>;

    /// The node ends at once; what it had not written is gone, and with `power` what it had not synced. Says what
    /// was lost.
    fn crash(&mut self, node: NodeId, power: bool) -> Result<String, LabError>;

    /// Starts a node that is down, with `wipe` from an empty disk. Says what was reloaded.
    fn restart(&mut self, node: NodeId, wipe: bool) -> Result<String, LabError>;

    /// The node ends politely: everything it has is on disk.
    fn stop(&mut self, node: NodeId) -> Result<String, LabError>;

    /// Freezes a running node.
    fn pause(&mut self, node: NodeId) -> Result<(), LabError>;

    /// Lets a frozen node go on. Says what waited in its inbox.
    fn resume(&mut self, node: NodeId) -> Result<String, LabError>;

    /// Changes the network. Says what that did.
    fn change_network(&mut self, change: &NetChange) -> Result<String, LabError>;

    /// The network's rules that are active.
    fn network_rules(&mut self) -> Vec<NetChange>;

    /// Whether messages on their way are told to the observer. On threads that costs, so it is asked for.
    fn watch_messages(&mut self, watch: bool);

    /// The network's counters, for each link that was used.
    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)>;

    /// Breaks or mends a node's disk.
    fn change_disk(&mut self, node: NodeId, change: DiskChange) -> Result<(), LabError>;

    /// Sets a node's clock ahead by this. A clock that is set back stands still until it is true: time never goes back.
    fn skew_clock(&mut self, node: NodeId, ahead: Duration) -> Result<(), LabError>;

    /// The node takes a snapshot of what it has applied since its last one. It is durable some time later.
    fn take_snapshot(&mut self, node: NodeId) -> Result<(), LabError>;

    /// The node starts an election now, or as soon as it may.
    fn campaign(&mut self, node: NodeId) -> Result<(), LabError>;

    /// The node's election timer runs out after this time.
    fn set_election_timer(&mut self, node: NodeId, after: Duration) -> Result<(), LabError>;

    /// The shortest and the longest election timeout.
    fn election_timeouts(&self) -> (Duration, Duration);

    /// Whether the properties of CORRECTNESS have held so far, each by name.
    fn check(&mut self) -> Vec<Verdict>;

    /// Runs time at this multiple of the clock's. Only virtual time can.
    fn set_speed(&mut self, factor: f64) -> Result<(), LabError>;

    /// Lets the next event happen, or all within this time. Only virtual time can.
    fn step(&mut self, span: Option<Duration>) -> Result<(), LabError>;
}

/// What a node is and knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    /// Whether it runs.
    pub life: Life,
    /// What it knows: now, or when it was last seen running.
    pub status: Status,
}

/// Whether a node runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Life {
    /// It runs.
    Up,
    /// It is frozen.
    Paused,
    /// It does not run, and why: `crashed`, `stopped`, or what went wrong.
    Down(String),
}

/// What may be done to a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskChange {
    /// Each fsync takes this much longer; zero ends it.
    Slow(Duration),
    /// No fsync ends before this time has passed.
    Stall(Duration),
    /// Nothing more fits, or it does again.
    Full(bool),
}

/// Why something could not be done, in one line that says what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabError(pub String);

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LabError {}
