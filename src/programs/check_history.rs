//! `check_history FILE`: judges a file of client operations, one JSON line each, by linearizability.
//!
//! Exit code 0: linearizable; 1: not, and the first operation that contradicts is named with its line; 2: wrong
//! arguments, a line that cannot be read, or a client that breaks its rule; 3: inconclusive, since the time or memory
//! allowed was used up, or since no operation succeeded.

mod records;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::Start;
use crate::check::history::{Operation, Outcome, Reader, Reading};
use crate::check::linearizability::{self, Limit, MEMORY_MAX, Verdict};
use crate::console::options;
use crate::console::printer::{Output, Style};
use crate::quoting::{CELL_LETTERS, brief};
use crate::text::counted;
use crate::text::units::parse_duration;
use clap::Parser;

/// The exit code of an open verdict.
const UNDECIDED: u8 = 3;

/// The longest line that is read: what a console takes in a line, with each letter escaped.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// What stands for standard input.
const STDIN: &str = "-";

/// What a history is.
const HISTORY: &str = "\
A history has one JSON line for each operation, however often it was sent: client (one operation at a time, none after
an unknown outcome: it takes a new number then), key, op (create, read, update, delete, put, cas), value, expected
(cas), call_ns, return_ns, ok (true; false with error: not_found, exists, mismatch, refused; null: unknown), result
(what a read found, null when absent; what a cas found instead), index (in the log, where known). A cas, an update or a
delete of an absent key is not_found. A first line {\"start\": \"unknown\"} says that the keys may have held anything
before; a line {\"warm_up_ends_ns\": N} marks when a load's warm-up ends, and is passed over. 'cluster --history FILE',
'simulate --history FILE' and 'client_load --history FILE' write one.

Records are in the folders of nodes that run as processes (states/n1/records-0.bin). While they run, 'check' at a console
judges them. One folder that is missing leaves open what it may have shown.

Exit code 0: linearizable; 1: not; 2: not readable, or a client breaks its rule; 3: inconclusive (time or memory did
not suffice, or no operation succeeded).";

/// Judges whether a history of client operations is linearizable.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = HISTORY)]
pub(super) struct Options {
    /// The history: one JSON line for each operation; '-' is standard input
    #[arg(value_name = "FILE", required_unless_present = "records")]
    file: Option<PathBuf>,
    /// Judges instead what nodes that were processes wrote down of their steps, by the paper's properties: the folders of nodes,
    /// or folders that hold them
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["file", "timeout", "memory"])]
    records: Vec<PathBuf>,
    /// Gives up after this time
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
    /// Gives up when the search for an order would have to remember more than this, in MiB
    #[arg(long, value_name = "MIB", default_value_t = MEMORY_MAX >> 20, value_parser = mebibytes)]
    memory: usize,
}

pub fn main(start: &Start) -> ExitCode {
    let output = Output::standard(Style::default());
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let code = match judge(&options, &output) {
        Ok(code) => code,
        Err(text) => {
            output.warn(&format!("error: {text}"));
            options::USAGE
        }
    };
    ExitCode::from(code)
}

fn judge(options: &Options, output: &Output) -> Result<u8, String> {
    let Some(file) = &options.file else { return records::judge(&options.records, output) };
    let name = name(file);
    Ok(judge_history(options, &name, &read(file, &name)?, output))
}

/// How a file is called in messages.
fn name(path: &Path) -> String {
    if path == Path::new(STDIN) { "standard input".to_string() } else { path.display().to_string() }
}

/// What a file holds.
fn read(path: &Path, name: &str) -> Result<Reading, String> {
    let cannot = |error: io::Error| format!("{name}: {error}");
    let source: Box<dyn Read> = if path == Path::new(STDIN) {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(cannot)?)
    };
    let wrong = |(number, error)| format!("{name}:{number}: {error}");
    let (mut source, mut reader, mut line) = (BufReader::new(source), Reader::default(), Vec::new());
    loop {
        line.clear();
        let read = source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(cannot)?;
        if read == 0 {
            return reader.end().map_err(wrong);
        }
        if read as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            let number = reader.lines() + 1;
            return Err(format!("{name}:{number}: a line has at most {} MiB", LINE_BYTES_MAX >> 20));
        }
        reader.take(&line).map_err(wrong)?;
    }
}

fn judge_history(options: &Options, name: &str, history: &Reading, output: &Output) -> u8 {
    if let Some(line) = history.torn {
        output.warn(&format!("{name}:{line}: cut off in the middle of a line, which is left out"));
    }
    let operations = &history.operations;
    let begun = Instant::now();
    let in_time = || begun.elapsed() < options.timeout;
    let verdict = linearizability::check_within(options.memory << 20, history.start, operations, in_time);
    let (text, code) = match verdict {
        Verdict::Linearizable => match nothing_shown(operations) {
            Some(why) => (format!("UNDECIDED {name}: {why}"), UNDECIDED),
            None => (passed(operations, begun.elapsed()), 0),
        },
        Verdict::Violation(violation) => {
            let (line, explanation) = (history.lines[violation.operation], violation.explanation);
            if history.torn.is_some() {
                let doubt = "what was cut off may explain it";
                (format!("UNDECIDED {name}:{line}: {explanation}; {doubt}"), UNDECIDED)
            } else {
                (format!("FAIL {name}:{line}: {explanation}"), 1)
            }
        }
        Verdict::Undecided { key, limit } => {
            let key = brief(&key, CELL_LETTERS);
            let why = match limit {
                Limit::Time => "no order was found in time; allow more with --timeout".to_string(),
                Limit::Memory => {
                    let memory = options.memory;
                    format!("no order was found in {memory} MiB of memory; allow more with --memory")
                }
            };
            (format!("UNDECIDED {key}: {why}"), UNDECIDED)
        }
    };
    output.progress(&text);
    code
}

fn passed(operations: &[Operation], took: Duration) -> String {
    let keys = linearizability::keys(operations).len();
    let (count, are) = (operations.len(), if operations.len() == 1 { "is" } else { "are" });
    let (count, keys) = (counted(count, "operation"), counted(keys, "key"));
    format!("PASS {count} on {keys} {are} linearizable; judged in {:.2} s", took.as_secs_f64())
}

/// Why a history shows nothing though nothing contradicts it, if that is so.
fn nothing_shown(operations: &[Operation]) -> Option<String> {
    if operations.is_empty() {
        return Some("the history is empty: it shows nothing".to_string());
    }
    if operations.iter().any(|operation| operation.outcome.is_success()) {
        return None;
    }
    let unknown = operations.iter().filter(|operation| operation.outcome == Outcome::Unknown).count();
    let count = counted(operations.len(), "operation");
    Some(format!("of {count} none succeeded, {unknown} with unknown outcome: such a history shows nothing"))
}

fn mebibytes(text: &str) -> Result<usize, String> {
    const MOST: usize = 1 << 20;
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("'{}' is no memory: write MiB, 1 to {MOST}", brief(text, CELL_LETTERS))),
    }
}
