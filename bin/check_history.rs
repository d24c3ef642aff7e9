//! `check_history FILE`: judges a file of client operations, one JSON line each, by linearizability.
//!
//! Exit code 0: linearizable; 1: not, and the first operation that contradicts is named with its line; 2: wrong
//! arguments or a line that cannot be read; 3: undecided in the time allowed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use raftlab::check::history::{self, Reading};
use raftlab::check::linearizability::{self, Verdict};
use raftlab::console::options;
use raftlab::console::printer::{Output, Style};

/// The exit code of an open verdict.
const UNDECIDED: u8 = 3;

/// What a history is.
const HISTORY: &str = "\
A history has one JSON line for each operation, however often it was sent: client (one operation at a time, none after
an unknown outcome), key, op (create, read, update, delete, put, cas), value, expected (cas), call_ns, return_ns, ok
(true; false with error: not_found, exists, mismatch, refused; null: unknown), result (what a read found, null when
absent; what a cas found instead), index (in the log, where known). A first line {\"start\":\"unknown\"} says that the keys
may have held anything before. 'cluster --history FILE' and 'simulate --history FILE' write one.";

/// Judges whether a history of client operations is linearizable.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = HISTORY)]
struct Options {
    /// The history: one JSON line for each operation
    #[arg(value_name = "FILE", value_parser = options::path)]
    file: PathBuf,
    /// Gives up after this time
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

fn main() -> ExitCode {
    let output = Output::standard(Style::default());
    let code = match Options::try_parse() {
        Ok(options) => match read(&options.file) {
            Ok(history) => judge(&options, &history, &output),
            Err(text) => {
                output.warn(&format!("error: {text}"));
                options::USAGE
            }
        },
        Err(error) => options::refuse(&error),
    };
    ExitCode::from(code)
}

/// What a file holds.
fn read(path: &Path) -> Result<Reading, String> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    history::read(&text).map_err(|(number, error)| format!("{}:{number}: {error}", path.display()))
}

fn judge(options: &Options, history: &Reading, output: &Output) -> u8 {
    let file = options.file.display();
    if let Some(line) = history.torn {
        output.warn(&format!("{file}:{line}: cut off in the middle of a line, which is left out"));
    }
    let operations = &history.operations;
    let begun = Instant::now();
    let verdict = linearizability::check(history.start, operations, || begun.elapsed() < options.timeout);
    let took = format!("in {:.2} s", begun.elapsed().as_secs_f64());
    match verdict {
        Verdict::Linearizable => {
            let keys = linearizability::keys(operations).len();
            let (count, keys) = (counted(operations.len(), "operation"), counted(keys, "key"));
            output.progress(&format!("PASS {count} on {keys} are linearizable; judged {took}"));
            0
        }
        Verdict::Violation(violation) => {
            let (line, explanation) = (history.lines[violation.operation], violation.explanation);
            if history.torn.is_some() {
                let doubt = "what was cut off may explain it";
                output.progress(&format!("UNDECIDED {file}:{line}: {explanation}; {doubt}"));
                return UNDECIDED;
            }
            output.progress(&format!("FAIL {file}:{line}: {explanation}"));
            1
        }
        Verdict::Undecided { key } => {
            output
                .progress(&format!("UNDECIDED {key}: no order was found in time; allow more with --timeout"));
            UNDECIDED
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
