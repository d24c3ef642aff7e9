//! What goes into a step of the consensus core and what comes out.
//!
//! [`Effects`] is the core's only way to act on the world. Its fields stand in the order in which a driver carries
//! them out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::beyond::rounds::ReadRequest;
use super::entry::{Content, Entry};
use super::event::Event;
pub use super::log::Rebase;
pub use super::membership::request::{Change, ChangeError, ChangeRequest};
use super::message::Message;
pub use super::reject::reason::RejectReason;
pub use super::snapshot::tasks::{Needed, SnapshotReport, SnapshotTask};
use crate::config::RaftSettings;
use crate::types::{EntryId, LogIndex, Member, NodeId, Term};
pub use crate::types::{RequestId, StoreId};

/// What a driver may hand to a step.
#[derive(Clone, Debug)]
pub enum Input {
    Message(Message),
    /// A client's request, to be appended if this node leads.
    Propose(Proposal),
    /// A client wants to read: taken in behind all else, answered when the state is known to be as new (section 8, D 6.4).
    Read(ReadRequest),
    /// This write, and every earlier one, is durable.
    Persisted(WriteId),
    /// Something became of a snapshot, or of a part of one (section 7).
    Snapshot(SnapshotReport),
    /// Start an election now, leader or none (the console's `timeout`).
    Campaign,
    /// Hand the leadership over: to this node, or to any that fits (the console's `transfer`).
    Transfer(Option<NodeId>),
    /// Let the election timer run out after this time (the console's `align-timers`, `spread-timers`).
    SetElectionTimer(Duration),
    /// Run with these settings from now on (the console's `set`).
    Configure(Box<RaftSettings>),
    /// Change the members (the console's `add`, `remove` and so on).
    Change(ChangeRequest),
    /// The wall clock moved this much further than this node's clock since the last step: the node's clock may have stood
    /// still.
    ClockJumped(Duration),
}

/// A client's request on its way into the log.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Proposal {
    pub id: RequestId,
    pub content: Content,
}

/// The number of a write; later writes have larger numbers. Completions are reported in this order.
pub type WriteId = u64;

/// What Figure 2 calls persistent state, less the log: it must be durable before an answer that depends on it
/// leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this node has seen.
    pub current_term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<Member>,
    /// It has promised to withhold its vote for a lease, in this term or an earlier one: after a restart the promise may
    /// still hold (D 6.4.1).
    pub withheld_votes: bool,
    /// It knows that a committed configuration leaves its files out: it starts no election any more.
    pub retired: bool,
    /// Identity of its files. It changes only when a leader finds that the files hold less than they did.
    pub store_id: StoreId,
}

/// What must become durable after a step, as one unit and after every earlier write.
///
/// It may carry no change at all: then it only waits for the writes before it.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Write {
    pub id: WriteId,
    pub hard_state: Option<HardState>,
    /// What becomes of the log's beginning, before anything else in it changes.
    pub rebase: Option<Rebase>,
    /// Remove every entry from this index on, before appending.
    pub truncate_from: Option<LogIndex>,
    /// Entries to append, in order, right behind what the log then holds.
    pub entries: Vec<Entry>,
    /// Messages that may leave only when this write is durable: votes and acknowledgements.
    pub then: Vec<Message>,
    /// It comes before all messages of its step and is durable then: its completion is not reported.
    pub at_once: bool,
}

/// What a step asks of its driver, in the order of execution.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Effects {
    /// Messages that may leave at once, beside the disk: a leader's AppendEntries (D 10.2.1), pre-votes.
    pub messages: Vec<Message>,
    /// What must become durable, with the messages that wait for it.
    pub write: Option<Write>,
    /// What is to be done with the files of snapshots, beside the log's.
    pub snapshots: Vec<SnapshotTask>,
    /// Commands that were appended, and where, or that were rejected.
    pub proposals: Vec<(RequestId, Result<EntryId, RejectReason>)>,
    /// Reads that may be served once the state machine has applied up to the index, or that may not.
    pub reads: Vec<(RequestId, Result<LogIndex, RejectReason>)>,
    /// Changes of the members that began, each with the first entry that holds it, or that were refused.
    pub changes: Vec<Result<LogIndex, ChangeError>>,
    /// What happened, for logs, narration and checks.
    pub events: Vec<Event>,
}
