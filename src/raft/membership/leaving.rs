//! Members that a configuration leaves out.
//!
//! - A leader that is left out leads on until `C_new` is committed, and counts itself for nothing (section 6). Then it
//!   hands over to a voter that holds all it has, and steps down after one shortest election timeout in any case.
//! - Others that are left out are sent entries until they have answered with the commit index of `C_new`, but no longer
//!   than the longest election timeout: a node that knows that it is left out starts no election any more (D 4.2.3).
//! - A node that knows that a committed configuration leaves its files out is *retired*, also after a restart. It never
//!   campaigns. It answers as before, since others may need its vote for what it still holds.

use super::Configured;
use super::configuration::Configuration;
use super::led::Departure;
use crate::raft::Raft;
use crate::raft::event::{Event, TransferReason};
use crate::raft::role::Role;
use crate::types::{LogIndex, NodeId, Time};

impl Raft {
    /// Whether this node's files were members by the configuration that it knew to be committed, and are none by this. New
    /// files whose joint configuration is taken back were none: they wait for the next change.
    pub(super) fn is_left_out_by(&self, configuration: &Configuration) -> bool {
        let member = self.member();
        let before = self.committed_configuration();
        before.is_some_and(|before| before.configuration.named_before(member)) && !configuration.names(member)
    }

    pub(super) fn retire_if(&mut self, left_out: bool) {
        if left_out && !self.retired {
            self.retired = true;
            self.note(Event::Retired);
        }
    }

    /// Entries behind this index were committed.
    pub(in crate::raft) fn apply_committed_members(&mut self, from: LogIndex) {
        if self.configurations.newest().is_none_or(|newest| newest.index <= from) {
            return;
        }
        let member = self.member();
        let known = self.configurations.from(from).to_vec();
        let mut named = false;
        for Configured { index, configuration } in known {
            let before = std::mem::replace(&mut named, configuration.named_before(member));
            if index > from && index <= self.commit_index {
                self.retire_if(before && !configuration.names(member));
                self.note(Event::MembersCommitted { index, configuration });
                self.tell_those_who_leave(index);
            }
        }
    }

    /// The configuration at this index is committed: followers that no configuration names any more are told so.
    fn tell_those_who_leave(&mut self, index: LogIndex) {
        let longest = self.settings.election_max;
        let known = self.configurations.from(self.commit_index);
        let Role::Leader(leader) = &mut self.role else { return };
        let round = leader.rounds.newest + 1;
        let until = leader.heartbeat_due + longest;
        for (node, progress) in &mut leader.followers {
            let named = known.iter().any(|one| one.configuration.contains(*node));
            if !named && progress.answers.leaves.is_none() {
                progress.answers.leaves = Some(Departure { round, index, until });
            }
        }
        // The next heartbeat tells them, at once.
        leader.rounds.wanted = true;
    }

    /// Lets go of followers that leave and know it, or have not answered for long enough.
    pub(in crate::raft) fn forget_those_who_left(&mut self, now: Time) {
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.followers.values().all(|progress| progress.answers.leaves.is_none()) {
            return;
        }
        let before = leader.followers.len();
        leader.followers.retain(|_, progress| {
            let gone = |leaves: Departure| {
                now >= leaves.until || leaves.knows(progress.answers.round, progress.match_index)
            };
            !progress.answers.leaves.is_some_and(gone)
        });
        if leader.followers.len() < before {
            // What was kept for a snapshot on its way to one of them is needed no more.
            self.compact();
        }
    }

    /// A leader that is no voter any more, by a configuration that is committed, hands over, and steps down when that
    /// is given up.
    pub(in crate::raft) fn leave_office_if_left_out(&mut self, now: Time) {
        let Some(newest) = self.configurations.newest().filter(|newest| newest.index <= self.commit_index)
        else {
            return;
        };
        let own = self.member();
        if newest.configuration.is_voter(own) || self.hands_over() {
            return;
        }
        let Role::Leader(leader) = &self.role else { return };
        let matched = |node: &NodeId| leader.followers.get(node).map(|progress| progress.match_index);
        if let Some(target) = newest.configuration.voters.keys().copied().max_by_key(matched) {
            self.begin_hand_over(now, target, true, TransferReason::LeftOut);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::RaftSettings;
    use crate::raft::Recovered;
    use crate::raft::bench::{Bench, id, recovered};
    use crate::raft::effects::{Change, ChangeRequest, HardState, Input, SnapshotReport};
    use crate::raft::entry::{Content, Entry};
    use crate::raft::message::{Ack, AppendResult, Beat, Body, Files, Message};
    use crate::types::{EntryId, FOUNDERS_STORE, Member, Random, StoreId, Term};

    /// Entries 1, 2 and 3.
    fn entries(all: [Configuration; 3]) -> Vec<Entry> {
        let entry = |(configuration, index)| {
            let content = Content::Members(Arc::new(configuration));
            Entry { index: LogIndex(index), term: Term(1), content }
        };
        all.into_iter().zip(1..).map(entry).collect()
    }

    fn n3(store_id: StoreId, entries: Vec<Entry>) -> Raft {
        let hard_state = HardState { current_term: Term(1), store_id, ..HardState::default() };
        let recovered = Recovered { hard_state, entries, ..Recovered::default() };
        Raft::new(NodeId::new(3), RaftSettings::default(), recovered, Random::new(3), Time::ZERO)
    }

    #[test]
    fn new_files_whose_change_is_taken_back_do_not_retire() {
        let mut raft = n3(9, Vec::new());
        let old = Configuration::founders(NodeId::first(3));
        let mut joint = Configuration { outgoing: Some(old.voters.clone()), ..old.clone() };
        joint.voters.insert(NodeId::new(3), 9);
        let (entries, commit) = (entries([old.clone(), joint, old]), LogIndex(3));
        let body = Body::AppendEntries { prev: EntryId::ZERO, entries, commit, beat: Beat::default() };
        let files = Files { sender: FOUNDERS_STORE, answered: 0 };
        let message = Message { from: NodeId::new(1), to: NodeId::new(3), term: Term(1), files, body };
        raft.step(Time::ZERO, &mut vec![Input::Message(message)]);
        assert_eq!(raft.commit_index(), LogIndex(3));
        assert!(!raft.hard_state().retired, "a later change may take it in");
    }

    #[test]
    fn who_is_left_out_by_the_end_of_its_log_campaigns_after_a_restart() {
        let [two, three] = [2, 3].map(|count| Configuration::founders(NodeId::first(count)));
        let joint = Configuration { outgoing: Some(three.voters.clone()), ..two.clone() };
        let mut raft = n3(FOUNDERS_STORE, entries([three, joint, two]));
        raft.step(Time::ZERO + Duration::from_secs(9), &mut Vec::new());
        assert!(matches!(raft.role(), Role::PreCandidate { .. }), "n1 and n2 may lack the last entries");
    }

    #[test]
    fn a_follower_that_left_holds_back_no_entries() {
        let settings = RaftSettings { trailing_entries: 0, ..RaftSettings::default() };
        let mut bench = Bench::leader(&settings, recovered(id(5, 1), 7, 1));
        let ack = Ack { round: 0, boot_id: 1 };
        let holds = |index| AppendResult::Matched(LogIndex(index));
        bench.answer(2, ack, holds(8));
        let empty = AppendResult::Conflict { rejected: LogIndex(7), term: None, first: LogIndex(1) };
        bench.answer(3, ack, empty);
        let change = Change::Remove(NodeId::new(3));
        bench.step(Input::Change(ChangeRequest::new(change, LogIndex(0), false)));
        bench.answer(2, ack, holds(9));
        bench.answer(2, ack, holds(10));
        assert_eq!(bench.raft.commit_index(), LogIndex(10), "n1 and n2 are the members");
        bench.step(Input::Snapshot(SnapshotReport::Saved(id(10, 2))));
        assert_eq!(bench.raft.log().base(), id(5, 1), "n3 is still sent the snapshot up to 5");
        while bench.led().followers.contains_key(&NodeId::new(3)) {
            bench.round();
            bench.answer(2, ack, holds(10));
        }
        assert_eq!(bench.raft.log().base(), id(10, 2), "no entry is appended that would compact the log");
    }

    #[test]
    fn what_a_follower_held_that_left_is_not_said_of_the_next_one_of_its_name() {
        let mut bench = Bench::leader(&RaftSettings::default(), recovered(id(5, 1), 7, 1));
        let ack = Ack { round: 0, boot_id: 1 };
        let holds = |index| AppendResult::Matched(LogIndex(index));
        bench.answer(2, ack, holds(8));
        bench.answer(3, ack, holds(8));
        let ask = |change, made_for| Input::Change(ChangeRequest::new(change, made_for, false));
        let n3 = NodeId::new(3);
        bench.step(ask(Change::Remove(n3), LogIndex(0)));
        bench.answer(2, ack, holds(9));
        bench.answer(3, ack, holds(9));
        bench.answer(2, ack, holds(10));
        assert_eq!(bench.raft.commit_index(), LogIndex(10), "n1 and n2 are the members");
        assert_eq!(bench.progress(3).match_index, LogIndex(9), "it is not told yet that it has left");
        let new = Member { node: n3, store_id: 99 };
        bench.step(ask(Change::Add { new, learner: false }, LogIndex(10)));
        assert_eq!((bench.progress(3).answers.store_id, bench.progress(3).match_index), (99, LogIndex(0)));
        assert_eq!(bench.progress(3).answers.answered, None);
    }
}
