//! What came of a run: for people, as JSON, and as rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::collector::Outcome;
use super::numbers::{grouped, rate, whole};
use super::plan::Plan;
use super::tally::{Figures, Row};
use crate::console::language::layout::{Align, table};

/// Everything that is known of a run. Times are in seconds, latencies in microseconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Report {
    /// The version of this form.
    pub v: u8,
    /// The command that repeats the run.
    pub command: String,
    /// The run in a line: how many nodes, where they keep their state, what was asked.
    pub setup: String,
    /// The nodes.
    pub nodes: u8,
    /// They kept nothing on disk.
    pub memory: bool,
    /// The clients.
    pub clients: usize,
    /// Commands in a call.
    pub batch: u64,
    /// Commands of several calls in an entry at most.
    pub gather: u64,
    /// Operations in flight a client at most.
    pub pipeline: u64,
    /// Operations a second that were wanted; none in a closed loop.
    pub rate: Option<u64>,
    /// What decided all chance.
    pub seed: u64,
    /// How long counting went on.
    pub elapsed: f64,
    /// Operations sent.
    pub sent: u64,
    /// Operations of an open loop that were due, and for which there was no room before the end.
    pub unsent: u64,
    /// Operations answered.
    pub answered: u64,
    /// Those of them that the store refused, such as creating a key that exists.
    pub refused: u64,
    /// Operations that were certainly not carried out, by the reason.
    pub failed: BTreeMap<String, u64>,
    /// Operations of which nobody knows.
    pub unknown: u64,
    /// Operations answered a second.
    pub throughput: f64,
    /// From sending to the answer.
    pub service: Figures,
    /// From the intended start to the answer.
    pub response: Figures,
    /// The longest time in which nobody was answered.
    pub outage: f64,
    /// When that began.
    pub outage_began: f64,
    /// Syncs of all nodes for an operation; none in memory.
    pub syncs_per_operation: Option<f64>,
    /// Messages of nodes and clients for an operation.
    pub messages_per_operation: Option<f64>,
    /// The processor's time of this process while it was counted, clients and check included.
    pub cpu_seconds: Option<f64>,
    /// The most memory of this process.
    pub memory_max_bytes: Option<u64>,
    /// What happened by order.
    pub faults: Vec<FaultReport>,
    /// Who led, when.
    pub leaders: Vec<LeaderReport>,
    /// What the checks say.
    pub verdict: VerdictReport,
    /// What a reader has to know besides.
    pub notes: Vec<String>,
    /// A person ended it early.
    pub interrupted: bool,
    /// A row for each second.
    pub rows: Vec<Row>,
}

/// A directive that was carried out during a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FaultReport {
    /// When.
    pub at: f64,
    /// Until when it did harm.
    pub until: f64,
    /// The directive.
    pub directive: String,
    /// What it answered.
    pub answer: String,
    /// It was carried out.
    pub ok: bool,
}

/// A change of the leader.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LeaderReport {
    /// When.
    pub at: f64,
    /// `n2 leads term 4`, or `n1 no longer leads`.
    pub text: String,
}

/// What the checks say.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct VerdictReport {
    /// Nothing was broken; none when that could not be decided or was not asked.
    pub pass: Option<bool>,
    /// Whether anything was checked.
    pub checked: bool,
    /// A line for each property, or one when all safety properties held.
    pub lines: Vec<String>,
}

impl Report {
    /// What a load alone knows.
    pub fn of(plan: &Plan, outcome: &Outcome) -> Report {
        Report {
            v: 1,
            clients: plan.clients,
            batch: plan.batch,
            gather: plan.gather,
            pipeline: plan.in_flight_max(),
            rate: plan.rate,
            seed: plan.seed,
            elapsed: outcome.elapsed.as_secs_f64(),
            sent: outcome.sent,
            unsent: outcome.unsent,
            answered: outcome.answered,
            refused: outcome.refused,
            failed: outcome.failed.iter().map(|(kind, count)| ((*kind).to_string(), *count)).collect(),
            unknown: outcome.unknown,
            throughput: rate(outcome.answered, outcome.elapsed),
            service: outcome.service,
            response: outcome.response,
            outage: outcome.outage.as_secs_f64(),
            outage_began: outcome.outage_began.as_secs_f64(),
            rows: outcome.rows.clone(),
            ..Report::default()
        }
    }

    /// The exit code: 0 all well, 1 a check or a fault failed, 3 inconclusive, 130 interrupted.
    pub fn code(&self) -> u8 {
        let fault_failed = self.faults.iter().any(|fault| !fault.ok);
        if self.verdict.pass == Some(false) || (fault_failed && !self.interrupted) {
            1
        } else if self.interrupted {
            130
        } else if self.answered == 0 || (self.verdict.checked && self.verdict.pass.is_none()) {
            3
        } else {
            0
        }
    }

    /// One JSON object on one line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("names, texts and numbers serialize without error")
    }

    /// The figures with their names, in the order in which people look for them.
    pub fn figures(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("elapsed", format!("{:.2} s", self.elapsed)),
            ("clients", self.clients.to_string()),
            ("sent", grouped(self.sent)),
        ];
        if self.unsent > 0 {
            rows.push(("unsent", format!("{}: due, but without room before the end", grouped(self.unsent))));
        }
        rows.push(("answered", share(self.answered, self.sent)));
        if self.refused > 0 {
            rows.push(("refused by the store", share(self.refused, self.sent)));
        }
        let failed: u64 = self.failed.values().sum();
        let kinds: Vec<String> = self.failed.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
        rows.push(("failed", format!("{}{kinds}", grouped(failed))));
        rows.push(("unknown", grouped(self.unknown)));
        rows.push(("throughput", format!("{}/s", grouped(whole(self.throughput.round())))));
        rows.push(("service", latency(&self.service)));
        if self.rate.is_some() {
            rows.push(("response", latency(&self.response)));
        }
        let outage = if self.answered == 0 {
            "nobody was ever answered".to_string()
        } else {
            format!("{} from {:.2} s", seconds_shown(self.outage), self.outage_began)
        };
        rows.push(("longest outage", outage));
        if let Some(syncs) = self.syncs_per_operation {
            rows.push(("fsyncs per command", format!("{syncs:.4}")));
        }
        if let Some(messages) = self.messages_per_operation {
            rows.push(("messages per command", format!("{messages:.3}")));
        }
        if let Some(cpu) = self.cpu_seconds {
            rows.push(("processor", format!("{cpu:.2} s, clients included")));
        }
        if let Some(bytes) = self.memory_max_bytes {
            rows.push(("peak memory", format!("{} MiB", bytes >> 20)));
        }
        rows
    }
}

/// The summary for people.
impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let figures = self.figures();
        let rows: Vec<Vec<String>> =
            figures.into_iter().map(|(name, value)| vec![name.to_string(), value]).collect();
        let mut lines = table(&rows, &[Align::Left, Align::Left]);
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(self.verdict.lines.iter().cloned());
        f.write_str(&lines.join("\n"))
    }
}

impl Row {
    /// What stands above the rows.
    pub fn header() -> String {
        format!(
            "{:>5} {:>11} {:>8} {:>8} {:>10} {:>10} {:>10}",
            "SEC", "ANSWERED/S", "FAILED", "UNKNOWN", "P50", "P99", "MAX"
        )
    }

    /// The median, the 99th percentile and the longest latency for people: where nothing was answered there is none.
    pub(super) fn latencies_shown(&self) -> [String; 3] {
        let Figures { p50, p99, max, .. } = self.latency;
        let shown = |micros| if self.answered == 0 { "-".to_string() } else { micros_shown(micros) };
        [p50, p99, max].map(shown)
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Row { second, answered, failed, unknown, .. } = self;
        let [p50, p99, max] = self.latencies_shown();
        let (number, answered) = (second + 1, grouped(*answered));
        write!(f, "{number:>5} {answered:>11} {failed:>8} {unknown:>8} {p50:>10} {p99:>10} {max:>10}")
    }
}

/// The rows, with a head, for spreadsheets. Latencies are in microseconds.
pub fn csv(rows: &[Row]) -> String {
    let mut text = "second,sent,answered,failed,unknown,p50_us,p90_us,p99_us,p999_us,max_us\n".to_string();
    for Row { second, sent, answered, failed, unknown, latency } in rows {
        let Figures { p50, p90, p99, p999, max } = latency;
        let _ = writeln!(
            text,
            "{},{sent},{answered},{failed},{unknown},{p50:.1},{p90:.1},{p99:.1},{p999:.1},{max:.1}",
            second + 1
        );
    }
    text
}

/// `p50 21 us, p90 ...`.
fn latency(figures: &Figures) -> String {
    let Figures { p50, p90, p99, p999, max } = *figures;
    if max <= 0.0 {
        return "nothing was answered".to_string();
    }
    let [p50, p90, p99, p999, max] = [p50, p90, p99, p999, max].map(micros_shown);
    format!("p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {max}")
}

/// With three digits: `21.3 us`, `1.23 ms`, `312 ms`, `2 s`.
pub(super) fn micros_shown(micros: f64) -> String {
    let (value, unit) = match micros {
        ..999.5 => (micros, "us"),
        ..999_500.0 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    let text = match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {unit}")
}

pub(super) fn seconds_shown(seconds: f64) -> String {
    micros_shown(seconds * 1e6)
}

/// `1,234 (99.9 %)`.
fn share(part: u64, whole: u64) -> String {
    let percent = 100.0 * super::numbers::ratio(super::numbers::float(part), super::numbers::float(whole));
    format!("{} ({percent:.1} %)", grouped(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_nothing_happened_says_so() {
        let report = Report::default();
        let text = report.to_string();
        assert!(text.contains("nothing was answered") && text.contains("nobody was ever answered"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert_eq!(report.code(), 3);
        assert!(!report.json().contains("null,\"p50"), "{}", report.json());
    }

    #[test]
    fn latencies_have_three_digits() {
        let shown = [0.0, 9.999, 21.34, 134.2, 999.7, 1_230.0, 312_400.0, 2e6].map(micros_shown);
        assert_eq!(shown, ["0 us", "10 us", "21.3 us", "134 us", "1 ms", "1.23 ms", "312 ms", "2 s"]);
    }

    #[test]
    fn codes_rank_what_went_wrong() {
        let verdict = VerdictReport { pass: Some(true), checked: true, lines: Vec::new() };
        let fine = Report { answered: 1, verdict: verdict.clone(), ..Report::default() };
        assert_eq!(fine.code(), 0);
        assert_eq!(Report { interrupted: true, ..fine.clone() }.code(), 130);
        let failed = VerdictReport { pass: Some(false), ..verdict.clone() };
        assert_eq!(Report { verdict: failed, interrupted: true, ..fine.clone() }.code(), 1);
        assert_eq!(Report { verdict: VerdictReport { pass: None, ..verdict }, ..fine }.code(), 3);
    }

    #[test]
    fn rows_are_as_wide_as_their_head() {
        let row = Row {
            second: 0,
            sent: 5,
            answered: 1_234_567,
            failed: 0,
            unknown: 0,
            latency: Figures { p50: 21.0, ..Figures::default() },
        };
        assert_eq!(row.to_string().len(), Row::header().len());
        assert_eq!(csv(&[row]).lines().count(), 2);
    }
}
