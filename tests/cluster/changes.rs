//! The members change while clients work: no call fails, and nothing is lost.

use std::time::Duration;

use raftlab::check::linearizability::Start;
use raftlab::cluster::Cluster;
use raftlab::config::Settings;
use raftlab::lab::{Lab, Life, NodeOrder};
use raftlab::load::{Amount, Load, Plan, WorkloadSettings, judge};
use raftlab::membership::{Change, ChangeError, MembersError};
use raftlab::state_machine::kv::Command;
use raftlab::types::NodeId;

use crate::{
    PATIENCE, assert_read, assert_safe, converge, folder, leader, node, others, put, settings, start,
    wait_until,
};

/// A change that cannot end is waited for this long.
const A_MOMENT: Duration = Duration::from_millis(300);

/// Does this while several clients write and read, and checks what they were told.
fn under_load(cluster: &mut Cluster, act: impl FnOnce(&mut Cluster)) {
    leader(cluster);
    let workload = WorkloadSettings { keys: 50, reads_per_million: 300_000, ..WorkloadSettings::default() };
    let amount = Amount::Unending;
    let plan = Plan { clients: 6, amount, rate: Some(2_000), workload, timeout: PATIENCE, ..Plan::default() };
    let pipelines = (0..plan.clients).map(|_| cluster.client().into_pipeline()).collect();
    let load = Load::start(&plan, pipelines, None, |_| {}).expect("threads are there");
    act(cluster);
    load.stop();
    let (summary, sample) = load.join();
    assert_eq!((summary.failed, summary.unknown), (0, 0), "{:?}", summary.rejected);
    assert!(summary.answered > 100, "too little to show anything: {}", summary.answered);
    let verdict = judge(Start::Absent, &sample, summary.sent, || true);
    assert_eq!(verdict.pass, Some(true), "{}", verdict.text);
}

/// Stops a removed node and forgets it.
fn send_away(cluster: &mut Cluster, node: NodeId) {
    cluster.stop(node).expect("it runs");
    cluster.forget(node).expect("it is down");
}

fn voters(cluster: &Cluster) -> Vec<NodeId> {
    cluster.members().expect("a node leads").voters()
}

/// Whether nothing is under way, and these are the learners.
fn is_settled_with(cluster: &Cluster, learners: &[NodeId]) -> bool {
    cluster.members().is_some_and(|members| members.is_settled() && members.learners() == learners)
}

#[test]
fn no_call_fails_while_nodes_come_and_go_and_the_leader_too() {
    for memory in [false, true] {
        let folder = folder();
        let settings = Settings { memory, ..settings(&folder, 3) };
        let mut cluster = start(&settings);
        under_load(&mut cluster, |cluster| {
            let added = cluster.add(node(4)).expect("n4 is new");
            assert!(added.configuration.voters.contains_key(&node(4)) && !added.configuration.is_joint());
            cluster.replace(node(1), node(5)).expect("n1 is a member, n5 is new");
            send_away(cluster, node(1));
            cluster.transfer(None).expect("the others hold the log");
            let first = leader(cluster);
            cluster.remove(first).expect("the others can decide");
            send_away(cluster, first);
        });
        let members = cluster.members().expect("a node leads");
        assert!(members.is_settled(), "{members:?}");
        assert_eq!(members.voters(), cluster.nodes());
        assert_eq!(members.voters().len(), 3);
        converge(&mut cluster);
        assert_safe(&mut cluster);
    }
}

#[test]
fn all_nodes_are_replaced_twice_around_under_load() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let mut cluster = start(&settings);
    put(&cluster, "before");
    under_load(&mut cluster, |cluster| {
        for (old, new) in [(1, 4), (2, 5), (3, 6), (4, 1), (5, 2), (6, 3)] {
            cluster.replace(node(old), node(new)).expect("the others can decide");
            send_away(cluster, node(old));
        }
    });
    assert_eq!(cluster.nodes(), NodeId::first(3));
    let members = cluster.members().expect("a node leads");
    assert_eq!(members.voters(), NodeId::first(3));
    let is_new = |node: NodeId| members.configuration.voters[&node] > 1;
    assert!(members.voters().into_iter().all(is_new), "no founder's files: {members:?}");
    for name in NodeId::first(6) {
        assert!(settings.states.join(name.to_string()).exists(), "the files of {name} stay");
    }
    assert_read(&cluster, "before");
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_client_from_before_finds_its_cluster_and_old_files_stay_out_of_it() {
    for express in [false, true] {
        let folder = folder();
        let settings = Settings { express, ..settings(&folder, 3) };
        let mut cluster = start(&settings);
        let client = cluster.client();
        put(&cluster, "a");
        let is_refused = |old: NodeId, reason: &str| {
            assert!(reason.contains(&format!("{old} was removed from the cluster")), "{reason}");
        };
        for old in NodeId::first(3) {
            cluster.replace(old, node(old.number() + 3)).expect("the others can decide");
            wait_until(&mut cluster, "the old node knows that it is left out", |cluster| {
                cluster.stored(old, 0).is_ok_and(|stored| stored.is_retired())
            });
            cluster.stop(old).expect("it runs");
            is_refused(old, &cluster.order(old, NodeOrder::Restart).expect_err("it is left out").to_string());
            cluster.forget(old).expect("it is down");
            client.submit(Command::put(old.to_string(), "1")).expect("the client finds the leader");
        }
        assert_eq!(cluster.nodes(), [4, 5, 6].map(node));
        cluster.shutdown();
        let mut cluster = start(&settings);
        for old in NodeId::first(3) {
            let Life::Down(reason) = cluster.view(old).life else { panic!("{old} starts on its old files") };
            is_refused(old, &reason);
            cluster.forget(old).expect("it is down");
        }
        assert_eq!(cluster.nodes(), [4, 5, 6].map(node), "a start runs the other folders");
        assert_read(&cluster, "a");
        cluster.add(node(1)).expect("its name is free");
        converge(&mut cluster);
        assert_safe(&mut cluster);
    }
}

#[test]
fn a_change_that_a_restart_of_the_whole_cluster_interrupts_ends_afterwards() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let mut cluster = start(&settings);
    put(&cluster, "a");
    let first = leader(&cluster);
    let [silent, demoted] = others(&cluster, first)[..] else { panic!("three nodes") };
    cluster.order(silent, NodeOrder::Crash).expect("it runs");
    let demote = Change::Demote(demoted);
    let begun = cluster.change(demote, true, A_MOMENT).expect_err("C_new has no majority");
    assert!(matches!(begun, MembersError::UnderWay { .. }), "{begun}");
    cluster.shutdown();

    let mut cluster = start(&settings);
    wait_until(&mut cluster, "the change ends", |cluster| is_settled_with(cluster, &[demoted]));
    cluster.promote(demoted).expect("it holds the log");
    assert_eq!(voters(&cluster), NodeId::first(3));
    assert_read(&cluster, "a");
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_change_that_waits_for_a_node_that_is_down_is_taken_back() {
    let mut cluster =
        Cluster::builder().nodes(3).memory().client_timeout(PATIENCE).start().expect("three nodes");
    leader(&cluster);
    let nothing = cluster.cancel_change().expect_err("none is under way");
    assert_eq!(nothing, MembersError::Refused(ChangeError::NothingToCancel));
    cluster.add_learner(node(4)).expect("it is new");
    assert!(is_settled_with(&cluster, &[node(4)]));
    cluster.order(node(4), NodeOrder::Crash).expect("it runs");
    // No leader from here on knows how much the learner holds.
    cluster.transfer(None).expect("the others hold the log");
    let begun = cluster.change(Change::Promote(node(4)), false, A_MOMENT).expect_err("it does not catch up");
    assert!(matches!(begun, MembersError::UnderWay { .. }), "{begun}");
    let taken_back = cluster.cancel_change().expect("it has no vote yet");
    assert!(taken_back.configuration.learners.contains_key(&node(4)));
    assert_eq!(voters(&cluster), NodeId::first(3));
    cluster.restart(node(4)).expect("it is down");
    converge(&mut cluster);
    assert!(is_settled_with(&cluster, &[node(4)]), "it stays a learner");
    assert_safe(&mut cluster);
}

#[test]
fn a_cluster_grows_from_one_to_seven_and_shrinks_to_one() {
    let mut cluster =
        Cluster::builder().nodes(1).memory().client_timeout(PATIENCE).start().expect("one node");
    let client = cluster.client();
    let put = |key: String| client.submit(Command::put(key, "1")).expect("a leader answers");
    put("first".to_string());
    for number in 2..=7 {
        cluster.add(node(number)).expect("it is new");
        assert_eq!(voters(&cluster), NodeId::first(number));
        put(format!("with {number}"));
    }
    converge(&mut cluster);
    for number in 1..=6 {
        cluster.remove(node(number)).expect("the others can decide");
        send_away(&mut cluster, node(number));
        put(format!("without {number}"));
    }
    let last = cluster.remove(node(7)).expect_err("nothing would be left");
    assert_eq!(last, MembersError::Refused(ChangeError::LastVoter(node(7))));
    assert_eq!((voters(&cluster), cluster.nodes()), (vec![node(7)], vec![node(7)]));
    assert_safe(&mut cluster);
}
