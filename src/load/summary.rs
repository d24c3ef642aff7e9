//! What a load measured: for people, and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::buckets::{Bucket, ClientSeen};
use super::tally::{CarryOver, Figures, Row, or_nulls};
use crate::text::layout::{Align, table, wrap};
use crate::text::numbers::{float, grouped, micros_shown, quotient, seconds_shown, whole};

/// Columns of a sentence, two for the indentation left out.
const COLUMNS: usize = 78;

/// A shorter outage, in seconds, is not remarked on.
const OUTAGE_SHORT: f64 = 0.1;

/// An outage of this many seconds is remarked on even if its share of the measured time is small.
const OUTAGE_LONG: f64 = 1.0;

/// This share of the measured time without service is remarked on.
const OUTAGE_SHARE: f64 = 0.1;

/// With this share of it without service, a run in which calls failed has measured nothing.
const OUTAGE_ALL: f64 = 0.9;

/// What came of a load. Times are in seconds since the measured time began, latencies in microseconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Summary {
    pub clients: usize,
    pub batch: u64,
    /// The most commands of several calls in an entry.
    pub gather: u64,
    /// The most operations in flight of a client.
    pub pipeline: u64,
    /// Operations a second that were wanted; none in a closed loop.
    pub rate: Option<u64>,
    pub seed: u64,
    /// The measured time: as long as was planned, until the load was stopped, or until the last of a number of
    /// operations had ended.
    pub elapsed: f64,
    /// When the last call had ended, which may be later: calls under way are waited for.
    pub ended: f64,
    /// Operations that left in the measured time.
    pub sent: u64,
    /// Operations of an open loop that were due in it, and for which there was no room before its end.
    pub unsent: u64,
    /// Of those sent, the ones that were answered, at any time.
    pub answered: u64,
    /// Of those answered, the ones that the store refused, such as creating a key that exists.
    pub refused: u64,
    /// Of those sent, the ones without an answer: rejected or unknown.
    pub failed: u64,
    /// Of those that failed, the ones that certainly had no effect, by the reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Of those that failed, the ones that may have had an effect.
    pub unknown: u64,
    /// Operations that were answered in the measured time, whenever they left.
    pub answered_in_time: u64,
    /// Operations a second that were answered in the measured time.
    pub throughput: f64,
    /// Operations of the warm-up that ended after it.
    pub warm_up: CarryOver,
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
    pub outage_began: f64,
    /// Its share of the measured time, from 0 to 1.
    pub outage_share: f64,
    /// The longest from each mark to the next, in seconds; none of a mark behind the measured time.
    #[serde(skip)]
    pub outages_after: Vec<Option<f64>>,
    pub rows: Vec<Row>,
    /// The run in finer steps than rows, for plots.
    #[serde(skip)]
    pub buckets: Vec<Bucket>,
    /// What some of the clients saw in each bucket.
    #[serde(skip)]
    pub seen: Vec<ClientSeen>,
    #[serde(skip)]
    pub curves: Curves,
}

/// Latencies by the share of operations that took as long or longer, from all (1) to the slowest one; in microseconds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Curves {
    pub service: Vec<(f64, f64)>,
    pub response: Vec<(f64, f64)>,
    /// With what got no answer.
    pub all: Vec<(f64, f64)>,
}

impl Summary {
    /// Sentences on what the figures do not show at a glance.
    pub fn remarks(&self) -> Vec<String> {
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
                "{} of {} operations got no answer: latencies of answers leave them out, those with unanswered count them at their time-out",
                grouped(self.failed),
                grouped(self.sent)
            ));
        }
        remarks
    }

    /// Whether nothing was answered in the measured time, or next to nothing: nine tenths of it were outage, and calls
    /// failed. A few answers at its ends prove nothing.
    pub fn measured_nothing(&self) -> bool {
        let out = self.outage >= OUTAGE_SHORT && self.outage_share >= OUTAGE_ALL;
        self.answered_in_time == 0 || (out && self.failed > 0)
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
        rows.push(("latency", ["p50", "p90", "p99", "p99.9", "max"].map(latency_cell).concat()));
        rows.push(("service", latency(self.service.as_ref())));
        if self.rate.is_some() {
            rows.push(("response", latency(self.response.as_ref())));
        }
        rows.push(("all, with unanswered", latency(self.all.as_ref())));
        rows.push(("longest outage", self.outage_shown()));
        rows
    }

    /// What ended of the warm-up after it, if any call did.
    fn carried_over(&self) -> Option<String> {
        let CarryOver { answered, rejected, unknown } = self.warm_up;
        let parts = [(answered, "answered"), (rejected, "rejected"), (unknown, "unknown")];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{} {what}", grouped(count))).collect();
        (!parts.is_empty()).then(|| format!("{} after it", parts.join(", ")))
    }

    /// The longest outage, with its share of the measured time.
    fn outage_shown(&self) -> String {
        if self.answered + self.answered_in_time == 0 {
            return "nothing was ever answered".to_string();
        }
        let (outage, share) = (seconds_shown(self.outage), 100.0 * self.outage_share);
        format!("{outage} from {:.2} s, {share:.1} % of the measured time", self.outage_began)
    }
}

/// The figures, and what they do not show.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = figures_shown(&self.figures());
        lines.extend(self.remarks().iter().flat_map(|note| note_shown(note)));
        f.write_str(&lines.join("\n"))
    }
}

pub(crate) fn figures_shown(figures: &[(&'static str, String)]) -> Vec<String> {
    let row = |(name, value): &(&str, String)| vec![(*name).to_string(), value.clone()];
    let rows: Vec<Vec<String>> = figures.iter().map(row).collect();
    table(&rows, &[Align::Left, Align::Left])
}

/// A sentence beside the figures, in lines that fit a terminal.
pub(crate) fn note_shown(note: &str) -> Vec<String> {
    let lines = wrap(&format!("note: {note}"), COLUMNS);
    let indented = |(at, line): (usize, String)| if at == 0 { line } else { format!("  {line}") };
    lines.into_iter().enumerate().map(indented).collect()
}

/// One of the columns of latencies, which stand below their names.
fn latency_cell(text: impl fmt::Display) -> String {
    format!("{text:>9}")
}

fn latency(figures: Option<&Figures>) -> String {
    let Some(Figures { p50, p90, p99, p999, max, .. }) = figures.copied() else {
        return "nothing was answered".to_string();
    };
    [p50, p90, p99, p999, max].map(|micros| latency_cell(micros_shown(micros))).concat()
}

/// `1,234 (99.9 %)`, without the share where there is no whole.
fn share(part: u64, whole: u64) -> String {
    let percent = quotient(100.0 * float(part), float(whole));
    let percent = percent.map_or_else(String::new, |percent| format!(" ({percent:.1} %)"));
    format!("{}{percent}", grouped(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_outage_is_remarked_on_and_one_that_fills_the_run_measured_nothing() {
        let of = |outage: f64, answered| Summary {
            elapsed: 2.0,
            sent: 9,
            answered,
            answered_in_time: answered,
            failed: 9 - answered,
            unknown: 9 - answered,
            outage,
            outage_share: outage / 2.0,
            ..Summary::default()
        };
        let summary = of(1.8, 9);
        let text = summary.to_string();
        assert!(text.contains("1.8 s from 0.00 s, 90.0 % of the measured time"), "{text}");
        assert!(text.contains("note: without service for 1.8 s of 2 s (90 %), from 0.00 s: "), "{text}");
        assert!(!summary.measured_nothing());
        assert!(of(0.05, 9).remarks().is_empty(), "a moment is not worth a note");
        assert_eq!((of(2.0, 1).measured_nothing(), of(2.0, 9).measured_nothing()), (true, false));
        let late = Summary { answered_in_time: 0, ..of(0.05, 9) };
        assert!(late.to_string().contains("note: nothing was answered in the measured time, only after it"));
        assert!(late.measured_nothing());
    }
}
