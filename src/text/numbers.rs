//! Numbers and times as people read them, and fractions of whole numbers: precision beyond 2^53 does not matter here.

use std::time::Duration;

/// The number as a fraction. Beyond 2^53 it is rounded, which no figure shows.
#[expect(clippy::cast_precision_loss, reason = "figures for people have six digits at most")]
pub fn float(number: u64) -> f64 {
    number as f64
}

/// The whole part; zero for what is below zero or not a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, as it should"
)]
pub fn whole(number: f64) -> u64 {
    number as u64
}

/// How many a second, of this many in this time; zero in no time.
pub fn rate(count: u64, time: Duration) -> f64 {
    ratio(float(count), time.as_secs_f64())
}

/// One number divided by the other; zero where the other is not above zero.
pub fn ratio(one: f64, other: f64) -> f64 {
    quotient(one, other).unwrap_or(0.0)
}

/// One number divided by the other; none where the other is not above zero.
pub fn quotient(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then(|| one / other)
}

/// The duration in nanoseconds; the most that fits, if it does not.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A whole number with commas: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With three digits: `21.3 us`, `1.23 ms`, `312 ms`, `2 s`.
pub fn micros_shown(micros: f64) -> String {
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

/// As [`micros_shown`], from seconds.
pub fn seconds_shown(seconds: f64) -> String {
    micros_shown(seconds * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_divided_by_nothing() {
        assert!(rate(5, Duration::ZERO).abs() < f64::EPSILON);
        assert!((rate(5, Duration::from_millis(500)) - 10.0).abs() < f64::EPSILON);
        assert_eq!((whole(-1.0), whole(f64::NAN), whole(2.9)), (0, 0, 2));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn latencies_have_three_digits() {
        let shown = [0.0, 9.999, 21.34, 134.2, 999.7, 1_230.0, 312_400.0, 2e6].map(micros_shown);
        assert_eq!(shown, ["0 us", "10 us", "21.3 us", "134 us", "1 ms", "1.23 ms", "312 ms", "2 s"]);
    }
}
