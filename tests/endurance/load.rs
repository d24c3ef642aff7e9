//! Snapshots under load, while nodes crash, lose their power or all their files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use raftlab::client::Failure;
use raftlab::cluster::Cluster;
use raftlab::faults::End;
use raftlab::lab::{Lab, NodeOrder};
use raftlab::raft::membership::MemberRole;
use raftlab::state_machine::kv::Command;
use raftlab::types::{LogIndex, NodeId};
use tempfile::TempDir;

use crate::{
    SNAPSHOT_ENTRIES, assert_safe, converge, files_of, folder, leader, of_three, status, wait_until,
};

/// Clients, each with a key of its own.
const CLIENTS: u64 = 4;

/// Entries that are committed between two faults, at least.
const BETWEEN: u64 = 2 * SNAPSHOT_ENTRIES;

/// Entries that a node's log has at most: a few times as many as from one snapshot to the next, which is being saved
/// while more are applied.
const LOG_MAX: usize = 2_000;

/// How a node goes down.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash,
    PowerCut,
    Wipe,
}

/// Writes numbers, one after the other, and says at the end up to where it was answered and how far it came.
fn count_up(cluster: &Cluster, number: u64, stop: Arc<AtomicBool>) -> thread::JoinHandle<(u64, u64)> {
    let client = cluster.client();
    thread::spawn(move || {
        let (mut answered, mut tried) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            tried += 1;
            match client.submit(Command::put(format!("client {number}"), tried.to_string())) {
                Ok(_) => answered = tried,
                Err(Failure::Unknown(_) | Failure::Rejected(_)) => {}
                Err(other) => panic!("the cluster answers: {other:?}"),
            }
        }
        (answered, tried)
    })
}

#[test]
fn snapshots_under_load_and_faults_lose_nothing_and_bound_memory_and_disk() {
    let folder = folder();
    let mut cluster = of_three(&folder).start().expect("a cluster starts");
    leader(&cluster);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS).map(|number| count_up(&cluster, number, Arc::clone(&stop))).collect();
    for (fault, hits_leader) in [Fault::Wipe, Fault::PowerCut, Fault::Crash]
        .into_iter()
        .flat_map(|fault| [(fault, false), (fault, true), (fault, false)])
    {
        strike(&mut cluster, fault, hits_leader);
    }
    stop.store(true, Ordering::Relaxed);
    let counts: BTreeMap<u64, (u64, u64)> =
        (0..).zip(clients).map(|(number, client)| (number, client.join().expect("no call panics"))).collect();

    let held = converge(&mut cluster);
    for (number, (answered, tried)) in &counts {
        let (key, at_least) = (format!("client {number}"), *answered);
        let value = held.iter().find(|(held, _)| *held == key).map_or("0", |(_, value)| value);
        let value: u64 = value.parse().expect("a number was written");
        assert!((at_least..=*tried).contains(&value), "{key}: {value} of {tried}, {answered} was answered");
    }
    assert_safe(&mut cluster);
    assert_bounded(&mut cluster, &folder);

    let before = cluster.nodes().into_iter().map(|node| status(&mut cluster, node).applied).max();
    cluster.shutdown();
    let mut cluster = of_three(&folder).start().expect("it goes on from its states");
    let snapshots: Vec<_> =
        cluster.nodes().into_iter().map(|node| status(&mut cluster, node).snapshot).collect();
    assert!(snapshots.iter().all(|snapshot| snapshot.last.index > LogIndex(0)), "they start from snapshots");
    assert_eq!(converge(&mut cluster), held, "snapshot and log give the same state");
    assert!(Some(status(&mut cluster, NodeId::new(1)).applied) >= before);
    assert_safe(&mut cluster);
}

/// Takes a node down and brings it back, with enough entries before, meanwhile and afterwards.
fn strike(cluster: &mut Cluster, fault: Fault, hits_leader: bool) {
    advance(cluster);
    let leader = leader(cluster);
    let victim = cluster.nodes().into_iter().find(|node| (*node == leader) == hits_leader);
    let victim = victim.expect("there are three nodes");
    cluster
        .order(victim, if matches!(fault, Fault::PowerCut) { NodeOrder::PowerCut } else { NodeOrder::Crash })
        .expect("it runs");
    advance(cluster);
    cluster
        .order(victim, if matches!(fault, Fault::Wipe) { NodeOrder::Wipe } else { NodeOrder::Restart })
        .expect("its disk works");
    let target = commit(cluster);
    wait_until(cluster, &format!("{victim} is back after {fault:?}"), |cluster| {
        let status = status(cluster, victim);
        status.member == MemberRole::Voter && status.applied >= target
    });
    for node in cluster.nodes() {
        let length = cluster.log(node).expect("it runs").terms.len();
        assert!(length <= LOG_MAX, "{node} keeps {length} entries in memory");
    }
}

fn commit(cluster: &mut Cluster) -> LogIndex {
    let nodes = cluster.nodes();
    nodes.into_iter().map(|node| status(cluster, node).commit).max().unwrap_or_default()
}

fn advance(cluster: &mut Cluster) {
    let target = LogIndex(commit(cluster).0 + BETWEEN);
    wait_until(cluster, "clients are served", |cluster| commit(cluster) >= target);
}

/// After a last snapshot, little is left on disk and in memory of all that was written.
fn assert_bounded(cluster: &mut Cluster, folder: &TempDir) {
    const SNAPSHOTS_MAX: usize = 2;
    const SEGMENTS_MAX: usize = 6;
    let last = status(cluster, NodeId::new(1)).last.index;
    assert!(last.0 > 18 * BETWEEN, "many entries were written: {last}");
    for node in cluster.nodes() {
        cluster.order(node, NodeOrder::TakeSnapshot).expect("it runs");
        wait_until(cluster, &format!("{node} has little on its disk"), |cluster| {
            status(cluster, node).snapshot.last.index == last
                && files_of(folder, node, "snapshot-") <= SNAPSHOTS_MAX
                && files_of(folder, node, "log-") <= SEGMENTS_MAX
        });
        let log = cluster.log(node).expect("it runs");
        assert!(log.base.index.0 > 0 && log.terms.len() <= 10, "{node} keeps {} entries", log.terms.len());
    }
}

#[test]
fn members_that_are_replaced_again_and_again_leave_nothing_behind_in_memory() {
    const ROUNDS: u8 = 3;
    let folder = folder();
    let mut cluster = of_three(&folder).start().expect("a cluster starts");
    leader(&cluster);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS).map(|number| count_up(&cluster, number, Arc::clone(&stop))).collect();
    for _ in 0..ROUNDS {
        for (old, new) in [(1, 4), (2, 5), (3, 6), (4, 1), (5, 2), (6, 3)] {
            advance(&mut cluster);
            let (old, new) = (NodeId::new(old), NodeId::new(new));
            cluster.replace(old, new).expect("the others can decide");
            cluster.stop(old).expect("it runs");
            cluster.forget(old).expect("it is down");
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let (answered, tried) = client.join().expect("no call panics");
        assert_eq!(answered, tried, "no call fails for a change of the members");
    }
    assert_eq!(cluster.nodes(), NodeId::first(3));
    let links = cluster.network_counts();
    let gone = |end: &End| matches!(end, End::Node(node) if node.number() > 3);
    assert!(
        !links.iter().any(|(from, to, _)| gone(from) || gone(to)),
        "no link of a node that left: {links:?}"
    );
    converge(&mut cluster);
    assert_safe(&mut cluster);
    assert_bounded(&mut cluster, &folder);
}
