//! Clusters on real threads that go on for long: snapshots under load and faults, disks that stall or fill up, and state
//! machines that are slow. Nothing here sleeps: each wait is for a condition, with a deadline.

mod disks;
mod load;
mod machines;

use std::fs;
use std::time::{Duration, Instant};

use raftlab::cluster::{Builder, Cluster};
use raftlab::lab::{Lab, Life};
use raftlab::raft::membership::MemberRole;
use raftlab::server::{RoleName, Status};
use raftlab::state_machine::StateMachine;
use raftlab::state_machine::kv::{Answer, Command};
use raftlab::types::NodeId;
use tempfile::TempDir;

/// Far more than anything here takes: machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Entries from one snapshot to the next.
const SNAPSHOT_ENTRIES: u64 = 50;

/// Three nodes on disk, with a snapshot every few entries, small files and few entries behind a snapshot.
fn of_three(folder: &TempDir) -> Builder {
    let builder = Cluster::builder().nodes(3).seed(7).states(folder.path().join("states"));
    builder.client_timeout(PATIENCE).with(|settings| {
        settings.segment_bytes = 1_000;
        settings.raft.snapshot_entries = SNAPSHOT_ENTRIES;
        settings.raft.snapshot_part_bytes = 1_000;
        settings.raft.trailing_entries = 10;
    })
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

fn leader<M: StateMachine>(cluster: &Cluster<M>) -> NodeId {
    cluster.wait_until_leader(PATIENCE).expect("a leader")
}

fn others<M: StateMachine>(cluster: &Cluster<M>, node: NodeId) -> Vec<NodeId> {
    cluster.nodes().into_iter().filter(|other| *other != node).collect()
}

fn status<M: StateMachine>(cluster: &mut Cluster<M>, node: NodeId) -> Status {
    cluster.view(node).status
}

fn put(cluster: &Cluster, key: &str, value: &str) {
    let committed = cluster.client().submit(Command::put(key, value)).expect("a leader answers");
    assert_eq!(committed.answer, Answer::Put);
}

/// Waits, looking whenever something may have changed.
fn wait_until<M: StateMachine>(
    cluster: &mut Cluster<M>,
    what: &str,
    mut holds: impl FnMut(&mut Cluster<M>) -> bool,
) {
    let until = Instant::now() + PATIENCE;
    while !holds(cluster) {
        if Instant::now() >= until {
            let nodes = cluster.nodes();
            let views: Vec<_> = nodes.into_iter().map(|node| (node, cluster.view(node))).collect();
            panic!("not in time: {what}: {views:?}");
        }
        let soon = cluster.now() + Duration::from_millis(50);
        cluster.wait(soon);
    }
}

/// All nodes run, have a vote, and have applied the same. What they hold.
fn converge<M: StateMachine>(cluster: &mut Cluster<M>) -> Vec<(String, String)> {
    wait_until(cluster, "all nodes apply the same", |cluster| {
        let views: Vec<_> = cluster.nodes().into_iter().map(|node| cluster.view(node)).collect();
        let first = &views[0].status;
        views.iter().all(|view| {
            view.life == Life::Up
                && view.status.member == MemberRole::Voter
                && view.status.applied == first.applied
                && view.status.last == first.last
        }) && first.applied == first.last.index
    });
    let held: Vec<_> =
        cluster.nodes().into_iter().map(|node| cluster.items(node).expect("it runs")).collect();
    for other in &held {
        assert_eq!(*other, held[0], "the nodes hold the same");
    }
    held.into_iter().next().expect("a cluster has nodes")
}

fn assert_safe<M: StateMachine>(cluster: &mut Cluster<M>) {
    for verdict in cluster.check() {
        assert_eq!(verdict.violation, None, "{}", verdict.property);
    }
}

/// Waits until another node leads.
fn wait_for_other_leader<M: StateMachine>(cluster: &mut Cluster<M>, old: NodeId) -> NodeId {
    let rest = others(cluster, old);
    let mut heir = old;
    wait_until(cluster, "another node leads", |cluster| {
        let leads = |node: &&NodeId| cluster.view(**node).status.role == RoleName::Leader;
        heir = rest.iter().find(leads).copied().unwrap_or(old);
        heir != old
    });
    heir
}

/// How many files of a node begin so.
fn files_of(folder: &TempDir, node: NodeId, start: &str) -> usize {
    let found = fs::read_dir(folder.path().join("states").join(node.to_string())).expect("it has a folder");
    let names = found.map(|file| file.expect("it can be read").file_name());
    names.filter(|name| name.to_string_lossy().starts_with(start)).count()
}
