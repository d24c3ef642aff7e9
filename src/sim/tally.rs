//! Counts the kinds of things that happened in a run: a run without hard cases proves nothing.

mod members;

use derive_more::AddAssign;

pub use self::members::MembersTally;

use crate::raft::Raft;
use crate::raft::event::{Event, StepDownReason, TransferReason, VoteReason};
use crate::raft::role::Role;
use crate::server::Outbox;

/// How often each kind of thing happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, AddAssign)]
pub struct Tally {
    pub elections: u64,
    pub leaders: u64,
    /// Elections that ended without a winner, or with another one.
    pub elections_lost: u64,
    /// Leaders that stepped down since no quorum answered.
    pub quorums_lost: u64,
    /// Times that conflicting entries were removed from a log.
    pub truncations: u64,
    /// Leaders that ended with entries that were not committed.
    pub uncommitted_tails: u64,
    /// Repeated commands that were not applied again.
    pub duplicates: u64,
    /// Commands that were not applied because their session had expired, over all nodes.
    pub expired: u64,
    pub repaired: u64,
    /// Writes that were durable before a message left.
    pub at_once: u64,
    pub applied: u64,
    /// Votes and pre-votes refused because a leader is heard.
    pub sticky_refusals: u64,
    pub follower_reads: u64,
    /// Reads that a leader answered by a lease that it held.
    pub lease_reads: u64,
    /// Votes refused, and elections held back, for a promise.
    pub promises_kept: u64,
    pub snapshots_saved: u64,
    pub snapshots_sent: u64,
    pub snapshots_installed: u64,
    /// Those of them that left a part of the follower's log.
    pub logs_kept: u64,
    /// Configurations that were proposed, those of them that are joint, and those that were committed at the leader.
    pub members_proposed: u64,
    pub joint_proposed: u64,
    pub members_committed: u64,
    /// Nodes that found themselves left out.
    pub retired: u64,
    /// Starts that were refused, since the files were damaged.
    pub refused_starts: u64,
    /// Leaders that handed over because their own disk did not answer.
    pub handed_over: u64,
    /// Leaders that handed over, for any reason.
    pub transfers: u64,
    /// Transfers that leaders gave up.
    pub transfers_given_up: u64,
    /// Orders of leaders that hand over on which no election followed.
    pub orders_ignored: u64,
    pub members: MembersTally,
}

impl Tally {
    pub fn note(&mut self, raft: &Raft, outbox: &Outbox) {
        self.members.note(raft, outbox);
        self.at_once += u64::from(outbox.writes_at_once());
        for event in &outbox.events {
            match event {
                Event::ElectionStarted { .. } => self.elections += 1,
                Event::BecameLeader { .. } => self.leaders += 1,
                Event::Truncated { .. } => self.truncations += 1,
                Event::SteppedDown { led: false, .. } => self.elections_lost += 1,
                Event::SteppedDown { led: true, reason, .. } => {
                    self.quorums_lost += u64::from(*reason == StepDownReason::NoQuorum);
                    self.uncommitted_tails += u64::from(raft.log().last().index > raft.commit_index());
                }
                Event::VoteDecided { reason: VoteReason::LeaderAlive(_), .. } => self.sticky_refusals += 1,
                Event::VoteDecided { reason: VoteReason::Withheld, .. } | Event::ElectionHeldBack { .. } => {
                    self.promises_kept += 1;
                }
                Event::FollowerRead { count, .. } => self.follower_reads += *count as u64,
                Event::SnapshotSending { .. } => self.snapshots_sent += 1,
                Event::SnapshotInstalled { kept, .. } => {
                    self.snapshots_installed += 1;
                    self.logs_kept += u64::from(*kept > 0);
                }
                Event::MembersProposed { configuration, .. } => {
                    self.members_proposed += 1;
                    self.joint_proposed += u64::from(configuration.is_joint());
                }
                Event::MembersCommitted { .. } => {
                    self.members_committed += u64::from(matches!(raft.role(), Role::Leader(_)));
                }
                Event::Retired => self.retired += 1,
                Event::TransferStarted { reason, .. } => {
                    self.transfers += 1;
                    self.handed_over += u64::from(*reason == TransferReason::DiskStalled);
                }
                Event::TransferGivenUp { .. } => self.transfers_given_up += 1,
                Event::TimeoutNowIgnored { .. } => self.orders_ignored += 1,
                Event::LeaseRead { left: Some(_) } => self.lease_reads += 1,
                _ => {}
            }
        }
        self.snapshots_saved += u64::from(outbox.saved.is_some());
        self.applied += outbox.applied.len() as u64;
        self.duplicates += outbox.applied.iter().filter(|applied| applied.repetition).count() as u64;
        self.expired += outbox.applied.iter().filter(|applied| applied.expired).count() as u64;
    }

    pub fn note_end(&mut self, raft: &Raft) {
        let leads = matches!(raft.role(), Role::Leader(_));
        self.uncommitted_tails += u64::from(leads && raft.log().last().index > raft.commit_index());
    }

    /// Name and number of each, for people and for tests that reject a vacuous run.
    pub fn rows(&self) -> [(&'static str, u64); 13] {
        [
            ("elections started", self.elections),
            ("leaders elected", self.leaders),
            ("elections lost", self.elections_lost),
            ("leaders without quorum", self.quorums_lost),
            ("logs truncated", self.truncations),
            ("uncommitted tails left", self.uncommitted_tails),
            ("duplicates suppressed", self.duplicates),
            ("torn tails repaired", self.repaired),
            ("votes refused, leader alive", self.sticky_refusals),
            ("reads answered by followers", self.follower_reads),
            ("reads answered by a lease", self.lease_reads),
            ("promises of no vote kept", self.promises_kept),
            ("entries applied", self.applied),
        ]
    }
}
