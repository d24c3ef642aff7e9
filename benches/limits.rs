//! What this machine can do, and beside it, measured in the same rounds, what a cluster makes of it: a hop from thread
//! to thread, a wake-up, a channel, a fdatasync, and the cluster's latency and throughput as multiples of them.
//!
//! `cargo bench --bench limits` measures all rows; `cargo bench --bench limits -- memory-1 durable-64` some of them.
//! `--rounds N` and `--seconds S` say how often and how long, `--check` also judges each run as `client_load` does.
//! Figures are medians of the rounds, and so are the multiples, each taken within one round. Files are made where
//! `TMPDIR` says: the disk that is measured is that folder's. Nothing here fails when a machine is slow.
//!
//! Rows that read find every key: their cluster goes on from the files of one that was written to before, and reads
//! themselves write nothing.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that prints a table")]
#![expect(clippy::cast_precision_loss, reason = "figures for people to read")]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use raftlab::Settings;
use raftlab::experiment::{Experiment, Report};
use raftlab::interrupt::Interrupt;
use raftlab::load::{Amount, Plan, WorkloadSettings};
use raftlab::protocol::ReadMode;
use tempfile::TempDir;

/// As in the programs: commands are made on one thread and let go on others.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of a record that is made durable, about an entry's.
const RECORD: usize = 128;
/// Bytes of a file whose blocks are there before it is written to.
const PREALLOCATED: usize = 4 << 20;
/// How long a receiver is left alone before it is woken, so that it certainly sleeps.
const SLEEP: Duration = Duration::from_millis(1);
/// How long the first leader may take.
const LEADER_WITHIN: Duration = Duration::from_secs(60);
/// How long a client tries: no slow disk makes a command fail.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where the nodes of a row keep their state, and how messages travel.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Router,
    Express,
    Disk,
}

/// What a row ought to reach.
#[derive(Clone, Copy)]
enum Target {
    /// Half of the answers within so many microseconds.
    Within(f64),
    /// So many operations a second.
    Rate(f64),
    Both(f64, f64),
    /// So many a second, and half of the answers within 1.4 fdatasyncs by three at once and four hops.
    Durable(f64),
    /// So many times what another row makes, if that was measured too.
    Times(f64, &'static str),
}

/// A load on a cluster.
struct Row {
    name: &'static str,
    place: Place,
    clients: usize,
    pipeline: u64,
    batch: u64,
    reads: Option<ReadMode>,
    target: Target,
}

const fn writes(
    name: &'static str,
    place: Place,
    clients: usize,
    pipeline: u64,
    batch: u64,
    target: Target,
) -> Row {
    Row { name, place, clients, pipeline, batch, reads: None, target }
}

const fn reads(name: &'static str, clients: usize, mode: ReadMode, target: Target) -> Row {
    Row { name, place: Place::Router, clients, pipeline: 1, batch: 1, reads: Some(mode), target }
}

const ROWS: [Row; 18] = [
    writes("memory-1", Place::Router, 1, 1, 1, Target::Within(45.0)),
    writes("express-1", Place::Express, 1, 1, 1, Target::Both(35_000.0, 21.0)),
    writes("memory-64", Place::Router, 64, 1, 1, Target::Rate(80_000.0)),
    writes("express-64", Place::Express, 64, 1, 1, Target::Rate(130_000.0)),
    writes("memory-2x32", Place::Router, 2, 32, 1, Target::Rate(350_000.0)),
    writes("express-2x32", Place::Express, 2, 32, 1, Target::Rate(600_000.0)),
    writes("memory-4x1024", Place::Router, 4, 1024, 1, Target::Rate(1_200_000.0)),
    writes("express-4x1024", Place::Express, 4, 1024, 1, Target::Rate(1_500_000.0)),
    writes("memory-batches", Place::Router, 4, 1024, 64, Target::Rate(1_200_000.0)),
    writes("express-batches", Place::Express, 4, 1024, 64, Target::Rate(1_500_000.0)),
    reads("reads-1", 1, ReadMode::Linearizable, Target::Times(1.0, "memory-1")),
    reads("lease-reads-1", 1, ReadMode::Lease, Target::Times(1.5, "reads-1")),
    reads("reads-64", 64, ReadMode::Linearizable, Target::Times(1.0, "memory-64")),
    reads("lease-reads-64", 64, ReadMode::Lease, Target::Times(1.5, "reads-64")),
    writes("durable-1", Place::Disk, 1, 1, 1, Target::Durable(1_500.0)),
    writes("durable-64", Place::Disk, 64, 1, 1, Target::Rate(45_000.0)),
    writes("durable-4x1024", Place::Disk, 4, 1024, 1, Target::Rate(400_000.0)),
    writes("durable-batches", Place::Disk, 4, 1024, 64, Target::Rate(400_000.0)),
];

/// The limits, in the order of the table. All but the disk's are always measured: rows are shown as their multiples.
const HOP: &str = "hop, two threads";
const RING_HOP: &str = "hop, four threads in a ring";
const WAKE: &str = "wake";
const UNBOUNDED: &str = "channel, unbounded";
const BOUNDED: &str = "channel, bounded(1024)";
const GROWING: &str = "fdatasync, growing";
const PREPARED: &str = "fdatasync, preallocated";
const GROWING_3: &str = "fdatasync, growing, 3 at once";
const PREPARED_3: &str = "fdatasync, preallocated, 3 at once";
const LIMITS: [&str; 9] = [HOP, RING_HOP, WAKE, UNBOUNDED, BOUNDED, GROWING, PREPARED, GROWING_3, PREPARED_3];

/// What one round measured of one row: microseconds, and operations a second; zero where there is none.
#[derive(Clone, Copy, Default)]
struct Figure {
    p50: f64,
    p99: f64,
    rate: f64,
}

/// What a round measured, by the row's name.
type Round = BTreeMap<&'static str, Figure>;

struct Options {
    names: Vec<String>,
    rounds: usize,
    span: Duration,
    check: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("error: {reason}");
            return ExitCode::from(2);
        }
    };
    match measure(&options) {
        Ok(rounds) => {
            show(&options, &rounds);
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options { names: Vec::new(), rounds: 5, span: Duration::from_secs(2), check: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // Cargo passes this one to every benchmark.
            "--bench" => {}
            "--check" => options.check = true,
            "--rounds" => options.rounds = number(&word, words.next(), 1..=1_000)?,
            "--seconds" => {
                options.span = Duration::from_secs_f64(number(&word, words.next(), 0.1..=3_600.0)?);
            }
            name if ROWS.iter().any(|row| row.name == name) || name == "limits" => options.names.push(word),
            _ => {
                let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
                let flags = "--rounds N, --seconds S, --check";
                return Err(format!("'{word}' is no row: write limits, {}; or {flags}", names.join(", ")));
            }
        }
    }
    Ok(options)
}

fn number<N: FromStr + PartialOrd + Display>(
    flag: &str,
    text: Option<String>,
    within: RangeInclusive<N>,
) -> Result<N, String> {
    let number = text.and_then(|text| text.parse().ok()).filter(|number| within.contains(number));
    number.ok_or_else(|| format!("{flag} needs a number from {} to {}", within.start(), within.end()))
}

impl Options {
    fn wants(&self, row: &Row) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == row.name)
    }

    fn wants_disk(&self) -> bool {
        self.names.iter().any(|name| name == "limits")
            || ROWS.iter().any(|row| row.place == Place::Disk && self.wants(row))
    }
}

/// All rounds, one after the other: limits first, then the rows, so that each round sees the machine in one mood.
fn measure(options: &Options) -> Result<Vec<Round>, String> {
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        eprintln!("round {number} of {}", options.rounds);
        let mut round = limits(options)?;
        for row in ROWS.iter().filter(|row| options.wants(row)) {
            round.insert(row.name, cluster(row, options)?);
        }
        rounds.push(round);
    }
    Ok(rounds)
}

fn limits(options: &Options) -> Result<Round, String> {
    let span = options.span / 4;
    let mut round = Round::from([
        (HOP, hop(2, span)),
        (RING_HOP, hop(4, span)),
        (WAKE, wake(span)),
        (UNBOUNDED, throughput(unbounded(), span)),
        (BOUNDED, throughput(bounded(1024), span)),
    ]);
    if options.wants_disk() {
        for (name, threads, prepared) in
            [(GROWING, 1, false), (PREPARED, 1, true), (GROWING_3, 3, false), (PREPARED_3, 3, true)]
        {
            round.insert(name, syncs(threads, prepared, span).map_err(|error| format!("{name}: {error}"))?);
        }
    }
    Ok(round)
}

/// A message from thread to thread, round a ring of so many: a round by their number. Two may find each other awake, since
/// a receiver looks again for a moment before it sleeps; of four on few cores most sleep, as a cluster's threads do.
fn hop(threads: u32, span: Duration) -> Figure {
    let (to, mut inbox) = bounded::<()>(1);
    let mut others = Vec::new();
    for _ in 1..threads {
        let (next, receiver) = bounded::<()>(1);
        let inbox = std::mem::replace(&mut inbox, receiver);
        others.push(thread::spawn(move || while inbox.recv().is_ok() && next.send(()).is_ok() {}));
    }
    let mut times = Vec::new();
    let until = Instant::now() + span;
    while Instant::now() < until {
        let begun = Instant::now();
        to.send(()).expect("the next thread listens");
        inbox.recv().expect("the last thread answers");
        times.push(begun.elapsed() / threads);
    }
    drop(to);
    for other in others {
        other.join().expect("it ends with its channel");
    }
    // A round is several hops.
    let figure = figure(times, span);
    Figure { rate: figure.rate * f64::from(threads), ..figure }
}

/// A message to a thread that has slept for a while.
fn wake(span: Duration) -> Figure {
    let (to, inbox) = bounded::<Instant>(1);
    let sleeper = thread::spawn(move || inbox.iter().map(|sent| sent.elapsed()).collect::<Vec<_>>());
    let until = Instant::now() + span;
    while Instant::now() < until {
        pass(SLEEP);
        to.send(Instant::now()).expect("the other thread listens");
    }
    drop(to);
    let times = sleeper.join().expect("it ends with the channel");
    // How often it is woken says nothing: it is left to sleep.
    Figure { rate: 0.0, ..figure(times, span) }
}

/// Small messages from one thread to another, as many as pass.
fn throughput((to, inbox): (Sender<[u64; 4]>, Receiver<[u64; 4]>), span: Duration) -> Figure {
    // An unbounded channel that is far ahead of its receiver measures the allocator.
    const AHEAD: usize = 1 << 16;
    let reader = thread::spawn(move || inbox.iter().count());
    let begun = Instant::now();
    while begun.elapsed() < span {
        for number in 0..1_024 {
            to.send([number; 4]).expect("the other thread listens");
        }
        while to.len() > AHEAD {
            thread::yield_now();
        }
    }
    drop(to);
    let count = reader.join().expect("it ends with the channel");
    Figure { rate: count as f64 / begun.elapsed().as_secs_f64(), ..Figure::default() }
}

/// A record written and made durable, again and again, by so many threads, each with a file of its own.
fn syncs(threads: usize, prepared: bool, span: Duration) -> std::io::Result<Figure> {
    let folder = tempfile::tempdir()?;
    let files = (0..threads).map(|number| file(&folder.path().join(number.to_string()), prepared));
    let files = files.collect::<std::io::Result<Vec<File>>>()?;
    let together = Barrier::new(threads);
    let times: Vec<Duration> = thread::scope(|scope| {
        let write = |file: File| {
            let together = &together;
            scope.spawn(move || {
                together.wait();
                write_and_sync(file, prepared, span)
            })
        };
        let writers: Vec<_> = files.into_iter().map(write).collect();
        let times = writers.into_iter().map(|writer| writer.join().expect("a writer reports"));
        times.collect::<std::io::Result<Vec<Vec<Duration>>>>()
    })?
    .concat();
    // The rate is one thread's.
    let mut figure = figure(times, span);
    figure.rate /= threads as f64;
    Ok(figure)
}

fn file(path: &std::path::Path, prepared: bool) -> std::io::Result<File> {
    let mut file = OpenOptions::new().create_new(true).write(true).open(path)?;
    if prepared {
        file.write_all(&vec![0; PREALLOCATED])?;
        file.seek(SeekFrom::Start(0))?;
    }
    file.sync_all()?;
    Ok(file)
}

fn write_and_sync(mut file: File, prepared: bool, span: Duration) -> std::io::Result<Vec<Duration>> {
    let mut times = Vec::new();
    let until = Instant::now() + span;
    while Instant::now() < until {
        if prepared && times.len() % (PREALLOCATED / RECORD) == 0 {
            file.seek(SeekFrom::Start(0))?;
        }
        let begun = Instant::now();
        file.write_all(&[b'r'; RECORD])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// A run of its own, as `client_load` makes it.
fn cluster(row: &Row, options: &Options) -> Result<Figure, String> {
    let written = match row.reads {
        Some(_) => Some(written().map_err(|error| format!("{}: {error}", row.name))?),
        None => None,
    };
    let settings = Settings {
        memory: row.place != Place::Disk && written.is_none(),
        express: row.place == Place::Express,
        client_timeout: TIMEOUT,
        ..Settings::default()
    };
    let reads_per_million = if row.reads.is_some() { 1_000_000 } else { 0 };
    let read_mode = row.reads.unwrap_or_default();
    let plan = Plan {
        clients: row.clients,
        pipeline: Some(row.pipeline),
        batch: row.batch,
        amount: Amount::For(options.span),
        workload: WorkloadSettings { reads_per_million, read_mode, ..WorkloadSettings::default() },
        warm_up: options.span / 10,
        timeout: TIMEOUT,
        kept_max: if options.check { Plan::default().kept_max } else { 0 },
        ..Plan::default()
    };
    let states = written.as_ref().map(|folder| folder.path().to_path_buf());
    let report = run(settings, states, plan, options.check);
    let report = report.map_err(|reason| format!("{}: {reason}", row.name))?;
    let service = report.load.service.ok_or("nothing was answered")?;
    Ok(Figure { p50: service.p50, p99: service.p99, rate: report.load.throughput })
}

/// The files of a cluster that holds every key.
fn written() -> Result<TempDir, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let settings = Settings { client_timeout: TIMEOUT, ..Settings::default() };
    let workload = WorkloadSettings::default();
    // Keys are drawn: after twenty times as many commands, one is missing once in fifty thousand runs.
    let plan = Plan {
        clients: 4,
        pipeline: Some(1_024),
        batch: 64,
        amount: Amount::Count(20 * workload.keys),
        workload,
        timeout: TIMEOUT,
        kept_max: 0,
        ..Plan::default()
    };
    run(settings, Some(folder.path().to_path_buf()), plan, false)?;
    Ok(folder)
}

/// A run in which all goes well.
fn run(settings: Settings, states: Option<PathBuf>, plan: Plan, check: bool) -> Result<Report, String> {
    let leader_within = LEADER_WITHIN;
    let experiment = Experiment { settings, states, plan, leader_within, check, ..Experiment::default() };
    let report = experiment.run(&Interrupt::new(), &mut |_| {}).map_err(|trouble| trouble.text)?;
    if report.code() != 0 || report.load.answered < report.load.sent {
        return Err(format!("not all is well:\n{report}"));
    }
    Ok(report)
}

fn show(options: &Options, rounds: &[Round]) {
    let (count, seconds) = (rounds.len(), options.span.as_secs_f64());
    let plural = if count == 1 { "round" } else { "rounds" };
    println!("medians of {count} {plural}, {seconds} s a row, three nodes, values of 16 bytes");
    if options.check {
        println!("each run was judged: safety and linearizability hold");
    }
    println!();
    println!("{:<36} {:>10} {:>10} {:>14}", "the machine", "p50", "p99", "a second");
    for name in LIMITS.into_iter().filter(|name| rounds.iter().all(|round| round.contains_key(name))) {
        let [p50, p99, rate] = figures(rounds, name);
        println!("{name:<36} {:>10} {:>10} {:>14}", time(p50), time(p99), whole(rate));
    }
    if ROWS.iter().all(|row| !options.wants(row)) {
        return;
    }
    println!();
    println!(
        "{:<16} {:>10} {:>16} {:>10} {:>12} {:>24}  target",
        "the cluster", "p50", "= limits", "p99", "a second", "= limits"
    );
    for row in ROWS.iter().filter(|row| options.wants(row)) {
        let [p50, p99, rate] = figures(rounds, row.name);
        let (latency, throughput) = multiples(rounds, row);
        println!(
            "{:<16} {:>10} {latency:>16} {:>10} {:>12} {throughput:>24}  {}",
            row.name,
            time(p50),
            time(p99),
            whole(rate),
            against_target(rounds, row)
        );
    }
    println!();
    println!(
        "a message: one through the unbounded channel; a sync: a fdatasync of a growing file by three at once"
    );
}

/// A row's latency and throughput in the machine's own measures.
fn multiples(rounds: &[Round], row: &Row) -> (String, String) {
    if row.place == Place::Disk {
        let latency = median(rounds, |round| round[row.name].p50 / round[GROWING_3].p50);
        let commands = median(rounds, |round| round[row.name].rate * round[GROWING_3].p50 / 1e6);
        (format!("{latency:.1} syncs"), format!("{commands:.1} commands a sync"))
    } else {
        let latency = median(rounds, |round| round[row.name].p50 / round[RING_HOP].p50);
        let messages = median(rounds, |round| round[UNBOUNDED].rate / round[row.name].rate);
        (format!("{latency:.1} hops"), format!("{messages:.0} messages a command"))
    }
}

fn against_target(rounds: &[Round], row: &Row) -> String {
    let [p50, _, rate] = figures(rounds, row.name);
    let verdict = |met| if met { "met" } else { "missed" };
    match row.target {
        Target::Within(most) => format!("p50 <= {}: {}", time(most), verdict(p50 <= most)),
        Target::Rate(least) => format!(">= {}/s: {}", whole(least), verdict(rate >= least)),
        Target::Both(least, most) => {
            let met = rate >= least && p50 <= most;
            format!(">= {}/s, p50 <= {}: {}", whole(least), time(most), verdict(met))
        }
        Target::Durable(least) => {
            let most = median(rounds, |round| 1.4 * round[GROWING_3].p50 + 4.0 * round[RING_HOP].p50);
            let met = rate >= least && p50 <= most;
            let bound = format!("1.4 syncs + 4 hops = {}", time(most));
            format!(">= {}/s, p50 <= {bound}: {}", whole(least), verdict(met))
        }
        Target::Times(factor, other) if rounds.iter().all(|round| round.contains_key(other)) => {
            let ratio = median(rounds, |round| round[row.name].rate / round[other].rate);
            format!(">= {factor} x {other}, it is {ratio:.2} x: {}", verdict(ratio >= factor))
        }
        Target::Times(factor, other) => format!(">= {factor} x {other}, which was not measured"),
    }
}

fn figures(rounds: &[Round], name: &str) -> [f64; 3] {
    [
        median(rounds, |round| round[name].p50),
        median(rounds, |round| round[name].p99),
        median(rounds, |round| round[name].rate),
    ]
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    let mut numbers: Vec<f64> = rounds.iter().map(of).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let (low, high) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
    f64::midpoint(low, high)
}

/// Of these times, and of how many there were in this span.
fn figure(mut times: Vec<Duration>, span: Duration) -> Figure {
    times.sort_unstable();
    let micros = |of_hundred: usize| {
        let place = times.len().saturating_sub(1) * of_hundred / 100;
        times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    Figure { p50: micros(50), p99: micros(99), rate: times.len() as f64 / span.as_secs_f64() }
}

/// Lets this much time pass.
fn pass(span: Duration) {
    let until = Instant::now() + span;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// Microseconds, for people.
fn time(micros: f64) -> String {
    match micros {
        ..=0.0 => "-".to_string(),
        ..100.0 => format!("{micros:.1} us"),
        ..10_000.0 => format!("{micros:.0} us"),
        _ => format!("{:.1} ms", micros / 1_000.0),
    }
}

/// A whole number with commas.
fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).expect("digits")).collect();
    if number > 0.0 { groups.join(",") } else { "-".to_string() }
}
