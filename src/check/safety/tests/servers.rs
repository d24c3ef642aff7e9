//! A server is a name with its files: what lost files said stays theirs, and says nothing of those that replace them.

use super::*;

/// n1 commits its no-op while n2's name stands for these files, which hold it.
fn commits_with(files: &[StoreId]) -> (Safety, Raft) {
    let (mut safety, mut n1) = elected();
    for &store_id in files {
        safety.started(&follower(2, store_id, vec![no_op_of_2()]));
    }
    n1.commit_index = LogIndex(9);
    safety.observe(&idle(&n1), std::iter::empty());
    (safety, n1)
}

#[test]
fn only_the_copy_of_a_members_files_commits() {
    assert_eq!(found(&commits_with(&[]).0), Some(Property::CommitRule), "n1 holds it alone");
    assert_eq!(found(&commits_with(&[FOUNDERS_STORE]).0), None);
    assert_eq!(found(&commits_with(&[95]).0), Some(Property::CommitRule), "n2#95 is no member");
}

#[test]
fn what_lost_files_held_counts_for_the_leader_that_was_told_of_it() {
    let (mut safety, mut n1) = elected();
    safety.started(&follower(2, FOUNDERS_STORE, vec![no_op_of_2()]));
    let empty = HardState { store_id: 95, ..HardState::default() };
    safety.started(&started(2, Recovered { hard_state: empty, ..Recovered::default() }));
    n1.commit_index = LogIndex(9);
    safety.observe(&idle(&n1), std::iter::empty());
    assert_eq!(safety.violations(), []);
}

#[test]
fn a_disk_that_is_put_back_is_the_server_that_it_was() {
    let complaint = |behind| {
        let (mut safety, _) = commits_with(&[FOUNDERS_STORE, 95]);
        safety.started(&follower(2, FOUNDERS_STORE, behind));
        found(&safety)
    };
    assert_eq!(complaint(vec![no_op_of_2()]), None);
    assert_eq!(
        complaint(Vec::new()),
        Some(Property::CommittedIsDurable),
        "it held 9 before it was taken out"
    );
}

#[test]
fn files_vote_once_a_term_for_one_candidates_files() {
    let complaint = |store_id, candidate: Member| {
        let (mut safety, _) = elected();
        let hard_state = HardState { voted_for: Some(candidate), store_id, ..in_term(2) };
        let n3 = started(3, Recovered { hard_state, ..Recovered::default() });
        if store_id != FOUNDERS_STORE {
            safety.started(&n3);
        }
        let files = Files { sender: store_id, answered: candidate.store_id };
        let body = Body::VoteReply { granted: true };
        let vote = Message { from: n3.id(), to: candidate.node, term: Term(2), files, body };
        safety.observe(&idle(&n3), [vote].iter());
        found(&safety)
    };
    assert_eq!(complaint(FOUNDERS_STORE, founder(1)), None, "it says again what it said");
    assert_eq!(complaint(FOUNDERS_STORE, founder(2)), Some(Property::OneVote), "n3#1 voted for n1");
    let wiped = Member { store_id: 95, ..founder(1) };
    assert_eq!(
        complaint(FOUNDERS_STORE, wiped),
        Some(Property::OneVote),
        "n1#95 is another candidate than n1#1"
    );
    assert_eq!(complaint(95, founder(2)), None, "n3 lost its files, and new ones vote in their place");
}

#[test]
fn a_term_has_one_leader_whose_files_lead_it() {
    let complaint = |store_id| {
        let (mut safety, n1) = elected();
        let files = Files { sender: store_id, answered: 0 };
        let body = Body::AppendEntries {
            prev: EntryId::ZERO,
            entries: Vec::new(),
            commit: LogIndex(0),
            beat: crate::raft::message::Beat::default(),
        };
        let heartbeat = Message { to: NodeId::new(2), files, ..said(2, body) };
        let heartbeat = Message { from: n1.id(), ..heartbeat };
        let wiped = HardState { store_id: 95, ..in_term(2) };
        safety.started(&started(1, Recovered { hard_state: wiped, ..Recovered::default() }));
        safety.observe(&idle(&n1), [heartbeat].iter());
        found(&safety)
    };
    assert_eq!(complaint(FOUNDERS_STORE), None);
    assert_eq!(complaint(95), Some(Property::ElectionSafety), "n1#1 leads the term, not n1#95");
    assert_eq!(complaint(7), Some(Property::NothingPromisedEarly), "n1 never had these files");
}

#[test]
fn a_leader_has_the_votes_of_a_quorum() {
    let complaint = |voter: Option<(u8, StoreId)>| {
        let mut safety = Safety::default();
        let n1 = leader();
        safety.started(&node(1, 0, 0, (1..=8).map(no_op).collect()));
        if let Some((name, store_id)) = voter {
            let hard_state = HardState { store_id, ..voted_for(1) };
            let raft = started(name, Recovered { hard_state, ..Recovered::default() });
            safety.started(&raft);
            let files = Files { sender: store_id, answered: FOUNDERS_STORE };
            let vote = Message { files, from: raft.id(), ..said(2, Body::VoteReply { granted: true }) };
            safety.observe(&idle(&raft), [vote].iter());
        }
        let write = Write { id: 1, hard_state: Some(voted_for(1)), ..Write::default() };
        safety.observe(
            &Step { persisted: Some(1), write: Some(Written::of(&n1, &write)), ..idle(&n1) },
            std::iter::empty(),
        );
        found(&safety)
    };
    assert_eq!(complaint(Some((3, FOUNDERS_STORE))), None);
    assert_eq!(complaint(None), Some(Property::ElectionSafety), "its own vote is one of three");
    assert_eq!(complaint(Some((3, 95))), Some(Property::ElectionSafety), "n3#95 is no member");
    assert_eq!(complaint(Some((4, FOUNDERS_STORE))), Some(Property::ElectionSafety), "neither is n4");
}

#[test]
fn files_that_count_as_lost_keep_their_record_under_their_number() {
    let (mut safety, mut n1) = elected();
    let n2 = follower(2, FOUNDERS_STORE, vec![no_op_of_2()]);
    safety.started(&n2);
    // Its leader told it that its files are others from now on: what they held under their first number, they held.
    let renumbered = follower(2, 2, vec![no_op_of_2()]);
    let acknowledgement = |sender| {
        let files = Files { sender, answered: FOUNDERS_STORE };
        Message { files, ..matched(2, 9) }
    };
    safety.observe(&idle(&renumbered), [acknowledgement(2), acknowledgement(FOUNDERS_STORE)].iter());
    n1.commit_index = LogIndex(9);
    safety.observe(&idle(&n1), std::iter::empty());
    assert_eq!(safety.violations(), []);
}
