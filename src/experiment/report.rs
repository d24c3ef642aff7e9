//! The report of a run: for people, and as JSON.

use std::fmt;

use serde::Serialize;

use super::expectation::Judgment;
use crate::load::{Summary, figures_shown};
use crate::page::Origin;
use crate::trace::Recorded;

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

    /// Verdicts of the checks and of the expectations, a line each.
    pub(super) fn verdict_lines(&self) -> impl Iterator<Item = String> {
        self.verdict.lines.iter().cloned().chain(self.expectations.iter().map(ToString::to_string))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = figures_shown(&self.figures());
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(self.verdict_lines());
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
