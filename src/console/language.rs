//! The console language: one grammar for the prompt, piped input, script files, golden tests and buttons.
//!
//! ```text
//! line        = [ directive [ "for" DURATION ] ] [ "#" comment ]
//! directive   = verb { argument | option }          verbs in any case; the listed aliases, no prefixes
//! option      = "--name" [ value ] | "--name=value" | "@" node;   "--" ends the options
//! node        = "n1" .. "n99"
//! target      = node { "," node } | leader | followers | random | minority | majority | all
//! side        = target | clients
//! link        = side ">" side (one way) | side "<>" side (both ways) | clients;   none: every link
//! groups      = group { "/" group };   group = target { " " target }
//! duration    = 100us | 150ms | 2s | 1.5s | 1m | 1h | 0        percentage = 0% .. 100%, 0.5%
//! word        = anything without spaces | "text with \" \\ \n \t \r \u{7f}" | 'text as it stands'
//! ```
//!
//! A verb is one row beside the function that executes it, in the files of [`executor`](super::executor): its name, its
//! slots and its help. What is here reads, shows, completes and explains directives by those rows, which
//! `Language::new` is handed. A directive's `Display` is its canonical text and parses back to itself.
//!
//! Pure: no clock, thread, file or terminal is touched here, and nothing knows of a cluster.

mod error;
pub(crate) mod lexer;
mod kind;
pub(crate) mod form;
mod target;
mod links;
mod shape;
mod phrase;
mod read;
mod vocabulary;
mod arguments;
mod parse;
mod complete;
mod help;
mod answer;

pub use answer::{Answer, Outcome};
pub(crate) use complete::Names;
pub use error::ParseError;
pub(crate) use form::{Form, Slot, Topic, form};
pub(crate) use kind::Kind;
pub(crate) use links::{LinkSide, Links};
pub(crate) use parse::LINE_BYTES_MAX;
pub(crate) use phrase::{Condition, Value};
pub use phrase::{Directive, Phrase};
pub(crate) use shape::{Group, PartitionShape};
pub(crate) use target::Target;
pub(crate) use vocabulary::Language;
#[cfg(test)]
pub(crate) use vocabulary::{FAMILIAR, subjects};
