//! Disks that do not answer, or have no room.

use std::collections::BTreeSet;
use std::time::Duration;

use raftlab::cluster::Cluster;
use raftlab::faults::NetChange;
use raftlab::lab::{DiskChange, Lab, Life, NodeOrder};
use raftlab::server::RoleName;
use raftlab::types::{LogIndex, NodeId};
use tempfile::TempDir;

use crate::{
    SNAPSHOT_ENTRIES, assert_safe, converge, files_of, folder, leader, of_three, others, put, status,
    wait_for_other_leader, wait_until,
};

const FOR_LONG: DiskChange = DiskChange::Stall(Duration::from_secs(3600));
const WELL: DiskChange = DiskChange::Stall(Duration::ZERO);

/// A cluster that has applied something, its leader and a follower.
fn at_work(folder: &TempDir) -> (Cluster, NodeId, NodeId) {
    let mut cluster = of_three(folder).start().expect("a cluster starts");
    put(&cluster, "before", "1");
    converge(&mut cluster);
    let leader = leader(&cluster);
    let follower = others(&cluster, leader)[0];
    (cluster, leader, follower)
}

#[test]
fn a_leader_whose_disk_stalls_hands_over_while_writes_are_answered() {
    let folder = folder();
    let builder = of_three(&folder).with(|settings| settings.raft.disk_patience = Duration::from_millis(400));
    let mut cluster = builder.start().expect("a cluster starts");
    put(&cluster, "before", "1");
    converge(&mut cluster);
    let old = leader(&cluster);
    cluster.order(old, NodeOrder::Disk(FOR_LONG)).expect("a disk can stall");
    put(&cluster, "by the disks of the others", "2");
    let mut writes = 0;
    wait_until(&mut cluster, "another node leads", |cluster| {
        writes += 1;
        put(cluster, &format!("meanwhile {writes}"), "3");
        let rest = others(cluster, old);
        rest.into_iter().any(|node| cluster.view(node).status.role == RoleName::Leader)
    });
    put(&cluster, "after", "4");
    wait_until(&mut cluster, "the old leader follows", |cluster| {
        status(cluster, old).role == RoleName::Follower
    });
    assert_eq!(cluster.view(old).life, Life::Up, "a disk that stalls ends nobody");
    cluster.order(old, NodeOrder::Disk(WELL)).expect("a disk can be mended");
    let held = converge(&mut cluster);
    assert_eq!(held.len(), writes + 3, "everything that was answered is there");
    assert_safe(&mut cluster);
}

#[test]
fn a_follower_whose_disk_stalls_holds_up_nobody_and_catches_up_with_a_snapshot() {
    let folder = folder();
    let (mut cluster, leader, stalled) = at_work(&folder);
    cluster.order(stalled, NodeOrder::Disk(FOR_LONG)).expect("a disk can stall");
    let last = status(&mut cluster, leader).last.index;
    for number in 0..4 * SNAPSHOT_ENTRIES {
        put(&cluster, "x", &number.to_string());
    }
    wait_until(&mut cluster, "the leader compacts its log", |cluster| {
        cluster.log(leader).expect("it runs").base.index > last
    });
    assert_eq!(status(&mut cluster, stalled).role, RoleName::Follower, "it starts no election");
    // What waits for the disk is lost with the node; its log ends where that of the leader does not begin.
    cluster.order(stalled, NodeOrder::PowerCut).expect("it runs");
    cluster.order(stalled, NodeOrder::Disk(WELL)).expect("a disk can be mended");
    cluster.order(stalled, NodeOrder::Restart).expect("its disk works");
    converge(&mut cluster);
    assert!(status(&mut cluster, stalled).snapshot.last.index > LogIndex(0), "it has the leader's snapshot");
    assert_safe(&mut cluster);
}

#[test]
fn a_follower_that_is_cut_off_costs_the_others_one_snapshot_and_not_all_that_are_made_meanwhile() {
    const AT_LEAST: u64 = 8;
    let folder = folder();
    let (mut cluster, leader, cut_off) = at_work(&folder);
    cluster.change_network(&NetChange::Isolate(cut_off)).expect("it can be isolated");
    let mut made = BTreeSet::new();
    let mut number = 0;
    wait_until(&mut cluster, "snapshots are made", |cluster| {
        number += 1;
        put(cluster, "x", &number.to_string());
        made.insert(status(cluster, leader).snapshot.last.index);
        made.len() as u64 > AT_LEAST
    });
    // The newest one and the one that is being sent; what is removed meanwhile is soon gone.
    wait_until(&mut cluster, "the rest is gone", |_| files_of(&folder, leader, "snapshot-") <= 2);
    cluster.change_network(&NetChange::Connect(cut_off)).expect("it can be connected");
    converge(&mut cluster);
    wait_until(&mut cluster, "all has arrived", |_| files_of(&folder, leader, "snapshot-") == 1);
    assert_safe(&mut cluster);
}

#[test]
fn a_node_whose_disk_is_full_stops_and_comes_back_when_there_is_room() {
    let folder = folder();
    let mut cluster = of_three(&folder).start().expect("a cluster starts");
    put(&cluster, "before", "1");
    converge(&mut cluster);
    let full = leader(&cluster);
    cluster.order(full, NodeOrder::Disk(DiskChange::Full(true))).expect("a disk can be full");
    // As much as a snapshot needs, and the log.
    for number in 0..2 * SNAPSHOT_ENTRIES {
        put(&cluster, "x", &number.to_string());
    }
    wait_until(&mut cluster, "the node stops", |cluster| matches!(cluster.view(full).life, Life::Down(_)));
    let Life::Down(reason) = cluster.view(full).life else { unreachable!("seen above") };
    assert!(reason.contains("its disk failed") && reason.contains("the disk is full"), "{reason}");
    wait_for_other_leader(&mut cluster, full);
    put(&cluster, "meanwhile", "2");
    cluster.order(full, NodeOrder::Disk(DiskChange::Full(false))).expect("there can be room");
    cluster.order(full, NodeOrder::Restart).expect("its disk works");
    assert_eq!(converge(&mut cluster).len(), 3);
    assert_eq!(files_of(&folder, full, "incoming"), 0, "nothing half-written is left");
    assert_safe(&mut cluster);
}

#[test]
fn a_snapshot_that_finds_the_disk_full_stops_its_node_and_no_other() {
    let folder = folder();
    let mut cluster = of_three(&folder).start().expect("a cluster starts");
    put(&cluster, "before", "1");
    converge(&mut cluster);
    let full = others(&cluster, leader(&cluster))[0];
    cluster.order(full, NodeOrder::Disk(DiskChange::Full(true))).expect("a disk can be full");
    cluster.order(full, NodeOrder::TakeSnapshot).expect("it runs");
    wait_until(&mut cluster, "the node stops", |cluster| matches!(cluster.view(full).life, Life::Down(_)));
    let Life::Down(reason) = cluster.view(full).life else { unreachable!("seen above") };
    assert!(reason.contains("snapshot") && reason.contains("the disk is full"), "{reason}");
    put(&cluster, "meanwhile", "2");
    cluster.order(full, NodeOrder::Disk(DiskChange::Full(false))).expect("there can be room");
    cluster.order(full, NodeOrder::Restart).expect("its disk works");
    converge(&mut cluster);
    cluster.order(full, NodeOrder::TakeSnapshot).expect("it runs");
    wait_until(&mut cluster, "the snapshot is saved", |_| files_of(&folder, full, "snapshot-") == 1);
    assert_safe(&mut cluster);
}
