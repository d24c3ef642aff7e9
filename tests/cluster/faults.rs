//! What breaks one node, or the network, and harms nobody else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use raftlab::cluster::Cluster;
use raftlab::config::Settings;
use raftlab::faults::{End, LinkScope, NetChange};
use raftlab::lab::{DiskChange, Lab, Life, NodeOrder};
use raftlab::state_machine::StateMachine;
use raftlab::state_machine::kv::{Answer, Command, KeyValue, Query, Values};
use raftlab::trace::{TraceEvent, What};
use raftlab::types::{LogIndex, NodeId, Random};

use crate::{PATIENCE, assert_safe, converge, folder, leader, others, put, settings, start, wait_until};

#[test]
fn a_power_cut_loses_only_what_was_not_acknowledged() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let node = others(&cluster, leader(&cluster))[0];
    converge(&mut cluster);
    cluster.order(node, NodeOrder::Disk(DiskChange::Stall(Duration::from_secs(3600)))).unwrap();
    let last = cluster.view(node).status.last.index;
    put(&cluster, "b");
    // The client's session and its command.
    wait_until(&mut cluster, "two entries arrive at the stalled node", |cluster| {
        cluster.view(node).status.last.index == LogIndex(last.0 + 2)
    });
    let said = cluster.order(node, NodeOrder::PowerCut).unwrap();
    assert_eq!(said, format!("2 entries were not on its disk yet, {} entries are", last.0));
    cluster.order(node, NodeOrder::Disk(DiskChange::Stall(Duration::ZERO))).unwrap();
    let said = cluster.order(node, NodeOrder::Restart).unwrap();
    assert!(said.contains(&format!("{} entries reloaded", last.0)), "{said}");
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn one_stalled_disk_stops_nobody() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let first = leader(&cluster);
    let term = cluster.view(first).status.term;
    let stalled = others(&cluster, first)[0];
    cluster.order(stalled, NodeOrder::Disk(DiskChange::Stall(Duration::from_secs(3600)))).unwrap();
    let begun = Instant::now();
    for number in 0..50 {
        put(&cluster, &format!("k{number}"));
    }
    // Several of the longest election timeouts.
    wait_until(&mut cluster, "time passes", |_| begun.elapsed() > Duration::from_millis(1200));
    assert_eq!(cluster.view(stalled).life, Life::Up);
    for node in cluster.nodes() {
        let status = cluster.view(node).status;
        assert_eq!((status.term, status.leader), (term, Some(first)), "no election at {node}");
    }
    cluster.order(stalled, NodeOrder::Disk(DiskChange::Stall(Duration::ZERO))).unwrap();
    converge(&mut cluster);
    cluster.order(first, NodeOrder::Disk(DiskChange::Stall(Duration::from_secs(3600)))).unwrap();
    put(&cluster, "by the disks of the others");
    assert_eq!(cluster.view(first).status.term, term, "a leader's own disk may stall, too");
    assert_safe(&mut cluster);
    let begun = Instant::now();
    cluster.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(1), "a shutdown took {:?}", begun.elapsed());
}

#[test]
fn a_full_disk_takes_its_node_down_and_no_other() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let full = leader(&cluster);
    cluster.order(full, NodeOrder::Disk(DiskChange::Full(true))).unwrap();
    put(&cluster, "b");
    wait_until(&mut cluster, "the node goes down", |cluster| {
        matches!(cluster.view(full).life, Life::Down(_))
    });
    let Life::Down(reason) = cluster.view(full).life else { unreachable!("seen above") };
    assert!(reason.contains("its disk failed") && reason.contains("the disk is full"), "{reason}");
    put(&cluster, "c");
    let refused = cluster.order(full, NodeOrder::Restart).unwrap_err().to_string();
    assert!(refused.contains("the disk is full"), "{refused}");
    cluster.order(full, NodeOrder::Disk(DiskChange::Full(false))).unwrap();
    cluster.order(full, NodeOrder::Restart).unwrap();
    converge(&mut cluster);
    assert_eq!(cluster.items(full).unwrap().len(), 3);
    assert_safe(&mut cluster);
}

/// A store whose first instance has a defect: it panics at the command `delete bomb`.
#[derive(Default)]
struct Fragile {
    store: KeyValue,
    broken: bool,
}

impl StateMachine for Fragile {
    type Command = Command;
    type Query = Query;
    type Answer = Answer;
    type Snapshot = Values;

    fn apply(&mut self, command: &Command) -> Answer {
        assert!(!self.broken || *command != Command::delete("bomb"), "the bomb went off");
        self.store.apply(command)
    }

    fn query(&self, query: &Query) -> Answer {
        self.store.query(query)
    }

    fn snapshot(&self) -> Values {
        self.store.snapshot()
    }

    fn restore(&mut self, values: Values) {
        self.store.restore(values);
    }

    fn items(&self) -> Vec<(String, String)> {
        self.store.items()
    }
}

#[test]
fn a_node_that_panics_is_down_and_no_other() {
    let folder = folder();
    let made = AtomicUsize::new(0);
    let machine = move || Fragile { broken: made.fetch_add(1, Ordering::SeqCst) == 0, ..Fragile::default() };
    let told = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::clone(&told);
    let observer = move |event: &TraceEvent| {
        if let What::MachineFailed { reason } = &event.what {
            events.lock().unwrap().push((event.node, reason.clone()));
        }
    };
    let mut cluster = Cluster::start_with(&settings(&folder, 3), Some(Arc::new(observer)), machine).unwrap();
    let n1 = NodeId::new(1);
    let client = cluster.client();
    client.submit(Command::delete("bomb")).unwrap();
    cluster.wait_for(PATIENCE, |_| (!told.lock().unwrap().is_empty()).then_some(())).expect("n1 panics");
    client.submit(Command::put("x", "1")).unwrap();
    let down = cluster.wait_for(PATIENCE, |_| Some(())).map(|()| cluster.view(n1).life);
    assert!(
        matches!(&down, Some(Life::Down(reason)) if reason.contains("the bomb went off (tests/cluster/faults.rs:")),
        "{down:?}"
    );
    assert_eq!(told.lock().unwrap().len(), 1, "told once");
    cluster.order(n1, NodeOrder::Restart).unwrap();
    client.submit(Command::put("y", "1")).unwrap();
    let broken: Vec<_> = cluster.check().into_iter().filter(|verdict| verdict.violation.is_some()).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].property, "node invariants");
}

#[test]
fn a_frozen_node_costs_bounded_memory_under_load_and_catches_up() {
    const VALUE: usize = 10_000;
    const FIT: usize = 20;
    let folder = folder();
    let mut cluster = start(&Settings { inbox_node_bytes: FIT * VALUE, ..settings(&folder, 3) });
    put(&cluster, "a");
    let frozen = others(&cluster, leader(&cluster))[0];
    cluster.order(frozen, NodeOrder::Pause).unwrap();
    let client = cluster.client();
    for number in 0..200 {
        client.submit(Command::put(format!("k{number}"), "x".repeat(VALUE))).unwrap();
    }
    let counts = cluster.network_counts();
    let lost: u64 =
        counts.iter().filter(|(_, to, _)| *to == End::Node(frozen)).map(|(_, _, link)| link.dropped).sum();
    assert!(lost > 0, "more was sent than fits: {counts:?}");
    cluster.order(frozen, NodeOrder::Resume).unwrap();
    converge(&mut cluster);
    assert_eq!(cluster.items(frozen).unwrap().len(), 201);
    assert_safe(&mut cluster);
}

#[test]
fn seeded_faults_break_no_promise() {
    let folder = folder();
    let settings = Settings { client_timeout: Duration::from_millis(500), ..settings(&folder, 3) };
    let mut cluster = start(&settings);
    let nodes = cluster.nodes();
    let mut random = Random::new(2026);
    let client = cluster.client();
    let mut acknowledged = Vec::new();
    for number in 0..60 {
        let node = *random.pick(&nodes).unwrap();
        match random.below(12) {
            0 => drop(cluster.order(node, NodeOrder::Crash)),
            1 => drop(cluster.order(node, NodeOrder::PowerCut)),
            2 => drop(cluster.order(node, NodeOrder::Pause)),
            3 => drop(cluster.order(node, NodeOrder::Resume)),
            4 => drop(cluster.order(
                node,
                NodeOrder::Disk(DiskChange::Stall(
                    random.duration(Duration::ZERO, Duration::from_millis(400)),
                )),
            )),
            5 => drop(cluster.change_network(&NetChange::Isolate(node))),
            6 => {
                drop(
                    cluster.change_network(&NetChange::Drop { per_million: 200_000, scope: LinkScope::All }),
                );
            }
            7 => {
                let (delay, jitter) = (Duration::from_millis(2), Duration::from_millis(20));
                drop(cluster.change_network(&NetChange::Delay { delay, jitter, scope: LinkScope::All }));
            }
            8 => drop(
                cluster.change_network(&NetChange::Duplicate { per_million: 300_000, scope: LinkScope::All }),
            ),
            _ => {
                drop(cluster.change_network(&NetChange::Reset));
                for node in &nodes {
                    drop(cluster.order(*node, NodeOrder::Restart));
                    drop(cluster.order(*node, NodeOrder::Resume));
                }
            }
        }
        let key = format!("k{number}");
        if client.submit(Command::put(&key, "1")).is_ok() {
            acknowledged.push(key);
        }
    }
    cluster.change_network(&NetChange::Reset).unwrap();
    for node in &nodes {
        drop(cluster.order(*node, NodeOrder::Disk(DiskChange::Stall(Duration::ZERO))));
        drop(cluster.order(*node, NodeOrder::Restart));
        drop(cluster.order(*node, NodeOrder::Resume));
    }
    assert_eq!(client.within(PATIENCE).submit(Command::put("last", "1")).unwrap().answer, Answer::Put);
    converge(&mut cluster);
    let items = cluster.items(nodes[0]).unwrap();
    for key in &acknowledged {
        assert!(items.iter().any(|(found, _)| found == key), "{key} was acknowledged and is gone");
    }
    assert!(acknowledged.len() > 10, "only {} writes were acknowledged", acknowledged.len());
    let last = cluster.view(nodes[0]).status.last.index;
    assert!(last >= LogIndex(acknowledged.len() as u64));
    assert_safe(&mut cluster);
}
