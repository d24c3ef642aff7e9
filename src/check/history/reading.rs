//! A whole history: its operations, line by line, and what stands before and behind them.
//!
//! A history that begins in the middle of a cluster's life says so in its first line, [`START_UNKNOWN`]. A load's has a
//! line that says when its warm-up ended. A last line without its end that cannot be read was cut off when its program was
//! killed: it is told apart from damage.

use serde::de::IgnoredAny;

use super::super::linearizability::Start;
use super::line::Line;
use super::{LineError, Operation, broken_rule};
use crate::types::Time;

/// The first line of a history whose keys may hold anything when it begins.
pub const START_UNKNOWN: &str = r#"{"start":"unknown"}"#;

/// Some editors begin a file with it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    pub start: Start,
    /// When the warm-up of the load that wrote it ends, if a line says so.
    pub warm_up_ends: Option<Time>,
    /// The operations, in the order of their lines.
    pub operations: Vec<Operation>,
    pub lines: Vec<usize>,
    /// The number of the last line, if it was cut off: its operation is missing.
    pub torn: Option<usize>,
}

/// Takes in a history line by line, so that its text need not be held.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    reading: Reading,
    number: usize,
    begun: bool,
}

/// Reads a history. Empty lines count and say nothing.
///
/// # Errors
/// The number of the first line that cannot be read, and what is wrong with it; if there is none, the line at which a
/// client breaks its rule.
pub fn read(text: &[u8]) -> Result<Reading, (usize, LineError)> {
    let mut reader = Reader::default();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        reader.take(line)?;
    }
    reader.end()
}

impl Reader {
    /// Takes the next line, with its end if it has one.
    ///
    /// # Errors
    /// As for [`read`].
    pub fn take(&mut self, line: &[u8]) -> Result<(), (usize, LineError)> {
        self.number += 1;
        let number = self.number;
        if !line.ends_with(b"\n") && is_cut_off(line) {
            self.reading.torn = Some(number);
            return Ok(());
        }
        let line = if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        let text = std::str::from_utf8(line).map_err(|error| {
            let at = error.valid_up_to() + 1;
            (number, LineError(format!("this is no text: byte {at} does not belong to UTF-8")))
        })?;
        if text.trim().is_empty() {
            return Ok(());
        }
        match Line::parse(text).map_err(|error| (number, error))? {
            Line::StartUnknown if self.begun => {
                return Err((number, LineError("start belongs on the first line of a history".to_string())));
            }
            Line::StartUnknown => self.reading.start = Start::Unknown,
            Line::WarmUpEnds(ends) => self.reading.warm_up_ends = Some(ends),
            Line::Operation(operation) => {
                self.reading.operations.push(operation);
                self.reading.lines.push(number);
            }
        }
        self.begun = true;
        Ok(())
    }

    pub fn lines(&self) -> usize {
        self.number
    }

    /// What was taken.
    ///
    /// # Errors
    /// The line at which a client breaks its rule.
    pub fn end(self) -> Result<Reading, (usize, LineError)> {
        let Reading { operations, lines, .. } = &self.reading;
        match broken_rule(operations) {
            Some(broken) => {
                let explanation = broken.explain(lines[broken.before]).to_string();
                Err((lines[broken.operation], LineError(explanation)))
            }
            None => Ok(self.reading),
        }
    }
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
    use super::super::warm_up_line;
    use super::*;

    const READ: &str = r#"{"client":1,"key":"x","op":"read","call_ns":1,"ok":null}"#;
    const OTHER: &str = r#"{"client":2,"key":"x","op":"read","call_ns":1,"ok":null}"#;

    #[test]
    fn the_first_line_may_say_that_the_start_is_unknown() {
        for start in [START_UNKNOWN, "{ \"start\" : \"\\u0075nknown\" }\r", "\u{feff}{\"start\":\"unknown\"}"]
        {
            let reading = read(format!("{start}\n\n{READ}\n").as_bytes()).expect("readable");
            assert_eq!((reading.start, reading.lines, reading.torn), (Start::Unknown, vec![3], None));
        }
        for late in [READ, START_UNKNOWN] {
            let (number, _) = read(format!("{late}\n{START_UNKNOWN}\n").as_bytes()).expect_err("too late");
            assert_eq!(number, 2);
        }
    }

    #[test]
    fn the_end_of_a_warm_up_is_no_operation() {
        let mark = warm_up_line(Time::from_nanos(7));
        assert_eq!(mark, r#"{"warm_up_ends_ns":7}"#);
        let reading = read(format!("{mark}\n{READ}\n").as_bytes()).expect("readable");
        assert_eq!((reading.lines, reading.warm_up_ends), (vec![2], Some(Time::from_nanos(7))));
        let key = READ.replace(r#""x""#, r#""warm_up_ends_ns""#);
        assert_eq!(read(key.as_bytes()).expect("readable").operations.len(), 1, "a key may have any name");
        for (wrong, said) in [
            (r#"{"warm_up_ends_ns":-7}"#, "warm_up_ends_ns is -7: what belongs there is a whole number"),
            (r#"{"warm_up_ends_ns":7,"ok":null}"#, "warm_up_ends_ns stands beside other members"),
        ] {
            let (number, error) = read(format!("{wrong}\n").as_bytes()).expect_err(wrong);
            assert!(number == 1 && error.to_string().starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_told_apart_from_damage() {
        for cut in 1..READ.len() {
            let text = format!("{READ}\n{}", &READ[..cut]);
            let reading = read(text.as_bytes()).expect("readable");
            assert_eq!((reading.lines.len(), reading.torn), (1, Some(2)), "{text}");
        }
        let whole = read(format!("{READ}\n{OTHER}").as_bytes()).expect("readable");
        assert_eq!((whole.lines.len(), whole.torn), (2, None), "it lacks only its end");
        assert_eq!(read(b"{\"client\":1\n").expect_err("damaged").0, 1);
        assert_eq!(read(b"{}").expect_err("all of it is there").0, 1);
        assert_eq!(read(b"\xff\n").expect_err("no text").0, 1);
        assert_eq!(read(b"{\"key\":\"\xc3").expect("cut in a letter").torn, Some(1));
    }

    #[test]
    fn the_rule_of_clients_is_enforced_with_the_lines() {
        let (number, error) = read(format!("\n{READ}\n{READ}\n").as_bytes()).expect_err("used up");
        let expected =
            "client 1 calls again after line 2, whose outcome is unknown: it needs a new number then";
        assert_eq!((number, error.to_string().as_str()), (3, expected));
    }
}
