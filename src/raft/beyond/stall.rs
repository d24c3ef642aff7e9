//! Disks that are slow, or do not answer.
//!
//! A leader does not need its own disk: a majority of others commits, and heartbeats need no disk. But it can vouch
//! for nothing of its own, and what waits for its disk piles up. So one whose oldest write has not completed for
//! `disk_patience` hands over (`transfer`). It does so only when a quorum of followers have shown better disks: they acknowledged what its own disk owes,
//! in a fraction of the time. Where all disks are slow nothing is gained, and an election costs several fsyncs.
//!
//! A vote leaves only when it is durable, and that may take longer than any election timeout. So that elections end:
//!
//! - A node whose disk owes its term and vote starts no election and grants no pre-vote: one is under way. A node whose
//!   disk does not answer at all starts none either.
//! - A candidate's votes count until another term begins, however late they are.
//! - The wait for the end of an election begins when the vote leaves, and is longer by the time that the vote took: those
//!   of others, whose disks may be as slow, are still to come. Two candidates that give each other pre-votes would
//!   otherwise begin the next term just before the third node's vote decides this one.
//! - Without pre-votes the others do not know that an election is under way, and votes split while they become durable. So election
//!   timeouts are drawn from a range that grows with that time (5.6): a node's own, and a candidate's also with that of its
//!   voters, which it learns from votes and refusals that come when it has begun another election.

use std::collections::VecDeque;
use std::time::Duration;

use super::transfer::reason::TransferReason;
use crate::raft::durability::Durability;
use crate::raft::role::{Leader, Progress, ProgressState, Role};
use crate::raft::{Few, Raft};
use crate::types::{LogIndex, Member, NodeId, Term, Time};

/// A follower's disk counts as better when the leader's takes this many times as long. Equally slow
/// disks differ by a few times: a write waits for the one before it, and some sync more files than others.
const SLOWER_BY: u32 = 10;

/// The range of election timeouts grows by this multiple of the time that a vote takes to become durable.
const WIDER_BY: u32 = 6;

/// That time counts for no more than this: a disk that stalled for a minute and is well again does not make voters wait for
/// minutes.
const VOTE_TIME_MAX: Duration = Duration::from_secs(2);

/// Elections whose beginning is remembered at most.
const ELECTIONS_MAX: usize = 64;

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Elections {
    began: VecDeque<(Term, Time)>,
    /// The step in progress comes long after it was due.
    held_up: bool,
}

impl Durability {
    /// Since when the disk owes the oldest write; none when it owes nothing.
    fn waits_since(&self) -> Option<Time> {
        self.outstanding.front().map(|write| write.since)
    }

    /// Since when the disk owes this entry; none when it was not handed any write that holds it, or has completed it.
    fn owes_since(&self, index: LogIndex) -> Option<Time> {
        let first = self.outstanding.partition_point(|write| write.log_index < index);
        let owed = index > self.log_index();
        self.outstanding.get(first).filter(|_| owed).map(|write| write.since)
    }
}

impl Raft {
    /// Whether the disk has not answered for too long.
    pub(super) fn disk_stalls(&self, now: Time) -> bool {
        self.durability.waits_since().is_some_and(|since| now >= since + self.disk_patience())
    }

    /// A vote is durable after this time, and leaves: the wait for the end of its election begins, unless the disk was
    /// quick.
    pub(in crate::raft) fn wait_for_votes(&mut self, now: Time, took: Duration) {
        let took = took.min(VOTE_TIME_MAX);
        let wider = took * WIDER_BY;
        let undecided = self.voted_for.is_some() && self.leader().is_none();
        if !undecided || now + wider <= self.election_due {
            return;
        }
        self.reset_election_timer(now);
        if self.beyond.elections.held_up {
            return;
        }
        self.election_due = self.election_due + took;
        if !self.settings.pre_vote {
            self.election_due = self.election_due + self.random.duration(Duration::ZERO, wider);
        }
    }

    /// A node that did not run does not know how long its disk took, nor its voters': it would wait for many times as long
    /// as it was away.
    pub(in crate::raft) fn note_if_held_up(&mut self, now: Time) {
        let elections = &mut self.beyond.elections;
        elections.held_up = now >= self.election_due + self.settings.heartbeat;
        if elections.held_up {
            elections.began.clear();
        }
    }

    /// This node begins an election in its current term.
    pub(in crate::raft) fn note_election(&mut self, now: Time) {
        let began = &mut self.beyond.elections.began;
        if began.len() == ELECTIONS_MAX {
            began.pop_front();
        }
        began.push_back((self.current_term, now));
    }

    /// A vote, or a refusal, has come for this node's election in an earlier term, which was given up too soon.
    pub(in crate::raft) fn note_late_vote(&mut self, now: Time, term: Term) {
        let mut elections = self.beyond.elections.began.iter();
        if let Some(&(_, began)) = elections.find(|(noted, _)| *noted == term) {
            self.wait_for_votes(now, now.since(began));
        }
    }
}

impl Raft {
    /// When this leader hands over, unless its disk answers before: when a quorum of followers have shown better disks.
    pub(super) fn hand_over_due(&self, leader: &Leader) -> Time {
        if self.durability.waits_since().is_none() {
            return Time::NEVER;
        }
        let mut due: Few<Time> = leader.followers.values().filter_map(|one| self.better_from(one)).collect();
        due.sort_unstable();
        let better_by = |member: Member, time: Time| {
            let progress = leader.progress_of(member);
            progress.and_then(|progress| self.better_from(progress)).is_some_and(|from| from <= time)
        };
        let reached = |time: &Time| self.configuration().reached(|member| better_by(member, *time));
        let better = due.into_iter().find(reached).unwrap_or(Time::NEVER);
        better.max(self.hand_over_not_before())
    }

    pub(super) fn hand_over(&mut self, now: Time) {
        if let Some(successor) = self.successor(now) {
            self.begin_hand_over(now, successor, false, TransferReason::DiskStalled);
        }
    }

    /// Of the followers whose disks are better, the one that holds the most.
    fn successor(&self, now: Time) -> Option<NodeId> {
        let Role::Leader(leader) = &self.role else { return None };
        let better = |progress: &Progress| self.better_from(progress).is_some_and(|from| from <= now);
        let fit = leader.followers.iter().filter(|(_, progress)| better(progress));
        fit.max_by_key(|(_, progress)| progress.match_index).map(|(node, _)| *node)
    }

    /// From when on a follower's disk counts as better than this leader's; none while it does not.
    fn better_from(&self, progress: &Progress) -> Option<Time> {
        let owed = self.durability.waits_since()?;
        let replicates = matches!(progress.state, ProgressState::Replicate { .. });
        if !replicates || progress.match_index <= self.durable_index() {
            return None;
        }
        let from =
            (owed + self.disk_patience().max(progress.answers.lag * SLOWER_BY)).max(progress.answers.heard);
        // What it owes in turn; the leader's own disk was handed that entry when it was sent.
        let behind = self.durability.owes_since(progress.match_index.next());
        let quick = behind.is_none_or(|since| from.since(since) * SLOWER_BY <= from.since(owed));
        let heard = from < progress.answers.heard + self.settings.election_min;
        (quick && heard).then_some(from)
    }

    /// A follower acknowledged this entry: how long it took, if the leader's own disk owes the entry still.
    pub(in crate::raft) fn note_lag(&mut self, now: Time, from: NodeId, index: LogIndex) {
        if let (Some(since), Role::Leader(leader)) = (self.durability.owes_since(index), &mut self.role)
            && let Some(progress) = leader.followers.get_mut(&from)
        {
            progress.answers.lag = now.since(since);
        }
    }

    /// A hand-over costs an election, so it never comes sooner than one.
    fn disk_patience(&self) -> Duration {
        self.settings.disk_patience.max(self.settings.election_min)
    }
}
