//! The roles of Figure 4, each with the data that only it has, and what a leader knows of a follower.
//!
//! A role that ends takes its data with it: no stale vote or match index can outlive it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use super::beyond::rounds::{Answers, Rounds};
use super::effects::Proposal;
use super::membership::configuration::Configuration;
use super::membership::led::LeaderChange;
use super::message::Round;
pub use super::snapshot::sending::{Sending, SnapshotTransfer};
use crate::types::{LogIndex, Member, NodeId, StoreId, Time};

/// What a node is at the moment.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub enum Role {
    /// Answers leaders and candidates (5.2).
    Follower(Follower),
    /// Asks whether an election would succeed (D 9.6). Its term has not changed yet.
    PreCandidate {
        /// Who would vote for it in the next term.
        pre_votes: Votes,
        /// The votes of its own term, if it was a candidate there. They count until another term begins: on slow disks
        /// votes take longer than election timeouts.
        votes: Option<Votes>,
    },
    /// Seeks election in its current term (5.2).
    Candidate(Votes),
    /// Serves clients and replicates its log (5.3).
    Leader(Leader),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Follower {
    /// The leader it follows and when it was last heard; none while in doubt.
    pub leader: Option<(Member, Time)>,
}

/// Votes for one node, in one term.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Votes {
    /// Who said yes. A set: a vote that arrives twice counts once.
    pub granted: BTreeSet<Member>,
}

/// The volatile state of a leader (Figure 2), created at each election.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Leader {
    /// What is known of each other member, and of those that leave and do not know it yet.
    pub followers: BTreeMap<NodeId, Progress>,
    /// The no-op that opened the term: once it is committed, everything before it is.
    pub no_op: LogIndex,
    pub heartbeat_due: Time,
    /// Commands that wait to be appended together.
    pub gathered: Vec<Proposal>,
    /// When the gathered commands are appended; set by the first of them.
    pub gather_until: Time,
    /// Bytes of the entries that are in the log but not committed.
    pub uncommitted_bytes: usize,
    /// Beyond Figure 2: heartbeat rounds, and the reads that wait for them.
    pub rounds: Rounds,
    /// Beyond Figure 2: how a change of the members continues (section 6).
    pub change: LeaderChange,
}

/// What a leader knows of one follower. `match_index < next_index`, always.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// The next entry to send (Figure 2, `nextIndex`).
    pub next_index: LogIndex,
    /// The follower's durable log equals the leader's up to here (Figure 2, `matchIndex`).
    pub match_index: LogIndex,
    pub state: ProgressState,
    /// Beyond Figure 2: what its answers said of itself.
    pub answers: Answers,
}

/// How entries are sent to a follower.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum ProgressState {
    /// It is not known where the logs agree: one AppendEntries at a time looks for the place.
    Probe {
        /// One is under way; only a heartbeat, which carries no entry, tries again.
        waiting: bool,
    },
    /// The logs agree below `next_index`: AppendEntries are sent without waiting for answers, within limits.
    Replicate {
        /// The last index and the bytes of each AppendEntries that is not answered yet.
        in_flight: VecDeque<(LogIndex, usize)>,
    },
    /// It needs entries that the log no longer holds: a snapshot is sent, part by part (7).
    Snapshot(SnapshotTransfer),
}

impl Role {
    /// The votes of the current term, if this node is a candidate there, or was one and asks about the next.
    pub(super) fn votes_mut(&mut self) -> Option<&mut Votes> {
        match self {
            Role::Candidate(votes) => Some(votes),
            Role::PreCandidate { votes, .. } => votes.as_mut(),
            Role::Follower(_) | Role::Leader(_) => None,
        }
    }
}

impl Votes {
    pub(super) fn count(&mut self, from: Member, granted: bool) {
        if granted {
            self.granted.insert(from);
        }
    }

    /// Whether they elect a leader in this configuration.
    pub fn elect(&self, configuration: &Configuration) -> bool {
        configuration.reached(|voter| self.granted.contains(&voter))
    }
}

impl Progress {
    /// What a leader assumes of these files at first: their log ends as its own does.
    pub fn new(store_id: StoreId, next_index: LogIndex, now: Time) -> Progress {
        Progress {
            next_index,
            match_index: LogIndex(0),
            state: ProgressState::Probe { waiting: false },
            answers: Answers { store_id, heard: now, ..Answers::default() },
        }
    }

    /// Whether another AppendEntries with entries may be sent now.
    pub fn has_room(&self, messages_max: usize, bytes_max: usize) -> bool {
        match &self.state {
            ProgressState::Probe { waiting } => !waiting,
            ProgressState::Replicate { in_flight } => {
                let bytes: usize = in_flight.iter().map(|(_, bytes)| bytes).sum();
                in_flight.len() < messages_max && bytes < bytes_max
            }
            ProgressState::Snapshot(_) => false,
        }
    }

    /// Entries up to `last`, weighing `bytes`, were sent.
    pub fn sent(&mut self, last: LogIndex, bytes: usize) {
        match &mut self.state {
            ProgressState::Probe { waiting } => *waiting = true,
            ProgressState::Replicate { in_flight } => {
                in_flight.push_back((last, bytes));
                self.next_index = last.next();
            }
            ProgressState::Snapshot(_) => panic!("entries follow a snapshot only when it has arrived (7)"),
        }
    }

    /// The follower's log equals the leader's up to `index`, as the leader learned in this round. An old answer changes
    /// nothing. True when `match_index` moved.
    pub fn matched(&mut self, index: LogIndex, round: Round) -> bool {
        let moved = index > self.match_index;
        if moved {
            self.match_index = index;
            self.answers.matched_in = round;
        }
        match &mut self.state {
            ProgressState::Snapshot(transfer) if transfer.last.index > self.match_index => {}
            ProgressState::Probe { .. } | ProgressState::Snapshot(_) => {
                self.next_index = self.match_index.next();
                self.state = ProgressState::Replicate { in_flight: VecDeque::new() };
            }
            ProgressState::Replicate { in_flight } => {
                while in_flight.front().is_some_and(|(last, _)| *last <= self.match_index) {
                    in_flight.pop_front();
                }
                self.next_index = self.next_index.max(self.match_index.next());
            }
        }
        moved
    }

    /// The follower rejected an AppendEntries whose previous index was `rejected`; `hint` is where to try next.
    /// False when the answer is old and says nothing about now.
    pub fn rejected(&mut self, rejected: LogIndex, hint: LogIndex) -> bool {
        let current = match self.state {
            ProgressState::Probe { .. } => rejected.next() == self.next_index,
            ProgressState::Replicate { .. } => rejected < self.next_index,
            ProgressState::Snapshot(_) => false,
        };
        if !current || rejected <= self.match_index {
            return false;
        }
        // What matched once is durable there: never below it, even if the hint says so.
        self.next_index = hint.clamp(self.match_index.next(), rejected);
        self.state = ProgressState::Probe { waiting: false };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating(match_index: u64, next_index: u64) -> Progress {
        let mut progress = Progress::new(1, LogIndex(match_index + 1), Time::ZERO);
        progress.matched(LogIndex(match_index), 0);
        if next_index > match_index + 1 {
            progress.sent(LogIndex(next_index - 1), 100);
        }
        progress
    }

    #[test]
    fn an_old_answer_changes_nothing() {
        let mut progress = replicating(5, 9);
        assert!(!progress.matched(LogIndex(3), 0));
        assert_eq!((progress.match_index, progress.next_index), (LogIndex(5), LogIndex(9)));
        assert!(!progress.rejected(LogIndex(4), LogIndex(2)), "what matched once cannot be rejected now");
        assert_eq!((progress.match_index, progress.next_index), (LogIndex(5), LogIndex(9)));
    }

    #[test]
    fn a_hint_never_leads_below_what_matched() {
        let mut progress = replicating(5, 9);
        assert!(progress.rejected(LogIndex(8), LogIndex(1)));
        assert_eq!(progress.next_index, LogIndex(6));
        assert!(!progress.rejected(LogIndex(8), LogIndex(1)), "the same rejection again is old");
    }

    #[test]
    fn what_is_under_way_is_bounded_in_messages_and_bytes() {
        let mut progress = replicating(0, 1);
        assert!(progress.has_room(2, 150));
        progress.sent(LogIndex(1), 100);
        assert!(progress.has_room(2, 150));
        progress.sent(LogIndex(2), 100);
        assert!(!progress.has_room(2, 1000), "two messages are under way");
        assert!(!progress.has_room(9, 150), "two hundred bytes are under way");
        progress.matched(LogIndex(1), 0);
        assert!(progress.has_room(2, 150));
    }
}
