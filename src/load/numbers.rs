//! Between whole numbers and fractions: the few places where precision beyond 2^53 does not matter.

use std::time::Duration;

/// As a fraction. Beyond 2^53 it is rounded, which no figure shows.
#[expect(clippy::cast_precision_loss, reason = "figures for people have six digits at most")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// As a whole number: what is below zero or no number is zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, as it should"
)]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}

/// So many in this time, a second; zero in no time.
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    ratio(float(count), time.as_secs_f64())
}

/// One by the other; zero where there is nothing to divide by.
pub(super) fn ratio(one: f64, other: f64) -> f64 {
    quotient(one, other).unwrap_or(0.0)
}

/// One by the other; none where there is nothing to divide by.
pub(super) fn quotient(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then(|| one / other)
}

/// Nanoseconds.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A whole number with commas: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
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
}
