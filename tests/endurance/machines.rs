//! State machines that take their time, and large states: heartbeats wait for neither (L14 of the original).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::after;
use raftlab::client::{Ask, Outcome, Rejection, What};
use raftlab::cluster::{Builder, Cluster};
use raftlab::lab::{DiskChange, Lab, NodeOrder};
use raftlab::server::Status;
use raftlab::state_machine::StateMachine;
use raftlab::types::{LogIndex, NodeId};

use crate::{
    PATIENCE, assert_safe, converge, folder, leader, put, status, wait_for_other_leader, wait_until,
};

/// Counts its commands, and takes as long for each as it is told.
struct Slow {
    count: u64,
    pause: Pause,
}

/// How long a machine takes for each command, in milliseconds.
type Pause = Arc<AtomicU64>;

impl StateMachine for Slow {
    type Command = u64;
    type Query = ();
    type Answer = u64;
    type Snapshot = u64;

    fn apply(&mut self, _command: &u64) -> u64 {
        let pause = Duration::from_millis(self.pause.load(Ordering::Relaxed));
        if !pause.is_zero() {
            let _ = after(pause).recv();
        }
        self.count += 1;
        self.count
    }

    fn query(&self, (): &()) -> u64 {
        self.count
    }

    fn snapshot(&self) -> u64 {
        self.count
    }

    fn restore(&mut self, count: u64) {
        self.count = count;
    }

    /// On which thread it is, beside what it holds.
    fn items(&self) -> Vec<(String, String)> {
        let thread = thread::current().name().unwrap_or_default().to_string();
        vec![("count".to_string(), self.count.to_string()), ("thread".to_string(), thread)]
    }
}

/// Timers that a busy computer can keep: a node doubts its leader after a second.
fn patient(builder: Builder) -> Builder {
    let builder = builder.nodes(3).seed(7).client_timeout(PATIENCE).heartbeat(Duration::from_millis(100));
    builder.election(Duration::from_secs(1)..=Duration::from_secs(2))
}

fn slow_cluster(builder: Builder, pause: &Pause) -> Cluster<Slow> {
    let pause = Arc::clone(pause);
    let machine = move || Slow { count: 0, pause: Arc::clone(&pause) };
    builder.start_with(machine).expect("a cluster starts")
}

/// Where a node's machine is.
fn thread_of(cluster: &mut Cluster<Slow>, node: NodeId) -> String {
    cluster.items(node).expect("it runs").remove(1).1
}

/// Who leads which term, as each node knows it.
fn reigns<M: StateMachine>(cluster: &mut Cluster<M>) -> Vec<(u64, Option<NodeId>)> {
    let nodes = cluster.nodes();
    let reign = |Status { term, leader, .. }: Status| (term.0, leader);
    nodes.into_iter().map(|node| reign(status(cluster, node))).collect()
}

#[test]
fn a_slow_state_machine_starts_no_election_and_comes_back_when_it_is_quick() {
    const COMMANDS: u64 = 20;
    let pause = Pause::new(AtomicU64::new(0));
    let mut cluster = slow_cluster(patient(Cluster::builder()).memory(), &pause);
    let first = leader(&cluster);
    let client = cluster.client();
    assert_eq!(client.submit(0).expect("answered").answer, 1);
    wait_until(&mut cluster, "all follow", |cluster| {
        reigns(cluster).iter().all(|(_, leader)| *leader == Some(first))
    });
    let before = reigns(&mut cluster);
    for node in cluster.nodes() {
        assert_eq!(thread_of(&mut cluster, node), node.to_string(), "a quick machine is with its node");
    }

    pause.store(200, Ordering::Relaxed);
    assert_eq!(client.submit(0).expect("answered").answer, 2);
    wait_until(&mut cluster, "the machines move to threads of their own", |cluster| {
        let nodes = cluster.nodes();
        nodes.into_iter().all(|node| thread_of(cluster, node) == format!("{node}-machine"))
    });
    // Applied in one go, they take twice as long as the longest election timeout.
    let tickets: Vec<_> = (0..COMMANDS).map(|_| client.submit_async(0)).collect();
    let mut answers: Vec<u64> =
        tickets.into_iter().map(|ticket| ticket.wait().expect("answered").answer).collect();
    answers.sort_unstable();
    assert_eq!(answers, (3..3 + COMMANDS).collect::<Vec<_>>(), "each once");
    assert_eq!(reigns(&mut cluster), before, "no election, and nobody doubts the leader");

    pause.store(0, Ordering::Relaxed);
    wait_until(&mut cluster, "the machines come back", |cluster| {
        client.submit(0).expect("answered");
        let nodes = cluster.nodes();
        nodes.into_iter().all(|node| thread_of(cluster, node) == node.to_string())
    });
    assert_eq!(reigns(&mut cluster), before);

    // The original's node applies on the thread that sends heartbeats: it is as if frozen.
    cluster.order(first, NodeOrder::Pause).expect("it runs");
    wait_for_other_leader(&mut cluster, first);
    cluster.order(first, NodeOrder::Resume).expect("it is frozen");
    assert_safe(&mut cluster);
}

#[test]
fn a_slow_state_machine_makes_clients_wait_and_not_memory_grow() {
    const COMMANDS: usize = 600;
    // What an entry weighs at least.
    const WEIGHT: usize = 64;
    let behind_max = |uncommitted_bytes_max: usize| {
        let pause = Pause::new(AtomicU64::new(0));
        let builder = patient(Cluster::builder()).memory();
        let builder = builder.with(|settings| settings.raft.uncommitted_bytes_max = uncommitted_bytes_max);
        let mut cluster = slow_cluster(builder, &pause);
        leader(&cluster);
        let client = cluster.client();
        client.submit(0).expect("answered");
        pause.store(10, Ordering::Relaxed);
        let timeout = Duration::from_secs(2);
        let ask = |_| Ask { what: What::commands([0_u64]), at: None, timeout };
        let asks = (0..COMMANDS).map(ask).collect();
        let load = thread::spawn(move || client.ask_all(asks));
        let mut behind = 0;
        wait_until(&mut cluster, "the load ends", |cluster| {
            for node in cluster.nodes() {
                let Status { applied, last, .. } = status(cluster, node);
                behind = behind.max(last.index.0.saturating_sub(applied.0));
            }
            load.is_finished()
        });
        let ended = load.join().expect("no call panics");
        let busy = |outcome: &Outcome| matches!(outcome, Outcome::Rejected(Rejection::Busy));
        let busy = ended.iter().filter(|ended| busy(&ended.outcome)).count();
        let answered = |outcome: &Outcome| matches!(outcome, Outcome::Answered(_));
        assert!(ended.iter().any(|ended| answered(&ended.outcome)), "it goes on, slowly");
        pause.store(0, Ordering::Relaxed);
        wait_until(&mut cluster, "everything is applied", |cluster| {
            let nodes = cluster.nodes();
            nodes.into_iter().all(|node| {
                let Status { applied, last, .. } = status(cluster, node);
                applied == last.index && applied > LogIndex(0)
            })
        });
        assert_safe(&mut cluster);
        (usize::try_from(behind).expect("a number of entries"), busy)
    };
    // As many bytes may be uncommitted as may be committed and not applied, and what comes in one step is not counted
    // before its end.
    let bytes_max = 4_000;
    let (behind, busy) = behind_max(bytes_max);
    assert!(behind <= 4 * bytes_max / WEIGHT, "{behind} entries wait for the state machine");
    assert!(busy > 0, "clients are told that the leader is busy");
    let (behind, busy) = behind_max(64 << 20);
    assert!(behind > COMMANDS / 2 && busy == 0, "without that bound all of them wait in memory: {behind}");
}

#[test]
fn a_large_state_is_saved_beside_the_heartbeats() {
    const VALUES: usize = 16;
    const BYTES: usize = 1 << 20;
    let folder = folder();
    let builder = patient(Cluster::builder()).states(folder.path().join("states")).value_bytes_max(BYTES);
    // A slow disk alone is no reason to hand over here.
    let builder = builder.with(|settings| settings.raft.disk_patience = PATIENCE);
    let mut cluster = builder.start().expect("a cluster starts");
    let first = leader(&cluster);
    for number in 0..VALUES {
        put(&cluster, &format!("large {number}"), &"v".repeat(BYTES));
    }
    converge(&mut cluster);
    let before = reigns(&mut cluster);
    let last = status(&mut cluster, first).last.index;
    // It is synced every few megabytes, so that saving it takes longer than any election timeout.
    cluster
        .order(first, NodeOrder::Disk(DiskChange::Slow(Duration::from_millis(700))))
        .expect("a disk can be slow");
    cluster.order(first, NodeOrder::TakeSnapshot).expect("it runs");
    let mut writes = 0;
    wait_until(&mut cluster, "the snapshot is durable", |cluster| {
        writes += 1;
        put(cluster, "meanwhile", &writes.to_string());
        status(cluster, first).snapshot.last.index >= last
    });
    assert!(status(&mut cluster, first).snapshot.bytes > (VALUES * BYTES) as u64);
    assert_eq!(reigns(&mut cluster), before, "no election, and nobody doubts the leader");
    cluster.order(first, NodeOrder::Disk(DiskChange::Slow(Duration::ZERO))).expect("a disk can be quick");
    converge(&mut cluster);
    assert_safe(&mut cluster);
}
