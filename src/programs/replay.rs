//! `replay DIR`: makes the steps of a recorded run again, says where they came out otherwise, and lets a person look at any
//! moment of the run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use super::web::WebOptions;
use super::{EXIT_CODES, Start};
use crate::console::executor::{Console, Context};
use crate::console::language::Answer;
use crate::console::narrator::{EventFilter, Narrator};
use crate::console::options;
use crate::console::printer::{ColorChoice, Output, Style};
use crate::console::progress::Progress;
use crate::console::session::{self, Source};
use crate::console::terminal;
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::recording::Recording;
use crate::sim::{ReplayReport, Simulation};
use crate::text::counted;
use crate::types::Time;

/// Differences that are shown; those that follow are mostly owed to them.
const SHOWN_MAX: usize = 5;

/// A run that 'record' wrote is made again, step by step, and each step is compared with what came of it then. At the prompt
/// 'rewind', 'step' and 'step back' go to any moment of it, 'status', 'log', 'why' and the like look at it, and 'fork' continues
/// from there.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Options {
    /// The folder of the recording
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    web: WebOptions,
    /// Replays a recording of another version, until the first difference
    #[arg(long = "try")]
    any_version: bool,
    /// Runs the lines of a file; - reads standard input
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Answers with one JSON object a directive
    #[arg(long)]
    json: bool,
    /// Stays up after the last line, for the window, until Ctrl-C or SIGTERM
    #[arg(long, requires = "web")]
    serve: bool,
    /// Narrates everything but heartbeats
    #[arg(long)]
    events: bool,
    /// When to use colors
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: ColorChoice,
}

pub fn main(start: &Start) -> ExitCode {
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    match run(&options) {
        Ok(code) => ExitCode::from(code),
        Err(text) => {
            Output::standard(Style::default()).warn(&format!("error: {text}"));
            ExitCode::from(options::USAGE)
        }
    }
}

fn run(options: &Options) -> Result<u8, String> {
    let source = Source::choose(options.script.clone());
    source.check()?;
    options.web.check(&source, options.serve)?;
    let interrupt = Arc::new(Interrupt::new());
    session::heed_signals(&interrupt)?;
    let recording =
        Recording::open(&options.folder, options.any_version).map_err(|error| error.to_string())?;
    let attended = source == Source::Terminal;
    let color = options.color == ColorChoice::Always || (attended && options.color.resolve());
    let style = Style { json: options.json, color, transcript: !attended, echo: attended };
    let output = Output::standard(style);
    let narrator = Narrator::direct(output.clone());
    narrator.set_filter(if options.events { EventFilter::All } else { EventFilter::Off });
    let mut console = console(options, &recording, output, &narrator, &interrupt, attended)?;
    let window = options.web.open(&mut console)?;

    let code = replay(&mut console, &recording, options.any_version);
    narrator.set_filter(if options.events { EventFilter::All } else { EventFilter::On });
    if let Some(line) = window.line() {
        console.output().warn(&line);
    }
    if attended {
        let line = "the run stands at its end: 'rewind', 'step back' and 'step' move in it, 'fork' continues from there";
        session::greet(&mut console, &[line.to_string()]);
    }
    let ending = session::run(&mut console, &source, options.serve, &interrupt).code();
    window.close();
    Ok(if ending == 0 { code } else { ending })
}

/// Replays all of it, and says what came of it.
fn replay(console: &mut Console<Simulation>, recording: &Recording, until_difference: bool) -> u8 {
    let mut progress = Progress::begin(console.output().clone());
    let simulation = console.lab_mut();
    let total = recording.steps();
    let mut look = |report: &ReplayReport| progress.show(|| format!("{} of {total} steps", report.steps));
    let mut taken: u64 = 0;
    while !simulation.interrupted() && simulation.advance(recording.end()) {
        taken += 1;
        if taken.is_multiple_of(4_096) {
            let report = simulation.replay_report().expect("it follows a recording");
            look(&report);
            if until_difference && !report.differences.is_empty() {
                break;
            }
        }
    }
    let report = simulation.replay_report().expect("it follows a recording");
    drop(progress);
    let differences = report.differences.len();
    for difference in report.differences.iter().take(SHOWN_MAX) {
        console.output().answer(&Answer::failed("replay", difference.to_string()));
    }
    if let Some(damage) = &report.damage {
        console.output().answer(&Answer::failed("replay", damage));
    }
    let nodes = counted(recording.nodes().len(), "node");
    let seconds = recording.end().since(Time::ZERO).as_secs_f64();
    let outcome = match differences {
        0 => "each came out as it was recorded".to_string(),
        count => format!("{} came out otherwise", counted(count, "step")),
    };
    let skipped = match report.skipped {
        0 => String::new(),
        count => format!("; {count} behind gaps were not"),
    };
    let steps = report.steps;
    let text = format!("{steps} steps of {nodes} until {seconds:.3} s were made again: {outcome}{skipped}");
    let is_fine = differences == 0 && report.damage.is_none();
    let answer = if is_fine { Answer::ok("replay", text) } else { Answer::failed("replay", text) };
    let answer = answer.with("steps", report.steps).with("skipped", report.skipped);
    console.output().answer(&answer.with("differences", differences).with("bytes", recording.bytes()));
    u8::from(!is_fine)
}

fn console(
    options: &Options,
    recording: &Recording,
    output: Output,
    narrator: &Narrator,
    interrupt: &Arc<Interrupt>,
    attended: bool,
) -> Result<Console<Simulation>, String> {
    let followed = Simulation::following(recording.clone(), Some(narrator.observer()));
    let mut simulation = followed.map_err(|error| error.to_string())?;
    let raised = Arc::clone(interrupt);
    simulation.set_interrupt(Box::new(move || raised.is_raised()));
    let waker = Arc::clone(interrupt);
    simulation.set_pace(Box::new(move |pause| waker.pause(pause)));
    let context = Context {
        client_timeout: crate::config::Settings::default().client_timeout,
        keep_going: false,
        columns: attended.then(terminal::columns),
        attended,
        logs: None,
        again: None,
        interrupt: Some(Arc::clone(interrupt)),
        window: options.web.session(narrator, interrupt, true),
    };
    Ok(Console::new(simulation, context, output, narrator.clone()))
}
