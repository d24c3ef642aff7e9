//! A Raft that anyone can run, break, watch, measure and trust.
//!
//! The box of the paper's Figure 1, and who holds what here:
//!
//! ```text
//!   client                      one node
//!  +--------+   request   +-----------------------------------------+
//!  | client | ----------> |  server: fixes the order of effects     |
//!  |        | <---------- |   +-----------+        +-------------+  |
//!  +--------+   answer    |   |   raft    | apply  |state_machine|  |
//!                         |   | consensus | -----> |  key-value, |  |
//!      other nodes        |   |   core    |        |  sessions   |  |
//!         <-------------- |   +-----+-----+        +-------------+  |
//!  AppendEntries, votes   |         | write                         |
//!         --------------> |   +-----v-----+                         |
//!                         |   |  storage  |  states/n1/             |
//!                         |   +-----------+                         |
//!                         +-----------------------------------------+
//! ```
//!
//! Two drivers run such servers: real threads, with a router thread that carries, drops and delays messages
//! ([`Cluster`]); and virtual time, from a seed ([`simulation`]). Checks of the paper's safety properties watch over all
//! nodes.
//!
//! A cluster with a key-value store of strings, in memory:
//!
//! ```
//! use raftlab::kv::{Answer, Command, Query};
//! use raftlab::{Cluster, ReadMode};
//!
//! let cluster = Cluster::builder().nodes(3).memory().start()?;
//! let client = cluster.client();
//! let done = client.submit(Command::put("x", "5"))?;
//! let seen = client.at(done.node).read_with(Query::Read { key: "x".into() }, ReadMode::Lease)?;
//! assert_eq!(seen.answer, Answer::Value("5".into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The feature `cli`, which is on by default, adds the console, loads and experiments for the crate's programs. A program
//! that embeds a cluster leaves it away with `default-features = false`, and half of the dependencies with it.
//!
//! Start at [`Cluster`], [`Client`] and [`StateMachine`]; test a machine of your own with
//! [`SimulatedCluster`](simulation::SimulatedCluster). Everything else in the crate serves its programs and may change.

// What the tests share with the fuzzer names the crate as any other would.
#[cfg(test)]
extern crate self as raftlab;

// Modules stand in reading order, which is also the order of their layers: each imports only from those above it in the
// same or an earlier group.

// L0: words and settings.
#[doc(hidden)]
pub mod types;
mod ascending;
mod binary;
#[doc(hidden)]
pub mod quoting;
#[doc(hidden)]
pub mod payload;
#[doc(hidden)]
pub mod text;
#[doc(hidden)]
pub mod config;

// L1: pure rules.
#[doc(hidden)]
pub mod raft;
#[doc(hidden)]
pub mod protocol;
#[doc(hidden)]
pub mod faults;
#[doc(hidden)]
pub mod state_machine;
#[doc(hidden)]
pub mod check;

// L2: clocks, disks, networks, traces, signals, what processes send one another.
#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod storage;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod trace;
#[doc(hidden)]
pub mod wire;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod interrupt;
mod spin;
mod bell;
mod panics;

// L3: one server, one client and its history, and what a console asks of a cluster.
#[doc(hidden)]
pub mod server;
#[doc(hidden)]
pub mod client;
#[doc(hidden)]
pub mod history;
#[doc(hidden)]
pub mod lab;
#[doc(hidden)]
pub mod tls;

// L4: what drives servers.
#[doc(hidden)]
pub mod node;
#[doc(hidden)]
pub mod links;
#[doc(hidden)]
pub mod recording;
#[doc(hidden)]
pub mod sim;

// L5: whole clusters, who talks to them and what is measured with them.
#[doc(hidden)]
pub mod cluster;
#[doc(hidden)]
pub mod process;
#[doc(hidden)]
pub mod supervisor;
#[doc(hidden)]
pub mod remote;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod console;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod gateway;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod load;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod page;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod window;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod web;
#[cfg(feature = "etcd")]
#[doc(hidden)]
pub mod etcd;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod experiment;

// What the binaries are: thin files over these.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod programs;

// The library's face: what a program that embeds a cluster needs.
pub use crate::client::{Client, Committed, Failure, Fate, Observed, Rejection, Ticket, Token, WhenFull};
pub use crate::cluster::{
    Builder, Cluster, Crash, Leadership, LeadershipChange, LeadershipKind, Members, Notice, StartError,
};
pub use crate::config::{RaftSettings, Settings};
pub use crate::faults::{End, LinkScope, NetChange};
pub use crate::lab::{DiskChange, LabError, Life, NodeOrder};
pub use crate::protocol::ReadMode;
pub use crate::server::{RoleName, Status};
pub use crate::state_machine::StateMachine;
pub use crate::types::{ClientId, EntryId, LogIndex, NodeId, Term, Time};

/// What happens in a cluster, as its observer and its logs are told.
pub mod events {
    pub use crate::raft::event::Event;
    pub use crate::trace::{TraceEvent, What};
}

/// Changes of the members: what they are, what they come to, and why they are refused.
pub mod membership {
    pub use crate::lab::members::{ChangeDone, MembersError};
    pub use crate::raft::membership::configuration::{Configuration, Joins, Learner, Voters};
    pub use crate::raft::membership::request::{Change, ChangeError};
    pub use crate::types::{Epoch, Member, StoreId};
}

/// The key-value store that a cluster replicates unless another machine is chosen.
pub mod kv {
    pub use crate::state_machine::kv::{Answer, Command, KeyValue, Query};
}

/// Clusters in virtual time, to test a state machine under faults that a seed decides.
pub mod simulation {
    pub use crate::check::model::Request;
    pub use crate::sim::SimulationSettings;
    pub use crate::sim::cluster::{CallOf, RequestOf, SimulatedCluster};
}

/// Judges histories of calls: see [`judge`](linearizability::judge).
pub mod linearizability {
    pub use crate::check::model::{Call, Judgement, MachineModel, Model, Request, judge};
}

/// Clusters, clients and tickets may be moved to and shared with other threads.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    const fn is_moved<T: Send>() {}
    is_shared::<Cluster>();
    is_shared::<Client<kv::KeyValue>>();
    is_shared::<Failure>();
    is_shared::<StartError>();
    is_moved::<Ticket<Committed<kv::Answer>>>();
    is_moved::<Leadership>();
};
