//! The console language: one grammar for the prompt, piped input, script files, golden tests and buttons.
//!
//! ```text
//! line        = [ directive [ "for" DURATION ] ] [ "#" comment ]
//! directive   = verb { argument | option }          verbs in any case; the listed aliases, no prefixes
//! option      = "--name" [ value ] | "--name=value" | "@" node
//! node        = "n1" .. "n99"
//! target      = node { "," node } | leader | followers | random | minority | majority | all
//! link        = node ">" node (one way) | node "<>" node (both ways) | clients;   none: every link
//! duration    = 100us | 150ms | 2s | 1.5s | 1m | 1h | 0        percentage = 0% .. 100%, 0.5%
//! word        = anything without spaces | "text with \" \\ \n \t \r \u{7f}" | 'text as it stands'
//! ```
//!
//! [`parse()`] turns a line into a [`Line`]; `Line`'s `Display` is the canonical text and parses back to itself.
//! [`mod@vocabulary`] lists every verb once, and parser, help, completion and suggestions all read that list.
//! [`answer`] holds the forms in which answers are given, as text and as JSON.
//!
//! Pure: no clock, thread, file or terminal is touched here, and nothing knows of a cluster.

pub mod answer;
mod arguments;
pub mod complete;
pub mod condition;
pub mod directive;
mod display;
pub mod help;
pub mod layout;
pub mod lexer;
pub mod parse;
#[cfg(test)]
mod roundtrip;
pub(crate) mod suggest;
pub mod units;
pub mod verbs;
pub mod vocabulary;

pub use answer::{Answer, DataAnswer, DataOutcome, Outcome, Place};
pub use condition::{AnswerKind, Condition, Expectation, RoleName};
pub use directive::{
    DataDirective, DataOperation, Directive, EventFilter, Line, Link, LinkEnd, LoadDirective, PartitionShape,
    ReadMode, Target,
};
pub use parse::{ParseError, parse};
pub use units::{Chance, Speed};
