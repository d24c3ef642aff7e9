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
use super::role::{Progress, Role};
use crate::types::{LogIndex, NODES_MAX, Term, Time};

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

/// As of when a node's applied state holds everything, and what that is concluded from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freshness {
    /// The state up to the commit index holds all that was answered to clients before this moment.
    pub as_of: Option<Time>,
    /// The same for a commit index that this node has not reached yet.
    pub pending: Option<(LogIndex, Time)>,
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
    pub(crate) fn confirmed_round(&self) -> Round {
        let Role::Leader(leader) = &self.role else { return 0 };
        let mut rounds = [0; NODES_MAX as usize];
        let count = leader.followers.len() + 1;
        let counted = |progress: &Progress| if progress.joining { 0 } else { progress.round };
        let all = leader.followers.values().map(counted).chain([leader.round]);
        rounds.iter_mut().zip(all).for_each(|(place, round)| *place = round);
        rounds[..count].sort_unstable_by(|a, b| b.cmp(a));
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
            progress.answered = progress.seen;
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
        // What an earlier life answered, this one cannot tell when.
        if standing.boot_id == self.boot_id
            && standing.answered > 0
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
    use crate::raft::Recovered;
    use crate::raft::effects::{Input, Proposal};
    use crate::raft::log::Content;
    use crate::raft::message::Message;
    use crate::types::{ClientId, NodeId, Random};

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

    fn step(raft: &mut Raft, now: Time, mut inputs: Vec<Input>) -> Vec<Message> {
        let mut out = Vec::new();
        loop {
            let mut effects = raft.step(now, &mut inputs);
            out.append(&mut effects.messages);
            let Some(write) = effects.write.take() else { return out };
            out.extend(write.then);
            inputs = vec![Input::Persisted(write.id)];
        }
    }

    fn deliver(nodes: &mut [Raft], now: Time, first: Vec<Message>, held: &mut Option<Vec<Message>>) {
        let mut queue = VecDeque::from(first);
        while let Some(message) = queue.pop_front() {
            if let Some(held) = held.as_mut()
                && message.to == NodeId::new(2)
            {
                held.push(message);
                continue;
            }
            let at = usize::from(message.to.number()) - 1;
            queue.extend(step(&mut nodes[at], now, vec![Input::Message(message)]));
        }
    }

    #[test]
    fn what_an_earlier_life_answered_says_nothing_of_this_one() {
        let ms = |ms: u64| Time::from_nanos(ms * 1_000_000);
        let settings = crate::config::RaftSettings::default();
        let members = NodeId::first(3);
        let mut nodes: Vec<Raft> = members
            .iter()
            .map(|id| {
                Raft::new(
                    *id,
                    members.clone(),
                    settings.clone(),
                    Recovered::default(),
                    Random::new(u64::from(id.number())),
                    Time::ZERO,
                )
            })
            .collect();
        let first = step(&mut nodes[0], ms(1), vec![Input::Campaign]);
        deliver(&mut nodes, ms(1), first, &mut None);
        let mut late = None;
        for beat in 1..=5 {
            let now = ms(1 + 50 * beat);
            let out = step(&mut nodes[0], now, vec![]);
            if beat == 2 {
                // One heartbeat that the network is slow with; later ones overtake it.
                late = out.iter().find(|m| m.to == NodeId::new(2)).cloned();
                let out = out.into_iter().filter(|m| m.to != NodeId::new(2)).collect();
                deliver(&mut nodes, now, out, &mut None);
            } else {
                deliver(&mut nodes, now, out, &mut None);
            }
        }
        // From now on what goes to n2 is slow too.
        let mut held = Some(Vec::new());
        for beat in 6..=7 {
            let now = ms(1 + 50 * beat);
            let out = step(&mut nodes[0], now, vec![]);
            deliver(&mut nodes, now, out, &mut held);
        }
        let held_then = held.take().expect("held");
        // A write is committed by n1 and n3, and answered, at 360 ms.
        let mut dropped = Some(Vec::new());
        let content = Content::Open { client: ClientId(1), sessions_max: 9 };
        let out = step(&mut nodes[0], ms(360), vec![Input::Propose(Proposal { id: 1, content })]);
        deliver(&mut nodes, ms(360), out, &mut dropped);
        let written = nodes[0].commit_index();
        // n2 crashes and starts again at 370 ms.
        let old = &nodes[1];
        let hard_state = old.hard_state();
        let entries: Vec<_> = old.log().range(LogIndex(1), old.log().last().index).cloned().collect();
        let recovered = Recovered { hard_state, entries, ..Recovered::default() };
        let mut again = Raft::new(NodeId::new(2), members, settings, recovered, Random::new(77), ms(370));
        // Then the slow messages arrive, in the order in which they were sent.
        let late = late.expect("a late heartbeat");
        for message in [late].into_iter().chain(held_then) {
            step(&mut again, ms(380), vec![Input::Message(message)]);
        }
        let as_of = again.fresh_as_of(ms(381));
        assert!(
            as_of.is_none_or(|as_of| as_of <= ms(360)) || again.commit_index() >= written,
            "a stale read at n2 claims to hold a write that it lacks"
        );
    }
}
