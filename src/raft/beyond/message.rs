//! What the extras say: messages of their own, and what they add to AppendEntries and to the answers.

pub(in crate::raft) mod bytes;
pub(crate) mod entries;

use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use crate::types::{EntryId, FOUNDERS_STORE, LogIndex, Member, NodeId, StoreId, Term};

/// A numbered heartbeat round of one leader in one term. Each AppendEntries carries the leader's newest round and
/// each answer returns it, so an answer proves that its sender still followed when that round began (D 6.4).
pub type Round = u64;

/// A follower's number for a question about the read index. Each run of a node begins at a place of its own, so that
/// an answer to an earlier run is not taken for one to this.
pub type ReadNumber = u64;

/// Identifies a run of a node, so that an answer of an earlier run is not taken for its own. Drawn at each start.
pub type BootId = u64;

/// What AppendEntries carries beyond Figure 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Display, Serialize, Deserialize)]
#[display("round={round}{}", if lease.is_some() { " lease" } else { "" })]
pub struct Beat {
    pub round: Round,
    /// The round claims a lease: a node that answers it withholds its vote for this long (D 6.4.1).
    pub lease: Option<Duration>,
    /// The receiver's newest answer that the leader had seen when the round began; zero before the first.
    pub answered: Round,
    /// The boot in which the receiver gave that answer.
    pub boot_id: BootId,
    /// The newest round that a quorum has answered, from when the leader's commit index holds all that earlier leaders
    /// answered; zero before.
    pub confirmed: Round,
}

/// What an answer to a leader carries beyond Figure 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Display, Serialize, Deserialize)]
#[display("round={round}")]
pub struct Ack {
    /// The round that the answer confirms; zero if none.
    pub round: Round,
    pub boot_id: BootId,
}

/// A leader's word that no read rests any more on a lease of these rounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[display("waiver={round}@{term}")]
pub struct Waiver {
    /// The leader's term.
    pub term: Term,
    /// All its rounds up to this one.
    pub round: Round,
}

/// What made a candidate start its election.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
pub enum Cause {
    /// Its election timer ran out.
    #[display("")]
    Timer,
    /// A person asked for it.
    #[display(" transfer")]
    Request,
    /// The leader hands over to it (D 3.10).
    #[display(" transfer {_0}")]
    Transfer(Waiver),
}

/// Whose files speak, and to whose they answer: files that are lost and those that replace them are two servers under
/// one name, and what one was told or promised says nothing of the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Files {
    /// The sender's.
    pub sender: StoreId,
    /// Those of the node whose request is answered; zero in a request.
    pub answered: StoreId,
}

impl Files {
    /// A request of a founder's files.
    pub const FOUNDERS: Files = Files { sender: FOUNDERS_STORE, answered: 0 };

    /// A request that is sent by these files.
    pub fn of(sender: StoreId) -> Files {
        Files { sender, answered: 0 }
    }

    /// `n2`, or `n2#95` when these are not a founder's files.
    pub fn sender_shown(&self, from: NodeId) -> String {
        if self.sender == FOUNDERS_STORE {
            return from.to_string();
        }
        Member { node: from, store_id: self.sender }.to_string()
    }
}

/// The messages that the paper's figures do not have; their sections are the dissertation's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
pub enum Extra {
    /// Would you vote for me in the next term? Changes nothing at the receiver (D 9.6).
    #[display(" next_term={next_term} last={last}")]
    PreVote {
        /// The term that the sender would start: its `current_term` + 1.
        next_term: Term,
        last: EntryId,
    },
    #[display(" next_term={next_term} vote={}", if *granted { "yes" } else { "no" })]
    PreVoteReply { next_term: Term, granted: bool },
    /// The leader hands over: the receiver is to start an election at once (D 3.10). One that has heard of more since
    /// ignores it.
    #[display(" round={round} last={last}")]
    TimeoutNow {
        /// The leader's newest round: it waives the leases of all rounds up to this one.
        round: Round,
        /// The last entry of the leader's log.
        last: EntryId,
    },
    /// The receiver's files hold less than it acknowledged in this term: they are another server's from now on.
    #[display("")]
    Rejoin {
        /// What its files are known by from now on.
        store_id: StoreId,
    },
    /// A follower asks its leader up to where a read must see (D 6.4).
    #[display(" number={number}")]
    ReadIndex { number: ReadNumber },
    /// The answer to a question about the read index.
    #[display(" number={number} {}", index.map_or("rejected".to_string(), |index| format!("index={index}")))]
    ReadIndexReply {
        number: ReadNumber,
        /// All that was answered to clients before the question arrived lies up to here; none when the sender cannot
        /// say, since it does not lead or has too many reads waiting.
        index: Option<LogIndex>,
    },
}

impl Extra {
    pub fn name(&self) -> &'static str {
        match self {
            Extra::PreVote { .. } => "PreVote",
            Extra::PreVoteReply { .. } => "PreVoteReply",
            Extra::TimeoutNow { .. } => "TimeoutNow",
            Extra::Rejoin { .. } => "Rejoin",
            Extra::ReadIndex { .. } => "ReadIndex",
            Extra::ReadIndexReply { .. } => "ReadIndexReply",
        }
    }
}
