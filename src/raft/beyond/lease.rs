//! Leases: reads without a round, on request (D 6.4.1). The one rule that depends on clocks.
//!
//! A follower that answers a round which claims a lease promises to withhold its vote, from itself too and also in an
//! election on request, until the shortest election timeout has passed on its own clock: the leader's, which the claim
//! carries. A leader whose round a quorum has answered therefore knows that no other can be elected until then, counted from when the round *began*,
//! and answers reads at once meanwhile. How much faster a follower's clock may run than its leader's is a setting,
//! `clock_drift_percent`; a clock that breaks this bound can make such a read stale, and nothing else.
//!
//! - Rounds claim a lease only for a while after a read wanted one, so that elections on request wait for nothing
//!   else; and never when no quorum answers, so that the one follower which hears such a leader is free to vote. This
//!   holds with check-quorum and without.
//! - Settings may change while a cluster runs, at each node at another moment. So a claim says for how long it wants the
//!   promise, and a leader whose settings change begins with new claims (`configuring`).
//! - A promise outlives its term, and its node's crash: the disk holds that a node ever made one, and then it keeps the
//!   latest that it can have made before it started again. A node that was wiped forgets this with all else.
//! - A node that is asked to campaign while it withholds its vote renews the promise no more, and campaigns when it ends.
//! - A leader whose clock may have stood still, while its machine slept, forgets which rounds have claimed a lease: it counts
//!   only rounds that begin later. It notices this at its next step, by the machine's other clock, which someone may have set:
//!   a defence, and no proof. The promises of others last all the longer, which does no harm.
//! - A leader that hands over claims no lease and waives those that it held (`transfer`): the votes for its successor are free at
//!   once, where they were withheld for its sake alone.

use std::time::Duration;

use crate::raft::Raft;
use crate::raft::event::Event;
use crate::raft::message::{Cause, Round, Waiver};
use crate::raft::role::Role;
use crate::types::{RequestId, Term, Time};

/// How many of the longest election timeouts leases are claimed for after a read wanted one.
const CLAIMED_TIMEOUTS: u32 = 4;

/// Until when a node withholds its vote, for a leader's lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct VoteHold {
    /// The vote is withheld before this moment.
    pub until: Time,
    /// The newest round that it is withheld for, and the term of its leader.
    round: (Term, Round),
    /// Without the rounds of that term it would be withheld before this moment.
    until_without: Time,
    /// An election was requested meanwhile, and begins then.
    pub campaign_waits: bool,
    /// A vote was withheld at some time, in this run or an earlier one. Durable before the answer that promises it
    /// leaves.
    pub ever: bool,
}

impl VoteHold {
    /// What a node that starts keeps: if it ever promised to withhold its vote, the latest that it can have promised.
    pub fn recovered(ever: bool, latest: Time) -> VoteHold {
        let until = if ever { latest } else { Time::ZERO };
        VoteHold { until, until_without: until, ever, ..VoteHold::default() }
    }

    pub(in crate::raft) fn campaign_due(&self) -> Time {
        if self.campaign_waits { self.until } else { Time::NEVER }
    }
}

impl Raft {
    /// Until when this leader may answer reads at once; none when it holds no lease.
    pub fn lease_until(&self) -> Option<Time> {
        let Role::Leader(leader) = &self.role else { return None };
        if self.commit_index < leader.no_op {
            return None;
        }
        if self.is_alone() {
            return Some(Time::NEVER);
        }
        let confirmed = self.confirmed_round();
        leader.rounds.lease_from.filter(|from| *from <= confirmed)?;
        let began = leader.rounds.began.at(confirmed)?;
        Some(began + self.settings.lease())
    }

    /// Until when this leader holds a lease, if it does. Rounds claim one for a while from now.
    pub(super) fn want_lease(&mut self, now: Time) -> Option<Time> {
        let held = self.lease_until().filter(|until| now < *until);
        if let Role::Leader(leader) = &mut self.role {
            leader.rounds.lease_wanted_until = now + self.settings.election_max * CLAIMED_TIMEOUTS;
        }
        held
    }

    /// Answers a read by the lease, which holds until then.
    pub(super) fn read_by_lease(&mut self, now: Time, until: Time, id: RequestId) {
        let left = (until < Time::NEVER).then(|| until.since(now));
        self.note(Event::LeaseRead { left });
        self.effects.reads.push((id, Ok(self.commit_index)));
    }

    /// This node's clock may have stood still for this long.
    pub(in crate::raft) fn renounce_lease(&mut self, by: Duration) {
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.rounds.lease_from.take().is_some() {
            self.note(Event::LeaseRenounced { by });
        }
    }

    /// Whether a round that begins now claims a lease.
    pub(super) fn claims_lease(&self, now: Time) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        !self.hands_over() && now < leader.rounds.lease_wanted_until && now < self.quorum_silent_at(leader)
    }
}

impl Raft {
    /// Whether this node withholds its vote for a leader's lease.
    pub(super) fn is_vote_on_hold(&self, now: Time) -> bool {
        now < self.beyond.vote_hold.until
    }

    /// Promises to withhold the vote, in answer to a round that claims a lease. False when nothing is promised any more:
    /// the answer confirms no round then.
    pub(super) fn hold_vote(&mut self, now: Time, round: Round, claimed: Duration) -> bool {
        let hold = &mut self.beyond.vote_hold;
        if !hold.campaign_waits {
            if hold.round.0 != self.current_term {
                hold.until_without = hold.until;
            }
            hold.round = hold.round.max((self.current_term, round));
            hold.until = hold.until.max(now + claimed);
            hold.ever = true;
        }
        !hold.campaign_waits
    }

    /// A leader waived the leases of its rounds up to one. What was promised for a later round, to another leader, or
    /// before this node started, holds.
    pub(super) fn free_vote(&mut self, waiver: Waiver) {
        let hold = &mut self.beyond.vote_hold;
        if hold.round.0 == waiver.term && hold.round.1 <= waiver.round {
            hold.until = hold.until.min(hold.until_without);
        }
    }

    /// An election was requested that must wait until the vote is free.
    pub(super) fn delay_campaign(&mut self, now: Time) {
        let hold = &mut self.beyond.vote_hold;
        hold.campaign_waits = true;
        let left = hold.until.since(now);
        self.note(Event::ElectionHeldBack { left });
    }

    /// Whether the lease decides instead of the election timer: the vote is on hold, or was, and an election that waited
    /// for its end begins.
    pub(super) fn handle_lease_hold(&mut self, now: Time) -> bool {
        if self.is_vote_on_hold(now) {
            self.election_due = self.election_due.max(self.beyond.vote_hold.until);
            return true;
        }
        let campaigns = std::mem::take(&mut self.beyond.vote_hold.campaign_waits);
        if campaigns && self.may_campaign() {
            self.become_candidate(now, Cause::Request);
        }
        campaigns
    }
}

#[cfg(test)]
mod tests {
    use crate::config::RaftSettings;
    use crate::raft::Recovered;
    use crate::raft::bench::Bench;
    use crate::raft::beyond::rounds::ReadRequest;
    use crate::raft::effects::Input;

    use super::*;

    #[test]
    fn of_the_reads_of_a_step_a_lease_answers_those_that_may_use_one() {
        let mut bench = Bench::leader(&RaftSettings::default(), Recovered::default());
        let read = |id, by_lease| Input::Read(ReadRequest { id, here: false, by_lease });
        bench.confirm();
        assert!(bench.step(read(1, true)).reads.is_empty(), "no round has claimed a lease");
        bench.confirm();
        let said = bench.step_all(vec![read(2, true), read(3, false), read(4, true)]);
        assert_eq!(said.reads, [2, 4]);
        let jumped = Input::ClockJumped(Duration::from_secs(60));
        let said = bench.step_all(vec![read(5, true), jumped]);
        assert!(said.reads.is_empty(), "the clock stood still before it was read");
    }
}
