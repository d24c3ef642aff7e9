//! S7, S8, S9, S11: a read is confirmed by answers to its own round; a lease is held only while nobody else can have been elected, and one that has ended is awaited.

use std::time::Duration;

use raftlab::client::{Ask, Outcome, What};
use raftlab::faults::{End, LinkScope, NetChange};
use raftlab::lab::{Lab, NodeOrder};
use raftlab::payload::Payload;
use raftlab::protocol::ReadMode;
use raftlab::sim::Simulation;
use raftlab::state_machine::kv::{Answer, Command, Query};
use raftlab::types::NodeId;

use crate::{followers, leader, of_three, run_for};

#[test]
fn s7_a_lease_that_was_never_confirmed_is_not_held() {
    let seen = |defect| {
        let mut simulation = of_three(defect);
        put(&mut simulation, "old", None);
        let (old, heir) = (leader(&mut simulation), followers(&mut simulation)[0]);
        cut_off(&mut simulation, old);
        simulation.order(heir, NodeOrder::Campaign).expect("it runs");
        run_for(&mut simulation, Duration::from_millis(200));
        put(&mut simulation, "new", Some(heir));
        // Nobody has read by lease before: no round has claimed one.
        read_by_lease(&mut simulation, old)
    };
    assert_eq!(seen(None), None, "a leader that does not know whether it leads gives no answer");
    assert_eq!(seen(Some("lease-never-confirmed")).as_deref(), Some("old"), "the defect shows");
}

#[test]
fn s8_a_leaders_own_send_renews_no_lease() {
    let seen = |defect| {
        let mut simulation = of_three(defect);
        put(&mut simulation, "old", None);
        let old = leader(&mut simulation);
        assert_eq!(read_by_lease(&mut simulation, old).as_deref(), Some("old"), "a lease begins");
        cut_off(&mut simulation, old);
        for _ in 0..5 {
            run_for(&mut simulation, Duration::from_millis(400));
            read_by_lease(&mut simulation, old);
        }
        let heir =
            new_leader(&mut simulation, old).expect("the promises have ended, and a timer has run out");
        put(&mut simulation, "new", Some(heir));
        read_by_lease(&mut simulation, old)
    };
    assert_eq!(seen(None), None, "seconds later no lease is left");
    assert_eq!(seen(Some("lease-from-own-send")).as_deref(), Some("old"), "the defect shows");
}

#[test]
fn s9_an_answer_to_an_old_round_renews_no_lease_and_confirms_no_read() {
    let seen = |defect, mode| {
        let mut simulation = of_three(defect);
        put(&mut simulation, "old", None);
        let (old, slow, other) =
            (leader(&mut simulation), followers(&mut simulation)[0], followers(&mut simulation)[1]);
        // What `slow` answers arrives a second later.
        let delay = Duration::from_secs(1);
        let scope = one_way(slow, old);
        change(&mut simulation, &NetChange::Delay { delay, jitter: Duration::ZERO, scope });
        for _ in 0..4 {
            run_for(&mut simulation, Duration::from_millis(400));
            assert_eq!(read_by_lease(&mut simulation, old).as_deref(), Some("old"), "a lease is in use");
        }
        for scope in [one_way(old, slow), one_way(old, other), one_way(other, old)] {
            change(&mut simulation, &NetChange::Cut(scope));
        }
        run_for(&mut simulation, Duration::from_millis(600));
        let heir =
            new_leader(&mut simulation, old).expect("the promises have ended, and a timer has run out");
        put(&mut simulation, "new", Some(heir));
        read(&mut simulation, old, mode)
    };
    for mode in [ReadMode::Lease, ReadMode::Linearizable] {
        assert_eq!(seen(None, mode), None, "answers from before the cut say nothing of now");
        assert_eq!(seen(Some("answers-without-round"), mode).as_deref(), Some("old"), "the defect shows");
    }
}

#[test]
fn s11_a_lease_that_has_ended_is_awaited() {
    let seen = |defect| {
        let mut simulation = of_three(defect);
        put(&mut simulation, "x", None);
        run_for(&mut simulation, Duration::from_secs(5));
        let leader = leader(&mut simulation);
        (0..5).filter(|_| read_by_lease(&mut simulation, leader).is_some()).count()
    };
    assert_eq!(seen(None), 5, "the first read waits for a round, the others find a lease");
    assert_eq!(seen(Some("expired-lease-not-awaited")), 0, "the defect shows: reads fail for good");
}

/// The node that leads beside the old leader.
fn new_leader(simulation: &mut Simulation, old: NodeId) -> Option<NodeId> {
    crate::leaders(simulation).into_iter().map(|(name, _)| name).find(|name| *name != old)
}

/// Lets a node speak with clients alone.
fn cut_off(simulation: &mut Simulation, node: NodeId) {
    for other in Lab::nodes(simulation).into_iter().filter(|name| *name != node) {
        change(simulation, &NetChange::Cut(one_way(node, other)));
        change(simulation, &NetChange::Cut(one_way(other, node)));
    }
}

fn one_way(from: NodeId, to: NodeId) -> LinkScope {
    LinkScope::OneWay(End::Node(from), End::Node(to))
}

fn change(simulation: &mut Simulation, change: &NetChange) {
    simulation.change(change).expect("the cluster can have it");
}

fn put(simulation: &mut Simulation, value: &str, at: Option<NodeId>) {
    let what = What::commands([Command::put("x", value)]);
    let outcome = ask(simulation, what, at);
    assert!(matches!(outcome, Outcome::Answered(_)), "a majority can commit: {outcome:?}");
}

fn read_by_lease(simulation: &mut Simulation, at: NodeId) -> Option<String> {
    read(simulation, at, ReadMode::Lease)
}

/// What this node answers within a short time, if it answers.
fn read(simulation: &mut Simulation, at: NodeId, mode: ReadMode) -> Option<String> {
    let query = Payload::new(Query::Read { key: "x".into() });
    let outcome = ask(simulation, What::Read { query, mode }, Some(at));
    let Outcome::Answered(answered) = outcome else { return None };
    match answered.answer.value::<Answer>() {
        Ok(Answer::Value(value)) => Some(value.to_string()),
        other => panic!("x was put: {other:?}"),
    }
}

fn ask(simulation: &mut Simulation, what: What, at: Option<NodeId>) -> Outcome {
    let timeout = Duration::from_millis(100);
    simulation.ask(vec![Ask { what, at, timeout }]).pop().expect("one outcome to one call").outcome
}
