//! What a run is expected to measure: `p99<50ms`, `outage<1s`, `failed=0`, `rate>=95%`.
//!
//! An expectation is a metric, an operator and a value. Latencies are those of all operations, with what got no answer
//! at its time-out; `answers.p99` is about answers only. A condition on something that was not measured fails.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::load::{Figures, Summary};
use crate::text::numbers::{float, grouped, micros_shown, quotient, whole};
use crate::text::suggest::nearest;
use crate::text::units::{duration_text, parse_duration, parse_percent, percent_text};

/// One condition on the figures of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expectation {
    metric: Metric,
    operator: Operator,
    limit: Limit,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Judgment {
    /// The expectation: `p99 < 50ms`.
    pub expectation: String,
    pub pass: bool,
    /// The measured value: `16.2 ms`.
    pub found: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Metric {
    /// A latency, of answers only or of all operations.
    Latency {
        figure: Figure,
        answers: bool,
    },
    Rate,
    Count(Count),
    Outage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Figure {
    P50,
    P90,
    P99,
    P999,
    Max,
    Mean,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Count {
    Answered,
    Refused,
    Failed,
    Rejected,
    Unknown,
    Unsent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Limit {
    Time(Duration),
    Number(u64),
    /// Of what was sent, of the measured time, of the rate that was wanted.
    Share(u32),
}

/// The metrics by name. The first name of each is how it is shown.
const METRICS: [(&str, Metric); 15] = [
    ("p50", latency(Figure::P50)),
    ("p90", latency(Figure::P90)),
    ("p99", latency(Figure::P99)),
    ("p99.9", latency(Figure::P999)),
    ("max", latency(Figure::Max)),
    ("mean", latency(Figure::Mean)),
    ("rate", Metric::Rate),
    ("throughput", Metric::Rate),
    ("failed", Metric::Count(Count::Failed)),
    ("rejected", Metric::Count(Count::Rejected)),
    ("unknown", Metric::Count(Count::Unknown)),
    ("unsent", Metric::Count(Count::Unsent)),
    ("answered", Metric::Count(Count::Answered)),
    ("refused", Metric::Count(Count::Refused)),
    ("outage", Metric::Outage),
];

/// The prefix of a latency that is about answers only.
const ANSWERS: &str = "answers.";

const OPERATORS: [(&str, Operator); 5] = [
    ("<", Operator::Below),
    ("<=", Operator::AtMost),
    (">", Operator::Above),
    (">=", Operator::AtLeast),
    ("=", Operator::Equal),
];

const fn latency(figure: Figure) -> Metric {
    Metric::Latency { figure, answers: false }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Expectation, String> {
        let sign = |letter: char| "<>=!~≤≥≠".contains(letter);
        let text = text.trim();
        if text.is_empty() {
            return Err(
                "there is nothing to expect: write a metric, an operator and a value, as in p99<50ms"
                    .to_string(),
            );
        }
        let Some(at) = text.find(sign) else {
            let metric = metric(text.split_whitespace().next().unwrap_or(text))?;
            return Err(format!(
                "'{text}' has no operator: write one of < <= > >= =, as in {}",
                metric.example()
            ));
        };
        let (name, rest) = text.split_at(at);
        let (operator, value) = rest.split_at(rest.find(|letter| !sign(letter)).unwrap_or(rest.len()));
        if name.trim().is_empty() {
            return Err(format!("'{text}' names no metric: write one before the operator, as in p99<50ms"));
        }
        let metric = metric(name.trim())?;
        let operator = self::operator(operator)?;
        let value = value.trim();
        if value.is_empty() {
            return Err(format!("'{text}' has no value: write {}", metric.example()));
        }
        let limit = metric.limit(value)?;
        Ok(Expectation { metric, operator, limit })
    }
}

fn metric(name: &str) -> Result<Metric, String> {
    let lower = name.to_lowercase();
    let (answers, plain) = lower.strip_prefix(ANSWERS).map_or((false, lower.as_str()), |plain| (true, plain));
    match METRICS.iter().find(|(known, _)| *known == plain) {
        Some((_, Metric::Latency { figure, .. })) => Ok(Metric::Latency { figure: *figure, answers }),
        Some((known, _)) if answers => {
            Err(format!("'{known}' is no latency: '{ANSWERS}' goes before p50, p90, p99, p99.9, max or mean"))
        }
        Some((_, metric)) => Ok(*metric),
        None => {
            let names = METRICS.iter().map(|(known, _)| *known);
            let advice = match nearest(plain, &names) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("choose {}", names.collect::<Vec<_>>().join(", ")),
            };
            Err(format!("'{name}' is no metric: {advice}"))
        }
    }
}

fn operator(text: &str) -> Result<Operator, String> {
    let known = OPERATORS.iter().find(|(known, _)| *known == text);
    known.map(|(_, operator)| *operator).ok_or_else(|| {
        let advice = match text {
            "==" | "===" => "did you mean '='?",
            "=<" | "≤" => "did you mean '<='?",
            "=>" | "≥" => "did you mean '>='?",
            _ => "write one of < <= > >= =",
        };
        format!("'{text}' is no operator: {advice}")
    })
}

impl Metric {
    fn limit(self, value: &str) -> Result<Limit, String> {
        let share = |value: &str| parse_percent(value).map(Limit::Share);
        let number = |value: &str| value.parse().map(Limit::Number).ok();
        let read = match self {
            Metric::Outage | Metric::Rate | Metric::Count(_) if value.ends_with('%') => share(value),
            Metric::Latency { .. } | Metric::Outage => parse_duration(value).map(Limit::Time),
            Metric::Rate => number(value.strip_suffix("/s").unwrap_or(value)).ok_or_else(|| {
                format!("'{value}' is no rate: write whole operations a second, or a percentage of --rate")
            }),
            Metric::Count(_) => number(value).ok_or_else(|| {
                format!("'{value}' is no count: write a whole number, or a percentage of what was sent")
            }),
        };
        read.map_err(|reason| format!("{self}: {reason}, as in {}", self.example()))
    }

    fn example(self) -> String {
        match self {
            Metric::Latency { .. } => format!("{self}<50ms"),
            Metric::Rate => format!("{self}>=5000"),
            Metric::Count(Count::Answered) => format!("{self}>=99%"),
            Metric::Count(_) => format!("{self}=0 or {self}<1%"),
            Metric::Outage => format!("{self}<1s or {self}<5%"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plain, prefix) = match *self {
            Metric::Latency { figure, answers: true } => (latency(figure), ANSWERS),
            metric => (metric, ""),
        };
        let name = METRICS.iter().find(|(_, metric)| *metric == plain).map_or("", |(name, _)| name);
        write!(f, "{prefix}{name}")
    }
}

impl fmt::Display for Expectation {
    /// `p99 < 50ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign =
            OPERATORS.iter().find(|(_, operator)| *operator == self.operator).map_or("", |(sign, _)| sign);
        write!(f, "{} {sign} ", self.metric)?;
        match self.limit {
            Limit::Time(limit) => f.write_str(&duration_text(limit)),
            Limit::Number(limit) => write!(f, "{limit}"),
            Limit::Share(limit) => f.write_str(&percent_text(limit)),
        }
    }
}

impl fmt::Display for Judgment {
    /// `PASS p99 < 50ms: 16.2 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judgment { expectation, pass, found } = self;
        write!(f, "{} {expectation}: {found}", if *pass { "PASS" } else { "FAIL" })
    }
}

impl Expectation {
    /// Whether it makes sense in a closed loop, which wants no rate.
    ///
    /// # Errors
    /// One line: what to write instead.
    pub(super) fn check(&self, rate: Option<u64>) -> Result<(), String> {
        match (self.metric, self.limit, rate) {
            (Metric::Rate, Limit::Share(_), None) => {
                Err(format!("'{self}': a percentage is of --rate, which is not given: write rate>=5000"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn judge(&self, load: &Summary) -> Judgment {
        let (value, found) = self.found(load);
        let limit = match self.limit {
            Limit::Time(limit) => limit.as_secs_f64() * 1e6,
            Limit::Number(limit) => float(limit),
            Limit::Share(share) => f64::from(share) / 1e4,
        };
        // Counts are compared exactly; times are known to a hundredth.
        let pass = value.is_some_and(|value| match self.operator {
            Operator::Below => value < limit,
            Operator::AtMost => value <= limit,
            Operator::Above => value > limit,
            Operator::AtLeast => value >= limit,
            Operator::Equal => (value - limit).abs() < f64::EPSILON,
        });
        Judgment { expectation: self.to_string(), pass, found }
    }

    /// The value in the limit's unit (microseconds, operations, percent), and as people read it. None where nothing
    /// was measured.
    fn found(&self, load: &Summary) -> (Option<f64>, String) {
        let percent = |part: f64, whole: f64| quotient(100.0 * part, whole);
        let sent = float(load.sent);
        let (value, shown, share) = match self.metric {
            Metric::Latency { figure, answers } => {
                let latency = if answers { load.response } else { load.all };
                let value = latency.map(|latency| figure.of(&latency));
                (value, value.map(micros_shown), None)
            }
            Metric::Rate => {
                let shown = format!("{}/s", grouped(whole(load.throughput.round())));
                let share = load.rate.and_then(|rate| percent(load.throughput, float(rate)));
                (Some(load.throughput), Some(shown), share)
            }
            Metric::Count(count) => {
                let number = count.of(load);
                let of = if count == Count::Unsent { sent + float(number) } else { sent };
                (Some(float(number)), Some(grouped(number)), percent(float(number), of))
            }
            Metric::Outage => {
                let micros = load.outage * 1e6;
                (Some(micros), Some(micros_shown(micros)), percent(load.outage, load.elapsed))
            }
        };
        let measured = load.sent + load.unsent + load.answered_in_time > 0;
        let value = if matches!(self.limit, Limit::Share(_)) { share } else { value }.filter(|_| measured);
        match (value, shown) {
            (Some(_), Some(shown)) => {
                let share = share.map_or_else(String::new, |share| format!(" ({share:.1} %)"));
                (value, format!("{shown}{share}"))
            }
            _ => (None, "nothing was measured".to_string()),
        }
    }
}

impl Figure {
    fn of(self, latency: &Figures) -> f64 {
        match self {
            Figure::P50 => latency.p50,
            Figure::P90 => latency.p90,
            Figure::P99 => latency.p99,
            Figure::P999 => latency.p999,
            Figure::Max => latency.max,
            Figure::Mean => latency.mean,
        }
    }
}

impl Count {
    fn of(self, load: &Summary) -> u64 {
        match self {
            Count::Answered => load.answered,
            Count::Refused => load.refused,
            Count::Failed => load.failed,
            Count::Rejected => load.failed - load.unknown,
            Count::Unknown => load.unknown,
            Count::Unsent => load.unsent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let figures = |p99| Some(Figures { p99, max: 700_000.0, ..Figures::default() });
        Summary {
            elapsed: 2.0,
            sent: 3_000,
            answered: 1_000,
            answered_in_time: 1_000,
            failed: 2_000,
            unknown: 1_990,
            rejected: [("no leader", 10)].into(),
            rate: Some(1_000),
            throughput: 500.0,
            response: figures(16_200.0),
            all: figures(600_000.0),
            outage: 1.8,
            ..Summary::default()
        }
    }

    #[test]
    fn an_expectation_is_held_against_what_was_measured() {
        for (text, line) in [
            ("p99<50ms", "FAIL p99 < 50ms: 600 ms"),
            ("answers.p99 < 50ms", "PASS answers.p99 < 50ms: 16.2 ms"),
            ("P99 <= 600ms", "PASS p99 <= 600ms: 600 ms"),
            ("max>1s", "FAIL max > 1s: 700 ms"),
            ("failed=0", "FAIL failed = 0: 2,000 (66.7 %)"),
            ("failed<=70%", "PASS failed <= 70%: 2,000 (66.7 %)"),
            ("rejected=10", "PASS rejected = 10: 10 (0.3 %)"),
            ("unknown<1%", "FAIL unknown < 1%: 1,990 (66.3 %)"),
            ("unsent=0", "PASS unsent = 0: 0 (0.0 %)"),
            ("rate>=500/s", "PASS rate >= 500: 500/s (50.0 %)"),
            ("throughput>=95%", "FAIL rate >= 95%: 500/s (50.0 %)"),
            ("outage<1s", "FAIL outage < 1s: 1.8 s (90.0 %)"),
            ("outage<95%", "PASS outage < 95%: 1.8 s (90.0 %)"),
        ] {
            let expectation: Expectation = text.parse().expect(text);
            assert_eq!(expectation.judge(&summary()).to_string(), line);
            assert_eq!(expectation.to_string().parse(), Ok(expectation), "what is shown can be typed");
        }
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        for text in ["p99<50ms", "failed=0", "outage<1s", "failed<1%", "rate<5"] {
            let expectation: Expectation = text.parse().expect(text);
            let judgment = expectation.judge(&Summary::default());
            assert!(!judgment.pass && judgment.found == "nothing was measured", "{judgment}");
        }
        let rate: Expectation = "rate>=95%".parse().expect("an expectation");
        assert!(rate.check(None).is_err_and(|reason| reason.contains("--rate, which is not given")));
        assert_eq!(rate.check(Some(5)), Ok(()));
    }

    #[test]
    fn a_malformed_expectation_says_what_to_write() {
        for (text, said) in [
            ("", "as in p99<50ms"),
            ("p99", "'p99' has no operator: write one of < <= > >= =, as in p99<50ms"),
            ("p99 50ms", "has no operator"),
            ("<50ms", "'<50ms' names no metric: write one before the operator"),
            ("p99<", "'p99<' has no value: write p99<50ms"),
            ("p98<50ms", "'p98' is no metric: did you mean 'p9"),
            ("faild=0", "did you mean 'failed'?"),
            ("color=0", "'color' is no metric: choose p50, p90"),
            ("answers.failed=0", "'failed' is no latency"),
            ("p99==50ms", "'==' is no operator: did you mean '='?"),
            ("p99=<50ms", "did you mean '<='?"),
            ("p99≤50ms", "did you mean '<='?"),
            ("rate=>5", "did you mean '>='?"),
            ("failed!=0", "'!=' is no operator: write one of"),
            ("p99<50", "p99: '50' has no unit: write 50s or 50ms"),
            ("p99<50%", "'50%' is not a duration"),
            ("outage<1", "outage: '1' has no unit"),
            (
                "failed=1.5",
                "failed: '1.5' is no count: write a whole number, or a percentage of what was sent",
            ),
            ("failed=-1", "'-1' is no count"),
            ("failed<1s", "'1s' is no count"),
            ("failed<120%", "is not a percentage"),
            ("rate>5k", "rate: '5k' is no rate"),
            ("failed=0 unknown=0", "'0 unknown=0' is no count"),
        ] {
            let reason = text.parse::<Expectation>().expect_err(text);
            assert!(reason.contains(said) && !reason.contains('\n'), "{text}: {reason}");
        }
    }
}
