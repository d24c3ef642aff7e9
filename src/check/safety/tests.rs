//! What the checks notice, and what they rightly let pass: in a run that begins from what an earlier one left, where some
//! logs begin behind snapshots, at entries of their own; and of acknowledgements, copies and contents.

mod members;
mod midway;
mod servers;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Safety, Step, Written};
use crate::check::property::Property;
use crate::config::RaftSettings;
use crate::payload::Payload;
use crate::raft::effects::{HardState, Input, StoreId, Write};
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::raft::message::{Ack, AppendResult, Body, Files, InstallResult, Message};
use crate::raft::role::Role;
use crate::raft::{Raft, Recovered};
use crate::state_machine::AppliedEntry;
use crate::types::{ClientId, EntryId, FOUNDERS_STORE, LogIndex, Member, NodeId, Random, Term, Time};

const ORDERS: [[u8; 3]; 6] = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];

fn no_op(index: u64) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), content: Content::NoOp }
}

fn founder(name: u8) -> Member {
    Member::founder(NodeId::new(name))
}

fn founders() -> Configured {
    Configured::founders(NodeId::first(3))
}

fn in_term(term: u64) -> HardState {
    HardState { current_term: Term(term), store_id: FOUNDERS_STORE, ..HardState::default() }
}

/// A node that starts with a snapshot up to an index, and the entries behind a base.
fn node(name: u8, snapshot: u64, base: u64, entries: Vec<Entry>) -> Raft {
    let id = |index| if index == 0 { EntryId::ZERO } else { EntryId::new(Term(1), LogIndex(index)) };
    let (snapshot, base) = (id(snapshot), id(base));
    started(
        name,
        Recovered { hard_state: in_term(1), snapshot, base, entries, configuration: Some(founders()) },
    )
}

fn started(name: u8, recovered: Recovered) -> Raft {
    Raft::new(NodeId::new(name), RaftSettings::default(), recovered, Random::new(name.into()), Time::ZERO)
}

/// Three nodes of which each compacted its log elsewhere, or not at all; n3 holds one more entry than the others.
fn survivors(last: Entry) -> [Raft; 3] {
    [
        node(1, 7, 7, vec![no_op(8)]),
        node(2, 5, 4, vec![no_op(5), no_op(6), no_op(7), no_op(8)]),
        node(3, 0, 0, (1..=7).map(no_op).chain([last]).collect()),
    ]
}

#[test]
fn logs_that_begin_at_different_entries_match_in_any_order() {
    for order in ORDERS {
        let mut safety = Safety::default();
        let nodes = survivors(no_op(8));
        for name in order {
            safety.started(&nodes[usize::from(name) - 1]);
        }
        assert_eq!(safety.violations(), [], "{order:?}");
        assert_eq!(safety.committed(), LogIndex(7), "what a snapshot covers was committed");
    }
}

#[test]
fn an_entry_that_differs_behind_the_snapshots_is_noticed() {
    let other = Content::Open { client: ClientId(1), sessions_max: 9 };
    for order in ORDERS {
        let mut safety = Safety::default();
        let nodes = survivors(Entry { content: other.clone(), ..no_op(8) });
        for name in order {
            safety.started(&nodes[usize::from(name) - 1]);
        }
        let found = safety.violations().first().map(|violation| violation.property);
        assert_eq!(found, Some(Property::LogMatching), "{order:?}");
    }
}

#[test]
fn a_node_that_comes_back_with_a_snapshot_of_what_was_never_committed_is_noticed() {
    let mut safety = Safety::default();
    let nodes = survivors(no_op(8));
    for node in &nodes {
        safety.started(node);
    }
    safety.started(&node(1, 9, 9, vec![no_op(10)]));
    assert!(!safety.violations().is_empty(), "only the first node seen may know more than this run");
}

#[test]
fn a_state_is_taken_over_after_what_was_applied_before_it() {
    let mut safety = Safety::default();
    let nodes = survivors(no_op(8));
    for raft in &nodes {
        safety.started(raft);
    }
    let id = |index| EntryId::new(Term(1), LogIndex(index));
    let entry = |index| AppliedEntry { entry: id(index), executed: None, repetition: false, expired: false };
    let applied = [entry(1), entry(2), entry(6)];
    let (first, second) = ([(2, id(5))], [(1, id(7))]);
    let step = |adopted, applied| Step { adopted, applied, ..idle(&nodes[2]) };
    safety.observe(&step(&first, &applied), std::iter::empty());
    assert_eq!(safety.violations(), [], "a machine on its own thread told of all of it at once");
    safety.observe(&step(&second, &applied[2..]), std::iter::empty());
    let found = safety.violations().first().map(|violation| violation.property);
    assert_eq!(found, Some(Property::StateMachineSafety), "6 was applied already");
}

/// n1 leads term 2 with a no-op at 9, behind what the others hold; its log is durable.
fn leader() -> Raft {
    let mut raft = node(1, 0, 0, (1..=8).map(no_op).collect());
    let mut inputs = vec![Input::Campaign];
    while !matches!(raft.role(), Role::Leader(_)) {
        let write = raft.step(Time::ZERO, &mut inputs).write.expect("its vote and its no-op are written");
        let vote = Message { from: NodeId::new(3), ..said(2, Body::VoteReply { granted: true }) };
        inputs = vec![Input::Persisted(write.id), Input::Message(vote)];
    }
    raft
}

fn no_op_of_2() -> Entry {
    Entry { index: LogIndex(9), term: Term(2), content: Content::NoOp }
}

fn voted_for(name: u8) -> HardState {
    HardState { voted_for: Some(founder(name)), ..in_term(2) }
}

/// What elects n1: its own vote and n3's, who holds entries up to 8.
fn elected() -> (Safety, Raft) {
    let mut safety = Safety::default();
    let first = || (1..=8).map(no_op).collect::<Vec<_>>();
    let (old, n1) = (node(1, 0, 0, first()), leader());
    let recovered = Recovered { hard_state: voted_for(1), entries: first(), ..Recovered::default() };
    let n3 = started(3, Recovered { configuration: Some(founders()), ..recovered });
    safety.started(&old);
    safety.started(&n3);
    let vote = Message { from: n3.id(), ..said(2, Body::VoteReply { granted: true }) };
    safety.observe(&idle(&n3), [vote].iter());
    let hard_state = Some(voted_for(1));
    let write = Write { id: 1, hard_state, entries: vec![no_op_of_2()], ..Write::default() };
    safety.observe(
        &Step { persisted: Some(1), write: Some(Written::of(&n1, &write)), ..idle(&n1) },
        std::iter::empty(),
    );
    assert_eq!(safety.violations(), [], "an election");
    (safety, n1)
}

/// A node whose files hold the entries up to 8, and these. n3 voted for n1.
fn follower(name: u8, store_id: StoreId, behind: Vec<Entry>) -> Raft {
    let term = behind.last().map_or(2, |last| last.term.0.max(2));
    let voted_for = (name == 3).then(|| founder(1));
    let hard_state = HardState { voted_for, store_id, ..in_term(term) };
    let entries = (1..=8).map(no_op).chain(behind).collect();
    started(name, Recovered { hard_state, entries, configuration: Some(founders()), ..Recovered::default() })
}

fn idle(raft: &Raft) -> Step<'_> {
    Step::idle(raft, Time::ZERO)
}

fn found(safety: &Safety) -> Option<Property> {
    safety.violations().first().map(|violation| violation.property)
}

/// What n2 says to n1 in a term.
fn said(term: u64, body: Body) -> Message {
    let files = Files { sender: FOUNDERS_STORE, answered: FOUNDERS_STORE };
    Message { from: NodeId::new(2), to: NodeId::new(1), term: Term(term), files, body }
}

fn matched(term: u64, index: u64) -> Message {
    let result = AppendResult::Matched(LogIndex(index));
    said(term, Body::AppendReply { result, ack: Ack { round: 1, ..Ack::default() } })
}

#[test]
fn an_acknowledgement_of_another_entry_than_the_leaders_is_noticed() {
    let other = Entry { term: Term(1), ..no_op_of_2() };
    for (entry, expected) in [(no_op_of_2(), None), (other, Some(Property::NothingPromisedEarly))] {
        let (mut safety, _) = elected();
        let n2 = follower(2, FOUNDERS_STORE, vec![entry]);
        safety.started(&n2);
        safety.observe(&idle(&n2), [matched(2, 8), matched(2, 9)].iter());
        assert_eq!(found(&safety), expected);
    }
}

#[test]
fn an_acknowledgement_that_is_overtaken_names_an_entry_that_was_durable_once() {
    let late = |completed: Option<u64>| {
        let (mut safety, _) = elected();
        let entries = (1..=8).map(no_op).collect();
        let recovered = Recovered { hard_state: in_term(3), entries, ..Recovered::default() };
        let n2 = started(2, recovered);
        safety.started(&n2);
        let first = Write { id: 1, entries: vec![no_op_of_2()], ..Write::default() };
        let second = Write { id: 2, truncate_from: Some(LogIndex(9)), ..Write::default() };
        for write in [&first, &second] {
            safety.observe(&Step { write: Some(Written::of(&n2, write)), ..idle(&n2) }, std::iter::empty());
        }
        safety.observe(&Step { persisted: completed, ..idle(&n2) }, [matched(2, 9)].iter());
        found(&safety)
    };
    assert_eq!(late(Some(1)), None, "it was durable, and is gone in term 3");
    assert_eq!(late(None), Some(Property::NothingPromisedEarly), "its write is not done");
}

#[test]
fn an_installed_snapshot_is_durable_and_committed() {
    let installed = |last| {
        let (ack, result) = (Ack::default(), InstallResult::Installed);
        said(1, Body::InstallReply { last, result, ack })
    };
    let at = |index| EntryId::new(Term(1), LogIndex(index));
    let complaint = |completed, last| {
        let mut safety = Safety::default();
        let short = node(2, 0, 0, (1..=5).map(no_op).collect());
        for raft in [&survivors(no_op(8))[0], &short] {
            safety.started(raft);
        }
        let write = Write { id: 1, entries: vec![no_op(6), no_op(7), no_op(8)], ..Write::default() };
        safety
            .observe(&Step { write: Some(Written::of(&short, &write)), ..idle(&short) }, std::iter::empty());
        safety.observe(&Step { persisted: completed, ..idle(&short) }, [installed(last)].iter());
        found(&safety)
    };
    let early = Some(Property::NothingPromisedEarly);
    assert_eq!(complaint(Some(1), at(7)), None, "durable, and committed");
    assert_eq!(complaint(None, at(7)), early, "only 5 is durable");
    assert_eq!(complaint(Some(1), at(8)), early, "8 is not committed");
    assert_eq!(complaint(Some(1), EntryId::new(Term(2), LogIndex(7))), early, "another entry is");
}

#[test]
fn entries_that_differ_in_their_command_alone_are_told_apart() {
    let entry = |text: &str| {
        let content = Content::Command { origin: Origin::default(), command: Payload::from_text(text) };
        Entry { content, ..no_op(8) }
    };
    let mut safety = Safety::default();
    for (name, text) in [(1, "[1]"), (2, "[1]"), (3, "[2]")] {
        assert_eq!(safety.violations(), []);
        safety.started(&node(name, 0, 0, (1..=7).map(no_op).chain([entry(text)]).collect()));
    }
    assert_eq!(found(&safety), Some(Property::LogMatching));
}
