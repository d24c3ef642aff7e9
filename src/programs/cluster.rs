//! `cluster [NODES]`: a cluster of threads in one process, or of processes, and a console to run it, break it and watch it heal.
//!
//! A thin front door: options, settings, start, session, end.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::http::{self, HttpOptions, OpenDoor};
use super::web::WebOptions;
use super::{EXIT_CODES, Start, cluster_file, node, processes, slow};
use crate::check::linearizability::Start as Beginning;
use crate::cluster::{self, Cluster, Notice, Residents};
use crate::config::{Settings, commented_defaults};
use crate::console::executor::{Console, Context};
use crate::console::narrator::Narrator;
use crate::console::options::{self, SettingOptions};
use crate::console::printer::{ColorChoice, Output, Style};
use crate::console::session::{self, Ending, Source};
use crate::console::terminal;
use crate::history::HistoryFile;
use crate::interrupt::Interrupt;
use crate::lab::{Lab, Life, NodeView};
use crate::server::RoleName;
use crate::state_machine::kv::KeyValue;
use clap::Parser;

const AFTER_HELP: &str = "\
At the prompt, 'help' explains the language. Piped lines run one by one, and end at the first that fails. With --serve, a
signal is an end like any other: exit code 0.";

/// A Raft cluster on this machine, with a console to break it and watch it heal.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    version,
    max_term_width = 100,
    after_help = format!("{AFTER_HELP}\n\n{EXIT_CODES}")
)]
pub(super) struct Options {
    #[command(flatten)]
    settings: SettingOptions,
    #[command(flatten)]
    web: WebOptions,
    #[command(flatten)]
    http: HttpOptions,
    /// The folder with the nodes' state [default: states]
    #[arg(long, value_name = "DIR")]
    states: Option<PathBuf>,
    /// The folder with the nodes' log files [default: logs]
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// Starts each node as a process of its own, instead of a thread: 'kill' and 'pause --process' are for these
    #[arg(long, conflicts_with = "memory", conflicts_with = "write_config")]
    processes: bool,
    /// Records each step of each node in this new folder: 'replay DIR' makes them again
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Keeps no state on disk
    #[arg(long)]
    memory: bool,
    /// Deletes the state of earlier runs first, and says what
    #[arg(long, conflicts_with = "memory")]
    fresh: bool,
    /// Runs the lines of a file
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Writes what the data commands asked and were answered to this file, one JSON line each
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Prints each line of a script before its answer [default: where the output is a terminal]
    #[arg(long, conflicts_with = "json")]
    echo: bool,
    /// Answers with one JSON object a directive
    #[arg(long)]
    json: bool,
    /// Stays up after the last line, until Ctrl-C or SIGTERM
    #[arg(long)]
    serve: bool,
    /// Continues after a directive that failed
    #[arg(long)]
    keep_going: bool,
    /// Reads settings from a TOML file; options go over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Prints the settings with their defaults and what they mean
    #[arg(long)]
    print_config: bool,
    /// Writes the file of a cluster in which each node is a process (see 'node --help'), and ends
    #[arg(long, value_name = "FILE")]
    write_config: Option<PathBuf>,
    /// Multiplies all times: above 1 to watch slowly
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    time_scale: Option<f64>,
    /// Runs so slowly that each message can be followed, and tells of each: all times are 20 times as long (--time-scale
    /// says otherwise), messages take a while
    #[arg(long, conflicts_with = "express")]
    slow: bool,
    /// Skips the router thread on links without faults (faster)
    #[arg(long)]
    express: bool,
    /// When to use colors
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: ColorChoice,
}

pub fn main(start: &Start) -> ExitCode {
    // So it starts the nodes of '--processes'.
    if let Some((first, rest)) = start.arguments().split_first()
        && first == "node"
    {
        return node::main(&Start::part("node", rest.to_vec()));
    }
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    if options.print_config {
        Output::standard(Style::default()).progress(commented_defaults().trim_end());
        return ExitCode::SUCCESS;
    }
    if let Some(path) = &options.write_config {
        return write_config(path, &options);
    }
    match run(start, &options) {
        Ok(code) => ExitCode::from(code),
        Err((text, code)) => {
            Output::standard(Style::default()).warn(&format!("error: {text}"));
            ExitCode::from(code)
        }
    }
}

fn write_config(path: &Path, options: &Options) -> ExitCode {
    let output = Output::standard(Style::default());
    let written = settings(options).and_then(|settings| {
        if settings.memory {
            return Err(
                "a node that is a process keeps its state on disk: leave out --memory, and memory = true"
                    .to_string(),
            );
        }
        cluster_file::write(path, Settings { seed: options.settings.seed, ..settings })
    });
    match written {
        Ok(lines) => {
            output.progress(&lines);
            ExitCode::SUCCESS
        }
        Err(text) => {
            output.warn(&format!("error: {text}"));
            ExitCode::from(options::USAGE)
        }
    }
}

fn run(start: &Start, options: &Options) -> Result<u8, (String, u8)> {
    let usage = |text: String| (text, options::USAGE);
    let settings = settings(options).map_err(usage)?;
    let source = Source::choose(options.script.clone());
    source.check().map_err(usage)?;
    options.web.check(&source, options.serve).map_err(usage)?;
    let attended = source == Source::Terminal;
    let style = Style {
        json: options.json,
        color: (attended && options.color.resolve()) || options.color == ColorChoice::Always,
        transcript: false,
        echo: options.echo || std::io::stdout().is_terminal(),
    };
    let output = Output::standard(style);
    let narrator = Narrator::queued(output.clone());
    let interrupt = Arc::new(Interrupt::new());
    session::heed_signals(&interrupt).map_err(usage)?;
    let history = options.history.as_deref();
    history.map_or(Ok(()), HistoryFile::probe).map_err(usage)?;
    if options.fresh {
        let wiped = cluster::wipe(&settings.states).map_err(|error| usage(error.to_string()))?;
        for line in &wiped {
            output.warn(line);
        }
    }
    let door = options.http.open().map_err(usage)?;
    let stage = Stage { start, options, settings, source, output, narrator, interrupt };
    let ending = if options.processes { stage.on_processes(door) } else { stage.on_threads(door) };
    ending.map(Ending::code).map_err(usage)
}

/// All that a session needs beside its cluster.
struct Stage<'a> {
    start: &'a Start,
    options: &'a Options,
    settings: Settings,
    source: Source,
    output: Output,
    narrator: Narrator,
    interrupt: Arc<Interrupt>,
}

impl Stage<'_> {
    fn on_threads(&self, door: OpenDoor) -> Result<Ending, String> {
        let told = self.narrator.clone();
        let builder =
            Cluster::builder().settings(self.settings.clone()).observer(move |event| told.observe(event));
        let builder = match &self.options.record {
            Some(folder) => builder.record(folder),
            None => builder,
        };
        let started = match options::log_as_asked() {
            Some(filter) => builder.log_filter(filter).start(),
            None => builder.start(),
        };
        let mut cluster = started.map_err(|error| error.to_string())?;
        let raised = Arc::clone(&self.interrupt);
        cluster.set_interrupt(move || raised.is_raised(), self.interrupt.receiver().clone());
        let mut notices = self.shown(cluster.notices());
        notices.extend(door.line());
        if door.is_there() {
            cluster.let_others_write();
        }
        let gateway = door.serve(|| Ok(http::of_threads(&cluster)))?;
        let (ending, cluster) = self.converse(cluster, notices)?;
        gateway.close();
        cluster.take_log_notices().iter().for_each(|notice| self.output.warn(notice));
        cluster.shutdown();
        Ok(ending)
    }

    fn on_processes(&self, door: OpenDoor) -> Result<Ending, String> {
        let _ = options::log_as_asked();
        let program = self.start.node_program().map_err(|error| error.to_string())?;
        let residents = Residents::of::<KeyValue>(&self.settings).map_err(|error| error.to_string())?;
        let mut notices = self.shown(&residents.notices);
        let supervisor = processes::start(program, residents, &self.settings, &self.output, &self.interrupt)?;
        notices.push(processes::place(self.start, &self.settings));
        let mut lab = processes::lab(supervisor, self.narrator.observer(), &self.interrupt)?;
        if let Some(folder) = &self.options.record {
            lab.record(folder, u64::MAX).map_err(|error| error.to_string())?;
        }
        notices.extend(door.line());
        let gateway = door.serve(|| Ok(http::of_processes(&lab)))?;
        let (ending, lab) = self.converse(lab, notices)?;
        gateway.close();
        lab.leave();
        processes::forget(&self.settings);
        Ok(ending)
    }

    /// What the files hold otherwise than was asked. Without a number there is nothing to explain.
    fn shown(&self, notices: &[Notice]) -> Vec<String> {
        let asked = self.options.settings.nodes.given().is_ok_and(|given| given.is_some());
        let shown = notices.iter().filter(|notice| asked || !matches!(notice, Notice::Nodes { .. }));
        shown.map(ToString::to_string).collect()
    }

    /// Runs the session on this cluster.
    fn converse<L: Lab + 'static>(&self, lab: L, notices: Vec<String>) -> Result<(Ending, L), String> {
        let Stage { start, options, settings, source, output, narrator, interrupt } = self;
        let attended = *source == Source::Terminal;
        let new_history = |path| HistoryFile::create(path, |warning| output.warn(warning));
        let mut history = options.history.as_deref().map(new_history).transpose()?;
        if let Some(file) = &mut history {
            file.begin(lab.began_with())?;
        }
        let is_new = lab.began_with() == Beginning::Absent;
        let again = again(start, options, settings, is_new);
        let context = Context {
            client_timeout: settings.client_timeout.mul_f64(settings.time_scale),
            keep_going: options.keep_going,
            columns: attended.then(terminal::columns),
            attended,
            logs: Some(settings.logs.clone()),
            again: options.script.is_none().then(|| again.clone()),
            interrupt: Some(Arc::clone(interrupt)),
            window: options.web.session(narrator, interrupt, false),
        };
        let mut console = Console::new(lab, context, output.clone(), narrator.clone());
        if let Some(file) = history {
            console.record_to(file);
        }
        let window = options.web.open(&mut console)?;
        welcome(&mut console, &again, options, settings, notices, window.line());
        if attended {
            console.open_session();
            // So that the first prompt names the leader. Without one it is shown all the same.
            await_leader(console.lab_mut());
        }
        let ending = session::run(&mut console, source, options.serve, interrupt);
        window.close();
        Ok((ending, console.into_lab()))
    }
}

fn welcome(
    console: &mut Console,
    again: &str,
    options: &Options,
    settings: &Settings,
    notices: Vec<String>,
    window: Option<String>,
) {
    let mut lines = banner(again, options, settings);
    lines.splice(..0, notices);
    if options.slow {
        lines.push(slow::begin(console, settings.time_scale));
    }
    lines.extend(window);
    session::greet(console, &lines);
}

fn await_leader(lab: &mut dyn Lab) {
    let until = lab.now() + FIRST_ELECTION;
    let leads = |view: NodeView| view.life == Life::Up && view.status.role == RoleName::Leader;
    while !lab.nodes().into_iter().any(|node| leads(lab.view(node)))
        && lab.now() < until
        && !lab.interrupted()
    {
        lab.wait(until);
    }
}

/// How long the first prompt waits for a leader.
const FIRST_ELECTION: Duration = Duration::from_secs(1);

/// Defaults, then the file, then the options; then the rules.
fn settings(options: &Options) -> Result<Settings, String> {
    let mut settings = options.settings.over(options::settings_of(options.config.as_deref())?)?;
    settings.states = options.states.clone().unwrap_or(settings.states);
    settings.logs = options.logs.clone().unwrap_or(settings.logs);
    settings.memory |= options.memory;
    settings.express |= options.express;
    let scale = if options.slow { slow::FACTOR } else { settings.time_scale };
    settings.time_scale = options.time_scale.unwrap_or(scale);
    settings.seed = settings.seed.or_else(|| Some(options::fresh_seed()));
    settings.validate().map_err(|error| error.to_string())?;
    Ok(settings)
}

/// The command that starts the same run. One that began on new files begins on new ones again.
fn again(start: &Start, options: &Options, settings: &Settings, is_new: bool) -> String {
    let drawn = settings.seed.filter(|_| options.settings.seed.is_none());
    let fresh = (is_new && !settings.memory && !options.fresh).then(|| "--fresh".to_string());
    let added: Vec<String> = drawn.map(|seed| format!("--seed {seed}")).into_iter().chain(fresh).collect();
    start.again(&added)
}

fn banner(again: &str, options: &Options, settings: &Settings) -> Vec<String> {
    let logs = settings.logs.display();
    let place = if settings.memory {
        format!("state in memory only, logs in {logs}")
    } else {
        format!("state in {}, logs in {logs}", settings.states.display())
    };
    let seed = settings.seed.unwrap_or_default();
    let mut lines =
        vec![place, format!("seed {seed}: this run's random timeouts and faults. Again: {again}")];
    if std::io::stdin().is_terminal() && options.script.is_none() {
        lines.push("try: status, create x 1, crash leader, help".to_string());
    }
    lines
}
