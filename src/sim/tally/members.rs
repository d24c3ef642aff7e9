//! What happened to the members.

use derive_more::AddAssign;

use crate::raft::Raft;
use crate::raft::event::{Event, TransferReason};
use crate::raft::membership::configuration::Configuration;
use crate::raft::role::Role;
use crate::server::Outbox;

/// How often each kind of thing happened to the members.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, AddAssign)]
pub struct MembersTally {
    /// Changes that were asked for and have ended: committed, refused, taken back, or gone with their leader.
    pub changes_ended: u64,
    /// Joint configurations that a leader committed, that were removed from a log, and that a new leader found in its own.
    pub joint_committed: u64,
    pub joint_truncated: u64,
    pub joint_inherited: u64,
    pub taken_back: u64,
    /// Leaders that led until the configuration without them was committed.
    pub leaders_left_out: u64,
    /// Snapshots that were installed and gave the newest configuration.
    pub known_from_snapshot: u64,
    /// Snapshots that were saved with a joint configuration.
    pub joint_in_snapshot: u64,
    /// Joint configurations that give a learner its vote.
    pub promotions: u64,
    pub refused: u64,
    /// Nodes that lost their files while a joint configuration was in use.
    pub lost_while_joint: u64,
    /// Requests for votes of servers that who heard them does not count.
    pub removed_heard: u64,
    /// Disks that were put back under their names after others had been there.
    pub old_disks: u64,
}

impl MembersTally {
    pub(super) fn note(&mut self, raft: &Raft, outbox: &Outbox) {
        for event in &outbox.events {
            match event {
                Event::MembersProposed { configuration, .. } => {
                    self.promotions += u64::from(promotes(configuration));
                }
                Event::MembersCommitted { configuration, .. } => {
                    let leads = matches!(raft.role(), Role::Leader(_));
                    self.joint_committed += u64::from(leads && configuration.is_joint());
                }
                Event::MembersTruncated { gone, .. } => self.joint_truncated += u64::from(gone.is_joint()),
                Event::BecameLeader { .. } => {
                    self.joint_inherited += u64::from(raft.configuration().is_joint());
                }
                Event::MembersTakenBack { .. } => self.taken_back += 1,
                Event::TransferStarted { reason: TransferReason::LeftOut, .. } => self.leaders_left_out += 1,
                Event::SnapshotInstalled { last, .. } => {
                    let newest = raft.configurations().newest();
                    self.known_from_snapshot +=
                        u64::from(newest.is_some_and(|newest| newest.index <= last.index));
                }
                Event::ChangeRefused { .. } => self.refused += 1,
                _ => {}
            }
        }
        if let Some((last, _)) = outbox.saved {
            let configured = raft.configuration_at(last.index);
            self.joint_in_snapshot += u64::from(configured.is_some_and(|one| one.configuration.is_joint()));
        }
    }

    /// Name and number of each.
    pub fn rows(&self) -> [(&'static str, u64); 13] {
        [
            ("changes of the members that ended", self.changes_ended),
            ("joint configurations committed", self.joint_committed),
            ("joint configurations truncated", self.joint_truncated),
            ("joint configurations inherited by a new leader", self.joint_inherited),
            ("joint configurations taken back", self.taken_back),
            ("leaders left out", self.leaders_left_out),
            ("configurations known only from a snapshot", self.known_from_snapshot),
            ("snapshots with a joint configuration", self.joint_in_snapshot),
            ("learners promoted", self.promotions),
            ("changes refused", self.refused),
            ("files lost while joint", self.lost_while_joint),
            ("removed nodes heard", self.removed_heard),
            ("old disks put back", self.old_disks),
        ]
    }
}

/// Whether a name votes that did not before.
fn promotes(configuration: &Configuration) -> bool {
    let Some(outgoing) = &configuration.outgoing else { return false };
    configuration.voters.keys().any(|node| !outgoing.contains_key(node))
}
