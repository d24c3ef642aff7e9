//! A leader's rounds of heartbeats. A round that a quorum has answered shows that the leader still led when the round
//! *began*: reads (D 6.4), leases (D 6.4.1) and the freshness of states rest on that.

use std::collections::VecDeque;
use std::time::Duration;

use super::message::{Ack, BootId, ReadNumber, Round};
use crate::raft::membership::led::Departure;
use crate::types::{LogIndex, Member, RequestId, StoreId, Time};

/// Rounds whose times are remembered at most.
const ROUNDS_MAX: usize = 256;

/// A leader's rounds, and what waits for them.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Rounds {
    /// The newest round; zero before the first.
    pub newest: Round,
    pub began: RoundTimes,
    /// The newest round that a quorum has answered; zero until the no-op is committed too.
    pub confirmed_in_term: Round,
    /// Reads that wait for a quorum to answer a round, in the order of their rounds.
    pub reads: VecDeque<WaitingRead>,
    /// Reads are waiting for a round that has not started.
    pub wanted: bool,
    /// Rounds that begin before this moment claim a lease.
    pub lease_wanted_until: Time,
    /// The first of the newest rounds that all claim a lease; none when the newest one does not.
    pub lease_from: Option<Round>,
    /// The commit index when the newest round of heartbeats began: a node that holds this much has caught up.
    pub caught_up: LogIndex,
}

/// A client's question on its way to the state machine; what is asked is the server's business.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct ReadRequest {
    pub id: RequestId,
    /// The client wants the answer of this node, also if it does not lead: it then asks its leader for the read index.
    pub here: bool,
    /// A leader that holds a lease may answer at once (D 6.4.1).
    pub by_lease: bool,
}

/// A read that waits until its node is known to have led after it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct WaitingRead {
    pub asker: Asker,
    /// A quorum must answer this round or a later one.
    pub round: Round,
    /// The state machine must have applied up to here.
    pub index: LogIndex,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Asker {
    /// A client of this node; the server's number for its request.
    Client(RequestId),
    /// A follower with reads of its own, and its number for the question.
    Node(Member, ReadNumber),
}

/// What a leader knows of a follower beyond Figure 2, from its answers.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Answers {
    /// Its silence is counted from here: its last answer in this term, or the beginning of the term, or the last change of
    /// the settings, whichever was latest.
    pub heard: Time,
    pub round: Round,
    /// The boot that answered last, and the newest round that this boot answered.
    pub seen: (BootId, Round),
    /// What `seen` was when the leader's newest round began.
    pub seen_before: (BootId, Round),
    /// Its last real answer in this term; none before the first.
    pub answered: Option<Time>,
    /// Its files: those that answered last; before that, those that the configuration names.
    pub store_id: StoreId,
    /// Its files lost what they acknowledged: it is told to take them for new ones, and has not heard it yet.
    pub rejoins: bool,
    /// It is left out by a committed configuration, and is sent entries until it knows.
    pub leaves: Option<Departure>,
    /// The leader's newest round when it learned the follower's `match_index`.
    pub matched_in: Round,
    /// How long it took to acknowledge the last entry of those that the leader's own disk owed at that moment.
    pub lag: Duration,
}

impl Answers {
    pub(super) fn note(&mut self, ack: Ack) {
        if ack.round > 0 {
            let before = if self.seen.0 == ack.boot_id { self.seen.1 } else { 0 };
            self.seen = (ack.boot_id, before.max(ack.round));
            self.round = self.round.max(ack.round);
        }
    }
}

/// When rounds happened, the newest ones; later rounds happened later.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct RoundTimes(VecDeque<(Round, Time)>);

impl RoundTimes {
    /// Notes when a round happened, unless it is noted already, or later ones are.
    pub(crate) fn note(&mut self, round: Round, time: Time) {
        let newer = self.0.back().is_none_or(|(newest, _)| *newest < round);
        // When it is full, later rounds get the time of an earlier one, which is the safe direction.
        if newer && self.0.len() < ROUNDS_MAX {
            self.0.push_back((round, time));
        }
    }

    /// The latest known time that is not after this round.
    pub(crate) fn at(&self, round: Round) -> Option<Time> {
        self.0.iter().rev().find(|(noted, _)| *noted <= round).map(|(_, time)| *time)
    }

    /// Forgets what is older than what is known of this round.
    pub(super) fn forget_before(&mut self, round: Round) {
        while self.0.get(1).is_some_and(|(noted, _)| *noted <= round) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn what_is_not_noted_is_taken_for_older_than_it_is() {
        let mut times = RoundTimes::default();
        assert_eq!(times.at(5), None);
        for (round, nanos) in [(2, 20), (4, 40), (4, 41), (3, 42), (6, 60)] {
            times.note(round, at(nanos));
        }
        assert_eq!(
            [1, 2, 3, 4, 5, 9].map(|round| times.at(round)),
            [None, Some(at(20)), Some(at(20)), Some(at(40)), Some(at(40)), Some(at(60))]
        );
        times.forget_before(5);
        assert_eq!(
            [3, 4, 5, 6].map(|round| times.at(round)),
            [None, Some(at(40)), Some(at(40)), Some(at(60))]
        );
    }

    #[test]
    fn the_times_of_rounds_are_bounded() {
        let mut times = RoundTimes::default();
        for round in 1..=10 * ROUNDS_MAX as u64 {
            times.note(round, at(round));
        }
        assert_eq!(times.0.len(), ROUNDS_MAX);
        assert_eq!(times.at(Round::MAX), Some(at(ROUNDS_MAX as u64)));
    }
}
