//! Measurements: of each client slice by slice, of all of them second by second, and as a whole.
//!
//! An operation is *counted* when it left in the measured time: what became of it, and how long it took, is counted
//! whenever it ended. An operation of the warm-up that ended later is *carried over*: it has no latency here, but its
//! answer is work of the measured time and counts for throughput. Throughput leaves out what was answered after the end.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use crate::client::{Outcome, Rejection};
use crate::text::numbers::{float, nanos};

const LATENCY_MAX: Duration = Duration::from_secs(600);

/// Digits that a latency keeps: within one percent, in a table that fits into a processor's cache.
const DIGITS: u8 = 2;

pub(super) type Latencies = Histogram<u32>;

/// Operations by what became of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
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
}

/// What one client measured in one stretch of time. Latencies are a list: a client's thread has no time to sort.
#[derive(Clone, Debug, Default)]
pub(super) struct Slice {
    pub counts: Counts,
    /// At its end the client waited for an answer.
    pub waits: bool,
    answers: Vec<Took>,
    /// From the intended start to the end without an answer, the time-out at least, and of how many operations.
    lost: Vec<(u64, u32)>,
}

/// How long the operations of an answered call took, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Took {
    service: u64,
    response: u64,
    size: u32,
}

/// What all clients measured in one stretch of time.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub counts: Counts,
    pub service: Latencies,
    /// From the intended start to the answer: waiting for a turn counts.
    pub response: Latencies,
    /// Of operations without an answer; none while all were answered.
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

impl Counts {
    pub(super) fn add(&mut self, other: &Counts) {
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

    /// What ended, operations of the warm-up included: answered, rejected, unknown.
    pub(super) fn ended(&self) -> [u64; 3] {
        [
            self.answered + self.carried.answered,
            self.rejections() + self.carried.rejected,
            self.unknown + self.carried.unknown,
        ]
    }

    /// Whether nothing was sent and nothing ended.
    pub(super) fn is_idle(&self) -> bool {
        self.sent == 0 && self.ended() == [0; 3]
    }
}

impl Slice {
    /// Notes a counted call of this many operations that has ended. One without an answer took its time-out at least.
    pub(super) fn note(&mut self, outcome: &Outcome, size: u64, took: CallTimes) {
        let CallTimes { service, response, timeout } = took;
        let counts = &mut self.counts;
        match outcome {
            Outcome::Answered(_) | Outcome::Settled(_) => {
                counts.answered += size;
                let (service, response) = (nanos(service), nanos(response));
                self.answers.push(Took { service, response, size: count(size) });
                return;
            }
            Outcome::Rejected(rejection) => *counts.rejected.entry(kind(rejection)).or_default() += size,
            Outcome::Unknown(_) | Outcome::Panicked(..) => counts.unknown += size,
        }
        self.lost.push((nanos(response.max(timeout)), count(size)));
    }

    /// Notes a call of the warm-up that has ended after it.
    pub(super) fn carry(&mut self, outcome: &Outcome, size: u64) {
        let carried = &mut self.counts.carried;
        match outcome {
            Outcome::Answered(_) | Outcome::Settled(_) => carried.answered += size,
            Outcome::Rejected(_) => carried.rejected += size,
            Outcome::Unknown(_) | Outcome::Panicked(..) => carried.unknown += size,
        }
    }
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally { counts: Counts::default(), service: latencies(), response: latencies(), lost: None }
    }

    /// Adds what one client measured.
    pub(super) fn note(&mut self, slice: &Slice) {
        self.counts.add(&slice.counts);
        for Took { service, response, size } in &slice.answers {
            self.service.saturating_record_n(*service, *size);
            self.response.saturating_record_n(*response, *size);
        }
        for (took, size) in &slice.lost {
            self.lost.get_or_insert_with(|| Box::new(latencies())).saturating_record_n(*took, *size);
        }
    }

    pub(super) fn add(&mut self, other: &Tally) {
        self.counts.add(&other.counts);
        self.service.add(&other.service).expect("both have the same bounds");
        self.response.add(&other.response).expect("both have the same bounds");
        match (&mut self.lost, &other.lost) {
            (Some(sum), Some(part)) => sum.add(&**part).expect("both have the same bounds"),
            (sum @ None, Some(part)) => *sum = Some(part.clone()),
            (_, None) => {}
        }
    }

    /// The figures of what was answered, and of all that ended.
    pub(super) fn figures(&self) -> (Option<Figures>, Option<Figures>) {
        let answers = Figures::of(&self.response);
        let Some(lost) = &self.lost else { return (answers, answers) };
        let mut all = self.response.clone();
        all.add(&**lost).expect("both have the same bounds");
        (answers, Figures::of(&all))
    }

    /// The row of the second with this number, from zero.
    pub(super) fn row(&self, second: u64, after_end: bool) -> Row {
        let (latency, all) = self.figures();
        let [answered, rejected, unknown] = self.counts.ended();
        let sent = self.counts.sent;
        Row { second: second + 1, after_end, sent, answered, rejected, unknown, latency, all }
    }
}

impl Figures {
    /// None if nothing was recorded.
    pub(super) fn of<C: hdrhistogram::Counter>(latencies: &Histogram<C>) -> Option<Figures> {
        let micros = |value: u64| float(value) / 1_000.0;
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

/// Shares of the operations, from all to the slowest one, with the latency that the share exceeds or reaches, in
/// microseconds: some points for each power of ten.
pub(super) fn curve(latencies: &Histogram<u64>) -> Vec<(f64, f64)> {
    const POINTS_A_POWER: f64 = 8.0;
    let micros = |value: u64| float(value) / 1_000.0;
    if latencies.is_empty() {
        return Vec::new();
    }
    let count = float(latencies.len());
    let share = |point: u8| 10f64.powf(-f64::from(point) / POINTS_A_POWER);
    let shares = (0..=u8::MAX).map(share).take_while(|share| share * count > 1.0);
    let points = shares.map(|share| (share, micros(latencies.value_at_quantile(1.0 - share))));
    points.chain([(1.0 / count, micros(latencies.max()))]).collect()
}

pub(super) fn latencies() -> Latencies {
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

    fn noted(outcome: &Outcome, size: u64) -> Slice {
        let mut slice = Slice::default();
        slice.note(outcome, size, TOOK);
        slice
    }

    #[test]
    fn nothing_measured_has_no_figures_and_nothing_is_lost_in_adding() {
        assert_eq!(Tally::new().figures(), (None, None));
        let (mut one, mut other) = (Tally::new(), Tally::new());
        other.note(&noted(&Outcome::Rejected(Rejection::Busy), 3));
        other.service.record_n(nanos(TOOK.service), 4).expect("within the bounds");
        one.add(&other);
        one.add(&other);
        assert_eq!(
            (one.counts.rejections(), one.service.len(), one.lost.as_ref().map(|lost| lost.len())),
            (6, 8, Some(6))
        );
        let p50 = Figures::of(&one.service).expect("figures").p50;
        assert!((99.0..102.0).contains(&p50), "{p50}");
    }

    #[test]
    fn what_got_no_answer_counts_at_its_time_out_beside_the_answers() {
        let mut tally = Tally::new();
        tally.response.record_n(nanos(TOOK.response), 1).expect("within the bounds");
        tally.note(&noted(&Outcome::Rejected(Rejection::Busy), 2));
        let row = tally.row(0, false);
        let (answers, all) = (row.latency.expect("an answer"), row.all.expect("ends"));
        assert!(answers.max < 5_100.0, "{answers:?}");
        assert!((599_000.0..610_000.0).contains(&all.p50) && all.p50 <= all.max, "{all:?}");
    }

    #[test]
    fn a_second_without_an_answer_has_null_for_each_figure() {
        let json = serde_json::to_string(&Tally::new().row(0, false)).expect("it serializes");
        assert!(json.contains(r#""latency":{"p50":null,"p90":null,"#), "{json}");
        assert!(!json.contains("0.0"), "{json}");
    }

    #[test]
    fn what_the_warm_up_left_is_in_the_row_and_has_no_latency() {
        let (mut slice, mut tally) = (Slice::default(), Tally::new());
        slice.carry(&Outcome::Rejected(Rejection::Busy), 2);
        tally.note(&slice);
        assert!(!tally.counts.is_idle());
        let row = tally.row(4, true);
        assert_eq!((row.second, row.rejected, row.answered, row.all), (5, 2, 0, None));
    }
}
