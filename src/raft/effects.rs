//! What goes into a step of the consensus core and what comes out.
//!
//! [`Effects`] is the core's only way to act on the world. Its fields stand in the order in which a driver carries
//! them out.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::log::{Content, Entry};
use super::message::Message;
pub use super::snapshot::{Needed, SnapshotReport, SnapshotTask};
use crate::types::{EntryId, LogIndex, NodeId, Term};

use std::time::Duration;

/// What a driver may hand to a step.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message from another node arrived.
    Message(Message),
    /// A client's request, to be appended if this node leads.
    Propose(Proposal),
    /// A client wants to read: answered when the state is known to be as new as the read (section 8, 6.4).
    Read(ReadRequest),
    /// This write, and every earlier one, is durable.
    Persisted(WriteId),
    /// Something became of a snapshot, or of a part of one (section 7).
    Snapshot(SnapshotReport),
    /// Start an election now, leader or none (the console's `timeout`).
    Campaign,
    /// Let the election timer run out after this time (the console's `align-timers`, `spread-timers`).
    SetElectionTimer(Duration),
}

/// A client's request on its way into the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// The server's number for it.
    pub id: RequestId,
    /// What the entry is to hold.
    pub content: Content,
}

/// A client's question on its way to the state machine; what is asked is the server's business.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadRequest {
    /// The server's number for it.
    pub id: RequestId,
    /// The client wants the answer of this node, whoever leads: a follower asks its leader for the read index (6.4).
    pub here: bool,
    /// A leader that holds a lease may answer at once (6.4.1).
    pub by_lease: bool,
}

/// The server's own number for a client's request that it handed in.
pub type RequestId = u64;

/// The number of a write; later writes have larger numbers. Completions are reported in this order.
pub type WriteId = u64;

/// What Figure 2 calls persistent state, less the log: it must be durable before an answer that depends on it
/// leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this node has seen.
    pub current_term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
    /// It has answered a round that claims a lease, in whatever term: after a restart it may still be bound (6.4.1).
    pub withheld_votes: bool,
    /// It started empty in a cluster that had run: it may have voted, and held entries, and does not know it. It votes
    /// for nobody until the cluster has readmitted it.
    pub joining: bool,
    /// Its files. The number changes only when a leader finds that the files hold less than they did.
    pub store_id: StoreId,
}

/// Tells a node's files from those that were under its name before: later ones have larger numbers. Never zero.
pub type StoreId = u64;

/// What must become durable after a step, as one unit and after every earlier write.
///
/// It may carry no change at all: then it only waits for the writes before it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Write {
    /// Its number.
    pub id: WriteId,
    /// Term and vote, when they changed.
    pub hard_state: Option<HardState>,
    /// What becomes of the log's beginning, before anything else in it changes.
    pub rebase: Option<Rebase>,
    /// Remove every entry from this index on, before appending.
    pub truncate_from: Option<LogIndex>,
    /// Entries to append, in order, right behind what the log then holds.
    pub entries: Vec<Entry>,
    /// Messages that may leave only when this write is durable: votes and acknowledgements.
    pub then: Vec<Message>,
}

/// What becomes of the beginning of the log on disk, once a snapshot is durable (section 7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rebase {
    /// Entries up to this one, which the snapshot covers, are needed no more.
    Compact(EntryId),
    /// The whole log goes, whatever it holds, and begins anew behind this entry, the last one that the snapshot covers.
    Reset(EntryId),
}

/// Why a command or a read was not taken in. It has certainly not been applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RejectReason {
    /// This node does not lead; perhaps that one does.
    NotLeader {
        /// The leader that this node follows, if it follows one and has no doubt of it.
        leader: Option<NodeId>,
    },
    /// The node holds as many uncommitted bytes, or as many reads, as it may: try again later.
    Busy,
}

/// What a step asks of its driver, in the order of execution.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Messages that may leave at once, beside the disk: a leader's AppendEntries (10.2.1), pre-votes.
    pub messages: Vec<Message>,
    /// What must become durable, with the messages that wait for it.
    pub write: Option<Write>,
    /// What is to be done with the files of snapshots, beside the log's.
    pub snapshots: Vec<SnapshotTask>,
    /// Commands that were appended, and where, or that were rejected.
    pub proposals: Vec<(RequestId, Result<EntryId, RejectReason>)>,
    /// Reads that may be served once the state machine has applied up to the index, or that may not.
    pub reads: Vec<(RequestId, Result<LogIndex, RejectReason>)>,
    /// What happened, for logs, narration and checks.
    pub events: Vec<Event>,
}
