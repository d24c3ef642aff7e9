//! A run that begins from what an earlier one left: some logs begin behind snapshots, at entries of their own.

use super::{Safety, Step};
use crate::check::property::Property;
use crate::config::RaftSettings;
use crate::raft::effects::HardState;
use crate::raft::log::{Content, Entry};
use crate::raft::{Raft, Recovered};
use crate::state_machine::AppliedEntry;
use crate::types::{EntryId, LogIndex, NodeId, Random, Term, Time};

const ORDERS: [[u8; 3]; 6] = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];

fn no_op(index: u64) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), content: Content::NoOp }
}

/// A node that starts with a snapshot up to an index, and the entries behind a base.
fn node(name: u8, snapshot: u64, base: u64, entries: Vec<Entry>) -> Raft {
    let id = |index| if index == 0 { EntryId::ZERO } else { EntryId::new(Term(1), LogIndex(index)) };
    let hard_state = HardState { current_term: Term(1), incarnation: 1, ..HardState::default() };
    let recovered = Recovered { hard_state, snapshot: id(snapshot), base: id(base), entries };
    let all = NodeId::first(3);
    Raft::new(NodeId::new(name), all, RaftSettings::default(), recovered, Random::new(1), Time::ZERO)
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
fn logs_that_begin_at_different_entries_match_in_whatever_order_they_are_seen() {
    for order in ORDERS {
        let mut safety = Safety::default();
        let nodes = survivors(no_op(8));
        for name in order {
            safety.started(&nodes[usize::from(name) - 1], false);
        }
        assert_eq!(safety.violations(), [], "{order:?}");
        assert_eq!(safety.committed(), LogIndex(7), "what a snapshot covers was committed");
    }
}

#[test]
fn an_entry_that_differs_behind_the_snapshots_is_noticed() {
    let other = Content::Readmit { node: NodeId::new(2), incarnation: 9 };
    for order in ORDERS {
        let mut safety = Safety::default();
        let nodes = survivors(Entry { content: other.clone(), ..no_op(8) });
        for name in order {
            safety.started(&nodes[usize::from(name) - 1], false);
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
        safety.started(node, false);
    }
    safety.started(&node(1, 9, 9, vec![no_op(10)]), false);
    assert!(!safety.violations().is_empty(), "only who is seen first may know more than this run");
}

#[test]
fn a_state_is_taken_over_after_what_was_applied_before_it() {
    let mut safety = Safety::default();
    let nodes = survivors(no_op(8));
    for raft in &nodes {
        safety.started(raft, false);
    }
    let id = |index| EntryId::new(Term(1), LogIndex(index));
    let entry =
        |index| AppliedEntry { entry: id(index), carried_out: None, repetition: false, expired: false };
    let applied = [entry(1), entry(2), entry(6)];
    let (first, second) = ([(2, id(5))], [(1, id(7))]);
    let step = |adopted, applied| Step { raft: &nodes[2], persisted: None, write: None, adopted, applied };
    safety.observe(&step(&first, &applied), std::iter::empty());
    assert_eq!(safety.violations(), [], "a machine on its own thread told of all of it at once");
    safety.observe(&step(&second, &applied[2..]), std::iter::empty());
    let found = safety.violations().first().map(|violation| violation.property);
    assert_eq!(found, Some(Property::StateMachineSafety), "6 was applied already");
}
