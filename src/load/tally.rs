//! What was measured: for each client a second at a time, for all of them row by row, and as a whole.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::numbers::nanos;
use crate::client::{Outcome, Rejection};

/// The longest latency that is told apart.
const LATENCY_MAX: Duration = Duration::from_secs(600);

/// Digits that a latency keeps: within one percent, in a table that fits into a processor's cache.
const DIGITS: u8 = 2;

/// Latencies in nanoseconds.
pub(super) type Latencies = Histogram<u32>;

/// What one client saw in one second.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub sent: u64,
    /// Operations that were due and never had room; known at the end.
    pub unsent: u64,
    /// Operations that were carried out.
    pub answered: u64,
    /// Those of them that the store refused, such as creating a key that exists.
    pub refused: u64,
    /// Operations that were certainly not carried out, by the reason.
    pub failed: BTreeMap<&'static str, u64>,
    pub unknown: u64,
    /// From sending to the answer.
    pub service: Latencies,
    /// From the intended start to the answer: waiting for a turn counts.
    pub response: Latencies,
}

/// One second of a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Which, from zero.
    pub second: u64,
    /// Operations sent.
    pub sent: u64,
    /// Operations answered.
    pub answered: u64,
    /// Operations that were certainly not carried out.
    pub failed: u64,
    /// Operations of which nobody knows.
    pub unknown: u64,
    /// Latency from the intended start, of what was answered in this second.
    pub latency: Figures,
}

/// Percentiles, in microseconds; zero where nothing was measured.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Figures {
    /// Half were faster.
    pub p50: f64,
    /// Nine of ten were.
    pub p90: f64,
    /// 99 of a hundred were.
    pub p99: f64,
    /// 999 of a thousand were.
    pub p999: f64,
    /// None was slower.
    pub max: f64,
}

impl Slice {
    pub(super) fn new() -> Slice {
        Slice {
            sent: 0,
            unsent: 0,
            answered: 0,
            refused: 0,
            failed: BTreeMap::new(),
            unknown: 0,
            service: latencies(),
            response: latencies(),
        }
    }

    /// Notes a call of this many operations that has ended.
    pub(super) fn note(&mut self, outcome: &Outcome, size: u64, service: Duration, response: Duration) {
        match outcome {
            Outcome::Answered(_) | Outcome::Settled(_) => {
                self.answered += size;
                self.service.saturating_record_n(nanos(service), count(size));
                self.response.saturating_record_n(nanos(response), count(size));
            }
            Outcome::Rejected(rejection) => *self.failed.entry(kind(rejection)).or_default() += size,
            Outcome::Unknown(_) => self.unknown += size,
        }
    }

    pub(super) fn add(&mut self, other: &Slice) {
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.answered += other.answered;
        self.refused += other.refused;
        for (kind, number) in &other.failed {
            *self.failed.entry(kind).or_default() += number;
        }
        self.unknown += other.unknown;
        self.service.add(&other.service).expect("both have the same bounds");
        self.response.add(&other.response).expect("both have the same bounds");
    }

    pub(super) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    pub(super) fn row(&self, second: u64) -> Row {
        Row {
            second,
            sent: self.sent,
            answered: self.answered,
            failed: self.failures(),
            unknown: self.unknown,
            latency: Figures::of(&self.response),
        }
    }
}

impl Figures {
    pub(super) fn of<C: hdrhistogram::Counter>(latencies: &Histogram<C>) -> Figures {
        let micros = |value: u64| super::numbers::float(value) / 1_000.0;
        let at = |quantile| micros(latencies.value_at_quantile(quantile));
        if latencies.is_empty() {
            return Figures::default();
        }
        Figures { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: micros(latencies.max()) }
    }
}

fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, nanos(LATENCY_MAX), DIGITS).expect("these bounds are in order")
}

fn count(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Why something was not carried out, in a word or two.
fn kind(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::Invalid(_) => "invalid",
        Rejection::GivenUp => "given up",
        Rejection::NoLeader => "no leader",
        Rejection::NotLeader { .. } => "not the leader",
        Rejection::Busy => "leader busy",
        Rejection::Full => "too many in flight",
        Rejection::Unreachable(_) => "node down",
        Rejection::NoAnswer => "no answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_measured_is_zero_and_nothing_is_lost_in_adding() {
        assert_eq!(Figures::of(&Slice::new().service), Figures::default());
        let (mut one, mut other) = (Slice::new(), Slice::new());
        let (took, waited) = (Duration::from_micros(100), Duration::from_millis(5));
        one.note(&Outcome::Rejected(Rejection::Busy), 3, took, waited);
        other.service.record_n(nanos(took), 4).expect("within the bounds");
        one.add(&other);
        assert_eq!((one.failures(), one.service.len()), (3, 4));
        let p50 = Figures::of(&one.service).p50;
        assert!((99.0..102.0).contains(&p50), "{p50}");
    }
}
