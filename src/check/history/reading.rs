//! A whole history: its operations, line by line, and what stands before and behind them.
//!
//! A history that begins in the middle of a cluster's life says so in its first line, [`START_UNKNOWN`]. A last line
//! without its end that cannot be read was cut off when its program was killed: it is told apart from damage.

use serde::de::IgnoredAny;

use super::super::linearizability::Start;
use super::{LineError, Operation};

/// The first line of a history whose keys may hold anything when it begins.
pub const START_UNKNOWN: &str = r#"{"start":"unknown"}"#;

/// What a history's text holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// What the keys held before.
    pub start: Start,
    /// The operations, in the order of their lines.
    pub operations: Vec<Operation>,
    /// The line of each.
    pub lines: Vec<usize>,
    /// The number of the last line, if it was cut off: its operation is missing.
    pub torn: Option<usize>,
}

/// Reads a history. Empty lines count and say nothing.
///
/// # Errors
/// The number of the first line that cannot be read, and what is wrong with it.
pub fn read(text: &[u8]) -> Result<Reading, (usize, LineError)> {
    let mut reading = Reading::default();
    for (number, line) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
        let whole = line.ends_with(b"\n");
        if !whole && is_cut_off(line) {
            reading.torn = Some(number);
            continue;
        }
        let line = std::str::from_utf8(line).map_err(|error| (number, LineError(error.to_string())))?.trim();
        match line {
            "" => {}
            START_UNKNOWN if number == 1 => reading.start = Start::Unknown,
            _ => {
                reading.operations.push(Operation::from_line(line).map_err(|error| (number, error))?);
                reading.lines.push(number);
            }
        }
    }
    Ok(reading)
}

/// Whether more text might have made it a line.
fn is_cut_off(line: &[u8]) -> bool {
    let begun = line.iter().any(|byte| !byte.is_ascii_whitespace());
    let error = std::str::from_utf8(line).err();
    // A letter of several bytes may be cut too; what stands before it is the beginning of a line.
    let text = &line[..error.map_or(line.len(), |error| error.valid_up_to())];
    let ended = error.is_none_or(|error| error.error_len().is_none());
    begun && ended && serde_json::from_slice::<IgnoredAny>(text).is_err_and(|error| error.is_eof())
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &str = r#"{"client":1,"key":"x","op":"read","call_ns":1,"ok":null}"#;

    #[test]
    fn the_first_line_may_say_that_the_start_is_unknown() {
        let reading = read(format!("{START_UNKNOWN}\n\n{READ}\n").as_bytes()).expect("readable");
        assert_eq!((reading.start, reading.lines, reading.torn), (Start::Unknown, vec![3], None));
        let (number, _) = read(format!("{READ}\n{START_UNKNOWN}\n").as_bytes()).expect_err("too late");
        assert_eq!(number, 2);
    }

    #[test]
    fn a_line_that_was_cut_off_is_told_apart_from_damage() {
        for cut in 1..READ.len() {
            let text = format!("{READ}\n{}", &READ[..cut]);
            let reading = read(text.as_bytes()).expect("readable");
            assert_eq!((reading.lines.len(), reading.torn), (1, Some(2)), "{text}");
        }
        let whole = read(format!("{READ}\n{READ}").as_bytes()).expect("readable");
        assert_eq!((whole.lines.len(), whole.torn), (2, None), "it lacks only its end");
        assert_eq!(read(b"{\"client\":1\n").expect_err("damaged").0, 1);
        assert_eq!(read(b"{}").expect_err("all of it is there").0, 1);
        assert_eq!(read(b"\xff\n").expect_err("no text").0, 1);
        assert_eq!(read(b"{\"key\":\"\xc3").expect("cut in a letter").torn, Some(1));
    }
}
