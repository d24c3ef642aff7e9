//! Leases: reads without a round, on request (6.4.1 of the dissertation). The one rule that depends on clocks.
//!
//! A follower that answers a round which claims a lease promises its vote to nobody, not even to itself and not even in
//! an election that was ordered, until the shortest election timeout has passed on its own clock. A leader whose round a
//! quorum has answered therefore knows that nobody can be elected until then, counted from when the round *began*, and
//! answers reads at once meanwhile. How much faster a follower's clock may run than its leader's is a setting,
//! `clock_drift_percent`; a clock that breaks this bound can make such a read stale, and nothing else.
//!
//! - Rounds claim a lease only for a while after a read wanted one, so that ordered elections are held up by nothing
//!   else; and never when no quorum answers, so that the one follower which hears such a leader is free to vote. This
//!   holds with check-quorum and without.
//! - A promise outlives its term, and its node's crash: the disk holds that a node ever made one, and then it keeps the
//!   latest that it can have made before it started again. A node that was wiped forgets this with all else.
//! - A node that is ordered to campaign while it is bound renews its promise no more, and campaigns when it ends.

use super::Raft;
use super::event::Event;
use super::role::Role;
use crate::types::Time;

/// How many of the longest election timeouts leases are claimed for after a read wanted one.
const CLAIMED_TIMEOUTS: u32 = 4;

/// A follower's promise to vote for nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Promise {
    /// It holds before this moment.
    pub until: Time,
    /// An election was ordered meanwhile, and begins when it ends.
    pub campaign: bool,
    /// One was made at some time, in this life or an earlier one. Durable before the answer that makes it leaves.
    pub ever: bool,
}

impl Promise {
    /// What a node that starts keeps: if it ever made a promise, the latest that it can have made.
    pub fn recovered(ever: bool, latest: Time) -> Promise {
        Promise { until: if ever { latest } else { Time::ZERO }, campaign: false, ever }
    }
}

/// The leader's side.
impl Raft {
    /// Until when this leader may answer reads at once; none when it holds no lease.
    pub fn lease_until(&self) -> Option<Time> {
        let Role::Leader(leader) = &self.role else { return None };
        if self.commit_index < leader.no_op {
            return None;
        }
        if self.quorum() == 1 {
            return Some(Time::NEVER);
        }
        let confirmed = self.confirmed_round();
        leader.lease_from.filter(|from| *from <= confirmed)?;
        let began = leader.sent.at(confirmed)?;
        Some(began + self.settings.lease())
    }

    /// Answers a read by the lease, if it holds. Otherwise the next round claims one.
    pub(super) fn read_by_lease(&mut self, now: Time) -> bool {
        let held = self.lease_until().filter(|until| now < *until);
        let wanted_until = now + self.settings.election_max * CLAIMED_TIMEOUTS;
        if let Role::Leader(leader) = &mut self.role {
            leader.lease_wanted_until = wanted_until;
        }
        if let Some(until) = held {
            let left = (until < Time::NEVER).then(|| until.since(now));
            self.effects.events.push(Event::LeaseRead { left });
        }
        held.is_some()
    }

    /// Whether a round that begins now claims a lease.
    pub(super) fn claims_lease(&self, now: Time) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let answered = self.quorum_heard(leader) + self.settings.election_max;
        now < leader.lease_wanted_until && now < answered
    }
}

/// The follower's side.
impl Raft {
    /// Whether this node has promised its vote to nobody.
    pub(super) fn is_bound(&self, now: Time) -> bool {
        now < self.promise.until
    }

    /// Answers a round that claims a lease. False when no promise is made any more: the answer confirms no round then.
    pub(super) fn promise(&mut self, now: Time) -> bool {
        if self.promise.campaign {
            return false;
        }
        self.promise.until = self.promise.until.max(now + self.settings.election_min);
        self.promise.ever = true;
        true
    }

    /// An election was ordered that must wait for the end of the promise.
    pub(super) fn hold_campaign_back(&mut self, now: Time) {
        self.promise.campaign = true;
        let left = self.promise.until.since(now);
        self.effects.events.push(Event::ElectionHeldBack { left });
    }

    /// The promise may have ended: an election that was held back begins, and a timer that ran out waits no longer.
    /// False when there is nothing to wait for and the timer has its say.
    pub(super) fn mind_promise(&mut self, now: Time) -> bool {
        if self.is_bound(now) {
            self.election_due = self.election_due.max(self.promise.until);
            return true;
        }
        let ordered = std::mem::take(&mut self.promise.campaign);
        if ordered && !self.joining {
            self.become_candidate(now, true);
        }
        ordered
    }
}
