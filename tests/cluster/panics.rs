//! A state machine that panics: who ends, who goes on, what is said, and the way past a command that no machine of before
//! could apply.

use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::Duration;

use raftlab::client::Fate;
use raftlab::cluster::{Builder, Cluster, StartError};
use raftlab::lab::{Lab, Life, NodeOrder};
use raftlab::server::RoleName;
use raftlab::trace::What;
use raftlab::types::NodeId;
use raftlab::{Failure, Rejection};

use crate::odd_machine::{Answer, Command, Kept, Odd, Query, odd_cluster, total, unrepaired};
use crate::{PATIENCE, assert_safe, folder};

/// How long a call may take that no node can answer.
const SOON: Duration = Duration::from_secs(3);

/// A node that stopped itself is told by `check`, and is all that is.
fn assert_safe_but_for_the_panic(cluster: &mut Cluster<Odd>) {
    let broken: Vec<_> = cluster.check().into_iter().filter(|verdict| verdict.violation.is_some()).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].property, "node invariants");
}

/// Waits until this node is down, and says why.
fn down(cluster: &Cluster<Odd>, node: NodeId) -> String {
    let why = |cluster: &Cluster<Odd>| match cluster.life(node) {
        Some(Life::Down(why)) => Some(why),
        _ => None,
    };
    cluster.wait_for(PATIENCE, why).expect("it ends")
}

#[test]
fn a_command_that_no_machine_can_apply_is_told_and_passed_with_another_machine() {
    let (folder, repaired) = (folder(), unrepaired());
    let (sender, told) = channel();
    let mut cluster = odd_cluster(&repaired, |builder| {
        builder.states(folder.path()).observer(move |event| {
            if let What::MachineFailed { .. } = event.what {
                let _ = sender.send(event.to_string());
            }
        })
    })
    .expect("a cluster starts");
    let client = cluster.client();
    assert_eq!(client.submit(Command::Add(5)).expect("answered").answer, Answer::Total(5));
    let leader = cluster.leader().expect("it answered");
    let Err(Failure::Panicked { token, reason }) = client.within(SOON).submit(Command::Panic) else {
        panic!("the client hears of it")
    };
    let said =
        "its state machine panicked at entry 4: a poisonous command at 5 (tests/cluster/odd_machine.rs:";
    assert!(reason.starts_with(said), "{reason}");

    let why = down(&cluster, leader);
    assert_eq!(why, reason, "its status says the same");
    let status = cluster.status(leader).expect("a member");
    assert_eq!((status.role, status.leader), (RoleName::Follower, None), "who is down leads nobody");
    // The next leader comes to the same entry; the third cannot be elected alone.
    let two_down = |cluster: &Cluster<Odd>| {
        let down = |node: &NodeId| matches!(cluster.life(*node), Some(Life::Down(_)));
        (cluster.nodes().iter().filter(|node| down(node)).count() >= 2).then_some(())
    };
    cluster.wait_for(PATIENCE, two_down).expect("all that lead come to the entry");
    assert_eq!(cluster.leader(), None);
    for _ in 0..2 {
        let told = told.recv_timeout(PATIENCE).expect("the observer is told");
        assert!(
            told.contains(said) && told.contains("restart it with a state machine that accepts it"),
            "{told}"
        );
    }
    assert_safe_but_for_the_panic(&mut cluster);
    drop(cluster);

    // With the same machine it comes to the same end, and says so; with another it goes on, and nothing is lost.
    let cluster = odd_cluster(&repaired, |builder| builder.states(folder.path())).expect("a cluster starts");
    cluster.wait_for(PATIENCE, two_down).expect("the entry is still there");
    drop(cluster);
    repaired.store(true, Ordering::SeqCst);
    let mut cluster =
        odd_cluster(&repaired, |builder| builder.states(folder.path())).expect("a cluster starts");
    assert_eq!(total(&cluster), Answer::Total(105));
    let Ok(Fate::Applied(committed)) = cluster.client().outcome(token) else { panic!("it was applied") };
    assert_eq!(committed.answer, [Answer::Total(105)]);
    assert_eq!(cluster.client().submit(Command::Add(1)).expect("answered").answer, Answer::Total(106));
    assert_safe(&mut cluster);
}

#[test]
fn a_node_that_is_down_goes_on_in_the_same_cluster_once_its_machine_can() {
    let repaired = unrepaired();
    let mut cluster = odd_cluster(&repaired, Builder::memory).expect("a cluster starts");
    let client = cluster.client();
    client.submit(Command::Add(5)).expect("answered");
    assert!(matches!(client.within(SOON).submit(Command::Panic), Err(Failure::Panicked { .. })));
    let is_down = |cluster: &Cluster<Odd>, node| matches!(cluster.life(node), Some(Life::Down(_)));
    cluster
        .wait_for(PATIENCE, |cluster| {
            let nodes = cluster.nodes();
            (nodes.into_iter().filter(|node| is_down(cluster, *node)).count() >= 2).then_some(())
        })
        .expect("two come to it");
    repaired.store(true, Ordering::SeqCst);
    for node in cluster.nodes() {
        if is_down(&cluster, node) {
            cluster.order(node, NodeOrder::Restart).expect("it is down");
        }
    }
    assert_eq!(total(&cluster), Answer::Total(105));
    assert_safe_but_for_the_panic(&mut cluster);
}

#[test]
fn a_panic_over_a_question_or_a_check_is_an_answer_and_ends_no_node() {
    let mut cluster = odd_cluster(&unrepaired(), Builder::memory).expect("a cluster starts");
    let client = cluster.client();
    for ended in [
        client.read(Query::Panic).map(|observed| observed.answer),
        client.submit(Command::PanicInCheck).map(|committed| committed.answer),
    ] {
        let Err(Failure::Rejected(Rejection::Panicked(reason))) = ended else { panic!("{ended:?}") };
        assert!(reason.contains("a poisonous ") && reason.contains("odd_machine.rs:"), "{reason}");
    }
    assert_eq!(client.submit(Command::Add(5)).expect("it serves").answer, Answer::Total(5));
    for node in cluster.nodes() {
        assert_eq!(cluster.life(node), Some(Life::Up), "{node}");
    }
    assert_safe(&mut cluster);
}

#[test]
fn a_panic_while_the_state_is_handed_out_ends_the_node_and_says_so() {
    let mut cluster = odd_cluster(&unrepaired(), Builder::memory).expect("a cluster starts");
    cluster.client().submit(Command::Keep(Kept::PanicInSnapshot)).expect("answered");
    let node = cluster.leader().expect("it answered");
    cluster.order(node, NodeOrder::TakeSnapshot).expect("it runs");
    let why = down(&cluster, node);
    let said = "its state machine panicked when it was to hand out its state for a snapshot: ";
    assert!(why.starts_with(said) && why.contains("no state is handed out"), "{why}");
    assert_eq!(total(&cluster), Answer::Total(0), "the others go on");
    assert_safe_but_for_the_panic(&mut cluster);
}

#[test]
fn a_panic_while_a_state_is_taken_over_refuses_the_start_and_a_restart() {
    let (folder, repaired) = (folder(), unrepaired());
    let mut cluster =
        odd_cluster(&repaired, |builder| builder.states(folder.path())).expect("a cluster starts");
    cluster.client().submit(Command::Keep(Kept::PanicInRestore)).expect("answered");
    cluster.client().submit(Command::Add(7)).expect("answered");
    let node = cluster.leader().expect("it answered");
    cluster.order(node, NodeOrder::TakeSnapshot).expect("it runs");
    let saved =
        |cluster: &Cluster<Odd>| cluster.status(node).filter(|status| status.snapshot.last.index.0 > 0);
    cluster.wait_for(PATIENCE, saved).expect("a snapshot is made");
    cluster.order(node, NodeOrder::Crash).expect("it runs");
    let refused = cluster.order(node, NodeOrder::Restart).expect_err("its machine panics").to_string();
    assert!(refused.contains("cannot start, its state machine panicked: "), "{refused}");
    assert!(matches!(cluster.life(node), Some(Life::Down(_))), "and is said to be down");
    drop(cluster);
    let refused = odd_cluster(&repaired, |builder| builder.states(folder.path())).err();
    let Some(StartError::Machine { node: refused, reason }) = refused else { panic!("{refused:?}") };
    assert_eq!(refused, node);
    assert!(reason.contains("no state is taken over"), "{reason}");
    repaired.store(true, Ordering::SeqCst);
    let cluster = odd_cluster(&repaired, |builder| builder.states(folder.path())).expect("a cluster starts");
    assert_eq!(total(&cluster), Answer::Total(7), "nothing is lost");
}

#[test]
fn a_panic_in_the_machines_drop_ends_what_was_to_end() {
    let mut cluster = odd_cluster(&unrepaired(), Builder::memory).expect("a cluster starts");
    cluster.client().submit(Command::PanicInDrop).expect("answered");
    let node = cluster.leader().expect("it answered");
    cluster.order(node, NodeOrder::Stop).expect("it ends");
    let why = down(&cluster, node);
    assert!(why.contains("panicked when it was dropped: it does not want to go"), "{why}");
    assert_safe_but_for_the_panic(&mut cluster);
}

#[test]
fn an_observer_that_panics_ends_no_node() {
    let observed = |builder: Builder| builder.memory().observer(|_| panic!("seen too much"));
    let mut cluster = odd_cluster(&unrepaired(), observed).expect("a cluster starts");
    cluster.watch_messages(true);
    assert_eq!(cluster.client().submit(Command::Add(5)).expect("answered").answer, Answer::Total(5));
    for node in cluster.nodes() {
        assert_eq!(cluster.life(node), Some(Life::Up), "{node}");
    }
    assert_safe(&mut cluster);
}

#[test]
fn a_machine_that_panics_on_a_thread_of_its_own_ends_its_node_as_well() {
    let repaired = unrepaired();
    let mut cluster = odd_cluster(&repaired, Builder::memory).expect("a cluster starts");
    let client = cluster.client();
    client.submit(Command::Slow).expect("answered");
    let node = cluster.leader().expect("it answered");
    let Err(Failure::Panicked { reason, .. }) = client.within(SOON).submit(Command::Panic) else {
        panic!("the client hears of it")
    };
    assert!(reason.starts_with("its state machine panicked at entry "), "{reason}");
    assert_eq!(down(&cluster, node), reason);
    assert_safe_but_for_the_panic(&mut cluster);
}
