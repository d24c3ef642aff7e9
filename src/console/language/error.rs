//! Why a line is not understood.

use std::error::Error;
use std::fmt;

/// What is wrong with a line, and what to write instead: one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError(String);

impl ParseError {
    pub(super) fn new(message: impl Into<String>) -> ParseError {
        ParseError(message.into())
    }
}

impl From<String> for ParseError {
    fn from(message: String) -> ParseError {
        ParseError(message)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ParseError {}
