//! What nodes say to one another: the remote procedure calls of Figures 2 and 13, each split into a request and a
//! reply. The messages of the extras are in `beyond/message.rs`.
//!
//! Messages may be lost, delayed, duplicated and reordered: nothing here relies on order or on an answer.

use std::sync::Arc;

use derive_more::Display;
use serde::{Deserialize, Serialize};

pub use super::beyond::message::{Ack, Beat, BootId, Cause, Extra, Files, ReadNumber, Round, Waiver};
use super::entry::Entry;
use crate::types::{EntryId, LogIndex, NodeId, Term};

/// One message from a node to another: `n1@2 -> n2 AppendEntries prev=4@1 entry=5@2 commit=4 round=9` in transcripts, the
/// term after the sender's name, entries as index@term.
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[display("{}@{term} -> {to} {body}", files.sender_shown(*from))]
pub struct Message {
    pub from: NodeId,
    pub to: NodeId,
    /// The sender's `current_term` at the time of sending.
    pub term: Term,
    pub files: Files,
    pub body: Body,
}

#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[display("{}{_variant}", self.name())]
pub enum Body {
    /// Figure 2, RequestVote. The message's term is the candidate's.
    #[display(" last={last}{cause}")]
    RequestVote {
        /// The candidate's last log entry (`lastLogIndex`, `lastLogTerm`).
        last: EntryId,
        /// If a person, or a leader that hands over, asked for the election, a receiver votes although it hears from a
        /// leader (D 4.2.3).
        cause: Cause,
    },
    #[display(" vote={}", if *granted { "yes" } else { "no" })]
    VoteReply {
        /// Whether the sender voted for the receiver in the message's term.
        granted: bool,
    },
    /// Figure 2, AppendEntries; a heartbeat when it carries no entry. The message's term is the leader's.
    #[display(" prev={prev} {} commit={commit} {beat}", carried(entries))]
    AppendEntries {
        /// The entry just before the first one carried (`prevLogIndex`, `prevLogTerm`).
        prev: EntryId,
        /// The entries after `prev`, in order.
        #[serde(deserialize_with = "super::beyond::message::entries::deserialize")]
        entries: Vec<Entry>,
        /// The leader's commit index (`leaderCommit`).
        commit: LogIndex,
        beat: Beat,
    },
    #[display(" {result}{}", match result {
        AppendResult::StaleTerm => String::new(),
        _ => format!(" {ack}"),
    })]
    AppendReply { result: AppendResult, ack: Ack },
    /// Figure 13, InstallSnapshot: a part of a snapshot. The message's term is the leader's.
    #[display(" last={last} offset={offset} bytes={}{}", data.len(), if *done { " done" } else { "" })]
    InstallSnapshot {
        /// The last entry that the snapshot covers (`lastIncludedIndex`, `lastIncludedTerm`).
        last: EntryId,
        /// The byte of the snapshot at which the part begins.
        offset: u64,
        #[serde(with = "super::beyond::message::bytes")]
        data: Arc<[u8]>,
        done: bool,
    },
    #[display(" last={last} {result}")]
    InstallReply {
        /// The snapshot that the answer is about.
        last: EntryId,
        result: InstallResult,
        ack: Ack,
    },
    /// A message that the paper's figures do not have.
    Extra(Extra),
}

/// What a follower answers to AppendEntries: one of these, never a mixture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
pub enum AppendResult {
    /// The follower's durable log equals the leader's up to here: previous entry plus entries carried, never
    /// the follower's own last index, which may belong to an older leader.
    #[display("matched={_0}")]
    Matched(LogIndex),
    /// The follower has no entry equal to the request's `prev`. The hint lets the leader skip a whole term a
    /// round trip (end of 5.3).
    #[display("conflict at={rejected} {}", match term {
        Some(term) => format!("term={term} first={first}"),
        None => format!("log ends before {first}"),
    })]
    Conflict {
        /// The index of the `prev` that was rejected, so that a late answer is recognised as such.
        rejected: LogIndex,
        /// The term of the follower's entry at that index; none when its log ends before.
        term: Option<Term>,
        /// The follower's first index of that term; the index after its last entry when its log ends before.
        first: LogIndex,
    },
    /// The request's term is over; the reply's own term says which one has begun.
    #[display("stale term")]
    StaleTerm,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
pub enum InstallResult {
    /// It needs the part that begins at this byte.
    #[display("next={_0}")]
    Next(u64),
    /// It holds, durably, all that the snapshot covers.
    #[display("installed")]
    Installed,
    /// What arrived is damaged, or of another format; nothing of it was kept.
    #[display("unusable")]
    Unusable,
    #[display("stale term")]
    StaleTerm,
}

/// The entries of an AppendEntries, as a transcript names them.
fn carried(entries: &[Entry]) -> String {
    match entries {
        [] => "heartbeat".to_string(),
        [one] => format!("entry={}", one.id()),
        [first, .., last] => format!("entries={}..{}", first.id(), last.id()),
    }
}

impl Body {
    /// The name of the message in the paper's words.
    pub fn name(&self) -> &'static str {
        match self {
            Body::RequestVote { .. } => "RequestVote",
            Body::VoteReply { .. } => "VoteReply",
            Body::AppendEntries { .. } => "AppendEntries",
            Body::AppendReply { .. } => "AppendReply",
            Body::InstallSnapshot { .. } => "InstallSnapshot",
            Body::InstallReply { .. } => "InstallReply",
            Body::Extra(extra) => extra.name(),
        }
    }

    /// Whether it is an AppendEntries without entries.
    pub fn is_heartbeat(&self) -> bool {
        matches!(self, Body::AppendEntries { entries, .. } if entries.is_empty())
    }

    /// Bytes that the message weighs in limits and queues: its entries' and a little for itself.
    pub fn weight(&self) -> usize {
        const ITSELF: usize = 64;
        match self {
            Body::AppendEntries { entries, .. } => ITSELF + entries.iter().map(Entry::weight).sum::<usize>(),
            Body::InstallSnapshot { data, .. } => ITSELF + data.len(),
            _ => ITSELF,
        }
    }
}
