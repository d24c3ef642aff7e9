//! Logs, each followed as a chain of hashes: comparing two of them up to an index is one comparison (5.3).

use super::hash::mixed;
use super::record::Record;
use super::step::{Appended, Shown, Written};
use super::unseen::Sight;
use super::{Safety, Step};
use crate::check::property::Property;
use crate::check::window::Window;
use crate::raft::membership::Configured;
use crate::types::{EntryId, LogIndex, Member, Term};

impl Safety {
    /// The chain of a log up to the entry behind which it begins.
    pub(super) fn chain_to(&mut self, base: EntryId, is_new: bool) -> Window<(Term, u64)> {
        let beyond = self.sight != Sight::Whole && base.index > self.committed();
        let unseen = is_new || beyond || self.committed.is_gone(base.index);
        if base == EntryId::ZERO {
            Window::default()
        } else if unseen && self.committed.get(base.index).is_none() {
            let seen = self.branches.get(&base.term).and_then(|branch| branch.get(base.index)).copied();
            let own = || seen.unwrap_or_else(|| [base.index.0, base.term.0].into_iter().fold(0, mixed));
            let hash = *self.anchors.entry(base).or_insert_with(own);
            Window::beginning_at(base.index, (base.term, hash))
        } else {
            self.committed.up_to(base.index)
        }
    }

    /// Follows one entry at the end of a log.
    pub(super) fn append(&mut self, member: Member, record: &mut Record, entry: &Appended) {
        let EntryId { term, index } = entry.id;
        let (_, before) = record.chain.get(record.chain.last()).unwrap_or_default();
        let chained = || [index.0, term.0, entry.digest].into_iter().fold(before, mixed);
        let hash = self.anchors.get(&entry.id).copied().unwrap_or_else(chained);
        record.append(entry, hash);
        let known = match self.committed.get(index) {
            Some((committed, known)) if committed == term => Some(known),
            _ => self.branches.entry(term).or_default().insert(index, hash),
        };
        if known.is_some_and(|known| known != hash) || record.chain.last() != index {
            let detail = format!("{member} holds {} after other entries than another node does", entry.id);
            self.report(Property::LogMatching, detail);
        }
    }

    pub(super) fn follow_log(&mut self, step: &Step<'_>, record: &mut Record, write: &Written) {
        let Shown { member, term, .. } = step.shown;
        let leads = step.shown.leads();
        if let Some((base, configured)) = &write.reset {
            self.follow_reset(&step.shown, record, *base, configured.as_ref());
        }
        if let Some(index) = write.truncate_from {
            if leads && record.led == Some(term) {
                let detail = format!("{member} leads term {term} and cut its log at {index}");
                self.report(Property::LeaderAppendOnly, detail);
            }
            record.truncate(index);
        }
        for entry in &write.entries {
            let before = entry.members.as_ref().and_then(|_| record.configuration().cloned());
            self.append(member, record, entry);
            if let (Some(_), Some(next)) = (&entry.members, record.configuration()) {
                self.members_moved = true;
                self.changes_seen += 1;
                if let Some(before) = before.filter(|_| leads && entry.id.term == term) {
                    self.check_change(&step.shown, record, &before, next);
                    self.check_promoted(step, record, [&before, next]);
                }
            }
        }
        record.hand_to_disk(write);
    }

    /// A node's log starts again behind a durable snapshot: its chain is that of the committed entries.
    fn follow_reset(
        &mut self,
        shown: &Shown,
        record: &mut Record,
        base: EntryId,
        found: Option<&Configured>,
    ) {
        let Shown { member, term, .. } = *shown;
        self.check_covered(member.node, base);
        self.check_configured(member.node, base.index, found);
        let chain = self.chain_to(base, self.sight == Sight::OneNode);
        if self.sight != Sight::Whole && base.index > self.committed() {
            self.begin_behind(base, term, &chain, found.cloned());
        }
        let configured = self.committed_configuration(base.index).or(found).cloned();
        record.reset(base.index, chain, configured);
    }

    /// What a disk held, as far as it is known, it must hold when its node starts again.
    pub(super) fn check_recovered(&mut self, member: Member, before: &Record, after: &Record) {
        let (old, new) = (before.durable_hard_state, after.durable_hard_state);
        let is_known = before.unseen_write.is_none();
        if is_known && new.current_term < old.current_term {
            let detail =
                format!("{member} was in term {} and restarts in {}", old.current_term, new.current_term);
            self.report(Property::OneVote, detail);
        } else if is_known
            && new.current_term == old.current_term
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
            && !after.chain.is_gone(index)
            && after.chain.get(index) != self.committed.get(index)
        {
            let detail = format!("{member} held entry {index} durably, it is committed, and it is gone");
            self.report(Property::CommittedIsDurable, detail);
        }
    }

    /// The last of a log's durable entries that is committed. The log may have gone another way behind it.
    fn last_committed_in(&self, chain: &Window<(Term, u64)>, durable: LogIndex) -> Option<LogIndex> {
        let shared = |index: &LogIndex| chain.get(*index) == self.committed.get(*index);
        self.committed.indexes_down_from(durable.min(chain.last())).find(shared)
    }
}
