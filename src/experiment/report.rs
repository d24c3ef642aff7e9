//! The report of a run: for people, and as JSON.

use std::fmt;

use serde::Serialize;

use super::expectation::Judgment;
use crate::load::{Summary, figures_shown, note_shown};
use crate::page::Origin;
use crate::text::layout::{Align, table};
use crate::text::numbers::seconds_shown;
use crate::text::shorten_to;
use crate::trace::Recorded;

/// What stands above the outages behind what was done.
pub(super) const OUTAGE_HEAD: [&str; 3] = ["at", "outage", "what was done"];

/// Letters of a directive in a line of a terminal.
const DIRECTIVE_LETTERS: usize = 56;

/// Everything that is known of a run. Times are in seconds since the measured time began, latencies in microseconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Report {
    pub v: u8,
    pub command: String,
    /// The run in a line: how many nodes, where they keep their state, which calls.
    pub setup: String,
    pub nodes: u8,
    pub memory: bool,
    #[serde(flatten)]
    pub load: Summary,
    /// Syncs of all nodes for an operation; none in memory.
    pub syncs_per_operation: Option<f64>,
    /// Messages of nodes and clients for an operation.
    pub messages_per_operation: Option<f64>,
    /// The processor's time of this process while it was counted, clients and check included.
    pub cpu_seconds: Option<f64>,
    pub memory_max_bytes: Option<u64>,
    /// The directives that were executed, with their answers.
    pub faults: Vec<FaultReport>,
    pub leaders: Vec<LeaderReport>,
    pub verdict: VerdictReport,
    pub expectations: Vec<Judgment>,
    /// What a reader has to know beside the figures.
    pub notes: Vec<String>,
    pub interrupted: bool,
    /// When, by which program and on which machine.
    pub origin: Origin,
    /// What the nodes were, and the messages between them if these were watched.
    #[serde(skip)]
    pub recorded: Recorded,
}

/// A directive that was executed during a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FaultReport {
    pub at: f64,
    pub until: f64,
    pub directive: String,
    pub answer: String,
    pub ok: bool,
    /// The longest stretch from it to the next one, or to the end, in which nothing was answered although calls were waiting;
    /// none behind the measured time.
    pub outage: Option<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LeaderReport {
    pub at: f64,
    /// `n2 leads term 4`, or `n1 no longer leads`.
    pub text: String,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct VerdictReport {
    /// Nothing was broken; none when that could not be decided or was not asked.
    pub pass: Option<bool>,
    pub checked: bool,
    /// A line for each property, or one when all safety properties held.
    pub lines: Vec<String>,
}

impl Report {
    /// The exit code: 0 all well, 1 a check, an expectation or a fault failed, 3 inconclusive, 130 interrupted.
    pub fn code(&self) -> u8 {
        let fault_failed = self.faults.iter().any(|fault| !fault.ok);
        let disappointed = self.expectations.iter().any(|judgment| !judgment.pass);
        if self.verdict.pass == Some(false) || ((fault_failed || disappointed) && !self.interrupted) {
            1
        } else if self.interrupted {
            130
        } else if self.load.measured_nothing() || (self.verdict.checked && self.verdict.pass.is_none()) {
            3
        } else {
            0
        }
    }

    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("names, texts and numbers serialize without error")
    }

    /// The figures with their names, in the order in which people look for them.
    pub fn figures(&self) -> Vec<(&'static str, String)> {
        let mut figures = self.load.figures();
        if let Some(syncs) = self.syncs_per_operation {
            figures.push(("fsyncs per command", format!("{syncs:.4}")));
        }
        if let Some(messages) = self.messages_per_operation {
            figures.push(("messages per command", format!("{messages:.3}")));
        }
        if let Some(cpu) = self.cpu_seconds {
            figures.push(("processor", format!("{cpu:.2} s, clients included")));
        }
        if let Some(bytes) = self.memory_max_bytes {
            figures.push(("peak memory", format!("{} MiB", bytes >> 20)));
        }
        figures
    }

    /// What was done, and the longest outage from each to the next; nothing if nothing was done.
    fn fault_lines(&self) -> Vec<String> {
        if self.faults.is_empty() {
            return Vec::new();
        }
        let head = OUTAGE_HEAD.map(str::to_uppercase).to_vec();
        let rows: Vec<Vec<String>> =
            std::iter::once(head).chain(self.outage_rows(DIRECTIVE_LETTERS)).collect();
        table(&rows, &[Align::Right, Align::Right])
    }

    /// When what was done, in this many letters, with the longest outage until the next.
    pub(super) fn outage_rows(&self, letters: usize) -> impl Iterator<Item = Vec<String>> {
        self.faults.iter().map(move |FaultReport { at, outage, directive, .. }| {
            let outage = outage.map_or_else(|| "-".to_string(), seconds_shown);
            vec![format!("{at:.2} s"), outage, shorten_to(directive, letters)]
        })
    }

    /// Verdicts of the checks and of the expectations, a line each.
    pub(super) fn verdict_lines(&self) -> impl Iterator<Item = String> {
        self.verdict.lines.iter().cloned().chain(self.expectations.iter().map(ToString::to_string))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = figures_shown(&self.figures());
        lines.extend(self.fault_lines());
        lines.extend(self.notes.iter().flat_map(|note| note_shown(note)));
        lines.extend(self.verdict_lines());
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Figures;

    #[test]
    fn a_run_in_which_nothing_happened_says_so() {
        let report = Report::default();
        let text = report.to_string();
        assert!(
            text.contains("nothing was answered") && text.contains("nothing was ever answered"),
            "{text}"
        );
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert_eq!(report.code(), 3);
        assert!(report.json().contains(r#""service":{"p50":null,"#), "{}", report.json());
    }

    #[test]
    fn no_row_is_wider_than_a_terminal_and_each_directive_has_its_outage() {
        let figures =
            Figures { p50: 725.0, p90: 10_040.0, p99: 44_600.0, p999: 122_000.0, max: 3.04e8, mean: 1.0 };
        let load = Summary {
            sent: 24_685_000,
            answered: 24_000_000,
            answered_in_time: 24_000_000,
            failed: 685_000,
            unknown: 685_000,
            service: Some(figures),
            response: Some(figures),
            all: Some(figures),
            rate: Some(1),
            outage: 12.0,
            outage_share: 0.5,
            ..Summary::default()
        };
        let fault = |at, directive: &str, outage| FaultReport {
            at,
            until: at,
            directive: directive.to_string(),
            answer: String::new(),
            ok: true,
            outage,
        };
        let long = format!("partition {} / n9", "n1 n2 n3 n4 ".repeat(9));
        let faults = vec![fault(1.0, "add n4", Some(0.0081)), fault(12.5, &long, None)];
        let text = Report { load, faults, ..Report::default() }.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("\n 1.00 s  8.1 ms  add n4\n12.50 s       -  partition n1"), "{text}");
        assert!(text.contains("  max\n") && text.contains("\nservice "), "{text}");
    }

    #[test]
    fn codes_rank_what_went_wrong() {
        let verdict = VerdictReport { pass: Some(true), checked: true, lines: Vec::new() };
        let load = Summary { answered: 1, answered_in_time: 1, ..Summary::default() };
        let fine = Report { load, verdict: verdict.clone(), ..Report::default() };
        assert_eq!(fine.code(), 0);
        assert_eq!(Report { interrupted: true, ..fine.clone() }.code(), 130);
        let failed = VerdictReport { pass: Some(false), ..verdict.clone() };
        assert_eq!(Report { verdict: failed, interrupted: true, ..fine.clone() }.code(), 1);
        assert_eq!(Report { verdict: VerdictReport { pass: None, ..verdict }, ..fine.clone() }.code(), 3);
        let expectations = vec![Judgment { expectation: String::new(), pass: false, found: String::new() }];
        let disappointing = Report { expectations, ..fine };
        assert_eq!(disappointing.code(), 1);
        assert_eq!(Report { interrupted: true, ..disappointing }.code(), 130, "it was not run to its end");
    }
}
