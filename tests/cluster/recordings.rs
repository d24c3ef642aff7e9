//! A run on threads is recorded, and each step of it is made again from the recording, with the same outcome; what is wrong
//! with a recording is said.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raftlab::cluster::Cluster;
use raftlab::faults::{LinkScope, NetChange};
use raftlab::lab::{Lab, Life, NodeOrder};
use raftlab::recording::{Recording, RecordingError, VERSION};
use raftlab::sim::{ReplayReport, Simulation};
use raftlab::trace::What;
use raftlab::types::{NodeId, Time};

use super::odd_machine::{Command, Odd, odd_cluster, unrepaired};
use super::slow_machine::{Count, Slow};
use super::{PATIENCE, converge, folder, leader, node, put, settings, start};

/// Follows it to its end. What was found, and the simulation as it stands.
fn follow(mut simulation: Simulation) -> (ReplayReport, Simulation) {
    while simulation.advance(Time::from_nanos(u64::MAX - 1)) {}
    (simulation.replay_report().expect("it follows a recording"), simulation)
}

fn replay(folder: &Path) -> (ReplayReport, Simulation, Recording) {
    let recording = Recording::open(folder, false).expect("a recording");
    let simulation = Simulation::following(recording.clone(), None).expect("it can be read");
    let (report, simulation) = follow(simulation);
    (report, simulation, recording)
}

fn refused(folder: &Path) -> String {
    Recording::open(folder, false)
        .map_err(|error: RecordingError| error.to_string())
        .expect_err("it is refused")
}

#[track_caller]
fn assert_all_the_same(report: &ReplayReport) {
    assert_eq!((report.differences.as_slice(), &report.damage), (&[][..], &None), "{} steps", report.steps);
    assert_eq!(report.skipped, 0);
}

#[test]
fn a_run_with_faults_is_made_again_step_by_step() {
    let folder = folder();
    let record = folder.path().join("record");
    let mut settings = settings(&folder, 3);
    settings.raft.snapshot_entries = 20;
    settings.raft.trailing_entries = 2;
    let mut cluster =
        Cluster::builder().settings(settings).record(&record).start().expect("a cluster starts");
    for round in 0..2 {
        let leading = leader(&cluster);
        let loss = NetChange::Drop { per_million: 50_000, scope: LinkScope::All };
        cluster.change_network(&loss).expect("no node is named");
        put(&cluster, &format!("early {round}"));
        cluster.order(leading, NodeOrder::Crash).expect("it runs");
        for key in 0..30 {
            put(&cluster, &format!("key {round} {key}"));
        }
        cluster.change_network(&NetChange::Reset).expect("no node is named");
        cluster.order(leading, NodeOrder::Restart).expect("it is down");
        converge(&mut cluster);
    }
    let applied = cluster.view(node(1)).status.applied;
    let recorded = cluster.end_recording().expect("one runs");
    assert_eq!((recorded.nodes, recorded.trouble), (3, None));
    drop(cluster);

    let (report, mut simulation, recording) = replay(&record);
    assert_all_the_same(&report);
    assert_eq!(report.steps, recording.steps());
    assert!(recording.is_whole(), "it holds the first step of each life");
    assert_eq!(simulation.safety().violations(), []);
    assert!(simulation.check().iter().all(|verdict| verdict.open.is_none()), "nothing is out of sight");
    assert!(simulation.view(node(1)).status.applied >= applied);
}

#[test]
fn a_state_machine_that_moves_to_its_own_thread_and_back_does_the_same_again() {
    let folder = folder();
    let record = folder.path().join("record");
    let pause: Arc<AtomicU64> = Arc::default();
    let slow = Arc::clone(&pause);
    let builder = Cluster::builder().memory().seed(7).client_timeout(PATIENCE).record(&record);
    let builder = builder.with(|settings| settings.raft.snapshot_entries = 50);
    let machine = move || Slow::new(&slow);
    let mut cluster = builder.start_with(machine).expect("a cluster starts");
    let client = cluster.client();
    client.submit(Count).expect("answered");
    pause.store(60_000, Ordering::Relaxed);
    let tickets: Vec<_> = (0..8).map(|_| client.submit_async(Count)).collect();
    for ticket in tickets {
        ticket.wait().expect("answered");
    }
    client.read(Count).expect("answered");
    pause.store(0, Ordering::Relaxed);
    let is_home = |cluster: &mut Cluster<Slow>| {
        let at_home = |name| cluster.items(name).is_ok_and(|items| items[0].1 == name.to_string());
        NodeId::first(3).into_iter().all(at_home)
    };
    assert!(!is_home(&mut cluster), "the machines are away");
    let until = Instant::now() + PATIENCE;
    while !is_home(&mut cluster) {
        assert!(Instant::now() < until, "the machines come back");
        client.submit(Count).expect("answered");
    }
    cluster.end_recording().expect("one runs");
    drop(cluster);

    let recording = Recording::open(&record, false).expect("a recording");
    let followed = Simulation::following_with(recording, Slow::default, None).expect("it can be read");
    assert_all_the_same(&follow(followed).0);
}

#[test]
fn a_recording_begins_in_the_middle_of_a_run_and_may_lack_its_end() {
    let folder = folder();
    let record = folder.path().join("record");
    let mut cluster = start(&settings(&folder, 3));
    for key in 0..20 {
        put(&cluster, &format!("before {key}"));
    }
    cluster.record(&record, 1 << 30).expect("a new folder");
    let again = cluster.record(&folder.path().join("other"), 1 << 30).expect_err("one runs");
    assert!(again.to_string().contains("a recording runs"), "{again}");
    for key in 0..20 {
        put(&cluster, &format!("after {key}"));
    }
    converge(&mut cluster);
    cluster.end_recording().expect("one runs");
    let taken = cluster.record(&record, 1 << 30).expect_err("there is one").to_string();
    assert!(taken.contains("not empty: name a new folder"), "{taken}");
    assert!(cluster.end_recording().is_err(), "none runs");
    drop(cluster);

    let (report, mut simulation, recording) = replay(&record);
    assert_all_the_same(&report);
    assert!(!recording.is_whole(), "the nodes had run before");
    let verdicts = simulation.check();
    let rule = verdicts.iter().find(|verdict| verdict.property == "commit rule").expect("it is checked");
    assert_eq!(rule.open, None, "all nodes are seen since their first frames");
    assert_eq!(simulation.safety().violations(), [], "what happened before breaks nothing");
    let steps = report.steps;

    // A kill leaves a file that ends anywhere.
    let file = record.join("n2.steps");
    let bytes = fs::read(&file).expect("it is there");
    fs::write(&file, &bytes[..bytes.len() - 40]).expect("it can be written");
    let (report, simulation, recording) = replay(&record);
    assert_all_the_same(&report);
    assert!(report.steps < steps && recording.missing().contains(&node(2)), "{report:?}");
    assert_eq!(simulation.safety().violations(), [], "what is missing breaks nothing");

    for place in (0..20).chain((0..50).map(|part| bytes.len() * part / 50)).chain([bytes.len() - 1]) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 0x10;
        fs::write(&file, &flipped).expect("it can be written");
        assert!(refused(&record).contains("n2.steps is damaged"), "byte {place}: {}", refused(&record));
    }
    fs::write(&file, &bytes).expect("it can be written");

    let head = record.join("record.json");
    let text = fs::read_to_string(&head).expect("it is there");
    let own = format!("\"record\":{VERSION}");
    fs::write(&head, text.replace(&own, "\"record\":99")).expect("it can be written");
    let wanted = format!("version 99, and this program reads version {VERSION}");
    assert!(refused(&record).contains(&wanted), "{}", refused(&record));
    let version = env!("CARGO_PKG_VERSION");
    fs::write(&head, text.replace(version, "0.0.1")).expect("it can be written");
    assert!(refused(&record).contains("was recorded by raftlab 0.0.1"), "{}", refused(&record));
    assert!(Recording::open(&record, true).is_ok(), "--try takes it");
    fs::write(&head, "{").expect("it can be written");
    assert!(refused(&record).contains("record.json is damaged"), "{}", refused(&record));
    assert!(refused(&folder.path().join("nowhere")).contains("is no recording"));
}

#[test]
fn a_recording_that_has_its_most_ends_and_says_so() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    cluster.record(&folder.path().join("record"), 1_000).expect("a new folder");
    for key in 0..50 {
        put(&cluster, &format!("{key} {}", "x".repeat(900)));
    }
    let recorded = cluster.end_recording().expect("one runs");
    assert!(recorded.trouble.is_some_and(|trouble| trouble.contains("its most")));
    put(&cluster, "the run continues");
}

#[test]
fn a_node_that_panics_leaves_the_newest_steps_of_all_and_panics_again_in_a_replay() {
    let folder = folder();
    let repaired = unrepaired();
    let (sender, told) = std::sync::mpsc::channel();
    let cluster = odd_cluster(&repaired, |builder| {
        builder.memory().logs(folder.path().join("logs")).observer(move |event| {
            if let What::FlightSaved { folder } = &event.what {
                let _ = sender.send((event.node, folder.clone()));
            }
        })
    });
    let cluster = cluster.expect("a cluster starts");
    let client = cluster.client();
    client.submit(Command::Add(5)).expect("answered");
    client.within(Duration::from_secs(1)).submit(Command::Panic).expect_err("it panics");
    let (name, saved) = told.recv_timeout(PATIENCE).expect("the newest steps are saved");
    assert!(matches!(cluster.life(name), Some(Life::Down(_))));
    drop(cluster);

    let recording = Recording::open(Path::new(&saved), false).expect("a recording");
    let machine = move || Odd::new(&repaired);
    let followed = Simulation::following_with(recording, machine, None).expect("it can be read");
    let (report, mut simulation) = follow(followed);
    assert_all_the_same(&report);
    let Life::Down(why) = simulation.view(name).life else { panic!("{name} ends as it did") };
    assert!(why.contains("its state machine panicked"), "{why}");
}
