//! Measurements: for each client a second at a time, for all of them row by row, and as a whole.
//!
//! An operation is *counted* when it left in the measured time: what became of it, and how long it took, is counted
//! whenever it ended. An operation of the warm-up that ended later is *carried over*: it has no latency here, but its
//! answer is work of the measured time and counts for throughput. Throughput leaves out what was answered after the end.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use crate::client::{Outcome, Rejection};
use crate::text::numbers::nanos;

const LATENCY_MAX: Duration = Duration::from_secs(600);

/// Digits that a latency keeps: within one percent, in a table that fits into a processor's cache.
const DIGITS: u8 = 2;

pub(super) type Latencies = Histogram<u32>;

/// What one client measured in one second.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub sent: u64,
    /// Operations that were due and never had room; known at the end.
    pub unsent: u64,
    pub answered: u64,
    /// Those of them that the store refused, such as creating a key that exists.
    pub refused: u64,
    /// Operations that certainly had no effect, by the reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Operations of which it is not known whether they had an effect.
    pub unknown: u64,
    /// Operations that were answered within the measured time, whenever they left.
    pub in_time: u64,
    pub carried: CarryOver,
    pub service: Latencies,
    /// From the intended start to the answer: waiting for a turn counts.
    pub response: Latencies,
    /// From the intended start to the end without an answer, the time-out at least; none while all were answered.
    pub lost: Option<Box<Latencies>>,
}

/// Operations that left in the warm-up and ended after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CarryOver {
    pub answered: u64,
    pub rejected: u64,
    /// It is not known whether they had an effect.
    pub unknown: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct CallTimes {
    /// Since it was sent.
    pub service: Duration,
    /// Since it was due.
    pub response: Duration,
    pub timeout: Duration,
}

/// One second of a run: what was sent in it, and what ended in it, operations of the warm-up included.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Row {
    /// When it ends, in seconds since the measured time began: the first is 1.
    pub second: u64,
    /// It is behind the measured time: calls that were under way at the end ended in it.
    pub after_end: bool,
    pub sent: u64,
    pub answered: u64,
    pub rejected: u64,
    /// Operations of which it is not known whether they had an effect.
    pub unknown: u64,
    /// Latency from the intended start of what was answered; none where nothing was.
    #[serde(serialize_with = "or_nulls")]
    pub latency: Option<Figures>,
    /// The same with what got no answer, at its time-out; none where nothing ended.
    #[serde(serialize_with = "or_nulls")]
    pub all: Option<Figures>,
}

/// Percentiles, in microseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Figures {
    pub p50: f64,
    pub p90: f64,
    /// 99 of a hundred were.
    pub p99: f64,
    /// 999 of a thousand were.
    pub p999: f64,
    /// None was slower.
    pub max: f64,
    pub mean: f64,
}

impl Slice {
    pub(super) fn new() -> Slice {
        Slice {
            sent: 0,
            unsent: 0,
            answered: 0,
            refused: 0,
            rejected: BTreeMap::new(),
            unknown: 0,
            in_time: 0,
            carried: CarryOver::default(),
            service: latencies(),
            response: latencies(),
            lost: None,
        }
    }

    /// Notes a counted call of this many operations that has ended. One without an answer took its time-out at least.
    pub(super) fn note(&mut self, outcome: &Outcome, size: u64, took: CallTimes) {
        let CallTimes { service, response, timeout } = took;
        match outcome {
            Outcome::Answered(_) | Outcome::Settled(_) => {
                self.answered += size;
                self.service.saturating_record_n(nanos(service), count(size));
                self.response.saturating_record_n(nanos(response), count(size));
                return;
            }
            Outcome::Rejected(rejection) => *self.rejected.entry(kind(rejection)).or_default() += size,
            Outcome::Unknown(_) | Outcome::Panicked(..) => self.unknown += size,
        }
        let lost = self.lost.get_or_insert_with(|| Box::new(latencies()));
        lost.saturating_record_n(nanos(response.max(timeout)), count(size));
    }

    /// Notes a call of the warm-up that has ended after it.
    pub(super) fn carry(&mut self, outcome: &Outcome, size: u64) {
        match outcome {
            Outcome::Answered(_) | Outcome::Settled(_) => self.carried.answered += size,
            Outcome::Rejected(_) => self.carried.rejected += size,
            Outcome::Unknown(_) | Outcome::Panicked(..) => self.carried.unknown += size,
        }
    }

    /// Whether nothing was sent and nothing ended.
    pub(super) fn is_idle(&self) -> bool {
        let ended = self.answered + self.rejections() + self.unknown;
        self.sent == 0 && ended == 0 && self.carried == CarryOver::default()
    }

    pub(super) fn add(&mut self, other: &Slice) {
        self.add_counts(other);
        self.service.add(&other.service).expect("both have the same bounds");
        self.response.add(&other.response).expect("both have the same bounds");
        match (&mut self.lost, &other.lost) {
            (Some(sum), Some(part)) => sum.add(&**part).expect("both have the same bounds"),
            (sum @ None, Some(part)) => *sum = Some(part.clone()),
            (_, None) => {}
        }
    }

    /// Everything but the latencies.
    pub(super) fn add_counts(&mut self, other: &Slice) {
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.answered += other.answered;
        self.refused += other.refused;
        for (kind, number) in &other.rejected {
            *self.rejected.entry(kind).or_default() += number;
        }
        self.unknown += other.unknown;
        self.in_time += other.in_time;
        self.carried.answered += other.carried.answered;
        self.carried.rejected += other.carried.rejected;
        self.carried.unknown += other.carried.unknown;
    }

    pub(super) fn rejections(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// The row of the second with this number, from zero.
    pub(super) fn row(&self, second: u64, after_end: bool) -> Row {
        let latency = Figures::of(&self.response);
        let all = match &self.lost {
            None => latency,
            Some(lost) => {
                let mut all = self.response.clone();
                all.add(&**lost).expect("both have the same bounds");
                Figures::of(&all)
            }
        };
        Row {
            second: second + 1,
            after_end,
            sent: self.sent,
            answered: self.answered + self.carried.answered,
            rejected: self.rejections() + self.carried.rejected,
            unknown: self.unknown + self.carried.unknown,
            latency,
            all,
        }
    }
}

impl Figures {
    /// None if nothing was recorded.
    pub(super) fn of<C: hdrhistogram::Counter>(latencies: &Histogram<C>) -> Option<Figures> {
        let micros = |value: u64| crate::text::numbers::float(value) / 1_000.0;
        let at = |quantile| micros(latencies.value_at_quantile(quantile));
        (!latencies.is_empty()).then(|| Figures {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: micros(latencies.max()),
            mean: latencies.mean() / 1_000.0,
        })
    }
}

/// Figures as JSON: each is null where nothing was measured, so that their shape is always the same.
#[expect(clippy::ref_option, reason = "this is how serde calls it")]
pub(super) fn or_nulls<S: Serializer>(figures: &Option<Figures>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Default, Serialize)]
    struct Shape {
        p50: Option<f64>,
        p90: Option<f64>,
        p99: Option<f64>,
        p999: Option<f64>,
        max: Option<f64>,
        mean: Option<f64>,
    }
    let shape = figures.map_or_else(Shape::default, |Figures { p50, p90, p99, p999, max, mean }| Shape {
        p50: Some(p50),
        p90: Some(p90),
        p99: Some(p99),
        p999: Some(p999),
        max: Some(max),
        mean: Some(mean),
    });
    shape.serialize(serializer)
}

fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, nanos(LATENCY_MAX), DIGITS).expect("these bounds are in order")
}

fn count(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Why something had no effect, in a word or two.
fn kind(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::Invalid(_) => "invalid",
        Rejection::GivenUp => "given up",
        Rejection::Closed => "closed",
        Rejection::NoLeader => "no leader",
        Rejection::NotLeader { .. } => "not the leader",
        Rejection::Busy => "leader busy",
        Rejection::Full => "too many in flight",
        Rejection::Unreachable(_) => "node down",
        Rejection::NoAnswer => "no answer",
        Rejection::Panicked(_) => "panicked",
        Rejection::Unwritable(_) => "unwritable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: CallTimes = CallTimes {
        service: Duration::from_micros(100),
        response: Duration::from_millis(5),
        timeout: Duration::from_millis(600),
    };

    #[test]
    fn nothing_measured_has_no_figures_and_nothing_is_lost_in_adding() {
        assert_eq!(Figures::of(&Slice::new().service), None);
        let (mut one, mut other) = (Slice::new(), Slice::new());
        other.note(&Outcome::Rejected(Rejection::Busy), 3, TOOK);
        other.service.record_n(nanos(TOOK.service), 4).expect("within the bounds");
        one.add(&other);
        one.add(&other);
        assert_eq!(
            (one.rejections(), one.service.len(), one.lost.as_ref().map(|lost| lost.len())),
            (6, 8, Some(6))
        );
        let p50 = Figures::of(&one.service).expect("figures").p50;
        assert!((99.0..102.0).contains(&p50), "{p50}");
    }

    #[test]
    fn what_got_no_answer_counts_at_its_time_out_beside_the_answers() {
        let mut slice = Slice::new();
        slice.response.record_n(nanos(TOOK.response), 1).expect("within the bounds");
        slice.note(&Outcome::Rejected(Rejection::Busy), 2, TOOK);
        let row = slice.row(0, false);
        let (answers, all) = (row.latency.expect("an answer"), row.all.expect("ends"));
        assert!(answers.max < 5_100.0, "{answers:?}");
        assert!((599_000.0..610_000.0).contains(&all.p50) && all.p50 <= all.max, "{all:?}");
    }

    #[test]
    fn a_second_without_an_answer_has_null_for_each_figure() {
        let json = serde_json::to_string(&Slice::new().row(0, false)).expect("it serializes");
        assert!(json.contains(r#""latency":{"p50":null,"p90":null,"#), "{json}");
        assert!(!json.contains("0.0"), "{json}");
    }

    #[test]
    fn what_the_warm_up_left_is_in_the_row_and_has_no_latency() {
        let mut slice = Slice::new();
        slice.carry(&Outcome::Rejected(Rejection::Busy), 2);
        assert!(!slice.is_idle());
        let row = slice.row(4, true);
        assert_eq!((row.second, row.rejected, row.answered, row.all), (5, 2, 0, None));
    }
}
