//! The roles of Figure 4, each with the data that only it has, and what a leader knows of a follower.
//!
//! A role that ends takes its data with it: no stale vote or match index can outlive it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::effects::{Proposal, RequestId, StoreId};
use super::message::{BootId, ReadNumber, Round};
use super::rounds::RoundTimes;
use crate::types::{EntryId, LogIndex, NodeId, Time};

/// What a node is at the moment.
#[derive(Clone, Debug)]
pub enum Role {
    /// Answers leaders and candidates (5.2).
    Follower(Follower),
    /// Asks whether an election would succeed (9.6). Its term has not changed yet.
    PreCandidate(PreVotes),
    /// Seeks election in its current term (5.2).
    Candidate(Votes),
    /// Serves clients and replicates its log (5.3).
    Leader(Leader),
}

/// The volatile state of a follower.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Follower {
    /// The leader it follows and when it was last heard; none while in doubt.
    pub leader: Option<(NodeId, Time)>,
}

/// Votes for one node, in one term.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Votes {
    /// Who said yes. A set: a vote that arrives twice counts once.
    pub granted: BTreeSet<NodeId>,
}

/// Pre-votes for one node, for the term after its own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PreVotes {
    /// Who would vote for it.
    pub granted: BTreeSet<NodeId>,
    /// The votes of its own term, if it was a candidate there. They count until another term begins: on slow disks votes
    /// take longer than election timeouts.
    pub votes: Option<Votes>,
}

/// The volatile state of a leader (Figure 2), made anew at each election.
#[derive(Clone, Debug)]
pub struct Leader {
    /// What is known of each other member.
    pub followers: BTreeMap<NodeId, Progress>,
    /// The no-op that opened the term: once it is committed, everything before it is.
    pub no_op: LogIndex,
    /// The newest heartbeat round.
    pub round: Round,
    /// When the next round begins.
    pub heartbeat_due: Time,
    /// Commands that wait to be appended together.
    pub gathered: Vec<Proposal>,
    /// When the gathered commands are appended; set by the first of them.
    pub gather_until: Time,
    /// Bytes of the entries that are in the log but not committed.
    pub uncommitted_bytes: usize,
    /// Reads that wait for a quorum to answer a round, in the order of their rounds.
    pub reads: VecDeque<WaitingRead>,
    /// Reads came in that no round has been begun for.
    pub round_wanted: bool,
    /// When rounds began.
    pub sent: RoundTimes,
    /// The newest round that a quorum has answered; zero until the no-op is committed too.
    pub confirmed: Round,
    /// Rounds that begin before this moment claim a lease.
    pub lease_wanted_until: Time,
    /// The commit index when the newest round began: who holds this much has caught up.
    pub caught_up: LogIndex,
    /// The first of the newest rounds that all claim a lease; none when the newest one does not.
    pub lease_from: Option<Round>,
}

/// A read that waits until its node is known to have led after it began (6.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitingRead {
    /// Who waits for it.
    pub asker: Asker,
    /// A quorum must answer this round or a later one.
    pub round: Round,
    /// The state machine must have applied up to here.
    pub index: LogIndex,
}

/// Who waits for a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A client of this node; the server's number for its request.
    Client(RequestId),
    /// A follower with reads of its own, and its number for the question.
    Node(NodeId, ReadNumber),
}

/// What a leader knows of one follower.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The next entry to send (Figure 2, `nextIndex`). Always above `match_index`.
    pub next_index: LogIndex,
    /// The follower's durable log equals the leader's up to here (Figure 2, `matchIndex`).
    pub match_index: LogIndex,
    /// The leader's newest round when it learned that.
    pub matched_in: Round,
    /// How entries are sent to it.
    pub state: ProgressState,
    /// When it last answered in this term.
    pub heard: Time,
    /// How long it took to acknowledge the last entry of those that the leader's own disk owed at that moment.
    pub lag: Duration,
    /// The newest round it answered.
    pub round: Round,
    /// The life of the follower that answered last, and the newest round that this life answered.
    pub seen: (BootId, Round),
    /// The same when the leader's newest round began.
    pub answered: (BootId, Round),
    /// Its files, by what its last answer said; zero before the first.
    pub store_id: StoreId,
    /// It lost its files and is not readmitted: it counts for no quorum.
    pub joining: bool,
    /// The entry of this term that readmits it.
    pub readmitted_by: Option<LogIndex>,
}

/// How entries are sent to a follower.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    Snapshot(Transfer),
}

/// A snapshot on its way to a follower.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// The last entry that it covers.
    pub last: EntryId,
    /// Where the part begins that the follower needs next.
    pub offset: u64,
    /// What becomes of that part.
    pub sending: Sending,
    /// How often what arrived was unusable.
    pub failures: u32,
}

/// Where the part of a snapshot is that a follower needs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sending {
    /// It is being read.
    Read,
    /// It was sent when this was the newest round.
    Sent {
        /// The round.
        round: Round,
    },
    /// It was sent, and is being read to be sent again. The answer may still come.
    ReadAgain,
    /// What arrived was unusable: whether the leader's own file is whole is being checked.
    Checked {
        /// Not before this moment the snapshot is sent again.
        until: Time,
    },
    /// The snapshot is sent from its beginning, but not before this moment.
    Postponed {
        /// The moment.
        until: Time,
    },
}

impl Transfer {
    /// The follower needs the part that begins here. False when the answer is old.
    pub fn goes_on_at(&mut self, next: u64) -> bool {
        // Who needs the first part has nothing: it crashed, or what it had received was damaged.
        let news = next > self.offset || next == 0 && self.offset > 0;
        let goes_on = news && self.was_sent();
        if goes_on {
            (self.offset, self.sending) = (next, Sending::Read);
        }
        goes_on
    }

    /// An answer to the part may come.
    pub fn was_sent(&self) -> bool {
        matches!(self.sending, Sending::Sent { .. } | Sending::ReadAgain)
    }

    /// Nothing of it was used: it begins again, not before this moment, with the newest snapshot.
    pub fn postpone(&mut self, newest: EntryId, until: Time) {
        let last = if newest.index > self.last.index { newest } else { self.last };
        *self = Transfer { last, offset: 0, sending: Sending::Postponed { until }, ..*self };
    }
}

impl Progress {
    /// What a new leader assumes: the follower's log ends as its own does.
    pub fn new(next_index: LogIndex, now: Time) -> Progress {
        Progress {
            next_index,
            match_index: LogIndex(0),
            matched_in: 0,
            state: ProgressState::Probe { waiting: false },
            heard: now,
            lag: Duration::ZERO,
            round: 0,
            seen: (0, 0),
            answered: (0, 0),
            store_id: 0,
            joining: false,
            readmitted_by: None,
        }
    }

    /// This life of the follower answered this round.
    pub fn note_answer(&mut self, boot_id: BootId, round: Round) {
        self.seen = if self.seen.0 == boot_id { (boot_id, self.seen.1.max(round)) } else { (boot_id, round) };
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

    /// The follower's log equals the leader's up to `index`, as the leader learned while `newest` was its newest round.
    /// An old answer changes nothing. True when `match_index` moved.
    pub fn matched(&mut self, index: LogIndex, newest: Round) -> bool {
        let moved = index > self.match_index;
        if moved {
            (self.match_index, self.matched_in) = (index, newest);
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

    /// The follower refused an AppendEntries whose previous index was `rejected`; `hint` is where to try next.
    /// False when the answer is old and says nothing about now.
    pub fn refused(&mut self, rejected: LogIndex, hint: LogIndex) -> bool {
        let current = match self.state {
            ProgressState::Probe { .. } => rejected.next() == self.next_index,
            ProgressState::Replicate { .. } => rejected < self.next_index,
            ProgressState::Snapshot(_) => false,
        };
        if !current || rejected <= self.match_index {
            return false;
        }
        // What matched once is durable there: never below it, whatever the hint says.
        self.next_index = hint.clamp(self.match_index.next(), rejected);
        self.state = ProgressState::Probe { waiting: false };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating(match_index: u64, next_index: u64) -> Progress {
        let mut progress = Progress::new(LogIndex(match_index + 1), Time::ZERO);
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
        assert!(!progress.refused(LogIndex(4), LogIndex(2)), "what matched once cannot be refused now");
        assert_eq!((progress.match_index, progress.next_index), (LogIndex(5), LogIndex(9)));
    }

    #[test]
    fn a_hint_never_leads_below_what_matched() {
        let mut progress = replicating(5, 9);
        assert!(progress.refused(LogIndex(8), LogIndex(1)));
        assert_eq!(progress.next_index, LogIndex(6));
        assert!(!progress.refused(LogIndex(8), LogIndex(1)), "the same refusal again is old");
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
