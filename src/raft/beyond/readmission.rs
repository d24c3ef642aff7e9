//! A node that lost its files comes back under its name: it joins again as a non-voting member, and is readmitted.
//!
//! It does not know for whom it voted, nor which entries it held. If it voted again, it could vote twice in a term; if
//! its copies counted, or it were elected, a committed entry could be lost. So it starts as a node that *joins*: it
//! gives no vote, never campaigns, and what it holds counts for no quorum. When it has caught up, the leader appends
//! an entry that readmits it, by its store id, which names the files that it has now. It votes again once it knows this entry to
//! be committed.
//!
//! Why this is safe: suppose that the entry is committed in term t, by a majority C without the node; and that a vote
//! which the node gave before it lost its files counts for a candidate of a later term u, with a majority V. C and V
//! share a member other than the node. If that member held the entry first, it refuses a candidate without it, and a
//! candidate that holds it began its election after the entry was appended, when the node had lost its files already.
//! If it voted first, it was in term u, and took no entry of term t any more. So no such candidate wins: no vote
//! from before elects a leader, the node itself included, and it may vote again even in a term in which it voted once.
//!
//! A vote that another node gave *to* it before may still arrive and count. That voter's log held nothing then that the
//! node's did not, and it took nothing of an earlier term since; what of it is committed lies before the readmission,
//! by the same argument, and the node holds that again.
//!
//! A disk may also lose the end of a log that it had reported as durable. A start that can tell refuses. One that
//! cannot is recognised by the leader to which it acknowledged more in the same term: an intact follower cannot refuse an
//! entry that it acknowledged before the request was sent. Such a disk is not trusted with votes either, so its files
//! count as lost: the leader knows them by a new store id, tells the node so, and the node joins again. What it voted
//! between its start and that word is the limit: a candidate that lacks what the disk lost may win by that vote.

use super::message::{Ack, Extra};
use crate::raft::Raft;
use crate::raft::entry::{Content, Entry};
use crate::raft::event::Event;
use crate::raft::message::{AppendResult, Body};
use crate::raft::role::{Progress, Role};
use crate::types::{LogIndex, NodeId, StoreId, Time};

impl Raft {
    /// Whether this node is a non-voting member: it lost its files and is not readmitted yet.
    pub fn joins(&self) -> bool {
        self.beyond.joining
    }

    /// Tells this node's files from others that were under its name.
    pub fn store_id(&self) -> StoreId {
        self.beyond.store_id
    }

    /// The leader found that this node's files hold less than it acknowledged: they count as lost.
    pub(super) fn handle_rejoin(&mut self, now: Time, from: NodeId, store_id: StoreId) {
        self.follow(now, from);
        if store_id > self.beyond.store_id {
            self.beyond.store_id = store_id;
            self.beyond.joining = true;
            self.note(Event::Rejoining);
        }
    }

    /// Entries were committed: is one of them this node's readmission?
    pub(in crate::raft) fn note_readmission(&mut self, first: LogIndex, last: LogIndex) {
        if !self.beyond.joining {
            return;
        }
        let (node, store_id) = (self.id, self.beyond.store_id);
        let readmits = |entry: &Entry| entry.content == Content::Readmit { node, store_id };
        if self.log.range(first, last).any(readmits) {
            self.beyond.joining = false;
            self.note(Event::Readmitted);
        }
    }
}

impl Raft {
    /// Takes in what an answer says of its sender. False when it says nothing about the node that has its place now.
    pub(super) fn admit(&mut self, now: Time, from: NodeId, ack: Ack) -> bool {
        let next_index = self.log.last().index.next();
        let Role::Leader(leader) = &mut self.role else { return false };
        let progress = leader.progress_mut(from);
        let admitted = progress.admit(ack, next_index, now);
        let (joining, store_id) = (progress.answers.joining, progress.answers.store_id);
        if !admitted && joining {
            // Perhaps its files count as lost, and it has not heard it yet.
            self.send(from, Body::Extra(Extra::Rejoin { store_id }));
        }
        admitted
    }

    /// Whether a follower rejects an entry that it had acknowledged before it was sent the request: its disk lost it.
    /// Then its files count as lost and it is to join again, or, where the others are too few, it is sent the rest again.
    pub(in crate::raft) fn handle_loss(
        &mut self,
        now: Time,
        node: NodeId,
        result: AppendResult,
        ack: Ack,
    ) -> bool {
        let (quorum, members) = (self.quorum(), self.members.len());
        let (AppendResult::Conflict { rejected, first, .. }, Role::Leader(leader)) = (result, &mut self.role)
        else {
            return false;
        };
        let voters = members - leader.followers.values().filter(|progress| progress.answers.joining).count();
        let progress = leader.progress_mut(node);
        let acknowledged = progress.match_index;
        if rejected == LogIndex(0) || rejected > acknowledged || ack.round <= progress.answers.matched_in {
            return false;
        }
        let (joining, store_id) = (progress.answers.joining, progress.answers.store_id);
        *progress = Progress::new(first.clamp(LogIndex(1), acknowledged), now);
        let held = progress.next_index.previous();
        // Without a quorum of the others, no entry could ever readmit it.
        let rejoins = !joining && voters > quorum;
        let store_id = store_id + u64::from(rejoins);
        (progress.answers.joining, progress.answers.store_id) = (joining || rejoins, store_id);
        self.note(Event::AcknowledgedLost { node, acknowledged, held, rejoins });
        if rejoins {
            self.send(node, Body::Extra(Extra::Rejoin { store_id }));
        }
        true
    }

    /// Readmits one that has caught up with what was committed when the last round of heartbeats began.
    pub(super) fn readmit(&mut self) {
        let (term, index) = (self.current_term, self.log.last().index.next());
        let covered = self.snapshot.index;
        let Role::Leader(leader) = &mut self.role else { return };
        let caught_up = std::mem::replace(&mut leader.rounds.caught_up, self.commit_index);
        let ready = |(_, progress): &(&NodeId, &mut Progress)| {
            // A node that got its entry within a snapshot does not see it, and needs another.
            let pending = progress.answers.readmitted_by.is_some_and(|index| index > covered);
            progress.answers.joining && !pending && progress.match_index >= caught_up
        };
        let Some((&node, progress)) = leader.followers.iter_mut().find(ready) else { return };
        progress.answers.readmitted_by = Some(index);
        let content = Content::Readmit { node, store_id: progress.answers.store_id };
        self.log.append(Entry { index, term, content });
        self.note(Event::Readmitting { node });
    }
}

impl Progress {
    /// Takes in what an answer says of its sender. False when the answer comes from files that are gone: it says
    /// nothing about the node that has their place now.
    fn admit(&mut self, ack: Ack, next_index: LogIndex, now: Time) -> bool {
        let known = self.answers.store_id;
        if ack.store_id < known {
            return false;
        }
        if ack.store_id > known {
            if known > 0 {
                *self = Progress::new(next_index, now);
            }
            self.answers.store_id = ack.store_id;
            self.answers.joining = ack.joining;
        }
        // A readmission is final: an older answer does not undo it.
        self.answers.joining &= ack.joining;
        self.answers.heard = self.answers.heard.max(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RaftSettings;
    use crate::raft::Recovered;
    use crate::raft::bench::{Bench, Said, id, recovered};
    use crate::raft::effects::{HardState, Input, ReadRequest};
    use crate::raft::message::{Beat, Cause};
    use crate::types::{EntryId, Term};

    /// The files that n2 lost, and those that it has now.
    const LOST: Ack = Ack { round: 0, boot_id: 1, store_id: 7, joining: false };
    const NEW: Ack = Ack { round: 0, boot_id: 2, store_id: 9, joining: true };
    const READMITTED: Ack = Ack { joining: false, ..NEW };
    const OTHER: Ack = Ack { round: 0, boot_id: 3, store_id: 1, joining: false };

    const fn matched(index: u64) -> AppendResult {
        AppendResult::Matched(LogIndex(index))
    }

    /// n1 leads term 2 with entries 1 to 4, of which nothing is committed.
    fn leader() -> Bench {
        Bench::leader(&RaftSettings::default(), recovered(EntryId::ZERO, 3, 1))
    }

    /// n2, which lost its files.
    fn joining() -> Bench {
        let store_id = NEW.store_id;
        let hard_state = HardState { current_term: Term(1), joining: true, store_id, ..HardState::default() };
        let recovered = Recovered { hard_state, ..Recovered::default() };
        Bench::follower(2, &RaftSettings::default(), recovered)
    }

    #[test]
    fn answers_of_files_that_are_gone_say_nothing() {
        let mut bench = leader();
        bench.answer(2, LOST, matched(3));
        assert_eq!(bench.progress(2).match_index, LogIndex(3));
        let empty = AppendResult::Conflict { rejected: LogIndex(3), term: None, first: LogIndex(1) };
        bench.answer(2, NEW, empty);
        assert_eq!(bench.progress(2).match_index, LogIndex(0), "what matched was in the files that are gone");
        let (round, heard) = (bench.progress(2).answers.round, bench.progress(2).answers.heard);
        bench.round();
        bench.answer(2, LOST, matched(4));
        let progress = bench.progress(2);
        assert_eq!(
            (progress.match_index, progress.answers.round, progress.answers.heard),
            (LogIndex(0), round, heard)
        );
        assert!(progress.answers.joining);
        assert_eq!(bench.raft.commit_index(), LogIndex(0));
    }

    #[test]
    fn copies_of_a_node_that_joins_commit_nothing() {
        let mut bench = leader();
        bench.answer(2, NEW, matched(4));
        assert_eq!(bench.progress(2).match_index, LogIndex(4));
        assert_eq!(bench.raft.commit_index(), LogIndex(0), "one of three that have a say holds it");
        bench.answer(3, OTHER, matched(4));
        assert_eq!(bench.raft.commit_index(), LogIndex(4));
    }

    #[test]
    fn answers_of_a_node_that_joins_confirm_no_read() {
        let mut bench = leader();
        bench.answer(3, OTHER, matched(4));
        let read = ReadRequest { id: 5, here: false, by_lease: false };
        let mut served = bench.step(Input::Read(read)).reads;
        served.extend(bench.answer(2, NEW, matched(4)).reads);
        assert!(served.is_empty(), "it cannot know that it follows no other leader");
        assert_eq!(bench.answer(3, OTHER, matched(4)).reads, [5]);
    }

    #[test]
    fn answers_of_a_node_that_joins_keep_no_leader_in_office() {
        let leads_on = |answerer: Ack| {
            let mut bench = leader();
            bench.answer(3, OTHER, matched(4));
            let until = bench.now + RaftSettings::default().election_max * 2;
            while bench.now < until && matches!(bench.raft.role(), Role::Leader(_)) {
                bench.now = bench.raft.deadline();
                bench.step(Input::Read(ReadRequest { id: 0, here: false, by_lease: false }));
                if matches!(bench.raft.role(), Role::Leader(_)) {
                    bench.answer(2, answerer, matched(4));
                }
            }
            matches!(bench.raft.role(), Role::Leader(_))
        };
        assert!(leads_on(LOST), "n2 and n1 are a quorum");
        assert!(!leads_on(NEW), "n1 has heard no quorum for an election timeout (D 6.2)");
    }

    #[test]
    fn who_has_caught_up_is_readmitted_once_by_its_files() {
        let mut bench = leader();
        bench.answer(3, OTHER, matched(4));
        bench.round();
        bench.answer(2, NEW, matched(2));
        bench.round();
        bench.answer(2, NEW, matched(3));
        bench.round();
        assert_eq!(bench.raft.log().last(), id(4, 2), "it has not caught up");
        bench.answer(2, NEW, matched(4));
        bench.round();
        let entry = bench.raft.log().get(LogIndex(5)).expect("an entry readmits it").content.clone();
        assert_eq!(entry, Content::Readmit { node: NodeId::new(2), store_id: NEW.store_id });
        bench.answer(2, NEW, matched(5));
        bench.round();
        assert_eq!(bench.raft.log().last(), id(5, 2), "once is enough");
        assert_eq!(bench.raft.commit_index(), LogIndex(4), "its own copy does not count for that");
        bench.answer(3, OTHER, matched(5));
        assert_eq!(bench.raft.commit_index(), LogIndex(5));
        bench.answer(2, READMITTED, matched(5));
        bench.answer(2, NEW, matched(5));
        assert!(!bench.progress(2).answers.joining, "an older answer does not undo it");
    }

    #[test]
    fn only_an_entry_for_these_files_that_is_committed_readmits() {
        let mut bench = joining();
        let readmit = |index, node, store_id| {
            let content = Content::Readmit { node: NodeId::new(node), store_id };
            Entry { index: LogIndex(index), term: Term(1), content }
        };
        let entries = vec![readmit(1, 2, LOST.store_id), readmit(2, 3, NEW.store_id)];
        bench.hear_entries(1, 1, EntryId::ZERO, entries, 2);
        assert!(bench.raft.joins(), "one is for files that are gone, one for another node");
        bench.hear_entries(1, 1, id(2, 1), vec![readmit(3, 2, NEW.store_id)], 2);
        assert!(bench.raft.joins(), "it is not known to be committed");
        let said = bench.hear_entries(1, 1, id(3, 1), Vec::new(), 3);
        assert!(!bench.raft.joins());
        assert!(said.events.contains(&Event::Readmitted));
        assert!(bench.raft.is_hard_state_durable(), "a restart knows it too");
    }

    /// A leader to which n2 acknowledged entries 1 to 4, and n2's answer after it lost all behind the second.
    fn leader_of_one_that_lost(lost: Ack) -> (Bench, Said) {
        let mut bench = leader();
        bench.answer(2, lost, matched(4));
        assert_eq!(bench.raft.commit_index(), LogIndex(4));
        bench.round();
        let said = bench.answer(2, lost, CONFLICT);
        (bench, said)
    }

    const CONFLICT: AppendResult =
        AppendResult::Conflict { rejected: LogIndex(4), term: None, first: LogIndex(3) };

    #[test]
    fn files_that_lost_what_they_acknowledged_count_as_lost_and_join_again() {
        let (mut bench, said) = leader_of_one_that_lost(LOST);
        let (acknowledged, held) = (LogIndex(4), LogIndex(2));
        let node = NodeId::new(2);
        assert!(said.events.contains(&Event::AcknowledgedLost { node, acknowledged, held, rejoins: true }));
        let rejoin = Body::Extra(Extra::Rejoin { store_id: LOST.store_id + 1 });
        assert_eq!(said.to(2).iter().filter(|body| ***body == rejoin).count(), 1);
        let progress = bench.progress(2);
        assert!(
            progress.answers.joining
                && progress.match_index == LogIndex(0)
                && progress.next_index == LogIndex(3)
        );
        let again = bench.answer(2, LOST, matched(4));
        assert_eq!(again.to(2), [&rejoin], "it is told until it knows");
        assert_eq!(
            bench.progress(2).match_index,
            LogIndex(0),
            "what these files acknowledge counts for nothing"
        );
        let joined = Ack { store_id: LOST.store_id + 1, joining: true, ..LOST };
        bench.answer(2, joined, matched(4));
        assert_eq!((bench.progress(2).match_index, bench.progress(2).answers.joining), (LogIndex(4), true));
    }

    #[test]
    fn a_node_that_is_told_so_joins_again_by_its_new_incarnation() {
        let hard_state = HardState { current_term: Term(1), store_id: 7, ..HardState::default() };
        let recovered = Recovered { hard_state, ..Recovered::default() };
        let mut bench = Bench::follower(2, &RaftSettings::default(), recovered);
        let said = bench.hear(1, 1, Body::Extra(Extra::Rejoin { store_id: 7 }));
        assert!(
            !bench.raft.joins() && said.events.iter().all(|event| *event != Event::Rejoining),
            "an old word"
        );
        let said = bench.hear(1, 1, Body::Extra(Extra::Rejoin { store_id: 8 }));
        assert!(bench.raft.joins() && said.events.contains(&Event::Rejoining));
        assert_eq!(bench.raft.store_id(), 8);
        assert!(bench.raft.is_hard_state_durable(), "a restart knows it too");
        assert_eq!(
            bench.hear(3, 2, Body::RequestVote { last: id(9, 1), cause: Cause::Request }).to(3),
            [&Body::VoteReply { granted: false }]
        );
    }

    #[test]
    fn an_answer_to_a_request_of_an_earlier_term_confirms_no_round() {
        let mut bench = leader();
        bench.answer(3, OTHER, matched(4));
        let (term, round) = (bench.raft.current_term().0, bench.led().rounds.newest);
        let mut other = Bench::follower(3, &RaftSettings::default(), recovered(EntryId::ZERO, 3, 1));
        other.hear(2, term, Body::RequestVote { last: id(9, 1), cause: Cause::Request });
        // The node led before, and began more rounds then.
        let beat = Beat { round: round + 40, ..Beat::default() };
        let (prev, entries, commit) = (id(3, 1), Vec::new(), LogIndex(0));
        let said = other.hear(1, term - 1, Body::AppendEntries { prev, entries, commit, beat });
        let [reply @ Body::AppendReply { result: AppendResult::StaleTerm, .. }] = said.to(1)[..] else {
            panic!("{said:?}");
        };
        let reply = reply.clone();
        bench.hear(3, term, reply);
        assert_eq!(bench.progress(3).answers.round, round, "its round was not one of this term");
        let read = ReadRequest { id: 5, here: false, by_lease: false };
        assert!(bench.step(Input::Read(read)).reads.is_empty(), "its round is not answered");
        assert_eq!(bench.answer(3, OTHER, matched(4)).reads, [5]);
    }

    #[test]
    fn an_answer_from_before_the_acknowledgement_shows_no_loss() {
        let mut bench = leader();
        bench.round();
        bench.answer(2, LOST, matched(4));
        let said = bench.answer(2, LOST, CONFLICT);
        assert!(said.to(2).is_empty(), "its request was sent before the leader heard of the acknowledgement");
        assert_eq!((bench.progress(2).match_index, bench.progress(2).answers.joining), (LogIndex(4), false));
        bench.round();
        bench.answer(
            2,
            LOST,
            AppendResult::Conflict { rejected: LogIndex(9), term: None, first: LogIndex(5) },
        );
        assert_eq!(
            bench.progress(2).match_index,
            LogIndex(4),
            "beyond what it acknowledged it may lack anything"
        );
    }

    #[test]
    fn where_the_others_are_too_few_to_readmit_it_it_is_sent_the_rest() {
        let mut bench = leader();
        bench.answer(3, Ack { joining: true, ..OTHER }, matched(4));
        bench.answer(2, LOST, matched(4));
        bench.round();
        let said = bench.answer(2, LOST, CONFLICT);
        let lost = |event: &Event| matches!(event, Event::AcknowledgedLost { rejoins: false, .. });
        assert!(said.events.iter().any(lost));
        assert!(
            matches!(said.to(2)[..], [Body::AppendEntries { prev, .. }] if *prev == id(2, 1)),
            "{said:?}"
        );
        assert!(!bench.progress(2).answers.joining);
    }

    #[test]
    fn a_node_that_joins_gives_no_vote_and_starts_no_election() {
        let mut bench = joining();
        let last = id(9, 1);
        let refused = bench.hear(3, 2, Body::RequestVote { last, cause: Cause::Request });
        assert_eq!(refused.to(3), [&Body::VoteReply { granted: false }]);
        let refused = bench.hear(3, 2, Body::Extra(Extra::PreVote { next_term: Term(3), last }));
        assert_eq!(refused.to(3), [&Body::Extra(Extra::PreVoteReply { next_term: Term(3), granted: false })]);
        for input in [Input::Campaign, Input::SetElectionTimer(std::time::Duration::ZERO)] {
            let said = bench.step(input);
            assert_eq!((said.messages, bench.raft.current_term()), (vec![], Term(2)));
        }
        assert_eq!(bench.raft.voted_for(), None);
    }
}
