//! What came of a run: for people, and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::collector::Outcome;
use super::expectation::Judgment;
use super::numbers::{float, grouped, quotient, rate, ratio, whole};
use super::plan::Plan;
use super::tally::{Carried, Figures, Row, or_nulls};
use crate::text::layout::{Align, table};

/// An outage that is shorter is not remarked on, in seconds.
const OUTAGE_SHORT: f64 = 0.1;

/// An outage that is as long is remarked on, whatever its share of the measured time, in seconds.
const OUTAGE_LONG: f64 = 1.0;

/// So much of the measured time without service is remarked on.
const OUTAGE_SHARE: f64 = 0.1;

/// With so much of it without service, a run in which calls failed has measured nothing.
const OUTAGE_ALL: f64 = 0.9;

/// Everything that is known of a run. Times are in seconds since the measured time began, latencies in microseconds.
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
    /// How long the measured time was.
    pub elapsed: f64,
    /// When the last call had ended, which may be later.
    pub ended: f64,
    /// Operations that left in the measured time.
    pub sent: u64,
    /// Operations of an open loop that were due in it, and for which there was no room before its end.
    pub unsent: u64,
    /// Of those sent, the ones that were answered, at any time.
    pub answered: u64,
    /// Those of them that the store refused, such as creating a key that exists.
    pub refused: u64,
    /// Of those sent, the ones without an answer: rejected or unknown.
    pub failed: u64,
    /// Those of them that certainly had no effect, by the reason.
    pub rejected: BTreeMap<String, u64>,
    /// Those of them of which it is not known whether they had an effect.
    pub unknown: u64,
    /// Operations that were answered in the measured time, whenever they left.
    pub answered_in_time: u64,
    /// Those a second.
    pub throughput: f64,
    /// Operations of the warm-up that ended after it.
    pub warm_up: Carried,
    /// From sending to the answer; null if nothing was answered.
    #[serde(serialize_with = "or_nulls")]
    pub service: Option<Figures>,
    /// From the intended start to the answer; null if nothing was answered.
    #[serde(serialize_with = "or_nulls")]
    pub response: Option<Figures>,
    /// The same with what failed, at its time-out, and what was unsent, which is taken for the longest of all.
    #[serde(serialize_with = "or_nulls")]
    pub all: Option<Figures>,
    /// The longest stretch of the measured time in which nothing was answered although calls were waiting.
    pub outage: f64,
    /// When that began.
    pub outage_began: f64,
    /// Its share of the measured time, from 0 to 1.
    pub outage_share: f64,
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
    /// What was expected of the figures, and whether it held.
    pub expectations: Vec<Judgment>,
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
        let rejected: u64 = outcome.rejected.values().sum();
        let mut report = Report {
            v: 2,
            clients: plan.clients,
            batch: plan.batch,
            gather: plan.gather,
            pipeline: plan.in_flight_max(),
            rate: plan.rate,
            seed: plan.seed,
            elapsed: outcome.elapsed.as_secs_f64(),
            ended: outcome.ended.as_secs_f64(),
            sent: outcome.sent,
            unsent: outcome.unsent,
            answered: outcome.answered,
            refused: outcome.refused,
            failed: rejected + outcome.unknown,
            rejected: outcome.rejected.iter().map(|(kind, count)| ((*kind).to_string(), *count)).collect(),
            unknown: outcome.unknown,
            answered_in_time: outcome.in_time,
            throughput: rate(outcome.in_time, outcome.elapsed),
            warm_up: outcome.carried,
            service: outcome.service,
            response: outcome.response,
            all: outcome.all,
            outage: outcome.outage.as_secs_f64(),
            outage_began: outcome.outage_began.as_secs_f64(),
            outage_share: ratio(outcome.outage.as_secs_f64(), outcome.elapsed.as_secs_f64()),
            rows: outcome.rows.clone(),
            ..Report::default()
        };
        report.notes = report.remarks();
        report.expectations =
            plan.expectations.iter().map(|expectation| expectation.judge(&report)).collect();
        report
    }

    /// What the figures do not show at a glance.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let silence = match (self.sent + self.unsent, self.answered, self.answered_in_time) {
            (0, _, _) => Some("nothing was sent"),
            (_, 0, 0) => Some("nothing was answered: was there a leader?"),
            (_, _, 0) => Some("nothing was answered in the measured time, only after it"),
            _ => None,
        };
        remarks.extend(silence.map(str::to_string));
        let noticeable = self.outage >= OUTAGE_LONG || self.outage_share >= OUTAGE_SHARE;
        if self.outage >= OUTAGE_SHORT && noticeable {
            remarks.push(format!(
                "without service for {} of {} ({:.0} %), from {:.2} s: nothing was answered although calls were waiting",
                seconds_shown(self.outage),
                seconds_shown(self.elapsed),
                100.0 * self.outage_share,
                self.outage_began
            ));
        }
        if self.failed > 0 {
            remarks.push(format!(
                "{} of {} operations got no answer: only the figures of 'all' count them, at their time-out",
                grouped(self.failed),
                grouped(self.sent)
            ));
        }
        remarks
    }

    /// Whether nothing was answered in the measured time, or next to nothing: nine tenths of the measured time were outage, and calls failed.
    /// A few answers at its ends prove nothing.
    pub fn measured_nothing(&self) -> bool {
        let out = self.outage >= OUTAGE_SHORT && self.outage_share >= OUTAGE_ALL;
        self.answered_in_time == 0 || (out && self.failed > 0)
    }

    /// The exit code: 0 all well, 1 a check, an expectation or a fault failed, 3 inconclusive, 130 interrupted.
    pub fn code(&self) -> u8 {
        let fault_failed = self.faults.iter().any(|fault| !fault.ok);
        let disappointed = self.expectations.iter().any(|judgment| !judgment.pass);
        if self.verdict.pass == Some(false) || ((fault_failed || disappointed) && !self.interrupted) {
            1
        } else if self.interrupted {
            130
        } else if self.measured_nothing() || (self.verdict.checked && self.verdict.pass.is_none()) {
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
        let unknown = (self.unknown > 0).then(|| format!("unknown {}", grouped(self.unknown)));
        let kinds = self.rejected.iter().map(|(kind, count)| format!("{kind} {}", grouped(*count)));
        let kinds: Vec<String> = unknown.into_iter().chain(kinds).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
        rows.push(("failed", format!("{}{kinds}", share(self.failed, self.sent))));
        rows.extend(self.carried_over().map(|carried| ("of the warm-up", carried)));
        rows.push(("throughput", format!("{}/s", grouped(whole(self.throughput.round())))));
        rows.push(("service", latency(self.service.as_ref())));
        if self.rate.is_some() {
            rows.push(("response", latency(self.response.as_ref())));
        }
        rows.push(("all, with unanswered", latency(self.all.as_ref())));
        rows.push(("longest outage", self.outage_shown()));
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

    /// What ended of the warm-up, if anything did.
    fn carried_over(&self) -> Option<String> {
        let Carried { answered, rejected, unknown } = self.warm_up;
        let parts = [(answered, "answered"), (rejected, "rejected"), (unknown, "unknown")];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{} {what}", grouped(count))).collect();
        (!parts.is_empty()).then(|| format!("{} after it", parts.join(", ")))
    }

    /// The longest outage, with its share of the measured time.
    fn outage_shown(&self) -> String {
        if self.answered + self.answered_in_time == 0 {
            return "nobody was ever answered".to_string();
        }
        let (outage, share) = (seconds_shown(self.outage), 100.0 * self.outage_share);
        format!("{outage} from {:.2} s, {share:.1} % of the measured time", self.outage_began)
    }

    /// Verdicts of the checks and of the expectations, a line each.
    pub(super) fn verdict_lines(&self) -> impl Iterator<Item = String> {
        self.verdict.lines.iter().cloned().chain(self.expectations.iter().map(ToString::to_string))
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
        lines.extend(self.verdict_lines());
        f.write_str(&lines.join("\n"))
    }
}

/// `p50 21 us, p90 ...`.
fn latency(figures: Option<&Figures>) -> String {
    let Some(Figures { p50, p90, p99, p999, max, .. }) = figures.copied() else {
        return "nothing was answered".to_string();
    };
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

/// `1,234 (99.9 %)`, without the share where there is no whole.
fn share(part: u64, whole: u64) -> String {
    let percent = quotient(100.0 * float(part), float(whole));
    let percent = percent.map_or_else(String::new, |percent| format!(" ({percent:.1} %)"));
    format!("{}{percent}", grouped(part))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_run_in_which_nothing_happened_says_so() {
        let report = Report::default();
        let text = report.to_string();
        assert!(text.contains("nothing was answered") && text.contains("nobody was ever answered"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert_eq!(report.code(), 3);
        assert!(report.json().contains(r#""service":{"p50":null,"#), "{}", report.json());
    }

    #[test]
    fn latencies_have_three_digits() {
        let shown = [0.0, 9.999, 21.34, 134.2, 999.7, 1_230.0, 312_400.0, 2e6].map(micros_shown);
        assert_eq!(shown, ["0 us", "10 us", "21.3 us", "134 us", "1 ms", "1.23 ms", "312 ms", "2 s"]);
    }

    #[test]
    fn codes_rank_what_went_wrong() {
        let verdict = VerdictReport { pass: Some(true), checked: true, lines: Vec::new() };
        let fine = Report { answered: 1, answered_in_time: 1, verdict: verdict.clone(), ..Report::default() };
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

    #[test]
    fn a_long_outage_is_remarked_on_and_one_that_fills_the_run_is_inconclusive() {
        let second = Duration::from_secs(1);
        let outcome = |outage, answered| Outcome {
            elapsed: 2 * second,
            sent: 9,
            answered,
            in_time: answered,
            unknown: 9 - answered,
            outage,
            ..Outcome::default()
        };
        let of = |outage, answered| Report::of(&Plan::default(), &outcome(outage, answered));
        let report = of(second * 9 / 5, 9);
        let text = report.to_string();
        assert!(text.contains("1.8 s from 0.00 s, 90.0 % of the measured time"), "{text}");
        assert!(text.contains("note: without service for 1.8 s of 2 s (90 %), from 0.00 s: "), "{text}");
        assert_eq!(report.code(), 0);
        assert!(of(second / 20, 9).notes.is_empty(), "a moment is not worth a note");
        assert_eq!((of(2 * second, 1).code(), of(2 * second, 9).code()), (3, 0));
        let late = Report::of(&Plan::default(), &Outcome { in_time: 0, ..outcome(second / 20, 9) });
        assert!(late.to_string().contains("note: nothing was answered in the measured time, only after it"));
        assert_eq!(late.code(), 3);
    }
}
