//! Files that are new under a member's name, and files that lost what they held.
//!
//! A node that lost its files does not know for whom it voted, nor which entries it acknowledged. So it is another
//! server, with a number of its own: it answers and votes at once, and counts for nothing until a configuration names
//! its files. When it has caught up, the leader proposes that, by a joint change as for any new voter, and the safety of
//! that change is section 6's: the old files are a server that is down for good. An old disk that is put back is that
//! server again, and counts for nothing any more.
//!
//! A disk may also lose the end of a log that it had reported as durable. A start that can tell refuses. One that
//! cannot is recognised by the leader to which it acknowledged more in the same term: an intact follower cannot refuse an
//! entry that it acknowledged before the request was sent. Such a disk is not trusted with votes either: the leader
//! gives its files a new number, tells the node so, and they are new files from then on. What it voted
//! between its start and that word is the limit: a candidate that lacks what the disk lost may win by that vote.

use crate::raft::Raft;
use crate::raft::event::Event;
use crate::raft::message::{Ack, AppendResult, Body, Extra};
use crate::raft::role::{Progress, Role};
use crate::types::{LogIndex, Member, StoreId, Time};

impl Raft {
    /// The leader found that this node's files hold less than it acknowledged: they are new files from now on.
    pub(in crate::raft) fn handle_rejoin(&mut self, now: Time, from: Member, store_id: StoreId) {
        self.follow(now, from);
        if store_id > self.store_id {
            self.store_id = store_id;
            self.note(Event::Rejoining);
        }
    }

    /// An answer came to this leader. False when it says nothing about the files that have the sender's name now, or
    /// when the leader does not follow the sender any more.
    pub(in crate::raft) fn admit(&mut self, now: Time, from: Member) -> bool {
        let next_index = self.log.last().index.next();
        let Role::Leader(leader) = &mut self.role else { return false };
        let Some(progress) = leader.followers.get_mut(&from.node) else { return false };
        let (known, leaves) = (progress.answers.store_id, progress.answers.leaves);
        if from.store_id < known {
            if progress.answers.rejoins {
                // It has not heard it yet.
                self.send(from.node, Body::Extra(Extra::Rejoin { store_id: known }));
            }
            return false;
        }
        if from.store_id > known {
            *progress = Progress::new(from.store_id, next_index, now);
            progress.answers.leaves = leaves;
        }
        let answers = &mut progress.answers;
        answers.rejoins = false;
        answers.heard = answers.heard.max(now);
        answers.answered = Some(now);
        true
    }

    /// Whether a follower rejects an entry that it had acknowledged before it was sent the request: its disk lost it.
    /// Then its files count as lost and it is taken in again; where the others are too few for that, it is sent the rest.
    pub(in crate::raft) fn handle_loss(
        &mut self,
        now: Time,
        from: Member,
        result: AppendResult,
        ack: Ack,
    ) -> bool {
        let (own, configuration) = (self.member(), self.configurations.effective());
        let (AppendResult::Conflict { rejected, first, .. }, Role::Leader(leader)) = (result, &mut self.role)
        else {
            return false;
        };
        let node = from.node;
        // Without a quorum of the others, no entry could ever take it in again.
        let others = |voter: Member| {
            let known = leader.followers.get(&voter.node).map(|progress| progress.answers.store_id);
            voter.node != node && (voter == own || known == Some(voter.store_id))
        };
        let rejoins = configuration.is_voter(from) && configuration.reached(others);
        let Some(progress) = leader.followers.get_mut(&node) else { return false };
        let acknowledged = progress.match_index;
        if rejected == LogIndex(0) || rejected > acknowledged || ack.round <= progress.answers.matched_in {
            return false;
        }
        let store_id = from.store_id + u64::from(rejoins);
        *progress = Progress::new(store_id, first.clamp(LogIndex(1), acknowledged), now);
        progress.answers.rejoins = rejoins;
        let held = progress.next_index.previous();
        self.note(Event::AcknowledgedLost { node, acknowledged, held, rejoins });
        if rejoins {
            self.send(node, Body::Extra(Extra::Rejoin { store_id }));
        }
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
    use crate::types::{EntryId, FOUNDERS_STORE, NodeId, Term};

    /// The files that n2 lost, as each founder's, and those that it has now.
    const LOST: StoreId = FOUNDERS_STORE;
    const NEW: StoreId = 9;

    const fn matched(index: u64) -> AppendResult {
        AppendResult::Matched(LogIndex(index))
    }

    /// n1 leads term 2 with entries 1 to 4, of which nothing is committed.
    fn leader() -> Bench {
        Bench::leader(&RaftSettings::default(), recovered(EntryId::ZERO, 3, 1))
    }

    fn answer(bench: &mut Bench, from: u8, store_id: StoreId, result: AppendResult) -> Said {
        bench.answer_files(from, store_id, Ack::default(), result)
    }

    #[test]
    fn answers_of_files_that_are_gone_say_nothing() {
        let mut bench = leader();
        answer(&mut bench, 2, LOST, matched(3));
        assert_eq!(bench.progress(2).match_index, LogIndex(3));
        let empty = AppendResult::Conflict { rejected: LogIndex(3), term: None, first: LogIndex(1) };
        answer(&mut bench, 2, NEW, empty);
        assert_eq!(bench.progress(2).match_index, LogIndex(0), "what matched was in the files that are gone");
        let (round, heard) = (bench.progress(2).answers.round, bench.progress(2).answers.heard);
        bench.round();
        answer(&mut bench, 2, LOST, matched(4));
        let progress = bench.progress(2);
        assert_eq!(
            (progress.match_index, progress.answers.round, progress.answers.heard),
            (LogIndex(0), round, heard)
        );
        assert_eq!(progress.answers.store_id, NEW);
        assert_eq!(bench.raft.commit_index(), LogIndex(0));
    }

    #[test]
    fn copies_of_a_node_that_joins_commit_nothing() {
        let mut bench = leader();
        answer(&mut bench, 2, NEW, matched(4));
        assert_eq!(bench.progress(2).match_index, LogIndex(4));
        assert_eq!(bench.raft.commit_index(), LogIndex(0), "one of three that have a say holds it");
        answer(&mut bench, 3, FOUNDERS_STORE, matched(4));
        assert_eq!(bench.raft.commit_index(), LogIndex(4));
    }

    #[test]
    fn answers_of_a_node_that_joins_confirm_no_read() {
        let mut bench = leader();
        answer(&mut bench, 3, FOUNDERS_STORE, matched(4));
        let read = ReadRequest { id: 5, here: false, by_lease: false };
        let mut served = bench.step(Input::Read(read)).reads;
        served.extend(answer(&mut bench, 2, NEW, matched(4)).reads);
        assert!(served.is_empty(), "it cannot know that it follows no other leader");
        assert_eq!(answer(&mut bench, 3, FOUNDERS_STORE, matched(4)).reads, [5]);
    }

    #[test]
    fn answers_of_a_node_that_joins_keep_no_leader_in_office() {
        let leads_on = |answerer: StoreId| {
            let mut bench = leader();
            answer(&mut bench, 3, FOUNDERS_STORE, matched(4));
            let until = bench.now + RaftSettings::default().election_max * 2;
            while bench.now < until && matches!(bench.raft.role(), Role::Leader(_)) {
                bench.now = bench.raft.deadline();
                bench.step(Input::Read(ReadRequest { id: 0, here: false, by_lease: false }));
                if matches!(bench.raft.role(), Role::Leader(_)) {
                    answer(&mut bench, 2, answerer, matched(4));
                }
            }
            matches!(bench.raft.role(), Role::Leader(_))
        };
        assert!(leads_on(LOST), "n2 and n1 are a quorum");
        assert!(!leads_on(NEW), "n1 has heard no quorum for an election timeout (D 6.2)");
    }

    /// A leader to which n2 acknowledged entries 1 to 4, and n2's answer after it lost all behind the second.
    fn leader_of_one_that_lost(lost: StoreId) -> (Bench, Said) {
        let mut bench = leader();
        answer(&mut bench, 2, lost, matched(4));
        assert_eq!(bench.raft.commit_index(), LogIndex(4));
        bench.round();
        let said = answer(&mut bench, 2, lost, CONFLICT);
        (bench, said)
    }

    const CONFLICT: AppendResult =
        AppendResult::Conflict { rejected: LogIndex(4), term: None, first: LogIndex(3) };

    #[test]
    fn files_that_lost_what_they_acknowledged_count_as_lost() {
        let (mut bench, said) = leader_of_one_that_lost(LOST);
        let (acknowledged, held) = (LogIndex(4), LogIndex(2));
        let node = NodeId::new(2);
        assert!(said.events.contains(&Event::AcknowledgedLost { node, acknowledged, held, rejoins: true }));
        let rejoin = Body::Extra(Extra::Rejoin { store_id: LOST + 1 });
        assert_eq!(said.to(2).iter().filter(|body| ***body == rejoin).count(), 1);
        let progress = bench.progress(2);
        assert!(
            progress.answers.store_id == LOST + 1
                && progress.match_index == LogIndex(0)
                && progress.next_index == LogIndex(3)
        );
        let again = answer(&mut bench, 2, LOST, matched(4));
        assert_eq!(again.to(2), [&rejoin], "it is told until it knows");
        assert_eq!(
            bench.progress(2).match_index,
            LogIndex(0),
            "what these files acknowledge counts for nothing"
        );
        answer(&mut bench, 2, LOST + 1, matched(4));
        let progress = bench.progress(2);
        assert_eq!((progress.match_index, progress.answers.rejoins), (LogIndex(4), false));
    }

    #[test]
    fn a_node_that_is_told_so_takes_its_files_for_new_ones() {
        let hard_state = HardState { current_term: Term(1), store_id: 7, ..HardState::default() };
        let recovered = Recovered { hard_state, ..Recovered::default() };
        let mut bench = Bench::follower(2, &RaftSettings::default(), recovered);
        let said = bench.hear(1, 1, Body::Extra(Extra::Rejoin { store_id: 7 }));
        assert!(said.events.iter().all(|event| *event != Event::Rejoining), "an old word");
        let said = bench.hear(1, 1, Body::Extra(Extra::Rejoin { store_id: 8 }));
        assert!(said.events.contains(&Event::Rejoining));
        assert_eq!(bench.raft.store_id(), 8);
        assert!(bench.raft.is_hard_state_durable(), "a restart knows it too");
    }

    #[test]
    fn an_answer_to_a_request_of_an_earlier_term_confirms_no_round() {
        let mut bench = leader();
        answer(&mut bench, 3, FOUNDERS_STORE, matched(4));
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
        assert_eq!(answer(&mut bench, 3, FOUNDERS_STORE, matched(4)).reads, [5]);
    }

    #[test]
    fn an_answer_from_before_the_acknowledgement_shows_no_loss() {
        let mut bench = leader();
        bench.round();
        answer(&mut bench, 2, LOST, matched(4));
        let said = answer(&mut bench, 2, LOST, CONFLICT);
        assert!(said.to(2).is_empty(), "its request was sent before the leader heard of the acknowledgement");
        assert_eq!(bench.progress(2).match_index, LogIndex(4));
        bench.round();
        let beyond = AppendResult::Conflict { rejected: LogIndex(9), term: None, first: LogIndex(5) };
        answer(&mut bench, 2, LOST, beyond);
        assert_eq!(
            bench.progress(2).match_index,
            LogIndex(4),
            "beyond what it acknowledged it may lack anything"
        );
    }

    #[test]
    fn where_the_others_are_too_few_to_take_it_in_it_is_sent_the_rest() {
        let mut bench = leader();
        answer(&mut bench, 3, NEW, matched(4));
        answer(&mut bench, 2, LOST, matched(4));
        bench.round();
        let said = answer(&mut bench, 2, LOST, CONFLICT);
        let lost = |event: &Event| matches!(event, Event::AcknowledgedLost { rejoins: false, .. });
        assert!(said.events.iter().any(lost));
        assert!(
            matches!(said.to(2)[..], [Body::AppendEntries { prev, .. }] if *prev == id(2, 1)),
            "{said:?}"
        );
        assert_eq!(bench.progress(2).answers.store_id, LOST);
    }

    #[test]
    fn new_files_that_have_caught_up_take_the_old_ones_place_by_a_joint_change() {
        let mut bench = leader();
        answer(&mut bench, 3, FOUNDERS_STORE, matched(4));
        bench.round();
        answer(&mut bench, 2, NEW, matched(3));
        bench.round();
        assert_eq!(bench.raft.log().last(), id(4, 2), "it has not caught up");
        answer(&mut bench, 3, FOUNDERS_STORE, matched(4));
        answer(&mut bench, 2, NEW, matched(4));
        bench.round();
        let configuration = bench.raft.configuration();
        assert!(configuration.is_joint());
        assert_eq!(configuration.voters[&NodeId::new(2)], NEW);
        assert_eq!(bench.raft.log().last(), id(5, 2));
        answer(&mut bench, 2, NEW, matched(5));
        assert_eq!(bench.raft.commit_index(), LogIndex(4), "n1 alone holds it of the old voters");
        answer(&mut bench, 3, FOUNDERS_STORE, matched(5));
        assert_eq!(bench.raft.commit_index(), LogIndex(5));
        let configuration = bench.raft.configuration();
        assert!(!configuration.is_joint(), "C_new follows in the same step");
        assert_eq!(configuration.voters[&NodeId::new(2)], NEW);
        answer(&mut bench, 2, NEW, matched(6));
        assert_eq!(bench.raft.commit_index(), LogIndex(6), "the new files are a majority with n1");
    }

    #[test]
    fn an_old_disk_that_is_put_back_counts_for_nothing() {
        let mut bench = leader();
        answer(&mut bench, 3, FOUNDERS_STORE, matched(4));
        answer(&mut bench, 2, NEW, matched(4));
        bench.round();
        let said = answer(&mut bench, 2, LOST, matched(4));
        assert!(said.messages.is_empty(), "{said:?}");
        assert_eq!(bench.progress(2).answers.store_id, NEW);
    }
}
