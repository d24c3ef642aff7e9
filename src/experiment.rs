//! Experiments: a cluster of its own, a load on it, faults at their times, the checks at the end, and a [`Report`].
//!
//! Faults are lines of the console's language, so an experiment drives a console. [`Sweep`] makes several runs that differ in
//! one setting; [`figure16`] repeats the measurement of the paper's Figure 16.

mod bench;
mod engine;
mod expectation;
mod faults;
pub mod figure16;
mod nodes;
mod page;
mod report;
mod run;
mod setup;
mod sweep;
mod usage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use serde::Serialize;

pub use self::engine::Engine;
pub use self::expectation::{Expectation, Judgment};
pub use self::faults::TimedLine;
pub use self::page::{page, sweep_page};
pub use self::report::{FaultReport, LeaderReport, Report, VerdictReport};
pub use self::run::{Listener, Progress};
pub use self::sweep::{Sweep, table};

use self::bench::Bench;
use self::nodes::Nodes;
use self::run::{Run, TICK, Usage, bands};
use crate::cluster::{Cluster, Leadership, LeadershipKind};
use crate::config::Settings;
use crate::console::executor::{Console, Context};
use crate::console::narrator::Narrator;
use crate::console::options;
use crate::console::printer::{Output, Style};
use crate::console::session::Ending;
use crate::history::HistoryFile;
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::links::Notices;
use crate::load::{Amount, Event, Load, Plan, Sample, Summary, judge, safety_lines};
use crate::page::Origin;
use crate::remote::RemoteCluster;
use crate::remote::lab::RemoteLab;
use crate::supervisor::Program;
use crate::text::numbers::{float, quotient};
use crate::trace::{EventFilter, TraceEvent};
use crate::types::NodeId;

/// A run that is to be made.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The cluster. In a folder of its own for the run, unless `states` says otherwise.
    pub settings: Settings,
    pub engine: Engine,
    /// What starts a member of an etcd.
    pub member: Option<Program>,
    /// It runs already, in processes; none: it is started for the run.
    pub remote: Option<RemoteCluster>,
    /// Where the nodes keep their state; none: in a folder that is removed afterwards.
    pub states: Option<PathBuf>,
    pub plan: Plan,
    pub expectations: Vec<Expectation>,
    /// Directives that are executed at their times.
    pub faults: Vec<TimedLine>,
    /// How long the first leader may take.
    pub leader_within: Duration,
    pub check: bool,
    pub history: Option<PathBuf>,
    /// Records the messages between nodes around elections and faults, which takes time at each message.
    pub messages: bool,
    pub command: String,
}

/// Why there was no run, in one line, and the exit code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Trouble {
    pub text: String,
    pub code: u8,
}

/// A folder that is removed when the run is over.
struct Scratch(PathBuf);

impl Trouble {
    fn usage(text: impl Into<String>) -> Trouble {
        Trouble { text: text.into(), code: options::USAGE }
    }
}

impl Default for Experiment {
    fn default() -> Experiment {
        Experiment {
            settings: Settings::default(),
            engine: Engine::default(),
            member: None,
            remote: None,
            states: None,
            plan: Plan::default(),
            expectations: Vec::new(),
            faults: Vec::new(),
            leader_within: Duration::from_secs(10),
            check: true,
            history: None,
            messages: false,
            command: String::new(),
        }
    }
}

impl Experiment {
    /// Checks everything that can be known before the run.
    ///
    /// # Errors
    /// One line, and the exit code of wrong usage.
    pub fn validate(&self) -> Result<(), Trouble> {
        self.settings.validate().map_err(|error| Trouble::usage(error.to_string()))?;
        self.check_engine().map_err(Trouble::usage)?;
        self.plan.validate().map_err(Trouble::usage)?;
        let checked = self.expectations.iter().try_for_each(|expectation| expectation.check(self.plan.rate));
        checked.map_err(Trouble::usage)?;
        let founders = self.founders();
        let length = match self.plan.amount {
            Amount::For(duration) => Some(duration),
            Amount::Count(_) | Amount::Unending => None,
        };
        self.faults
            .iter()
            .try_for_each(|line| line.check(&founders, &self.faults, self.settings.memory, length))
            .map_err(Trouble::usage)
    }

    fn founders(&self) -> Vec<NodeId> {
        match &self.remote {
            Some(remote) => remote.addresses.keys().copied().collect(),
            None => NodeId::first(self.settings.nodes),
        }
    }

    /// Makes the run.
    ///
    /// # Errors
    /// One line, and the exit code: it cannot be made, the cluster does not start, no leader is elected in time, or a person
    /// interrupts before.
    pub fn run(&self, interrupt: &Interrupt, listener: Listener<'_>) -> Result<Report, Trouble> {
        self.validate()?;
        let said = Output::memory(Style::default());
        let narrator = Narrator::direct(said.clone());
        if let Some(remote) = &self.remote {
            let lab = self.connect(remote, &narrator)?;
            return self.run_on(lab, said, narrator, interrupt, listener);
        }
        #[cfg(feature = "etcd")]
        if self.engine.is_etcd() {
            return self.run_on_etcd(said, narrator, interrupt, listener);
        }
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
        let mut builder = Cluster::builder().with(|all| *all = settings);
        if self.messages {
            let told = narrator.recording().clone();
            builder = builder.observer(move |event| told.observe(event));
        }
        let cluster = builder.start().map_err(|error| failed(error.to_string()))?;
        self.run_on(cluster, said, narrator, interrupt, listener)
    }

    fn connect(&self, remote: &RemoteCluster, narrator: &Narrator) -> Result<RemoteLab, Trouble> {
        let told = narrator.recording().clone();
        let watches = self.messages;
        let on_event = Arc::new(move |event: &TraceEvent| {
            if watches {
                told.observe(event);
            }
        });
        let warn = Output::standard(Style::default());
        let notices = Arc::new(Notices::new(move |line| warn.warn(line)));
        let failed = |text: String| Trouble { text, code: 1 };
        let lab = RemoteLab::connect(remote.clone(), "client_load", notices, on_event)
            .map_err(|error| failed(format!("the system gives no more threads: {error}")))?;
        lab.refused().map_or(Ok(lab), |why| Err(failed(why)))
    }

    /// Makes the run on this cluster.
    fn run_on<B: Bench>(
        &self,
        mut cluster: B,
        said: Output,
        narrator: Narrator,
        interrupt: &Interrupt,
        listener: Listener<'_>,
    ) -> Result<Report, Trouble> {
        let failed = |text: String| Trouble { text, code: 1 };
        let nodes_at_first = cluster.nodes().len();
        if self.messages {
            Lab::watch_events(&mut cluster, EventFilter::All);
        }
        let leadership = cluster.leadership();
        self.await_leader(&cluster, &leadership, interrupt)?;
        // It has been told, and is told again as the one that there is.
        let leadership = cluster.leadership();
        let callers =
            (0..self.plan.clients).map(|number| cluster.caller(number)).collect::<Result<Vec<_>, _>>();
        let callers = callers.map_err(|error| failed(error.to_string()))?;
        let described = cluster.described();
        let recording = narrator.recording().clone();
        let mut console = Console::new(cluster, Context::default(), said.clone(), narrator);
        let file = self.history.as_deref().map(|path| open_history(path, &console)).transpose();
        let (sender, rows) = unbounded();
        let on_event = move |event: Event<'_>| {
            if let Event::Row(row) = event {
                drop(sender.send(row.clone()));
            }
        };
        let load = Load::start(&self.plan, callers, file.map_err(Trouble::usage)?, on_event);
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
            nodes: Nodes::new(recording, self.messages),
            described,
            before: None,
            interrupted: false,
            listener,
        };
        run.watch(&load, &rows, interrupt, self.plan.amount);
        let used = run.used();
        let (summary, kept) = load.join();
        Ok(self.report(run, nodes_at_first, summary, &kept, used, interrupt))
    }

    /// Waits for a leader, and checks now and then whether a person interrupts.
    fn await_leader(
        &self,
        cluster: &impl Bench,
        leadership: &Leadership,
        interrupt: &Interrupt,
    ) -> Result<(), Trouble> {
        let until = Instant::now() + self.leader_within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if let Ok(change) = leadership.receiver().recv_timeout(left.min(TICK))
                && change.kind != LeadershipKind::Lost
            {
                return Ok(());
            }
            if cluster.is_led().map_err(|text| Trouble { text, code: 1 })? {
                return Ok(());
            }
            if interrupt.is_raised() {
                let text = "interrupted before a leader was elected".to_string();
                return Err(Trouble { text, code: Ending::Interrupted.code() });
            }
            if left.is_zero() {
                let within = self.leader_within.as_secs_f64();
                let text = format!("no leader after {within} s: {}", cluster.why_no_leader());
                return Err(Trouble { text, code: 3 });
            }
        }
    }

    fn report<B: Bench>(
        &self,
        run: Run<'_, B>,
        nodes_at_first: usize,
        load: Summary,
        kept: &Sample,
        used: Usage,
        interrupt: &Interrupt,
    ) -> Report {
        let Run { console, faults, done, leaders, nodes, described, before, interrupted, start, .. } = run;
        let before = before.unwrap_or(used);
        let mut cluster = console.into_lab();
        // A person who interrupted the load wants the verdict on it; an interrupt during the check ends the check.
        let verdict = self.verdict(&mut cluster, kept, load.sent, || interrupted || !interrupt.is_raised());
        let interrupted = interrupted || interrupt.is_raised();
        let per_operation = |count: u64| quotient(float(count), float(load.answered_in_time));
        let syncs = used.syncs.filter(|_| !self.settings.memory);
        let mut notes: Vec<String> = faults
            .iter()
            .map(|line| format!("'{}' was not executed: the run had ended", line.line))
            .collect();
        notes.extend(cluster.notices());
        notes.extend(kept.trouble.clone());
        notes.extend(load.remarks());
        let report = Report {
            v: 2,
            command: self.command.clone(),
            setup: self.setup(nodes_at_first, described),
            nodes: u8::try_from(nodes_at_first).expect("at most 99"),
            memory: self.settings.memory,
            syncs_per_operation: syncs
                .and_then(|syncs| per_operation(syncs.saturating_sub(before.syncs.unwrap_or(0)))),
            messages_per_operation: used
                .messages
                .zip(before.messages)
                .and_then(|(now, then)| per_operation(now.saturating_sub(then))),
            cpu_seconds: used.cpu.zip(before.cpu).map(|(now, then)| now.saturating_sub(then).as_secs_f64()),
            memory_max_bytes: cluster.memory_max(),
            faults: bands(done, &load),
            leaders,
            verdict,
            expectations: self.expectations.iter().map(|expectation| expectation.judge(&load)).collect(),
            notes,
            interrupted,
            origin: Origin::here(),
            recorded: nodes.recorded(start),
            load,
        };
        cluster.end();
        report
    }

    fn verdict(
        &self,
        cluster: &mut impl Bench,
        kept: &Sample,
        sent: u64,
        go_on: impl Fn() -> bool,
    ) -> VerdictReport {
        if !self.check {
            return VerdictReport::default();
        }
        let (safe, mut lines) = if cluster.shows_steps() {
            let verdicts = cluster.check();
            safety_lines(cluster.checks_from_beginning(), &verdicts)
        } else {
            (Some(true), Vec::new())
        };
        let judged = judge(cluster.began_with(), kept, sent, go_on);
        lines.push(judged.text);
        let pass = match (safe, judged.pass) {
            (Some(true), judged) => judged,
            (None, Some(false)) => Some(false),
            (safe, _) => safe,
        };
        VerdictReport { pass, checked: true, lines }
    }
}

fn open_history(path: &Path, console: &Console<impl Lab + 'static>) -> Result<HistoryFile, String> {
    let mut file = HistoryFile::create(path, |_| {})?;
    file.begin(console.lab().began_with())?;
    Ok(file)
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
        // A folder that cannot be removed is left to the system's cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
