//! Logs as nodes leave them, and what they prove together.

use super::*;
use crate::raft::effects::HardState;
use crate::raft::membership::configuration::Configuration;
use crate::storage::Identity;
use crate::storage::glimpse::Glimpse;
use crate::types::{FOUNDERS_STORE, Term};

fn node(number: u8) -> NodeId {
    NodeId::new(number)
}

/// A founder of a cluster of this many nodes, whose log has these terms and was known to be committed up to here.
fn remains(number: u8, founders: u8, terms: &[u64], commit: u64) -> Remains {
    let term = terms.last().copied().unwrap_or_default();
    let files = Glimpse {
        identity: Some(Identity { cluster: ClusterId(1), epoch: Epoch::FIRST, node: node(number) }),
        founders: NodeId::first(founders).into(),
        hard_state: Some(HardState {
            current_term: Term(term),
            store_id: FOUNDERS_STORE,
            ..HardState::default()
        }),
        commit: LogIndex(commit),
        terms: terms.iter().map(|term| Some(Term(*term))).collect(),
        ..Glimpse::default()
    };
    Remains { place: format!("states/n{number}"), files }
}

fn survivors(found: &[Remains]) -> Survivors {
    Survivors::of(found.to_vec()).expect("files of one cluster")
}

fn range(from: u64, to: u64) -> Option<Range> {
    Range::of(LogIndex(from), LogIndex(to))
}

fn choice(survivors: &Survivors, number: u8) -> Choice {
    survivors.choices().into_iter().find(|choice| choice.node == node(number)).expect("it can continue")
}

#[test]
fn what_one_proves_committed_another_holds_up_to_where_their_logs_are_the_same() {
    // n1 knows that 4 is committed. n3 has the same up to 3, and then an entry of an older leader.
    let (one, three) = (remains(1, 5, &[1, 1, 2, 3, 3], 4), remains(3, 5, &[1, 1, 2, 2, 2, 2], 1));
    let both = survivors(&[one, three]);
    assert_eq!((both.committed(), both.has_quorum(), both.may_hide_entries()), (LogIndex(4), false, true));
    let first = choice(&both, 1);
    assert_eq!((first.certain, first.kept, first.lost), (LogIndex(4), range(5, 5), None));
    let third = choice(&both, 3);
    assert_eq!((third.certain, third.kept, third.lost), (LogIndex(3), range(4, 6), range(4, 4)));
    assert_eq!(third.open, range(5, 5), "n1 holds it, and the three that are gone may have");
    assert_eq!(both.choices()[0].node, node(1), "the one that loses less comes first");
    assert_eq!((first.bound(), third.bound()), (LogIndex(5), LogIndex(4)));
}

#[test]
fn what_a_snapshot_covers_is_committed_on_others_too() {
    let mut one = remains(1, 3, &[], 0);
    (one.files.snapshot, one.files.before) = (EntryId::new(Term(2), LogIndex(3)), LogIndex(3));
    let two = remains(2, 3, &[1, 2, 2, 2], 0);
    let alone = survivors(std::slice::from_ref(&two));
    assert_eq!((alone.committed(), choice(&alone, 2).kept), (LogIndex(0), range(1, 4)));
    let mut both = [one, two];
    // n2's files are damaged: it cannot start, and what it holds counts all the same.
    both[1].files.troubles.push("damage".to_string());
    let both = survivors(&both);
    assert_eq!(choice(&both, 1).certain, LogIndex(3));
    assert_eq!(choice(&both, 1).open, range(4, 4));
    assert!(!both.can_continue(node(2)) && both.choices().len() == 1);
}

#[test]
fn of_an_even_number_half_can_have_hidden_nothing() {
    let learner = crate::raft::membership::configuration::Learner { store_id: 95, stays: true, joins: None };
    let mut configuration = Configuration::founders(NodeId::first(4));
    configuration.learners.insert(node(5), learner);
    let configured = Configured { index: LogIndex(1), configuration: configuration.into() };
    let mut found = [remains(1, 4, &[1, 1], 1), remains(2, 4, &[1], 1), remains(5, 0, &[1, 1, 1], 0)];
    for remains in &mut found {
        remains.files.changes.push(configured.clone());
    }
    found[2].files.hard_state.as_mut().expect("it has a state").store_id = 95;
    let found = survivors(&found);
    assert!(
        !found.has_quorum() && !found.may_hide_entries(),
        "three of four are a majority, and two are gone"
    );
    assert_eq!(found.open(), range(2, 2), "what a learner alone holds no majority has");
    assert_eq!((choice(&found, 2).open, choice(&found, 1).open), (range(2, 2), None));
}

#[test]
fn a_configuration_may_have_decided_unless_another_entry_was_committed_in_its_place() {
    let change = |index, nodes| {
        let configuration = Configuration::founders(NodeId::first(nodes)).into();
        Configured { index: LogIndex(index), configuration }
    };
    let mut found = [remains(1, 3, &[1, 2, 2, 2], 2), remains(2, 3, &[1, 1], 1)];
    found[0].files.changes = vec![change(3, 5)];
    found[1].files.changes = vec![change(2, 1)];
    let found = survivors(&found);
    let indexes: Vec<u64> = found.configurations().iter().map(|found| found.index.0).collect();
    assert_eq!(indexes, [0, 3], "n2's entry 2 was never committed");
    assert_eq!(found.effective().map(|found| found.index), Some(LogIndex(3)), "the newest log's last one");
}

#[test]
fn other_files_of_a_voter_are_not_the_voter() {
    let mut found = [remains(1, 3, &[1], 1), remains(2, 3, &[1], 1)];
    assert!(survivors(&found).has_quorum());
    found[1].files.hard_state.as_mut().expect("it has a state").store_id = 95;
    assert!(!survivors(&found).has_quorum(), "n2 lost its files");
}

#[test]
fn files_of_an_earlier_epoch_count_for_nothing() {
    let mut found = [remains(1, 1, &[1, 1], 2), remains(2, 1, &[1, 1, 1], 3)];
    found[0].files.identity.as_mut().expect("it has an identity").epoch = Epoch(2);
    let found = survivors(&found);
    assert_eq!((found.epoch, found.committed(), found.has_quorum()), (Epoch(2), LogIndex(2), true));
    assert!(found.can_continue(node(1)) && !found.can_continue(node(2)));
}

#[test]
fn files_that_do_not_belong_together_are_named() {
    let refused = |found: &[Remains]| Survivors::of(found.to_vec()).expect_err("refused").to_string();
    assert_eq!(refused(&[Remains::default()]), "no folder holds a node's files");
    let mut other = remains(1, 3, &[], 0);
    other.place = "copy/n1".to_string();
    let twice = refused(&[remains(1, 3, &[], 0), other.clone()]);
    assert_eq!(twice, "states/n1 and copy/n1 both hold files of n1: name the folder that counts");
    other.files.identity.as_mut().expect("it has an identity").cluster = ClusterId(2);
    assert!(refused(&[remains(1, 3, &[], 0), other]).contains("copy/n1 of cluster 0000000000000002"));
}
