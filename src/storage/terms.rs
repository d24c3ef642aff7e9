//! Which term each entry of a log has: the log's store keeps no entry in memory, and a log has few terms.

use crate::raft::entry::Entry;
use crate::types::{EntryId, LogIndex, Term};

/// The first entry of each term in a log, in order; its base comes first.
#[derive(Clone, Debug)]
pub struct Terms(Vec<EntryId>);

impl Terms {
    /// Those of a log that holds these entries behind its base.
    pub fn of(base: EntryId, entries: &[Entry]) -> Terms {
        let mut terms = Terms(vec![base]);
        for entry in entries {
            terms.push(entry.id());
        }
        terms
    }

    pub fn push(&mut self, id: EntryId) {
        if self.0.last().is_none_or(|last| last.term != id.term) {
            self.0.push(id);
        }
    }

    /// The entries from this index on were removed.
    pub fn truncate_from(&mut self, index: LogIndex) {
        while self.0.len() > 1 && self.0.last().is_some_and(|first| first.index >= index) {
            self.0.pop();
        }
    }

    /// The entries up to this index were removed, but for those that it names nothing of.
    pub fn compact(&mut self, index: LogIndex) {
        let before = self.0.iter().take_while(|first| first.index <= index).count();
        self.0.drain(..before.saturating_sub(1));
    }

    /// The entry at this index, which the log holds or begins behind.
    pub fn id_at(&self, index: LogIndex) -> EntryId {
        let first = self.0.iter().rfind(|first| first.index <= index);
        EntryId::new(first.map_or(Term(0), |first| first.term), index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u64, term: u64) -> EntryId {
        EntryId::new(Term(term), LogIndex(index))
    }

    #[test]
    fn each_entry_has_the_term_that_it_was_appended_with() {
        let mut terms = Terms::of(id(3, 1), &[]);
        for (index, term) in [(4, 1), (5, 2), (6, 2), (7, 5)] {
            terms.push(id(index, term));
        }
        let all = |terms: &Terms, from: u64, to| {
            (from..=to).map(|index| terms.id_at(LogIndex(index)).term.0).collect::<Vec<_>>()
        };
        assert_eq!(all(&terms, 3, 7), [1, 1, 2, 2, 5]);
        terms.compact(LogIndex(5));
        assert_eq!(all(&terms, 5, 7), [2, 2, 5]);
        terms.truncate_from(LogIndex(6));
        terms.push(id(6, 7));
        assert_eq!(all(&terms, 5, 6), [2, 7]);
        terms.truncate_from(LogIndex(1));
        assert_eq!(terms.id_at(LogIndex(5)), id(5, 2), "the base stays");
        assert_eq!(Terms::of(EntryId::ZERO, &[]).id_at(LogIndex(0)), EntryId::ZERO);
    }
}
