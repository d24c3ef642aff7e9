//! Quantities as people write them: durations, percentages, speeds.
//!
//! All are kept as whole numbers, so that what is shown parses back to the same value. Errors are whole
//! sentences for the person who typed the quantity.

use std::fmt;
use std::time::Duration;

use super::shorten;

/// The longest duration that can be written.
pub const DURATION_MAX: Duration = Duration::from_secs(1_000 * 3_600);

/// The fastest speed other than `max`, in thousandths.
const SPEED_MAX: u64 = 1_000_000_000;

const MILLION: u32 = 1_000_000;

/// Letters that a duration has at most.
const DURATION_LETTERS_MAX: usize = 24;

/// More digits than any quantity within the limits has; keeps the arithmetic far from overflow.
const DIGITS_MAX: usize = 15;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speed {
    /// This many thousandths of the wall clock's pace: 1,000 is real time.
    Factor {
        /// Thousandths; at least 1.
        per_thousand: u64,
    },
    Max,
}

impl Speed {
    /// From `10`, `0.5`, `10x` or `max`.
    ///
    /// # Errors
    /// The forms, when the text has none of them.
    pub fn parse(text: &str) -> Result<Speed, String> {
        if text.eq_ignore_ascii_case("max") {
            return Ok(Speed::Max);
        }
        scaled(text.strip_suffix(['x', 'X']).unwrap_or(text), 3)
            .filter(|per_thousand| (1..=SPEED_MAX).contains(per_thousand))
            .map(|per_thousand| Speed::Factor { per_thousand })
            .ok_or_else(|| {
                let text = shorten(text);
                format!(
                    "'{text}' is not a speed: write a factor of 0.001 to 1000000, such as 0.5 or 10, or max"
                )
            })
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speed::Factor { per_thousand } => f.write_str(&decimal(*per_thousand, 3)),
            Speed::Max => f.write_str("max"),
        }
    }
}

/// A duration, in the one grammar for settings, options and directives: `100us`, `150ms`, `2s`, `1.5s`, `1m 30s`, `1h`,
/// or `0`.
///
/// # Errors
/// The forms, when the text has none of them, or the limit, when it is above.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    // The parser's sums overflow on some longer texts.
    let readable = Some(text.to_lowercase()).filter(|text| text.len() <= DURATION_LETTERS_MAX);
    let read = readable.and_then(|text| humantime::parse_duration(text.trim()).ok()).ok_or_else(|| {
        let shown = shorten(text);
        match scaled(text, 9) {
            Some(_) => format!("'{shown}' has no unit: write {shown}s or {shown}ms"),
            None => format!("'{shown}' is not a duration: write 100us, 150ms, 2s, 1.5s, 1m or 1h"),
        }
    })?;
    if read > DURATION_MAX {
        let most = duration_text(DURATION_MAX);
        return Err(format!("'{}' is too long: at most {most}", shorten(text)));
    }
    Ok(read)
}

/// A probability in parts of a million, from `20%` or `0.5%`.
///
/// # Errors
/// The forms, when the text has none of them.
pub fn parse_percent(text: &str) -> Result<u32, String> {
    text.strip_suffix('%')
        .and_then(|number| scaled(number, 4))
        .and_then(|parts| u32::try_from(parts).ok())
        .filter(|parts| *parts <= MILLION)
        .ok_or_else(|| format!("'{}' is not a percentage: {}", shorten(text), percent_advice(text)))
}

/// What a number without a sign may have meant.
fn percent_advice(text: &str) -> String {
    let percent = scaled(text, 4).filter(|parts| *parts <= u64::from(MILLION));
    let share = scaled(text, 6)
        .and_then(|parts| u32::try_from(parts).ok())
        .filter(|parts| (1..MILLION).contains(parts));
    match (percent, share) {
        (Some(_), Some(share)) => format!("write {text}% or {}", percent_text(share)),
        (Some(_), None) => format!("write {text}%"),
        (None, _) => "write 0% to 100%, such as 20% or 0.5%".to_string(),
    }
}

/// The canonical text of a probability in parts of a million: `0.5%`.
pub fn percent_text(per_million: u32) -> String {
    format!("{}%", decimal(u64::from(per_million), 4))
}

/// The canonical text of a duration, exact to the nanosecond: `150ms`, `1.5s`, `1m`.
pub fn duration_text(duration: Duration) -> String {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let wholes = [(3_600_000_000_000, "h"), (60_000_000_000, "m")];
    match wholes.iter().find(|(unit, _)| nanos != 0 && nanos.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", nanos / unit),
        None if nanos == 0 => "0s".to_string(),
        None if nanos >= 1_000_000_000 => format!("{}s", decimal(nanos, 9)),
        None if nanos >= 1_000_000 => format!("{}ms", decimal(nanos, 6)),
        None => format!("{}us", decimal(nanos, 3)),
    }
}

/// `12.5` as a whole number of 10^-`places`; none when it is no such number or has more places.
fn scaled(text: &str, places: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| {
        !part.is_empty() && part.len() <= DIGITS_MAX && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole) || !digits(fraction) || fraction.len() > places {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    format!("{fraction:0<places$}").parse::<u64>().ok()?.checked_add(whole.checked_mul(power_of_ten(places))?)
}

/// A whole number of 10^-`places` as a decimal, without zeros at the end: `12.5`.
pub(crate) fn decimal(value: u64, places: usize) -> String {
    let unit = power_of_ten(places);
    let text = format!("{}.{:0places$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn power_of_ten(places: usize) -> u64 {
    (0..places).fold(1, |unit, _| unit * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly_and_shown_canonically() {
        for (written, nanos, shown) in [
            ("150ms", 150_000_000, "150ms"),
            ("2s", 2_000_000_000, "2s"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("1500ms", 1_500_000_000, "1.5s"),
            ("100us", 100_000, "100us"),
            ("0.1ms", 100_000, "100us"),
            ("1m", 60_000_000_000, "1m"),
            ("90s", 90_000_000_000, "90s"),
            ("60S", 60_000_000_000, "1m"),
            ("1h", 3_600_000_000_000, "1h"),
            ("1m 30s", 90_000_000_000, "90s"),
            ("1s500ms", 1_500_000_000, "1.5s"),
            ("1ns", 1, "0.001us"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
        ] {
            let duration = parse_duration(written).unwrap();
            assert_eq!(duration, Duration::from_nanos(nanos), "{written}");
            assert_eq!(duration_text(duration), shown);
        }
    }

    #[test]
    fn a_malformed_duration_is_refused_with_the_forms() {
        for number in ["5", "1.5", "007"] {
            let said = format!("'{number}' has no unit: write {number}s or {number}ms");
            assert_eq!(parse_duration(number).unwrap_err(), said);
        }
        for wrong in ["", "s", "-1s", "1..5s", ".5s", "1.s", "1e3s", "1.5.5s", "٣s"] {
            let error = parse_duration(wrong).unwrap_err();
            assert!(error.contains("write 100us, 150ms, 2s"), "{wrong}: {error}");
        }
        assert_eq!(parse_duration("1001h").unwrap_err(), "'1001h' is too long: at most 1000h");
        for huge in ["999999999999999h", "18446744073709551615s 1000000000ns"] {
            assert!(parse_duration(huge).is_err());
        }
    }

    #[test]
    fn percentages_are_kept_in_parts_of_a_million() {
        for (written, per_million) in [("0%", 0), ("20%", 200_000), ("0.5%", 5_000), ("100%", 1_000_000)] {
            assert_eq!(parse_percent(written), Ok(per_million));
            assert_eq!(percent_text(per_million), written);
        }
        for wrong in ["20", "101%", "-1%", "%", "0.00001%", "100.0001%", "a%", "20%%"] {
            assert!(parse_percent(wrong).is_err(), "{wrong}");
        }
        for (number, advice) in
            [("20", "write 20%"), ("0.2", "write 0.2% or 20%"), ("120", "write 0% to 100%")]
        {
            let said = parse_percent(number).unwrap_err();
            assert!(said.starts_with(&format!("'{number}' is not a percentage: {advice}")), "{said}");
        }
    }

    #[test]
    fn speeds_are_factors_or_max() {
        for (written, shown) in [("10", "10"), ("0.5", "0.5"), ("10x", "10"), ("MAX", "max")] {
            assert_eq!(Speed::parse(written).unwrap().to_string(), shown);
        }
        for wrong in ["0", "fast", "-1", "1000001", "0.0001"] {
            assert!(Speed::parse(wrong).is_err(), "{wrong}");
        }
    }
}
