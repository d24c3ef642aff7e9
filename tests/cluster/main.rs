//! Clusters on real threads, through the public API: elections, faults, disks and restarts. Each test ends with a
//! check of the safety properties. Nothing here sleeps: each wait is for a condition, with a deadline.

#[cfg(feature = "cli")]
mod changes;
mod clients;
mod elections;
mod faults;
mod newcomers;
mod odd_machine;
mod panics;
mod recordings;
mod restarts;
mod slow_machine;
mod traces;
mod unwritable;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raftlab::cluster::Cluster;
use raftlab::config::Settings;
use raftlab::lab::{Lab, Life};
use raftlab::state_machine::StateMachine;
use raftlab::state_machine::kv::{Answer, Command, Query};
use raftlab::types::NodeId;
use tempfile::TempDir;

/// Far more than anything here takes: machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(30);

fn node(number: u8) -> NodeId {
    NodeId::new(number)
}

fn settings(folder: &TempDir, nodes: u8) -> Settings {
    Settings {
        nodes,
        seed: Some(7),
        states: folder.path().join("states"),
        logs: folder.path().join("logs"),
        client_timeout: PATIENCE,
        ..Settings::default()
    }
}

fn start(settings: &Settings) -> Cluster {
    Cluster::start(settings, None).expect("a cluster starts")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

fn leader(cluster: &Cluster) -> NodeId {
    cluster.wait_until_leader(PATIENCE).expect("a leader")
}

fn put(cluster: &Cluster, key: &str) {
    let committed =
        cluster.client().submit(Command::put(key, format!("value of {key}"))).expect("a leader answers");
    assert_eq!(committed.answer, Answer::Put);
}

fn assert_read(cluster: &Cluster, key: &str) {
    let read = cluster.client().read(Query::Read { key: key.into() }).expect("a leader answers");
    assert_eq!(read.answer, Answer::Value(format!("value of {key}").into()));
}

/// Waits, looking whenever something may have changed.
fn wait_until(cluster: &mut Cluster, what: &str, mut holds: impl FnMut(&mut Cluster) -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds(cluster) {
        assert!(Instant::now() < until, "not in time: {what}");
        let soon = cluster.now() + Duration::from_millis(100);
        cluster.wait(soon);
    }
}

/// All nodes run and have applied the same.
fn converge(cluster: &mut Cluster) {
    wait_until(cluster, "all nodes apply the same", |cluster| {
        let views: Vec<_> = cluster.nodes().into_iter().map(|node| cluster.view(node)).collect();
        let first = &views[0].status;
        views.iter().all(|view| {
            view.life == Life::Up && view.status.applied == first.applied && view.status.last == first.last
        }) && first.applied == first.last.index
    });
    let nodes = cluster.nodes();
    let first = cluster.items(nodes[0]).expect("it runs");
    for node in nodes {
        assert_eq!(cluster.items(node).expect("it runs"), first, "{node} holds what the others hold");
    }
}

fn assert_safe<M: StateMachine>(cluster: &mut Cluster<M>) {
    for verdict in cluster.check() {
        assert_eq!(verdict.violation, None, "{}", verdict.property);
    }
}

fn others(cluster: &Cluster, node: NodeId) -> Vec<NodeId> {
    cluster.nodes().into_iter().filter(|other| *other != node).collect()
}

fn log_file(folder: &Path, node: NodeId) -> PathBuf {
    folder.join(format!("{node}.log"))
}
