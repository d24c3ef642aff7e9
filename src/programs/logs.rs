//! `logs`: what the nodes wrote, read from their files alone, while a cluster runs or after: their log files merged by
//! time, or with `logs matrix` their logs of entries as a picture.
//!
//! A viewer takes no lock, writes nothing, and shows nothing that is half-written.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::Start;
use crate::console::glimpses::glimpses;
use crate::console::matrix::Frame;
use crate::console::options;
use crate::console::printer::{ColorChoice, Output, Style};
use crate::console::session::{self, Ending};
use crate::console::terminal;
use crate::interrupt::Interrupt;
use crate::text::painted;
use crate::trace::{LogLine, merge};
use crate::types::{NODES_MAX, NodeId};
use clap::{Args, Parser, Subcommand};

/// How often a viewer that follows looks again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Lines that are written at once.
const LINES_AT_ONCE: usize = 512;

/// Shows the nodes' log files as one, by time.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    after_help = "Exit code 0: all well; 2: wrong usage, or no such files; 130: --follow was interrupted."
)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<View>,
    #[command(flatten)]
    lines: Lines,
}

#[derive(Args)]
struct Lines {
    /// The nodes [default: all]
    nodes: Vec<NodeId>,
    /// The folder with the nodes' log files
    #[arg(long, value_name = "DIR", default_value = "logs")]
    logs: PathBuf,
    #[command(flatten)]
    both: Both,
}

#[derive(Subcommand)]
enum View {
    /// Shows the nodes' logs of entries as a picture: a row a node, the term of each entry in a cell
    #[command(
        max_term_width = 100,
        after_help = "Read from the state files alone. What is committed is not on disk, so the picture does not show it; what a \
                      snapshot covers (s) was committed. Behind the cells: term, vote, snapshot, and where the log begins."
    )]
    Matrix {
        /// The nodes [default: all]
        nodes: Vec<NodeId>,
        /// The folder with the nodes' state
        #[arg(long, value_name = "DIR", default_value = "states")]
        states: PathBuf,
        /// How many of the last entries [default: as many as fit the terminal, else 20]
        #[arg(long, value_name = "N", value_parser = window)]
        window: Option<usize>,
        #[command(flatten)]
        both: Both,
    },
}

#[derive(Args)]
struct Both {
    /// Also shows what is added later, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// When to use colors
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: ColorChoice,
}

pub fn main(start: &Start) -> ExitCode {
    let output = Output::standard(Style::default());
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let interrupt = Arc::new(Interrupt::new());
    let ending = session::heed_signals(&interrupt).and_then(|()| match &options.command {
        None => show_lines(&options.lines, &output, &interrupt),
        Some(View::Matrix { nodes, states, window, both }) => {
            show_matrix(states, nodes, *window, both, &output, &interrupt)
        }
    });
    match ending {
        Ok(ending) => ExitCode::from(ending.code()),
        Err(text) => {
            output.warn(&format!("error: {text}"));
            ExitCode::from(options::USAGE)
        }
    }
}

/// The lines of all logs by time; with `--follow`, those to come too.
fn show_lines(options: &Lines, output: &Output, interrupt: &Interrupt) -> Result<Ending, String> {
    let Lines { nodes, logs, both } = options;
    let wanted = if nodes.is_empty() { NodeId::first(NODES_MAX) } else { nodes.clone() };
    let mut merged = merge(logs, &wanted).map_err(|error| error.to_string())?;
    let found = merged.found();
    let missing = nodes.iter().find(|node| !found.contains(node));
    let nothing = match missing {
        Some(node) => Some(format!("{} holds no log of {node}", logs.display())),
        None if found.is_empty() => Some(format!("{} holds no node's log", logs.display())),
        None => None,
    };
    match nothing {
        Some(nothing) if both.follow => output.warn(&format!("{nothing} yet")),
        Some(nothing) => return Err(format!("{nothing}: --logs names the folder")),
        None => {}
    }
    let color = both.color.resolve();
    loop {
        let lines: Vec<LogLine> = merged.by_ref().take(LINES_AT_ONCE).collect();
        show(&lines, color, output);
        if lines.is_empty() || output.is_gone() || interrupt.is_raised() {
            break;
        }
    }
    if !both.follow {
        return Ok(if interrupt.is_raised() { Ending::Interrupted } else { Ending::Fine });
    }
    let mut following = merged.follow();
    let ending = look_again_and_again(interrupt, output, || show(&following.look(), color, output));
    show(&following.rest(), color, output);
    Ok(ending)
}

/// The picture; with `--follow`, drawn again after each change.
fn show_matrix(
    states: &Path,
    nodes: &[NodeId],
    window: Option<usize>,
    both: &Both,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Ending, String> {
    let attended = std::io::stdout().is_terminal();
    let color = both.color.resolve();
    let draw = || {
        let frame = Frame { last: window, columns: attended.then(terminal::columns), color };
        glimpses(states, nodes, frame.entries()).map(|glimpses| glimpses.draw(frame))
    };
    if !both.follow {
        output.progress(&draw()?);
        return Ok(Ending::Fine);
    }
    let drawing = output.drawing();
    let mut shown = String::new();
    let ending = look_again_and_again(interrupt, output, || {
        let picture = draw().unwrap_or_else(|reason| {
            // There may be nothing to see yet, or for a while: a cluster that is made afresh.
            if reason != shown {
                output.warn(&reason);
            }
            shown = reason;
            shown.clone()
        });
        if picture != shown {
            match &drawing {
                Some(drawing) => drawing.show(&picture),
                None if shown.is_empty() => output.progress(&picture),
                None => output.progress(&format!("\n{picture}")),
            }
            shown = picture;
        }
    });
    Ok(ending)
}

/// Looks until a signal comes or the output has no reader.
fn look_again_and_again(interrupt: &Interrupt, output: &Output, mut look: impl FnMut()) -> Ending {
    loop {
        look();
        if output.is_gone() {
            return Ending::Fine;
        }
        // A pause that is cut short is what an interrupt wants.
        let _ = interrupt.receiver().recv_timeout(LOOK_EVERY);
        if interrupt.is_raised() {
            return Ending::Interrupted;
        }
    }
}

fn show(lines: &[LogLine], color: bool, output: &Output) {
    if !lines.is_empty() {
        let text: Vec<String> = lines.iter().map(|line| line_painted(line, color)).collect();
        output.progress(&text.join("\n"));
    }
}

/// A line, its time dim and its level in a color if it is a warning or worse.
fn line_painted(line: &LogLine, color: bool) -> String {
    if !color {
        return line.to_string();
    }
    let LogLine { node, time, text } = line;
    let (level, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
    let text = match level {
        "ERROR" => painted(level, "31") + rest,
        "WARN" => painted(level, "33") + rest,
        _ => text.clone(),
    };
    format!("{} {} {text}", painted(time, "2"), painted(node, "1"))
}

fn window(text: &str) -> Result<usize, String> {
    const MOST: usize = 10_000;
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("a window has 1 to {MOST} entries: try 20")),
    }
}
