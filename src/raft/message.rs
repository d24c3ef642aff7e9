//! What nodes say to one another: the remote procedure calls of Figures 2 and 13, each split into a request and a
//! reply, and, of the dissertation, the pre-vote (9.6), the read index (6.4) and the order to start an election (3.10).
//!
//! Messages may be lost, delayed, duplicated and reordered: nothing here relies on order or on an answer.

use std::fmt;
use std::sync::Arc;

use super::effects::StoreId;
use super::log::Entry;
use crate::types::{EntryId, LogIndex, NodeId, Term};

/// A numbered heartbeat round of one leader in one term. Each AppendEntries carries the leader's newest round and
/// each reply returns it, so an answer proves that its sender still followed when that round began (6.4).
pub type Round = u64;

/// A follower's number for a question about the read index. Each life of a node begins at a place of its own, so that
/// an answer to an earlier life is not taken for one to this.
pub type ReadNumber = u64;

/// Tells a node's lives apart, so that what an earlier one answered is not taken for its own. Drawn at each start.
pub type BootId = u64;

/// What an answer says of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Answerer {
    /// In which of its lives it answers.
    pub boot_id: BootId,
    /// The files that it has. Later ones have larger numbers.
    pub store_id: StoreId,
    /// It lost the files that it had before these and is not readmitted yet: its copies do not count.
    pub joining: bool,
}

/// What a leader says of its rounds, beside their number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// The round claims a lease: who answers it promises its vote to nobody for a while (6.4.1).
    pub lease: bool,
    /// The receiver's newest answer that the leader had seen when the round began; zero before the first.
    pub answered: Round,
    /// In which of the receiver's lives it gave that answer.
    pub boot_id: BootId,
    /// The newest round that a quorum has answered, from when the leader's commit index holds all that earlier leaders
    /// answered; zero before.
    pub confirmed: Round,
}

/// One message from a node to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Who sends it.
    pub from: NodeId,
    /// Who is to receive it.
    pub to: NodeId,
    /// The sender's `current_term` at the time of sending.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Would you vote for me in the next term? Changes nothing at the receiver (9.6).
    PreVote {
        /// The term that the sender would start: its `current_term` + 1.
        next_term: Term,
        /// The sender's last log entry.
        last: EntryId,
    },
    /// The answer to a pre-vote.
    PreVoteReply {
        /// The term that was asked about.
        next_term: Term,
        /// Whether the sender would vote.
        granted: bool,
    },
    /// Figure 2, RequestVote. The message's term is the candidate's.
    RequestVote {
        /// The candidate's last log entry (`lastLogIndex`, `lastLogTerm`).
        last: EntryId,
        /// The election was ordered (by a person, or by a leader that hands over): a receiver votes although it
        /// hears from a leader (4.2.3).
        transfer: bool,
    },
    /// The answer to RequestVote.
    VoteReply {
        /// Whether the sender voted for the receiver in the message's term.
        granted: bool,
    },
    /// Figure 2, AppendEntries; a heartbeat when it carries no entry. The message's term is the leader's.
    AppendEntries {
        /// The entry just before the first one carried (`prevLogIndex`, `prevLogTerm`).
        prev: EntryId,
        /// The entries after `prev`, in order.
        entries: Vec<Entry>,
        /// The leader's commit index (`leaderCommit`).
        commit: LogIndex,
        /// The leader's newest heartbeat round.
        round: Round,
        /// What it says of that round and of earlier ones.
        standing: Standing,
    },
    /// The answer to AppendEntries.
    AppendReply {
        /// Who answers.
        answerer: Answerer,
        /// The round of the request that is answered.
        round: Round,
        /// What became of it.
        result: AppendResult,
    },
    /// Figure 13, InstallSnapshot: a part of a snapshot. The message's term is the leader's.
    InstallSnapshot {
        /// The last entry that the snapshot covers (`lastIncludedIndex`, `lastIncludedTerm`).
        last: EntryId,
        /// The byte of the snapshot at which the part begins.
        offset: u64,
        /// The part's bytes.
        data: Arc<[u8]>,
        /// Whether it is the last part.
        done: bool,
    },
    /// The answer to InstallSnapshot.
    InstallReply {
        /// Who answers.
        answerer: Answerer,
        /// The snapshot that the answer is about.
        last: EntryId,
        /// What became of it.
        result: InstallResult,
    },
    /// The leader hands over: the receiver is to start an election at once (3.10 of the dissertation).
    TimeoutNow,
    /// The receiver's files hold less than it acknowledged in this term: it takes them for lost and joins again.
    Rejoin {
        /// What its files are known by from now on.
        store_id: StoreId,
    },
    /// A follower asks its leader up to where a read must see (6.4).
    ReadIndex {
        /// The follower's number for the question.
        number: ReadNumber,
    },
    /// The answer to a question about the read index.
    ReadIndexReply {
        /// The question that is answered.
        number: ReadNumber,
        /// All that was answered to clients before the question arrived lies up to here; none when the sender cannot
        /// say, since it does not lead or has too much to do.
        index: Option<LogIndex>,
    },
}

/// What a follower answers to AppendEntries: one of these, never a mixture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendResult {
    /// The follower's durable log equals the leader's up to here: previous entry plus entries carried, never
    /// the follower's own last index, which may belong to an older leader.
    Matched(LogIndex),
    /// The follower has no entry equal to the request's `prev`. The hint lets the leader skip a whole term a
    /// round trip (end of 5.3).
    Conflict {
        /// The index of the `prev` that was refused, so that a late answer is recognised as such.
        rejected: LogIndex,
        /// The term of the follower's entry at that index; none when its log ends before.
        term: Option<Term>,
        /// The follower's first index of that term; the index after its last entry when its log ends before.
        first: LogIndex,
    },
    /// The request's term is over; the reply's own term says which one has begun.
    StaleTerm,
}

/// What a follower answers to InstallSnapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InstallResult {
    /// It needs the part that begins at this byte.
    Next(u64),
    /// It holds, durably, all that the snapshot covers.
    Installed,
    /// What arrived was no such snapshot: it is damaged, or of another format, and nothing of it was kept.
    Unusable,
    /// The request's term is over.
    StaleTerm,
}

impl Body {
    /// The name of the message in the paper's words.
    pub fn name(&self) -> &'static str {
        match self {
            Body::PreVote { .. } => "PreVote",
            Body::PreVoteReply { .. } => "PreVoteReply",
            Body::RequestVote { .. } => "RequestVote",
            Body::VoteReply { .. } => "VoteReply",
            Body::AppendEntries { .. } => "AppendEntries",
            Body::AppendReply { .. } => "AppendReply",
            Body::InstallSnapshot { .. } => "InstallSnapshot",
            Body::InstallReply { .. } => "InstallReply",
            Body::TimeoutNow => "TimeoutNow",
            Body::Rejoin { .. } => "Rejoin",
            Body::ReadIndex { .. } => "ReadIndex",
            Body::ReadIndexReply { .. } => "ReadIndexReply",
        }
    }

    /// An AppendEntries or its answer that carries no news for a reader.
    pub fn is_heartbeat(&self) -> bool {
        match self {
            Body::AppendEntries { entries, .. } => entries.is_empty(),
            _ => false,
        }
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

impl fmt::Display for Message {
    /// `n1@2 -> n2 AppendEntries prev=4@1 entries=5@2 commit=4`: the term after the sender's name, entries as
    /// index@term.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} -> {} {}", self.from, self.term, self.to, self.body)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vote = |granted: bool| if granted { "yes" } else { "no" };
        write!(f, "{}", self.name())?;
        match self {
            Body::PreVote { next_term, last } => write!(f, " next_term={next_term} last={last}"),
            Body::PreVoteReply { next_term, granted } => {
                write!(f, " next_term={next_term} vote={}", vote(*granted))
            }
            Body::RequestVote { last, transfer } => {
                write!(f, " last={last}{}", if *transfer { " transfer" } else { "" })
            }
            Body::VoteReply { granted } => write!(f, " vote={}", vote(*granted)),
            Body::AppendEntries { prev, entries, commit, round, standing } => {
                write!(f, " prev={prev}")?;
                match (entries.first(), entries.last()) {
                    (Some(first), Some(last)) if first.index == last.index => {
                        write!(f, " entry={}", first.id())?;
                    }
                    (Some(first), Some(last)) => write!(f, " entries={}..{}", first.id(), last.id())?,
                    _ => f.write_str(" heartbeat")?,
                }
                write!(f, " commit={commit} round={round}{}", if standing.lease { " lease" } else { "" })
            }
            Body::AppendReply { round, result, .. } => match result {
                AppendResult::Matched(index) => write!(f, " matched={index} round={round}"),
                AppendResult::Conflict { rejected, term: Some(term), first } => {
                    write!(f, " conflict at={rejected} term={term} first={first} round={round}")
                }
                AppendResult::Conflict { rejected, term: None, first } => {
                    write!(f, " conflict at={rejected} log ends before {first} round={round}")
                }
                AppendResult::StaleTerm => write!(f, " stale term round={round}"),
            },
            Body::InstallSnapshot { last, offset, data, done } => {
                let end = if *done { " done" } else { "" };
                write!(f, " last={last} offset={offset} bytes={}{end}", data.len())
            }
            Body::InstallReply { last, result, .. } => match result {
                InstallResult::Next(next) => write!(f, " last={last} next={next}"),
                InstallResult::Installed => write!(f, " last={last} installed"),
                InstallResult::Unusable => write!(f, " last={last} unusable"),
                InstallResult::StaleTerm => write!(f, " last={last} stale term"),
            },
            Body::TimeoutNow | Body::Rejoin { .. } => Ok(()),
            Body::ReadIndex { number } => write!(f, " number={number}"),
            Body::ReadIndexReply { number, index: Some(index) } => {
                write!(f, " number={number} index={index}")
            }
            Body::ReadIndexReply { number, index: None } => write!(f, " number={number} refused"),
        }
    }
}
