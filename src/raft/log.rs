//! The log in memory (5.3): entries numbered from 1, or from just behind a snapshot.
//!
//! It never reaches below its base and never leaves a gap; an index outside reads as none, not as another entry.

use std::collections::VecDeque;

use super::entry::Entry;
use crate::types::{EntryId, LogIndex, Term};

/// The entries behind a snapshot, in order and without gaps.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Log {
    /// The last entry that a snapshot covers; [`EntryId::ZERO`] without one.
    base: EntryId,
    pub(super) entries: VecDeque<Entry>,
    /// For each entry, the bytes of it and of all that were ever before it here; and the same for the base. So the bytes
    /// of any part of the log are a difference.
    through: VecDeque<usize>,
    through_base: usize,
    /// The last index that was handed to the disk.
    handed: LogIndex,
    /// The lowest index that was removed since the disk was last told, if the disk has it.
    cut: Option<LogIndex>,
    /// What became of the beginning since the disk was last told.
    rebase: Option<Rebase>,
}

/// What the disk has to be told of a log, in this order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Changes {
    pub rebase: Option<Rebase>,
    pub truncate_from: Option<LogIndex>,
    pub entries: Vec<Entry>,
}

/// What becomes of the beginning of the log on disk, once a snapshot is durable (section 7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Rebase {
    /// Entries up to this one, which the snapshot covers, are needed no more.
    Compact(EntryId),
    /// The whole log goes. It begins behind this entry from now on, the last one that the snapshot covers.
    Reset(EntryId),
}

impl Log {
    /// The log as it was read from the disk: `entries` follow `base` without a gap.
    pub fn recovered(base: EntryId, entries: Vec<Entry>) -> Log {
        let mut log = Log { base, handed: base.index, ..Log::default() };
        for entry in entries {
            log.append(entry);
        }
        log.handed = log.last().index;
        log
    }

    /// The last entry that is not kept here any more; entries follow it.
    pub fn base(&self) -> EntryId {
        self.base
    }

    /// The last entry, or the base when there is none.
    pub fn last(&self) -> EntryId {
        self.entries.back().map_or(self.base, Entry::id)
    }

    /// The entry at this index; none before the base, at it, or after the end.
    pub fn get(&self, index: LogIndex) -> Option<&Entry> {
        let offset = index.0.checked_sub(self.base.index.0 + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// The term at this index, the base included; none where nothing is known.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base.index { Some(self.base.term) } else { self.get(index).map(|entry| entry.term) }
    }

    /// Index and term of the entry at this index, which must be within the log or its base.
    pub fn id_at(&self, index: LogIndex) -> EntryId {
        let term = self.term_at(index).expect("the index lies within the log");
        EntryId::new(term, index)
    }

    /// The first index that is kept with the same term as the entry at `index`.
    pub fn first_of_term_at(&self, index: LogIndex) -> LogIndex {
        let term = self.term_at(index).expect("the index lies within the log");
        let before = self.entries.partition_point(|entry| entry.term < term);
        LogIndex(self.base.index.0 + 1 + before as u64)
    }

    /// The last index of this term, if an entry of it is known.
    pub fn last_of_term(&self, term: Term) -> Option<LogIndex> {
        let through = self.entries.partition_point(|entry| entry.term <= term);
        let index = LogIndex(self.base.index.0 + through as u64);
        (self.term_at(index) == Some(term)).then_some(index)
    }

    /// The entries within `first..=last`, which must be in the log.
    pub fn range(&self, first: LogIndex, last: LogIndex) -> impl DoubleEndedIterator<Item = &Entry> {
        assert!(first > self.base.index, "entries up to the base are not kept");
        assert!(last <= self.last().index, "entries beyond the last do not exist");
        let start = self.count_to(first) - 1;
        self.entries.range(start..self.count_to(last).max(start))
    }

    /// The bytes of the entries within `first..=last`, which must be in the log.
    pub fn weight(&self, first: LogIndex, last: LogIndex) -> usize {
        self.weight_through(last) - self.weight_through(first.previous())
    }

    /// Entries from `first` on, up to this many bytes, but at least one if there is one.
    pub fn slice(&self, first: LogIndex, bytes_max: usize) -> Vec<Entry> {
        let end = self.last().index;
        if first > end {
            return Vec::new();
        }
        let most = self.weight_through(first.previous()).saturating_add(bytes_max);
        let within = self.through.partition_point(|through| *through <= most);
        let last = LogIndex(self.base.index.0 + within as u64).max(first);
        self.range(first, last).cloned().collect()
    }

    fn weight_through(&self, index: LogIndex) -> usize {
        match self.count_to(index) {
            0 => self.through_base,
            count => self.through[count - 1],
        }
    }

    /// How many of the kept entries lie up to this index.
    fn count_to(&self, index: LogIndex) -> usize {
        let count = index.0.checked_sub(self.base.index.0).expect("entries up to the base are not kept");
        usize::try_from(count).expect("a length in memory")
    }

    pub fn handed(&self) -> LogIndex {
        self.handed
    }

    pub fn append(&mut self, entry: Entry) {
        let last = self.last();
        assert_eq!(entry.index, last.index.next(), "a log has no gaps (5.3)");
        assert!(entry.term >= last.term, "terms never decrease along a log");
        let before = self.through.back().copied().unwrap_or(self.through_base);
        self.through.push_back(before + entry.weight());
        self.entries.push_back(entry);
    }

    /// Removes every entry from this index on.
    pub fn truncate_from(&mut self, index: LogIndex) {
        assert!(index > self.base.index, "what a snapshot covers is committed and never removed");
        let kept = self.count_to(index.previous());
        self.entries.truncate(kept);
        self.through.truncate(kept);
        if index <= self.handed {
            self.handed = index.previous();
            self.cut = Some(self.cut.map_or(index, |cut| cut.min(index)));
        }
    }

    /// Lets go of the entries up to this one, which a durable snapshot covers (7).
    pub fn compact(&mut self, to: LogIndex) {
        assert!(to <= self.handed, "a snapshot covers what was applied, and the disk has been given that");
        let base = self.id_at(to);
        let gone = self.count_to(to);
        self.through_base = self.weight_through(to);
        self.entries.drain(..gone);
        self.through.drain(..gone);
        self.base = base;
        self.rebase = Some(match self.rebase {
            Some(Rebase::Reset(reset)) => Rebase::Reset(reset),
            _ => Rebase::Compact(base),
        });
    }

    /// Removes everything: the log begins behind this entry, the last that a durable snapshot covers (7).
    pub fn reset(&mut self, base: EntryId) {
        *self = Log { base, handed: base.index, rebase: Some(Rebase::Reset(base)), ..Log::default() };
    }

    /// For the museum of broken rules: a mutation takes an entry for one of another term.
    pub(crate) fn forge_term(&mut self, id: EntryId) {
        let place = self.count_to(id.index) - 1;
        self.entries[place].term = id.term;
    }

    /// What changed since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        let last = self.last().index;
        let entries = self.range(self.handed.next(), last).cloned().collect();
        self.handed = last;
        Changes { rebase: self.rebase.take(), truncate_from: self.cut.take(), entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::entry::Content;

    /// A log whose entries have these terms, behind this base.
    fn log(base: EntryId, terms: &[u64]) -> Log {
        let entries = terms.iter().zip(base.index.0 + 1..).map(|(&term, index)| Entry {
            index: LogIndex(index),
            term: Term(term),
            content: Content::NoOp,
        });
        Log::recovered(base, entries.collect())
    }

    #[test]
    fn an_index_outside_reads_as_none_and_never_as_another_entry() {
        let log = log(EntryId::new(Term(2), LogIndex(10)), &[2, 3]);
        assert_eq!(log.term_at(LogIndex(9)), None);
        assert_eq!(log.term_at(LogIndex(10)), Some(Term(2)));
        assert_eq!(log.get(LogIndex(10)), None, "the base itself is not kept");
        assert_eq!(log.term_at(LogIndex(12)), Some(Term(3)));
        assert_eq!(log.term_at(LogIndex(13)), None);
        assert_eq!(log.get(LogIndex(0)), None);
    }

    #[test]
    fn the_bounds_of_a_term_are_found() {
        let log = log(EntryId::ZERO, &[1, 1, 4, 4, 5]);
        assert_eq!(log.first_of_term_at(LogIndex(4)), LogIndex(3));
        assert_eq!(log.first_of_term_at(LogIndex(5)), LogIndex(5));
        assert_eq!(log.last_of_term(Term(1)), Some(LogIndex(2)));
        assert_eq!(log.last_of_term(Term(4)), Some(LogIndex(4)));
        assert_eq!(log.last_of_term(Term(2)), None);
        assert_eq!(log.last_of_term(Term(9)), None);
    }

    #[test]
    fn changes_tell_the_disk_what_to_cut_and_what_to_append() {
        let mut log = log(EntryId::ZERO, &[1, 1, 1]);
        assert_eq!(log.take_changes(), Changes::default());
        log.truncate_from(LogIndex(3));
        log.append(Entry { index: LogIndex(3), term: Term(2), content: Content::NoOp });
        log.append(Entry { index: LogIndex(4), term: Term(2), content: Content::NoOp });
        log.truncate_from(LogIndex(4));
        let Changes { rebase, truncate_from, entries } = log.take_changes();
        assert_eq!(rebase, None);
        assert_eq!(truncate_from, Some(LogIndex(3)), "entry 4 never reached the disk: only 3 has to go");
        assert_eq!(entries.iter().map(Entry::id).collect::<Vec<_>>(), [EntryId::new(Term(2), LogIndex(3))]);
        assert_eq!(log.take_changes(), Changes::default());
    }

    #[test]
    fn a_slice_is_bounded_in_bytes_but_never_empty() {
        let log = log(EntryId::ZERO, &[1; 10]);
        assert_eq!(log.slice(LogIndex(3), 1).len(), 1, "a large entry travels by itself");
        assert_eq!(log.slice(LogIndex(3), 64 * 4).len(), 4);
        assert_eq!(log.slice(LogIndex(11), 1000).len(), 0);
    }

    #[test]
    fn what_a_part_of_the_log_weighs_is_known_after_removals() {
        let each = Content::NoOp.weight();
        let mut log = log(EntryId::ZERO, &[1; 10]);
        log.compact(LogIndex(4));
        log.truncate_from(LogIndex(9));
        assert_eq!(log.weight(LogIndex(5), LogIndex(8)), 4 * each);
        assert_eq!(log.weight(LogIndex(8), LogIndex(8)), each);
        assert_eq!(log.weight(LogIndex(9), LogIndex(8)), 0);
        assert_eq!(log.slice(LogIndex(5), 2 * each).len(), 2, "up to the limit");
        log.reset(EntryId::new(Term(2), LogIndex(20)));
        assert_eq!(log.weight(LogIndex(21), LogIndex(20)), 0);
        log.append(Entry { index: LogIndex(21), term: Term(2), content: Content::NoOp });
        assert_eq!(log.weight(LogIndex(21), LogIndex(21)), each);
    }

    #[test]
    #[should_panic(expected = "a log has no gaps")]
    fn a_gap_is_rejected() {
        log(EntryId::ZERO, &[1]).append(Entry { index: LogIndex(3), term: Term(1), content: Content::NoOp });
    }
}
