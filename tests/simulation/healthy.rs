//! Clusters without faults, or with one that a healthy cluster does not notice.

use std::time::Duration;

use raftlab::kv::{Command, KeyValue, Query};
use raftlab::lab::NodeOrder;
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::simulation::{Request, SimulatedCluster};
use raftlab::types::{NodeId, Time};

#[test]
fn a_healthy_cluster_keeps_its_leader_and_its_term() {
    for seed in 1..=20 {
        for nodes in [1, 2, 3, 5] {
            let mut simulation = Simulation::new(SimulationSettings::new(nodes, seed), None);
            simulation.run_until(Time::ZERO + Duration::from_secs(2));
            let tally = *simulation.tally();
            assert!(tally.leaders > 0, "seed {seed}: {nodes} nodes elect a leader within 2 s");
            simulation.run_until(Time::ZERO + Duration::from_secs(60));
            assert_eq!(
                simulation.tally().elections,
                tally.elections,
                "seed {seed}: no election in a healthy minute"
            );
        }
    }
}

#[test]
fn a_healthy_cluster_fails_no_call_while_it_hands_over() {
    for seed in 1..=10 {
        let mut cluster = SimulatedCluster::new(SimulationSettings::new(3, seed), KeyValue::default);
        let clients = [cluster.add_client(), cluster.add_client(), cluster.add_client()];
        cluster.call(clients[0], Request::Command(Command::put("x", "0"))).expect("a new cluster answers");
        let mut old = None;
        for step in 0..200_u64 {
            for client in clients {
                cluster.begin(client, Request::Command(Command::put("x", step.to_string())));
                cluster.begin(client, Request::Query(Query::Read { key: "x".into() }));
            }
            if step % 20 == 10 {
                let leader = cluster.leader().expect("it is healthy");
                cluster.order(leader, NodeOrder::Transfer(None)).expect("it runs");
                old = Some(leader);
            }
            if step % 20 == 19 {
                assert_ne!(cluster.leader(), old, "seed {seed}: another node leads");
            }
            cluster.run_for(Duration::from_millis(5));
        }
        cluster.run_for(Duration::from_secs(1));
        let history = cluster.history();
        assert_eq!(history.len(), 1 + 200 * 6, "seed {seed}: no call was rejected");
        assert!(history.iter().all(|call| call.returned.is_some()), "seed {seed}: each was answered");
    }
}

#[test]
fn a_disk_without_a_delay_needs_no_step_of_its_own() {
    let run = |disk_delay| {
        let settings = SimulationSettings { disk_delay, ..SimulationSettings::new(3, 1) };
        let mut simulation = Simulation::new(settings, None);
        simulation.run_until(Time::ZERO + Duration::from_secs(2));
        assert!(simulation.tally().leaders > 0 && simulation.safety().violations().is_empty());
        simulation.tally().at_once
    };
    assert_eq!(run(Duration::from_millis(1)), 0);
    assert!(run(Duration::ZERO) > 3, "the vote of each node and the no-op at each");
    let alone = SimulationSettings { disk_delay: Duration::ZERO, ..SimulationSettings::new(1, 1) };
    let mut alone = Simulation::new(alone, None);
    alone.run_until(Time::ZERO + Duration::from_secs(2));
    assert_eq!((alone.tally().leaders, alone.tally().at_once), (1, 0), "it is told what it commits by");
}

#[test]
fn a_cut_off_node_raises_nobodys_term() {
    use raftlab::faults::{LinkScope, NetChange};
    use raftlab::lab::Lab;
    for seed in 1..=20 {
        let mut simulation = Simulation::new(SimulationSettings::new(3, seed), None);
        simulation.run_until(Time::ZERO + Duration::from_secs(2));
        let term = simulation.view(NodeId::new(1)).status.term;
        let follower = NodeId::first(3)
            .into_iter()
            .find(|&name| simulation.view(name).status.leader != Some(name))
            .expect("two of three follow");
        simulation.change(&NetChange::Isolate(follower)).expect("a node can be isolated");
        simulation.run_until(Time::ZERO + Duration::from_secs(20));
        simulation.change(&NetChange::Heal(LinkScope::All)).expect("links can be healed");
        simulation.run_until(Time::ZERO + Duration::from_secs(30));
        for name in NodeId::first(3) {
            assert_eq!(simulation.view(name).status.term, term, "seed {seed}: {name} (9.6: pre-vote)");
        }
    }
}
