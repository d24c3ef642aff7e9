//! From a line of text to a directive.
//!
//! Any text is answered with a directive, with nothing (a blank line, a comment), or with one line that says what
//! is wrong and what to do. No text makes it panic.

use super::arguments::{Arguments, split_lasting};
use super::error::ParseError;
use super::lexer::{Word, split};
use super::phrase::Directive;
use super::vocabulary::{FAMILIAR, Language};
use crate::text::shorten;
use crate::text::suggest::advice;

/// Bytes in a line at most: room for the largest value of the default settings, even when every byte of it is escaped.
/// How long a value may be, the cluster's settings say, and the cluster.
pub const LINE_BYTES_MAX: usize = 8 << 20;

impl Language {
    /// The directive on a line; none on a blank line or a comment.
    ///
    /// # Errors
    /// One line that says what is wrong with the text and what to write instead.
    pub fn parse(&self, text: &str) -> Result<Option<Directive>, ParseError> {
        if text.len() > LINE_BYTES_MAX {
            let bytes = text.len();
            let limit = format!("the line has {bytes} bytes: a line has at most {LINE_BYTES_MAX}");
            return Err(ParseError::new(limit));
        }
        let line = split(text);
        if let Some(error) = line.error {
            return Err(error);
        }
        self.read(line.words)
    }

    /// The directive that these words make; none without a word.
    pub(super) fn read(&self, words: Vec<Word>) -> Result<Option<Directive>, ParseError> {
        let mut words = words.into_iter();
        let Some(verb) = words.next() else { return Ok(None) };
        let form = self.find(&verb.text).ok_or_else(|| self.unknown_verb(&verb.text))?;
        let (words, lasting) = split_lasting(form, words.collect())?;
        let mut arguments = Arguments::new(self, form, words)?;
        let mut directive = arguments.fill(form)?;
        directive.lasting = lasting;
        arguments.finish()?;
        Ok(Some(directive))
    }

    fn unknown_verb(&self, text: &str) -> ParseError {
        let familiar = FAMILIAR.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(text));
        let advice = match familiar {
            Some((_, verb)) => format!(": did you mean '{verb}'?"),
            None => advice(text, &self.names(), "try 'help'"),
        };
        ParseError::new(format!("unknown directive '{}'{advice}", shorten(text)))
    }
}
