//! How fresh a node's state is known to be: a moment such that the state holds everything that was answered before it
//! (D 6.4).
//!
//! No two nodes compare their clocks here. A leader knows when, on its own clock, a round began that a quorum has
//! answered. A follower is told, for each round, which of its answers the leader had seen when that round began, and
//! which round a quorum has answered; when it gave that answer it knows on its own clock. So the round began later than
//! that, and what the leader had committed since then holds all that was answered to clients before.
//!
//! An example. n3 answers round 7 at 10.0 s on its own clock. Round 8 begins when the leader has seen this answer, and
//! says so: round 8 began after 10.0 s. A later round says that a quorum has answered round 8, with a commit index of 40:
//! when n3 has applied entry 40, its state holds all that was answered to any client before 10.0 s.

use super::message::Beat;
use super::rounds::RoundTimes;
use crate::raft::Raft;
use crate::raft::role::Role;
use crate::types::{LogIndex, Term, Time};

/// How fresh the applied state is known to be, and what that is concluded from.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Freshness {
    /// The state up to the commit index holds all that was answered to clients before this moment.
    pub as_of: Option<Time>,
    /// The same for a commit index that this node has not reached yet.
    pub pending: Option<(LogIndex, Time)>,
    term: Term,
    /// When this node first answered each round.
    answered: RoundTimes,
    began_after: RoundTimes,
}

impl Freshness {
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
            Role::Leader(leader) if self.is_alone() && self.commit_index >= leader.no_op => Some(now),
            _ => self.beyond.freshness.as_of,
        }
    }

    /// A leader concludes from the answers how fresh its state is: as of the beginning of the newest round that a quorum
    /// has answered, once the no-op of its term is committed.
    pub(in crate::raft) fn note_confirmed(&mut self) {
        let own = self.member();
        let Role::Leader(leader) = &mut self.role else { return };
        // That a quorum has answered it stays true when the members change. Leases do not rest on this number.
        if leader.rounds.confirmed_in_term == leader.rounds.newest {
            return;
        }
        let confirmed = leader.confirmed_round(self.configurations.effective(), own);
        let rounds = &mut leader.rounds;
        rounds.began.forget_before(confirmed);
        rounds.confirmed_in_term = if self.commit_index >= leader.no_op { confirmed } else { 0 };
        if rounds.confirmed_in_term > 0 {
            let as_of = &mut self.beyond.freshness.as_of;
            *as_of = (*as_of).max(rounds.began.at(confirmed));
        }
    }

    /// A follower concludes the same from what its leader says of a round. It answers that round now.
    pub(super) fn note_beat(&mut self, now: Time, commit: LogIndex, beat: Beat) {
        let term = self.current_term;
        let freshness = &mut self.beyond.freshness;
        if freshness.term != term {
            let Freshness { as_of, pending, .. } = *freshness;
            *freshness = Freshness { as_of, pending, term, ..Freshness::default() };
        }
        freshness.reach(self.commit_index);
        // This boot does not know when an earlier boot answered.
        if beat.boot_id == self.beyond.boot_id
            && beat.answered > 0
            && let Some(before) = freshness.answered.at(beat.answered)
        {
            freshness.began_after.note(beat.round, before);
            freshness.answered.forget_before(beat.answered);
        }
        if beat.confirmed > 0
            && let Some(as_of) = freshness.began_after.at(beat.confirmed)
        {
            // The older pending bound stays: newer ones must not postpone it.
            freshness.pending = freshness.pending.or(Some((commit, as_of)));
            freshness.began_after.forget_before(beat.confirmed);
        }
        freshness.answered.note(beat.round, now);
        freshness.reach(self.commit_index);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::raft::Recovered;
    use crate::raft::bench::founder_of_three;
    use crate::raft::effects::{Input, Proposal};
    use crate::raft::entry::Content;
    use crate::raft::message::Message;
    use crate::types::{ClientId, NodeId, Random};

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
    fn what_an_earlier_boot_answered_says_nothing_of_this_one() {
        let ms = |ms: u64| Time::from_nanos(ms * 1_000_000);
        let settings = crate::config::RaftSettings::default();
        let members = NodeId::first(3);
        let mut nodes: Vec<Raft> = members
            .iter()
            .map(|id| {
                Raft::new(
                    *id,
                    settings.clone(),
                    founder_of_three(Recovered::default()),
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
        let recovered = founder_of_three(Recovered { hard_state, entries, ..Recovered::default() });
        let mut again = Raft::new(NodeId::new(2), settings, recovered, Random::new(77), ms(370));
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
