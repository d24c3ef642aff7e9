//! `simulate [NODES]`: the same cluster and the same console in virtual time. A seed decides everything, so a run can
//! be repeated byte for byte.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::web::WebOptions;
use super::{EXIT_CODES, Start, slow};
use crate::console::executor::{Console, Context};
use crate::console::language::Answer;
use crate::console::museum::{self, Visit};
use crate::console::narrator::{EventFilter, Narrator};
use crate::console::options::{self, SettingOptions};
use crate::console::printer::{ColorChoice, Output, Style};
use crate::console::session::{self, Source};
use crate::console::terminal;
use crate::experiment::figure16::{self, RANGES, Range, TrialPlan};
use crate::history::HistoryFile;
use crate::interrupt::Interrupt;
use crate::page::RunPage;
use crate::page::document::may_replace;
use crate::sim::seeds::{self, Family};
use crate::sim::workload::CallCounts;
use crate::sim::{Simulation, SimulationSettings};
use crate::text::counted;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};

/// A Raft cluster in virtual time: the same seed and the same lines give the same transcript. Without a script,
/// --seed and --seeds replay random runs with faults, as the tests make them.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(version, max_term_width = 100, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub(super) struct Options {
    #[command(subcommand)]
    work: Option<Work>,
    #[command(flatten)]
    settings: SettingOptions,
    #[command(flatten)]
    web: WebOptions,
    /// Runs the lines of a file; - reads standard input
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Reads the core's settings from a TOML file; options go over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Runs the script once for each of these seeds, and shows the seeds that fail
    #[arg(long, value_name = "A..B", value_parser = options::seed_range, conflicts_with_all = ["seed", "web"])]
    seeds: Option<(u64, u64)>,
    /// Which random runs --seed and --seeds replay: of all kinds, with clients that behave badly, with a snapshot every
    /// few entries, with reads of deposed leaders, with votes that decide, with nodes that lose their files, with small
    /// tables of sessions, with slow disks, with damaged files, with leaders that hand over, or with members that change
    #[arg(long, value_name = "FAMILY", value_parser = family(), default_value = "general", conflicts_with = "script")]
    family: Family,
    /// Answers with one JSON object a directive
    #[arg(long)]
    json: bool,
    /// Writes what clients asked and were answered to this file, one JSON line each
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    history: Option<PathBuf>,
    /// Writes the run to this file at its end, as a page that needs no network: what was typed, what clients saw, the
    /// messages between nodes
    #[arg(long, value_name = "FILE.html", conflicts_with = "seeds")]
    report: Option<PathBuf>,
    /// Writes all that happens to this file, one JSON line each
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    trace: Option<PathBuf>,
    /// Opens the prompt, also with --seed
    #[arg(long, conflicts_with = "script")]
    prompt: bool,
    /// Stays up after the last line, for the window, until Ctrl-C or SIGTERM
    #[arg(long, requires = "web")]
    serve: bool,
    /// Continues after a directive that failed
    #[arg(long)]
    keep_going: bool,
    /// Narrates everything but heartbeats
    #[arg(long)]
    events: bool,
    /// Runs so slowly that each message can be followed, and tells of each
    #[arg(long, conflicts_with_all = ["events", "seeds"])]
    slow: bool,
    /// When to use colors
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: ColorChoice,
}

/// What is done beside running a cluster.
#[derive(Subcommand)]
enum Work {
    /// Repeats the paper's Figure 16: how long it takes to replace a crashed leader, by the range of election timeouts
    Figure16(TrialPlan),
    /// Shows the museum of broken rules: what each breaks, the property that caught it, and by which seed
    Museum(Visit),
}

/// A family of random runs, by its name.
fn family() -> impl TypedValueParser<Value = Family> {
    let named = |name: String| Family::ALL.into_iter().find(|family| family.name() == name);
    PossibleValuesParser::new(Family::ALL.map(Family::name))
        .map(move |name| named(name).expect("only these names pass"))
}

pub fn main(start: &Start) -> ExitCode {
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    match run(start, &options) {
        Ok(code) => ExitCode::from(code),
        Err(text) => {
            Output::standard(Style::default()).warn(&format!("error: {text}"));
            ExitCode::from(options::USAGE)
        }
    }
}

fn run(start: &Start, options: &Options) -> Result<u8, String> {
    let source = Source::choose(options.script.clone());
    source.check()?;
    options.web.check(&source, options.serve)?;
    if let Some(path) = &options.report {
        may_replace(path)?;
        options::writable(path)?;
    }
    let interrupt = Arc::new(Interrupt::new());
    session::heed_signals(&interrupt)?;
    match &options.work {
        Some(Work::Figure16(plan)) => return Ok(figure16(plan, &interrupt)),
        Some(Work::Museum(visit)) => {
            // Specimens stop themselves; the checks report it.
            std::panic::set_hook(Box::new(|_| {}));
            let output = Output::standard(Style { json: visit.json, transcript: true, ..Style::default() });
            return museum::show(visit, &output, &interrupt).map(session::Ending::code);
        }
        None => {}
    }
    match (options.seeds, options.settings.seed) {
        (Some((first, last)), _) => Ok(many(options, first, last, &interrupt)),
        (None, Some(seed)) if options.script.is_none() && !options.prompt && !options.web.is_on() => {
            replay(start, options, seed)
        }
        (None, _) => one(start, options, &interrupt),
    }
}

/// Figure 16 in virtual time.
fn figure16(plan: &TrialPlan, interrupt: &Arc<Interrupt>) -> u8 {
    let output = Output::standard(Style::default());
    let trials = plan.trials.unwrap_or(figure16::TRIALS);
    let ran = figure16::run(plan, &RANGES, trials, Range::simulate, &output, interrupt);
    ran.map_or_else(
        |failure| {
            output.warn(&format!("error: {}", failure.text));
            failure.code
        },
        session::Ending::code,
    )
}

/// A script, lines that are piped in, or a prompt.
fn one(start: &Start, options: &Options, interrupt: &Arc<Interrupt>) -> Result<u8, String> {
    let source = Source::choose(options.script.clone());
    let attended = source == Source::Terminal;
    let color = options.color == ColorChoice::Always || (attended && options.color.resolve());
    let style = Style { json: options.json, color, transcript: !attended, echo: attended };
    let output = Output::standard(style);
    let narrator = Narrator::direct(output.clone());
    let seed = options.settings.seed.unwrap_or_else(options::fresh_seed);
    let mut console = console(options, seed, output, narrator, interrupt)?;
    let history = history(options, console.output())?;
    if options.script.is_none() {
        let drawn = options.settings.seed.is_none().then(|| format!("--seed {seed}"));
        console.repeat_by(start.again_without("--prompt", drawn.as_slice()));
    }
    if let Some(file) = history {
        console.record_to(file);
    }
    if let Some(path) = &options.trace {
        if path.metadata().is_ok_and(|there| there.is_file() && there.len() > 0) {
            console
                .output()
                .warn(&format!("{} held something else, which the trace replaces", path.display()));
        }
        console.begin_trace(path)?;
    }
    let window = options.web.open(&mut console)?;
    if attended || options.settings.seed.is_none() {
        let again = start.again(&again_with(options, &source, seed));
        let lines = [
            "virtual time passes while directives run: wait, sleep, step, speed".to_string(),
            format!("seed {seed}: every random choice of this run. Again: {again}"),
        ];
        session::greet(&mut console, &lines);
    }
    if let Some(line) = window.line() {
        console.output().warn(&line);
    }
    if options.slow {
        let said = slow::begin_in_virtual_time(&mut console);
        console.output().warn(&said);
    }
    let code = session::run(&mut console, &source, options.serve, interrupt).code();
    window.close();
    let Some(path) = &options.report else { return Ok(code) };
    let written = console.write_report(path);
    Ok(after_report(written, code, console.output()))
}

/// Says what became of the report. The exit code of the run stays, unless it was fine and its report is missing.
fn after_report(written: Result<String, String>, code: u8, output: &Output) -> u8 {
    match written {
        Ok(text) => {
            output.warn(&text);
            code
        }
        Err(reason) => {
            output.warn(&format!("error: {reason}"));
            code.max(1)
        }
    }
}

/// What the command lacks that repeats a run: without a script or `--prompt`, a seed asks for a random run.
fn again_with(options: &Options, source: &Source, seed: u64) -> Vec<String> {
    let source = match source {
        Source::Terminal if !options.prompt => Some("--prompt".to_string()),
        Source::Pipe if options.script.is_none() => Some("--script -".to_string()),
        _ => None,
    };
    let seed = options.settings.seed.is_none().then(|| format!("--seed {seed}"));
    source.into_iter().chain(seed).collect()
}

/// The script, or a random run with faults, once for each seed. Only what fails is shown.
fn many(options: &Options, first: u64, last: u64, interrupt: &Arc<Interrupt>) -> u8 {
    let output = Output::standard(Style { json: options.json, ..Style::default() });
    let mut failed = Vec::new();
    for seed in first..=last {
        if interrupt.is_raised() {
            return session::Ending::Interrupted.code();
        }
        let complaint = match &options.script {
            None => seeds::run(options.family, seed).violations.join("; "),
            Some(path) => {
                let quiet = Output::memory(Style { transcript: true, ..Style::default() });
                let narrator = Narrator::direct(quiet.clone());
                match console(options, seed, quiet.clone(), narrator, interrupt) {
                    Err(reason) => reason,
                    Ok(mut console) => {
                        let source = Source::File(path.clone());
                        let ending = session::run(&mut console, &source, false, interrupt);
                        let transcript = quiet.take_transcript();
                        let why = transcript.lines().last().unwrap_or("no line was run");
                        if ending == session::Ending::Fine { String::new() } else { why.to_string() }
                    }
                }
            }
        };
        if !complaint.is_empty() {
            output
                .answer(&Answer::failed("simulate", format!("seed {seed}: {complaint}")).with("seed", seed));
            failed.push(seed);
        }
    }
    let count = last - first + 1;
    let seeds = if count == 1 { "seed" } else { "seeds" };
    let text = format!("{} of {count} {seeds} passed", count - failed.len() as u64);
    output.answer(&Answer::ok("simulate", text).with("seeds", count).with("failed", failed.clone()));
    u8::from(!failed.is_empty())
}

/// A random run with faults, told as it happens.
fn replay(start: &Start, options: &Options, seed: u64) -> Result<u8, String> {
    let color = options.color.resolve();
    let output = Output::standard(Style { json: options.json, color, transcript: true, echo: false });
    let mut history = history(options, &output)?;
    let narrator = Narrator::direct(output.clone());
    narrator.set_filter(if options.events { EventFilter::All } else { EventFilter::On });
    let observe = |simulation: &mut Simulation| simulation.set_observer(Some(narrator.observer()));
    let mut told = Vec::new();
    let report = seeds::run_recorded(options.family, seed, observe, &mut |operations| {
        if options.report.is_some() {
            told.extend_from_slice(operations);
        }
        if let Some(Err(trouble)) = history.as_mut().map(|file| file.write(operations)) {
            output.warn(&trouble);
        }
    });
    let CallCounts { answered, rejected, unknown, .. } = report.calls;
    let nodes = counted(usize::from(report.nodes), "node");
    let length = report.length.as_secs_f64();
    let calls = format!("calls: {answered} answered, {rejected} rejected, {unknown} unknown");
    let text = format!("seed {seed}: {nodes}, {length:.1} s of virtual time; {calls}");
    output.answer(&Answer::ok("simulate", text).with("seed", seed).with("nodes", report.nodes));
    for violation in &report.violations {
        output.answer(&Answer::failed("simulate", violation));
    }
    if report.violations.is_empty() {
        output.answer(&Answer::ok("simulate", "PASS every property held"));
    }
    let code = u8::from(!report.violations.is_empty());
    let Some(path) = &options.report else { return Ok(code) };
    let recorded = narrator.recording().recorded();
    let page = RunPage::of_seed(options.family, &report, &recorded, &told, start.again(&[])).html();
    let written = std::fs::write(path, page).map_err(|error| options::cannot_write(path, &error));
    Ok(after_report(written.map(|()| format!("{} written", path.display())), code, &output))
}

/// The file for the history, if one is wanted: known to be writable before anything starts.
fn history(options: &Options, output: &Output) -> Result<Option<HistoryFile>, String> {
    let new = |path| HistoryFile::create(path, |warning| output.warn(warning));
    options.history.as_deref().map(new).transpose()
}

fn console(
    options: &Options,
    seed: u64,
    output: Output,
    narrator: Narrator,
    interrupt: &Arc<Interrupt>,
) -> Result<Console<Simulation>, String> {
    let settings = options.settings.over(options::settings_of(options.config.as_deref())?)?;
    settings.validate().map_err(|error| error.to_string())?;
    let mut simulated = SimulationSettings::new(settings.nodes, seed);
    simulated.preferred = settings.preferred;
    simulated.raft = settings.raft;
    if options.events {
        narrator.set_filter(EventFilter::All);
    }
    let mut simulation = Simulation::new(simulated, Some(narrator.observer()));
    let raised = Arc::clone(interrupt);
    simulation.set_interrupt(Box::new(move || raised.is_raised()));
    let waker = Arc::clone(interrupt);
    simulation.set_pace(Box::new(move |pause| waker.pause(pause)));
    let window = options.web.session(&narrator, interrupt, true);
    let attended = options.script.is_none() && Source::choose(None) == Source::Terminal;
    let context = Context {
        client_timeout: settings.client_timeout,
        keep_going: options.keep_going,
        columns: attended.then(terminal::columns),
        attended,
        logs: None,
        again: None,
        interrupt: Some(Arc::clone(interrupt)),
        window,
    };
    Ok(Console::new(simulation, context, output, narrator))
}
