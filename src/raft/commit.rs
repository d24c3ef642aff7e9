//! What is committed (5.3, 5.4.2), and what a quorum holds.

use super::event::Event;
use super::role::{Leader, Progress, Role};
use super::{Few, Raft};
use crate::types::LogIndex;

impl Leader {
    /// The largest value that a quorum has reached: `own` is this node's, `of` says a follower's. Everything that a
    /// leader decides by majority is decided here. A node that is joining has no say, and counts as having reached nothing.
    pub fn quorum_value<T: Copy + Ord + Default>(&self, own: T, of: impl Fn(&Progress) -> T) -> T {
        let reached =
            |progress: &Progress| if progress.answers.joining { T::default() } else { of(progress) };
        let mut values: Few<T> = self.followers.values().map(reached).chain([own]).collect();
        let quorum = values.len() / 2 + 1;
        // Each step asks several times: only the value at the quorum's place need be in order.
        *values.select_nth_unstable_by(quorum - 1, |a, b| b.cmp(a)).1
    }
}

impl Raft {
    pub(super) fn advance_commit_index(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        let majority = leader.quorum_value(self.durable_index(), |progress| progress.match_index);
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
        self.note_readmission(from.next(), index);
        if let Role::Leader(leader) = &mut self.role {
            let committed = self.log.weight(from.next(), index);
            leader.uncommitted_bytes = leader.uncommitted_bytes.saturating_sub(committed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RaftSettings;
    use crate::raft::bench::{Bench, recovered};
    use crate::raft::message::{Ack, AppendResult};
    use crate::types::EntryId;

    fn answer(bench: &mut Bench, from: u8, joining: bool, matched: u64) {
        let ack = Ack { store_id: 1, joining, ..Ack::default() };
        bench.answer(from, ack, AppendResult::Matched(LogIndex(matched)));
    }

    #[test]
    fn what_a_quorum_reached_is_the_value_of_its_least_member() {
        let mut bench = Bench::leader(&RaftSettings::default(), recovered(EntryId::ZERO, 5, 1));
        answer(&mut bench, 2, false, 2);
        answer(&mut bench, 3, false, 4);
        let matched = |own| bench.led().quorum_value(LogIndex(own), |progress| progress.match_index);
        assert_eq!([1, 3, 6].map(matched), [2, 3, 4].map(LogIndex));
    }

    #[test]
    fn a_node_that_is_joining_reaches_nothing() {
        let mut bench = Bench::leader(&RaftSettings::default(), recovered(EntryId::ZERO, 5, 1));
        answer(&mut bench, 2, true, 5);
        let matched = |bench: &Bench| bench.led().quorum_value(LogIndex(6), |progress| progress.match_index);
        assert_eq!(matched(&bench), LogIndex(0), "n3 holds nothing, and n2 has no say");
        answer(&mut bench, 3, true, 5);
        assert_eq!(matched(&bench), LogIndex(0), "one voter of three is left");
    }

    #[test]
    fn an_entry_of_an_earlier_term_is_committed_only_by_one_of_this_term() {
        let mut bench = Bench::leader(&RaftSettings::default(), recovered(EntryId::ZERO, 5, 1));
        answer(&mut bench, 2, false, 5);
        assert_eq!(bench.raft.commit_index(), LogIndex(0), "5 of term 1 is on a majority (Figure 8)");
        answer(&mut bench, 2, false, 6);
        assert_eq!(bench.raft.commit_index(), LogIndex(6));
    }
}
