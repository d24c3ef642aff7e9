//! A cluster with a slow state machine, loaded for a minute amid faults and recorded; then another process replays it.
//!
//! `cargo bench --bench soak` prints how many steps there were, what the recording takes, and what came out otherwise. Each
//! command takes the state machine 5 us, and for a third of a second in each three seconds 3 ms: then it moves to a thread of
//! its own, and comes back. Snapshots are taken each 50,000 entries.

#![expect(clippy::print_stdout, reason = "it is a program that prints figures")]

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use raftlab::client::Client;
use raftlab::cluster::{Cluster, Crash};
use raftlab::faults::{LinkScope, NetChange};
use raftlab::lab::Lab;
use raftlab::recording::Recording;
use raftlab::sim::Simulation;
use raftlab::types::Time;

#[path = "../tests/cluster/slow_machine.rs"]
mod slow_machine;

use slow_machine::{Count, Slow};

/// As in the programs: commands are made on one thread and let go on others.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPAN: Duration = Duration::from_secs(60);

const CLIENTS: u64 = 4;

/// Commands that each client submits each time; in a hundredth of a second, so that all together submit 20,000 a second.
const AT_ONCE: u64 = 50;

/// Commands of one client without an answer, at most.
const OPEN_MAX: usize = 10_000;

/// How long a leader is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    if let Ok(record) = std::env::var("RAFTLAB_SOAK") {
        return replay(Path::new(&record));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("record");
    run(folder.path(), &record);
    let program = std::env::current_exe().expect("its own path");
    let status = Command::new(program).env("RAFTLAB_SOAK", &record).status().expect("it starts");
    assert!(status.success());
}

fn run(folder: &Path, record: &Path) {
    let pause = Arc::new(AtomicU64::new(5));
    let builder = Cluster::builder().states(folder.join("states")).logs(folder.join("logs")).record(record);
    let builder = builder.client_timeout(Duration::from_secs(5)).with(|settings| {
        settings.raft.snapshot_entries = 50_000;
        settings.raft.trailing_entries = 1_000;
    });
    let of_machine = Arc::clone(&pause);
    let machine = move || Slow::new(&of_machine);
    let mut cluster = builder.start_with(machine).expect("a cluster starts");
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, stop) = (cluster.client(), Arc::clone(&stop));
            thread::spawn(move || load(&client, &stop))
        })
        .collect();
    let begun = Instant::now();
    let mut round = 0;
    while begun.elapsed() < SPAN {
        disturb(&mut cluster, round, &pause);
        round += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let answered: u64 = loads.into_iter().map(|load| load.join().expect("it does not panic")).sum();
    let recorded = cluster.end_recording().expect("one runs");
    println!("{answered} commands were answered in {round} rounds of faults; {recorded:?}");
}

/// Three seconds with a fault, and a slow state machine for a third of a second.
fn disturb(cluster: &mut Cluster<Slow>, round: u32, pause: &AtomicU64) {
    let second = Duration::from_secs(1);
    let Some(leader) = cluster.wait_until_leader(PATIENCE) else { panic!("no leader in {PATIENCE:?}") };
    match round % 4 {
        0 => cluster.crash(leader, Crash::Process).expect("it runs"),
        1 => {
            let loss = NetChange::Drop { per_million: 20_000, scope: LinkScope::All };
            cluster.change_network(&loss).expect("no node is named");
        }
        2 => cluster.pause(leader).expect("it runs"),
        _ => cluster.partition(&[&[leader]]).expect("it is a node"),
    }
    pass(second);
    match round % 4 {
        0 => cluster.restart(leader).expect("it is down"),
        2 => cluster.resume(leader).expect("it is frozen"),
        _ => cluster.heal(),
    }
    pass(second);
    pause.store(3_000, Ordering::Relaxed);
    pass(second / 3);
    pause.store(5, Ordering::Relaxed);
    pass(second * 2 / 3);
}

/// Submits until it is told to stop. How many commands were answered.
fn load(client: &Client<Slow>, stop: &AtomicBool) -> u64 {
    let mut open = VecDeque::new();
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let next = Instant::now() + Duration::from_millis(10);
        open.extend((0..AT_ONCE).map(|_| client.submit_async(Count)));
        while open.len() > OPEN_MAX {
            answered += u64::from(open.pop_front().is_some_and(|ticket| ticket.wait().is_ok()));
        }
        pass(next.saturating_duration_since(Instant::now()));
    }
    answered + open.into_iter().map(|ticket| u64::from(ticket.wait().is_ok())).sum::<u64>()
}

/// Lets a span pass.
fn pass(span: Duration) {
    let until = Instant::now() + span;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

fn replay(record: &Path) {
    let bytes: u64 = record
        .read_dir()
        .expect("the recording")
        .flatten()
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum();
    let recording = Recording::open(record, false).expect("a recording");
    let whole = recording.is_whole();
    let mut simulation = Simulation::following_with(recording, Slow::default, None).expect("it can be read");
    while simulation.advance(Time::from_nanos(u64::MAX - 1)) {}
    let report = simulation.replay_report().expect("it follows a recording");
    println!(
        "{} steps in {} MiB replayed in another process: {} came out otherwise, {} left out, whole: {whole}",
        report.steps,
        bytes >> 20,
        report.differences.len(),
        report.skipped
    );
    report.differences.iter().take(5).for_each(|difference| println!("{difference:?}"));
    assert!(report.differences.is_empty() && report.skipped == 0 && whole, "the replay is not the run");
}
