//! Heartbeat rounds and what they show of time: since when a leader is known to lead, and as of when a state is known
//! to hold everything (6.4 of the dissertation).
//!
//! No two nodes compare their clocks here. A leader knows when, on its own clock, a round began that a quorum has
//! answered. A follower is told, for each round, which of its answers the leader had seen when that round began, and
//! which round a quorum has answered; when it gave that answer it knows on its own clock. So the round began later than
//! that, and what the leader had committed since then holds all that was answered to clients before.

use std::collections::VecDeque;

use super::Raft;
use super::message::{Round, Standing};
use super::role::Role;
use crate::types::{LogIndex, Term, Time};

/// Rounds whose times are remembered at most.
const ROUNDS_MAX: usize = 256;

/// When rounds happened, the newest ones; later rounds happened later.
#[derive(Clone, Debug, Default)]
pub struct RoundTimes(VecDeque<(Round, Time)>);

impl RoundTimes {
    /// Notes when a round happened, unless it is noted already, or later ones are.
    pub(crate) fn note(&mut self, round: Round, time: Time) {
        let newer = self.0.back().is_none_or(|(newest, _)| *newest < round);
        // When it is full, what comes later counts as having happened earlier than it did: never the other way round.
        if newer && self.0.len() < ROUNDS_MAX {
            self.0.push_back((round, time));
        }
    }

    /// A moment at which this round had not happened yet, or at which it did: the latest that is known.
    pub(super) fn at(&self, round: Round) -> Option<Time> {
        self.0.iter().rev().find(|(noted, _)| *noted <= round).map(|(_, time)| *time)
    }

    /// Forgets what is older than what is known of this round.
    pub(super) fn forget_before(&mut self, round: Round) {
        while self.0.get(1).is_some_and(|(noted, _)| *noted <= round) {
            self.0.pop_front();
        }
    }
}

/// As of when a node's applied state holds everything, and what that is concluded from.
#[derive(Clone, Debug, Default)]
pub(super) struct Freshness {
    /// The state up to the commit index holds all that was answered to clients before this moment.
    as_of: Option<Time>,
    /// The same for a commit index that this node has not reached yet.
    pending: Option<(LogIndex, Time)>,
    /// Of which term the rounds below are.
    term: Term,
    /// When this node first answered each round.
    answered: RoundTimes,
    /// A moment before each round began.
    began_after: RoundTimes,
}

impl Freshness {
    /// As of when the state up to this commit index is known to hold everything.
    fn reach(&mut self, commit_index: LogIndex) {
        if let Some((index, as_of)) = self.pending
            && index <= commit_index
        {
            self.as_of = self.as_of.max(Some(as_of));
            self.pending = None;
        }
    }
}

impl Raft {
    /// A moment, on this node's clock, such that its state holds all that was answered to any client before it; none
    /// when nothing shows that.
    pub fn fresh_as_of(&self, now: Time) -> Option<Time> {
        match &self.role {
            Role::Leader(leader) if self.quorum() == 1 && self.commit_index >= leader.no_op => Some(now),
            _ => self.freshness.as_of,
        }
    }

    /// The newest round that a quorum has answered, the leader itself included.
    pub(super) fn confirmed_round(&self) -> Round {
        let Role::Leader(leader) = &self.role else { return 0 };
        let mut rounds: Vec<Round> = leader.followers.values().map(|progress| progress.round).collect();
        rounds.push(leader.round);
        rounds.sort_unstable_by(|a, b| b.cmp(a));
        rounds[self.quorum() - 1]
    }

    /// A leader begins a round.
    pub(super) fn begin_round(&mut self, now: Time) {
        let claims = self.claims_lease(now);
        let Role::Leader(leader) = &mut self.role else { return };
        leader.round += 1;
        leader.lease_from = claims.then(|| leader.lease_from.unwrap_or(leader.round));
        leader.sent.note(leader.round, now);
        for progress in leader.followers.values_mut() {
            progress.answered = progress.round;
        }
    }

    /// A leader concludes from the answers as of when its state holds everything: from the beginning of the newest
    /// round that a quorum has answered, once the no-op of its term is committed.
    pub(super) fn note_confirmed(&mut self) {
        let confirmed = self.confirmed_round();
        let commit_index = self.commit_index;
        let Role::Leader(leader) = &mut self.role else { return };
        leader.sent.forget_before(confirmed);
        leader.confirmed = if commit_index >= leader.no_op { confirmed } else { 0 };
        if leader.confirmed > 0 {
            self.freshness.as_of = self.freshness.as_of.max(leader.sent.at(confirmed));
        }
    }

    /// A follower concludes the same from what its leader says of a round. It answers that round now.
    pub(super) fn note_standing(&mut self, now: Time, round: Round, commit: LogIndex, standing: Standing) {
        let term = self.current_term;
        let freshness = &mut self.freshness;
        if freshness.term != term {
            let Freshness { as_of, pending, .. } = *freshness;
            *freshness = Freshness { as_of, pending, term, ..Freshness::default() };
        }
        freshness.reach(self.commit_index);
        if standing.answered > 0
            && let Some(before) = freshness.answered.at(standing.answered)
        {
            freshness.began_after.note(round, before);
            freshness.answered.forget_before(standing.answered);
        }
        if standing.confirmed > 0
            && let Some(as_of) = freshness.began_after.at(standing.confirmed)
        {
            // What waits to be reached is not put off by what comes later.
            freshness.pending = freshness.pending.or(Some((commit, as_of)));
            freshness.began_after.forget_before(standing.confirmed);
        }
        freshness.answered.note(round, now);
        freshness.reach(self.commit_index);
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
