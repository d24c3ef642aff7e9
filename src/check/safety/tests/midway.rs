//! A node that is seen from the middle of its life on: what it was told, said and held before breaks nothing, and what
//! follows is judged as ever.

use std::time::Duration;

use super::*;
use crate::check::safety::Standing;
use crate::raft::membership::configuration::{Configuration, Learner};
use crate::raft::message::{Beat, Cause};

/// All of n1's steps that elect it, n3's vote, and n2 from the middle of its life on.
fn joined(n2: &Raft) -> Safety {
    let (mut safety, _) = elected();
    safety.begin_midway(&Standing::at_first(n2));
    safety
}

fn begin(safety: &mut Safety, standing: &Standing, midway: bool) {
    if midway {
        safety.begin_midway(standing);
    } else {
        safety.begin(standing);
    }
}

#[test]
fn a_write_that_was_under_way_is_durable_once_it_is_done() {
    let mut n2 = follower(2, FOUNDERS_STORE, Vec::new());
    let prev = EntryId::new(Term(1), LogIndex(8));
    let beat = Beat { round: 1, ..Beat::default() };
    let body = Body::AppendEntries { prev, entries: vec![no_op_of_2()], commit: LogIndex(8), beat };
    let append = Message { from: NodeId::new(1), to: NodeId::new(2), ..said(2, body) };
    let write = n2.step(Time::ZERO, &mut vec![Input::Message(append)]).write.expect("the entry is written");
    let complaint = |done: Option<u64>| {
        let mut safety = joined(&n2);
        safety.observe(&Step { persisted: done, ..idle(&n2) }, [matched(2, 9)].iter());
        found(&safety)
    };
    assert_eq!(complaint(Some(write.id)), None);
    assert_eq!(complaint(None), Some(Property::NothingPromisedEarly));
}

#[test]
fn an_acknowledgement_of_an_entry_that_was_removed_before_may_leave() {
    let n2 = follower(2, FOUNDERS_STORE, vec![Entry { term: Term(3), ..no_op_of_2() }]);
    let mut safety = joined(&n2);
    safety.observe(&idle(&n2), [matched(2, 9)].iter());
    assert_eq!(found(&safety), None, "n2 had the entry of term 2, perhaps");
    let mut safety = elected().0;
    safety.started(&n2);
    safety.observe(&idle(&n2), [matched(2, 9)].iter());
    assert_eq!(found(&safety), Some(Property::NothingPromisedEarly), "what it starts with is all it had");
}

#[test]
fn a_pre_vote_that_was_given_before_may_stand_behind_a_candidate() {
    let complaint = |midway: bool, voter_first: bool, term: u64| {
        let (mut safety, _) = elected();
        let n2 = |hard_state| {
            started(2, Recovered { hard_state, configuration: Some(founders()), ..Recovered::default() })
        };
        let candidate = Standing::at_first(&n2(in_term(term - 1)));
        let n3 = Standing::at_first(&follower(3, FOUNDERS_STORE, Vec::new()));
        let order = if voter_first { [&n3, &candidate] } else { [&candidate, &n3] };
        for standing in order {
            begin(&mut safety, standing, midway);
        }
        let mut candidate = n2(in_term(term - 1));
        let write =
            candidate.step(Time::ZERO, &mut vec![Input::Campaign]).write.expect("its vote is written");
        let last = EntryId::ZERO;
        let asked =
            Message { to: NodeId::new(3), ..said(term, Body::RequestVote { last, cause: Cause::Timer }) };
        let written = Some(Written::of(&candidate, &write));
        let step = Step { write: written, persisted: Some(write.id), ..idle(&candidate) };
        safety.observe(&step, [asked].iter());
        found(&safety)
    };
    for voter_first in [false, true] {
        assert_eq!(complaint(true, voter_first, 3), None);
        assert_eq!(complaint(false, voter_first, 3), Some(Property::NoDisruption), "it has said nothing");
        assert_eq!(complaint(true, voter_first, 4), None, "n2 was in term 3 then");
    }
}

#[test]
fn what_is_said_in_later_terms_is_seen() {
    let safety = joined(&follower(2, FOUNDERS_STORE, Vec::new()));
    assert!(safety.may_have_said(founder(2), Term(2)));
    assert!(!safety.may_have_said(founder(2), Term(3)));
    assert!(!safety.may_have_said(founder(3), Term(2)), "it is seen since its start");
}

#[test]
fn a_learner_may_have_answered_before_its_leader_was_seen() {
    let n4 = Member::founder(NodeId::new(4));
    let voters = |names: &[u8]| names.iter().map(|name| (NodeId::new(*name), FOUNDERS_STORE)).collect();
    let of_three = Configuration { voters: voters(&[1, 2, 3]), ..Configuration::default() };
    let learner = Learner { store_id: n4.store_id, stays: false, joins: None };
    let learns = Configuration { learners: [(n4.node, learner)].into(), ..of_three.clone() };
    let joins =
        Configuration { outgoing: Some(voters(&[1, 2, 3])), voters: voters(&[1, 2, 3, 4]), ..of_three };
    let entry = |index, configuration| Entry {
        index: LogIndex(index),
        term: Term(2),
        content: Content::Members(Arc::new(configuration)),
    };
    let complaint = |midway: bool, after: Duration| {
        let mut n1 = leader();
        n1.log.append(entry(10, learns.clone()));
        let mut safety = Safety::default();
        let standing = Standing::at_first(&n1);
        begin(&mut safety, &standing, midway);
        safety.observe(&idle(&n1), std::iter::empty());
        n1.log.append(entry(11, joins.clone()));
        let write = Write { id: 9, entries: vec![entry(11, joins.clone())], ..Write::default() };
        let step = Step { write: Some(Written::of(&n1, &write)), ..idle(&n1) };
        let step = Step { now: Time::ZERO + after, ..step };
        safety.observe(&step, std::iter::empty());
        safety.violations().iter().any(|violation| violation.detail.contains("does not answer"))
    };
    let shortest = RaftSettings::default().election_min;
    assert!(!complaint(true, shortest / 2));
    assert!(complaint(true, shortest), "it is silent by now");
    assert!(complaint(false, Duration::ZERO));
}

#[test]
fn a_vote_whose_write_was_under_way_may_be_lost() {
    let mut n2 = follower(2, FOUNDERS_STORE, Vec::new());
    let write = n2.step(Time::ZERO, &mut vec![Input::Campaign]).write.expect("its vote is written");
    let complaint = |done: Option<u64>| {
        let mut safety = Safety::of_records();
        safety.begin_midway(&Standing::at_first(&n2));
        safety.observe(&Step { persisted: done, ..idle(&n2) }, std::iter::empty());
        safety.started(&follower(2, FOUNDERS_STORE, Vec::new()));
        found(&safety)
    };
    assert_eq!(complaint(None), None, "it was killed before");
    assert_eq!(complaint(Some(write.id)), Some(Property::OneVote), "it was durable");
}
