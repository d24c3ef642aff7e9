//! What months of work and bad disks cost: growth, snapshots, restarts, a node that was cut off, disks that stall.
//!
//! `cargo bench --bench endurance` runs all rows; `cargo bench --bench endurance -- growth` one of them: `growth`,
//! `snapshot`, `restart`, `cut-off`, `stalled-disk`, `fail-over`, `idle`. Each of the first five compares a thing with
//! the same run without it, five times over; figures are medians. Nothing here fails when a machine is slow.

#![expect(clippy::print_stdout, reason = "it is a program that prints a table")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people to read"
)]

use std::collections::VecDeque;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use raftlab::client::Client;
use raftlab::cluster::{Builder, Cluster, Leadership};
use raftlab::faults::NetChange;
use raftlab::lab::{DiskChange, Lab, NodeOrder};
use raftlab::state_machine::kv::{Command, KeyValue};
use raftlab::types::NodeId;

/// As in the programs: commands are made on one thread and let go on others.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each thing is measured.
const ROUNDS: usize = 5;

/// How long a leader, or a node that catches up, is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    // Cargo passes `--bench` to every benchmark.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let rows: [(&str, fn()); 7] = [
        ("growth", growth),
        ("snapshot", snapshot),
        ("restart", restart),
        ("cut-off", cut_off),
        ("stalled-disk", stalled_disk),
        ("fail-over", fail_over),
        ("idle", idle),
    ];
    for (name, row) in rows {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            println!("{name}");
            row();
        }
    }
}

/// The last million of ten million entries against the first, a hundred thousand later.
fn growth() {
    const ENTRIES: u64 = 10_000_000;
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let cluster = started(Cluster::builder().memory());
        let load = Load::start(&cluster, 4, 256, 1, 10_000);
        let [(first, young), (last, old)] =
            [(100_000, 1_100_000), (ENTRIES - 1_000_000, ENTRIES)].map(|(from, to)| {
                load.wait_for(from);
                let begun = Instant::now();
                load.wait_for(to);
                (1_000_000.0 / begun.elapsed().as_secs_f64(), resident_mib())
            });
        load.stop();
        let leader = cluster.leader().expect("a leader");
        println!(
            "  entries/s: {first:.0} over the first million, {last:.0} over the last of {ENTRIES}, {:.3} x; the leader's log keeps {}{}",
            last / first,
            kept(&cluster, leader),
            memory(round, young, old)
        );
        ratios.push(last / first);
    }
    println!("  at the end / at the beginning: {:.3} (median of {ROUNDS})", middle(&mut ratios));
}

/// Snapshots of a million keys, one after the other, under load on a disk.
fn snapshot() {
    const KEYS: u64 = 1_000_000;
    const TURN: Duration = Duration::from_secs(4);
    let folder = tempfile::tempdir().expect("a folder");
    let never = |settings: &mut raftlab::config::Settings| {
        settings.raft.snapshot_entries = u64::MAX >> 1;
        settings.raft.snapshot_bytes = usize::MAX >> 1;
    };
    let mut cluster = started(Cluster::builder().states(folder.path()).with(never));
    fill(&cluster, KEYS);
    let load = Load::start(&cluster, 4, 16, 1, KEYS);
    let mut p999 = [Vec::new(), Vec::new()];
    let mut taken = 0;
    let leaders = cluster.leadership();
    for turn in 0..2 * ROUNDS {
        let with = turn % 2;
        pass(Duration::from_millis(500));
        load.take_latencies();
        let until = Instant::now() + TURN;
        while Instant::now() < until {
            if with == 1 {
                for node in cluster.nodes() {
                    let before = cluster.view(node).status.snapshot.last.index;
                    cluster.order(node, NodeOrder::TakeSnapshot).expect("it runs");
                    watched(|| (status_of(&cluster, node).1 > before.0).then_some(())).expect("a snapshot");
                    taken += 1;
                }
            } else {
                pass(Duration::from_millis(50));
            }
        }
        p999[with].push(percentile(&mut load.take_latencies(), 0.999));
    }
    let [without, with] = p999.map(|mut turns| median(&mut turns));
    println!(
        "  {KEYS} keys, {taken} snapshots: p99.9 {:.2} ms without, {:.2} ms with",
        ms(without),
        ms(with)
    );
    println!("  changes of the leader: {}", changes_of(&leaders));
    load.stop();
}

/// A restart with a million entries in the log, and from a snapshot of what they made.
fn restart() {
    const ENTRIES: u64 = 1_000_000;
    for (what, snapshots) in [("in the log", false), ("made, most in a snapshot", true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let configure = move |settings: &mut raftlab::config::Settings| {
            if !snapshots {
                settings.raft.snapshot_entries = u64::MAX >> 1;
                settings.raft.snapshot_bytes = usize::MAX >> 1;
            }
        };
        let start = || started(Cluster::builder().states(folder.path()).with(configure));
        let cluster = start();
        let load = Load::start(&cluster, 4, 512, 1, 100_000);
        load.wait_for(ENTRIES);
        load.stop();
        cluster.shutdown();
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let mut cluster = start();
            let opened = begun.elapsed();
            // Whoever applied the new leader's no-op has applied all.
            let leader = cluster.leader().expect("a leader");
            let last = cluster.view(leader).status.last.index.0;
            let all = || cluster.nodes().into_iter().all(|node| status_of(&cluster, node).0 >= last);
            watched(|| all().then_some(())).expect("all apply all");
            times.push((begun.elapsed(), opened));
            cluster.shutdown();
        }
        let mut totals: Vec<Duration> = times.iter().map(|(total, _)| *total).collect();
        let mut opened: Vec<Duration> = times.iter().map(|(_, opened)| *opened).collect();
        let mut cluster = start();
        let leader = cluster.leader().expect("a leader");
        let follower = cluster.nodes().into_iter().find(|node| *node != leader).expect("a follower");
        let mut alone = Vec::new();
        for _ in 0..ROUNDS {
            let last = cluster.view(leader).status.last.index.0;
            watched(|| (status_of(&cluster, follower).0 >= last).then_some(())).expect("it applies all");
            cluster.order(follower, NodeOrder::Crash).expect("it runs");
            let begun = Instant::now();
            cluster.order(follower, NodeOrder::Restart).expect("it is down");
            watched(|| (status_of(&cluster, follower).0 >= last).then_some(())).expect("it applies all");
            alone.push(begun.elapsed());
        }
        cluster.shutdown();
        println!(
            "  one node, {ENTRIES} entries {what}: all applied {:.2} s after its restart (median of {ROUNDS})",
            median(&mut alone).as_secs_f64()
        );
        println!(
            "  three nodes, {ENTRIES} entries {what}: a leader after {:.2} s, all applied after {:.2} s (medians of {ROUNDS})",
            median(&mut opened).as_secs_f64(),
            median(&mut totals).as_secs_f64()
        );
    }
}

/// A follower that is cut off for a minute under full load: memory, and how fast it catches up. Then, in turns that are too
/// short for the machine to change much, what the others do without it and with it.
fn cut_off() {
    const TURN: Duration = Duration::from_secs(5);
    let mut cluster = started(Cluster::builder().memory());
    let load = Load::start(&cluster, 4, 64, 8, 10_000);
    let leader = cluster.leader().expect("a leader");
    let follower = cluster.nodes().into_iter().find(|node| *node != leader).expect("a follower");
    load.watch(Duration::from_secs(15));
    let before_mib = resident_mib();
    cluster.change_network(&NetChange::Isolate(follower)).expect("it can be isolated");
    load.watch(Duration::from_secs(60));
    let (behind, log, during_mib) = (status_of(&cluster, follower).0, kept(&cluster, leader), resident_mib());
    let missed = status_of(&cluster, leader).0 - behind;
    cluster.change_network(&NetChange::Connect(follower)).expect("it can be connected");
    println!(
        "  after a minute: {missed} entries behind, the leader's log keeps {log}, {during_mib} MiB resident, {before_mib} before; {}",
        caught_up(&cluster, follower, leader)
    );
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (with, _) = load.watch(TURN);
            cluster.change_network(&NetChange::Isolate(follower)).expect("it can be isolated");
            let (without, _) = load.watch(TURN);
            cluster.change_network(&NetChange::Connect(follower)).expect("it can be connected");
            let caught_up = caught_up(&cluster, follower, leader);
            println!(
                "  commands/s: {with:.0} with it, {without:.0} without, {:.3} x; {caught_up}",
                without / with
            );
            without / with
        })
        .collect();
    println!("  without it / with it: {:.3} (median of {ROUNDS})", middle(&mut ratios));
    load.stop();
}

/// How long a follower takes from now on until it has nearly all that the leader has.
fn caught_up(cluster: &Cluster, follower: NodeId, leader: NodeId) -> String {
    let begun = Instant::now();
    let near = || status_of(cluster, follower).0 + 1_000 > status_of(cluster, leader).0;
    match watched(|| near().then_some(())) {
        Some(()) => format!("caught up in {:.2} s", begun.elapsed().as_secs_f64()),
        None => format!("not caught up after {} s", PATIENCE.as_secs()),
    }
}

/// A disk that stalls for five seconds: a follower's, then the leader's.
fn stalled_disk() {
    const STALL: Duration = Duration::from_secs(5);
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = started(Cluster::builder().states(folder.path()));
    let load = Load::start(&cluster, 4, 64, 8, 10_000);
    pass(Duration::from_secs(2));
    for whose in ["a follower", "the leader"] {
        let (mut ratios, mut longest) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let leader = cluster.wait_until_leader(PATIENCE).expect("a leader");
            let leads = whose == "the leader";
            let node =
                cluster.nodes().into_iter().find(|node| (*node == leader) == leads).expect("such a node");
            let leaders = cluster.leadership();
            let (before, _) = load.watch(STALL);
            cluster.order(node, NodeOrder::Disk(DiskChange::Stall(STALL))).expect("a disk");
            let (during, slowest) = load.watch(STALL);
            // What the disk held up is answered after it.
            let slowest = slowest.max(load.watch(Duration::from_secs(2)).1);
            println!(
                "  {whose}: {before:.0} commands/s before, {during:.0} while it stalls, {:.3} x; longest answer {:.0} ms, changes of the leader {}",
                during / before,
                ms(slowest),
                changes_of(&leaders)
            );
            ratios.push(during / before);
            longest.push(slowest);
        }
        println!(
            "  {whose}: while it stalls / before: {:.3}; longest answer {:.0} ms (medians of {ROUNDS})",
            middle(&mut ratios),
            ms(median(&mut longest))
        );
    }
    load.stop();
}

/// The leader crashes a hundred times: how long a client's next write takes.
fn fail_over() {
    const TRIALS: usize = 100;
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = started(Cluster::builder().states(folder.path()));
    let client = cluster.client().with_timeout(PATIENCE);
    let mut outages: Vec<Duration> = (0..TRIALS)
        .map(|trial| {
            let leader = cluster.wait_until_leader(PATIENCE).expect("a leader");
            client.submit(Command::put("trial", trial.to_string())).expect("it is put");
            let begun = Instant::now();
            cluster.order(leader, NodeOrder::Crash).expect("it runs");
            client
                .submit(Command::put("trial", format!("{trial}, again")))
                .expect("it is put by the next leader");
            let outage = begun.elapsed();
            cluster.order(leader, NodeOrder::Restart).expect("it is down");
            let written = || cluster.nodes().into_iter().map(|node| status_of(&cluster, node).0).max();
            watched(|| (Some(status_of(&cluster, leader).0) == written()).then_some(()))
                .expect("it catches up");
            outage
        })
        .collect();
    let [median, most, all] = [0.5, 0.99, 1.0].map(|share| ms(percentile(&mut outages, share)));
    println!(
        "  {TRIALS} crashes: a write again after {median:.0} ms (median), {most:.0} ms (p99), {all:.0} ms (max)"
    );
}

/// Three nodes on a disk that are asked nothing.
fn idle() {
    const TURN: Duration = Duration::from_secs(5);
    let folder = tempfile::tempdir().expect("a folder");
    let _cluster = started(Cluster::builder().states(folder.path()));
    pass(Duration::from_secs(1));
    let mut used: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let before = processor_time();
            pass(TURN);
            processor_time().saturating_sub(before)
        })
        .collect();
    let share = median(&mut used).as_secs_f64() / TURN.as_secs_f64() * 100.0;
    println!("  three idle nodes: {share:.2} % of a core (median of {ROUNDS} turns of {} s)", TURN.as_secs());
}

/// Clients that put random keys, each with so many batches in flight, until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    entries: Arc<AtomicU64>,
    batch: u64,
    latencies: Arc<Mutex<Vec<Duration>>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(cluster: &Cluster, clients: u64, pipeline: usize, batch: u64, keys: u64) -> Load {
        let (stop, entries) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let latencies = Arc::new(Mutex::new(Vec::new()));
        let run = |number| {
            let client = cluster.client().with_timeout(PATIENCE);
            let (stop, entries) = (Arc::clone(&stop), Arc::clone(&entries));
            let latencies = Arc::clone(&latencies);
            let work =
                move || keep_putting(&client, number, pipeline, batch, keys, &stop, &entries, &latencies);
            thread::Builder::new().name(format!("load-{number}")).spawn(work).expect("a thread")
        };
        let clients = (0..clients).map(run).collect();
        Load { stop, entries, batch, latencies, clients }
    }

    fn wait_for(&self, entries: u64) {
        while self.entries.load(Ordering::Relaxed) < entries {
            pass(Duration::from_millis(2));
            // So that the benchmark itself does not grow.
            drop(self.take_latencies());
        }
    }

    /// Commands a second and the longest answer, from now on. What it notes is let go as it goes, so that the benchmark
    /// itself does not grow.
    fn watch(&self, span: Duration) -> (f64, Duration) {
        let (begun, first) = (Instant::now(), self.entries.load(Ordering::Relaxed));
        drop(self.take_latencies());
        let mut longest = Duration::ZERO;
        while let Some(left) = span.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            pass(left.min(Duration::from_millis(100)));
            longest = longest.max(self.take_latencies().into_iter().max().unwrap_or_default());
        }
        let done = self.entries.load(Ordering::Relaxed) - first;
        ((done * self.batch) as f64 / begun.elapsed().as_secs_f64(), longest)
    }

    fn take_latencies(&self) -> Vec<Duration> {
        std::mem::take(&mut self.latencies.lock())
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client reports, it does not panic");
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "it is a thread's whole environment")]
fn keep_putting(
    client: &Client<KeyValue>,
    number: u64,
    pipeline: usize,
    batch: u64,
    keys: u64,
    stop: &AtomicBool,
    entries: &AtomicU64,
    latencies: &Mutex<Vec<Duration>>,
) {
    const NOTED: usize = 256;
    let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next_key = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        format!("k{}", random % keys)
    };
    let mut in_flight = VecDeque::new();
    let mut noted = Vec::with_capacity(NOTED);
    let mut told = Instant::now();
    loop {
        while in_flight.len() < pipeline && !stop.load(Ordering::Relaxed) {
            let commands = (0..batch).map(|_| Command::put(next_key(), "0123456789abcdef")).collect();
            in_flight.push_back((Instant::now(), client.submit_batch_async(commands)));
        }
        let Some((begun, ticket)) = in_flight.pop_front() else { break };
        if ticket.wait().is_ok() {
            entries.fetch_add(1, Ordering::Relaxed);
            noted.push(begun.elapsed());
        }
        if noted.len() >= NOTED || told.elapsed() > Duration::from_millis(50) {
            latencies.lock().append(&mut noted);
            told = Instant::now();
        }
    }
}

fn started(builder: Builder) -> Cluster {
    let cluster = builder.start().expect("a cluster");
    cluster.wait_until_leader(PATIENCE).expect("a leader");
    cluster
}

/// Puts each of so many keys once, in large batches.
fn fill(cluster: &Cluster, keys: u64) {
    const BATCH: u64 = 1_000;
    let client = cluster.client().with_timeout(PATIENCE);
    let batches = (0..keys / BATCH).map(|batch| {
        let put = |at| Command::put(format!("k{}", batch * BATCH + at), "0123456789abcdef");
        (0..BATCH).map(put).collect()
    });
    let mut in_flight = VecDeque::new();
    for batch in batches {
        in_flight.push_back(client.submit_batch_async(batch));
        if in_flight.len() > 16 {
            in_flight.pop_front().expect("there are some").wait().expect("it is put");
        }
    }
    for ticket in in_flight {
        ticket.wait().expect("it is put");
    }
}

/// What a node has applied, and up to where its snapshot goes.
fn status_of(cluster: &Cluster, node: NodeId) -> (u64, u64) {
    let status = cluster.status(node).expect("a node of this cluster");
    (status.applied.0, status.snapshot.last.index.0)
}

/// What the first round says of memory, at two times. What later ones have, the allocator kept of it.
fn memory(round: usize, first_mib: u64, second_mib: u64) -> String {
    if round > 0 { String::new() } else { format!("; {first_mib} MiB resident, then {second_mib}") }
}

/// How many entries a node's log keeps.
fn kept(cluster: &Cluster, node: NodeId) -> u64 {
    let status = cluster.status(node).expect("a node of this cluster");
    status.last.index.0 - status.base.index.0
}

/// Lets a span of the measurement pass.
fn pass(span: Duration) {
    let until = Instant::now() + span;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// How often the leader changed; the first that is told is the one that there was.
fn changes_of(leaders: &Leadership) -> usize {
    leaders.receiver().try_iter().count().saturating_sub(1)
}

/// Looks again and again, and finds something in time or not.
fn watched<T>(find: impl Fn() -> Option<T>) -> Option<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = find();
        if found.is_some() || Instant::now() > until {
            return found;
        }
        pass(Duration::from_millis(1));
    }
}

fn percentile(latencies: &mut [Duration], share: f64) -> Duration {
    latencies.sort_unstable();
    let at = (latencies.len().saturating_sub(1) as f64 * share) as usize;
    latencies.get(at).copied().unwrap_or_default()
}

fn middle(ratios: &mut [f64]) -> f64 {
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

fn median(times: &mut [Duration]) -> Duration {
    percentile(times, 0.5)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// What the threads that this process has have used, to the nanosecond: those that have ended are not in it.
fn processor_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |thread: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    Duration::from_nanos(threads.filter_map(of).sum())
}

fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or_default() / 1024
}
