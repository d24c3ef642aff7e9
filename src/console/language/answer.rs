//! What a directive answers, as text for people and as one JSON object for programs.
//!
//! The text of a long reason is cut; the JSON form has it whole.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::quoting::{ANSWER_LETTERS, visible_brief, visible_json};

const VERSION: u32 = 1;

/// How many letters of a reason are shown: it may repeat two values.
const REASON_LETTERS: usize = 3 * ANSWER_LETTERS;

/// What became of a directive, as exit codes and scripts see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Ok,
    /// A data command was refused (the key exists): an answer, no failure, unless an `expect` says so.
    Refused,
    /// It failed: a script stops here, the exit code is 1.
    Failed,
    /// Whether it was done is not known, or not known in time: a script stops here, the exit code is 3.
    Unknown,
}

impl Outcome {
    /// As the trace writes it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    pub directive: &'static str,
    pub outcome: Outcome,
    /// What a person reads; several lines for tables, empty for silence.
    pub text: String,
    /// What a program reads, in this order, beside `v`, `directive` and `ok`.
    pub details: Vec<(&'static str, Value)>,
}

impl Answer {
    /// It was done; the text stands as it is.
    pub fn ok(directive: &'static str, text: impl Into<String>) -> Answer {
        Answer { directive, outcome: Outcome::Ok, text: text.into(), details: Vec::new() }
    }

    /// It failed for this reason: `ERR reason`.
    pub fn failed(directive: &'static str, reason: impl fmt::Display) -> Answer {
        let reason = reason.to_string();
        let text = format!("ERR {}", reason_shown(&reason));
        Answer { directive, outcome: Outcome::Failed, text, details: vec![("error", Value::from(reason))] }
    }

    /// What became of it is not known, for this reason: `UNKNOWN reason`.
    pub fn unknown(directive: &'static str, reason: impl fmt::Display) -> Answer {
        let reason = reason.to_string();
        let text = format!("UNKNOWN {}", reason_shown(&reason));
        Answer { directive, outcome: Outcome::Unknown, text, details: vec![("error", Value::from(reason))] }
    }

    /// The same with one more detail for programs.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Answer {
        self.details.push((name, value.into()));
        self
    }

    /// One JSON object on one line. A text without details travels as `"text"`.
    pub fn json(&self) -> String {
        visible_json(serde_json::to_string(self).expect("names are texts and values are JSON already"))
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("v", &VERSION)?;
        map.serialize_entry("directive", self.directive)?;
        map.serialize_entry("ok", &(self.outcome == Outcome::Ok))?;
        for (name, value) in &self.details {
            map.serialize_entry(name, value)?;
        }
        if self.details.is_empty() && !self.text.is_empty() {
            map.serialize_entry("text", &self.text)?;
        }
        map.end()
    }
}

/// A reason may repeat what a person, a file or a state machine said.
fn reason_shown(reason: &str) -> String {
    visible_brief(reason, REASON_LETTERS).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_directives_answer_text_or_details() {
        let silent = Answer::ok("heal", "");
        assert_eq!(silent.json(), r#"{"v":1,"directive":"heal","ok":true}"#);
        let said = Answer::ok("echo", "a\nb");
        assert_eq!(said.json(), r#"{"v":1,"directive":"echo","ok":true,"text":"a\nb"}"#);
        let detailed = Answer::ok("leader", "n2 (term 4)").with("leader", "n2").with("term", 4);
        assert_eq!(detailed.json(), r#"{"v":1,"directive":"leader","ok":true,"leader":"n2","term":4}"#);
        let failed = Answer::failed("timeout", "n2 is down");
        assert_eq!(failed.text, "ERR n2 is down");
        assert_eq!(failed.json(), r#"{"v":1,"directive":"timeout","ok":false,"error":"n2 is down"}"#);
    }
}
