//! Settings that change while a node runs. Each node of a cluster changes at a moment of its own, so nothing that is safe
//! may depend on two nodes having the same settings.
//!
//! - **Timers.** A timer that runs is shortened to the new settings, never made longer; the next one is set by them. So a
//!   leader that is told of longer heartbeats speaks once more by the old ones, by which its followers still
//!   count; and after a change to shorter timeouts it speaks before any of them runs out.
//! - **Check-quorum.** A leader counts the silence of its followers from the change on at most: by long heartbeats they may
//!   have been silent for longer than a short timeout allows.
//! - **Leases**, the one matter of safety. How long a leader may answer by its lease and how long its followers withhold
//!   their votes must not come from two nodes' settings. So a round's claim carries its length, a follower promises that,
//!   and a leader that changes forgets which rounds have claimed a lease: it counts only promises of the length that it
//!   reckons with, given to rounds that begin later. What was promised before is kept for as long as it was promised for.
//!   A node that starts withholds its vote by the settings that it starts with: a driver tells the nodes that run before it
//!   starts one by shorter timeouts, so that no leader counts by longer ones then.

use super::super::Raft;
use super::super::role::Role;
use crate::config::RaftSettings;
use crate::types::Time;

impl Raft {
    /// Runs with these settings from now on.
    pub(in crate::raft) fn configure(&mut self, now: Time, settings: RaftSettings) {
        self.settings = settings;
        let settings = &self.settings;
        if let Role::Leader(leader) = &mut self.role {
            leader.heartbeat_due = leader.heartbeat_due.min(now + settings.heartbeat);
            leader.gather_until = leader.gather_until.min(now + settings.batch_window);
            leader.rounds.lease_from = None;
            for progress in leader.followers.values_mut() {
                progress.answers.heard = progress.answers.heard.max(now);
            }
        } else {
            let timeout = self.random.duration(settings.election_min, settings.election_max);
            self.election_due = self.election_due.min(now + timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::raft::Recovered;
    use crate::raft::bench::Bench;
    use crate::raft::effects::{Input, ReadRequest};
    use crate::raft::message::{Beat, Body};
    use crate::types::{EntryId, LogIndex};

    fn long() -> RaftSettings {
        let (election_min, election_max) = (Duration::from_secs(2), Duration::from_secs(4));
        RaftSettings { election_min, election_max, ..RaftSettings::default() }
    }

    fn configure(settings: RaftSettings) -> Input {
        Input::Configure(Box::new(settings))
    }

    #[test]
    fn a_follower_promises_for_as_long_as_the_claim_says() {
        let mut bench = Bench::follower(1, &RaftSettings::default(), Recovered::default());
        let claimed = Duration::from_secs(2);
        let beat = Beat { round: 1, lease: Some(claimed), ..Beat::default() };
        let (prev, commit) = (EntryId::ZERO, LogIndex(0));
        bench.hear(2, 1, Body::AppendEntries { prev, entries: Vec::new(), commit, beat });
        assert!(claimed > bench.raft.settings.election_max, "its own timeouts are shorter");
        assert_eq!(bench.raft.beyond.vote_hold.until, bench.now + claimed);
        bench.step(configure(RaftSettings::default()));
        assert_eq!(bench.raft.beyond.vote_hold.until, bench.now + claimed, "a promise holds");
    }

    #[test]
    fn a_leader_counts_no_promise_that_was_given_under_other_settings() {
        let mut bench = Bench::leader(&RaftSettings::default(), Recovered::default());
        bench.confirm();
        bench.step(Input::Read(ReadRequest { id: 1, here: false, by_lease: true }));
        bench.confirm();
        let lease = |bench: &Bench| bench.raft.lease_until().map(|until| until.since(bench.now));
        assert_eq!(lease(&bench), Some(RaftSettings::default().lease()));
        bench.step(configure(long()));
        assert_eq!(lease(&bench), None);
        bench.confirm();
        assert_eq!(lease(&bench), Some(long().lease()), "a round that began later claims the new length");
    }

    #[test]
    fn a_leader_whose_clock_stood_still_holds_no_lease_until_a_later_round() {
        let settings = RaftSettings::default();
        let mut bench = Bench::leader(&settings, Recovered::default());
        bench.confirm();
        let read = |id| Input::Read(ReadRequest { id, here: false, by_lease: true });
        bench.step(read(1));
        bench.step(Input::ClockJumped(Duration::from_secs(60)));
        bench.confirm();
        assert!(bench.raft.lease_until().is_some(), "it held none: nothing to renounce, and nothing lost");
        let effects = bench.step(Input::ClockJumped(Duration::from_secs(60)));
        let said: Vec<String> = effects.events.iter().map(ToString::to_string).collect();
        assert!(
            said.iter().any(|line| line.contains("renounces its lease: the machine's time moved 60000 ms")),
            "{said:?}"
        );
        assert_eq!(bench.raft.lease_until(), None);
        bench.confirm();
        assert!(bench.raft.lease_until().is_some());
    }

    #[test]
    fn a_timer_is_shortened_and_never_made_longer() {
        let mut follower = Bench::follower(1, &long(), Recovered::default());
        let due = follower.raft.deadline();
        follower.step(configure(long()));
        assert!(follower.raft.deadline() <= due);
        follower.step(configure(RaftSettings::default()));
        let short = follower.raft.deadline();
        assert!(short <= follower.now + RaftSettings::default().election_max);
        follower.step(configure(long()));
        assert_eq!(follower.raft.deadline(), short);
    }

    #[test]
    fn a_leader_that_was_answered_within_a_long_interval_keeps_leading_by_a_short_one() {
        let slow = RaftSettings { heartbeat: Duration::from_secs(1), ..long() };
        let mut bench = Bench::leader(&slow, Recovered::default());
        bench.confirm();
        bench.now = bench.now + Duration::from_millis(900);
        bench.step(configure(RaftSettings::default()));
        assert!(bench.led().heartbeat_due <= bench.now + RaftSettings::default().heartbeat);
        bench.round();
        assert!(matches!(bench.raft.role(), Role::Leader(_)));
    }
}
