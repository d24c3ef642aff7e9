//! Logs, each followed as a chain of hashes: comparing two of them up to an index is one comparison (5.3).

use super::record::Record;
use super::{Safety, Step};
use crate::check::property::Property;
use crate::check::window::Window;
use crate::raft::Raft;
use crate::raft::effects::{Rebase, Write};
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::role::Role;
use crate::types::{EntryId, LogIndex, Member};

impl Safety {
    /// The chain of a log up to the entry behind which it begins.
    pub(super) fn chain_to(&mut self, base: EntryId, is_new: bool) -> Window<u64> {
        let unseen = is_new || self.committed.is_gone(base.index);
        if base == EntryId::ZERO {
            Window::default()
        } else if unseen && self.committed.get(base.index).is_none() {
            let seen = self.branches.get(&base.term).and_then(|branch| branch.get(base.index)).copied();
            let own = || seen.unwrap_or_else(|| [base.index.0, base.term.0].into_iter().fold(0, mixed));
            Window::beginning_at(base.index, *self.anchors.entry(base).or_insert_with(own))
        } else {
            self.committed.map_to(base.index, |(_, hash)| hash)
        }
    }

    /// Follows one entry at the end of a log.
    pub(super) fn append(&mut self, member: Member, record: &mut Record, entry: &Entry) {
        let before = record.chain.get(record.chain.last()).unwrap_or_default();
        let hash = self.anchors.get(&entry.id()).copied().unwrap_or_else(|| chained(before, entry));
        record.append(entry, hash);
        let known = match self.committed.get(entry.index) {
            Some((term, known)) if term == entry.term => Some(known),
            _ => self.branches.entry(entry.term).or_default().insert(entry.index, hash),
        };
        if known.is_some_and(|known| known != hash) || record.chain.last() != entry.index {
            let detail = format!("{member} holds {} after other entries than another node does", entry.id());
            self.report(Property::LogMatching, detail);
        }
    }

    pub(super) fn follow_log(&mut self, step: &Step<'_>, member: Member, record: &mut Record, write: &Write) {
        let raft = step.raft;
        let leads = matches!(raft.role(), Role::Leader(_));
        if let Some(Rebase::Reset(base)) = write.rebase {
            self.follow_reset(raft, record, base);
        }
        if let Some(index) = write.truncate_from {
            if leads && record.led == Some(raft.current_term()) {
                let detail =
                    format!("{member} leads term {} and cut its log at {index}", raft.current_term());
                self.report(Property::LeaderAppendOnly, detail);
            }
            record.truncate(index);
        }
        for entry in &write.entries {
            let before = record.configuration().cloned();
            self.append(member, record, entry);
            if let (Content::Members(_), Some(next)) = (&entry.content, record.configuration()) {
                self.members_moved = true;
                self.changes_seen += 1;
                if let Some(before) = before.filter(|_| leads && entry.term == raft.current_term()) {
                    self.check_change(raft, record.commit, &before, next);
                    self.check_promoted(raft, step.now, record, [&before, next]);
                }
            }
        }
        record.hand_to_disk(write);
    }

    /// A node's log starts again behind a durable snapshot: its chain is that of the committed entries.
    fn follow_reset(&mut self, raft: &Raft, record: &mut Record, base: EntryId) {
        self.check_covered(raft.id(), base);
        let found = raft.configuration_at(base.index);
        self.check_configured(raft.id(), base.index, found.as_ref());
        let chain = self.chain_to(base, self.alone);
        if self.alone && base.index > self.committed() {
            let hash = chain.get(base.index).expect("it begins there");
            self.begin_behind(base, hash, found.clone());
        }
        let configured = self.committed_configuration(base.index).cloned().or(found);
        record.reset(base.index, chain, configured);
    }

    /// What a disk held, as far as it is known, it must hold when its node starts again.
    pub(super) fn check_recovered(&mut self, member: Member, before: &Record, after: &Record) {
        let (old, new) = (before.durable_hard_state, after.durable_hard_state);
        if new.current_term < old.current_term {
            let detail =
                format!("{member} was in term {} and restarts in {}", old.current_term, new.current_term);
            self.report(Property::OneVote, detail);
        } else if new.current_term == old.current_term
            && old.voted_for.is_some()
            && new.voted_for != old.voted_for
        {
            self.report(Property::OneVote, format!("{member} forgot its vote in term {}", old.current_term));
        }
        if old.retired && !new.retired {
            let detail = format!("{member} knew that it is left out of the members, and forgot it");
            self.report(Property::NoDisruption, detail);
        }
        if let Some(index) = self.last_committed_in(&before.chain, before.durable_index)
            && after.chain.get(index) != self.committed_hash(index)
        {
            let detail = format!("{member} held entry {index} durably, it is committed, and it is gone");
            self.report(Property::CommittedIsDurable, detail);
        }
    }

    /// The last of a log's durable entries that is committed. The log may have gone another way behind it.
    fn last_committed_in(&self, chain: &Window<u64>, durable: LogIndex) -> Option<LogIndex> {
        let shared = |index: &LogIndex| chain.get(*index) == self.committed_hash(*index);
        self.committed.indexes_down_from(durable.min(chain.last())).find(shared)
    }

    pub(super) fn committed_hash(&self, index: LogIndex) -> Option<u64> {
        self.committed.get(index).map(|(_, hash)| hash)
    }
}

/// The hash of a chain that continues with this entry: its index, its term and its content.
fn chained(before: u64, entry: &Entry) -> u64 {
    let named = |kind, Origin { session, serial, acknowledged }: Origin, command| {
        [kind, session.0, serial, acknowledged, command]
    };
    let content = match &entry.content {
        Content::NoOp => [0; 5],
        Content::Open { client, sessions_max } => [1, client.0, *sessions_max, 0, 0],
        Content::Command { origin, command } => {
            named(2, *origin, crc32fast::hash(command.text().as_bytes()).into())
        }
        Content::Settle { origin } => named(3, *origin, 0),
        Content::Members(configuration) => {
            let text = serde_json::to_vec(configuration).expect("numbers and names always serialize");
            [4, crc32fast::hash(&text).into(), 0, 0, 0]
        }
    };
    [entry.index.0, entry.term.0].into_iter().chain(content).fold(before, mixed)
}

/// The finalizer of `SplitMix64` spreads each part over all bits of a hash.
fn mixed(hash: u64, part: u64) -> u64 {
    let mut mixed = (hash ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
