//! Snapshots (section 7): what of the log they replace, and InstallSnapshot (Figure 13), with which a leader catches up a
//! follower that needs compacted entries.
//!
//! The core knows a snapshot by the last entry that it covers. What is in it, and where it is kept, is the driver's
//! business: the core asks for parts of it and is told what became of them. Neither the state machine nor an index ever
//! goes back: a snapshot of what is committed here already changes nothing.
//!
//! A transfer sends one part at a time, so that it never stands in the way of entries and heartbeats for long. A newer
//! snapshot does not restart it: the old one is kept until it has arrived, and none of those between. Only what arrived and
//! was unusable is sent again, with the newest snapshot, at growing intervals, and once the leader's own file of it is
//! known to be whole. A leader with a damaged file ends, as with other damage.

pub(super) mod sending;
pub(super) mod tasks;
mod transfer;

use std::sync::Arc;

use super::Raft;
use super::event::Event;
use super::membership::Configured;
use super::message::{Body, InstallResult};
use super::role::{ProgressState, Role};
use crate::types::{EntryId, LogIndex, Member, Term, Time};
use sending::SnapshotTransfer;
use tasks::{Needed, SnapshotReport, SnapshotTask};

/// A snapshot that a follower is receiving.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Receiving {
    /// The term of the leader that sends it.
    term: Term,
    last: EntryId,
    taken: u64,
    whole: bool,
}

/// Every node: what a durable snapshot replaces.
impl Raft {
    /// The last entry that the newest durable snapshot of this node covers; [`EntryId::ZERO`] without one.
    pub fn snapshot(&self) -> EntryId {
        self.snapshot
    }

    pub(super) fn handle_snapshot_report(&mut self, report: SnapshotReport) {
        match report {
            SnapshotReport::Saved(last) => self.cover(last),
            SnapshotReport::Read { to, last, offset, data, done } => {
                self.send_part(to, last, offset, data, done);
            }
            SnapshotReport::Whole { to, last } => self.send_again(to, last),
            SnapshotReport::Received { last, next } => self.acknowledge_part(last, next),
            SnapshotReport::Installed(last, configured) => self.install(last, configured),
            SnapshotReport::Unusable(last) => {
                let wanted = self.receiving.take_if(|receiving| receiving.last == last).is_some();
                self.note(Event::SnapshotUnusable { last });
                if let Some(leader) = self.leader_followed().filter(|_| wanted) {
                    self.reply_install(leader, last, InstallResult::Unusable);
                }
            }
        }
    }

    /// A durable snapshot covers the log up to here.
    fn cover(&mut self, last: EntryId) {
        if last.index <= self.snapshot.index {
            return;
        }
        assert!(last.index <= self.commit_index, "a snapshot covers only what is committed (7)");
        self.snapshot = last;
        self.configurations.forget_before(last.index);
        self.compact();
    }

    /// Drops what the snapshot covers, but for a trailing part: a follower that is a little slow, or that is receiving a
    /// snapshot, finds its next entries there.
    pub(super) fn compact(&mut self) {
        // What this very step appended is not on its way to the disk yet: it stays until the next snapshot.
        let covered = self.snapshot.index.min(self.log.handed());
        let wanted = self.snapshot_transfers().map(|transfer| transfer.last.index).min().unwrap_or(covered);
        let settings = &self.settings;
        let first = self.log.base().index.next();
        // Whether all from here to what is covered stays. If it does, so does all from any later entry.
        let stays = |from: LogIndex| {
            let (count, bytes) = (covered.0 + 1 - from.0, self.log.weight(from, covered));
            let trailing = count <= settings.trailing_entries && bytes <= settings.trailing_bytes;
            trailing || from > wanted && bytes <= settings.snapshot_bytes
        };
        let (mut low, mut high) = (first.0, (covered.0 + 1).max(first.0));
        while low < high {
            let middle = low + (high - low) / 2;
            if stays(LogIndex(middle)) { high = middle } else { low = middle + 1 }
        }
        let to = LogIndex(high).previous();
        if to > self.log.base().index {
            self.log.compact(to);
            self.note(Event::LogCompacted { base: self.log.base() });
        }
    }

    /// Releases snapshots that neither this node nor a transfer needs. A silent follower holds back one old snapshot,
    /// never all the later ones.
    pub(super) fn forget_snapshots(&mut self) {
        let newest = self.snapshot.index;
        let mut but = Needed { newest, ..Needed::default() };
        for sent in
            self.snapshot_transfers().map(|transfer| transfer.last.index).filter(|sent| *sent < newest)
        {
            if !but.sent.contains(&sent) {
                but.sent.push(sent);
            }
        }
        if but != self.needed {
            self.needed = but.clone();
            self.effects.snapshots.push(SnapshotTask::Forget { but });
        }
    }

    fn snapshot_transfers(&self) -> impl Iterator<Item = &SnapshotTransfer> {
        let followers = match &self.role {
            Role::Leader(leader) => Some(leader.followers.values()),
            _ => None,
        };
        followers.into_iter().flatten().filter_map(|progress| match &progress.state {
            ProgressState::Snapshot(transfer) => Some(transfer),
            ProgressState::Probe { .. } | ProgressState::Replicate { .. } => None,
        })
    }
}

impl Raft {
    /// Figure 13, InstallSnapshot, from the leader of the current term.
    pub(super) fn handle_install_snapshot(
        &mut self,
        now: Time,
        from: Member,
        last: EntryId,
        offset: u64,
        data: Arc<[u8]>,
        done: bool,
    ) {
        self.follow(now, from);
        if last.index <= self.commit_index {
            return self.reply_install(from, last, InstallResult::Installed);
        }
        let term = self.current_term;
        let known = self.receiving.filter(|receiving| receiving.last == last && receiving.term == term);
        let receiving = match known {
            Some(receiving) if receiving.whole => return,
            // A snapshot's term must be durable before the snapshot is. The part comes again.
            _ if done && !self.is_hard_state_durable() => return,
            Some(receiving) if receiving.taken != offset => {
                return self.reply_install(from, last, InstallResult::Next(receiving.taken));
            }
            Some(receiving) => receiving,
            // Figure 13, InstallSnapshot 2: the first part begins a new snapshot. What was received of another, which
            // the same leader sent before or an earlier one did, is given up.
            None if offset == 0 => {
                self.note(Event::SnapshotReceiving { from: from.node, last });
                Receiving { term, last, taken: 0, whole: false }
            }
            None => return self.reply_install(from, last, InstallResult::Next(0)),
        };
        let taken = receiving.taken + data.len() as u64;
        self.receiving = Some(Receiving { taken, whole: done, ..receiving });
        // Figure 13, InstallSnapshot 3: a part is written at its place.
        self.effects.snapshots.push(SnapshotTask::Receive { last, offset, data, done });
    }

    /// The answer to a leader whose term is over.
    pub(super) fn reject_install_snapshot(&mut self, from: Member, last: EntryId) {
        // Figure 13, InstallSnapshot 1: reject if the term is over.
        self.reply_install(from, last, InstallResult::StaleTerm);
    }

    fn acknowledge_part(&mut self, last: EntryId, next: u64) {
        let Some(leader) = self.leader_followed() else { return };
        // A part of what was given up since, when another leader began again, says nothing of where this one is.
        let wanted =
            |receiving: Receiving| receiving.last == last && receiving.taken == next && !receiving.whole;
        if self.receiving.is_some_and(wanted) {
            // Figure 13, InstallSnapshot 4: reply, and wait for the parts that follow.
            self.reply_install(leader, last, InstallResult::Next(next));
        }
    }

    /// A snapshot that was received is durable, and the state machine's state of it at hand.
    fn install(&mut self, last: EntryId, configured: Configured) {
        self.receiving.take_if(|receiving| receiving.last == last);
        if last.index > self.commit_index {
            let shared = self.log.term_at(last.index) == Some(last.term);
            let kept = if shared { self.log.last().index.0 - last.index.0 } else { 0 };
            if shared {
                // Figure 13, InstallSnapshot 6: the log has the last entry that the snapshot covers: what follows stays.
                self.learn_configuration(last.index, configured);
                self.commit_to(last.index);
            } else {
                // Figure 13, InstallSnapshot 7: the whole log goes.
                assert!(
                    !matches!(self.role, Role::Leader(_)),
                    "a leader's log holds all that is committed (5.4)"
                );
                self.retract(LogIndex(1));
                self.reset_configurations(configured);
                self.log.reset(last);
                self.durability.reset(last.index);
                self.commit_index = last.index;
            }
            self.note(Event::SnapshotInstalled { last, kept });
        }
        // Figure 13, InstallSnapshot 5: snapshots of less are given up.
        self.cover(last);
        if let Some(leader) = self.leader_followed() {
            self.reply_install(leader, last, InstallResult::Installed);
        }
    }

    fn leader_followed(&self) -> Option<Member> {
        if let Role::Follower(follower) = &self.role {
            follower.leader.map(|(leader, _)| leader)
        } else {
            None
        }
    }

    fn reply_install(&mut self, to: Member, last: EntryId, result: InstallResult) {
        let ack = self.ack(0);
        self.reply(to, Body::InstallReply { last, result, ack });
    }
}

#[cfg(test)]
mod tests;
