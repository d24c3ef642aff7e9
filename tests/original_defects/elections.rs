//! S10, L3, L4, L5, L6: who leads, and how long.

use std::time::Duration;

use raftlab::faults::{End, LinkScope, NetChange};
use raftlab::lab::{Lab, NodeOrder};
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::types::{LogIndex, NodeId, Term};

use crate::{cluster, create, followers, leader, leaders, of_three, run_for};

#[test]
fn s10_followers_keep_the_leader_that_they_hear() {
    let deposed = |defect| {
        let mut simulation = of_three(defect);
        let before = leaders(&mut simulation)[0].1.status.term;
        let (leader, follower) = (leader(&mut simulation), followers(&mut simulation)[0]);
        cut(&mut simulation, leader, follower);
        run_for(&mut simulation, Duration::from_secs(10));
        leaders(&mut simulation)[0].1.status.term > before
    };
    assert!(!deposed(None), "one follower that the leader cannot reach deposes nobody (4.2.3)");
    assert!(deposed(Some("votes-beside-a-leader")), "the defect shows");
}

#[test]
fn l3_a_refused_vote_leaves_the_election_timer_alone() {
    let elected = |defect| {
        let mut simulation = of_three(defect);
        let (old, outdated) = (leader(&mut simulation), followers(&mut simulation)[0]);
        simulation.change(&NetChange::Isolate(outdated)).expect("a node can be isolated");
        create(&mut simulation, None, 5, 1);
        simulation.order(old, NodeOrder::Crash).expect("it runs");
        simulation.change(&NetChange::Connect(outdated)).expect("a node can be connected");
        // The node without the newest entries asks again and again: it cannot win, and must not keep others from it.
        for _ in 0..50 {
            let soon = Duration::from_millis(40);
            simulation.order(outdated, NodeOrder::SetElectionTimer(soon)).expect("it runs");
            run_for(&mut simulation, soon + Duration::from_millis(10));
        }
        !leaders(&mut simulation).is_empty()
    };
    assert!(elected(None), "the node with the newest log is elected, whoever else asks (5.4.1)");
    assert!(!elected(Some("refused-vote-resets-timer")), "the defect shows");
}

#[test]
fn l4_an_isolated_leader_steps_down_and_its_log_stays_small() {
    const LIMIT: usize = 4_000;
    // How long it goes on leading, and the entries that it gathers meanwhile.
    let isolate = |check_quorum, limit| {
        let mut settings = SimulationSettings::new(3, 1);
        settings.raft.check_quorum = check_quorum;
        settings.raft.uncommitted_bytes_max = limit;
        let mut simulation = cluster(settings, None);
        // Its client has its session before.
        create(&mut simulation, None, 1, 1);
        let old = leader(&mut simulation);
        let begun = simulation.view(old).status.last.index;
        for other in followers(&mut simulation) {
            cut(&mut simulation, old, other);
            cut(&mut simulation, other, old);
        }
        let mut gathered = LogIndex(0);
        for _ in 0..5 {
            create(&mut simulation, Some(old), 100, 100);
            gathered = gathered.max(simulation.view(old).status.last.index);
        }
        let still = leaders(&mut simulation).iter().any(|(name, _)| *name == old);
        (still, gathered.0 - begun.0)
    };
    let (still, gathered) = isolate(true, LIMIT);
    assert!(!still, "a leader that no quorum answers steps down (6.2)");
    assert!(
        gathered * 100 <= 2 * LIMIT as u64,
        "its uncommitted entries are bounded: {gathered} of 100 bytes"
    );
    let (still, gathered) = isolate(false, usize::MAX);
    assert!(still && gathered * 100 > 2 * LIMIT as u64, "the defect shows: {gathered}");
}

#[test]
fn l5_a_rejoining_node_raises_nobodys_term() {
    let term_after = |pre_vote| {
        let mut settings = SimulationSettings::new(3, 1);
        settings.raft.pre_vote = pre_vote;
        let mut simulation = cluster(settings, None);
        let away = followers(&mut simulation)[0];
        let before = leaders(&mut simulation)[0].1.status.term;
        simulation.change(&NetChange::Isolate(away)).expect("a node can be isolated");
        run_for(&mut simulation, Duration::from_secs(10));
        simulation.change(&NetChange::Connect(away)).expect("a node can be connected");
        run_for(&mut simulation, Duration::from_secs(5));
        (before, leaders(&mut simulation)[0].1.status.term)
    };
    let (before, after) = term_after(true);
    assert_eq!(before, after, "a node that was away for a while disturbs no leader (9.6)");
    let (before, after) = term_after(false);
    assert!(after > Term(before.0 + 5), "the defect shows: from {before} to {after}");
}

#[test]
fn l6_a_cluster_of_one_elects_itself() {
    let elects = |defect| !leaders(&mut cluster(SimulationSettings::new(1, 1), defect)).is_empty();
    assert!(elects(None), "its own vote is a majority");
    assert!(!elects(Some("own-vote-not-counted")), "the defect shows");
}

fn cut(simulation: &mut Simulation, from: NodeId, to: NodeId) {
    let link = LinkScope::OneWay(End::Node(from), End::Node(to));
    simulation.change(&NetChange::Cut(link)).expect("a link can be cut");
}
