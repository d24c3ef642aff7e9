//! A whole run: a cluster of its own, a load on it, faults at their times, and the checks at the end.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, select, unbounded};
use serde::Serialize;

use super::collector::{Event, Load, Outcome};
use super::faults::TimedLine;
use super::numbers::{float, quotient};
use super::plan::{Amount, Plan};
use super::report::{FaultReport, LeaderReport, Report, VerdictReport};
use super::sampling::judge;
use super::tally::Row;
use super::usage;
use crate::check::linearizability::Start;
use crate::cluster::{Cluster, Leadership, LeadershipChange, LeadershipKind};
use crate::config::Settings;
use crate::console::executor::{Console, Surroundings};
use crate::console::language;
use crate::console::narrator::Narrator;
use crate::console::options;
use crate::console::printer::{Output, Style};
use crate::console::session::Ending;
use crate::history::HistoryFile;
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::protocol::ReadMode;
use crate::types::{NodeId, Time};

/// How often whoever watches is told how far the run is.
const TICK: Duration = Duration::from_millis(200);

/// A run that is to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct Experiment {
    /// The cluster. In a folder of its own for the run, unless `states` says otherwise.
    pub settings: Settings,
    /// Where the nodes keep their state; none: in a folder that is removed afterwards.
    pub states: Option<PathBuf>,
    /// The load.
    pub plan: Plan,
    /// What is done meanwhile.
    pub faults: Vec<TimedLine>,
    /// How long the first leader may take.
    pub leader_within: Duration,
    /// Whether safety and history are judged.
    pub check: bool,
    /// Where the whole history is written.
    pub history: Option<PathBuf>,
    /// The command that repeats the run.
    pub command: String,
}

/// What whoever watches a run is told.
pub enum Progress<'a> {
    /// A second is over.
    Row(&'a Row),
    /// Something happened.
    Said(&'a str),
    /// The run is so far, of so much.
    Tick {
        /// Since the measured time began; zero before.
        elapsed: Duration,
        /// Until when it will go on, if a time was set.
        of: Option<Duration>,
    },
}

/// Whoever watches a run.
pub type Listener<'a> = &'a mut dyn FnMut(Progress<'_>);

/// Why there was no run, in one line, and the exit code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Trouble {
    /// Why.
    pub text: String,
    /// The exit code.
    pub code: u8,
}

/// A folder that is removed when the run is over.
struct Scratch(PathBuf);

/// A run under way.
struct Run<'a> {
    console: Console<Cluster>,
    /// What the console says by itself.
    said: Output,
    leadership: Leadership,
    start: Time,
    faults: VecDeque<TimedLine>,
    done: Vec<(TimedLine, FaultReport)>,
    leaders: Vec<LeaderReport>,
    before: Option<Used>,
    interrupted: bool,
    listener: Listener<'a>,
}

/// What was used up to a moment.
#[derive(Clone, Copy, Default)]
struct Used {
    messages: u64,
    syncs: Option<u64>,
    cpu: Option<Duration>,
}

impl Trouble {
    fn usage(text: impl Into<String>) -> Trouble {
        Trouble { text: text.into(), code: options::USAGE }
    }
}

impl Experiment {
    /// Whether it can be made: everything that can be known before is.
    ///
    /// # Errors
    /// One line, and the exit code of wrong usage.
    pub fn validate(&self) -> Result<(), Trouble> {
        self.settings.validate().map_err(|error| Trouble::usage(error.to_string()))?;
        self.plan.validate().map_err(Trouble::usage)?;
        let nodes = NodeId::first(self.settings.nodes);
        let length = match self.plan.amount {
            Amount::For(duration) => Some(duration),
            Amount::Count(_) | Amount::Unending => None,
        };
        self.faults
            .iter()
            .try_for_each(|line| line.check(&nodes, self.settings.memory, length))
            .map_err(Trouble::usage)
    }

    /// Makes it.
    ///
    /// # Errors
    /// One line, and the exit code: it cannot be made, the cluster does not start, nobody leads it in time, or a person
    /// interrupts before.
    pub fn run(&self, interrupt: &Interrupt, listener: Listener<'_>) -> Result<Report, Trouble> {
        self.validate()?;
        let failed = |text: String| Trouble { text, code: 1 };
        let mut settings = self.settings.clone();
        let scratch = match &self.states {
            Some(states) => {
                settings.states.clone_from(states);
                None
            }
            None if settings.memory => None,
            None => Some(Scratch::new().map_err(failed)?),
        };
        if let Some(Scratch(folder)) = &scratch {
            settings.states.clone_from(folder);
        }
        let cluster = Cluster::builder().with(|all| *all = settings).start();
        let cluster = cluster.map_err(|error| failed(error.to_string()))?;
        let leadership = cluster.leadership();
        self.await_leader(&cluster, interrupt)?;
        let pipelines = (0..self.plan.clients).map(|_| cluster.pipeline()).collect::<Result<Vec<_>, _>>();
        let pipelines = pipelines.map_err(|error| failed(error.to_string()))?;
        let said = Output::memory(Style::default());
        let narrator = Narrator::direct(said.clone(), false);
        let mut console = Console::new(cluster, Surroundings::default(), said.clone(), narrator);
        let file = self.history.as_deref().map(|path| open_history(path, &console)).transpose();
        let (sender, rows) = unbounded();
        let on_event = move |event: Event<'_>| {
            if let Event::Row(row) = event {
                drop(sender.send(row.clone()));
            }
        };
        let load = Load::start(&self.plan, pipelines, file.map_err(Trouble::usage)?, on_event);
        let load = load.map_err(|error| failed(format!("a client's thread cannot be started: {error}")))?;
        console.count_from(load.start_time());
        let mut faults: Vec<TimedLine> = self.faults.clone();
        faults.sort_by_key(|line| line.at);
        let mut run = Run {
            console,
            said,
            leadership,
            start: load.start_time(),
            faults: faults.into(),
            done: Vec::new(),
            leaders: Vec::new(),
            before: None,
            interrupted: false,
            listener,
        };
        run.watch(&load, &rows, interrupt, self.plan.amount);
        let used = run.used();
        let outcome = load.join();
        Ok(self.report(run, &outcome, used, interrupt))
    }

    /// Waits until somebody leads, and looks up now and then whether a person interrupts.
    fn await_leader(&self, cluster: &Cluster, interrupt: &Interrupt) -> Result<(), Trouble> {
        let until = Instant::now() + self.leader_within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if cluster.wait_until_leader(left.min(TICK)).is_some() {
                return Ok(());
            }
            if interrupt.is_raised() {
                let text = "interrupted before anybody led".to_string();
                return Err(Trouble { text, code: Ending::Interrupted.code() });
            }
            if left.is_zero() {
                let within = self.leader_within.as_secs_f64();
                let text =
                    format!("nobody leads after {within} s: is a majority of the nodes able to start?");
                return Err(Trouble { text, code: 3 });
            }
        }
    }

    fn report(&self, run: Run<'_>, outcome: &Outcome, used: Used, interrupt: &Interrupt) -> Report {
        let Run { console, faults, done, leaders, before, interrupted, .. } = run;
        let before = before.unwrap_or(used);
        let mut cluster = console.into_lab();
        // Who interrupted the load wants to know what came of it; who interrupts later does not.
        let verdict = self.verdict(&mut cluster, outcome, || interrupted || !interrupt.is_raised());
        let interrupted = interrupted || interrupt.is_raised();
        let per_operation = |count: u64| quotient(float(count), float(outcome.in_time));
        let syncs = used.syncs.filter(|_| !self.settings.memory);
        let mut notes: Vec<String> = faults
            .iter()
            .map(|line| format!("'{}' was not carried out: the run had ended", line.line))
            .collect();
        notes.extend(outcome.kept.trouble.clone());
        let measured = Report::of(&self.plan, outcome);
        notes.extend(measured.notes.clone());
        let report = Report {
            command: self.command.clone(),
            setup: self.setup(),
            nodes: self.settings.nodes,
            memory: self.settings.memory,
            syncs_per_operation: syncs
                .and_then(|syncs| per_operation(syncs.saturating_sub(before.syncs.unwrap_or(0)))),
            messages_per_operation: per_operation(used.messages.saturating_sub(before.messages)),
            cpu_seconds: used.cpu.zip(before.cpu).map(|(now, then)| now.saturating_sub(then).as_secs_f64()),
            memory_max_bytes: usage::memory_max(),
            faults: bands(done, measured.ended),
            leaders,
            verdict,
            notes,
            interrupted,
            ..measured
        };
        cluster.shutdown();
        report
    }

    fn verdict(&self, cluster: &mut Cluster, outcome: &Outcome, go_on: impl Fn() -> bool) -> VerdictReport {
        if !self.check {
            return VerdictReport::default();
        }
        let verdicts = cluster.check();
        let broken =
            verdicts.iter().filter_map(|verdict| Some((verdict.property, verdict.violation.as_ref()?)));
        let mut lines: Vec<String> =
            broken.map(|(property, detail)| format!("FAIL {property}: {detail}")).collect();
        let safe = lines.is_empty();
        if safe {
            let limit = match cluster.began_with() {
                Start::Absent => "",
                Start::Unknown => "; what was committed before this run is not known to it",
            };
            lines.push(format!("PASS safety ({} properties, after every step{limit})", verdicts.len()));
        }
        let judged = judge(cluster.began_with(), &outcome.kept, outcome.sent, go_on);
        lines.push(judged.text);
        let pass = if safe { judged.pass } else { Some(false) };
        VerdictReport { pass, checked: true, lines }
    }

    /// `3 nodes in memory, 64 clients with 1 in flight, 50 % linearizable reads`.
    fn setup(&self) -> String {
        let Plan { clients, batch, rate, workload, .. } = &self.plan;
        let place = match (self.settings.memory, self.settings.express) {
            (true, true) => "in memory, express",
            (true, false) => "in memory",
            (false, true) => "on disk, express",
            (false, false) => "on disk",
        };
        let speed = match rate {
            Some(rate) => format!("{rate}/s wanted"),
            None => format!("{} in flight each", self.plan.in_flight_max()),
        };
        let mode = match workload.read_mode {
            ReadMode::Linearizable => "linearizable",
            ReadMode::Lease => "lease",
            ReadMode::Stale => "stale",
        };
        let reads = f64::from(workload.reads_per_million) / 10_000.0;
        let reads =
            if workload.reads_per_million > 0 { format!(", {reads} % {mode} reads") } else { String::new() };
        let batches = if *batch > 1 { format!(", batches of {batch}") } else { String::new() };
        let gather = self.plan.gathered_max();
        let shared = if gather > *batch { format!(", up to {gather} to an entry") } else { String::new() };
        let keys = workload.zipf.map_or("uniform".to_string(), |exponent| format!("zipfian {exponent}"));
        let (nodes, plural) = (self.settings.nodes, if *clients == 1 { "client" } else { "clients" });
        let (count, bytes) = (workload.keys, workload.value_bytes);
        format!(
            "{nodes} nodes {place}; {clients} {plural}, {speed}{batches}{shared}{reads}; {count} {keys} keys, values of {bytes} bytes"
        )
    }
}

fn open_history(path: &Path, console: &Console<Cluster>) -> Result<HistoryFile, String> {
    let mut file = HistoryFile::create(path, |_| {})?;
    file.begin(console.lab().began_with())?;
    Ok(file)
}

/// Each fault with its end: its own, that of the next line that mends, or the run's.
fn bands(done: Vec<(TimedLine, FaultReport)>, end: f64) -> Vec<FaultReport> {
    let mends: Vec<f64> = done.iter().filter(|(line, _)| line.mends()).map(|(_, report)| report.at).collect();
    let with_end = |(line, report): (TimedLine, FaultReport)| {
        let mended = mends.iter().copied().find(|at| *at > report.at).unwrap_or(end);
        let until = match line.lasts() {
            Some(lasts) => (report.at + lasts.as_secs_f64()).min(end.max(report.at)),
            None if report.ok => mended,
            None => report.at,
        };
        FaultReport { until, ..report }
    };
    done.into_iter().map(with_end).collect()
}

impl Run<'_> {
    /// Carries out what is due, and passes on what happens, until the load has ended.
    fn watch(&mut self, load: &Load, rows: &Receiver<Row>, interrupt: &Interrupt, amount: Amount) {
        let of = match amount {
            Amount::For(duration) => Some(duration),
            Amount::Count(_) | Amount::Unending => None,
        };
        loop {
            if interrupt.is_raised() && !self.interrupted {
                self.interrupted = true;
                load.stop();
            }
            self.do_what_is_due();
            let now = self.console.lab().now();
            (self.listener)(Progress::Tick { elapsed: now.since(self.start), of });
            let fault = self.faults.front().map(|line| self.start + line.at);
            let start = self.before.is_none().then_some(self.start);
            let next = [fault, start, self.console.next_undo(), Some(now + TICK)];
            let next = next.into_iter().flatten().min().unwrap_or(now);
            select! {
                recv(rows) -> row => match row {
                    Ok(row) => (self.listener)(Progress::Row(&row)),
                    Err(_) => break,
                },
                recv(load.ended()) -> _ => break,
                recv(interrupt.receiver()) -> _ => {}
                recv(after(next.since(now))) -> _ => {}
            }
        }
        rows.try_iter().for_each(|row| (self.listener)(Progress::Row(&row)));
        self.note_leaders();
    }

    fn do_what_is_due(&mut self) {
        let now = self.console.lab().now();
        if self.before.is_none() && now >= self.start {
            self.before = Some(self.used());
        }
        self.console.undo_due();
        for line in self.said.take_transcript().lines() {
            (self.listener)(Progress::Said(line));
        }
        while self.faults.front().is_some_and(|line| self.start + line.at <= now) && !self.interrupted {
            let Some(line) = self.faults.pop_front() else { return };
            let at = self.console.lab().now().since(self.start).as_secs_f64();
            let answer = self.console.execute(&line.line);
            let ok = matches!(answer.outcome, language::Outcome::Ok | language::Outcome::Refused);
            let directive = line.line.to_string();
            let text = if answer.text.is_empty() { "done".to_string() } else { answer.text };
            (self.listener)(Progress::Said(&format!("{at:.2} s: {directive}: {text}")));
            let report = FaultReport { at, until: at, directive, answer: text, ok };
            self.done.push((line, report));
        }
        self.note_leaders();
    }

    fn note_leaders(&mut self) {
        let changes: Vec<LeadershipChange> = self.leadership.receiver().try_iter().collect();
        for LeadershipChange { kind, node, term, time } in changes {
            // Who leads when counting begins is no change.
            if time < self.start {
                continue;
            }
            let text = match kind {
                LeadershipKind::Lost => format!("{node} no longer leads term {term}"),
                LeadershipKind::Gained | LeadershipKind::Changed { .. } => {
                    format!("{node} leads term {term}")
                }
            };
            let at = time.since(self.start).as_secs_f64();
            (self.listener)(Progress::Said(&format!("{at:.2} s: {text}")));
            self.leaders.push(LeaderReport { at, text });
        }
    }

    fn used(&mut self) -> Used {
        let lab = self.console.lab();
        let messages = lab.counts().into_iter().map(|(_, _, counts)| counts.sent).sum();
        Used { messages, syncs: lab.disk_syncs(), cpu: usage::cpu() }
    }
}

impl Scratch {
    fn new() -> Result<Scratch, String> {
        let name = format!("raftlab-load-{}-{}", std::process::id(), options::fresh_seed());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder)
            .map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies where such things are removed one day.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
