//! `client_load`: a cluster under load from many blocking clients, faults at set times, and what came of it.
//!
//! A thin front door: options become an experiment, which runs; then its report is written wherever it is wanted. One
//! measurement has a name of its own: `figure16`.

mod engine;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use self::engine::{Reads, engine_of, reads};
use super::progress_line::ProgressLine;
use super::{Start, cluster_file};
use crate::client::GATHERED_MAX;
use crate::config::{ElectionRange, Settings};
use crate::console::options::{self, NodeCount};
use crate::console::printer::{Output, Style};
use crate::console::session::{self, Ending};
use crate::experiment::{self, Engine, Expectation, Experiment, Sweep, TimedLine, Trouble, figure16};
use crate::interrupt::Interrupt;
use crate::load::{self, Amount, Mix, Plan, WorkloadSettings};
use crate::page::document::may_replace;
use crate::remote::RemoteCluster;
use crate::text::units;
use clap::{Parser, Subcommand};

/// How long a run lasts by default.
const DURATION: Duration = Duration::from_secs(10);

/// The exponent of `--zipf` without a number.
const ZIPF: &str = "0.99";

const AFTER_HELP: &str = "\
Each client is a thread. Without --rate it sends again as soon as it is answered (closed loop); with --rate it sends at
set times, answered or not, and latency counts from the intended start (open loop).

The measured time begins when the warm-up ends: all times of the output are seconds since then (rows, --at, leaders,
outages, CSV, JSON, report). The history keeps the cluster's clock; a line {\"warm_up_ends_ns\":N} names that moment.
An operation is sent, answered, rejected or unknown, and has a latency, if it left in the measured time, though it ended
after it. Throughput is what was answered within the measured time, operations of the warm-up included. Rows tell what
ended in each second; one behind the measured time has a '+'. 'all' counts operations without an answer too: at their
time-out or at how long they took, if that is longer; unsent ones at the longest of all. An outage is a stretch in which
nothing was answered although calls were waiting.

Behind the figures stands what was done (--at), with the longest outage from each line to the next.

A report shows rates and latencies in steps of 100 ms, of a run of more than a minute in steps of a second, and what a dozen
of the clients saw. --messages adds what the nodes said to one another around elections and faults.

--expect takes METRIC OPERATOR VALUE, with < <= > >= or =:
  p50 p90 p99 p99.9 max mean   a latency of all, from the intended start: p99<50ms; of answers only: answers.p99<50ms
  rate (throughput)            operations a second, or a share of --rate: rate>=5000, rate>=95%
  failed                       rejected and unknown together, a number or a share of what was sent: failed=0, failed<1%
  rejected unknown unsent answered refused   the same
  outage                       the longest, or its share of the measured time: outage<1s, outage<5%

Exit code 0: all well; 1: a check, an expectation or a fault failed; 2: wrong usage; 3: inconclusive (no leader, nothing
or next to nothing answered, no verdict); 130: interrupted.";

const AFTER_HELP_FIGURE16: &str = "\
Each trial starts five nodes in memory. 150-150 ms is left out: with equal timeouts all votes are split, and settings
refuse them; 'simulate figure16' has that range too, in virtual time.";

/// Puts a Raft cluster under load, breaks it at set times, and judges what the clients were told.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(version, max_term_width = 100, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
pub(super) struct Options {
    #[command(subcommand)]
    measurement: Option<Measurement>,
    #[command(flatten)]
    nodes: NodeCount,
    /// Keeps nothing on disk
    #[arg(long)]
    memory: bool,
    /// Keeps the nodes' state in this folder, and continues from what is there [default: a new folder, removed afterwards]
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    states: Option<PathBuf>,
    /// Skips the router thread on links without faults (faster)
    #[arg(long)]
    express: bool,
    /// Reads the cluster's settings from a TOML file; options go over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The shortest and the longest election timeout [default: 150ms..300ms]
    #[arg(long, value_name = "MIN..MAX")]
    election: Option<ElectionRange>,
    /// How many clients, each a thread
    #[arg(long, value_name = "N", default_value_t = 1)]
    clients: usize,
    /// Commands in one call, applied together
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: u64,
    /// Commands of calls that leave together and share an entry, at most; 1: an entry for each call
    #[arg(long, value_name = "N", default_value_t = GATHERED_MAX as u64)]
    gather: u64,
    /// Commands in flight a client [default: one batch; with --rate as many as a client may have]
    #[arg(long, value_name = "N")]
    pipeline: Option<u64>,
    /// How long, warm-up excluded [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration, conflicts_with = "count")]
    duration: Option<Duration>,
    /// How many operations, warm-up excluded
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Operations a second of all clients together, answered or not; needs --duration or --count
    #[arg(long, value_name = "R")]
    rate: Option<u64>,
    /// How many of the operations are reads
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = units::parse_percent)]
    reads: u32,
    /// How fresh reads have to be: linearizable, lease, stale, or serializable: stale, and judged as if linearizable
    #[arg(long, value_name = "MODE", default_value = "linearizable", value_parser = reads)]
    read_mode: Reads,
    /// The commands that are no reads, by weight: put, create, update, delete, cas
    #[arg(long, value_name = "MIX", default_value = "put=1")]
    mix: Mix,
    /// How many keys
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    keys: u64,
    /// A few keys are much more often asked for, by Zipf's law
    #[arg(long, value_name = "EXPONENT", num_args = 0..=1, default_missing_value = ZIPF)]
    zipf: Option<f64>,
    /// Bytes in a value
    #[arg(long, value_name = "BYTES", default_value_t = 16)]
    value_size: usize,
    /// Seeds every random choice of the run; drawn and shown when absent
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What is sent in this time at the beginning is not counted [default: a tenth of the duration, 1s at most; with
    /// --count none]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    warm_up: Option<Duration>,
    /// How long a client tries before it gives up [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    timeout: Option<Duration>,
    /// How long the first leader may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::parse_duration)]
    leader_within: Duration,
    /// Runs a line of the console at this time: --at 2s "crash leader" --at 5s "restart all"
    #[arg(long, num_args = 2, value_names = ["TIME", "LINE"], action = clap::ArgAction::Append)]
    at: Vec<String>,
    /// Fails the run, with exit code 1, unless this was measured: --expect 'p99<50ms' --expect 'failed=0'
    #[arg(long, value_name = "CONDITION")]
    expect: Vec<Expectation>,
    /// Makes a run for each value of a setting: clients, batch, gather, pipeline, rate, nodes, value-size or engine
    #[arg(long, value_name = "SETTING=V1,V2", conflicts_with_all = ["csv", "history", "states"])]
    sweep: Option<Sweep>,
    /// What is put under load: raftlab:3; etcd:3, which starts members of the etcd on PATH; or an etcd that runs, as
    /// etcd=http://127.0.0.1:2379,http://.. [default: raftlab]
    #[arg(long, value_name = "ENGINE", conflicts_with = "connect")]
    engine: Option<Engine>,
    /// Puts a running cluster of processes under load, which this file describes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["memory", "states", "config", "sweep", "express", "election"])]
    connect: Option<PathBuf>,
    /// Whose certificate it shows [default: the only one in the folder]
    #[arg(long, value_name = "NAME", requires = "connect")]
    r#as: Option<String>,
    /// Skips the checks of safety and history
    #[arg(long)]
    no_check: bool,
    /// Operations that are kept to be judged at most; of more, whole keys are left out
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    judge: usize,
    /// Prints the report as one JSON object
    #[arg(long)]
    json: bool,
    /// Writes a row for each second to this file; a cell is empty where nothing was measured
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Writes everything that was asked and answered to this file, one JSON line each
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Writes the report with its plots to this file, as a page that needs no network
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Draws in the report the messages between nodes, around elections and faults; takes time at each message
    #[arg(long, requires = "report", conflicts_with = "sweep")]
    messages: bool,
}

/// What is measured in a way of its own.
#[derive(Subcommand)]
enum Measurement {
    /// Repeats the paper's Figure 16 on threads: how long it takes to replace a crashed leader, by the range of election
    /// timeouts
    #[command(after_help = AFTER_HELP_FIGURE16)]
    Figure16(figure16::TrialPlan),
}

/// The word behind which an etcd's member is started by way of this program.
const MEMBER: &str = "etcd-member";

pub fn main(start: &Start) -> ExitCode {
    #[cfg(feature = "etcd")]
    if let Some(member) = start.behind(MEMBER, "etcd-member") {
        let error = crate::etcd::run_member(member.arguments());
        Output::standard(Style::default()).warn(&format!("error: it cannot be started: {error}"));
        return ExitCode::from(1);
    }
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let output = Output::standard(Style { json: options.json, ..Style::default() });
    options::log_as_asked();
    let ran = match &options.measurement {
        Some(Measurement::Figure16(plan)) => measure(plan, &output),
        None => run(start, &options, &output),
    };
    match ran {
        Ok(code) => ExitCode::from(code),
        Err(Trouble { text, code }) => {
            output.warn(&format!("error: {text}"));
            ExitCode::from(code)
        }
    }
}

fn run(start: &Start, options: &Options, output: &Output) -> Result<u8, Trouble> {
    let usage = |text: String| Trouble { text, code: options::USAGE };
    let experiment = experiment_of(start, options).map_err(usage)?;
    if let Some(sweep) = &options.sweep {
        sweep.experiments(&experiment)?;
    } else {
        experiment.validate()?;
    }
    // A run may take hours: what cannot be written is said before.
    options.report.as_deref().map_or(Ok(()), may_replace).map_err(usage)?;
    for path in [&options.report, &options.csv, &options.history].into_iter().flatten() {
        options::writable(path).map_err(usage)?;
    }
    let interrupt = Arc::new(Interrupt::new());
    session::heed_signals(&interrupt).map_err(usage)?;
    let mut progress = ProgressLine::new(output.clone());
    if let Some(sweep) = &options.sweep {
        let sweep = sweep.clone().run(&experiment, &interrupt, &mut |said| progress.take(&said))?;
        progress.clear();
        let json = || serde_json::to_string(&sweep).expect("names and numbers serialize without error");
        print(options, output, &experiment::table(&sweep), json);
        let written = write_if_wanted(options.report.as_deref(), || experiment::sweep_page(&sweep), output);
        return sweep.trouble.clone().map_or_else(|| Ok(sweep.code().max(written)), Err);
    }
    progress.begin();
    let report = experiment.run(&interrupt, &mut |said| progress.take(&said))?;
    progress.clear();
    print(options, output, &format!("\n{report}"), || report.json());
    if !options.json {
        output.progress(&format!("again: {}", report.command));
    }
    let page = write_if_wanted(options.report.as_deref(), || experiment::page(&report), output);
    let csv = write_if_wanted(options.csv.as_deref(), || load::csv(&report.load.rows), output);
    Ok(report.code().max(page).max(csv))
}

/// The ranges of Figure 16 that threads can try.
fn measure(plan: &figure16::TrialPlan, output: &Output) -> Result<u8, Trouble> {
    let usage = |text: String| Trouble { text, code: options::USAGE };
    let interrupt = Arc::new(Interrupt::new());
    session::heed_signals(&interrupt).map_err(usage)?;
    let trials = plan.trials.unwrap_or(figure16::TRIALS_ON_THREADS);
    let one = |range: &figure16::Range, seed| range.on_threads(seed, &interrupt);
    let ranges = figure16::ranges_of_threads();
    let ran = figure16::run(plan, &ranges, trials, one, output, &interrupt);
    ran.map(Ending::code)
}

/// The answer: JSON goes to standard output as it is, everything else beside it.
fn print(options: &Options, output: &Output, text: &str, json: impl Fn() -> String) {
    if options.json {
        Output::standard(Style::default()).progress(&json());
    } else {
        output.progress(text);
    }
}

fn experiment_of(start: &Start, options: &Options) -> Result<Experiment, String> {
    let engine = engine_of(options)?;
    let (base, remote) = connected(options)?;
    let seed = options.seed.or(base.seed).unwrap_or_else(options::fresh_seed);
    let nodes = options.nodes.given()?;
    if remote.is_some() && nodes.is_some() {
        return Err("a running cluster has the nodes that it has: leave out the number of nodes".to_string());
    }
    let nodes = nodes.unwrap_or(base.nodes);
    let timeout = options.timeout.unwrap_or(base.client_timeout);
    let mut settings = Settings { nodes, seed: Some(seed), client_timeout: timeout, ..base };
    settings.memory |= options.memory;
    if settings.memory && options.states.is_some() {
        return Err("--states has nothing to keep: the settings' file says memory = true".to_string());
    }
    settings.express |= options.express;
    if let Some(ElectionRange { min, max }) = options.election {
        settings.raft.election_min = min;
        settings.raft.election_max = max;
    }
    let amount = match (options.duration, options.count) {
        (Some(duration), _) => Amount::For(duration),
        (None, Some(count)) => Amount::Count(count),
        (None, None) if options.rate.is_some() => {
            return Err("--rate needs --duration or --count: how long to keep it up".to_string());
        }
        (None, None) => Amount::For(DURATION),
    };
    let warm_up = options.warm_up.unwrap_or(match amount {
        Amount::For(duration) => (duration / 10).min(Duration::from_secs(1)),
        Amount::Count(_) | Amount::Unending => Duration::ZERO,
    });
    let plan = Plan {
        clients: options.clients,
        pipeline: options.pipeline,
        batch: options.batch,
        gather: options.gather,
        amount,
        rate: options.rate,
        workload: workload(options),
        warm_up,
        timeout,
        seed,
        kept_max: if options.no_check { 0 } else { options.judge },
    };
    let faults = options.at.chunks(2).map(|pair| TimedLine::parse(&pair[0], &pair[1]));
    let experiment = Experiment {
        settings,
        member: start.part_program(MEMBER).ok(),
        remote,
        states: options.states.clone(),
        plan,
        expectations: options.expect.clone(),
        faults: faults.collect::<Result<_, _>>()?,
        leader_within: options.leader_within,
        check: !options.no_check,
        history: options.history.clone(),
        messages: options.messages,
        command: start.again(options.seed.is_none().then(|| format!("--seed {seed}")).as_slice()),
        ..Experiment::default()
    };
    Ok(experiment.on(engine))
}

/// The settings, and the cluster of processes that is to be put under load.
fn connected(options: &Options) -> Result<(Settings, Option<RemoteCluster>), String> {
    let Some(path) = &options.connect else {
        return Ok((options::settings_of(options.config.as_deref())?, None));
    };
    let file = cluster_file::read(path)?;
    let remote = cluster_file::remote(path, &file, options.r#as.as_deref())?;
    Ok((file.settings, Some(remote)))
}

fn workload(options: &Options) -> WorkloadSettings {
    // Others may write to what ran before.
    let shared = options.connect.is_some() || matches!(options.engine, Some(Engine::EtcdAt(_)));
    let own = shared.then(|| format!("load-{:08x}-", options::fresh_seed()));
    WorkloadSettings {
        prefix: own.unwrap_or_else(|| WorkloadSettings::default().prefix),
        keys: options.keys,
        zipf: options.zipf,
        value_bytes: options.value_size,
        reads_per_million: options.reads,
        read_mode: options.read_mode.mode,
        judges_stale: options.read_mode.judges_stale,
        mix: options.mix,
    }
}

/// The exit code for this file: 1 if it is missing. What else there is to write is written all the same.
fn write_if_wanted(path: Option<&Path>, text: impl Fn() -> String, output: &Output) -> u8 {
    let Some(path) = path else { return 0 };
    match fs::write(path, text()) {
        Ok(()) => {
            output.warn(&format!("{} written", path.display()));
            0
        }
        Err(error) => {
            output.warn(&format!("error: {}", options::cannot_write(path, &error)));
            1
        }
    }
}
