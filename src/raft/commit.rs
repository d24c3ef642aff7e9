//! What is committed (5.3, 5.4.2).

use super::Raft;
use super::event::Event;
use super::role::Role;
use crate::types::LogIndex;

impl Raft {
    pub(super) fn advance_commit_index(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        if self.commit_index == self.log.last().index {
            return;
        }
        let own = (self.member(), self.durable_index());
        let majority = leader.quorum_value(self.configuration(), own, |progress| progress.match_index);
        // Figure 2, Leaders 4: the highest index that a majority holds, if its entry is of this term: commit it.
        // An entry of an earlier term may be on a majority and still be replaced (Figure 8), so it is committed only by
        // one of this term behind it (5.4.2).
        if majority > self.commit_index && self.log.term_at(majority) == Some(self.current_term) {
            self.commit_to(majority);
        }
    }

    /// Moves the commit index, never back.
    pub(super) fn commit_to(&mut self, index: LogIndex) {
        if index <= self.commit_index {
            return;
        }
        let from = std::mem::replace(&mut self.commit_index, index);
        self.note(Event::CommitAdvanced { from, to: index });
        self.apply_committed_members(from);
        if let Role::Leader(leader) = &mut self.role {
            let committed = self.log.weight(from.next(), index);
            leader.uncommitted_bytes = leader.uncommitted_bytes.saturating_sub(committed);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::RaftSettings;
    use crate::raft::bench::{Bench, recovered};
    use crate::raft::message::{Ack, AppendResult};
    use crate::types::{EntryId, LogIndex};

    #[test]
    fn an_entry_of_an_earlier_term_is_committed_only_by_one_of_this_term() {
        let mut bench = Bench::leader(&RaftSettings::default(), recovered(EntryId::ZERO, 5, 1));
        bench.answer(2, Ack::default(), AppendResult::Matched(LogIndex(5)));
        assert_eq!(bench.raft.commit_index(), LogIndex(0), "5 of term 1 is on a majority (Figure 8)");
        bench.answer(2, Ack::default(), AppendResult::Matched(LogIndex(6)));
        assert_eq!(bench.raft.commit_index(), LogIndex(6));
    }
}
