//! Clusters on real threads, through the public API: elections, faults, disks and restarts. Each test ends with a
//! check of the safety properties. Nothing here sleeps: each wait is for a condition, with a deadline.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use raftlab::client::{Failure, Rejection};
use raftlab::cluster::{Cluster, LeadershipKind, StartError, states_found, wipe};
use raftlab::config::Settings;
use raftlab::lab::{DiskChange, Lab, Life, RoleName};
use raftlab::net::change::NetChange;
use raftlab::net::link::{End, LinkScope};
use raftlab::net::packet::ReadMode;
use raftlab::raft::event::Event;
use raftlab::state_machine::StateMachine;
use raftlab::state_machine::kv::{Answer, Command, KeyValue, Query, Values};
use raftlab::trace::{TraceEvent, What};
use raftlab::types::{LogIndex, NodeId, Random};
use tempfile::TempDir;

/// Far more than anything here takes: machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let read = cluster.client().read(Query::Read { key: key.to_string() }).expect("a leader answers");
    assert_eq!(read.answer, Answer::Value(format!("value of {key}")));
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

#[test]
fn a_leader_appears_within_a_second_and_serves() {
    let folder = folder();
    let begun = Instant::now();
    let mut cluster = start(&settings(&folder, 3));
    leader(&cluster);
    assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
    let client = cluster.client();
    let batch = vec![Command::create("x", "1"), Command::create("x", "2"), Command::update("x", "3")];
    let answers = client.submit_batch(batch).unwrap().answer;
    assert_eq!(answers, [Answer::Created, Answer::Exists, Answer::Updated]);
    let read = client.read(Query::Read { key: "x".to_string() }).unwrap();
    assert_eq!(read.answer, Answer::Value("3".to_string()));
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn writes_survive_the_leaders_crash_and_everybodys_restart() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let first = leader(&cluster);
    cluster.crash(first, false).unwrap();
    assert_eq!(cluster.view(first).life, Life::Down("crashed".to_string()));
    assert_eq!(
        cluster.crash(first, false).unwrap_err().0,
        format!("{first} is down: 'restart {first}' starts it")
    );
    put(&cluster, "b");
    assert_read(&cluster, "a");
    assert_ne!(leader(&cluster), first);
    let said = cluster.restart(first, false).unwrap();
    assert!(said.starts_with("term ") && said.ends_with(" reloaded"), "{said}");
    assert_eq!(cluster.restart(first, false).unwrap_err().0, format!("{first} is already running"));
    converge(&mut cluster);
    for node in cluster.nodes() {
        cluster.crash(node, true).unwrap();
    }
    for node in cluster.nodes() {
        cluster.restart(node, false).unwrap();
    }
    for key in ["a", "b"] {
        assert_read(&cluster, key);
    }
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_cluster_goes_on_from_its_states() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let cluster = start(&settings);
    put(&cluster, "a");
    let begun = Instant::now();
    cluster.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(1), "a shutdown took {:?}", begun.elapsed());
    let mut cluster = start(&settings);
    assert_read(&cluster, "a");
    put(&cluster, "b");
    converge(&mut cluster);
    assert_safe(&mut cluster);
    drop(cluster);
    assert_read(&start(&settings), "b");
}

#[test]
fn a_minority_commits_nothing_and_heals() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let old = leader(&cluster);
    let rest = others(&cluster, old);
    cluster.change_network(&NetChange::Partition(vec![vec![old], rest.clone()])).unwrap();
    wait_until(&mut cluster, "the majority elects", |cluster| {
        rest.iter().any(|node| cluster.view(*node).status.role == RoleName::Leader)
    });
    wait_until(&mut cluster, "the old leader steps down", |cluster| {
        cluster.view(old).status.role != RoleName::Leader
    });
    let before = cluster.view(old).status.commit;
    put(&cluster, "b");
    assert_eq!(cluster.view(old).status.commit, before, "a minority commits nothing");
    assert_eq!(cluster.items(old).unwrap().len(), 1);
    cluster.change_network(&NetChange::Heal(LinkScope::All)).unwrap();
    converge(&mut cluster);
    assert_eq!(cluster.items(old).unwrap().len(), 2);
    assert_safe(&mut cluster);
}

#[test]
fn without_a_quorum_a_command_ends_as_unknown_or_refused_and_in_time() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    let first = leader(&cluster);
    for node in others(&cluster, first) {
        cluster.crash(node, false).unwrap();
    }
    let begun = Instant::now();
    let client = cluster.client();
    let ended = client.within(Duration::from_millis(400)).submit(Command::put("a", "1"));
    assert!(matches!(ended, Err(Failure::Unknown(_) | Failure::Rejected(_))), "{ended:?}");
    assert!(begun.elapsed() < PATIENCE);
    for node in others(&cluster, first) {
        cluster.restart(node, false).unwrap();
    }
    put(&cluster, "b");
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_power_cut_loses_only_what_was_not_acknowledged() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let node = others(&cluster, leader(&cluster))[0];
    converge(&mut cluster);
    cluster.change_disk(node, DiskChange::Stall(Duration::from_secs(3600))).unwrap();
    let last = cluster.view(node).status.last.index;
    put(&cluster, "b");
    // The client's session and its command.
    wait_until(&mut cluster, "two entries arrive at the stalled node", |cluster| {
        cluster.view(node).status.last.index == LogIndex(last.0 + 2)
    });
    let said = cluster.crash(node, true).unwrap();
    assert_eq!(said, "2 entries were not on its disk yet");
    cluster.change_disk(node, DiskChange::Stall(Duration::ZERO)).unwrap();
    let said = cluster.restart(node, false).unwrap();
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
    cluster.change_disk(stalled, DiskChange::Stall(Duration::from_secs(3600))).unwrap();
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
    cluster.change_disk(stalled, DiskChange::Stall(Duration::ZERO)).unwrap();
    converge(&mut cluster);
    cluster.change_disk(first, DiskChange::Stall(Duration::from_secs(3600))).unwrap();
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
    cluster.change_disk(full, DiskChange::Full(true)).unwrap();
    put(&cluster, "b");
    wait_until(&mut cluster, "the node goes down", |cluster| {
        matches!(cluster.view(full).life, Life::Down(_))
    });
    let Life::Down(reason) = cluster.view(full).life else { unreachable!("seen above") };
    assert!(reason.contains("its disk failed") && reason.contains("the disk is full"), "{reason}");
    put(&cluster, "c");
    let refused = cluster.restart(full, false).unwrap_err().0;
    assert!(refused.contains("the disk is full"), "{refused}");
    cluster.change_disk(full, DiskChange::Full(false)).unwrap();
    cluster.restart(full, false).unwrap();
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
        if let What::Panicked { reason } = &event.what {
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
        matches!(&down, Some(Life::Down(reason)) if reason.contains("the bomb went off (tests/cluster.rs:")),
        "{down:?}"
    );
    assert_eq!(told.lock().unwrap().len(), 1, "told once");
    cluster.restart(n1, false).unwrap();
    client.submit(Command::put("y", "1")).unwrap();
    let broken: Vec<_> = cluster.check().into_iter().filter(|verdict| verdict.violation.is_some()).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].property, "node invariants");
}

#[test]
fn one_node_is_a_cluster() {
    let folder = folder();
    let settings = settings(&folder, 1);
    let mut cluster = start(&settings);
    let n1 = leader(&cluster);
    put(&cluster, "a");
    assert_eq!(cluster.stop(n1).unwrap(), "all it had is on its disk");
    assert_eq!(cluster.view(n1).life, Life::Down("stopped".to_string()));
    cluster.restart(n1, false).unwrap();
    assert_read(&cluster, "a");
    assert_safe(&mut cluster);
}

#[test]
fn four_nodes_need_three() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 4));
    put(&cluster, "a");
    let first = leader(&cluster);
    let rest = others(&cluster, first);
    cluster.crash(rest[0], false).unwrap();
    put(&cluster, "b");
    cluster.crash(rest[1], false).unwrap();
    wait_until(&mut cluster, "two of four do not lead", |cluster| cluster.leader().is_none());
    let commit = |cluster: &mut Cluster| cluster.view(rest[2]).status.commit;
    let before = commit(&mut cluster);
    let ended = cluster.client().within(Duration::from_millis(500)).submit(Command::put("c", "1"));
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(commit(&mut cluster), before);
    cluster.restart(rest[0], false).unwrap();
    put(&cluster, "d");
    cluster.restart(rest[1], false).unwrap();
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_frozen_leader_is_replaced_and_follows_when_it_goes_on() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let frozen = leader(&cluster);
    cluster.pause(frozen).unwrap();
    assert_eq!(cluster.pause(frozen).unwrap_err().0, format!("{frozen} is paused already"));
    assert!(cluster.campaign(frozen).unwrap_err().0.contains("is paused"));
    let seen = cluster.view(frozen);
    assert_eq!((seen.life, seen.status.role), (Life::Paused, RoleName::Leader));
    put(&cluster, "b");
    assert_ne!(cluster.leader(), Some(frozen));
    assert_eq!(cluster.view(frozen).status, seen.status, "it makes no step");
    let said = cluster.resume(frozen).unwrap();
    assert!(said.ends_with("waited in its inbox") && !said.starts_with("0 "), "{said}");
    converge(&mut cluster);
    cluster.pause(frozen).unwrap();
    assert_eq!(cluster.stop(frozen).unwrap(), "all it had is on its disk");
    assert_safe(&mut cluster);
}

#[test]
fn a_frozen_node_costs_bounded_memory_under_load_and_catches_up() {
    const VALUE: usize = 10_000;
    const FIT: usize = 20;
    let folder = folder();
    let mut cluster = start(&Settings { inbox_node_bytes: FIT * VALUE, ..settings(&folder, 3) });
    put(&cluster, "a");
    let frozen = others(&cluster, leader(&cluster))[0];
    cluster.pause(frozen).unwrap();
    let client = cluster.client();
    for number in 0..200 {
        client.submit(Command::put(format!("k{number}"), "x".repeat(VALUE))).unwrap();
    }
    let counts = cluster.network_counts();
    let lost: u64 =
        counts.iter().filter(|(_, to, _)| *to == End::Node(frozen)).map(|(_, _, link)| link.dropped).sum();
    assert!(lost > 0, "more was sent than fits: {counts:?}");
    cluster.resume(frozen).unwrap();
    converge(&mut cluster);
    assert_eq!(cluster.items(frozen).unwrap().len(), 201);
    assert_safe(&mut cluster);
}

#[test]
fn a_node_campaigns_when_it_is_told_to() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    // Whoever lacks an entry that the others hold gets no votes (5.4.1).
    converge(&mut cluster);
    let next = others(&cluster, leader(&cluster))[0];
    cluster.campaign(next).unwrap();
    wait_until(&mut cluster, "it wins", |cluster| cluster.leader() == Some(next));
    assert_read(&cluster, "a");
    assert_safe(&mut cluster);
}

#[test]
fn a_wiped_node_gets_everything_again() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let node = others(&cluster, leader(&cluster))[0];
    cluster.crash(node, false).unwrap();
    assert_eq!(cluster.restart(node, true).unwrap(), "with a new, empty state");
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn in_memory_nothing_is_on_disk_and_a_restart_loses_nothing() {
    let folder = folder();
    let settings = Settings { memory: true, ..settings(&folder, 3) };
    let mut cluster = start(&settings);
    put(&cluster, "a");
    for node in cluster.nodes() {
        assert_eq!(cluster.crash(node, true).unwrap(), "nothing was lost");
    }
    for node in cluster.nodes() {
        cluster.restart(node, false).unwrap();
    }
    assert_read(&cluster, "a");
    assert!(cluster.change_disk(NodeId::new(1), DiskChange::Full(true)).unwrap_err().0.contains("--memory"));
    assert!(!settings.states.exists());
    assert_safe(&mut cluster);
}

#[test]
fn what_cannot_start_says_why_in_one_line() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let refused = |settings: &Settings| {
        let error = Cluster::start(settings, None).expect_err("refused").to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let cluster = start(&settings);
    put(&cluster, "a");
    let error = refused(&settings);
    let process = std::process::id();
    assert!(error.contains(&format!("is in use by process {process}")), "{error}");
    assert!(matches!(wipe(&settings.states), Err(StartError::Storage(_))), "what is in use is not wiped");
    cluster.shutdown();

    let error = refused(&Settings { nodes: 5, ..settings.clone() });
    assert!(error.contains("holds a cluster of 3, not of 5: start it with 3"), "{error}");

    let state = settings.states.join("n2").join("state.json");
    let good = std::fs::read(&state).unwrap();
    std::fs::write(&state, &good[..good.len() / 2]).unwrap();
    let error = refused(&settings);
    assert!(error.contains("n2/state.json") && error.contains("damaged"), "{error}");
    std::fs::write(&state, good).unwrap();

    let in_the_way = folder.path().join("a file");
    std::fs::write(&in_the_way, "").unwrap();
    assert!(refused(&Settings { logs: in_the_way.clone(), ..settings.clone() }).contains("a file"));
    assert!(refused(&Settings { states: in_the_way, ..settings.clone() }).contains("a file"));
    assert!(refused(&Settings { nodes: 0, ..settings.clone() }).contains("1 to 99"));

    assert_read(&start(&settings), "a");
    assert_eq!(states_found(&settings.states).unwrap().len(), 3);
    assert_eq!(wipe(&settings.states).unwrap().len(), 3);
    assert!(states_found(&settings.states).unwrap().is_empty());
    start(&Settings { nodes: 5, ..settings });
}

#[test]
fn a_node_without_its_files_does_not_start_empty() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let cluster = start(&settings);
    put(&cluster, "a");
    cluster.shutdown();
    std::fs::remove_dir_all(settings.states.join("n3")).unwrap();
    let mut cluster = start(&settings);
    let n3 = NodeId::new(3);
    assert!(matches!(cluster.view(n3).life, Life::Down(reason) if reason.contains("its files are missing")));
    assert!(cluster.restart(n3, false).unwrap_err().0.contains("restart n3 --wipe"));
    assert_read(&cluster, "a");
    cluster.restart(n3, true).unwrap();
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn events_are_told_and_logged() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let led = Arc::new(AtomicUsize::new(0));
    let sent = Arc::new(AtomicUsize::new(0));
    let (leads, messages) = (Arc::clone(&led), Arc::clone(&sent));
    let observer = move |event: &TraceEvent| match &event.what {
        What::Raft(Event::BecameLeader { .. }) => drop(leads.fetch_add(1, Ordering::SeqCst)),
        What::MessageSent(_) => drop(messages.fetch_add(1, Ordering::SeqCst)),
        _ => {}
    };
    let cluster = Cluster::start(&settings, Some(Arc::new(observer))).unwrap();
    let first = leader(&cluster);
    assert!(led.load(Ordering::SeqCst) > 0 && sent.load(Ordering::SeqCst) == 0);
    cluster.watch_messages(true);
    put(&cluster, "a");
    assert!(sent.load(Ordering::SeqCst) > 0);
    cluster.shutdown();
    let log = std::fs::read_to_string(log_file(&settings.logs, first)).unwrap();
    for line in ["started with a new, empty state", "leads term ", "stopped"] {
        assert!(log.contains(line), "{line:?} is missing in:\n{log}");
    }
}

fn log_file(folder: &Path, node: NodeId) -> std::path::PathBuf {
    folder.join(format!("{node}.log"))
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
            0 => drop(cluster.crash(node, false)),
            1 => drop(cluster.crash(node, true)),
            2 => drop(cluster.pause(node)),
            3 => drop(cluster.resume(node)),
            4 => drop(cluster.change_disk(
                node,
                DiskChange::Stall(random.duration(Duration::ZERO, Duration::from_millis(400))),
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
                    drop(cluster.restart(*node, false));
                    drop(cluster.resume(*node));
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
        drop(cluster.change_disk(*node, DiskChange::Stall(Duration::ZERO)));
        drop(cluster.restart(*node, false));
        drop(cluster.resume(*node));
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

#[test]
fn reads_answer_at_any_node_and_commands_at_the_leader_alone() {
    let folder = folder();
    let mut settings = settings(&folder, 3);
    // Nobody else leads meanwhile, however slowly the test runs.
    settings.raft.election_min = Duration::from_secs(1);
    settings.raft.election_max = Duration::from_millis(1500);
    let mut cluster = start(&settings);
    put(&cluster, "a");
    converge(&mut cluster);
    let client = cluster.client();
    let leader = cluster.wait_until_leader(PATIENCE).unwrap();
    for node in cluster.nodes() {
        for mode in [ReadMode::Linearizable, ReadMode::Lease, ReadMode::Stale] {
            let query = Query::Read { key: "a".to_string() };
            let read = client.at(node).read_with(query, mode).unwrap();
            assert_eq!((read.answer, read.node), (Answer::Value("value of a".to_string()), node), "{mode:?}");
        }
        let done = client.within(PATIENCE).at(node).submit(Command::put("b", "1"));
        if node == leader {
            assert_eq!(done.unwrap().node, leader);
        } else {
            let refusal = Failure::Rejected(Rejection::NotLeader { leader: Some(leader) });
            assert_eq!(done.unwrap_err(), refusal);
        }
    }
    assert_safe(&mut cluster);
}

#[test]
fn a_cluster_in_memory_without_logs_writes_no_file() {
    let folder = folder();
    let (states, logs) = (folder.path().join("states"), folder.path().join("logs"));
    // What comes later goes over what was said before.
    let builder = Cluster::builder().states(&states).memory().nodes(1).seed(7).express();
    let cluster = builder.heartbeat(Duration::from_millis(20)).client_timeout(PATIENCE).start().unwrap();
    put(&cluster, "a");
    assert_read(&cluster, "a");
    assert_eq!(cluster.seed(), 7);
    cluster.shutdown();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file, no folder");

    let election = Duration::from_millis(100)..=Duration::from_millis(160);
    let builder = Cluster::builder().nodes(1).states(&states).logs(&logs).election(election.clone());
    let cluster = builder.observer(|_| {}).start().unwrap();
    assert_eq!(cluster.election_timeouts(), election.into_inner());
    leader(&cluster);
    cluster.shutdown();
    assert!(states.join("n1").join("state.json").exists() && log_file(&logs, NodeId::new(1)).exists());
    let refused = Cluster::builder().nodes(0).start().unwrap_err().to_string();
    assert!(refused.contains("1 to 99"), "{refused}");
}

#[test]
fn each_change_of_the_leader_is_told() {
    let mut cluster = Cluster::builder().memory().client_timeout(PATIENCE).start().unwrap();
    let mut changes = cluster.leadership();
    let gained = changes.next().expect("a leader");
    assert_eq!(gained.kind, LeadershipKind::Gained);
    cluster.crash(gained.node, false).unwrap();
    let lost = changes.next().expect("it crashed");
    assert_eq!((lost.kind, lost.node, lost.term), (LeadershipKind::Lost, gained.node, gained.term));
    let next = changes.next().expect("another leads");
    assert!(next.node != gained.node && next.term > gained.term && next.time >= lost.time, "{next:?}");
    cluster.change_network(&NetChange::Isolate(next.node)).unwrap();
    cluster.restart(gained.node, false).unwrap();
    let third = changes.find(|change| change.term > next.term).expect("a leader that others hear");
    assert_ne!(third.node, next.node);
    drop(cluster);
    assert_eq!(changes.find(|change| change.term < third.term), None, "it ends with the cluster");
}

#[test]
fn a_value_over_the_limit_is_refused_and_one_in_the_log_outlives_a_lower_limit() {
    let folder = folder();
    let wide = Settings { value_bytes_max: 2 << 20, ..settings(&folder, 1) };
    let long = "v".repeat(2 << 20);
    let cluster = start(&wide);
    assert!(cluster.client().submit(Command::put("long", long.clone())).is_ok());
    cluster.shutdown();
    let cluster = start(&Settings { value_bytes_max: 3, ..wide });
    let client = cluster.client();
    let refused = client.submit(Command::put("x", "1234")).unwrap_err().to_string();
    assert_eq!(refused, "the value has 4 bytes: at most 3 are allowed (value_bytes_max)");
    client.submit(Command::put("x", "123")).unwrap();
    let read = client.read(Query::Read { key: "long".to_string() }).unwrap();
    assert_eq!(read.answer, Answer::Value(long), "what was taken in stays");
}

#[test]
fn many_calls_at_once_are_applied_once_each_though_leaders_crash() {
    let mut cluster = Cluster::builder().memory().client_timeout(PATIENCE).start().unwrap();
    let client = cluster.client();
    let create = |number| client.submit_async(Command::create(format!("k{number}"), "1"));
    let mut tickets: Vec<_> = (0..300).map(create).collect();
    let first = leader(&cluster);
    cluster.crash(first, false).unwrap();
    tickets.extend((300..600).map(create));
    for ticket in tickets.into_iter().rev() {
        assert_eq!(ticket.wait().expect("in time").answer, Answer::Created, "never Exists");
    }
    assert_eq!(client.in_flight(), 0);
    cluster.restart(first, false).unwrap();
    converge(&mut cluster);
    assert_safe(&mut cluster);
}
