//! How long the linearizability check takes: 10,000 operations on 10 keys, in the forms that are hard for it.
//!
//! `cargo bench --bench linearizability` prints a row for each form. Nothing here fails when a machine is slow.

#![expect(clippy::print_stdout, reason = "it is a program that prints a table")]

use std::time::{Duration, Instant};

use raftlab::check::history::{Operation, Outcome};
use raftlab::check::linearizability::{Start, Verdict, check};

#[path = "../tests/linearizability/generate.rs"]
#[expect(dead_code, reason = "the tests plant more than the table does")]
mod generate;

use generate::{Fault, Plan};

/// What each history has.
const OPERATIONS: u64 = 10_000;
const KEYS: u64 = 10;
/// How often each is judged, so that one slow turn of the machine does not count.
const TURNS: u32 = 5;
/// What takes longer counts as undecided.
const LONGEST: Duration = Duration::from_secs(30);
/// Where a fault near the end may be at the earliest.
const NEAR_THE_END: usize = 9_500;

fn main() {
    println!("{OPERATIONS} operations on {KEYS} keys: the fastest of {TURNS} turns");
    println!("{:<42} {:>8} {:>10}  verdict", "history", "clients", "time");
    for clients in [10, 100, 400] {
        let history = Plan::new(1, clients, KEYS, OPERATIONS).execute();
        row("with the log's indexes", clients, Start::Absent, &history);
        row("without indexes", clients, Start::Absent, &without_indexes(&history));
        row("without indexes, unknown start", clients, Start::Unknown, &without_indexes(&history));
        for fault in [Fault::StaleRead, Fault::LostWrite, Fault::AppliedTwice, Fault::DeleteUndone] {
            // Where many clients overlap, no three operations follow one another, and the fault has no place.
            let planted = Plan::new(1, clients, KEYS, OPERATIONS).execute_late(fault, NEAR_THE_END);
            if let Some((history, _)) = planted {
                let name = format!("without indexes, {fault:?} at the end");
                row(&name, clients, Start::Absent, &without_indexes(&history));
            }
        }
        row("without indexes, an old read at the end", clients, Start::Absent, &with_old_read(&history));
    }
}

fn row(name: &str, clients: u64, start: Start, history: &[Operation]) {
    let mut fastest = Duration::MAX;
    let mut verdict = String::new();
    for _ in 0..TURNS {
        let begun = Instant::now();
        let judged = check(start, history, || begun.elapsed() < LONGEST);
        fastest = fastest.min(begun.elapsed());
        verdict = match judged {
            Verdict::Linearizable => "linearizable".to_string(),
            Verdict::Violation(violation) => format!("violation at {}", violation.operation),
            Verdict::Undecided { .. } => "undecided".to_string(),
        };
        if fastest > LONGEST / 2 {
            break;
        }
    }
    println!("{name:<42} {clients:>8} {:>7.1} ms  {verdict}", fastest.as_secs_f64() * 1_000.0);
}

/// The last read finds what another one found in the middle.
fn with_old_read(history: &[Operation]) -> Vec<Operation> {
    let mut history = without_indexes(history);
    let finds = |operation: &Operation| matches!(operation.outcome, Outcome::Found(Some(_)));
    let last = history.iter().rposition(finds).expect("reads are common");
    let middle = &history[..history.len() / 2];
    let old = middle.iter().rev().find(|old| finds(old) && old.key == history[last].key);
    history[last].outcome = old.expect("each key is read early").outcome.clone();
    history
}

/// Only the search can judge these.
fn without_indexes(history: &[Operation]) -> Vec<Operation> {
    history.iter().cloned().map(|operation| Operation { index: None, ..operation }).collect()
}
