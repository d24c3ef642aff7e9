//! `check_history FILE`: judges a file of client operations, one JSON line each, by linearizability.
//!
//! Exit code 0: linearizable; 1: not, and the first operation that contradicts is named with its line; 2: wrong
//! arguments or a line that cannot be read; 3: undecided in the time allowed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use raftlab::check::history::Operation;
use raftlab::check::linearizability::{self, Start, Verdict};
use raftlab::console::options;
use raftlab::console::printer::{Output, Style};

/// The exit code of an open verdict.
const UNDECIDED: u8 = 3;

/// Judges whether a history of client operations is linearizable.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
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
        Err(error) => {
            let (text, code) = options::refusal(&error);
            match code {
                0 => output.progress(&text),
                _ => output.warn(&text),
            }
            code
        }
    };
    ExitCode::from(code)
}

/// The operations of a file, each with the number of its line. Empty lines count and say nothing.
fn read(path: &Path) -> Result<Vec<(usize, Operation)>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| match Operation::from_line(line) {
            Ok(operation) => Ok((number, operation)),
            Err(error) => Err(format!("{}:{number}: {error}", path.display())),
        })
        .collect()
}

fn judge(options: &Options, history: &[(usize, Operation)], output: &Output) -> u8 {
    let operations: Vec<Operation> = history.iter().map(|(_, operation)| operation.clone()).collect();
    let begun = Instant::now();
    match linearizability::check(Start::Absent, &operations, || begun.elapsed() < options.timeout) {
        Verdict::Linearizable => {
            let keys: BTreeSet<&str> = operations.iter().map(|operation| operation.key.as_str()).collect();
            let (count, keys) = (counted(operations.len(), "operation"), counted(keys.len(), "key"));
            output.progress(&format!("PASS {count} on {keys} are linearizable"));
            0
        }
        Verdict::Violation(violation) => {
            let (line, _) = &history[violation.operation];
            output.progress(&format!("FAIL {}:{line}: {}", options.file.display(), violation.explanation));
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
