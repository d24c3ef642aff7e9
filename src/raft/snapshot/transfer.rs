//! The leader's side of InstallSnapshot (Figure 13): a transfer sends one part at a time, and the next when the follower
//! asks for it.

use std::sync::Arc;

use super::sending::{Sending, SnapshotTransfer};
use super::tasks::SnapshotTask;
use crate::raft::Raft;
use crate::raft::event::Event;
use crate::raft::message::{Ack, Body, InstallResult, Round};
use crate::raft::role::{ProgressState, Role};
use crate::types::{EntryId, Member, NodeId, Time};

/// Rounds of heartbeats after which a part that was not answered is sent again.
pub(super) const ROUNDS_PATIENT: u64 = 2;

/// A snapshot that arrived unusable is sent again after one heartbeat. The pause doubles with each failure, at most this
/// many times.
const PAUSE_DOUBLINGS_MAX: u32 = 6;

impl Raft {
    /// The snapshot on its way to this follower, if this node leads and sends one.
    fn snapshot_transfer_mut(&mut self, follower: NodeId) -> Option<&mut SnapshotTransfer> {
        match &mut self.role {
            Role::Leader(leader) => match &mut leader.followers.get_mut(&follower)?.state {
                ProgressState::Snapshot(transfer) => Some(transfer),
                ProgressState::Probe { .. } | ProgressState::Replicate { .. } => None,
            },
            Role::Follower(_) | Role::PreCandidate { .. } | Role::Candidate(_) => None,
        }
    }

    /// The follower lacks what this log no longer holds.
    pub(in crate::raft) fn begin_snapshot_transfer(&mut self, follower: NodeId) {
        let last = self.snapshot;
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.followers.get_mut(&follower) else { return };
        progress.next_index = last.index.next().max(progress.match_index.next());
        progress.state = ProgressState::Snapshot(SnapshotTransfer {
            last,
            offset: 0,
            sending: Sending::Read,
            failures: 0,
        });
        self.note(Event::SnapshotSending { to: follower, last });
        self.effects.snapshots.push(SnapshotTask::Read { to: follower, last, offset: 0 });
    }

    /// A part was read: it is sent, if it is still the one that the follower needs.
    pub(super) fn send_part(&mut self, to: NodeId, last: EntryId, offset: u64, data: Arc<[u8]>, done: bool) {
        let round = self.newest_round();
        let Some(transfer) = self.snapshot_transfer_mut(to) else { return };
        let again = transfer.sending == Sending::ReadAgain;
        let read = again || transfer.sending == Sending::Read;
        if transfer.last == last && transfer.offset == offset && read {
            transfer.sending = Sending::Sent { round, again };
            self.send(to, Body::InstallSnapshot { last, offset, data, done });
        }
    }

    /// Sends the part again that is not answered after a while, or begins with one that was postponed.
    pub(in crate::raft) fn repeat_part(&mut self, now: Time, follower: NodeId) {
        let round = self.newest_round();
        let Some(transfer) = self.snapshot_transfer_mut(follower) else { return };
        transfer.sending = match transfer.sending {
            Sending::Sent { round: sent, .. } if round >= sent + ROUNDS_PATIENT => Sending::ReadAgain,
            Sending::Postponed { until } if now >= until => Sending::Read,
            _ => return,
        };
        let (last, offset) = (transfer.last, transfer.offset);
        self.effects.snapshots.push(SnapshotTask::Read { to: follower, last, offset });
    }

    fn newest_round(&self) -> Round {
        if let Role::Leader(leader) = &self.role { leader.rounds.newest } else { 0 }
    }

    /// The follower could not use what arrived: damaged on its way, or as damaged as the file here.
    fn note_unusable(&mut self, now: Time, follower: NodeId, last: EntryId) {
        let (newest, heartbeat) = (self.snapshot, self.settings.heartbeat);
        let Some(transfer) = self.snapshot_transfer_mut(follower) else { return };
        if transfer.last != last || !transfer.was_sent() {
            return;
        }
        let until = now + heartbeat * (1 << transfer.failures.min(PAUSE_DOUBLINGS_MAX));
        transfer.failures += 1;
        let is_newest = newest.index <= last.index;
        if is_newest {
            transfer.sending = Sending::Checked { until };
        } else {
            transfer.postpone(newest, until);
        }
        self.note(Event::SnapshotRejected { by: follower, last });
        if is_newest {
            self.effects.snapshots.push(SnapshotTask::Check { to: follower, last });
        }
    }

    /// What the follower could not use is whole here: it was damaged on its way.
    pub(super) fn send_again(&mut self, to: NodeId, last: EntryId) {
        let newest = self.snapshot;
        if let Some(transfer) = self.snapshot_transfer_mut(to)
            && transfer.last == last
            && let Sending::Checked { until } = transfer.sending
        {
            transfer.postpone(newest, until);
        }
    }

    pub(in crate::raft) fn handle_install_reply(
        &mut self,
        now: Time,
        from: Member,
        last: EntryId,
        result: InstallResult,
        ack: Ack,
    ) {
        if !self.heard(now, from, ack) {
            return;
        }
        let from = from.node;
        match result {
            InstallResult::Unusable => self.note_unusable(now, from, last),
            InstallResult::Installed => self.note_installed(from, last),
            InstallResult::Next(next) => {
                if let Some(transfer) = self.snapshot_transfer_mut(from)
                    && transfer.last == last
                    && transfer.advance_to(next)
                {
                    self.effects.snapshots.push(SnapshotTask::Read { to: from, last, offset: next });
                }
            }
            InstallResult::StaleTerm => {}
        }
    }

    /// The follower holds all that this snapshot covers.
    fn note_installed(&mut self, from: NodeId, last: EntryId) {
        let round = self.newest_round();
        let sent = self.snapshot_transfer_mut(from).is_some_and(|transfer| transfer.last == last);
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.followers.get_mut(&from).is_some_and(|progress| progress.matched(last.index, round)) {
            self.note(Event::AppendSucceeded { from, matched: last.index });
        }
        if sent {
            self.note(Event::SnapshotSent { to: from, last });
        }
    }
}
