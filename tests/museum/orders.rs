//! Orders and votes of a transfer that come late, and leases: what is stale then.

use raftlab::raft::effects::Change;
use raftlab::raft::message::{Body, Extra, Message};

use super::members::{broken, elect, led, voters};
use super::table::{Table, n};

/// n1 orders n2 to take over, gives up, and claims leases again. Then what is late arrives, while n1 is frozen: whether it
/// answers a read from a state that misses what n2 has committed.
fn reads_stale(defect: &str, late: fn(&Message) -> bool, hear: &[u8]) -> [bool; 2] {
    [None, Some(defect)].map(|defect| {
        let mut table = led(defect);
        table.transfer(1, 2);
        table.hold_back(late);
        table.deliver(1, 2);
        table.hold_back(late);
        for _ in 0..4 {
            table.tick(1);
            table.hold_back(late);
            table.talk(hear);
        }
        assert_eq!(table.raft(1).hands_over_to(), None, "it gave up");
        table.read_by_lease(1);
        table.tick(1);
        table.talk(hear);
        assert!(table.read_by_lease(1).is_some(), "n3 has promised to vote for no other");
        table.lose_all();
        table.release();
        table.deliver(1, 2);
        table.talk(&[2, 3]);
        assert_eq!(broken(&table), Vec::<&str>::new());
        table.read_by_lease(1).is_some_and(|applied| applied < table.raft(2).commit_index())
    })
}

#[test]
fn what_a_leader_ordered_before_it_gave_up_frees_no_later_promise() {
    let is_order = |message: &Message| matches!(message.body, Body::Extra(Extra::TimeoutNow { .. }));
    assert_eq!(reads_stale("late-order-obeyed", is_order, &[1, 2, 3]), [false, true]);
    let asks = |message: &Message| matches!(message.body, Body::RequestVote { .. });
    assert_eq!(reads_stale("promise-released-by-name", asks, &[1, 3]), [false, true]);
}

/// n1 orders n2 to take over, gives up, makes it a learner and reads by lease again. No node knows `C_new` to be committed,
/// since n1's own disk lacks it and n5 hears nothing. n1 is frozen when two copies of the order arrive: whether it answers a
/// read from a state that misses what n2 has committed.
fn reads_stale_of_demoted(defect: Option<&str>) -> bool {
    let is_order = |message: &Message| matches!(message.body, Body::Extra(Extra::TimeoutNow { .. }));
    let mut table = Table::new(&[1, 2, 3, 4, 5], defect);
    elect(&mut table, 1, &[2, 3]);
    table.lead(1, &[2, 3, 4, 5]);
    table.transfer(1, 2);
    for _ in 0..4 {
        table.tick(1);
        table.hold_back(is_order);
        table.talk(&[1, 2, 3, 4, 5]);
    }
    assert_eq!(table.raft(1).hands_over_to(), None, "it gave up");
    table.change(1, Change::Demote(n(2)));
    table.stall(1);
    table.talk(&[1, 2, 3, 4]);
    assert_eq!(voters(&table, 2), [1, 3, 4, 5]);
    table.read_by_lease(1);
    table.tick(1);
    table.talk(&[1, 2, 3, 4]);
    assert!(table.read_by_lease(1).is_some(), "n3 and n4 have promised to vote for no other");
    table.lose_all();
    table.release();
    let mut copies = 0;
    while table.deliver_one(1, 2) {
        copies += 1;
    }
    assert!(copies >= 2, "{copies} copies");
    table.talk(&[2, 3, 4, 5]);
    assert_eq!(broken(&table), Vec::<&str>::new());
    table.read_by_lease(1).is_some_and(|applied| applied < table.raft(2).commit_index())
}

#[test]
fn late_orders_to_a_node_that_became_a_learner_start_no_election() {
    assert!(!reads_stale_of_demoted(None));
    assert!(reads_stale_of_demoted(Some("late-order-obeyed")));
}

#[test]
fn a_leader_that_is_left_out_holds_no_lease_by_itself() {
    let reads_stale = |defect| {
        let mut table = Table::new(&[1, 2], defect);
        elect(&mut table, 1, &[2]);
        table.lead(1, &[2]);
        table.change(1, Change::Remove(n(1)));
        table.deliver(1, 2);
        table.deliver(2, 1);
        table.deliver(1, 2);
        table.lose_all();
        assert_eq!((voters(&table, 1), voters(&table, 2)), (vec![2], vec![2]));
        for _ in 0..10 {
            table.tick(2);
        }
        assert!(table.leads(1) && table.leads(2), "n1 has not heard of n2's election");
        table.read_by_lease(1).is_some_and(|applied| applied < table.raft(2).commit_index())
    };
    assert!(!reads_stale(None));
    assert!(reads_stale(Some("removed-leader-holds-lease")));
}
