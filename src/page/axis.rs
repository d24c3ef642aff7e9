//! Axes: where a value lies between two ends, and which values are labelled.

use crate::text::numbers::{float, ratio, whole};

/// How wide the drawings count themselves; the browser stretches them.
pub(super) const WIDTH: f64 = 1000.0;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scale {
    #[default]
    Linear,
    /// By powers of ten; only values above zero have a place.
    Logarithmic,
}

/// An axis from one value to another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Axis {
    pub scale: Scale,
    pub low: f64,
    pub high: f64,
}

impl Axis {
    /// From zero to a round number above all values, or over the powers of ten that hold them.
    pub fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Axis {
        let ends = values.filter(|value| *value > 0.0 && value.is_finite());
        let (low, high) =
            ends.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
        match scale {
            Scale::Linear => {
                let step = step(high);
                Axis { scale, low: 0.0, high: step * (high / step).ceil() }
            }
            Scale::Logarithmic => {
                let (low, high) = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
                Axis { scale, low, high: if high > low { high } else { low * 10.0 } }
            }
        }
    }

    /// Over a time in seconds that begins at zero.
    pub fn time(until: f64) -> Axis {
        Axis { scale: Scale::Linear, low: 0.0, high: if until > 0.0 { until } else { 1.0 } }
    }

    /// Whether the value has a place.
    pub fn has(&self, value: f64) -> bool {
        value > 0.0 || self.scale == Scale::Linear
    }

    /// How far a value lies between the ends, from 0 to 1.
    pub fn part(&self, value: f64) -> f64 {
        let Axis { scale, low, high } = *self;
        let part = match scale {
            Scale::Linear => ratio(value - low, high - low),
            Scale::Logarithmic => ratio(value.log10() - low.log10(), high.log10() - low.log10()),
        };
        part.clamp(0.0, 1.0)
    }

    /// The values that are labelled.
    pub fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.high);
                let count = whole((self.high / step).round());
                (0..=count).map(|nth| float(nth) * step).collect()
            }
            Scale::Logarithmic => {
                let powers = (0..30).map(|power| self.low * 10f64.powi(power));
                powers.take_while(|value| *value <= self.high * 1.001).collect()
            }
        }
    }
}

/// Labels of an axis of time, in seconds, at whole steps: at most a dozen.
pub fn seconds(until: f64) -> Vec<(f64, String)> {
    if until <= 2.0 {
        let steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
        let step = steps.into_iter().find(|step| until / step <= 12.0).unwrap_or(0.5);
        let count = whole(until / step + 1e-9);
        return (0..=count).map(|nth| float(nth) * step).map(|at| (at, short(at))).collect();
    }
    let steps = [1_u64, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 36_000];
    let step = steps.into_iter().find(|step| until / float(*step) <= 12.0).unwrap_or(360_000);
    let last = whole(until / float(step) + 1e-9);
    (0..=last).map(|nth| nth * step).map(|at| (float(at), at.to_string())).collect()
}

/// With three decimals at most, and no needless zeros.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// How far apart labels stand from zero to this value: a one, two or five with zeros, at most five of them.
fn step(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0].map(|step| step * unit);
    steps.into_iter().find(|step| value / step <= 5.0).unwrap_or(50.0 * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_values_make_a_whole_axis() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            for values in [vec![], vec![0.0], vec![f64::NAN], vec![5.0], vec![1e-9, 1e12]] {
                let axis = Axis::of(scale, values.iter().copied());
                assert!(axis.low < axis.high && axis.high.is_finite(), "{axis:?}");
                assert!((0.0..=1.0).contains(&axis.part(5.0)), "{axis:?}");
                assert!((2..=30).contains(&axis.ticks().len()), "{axis:?}");
            }
        }
    }

    #[test]
    fn an_axis_from_zero_has_round_labels() {
        for (value, labels) in [
            (3.0, vec![0.0, 1.0, 2.0, 3.0]),
            (10.0, vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
            (6_449.0, vec![0.0, 2_000.0, 4_000.0, 6_000.0, 8_000.0]),
            (13_600.0, vec![0.0, 5_000.0, 10_000.0, 15_000.0]),
        ] {
            assert_eq!(Axis::of(Scale::Linear, [value].into_iter()).ticks(), labels);
        }
    }

    #[test]
    fn times_have_at_most_a_dozen_labels() {
        for until in [0.0, 0.001, 0.037, 0.5, 1.9, 4.04, 10.2, 59.0, 3_601.0, 1e6] {
            let ticks = seconds(until);
            assert!((1..=14).contains(&ticks.len()), "{until}: {ticks:?}");
            assert!(ticks.iter().all(|(at, _)| *at <= until + 1e-6), "{until}: {ticks:?}");
        }
        let labels: Vec<String> = seconds(0.3).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3"]);
    }
}
