//! What a directive answers, as text for people and as one JSON object for programs.
//!
//! ```text
//! OK created x=5 [n2 term 4 index 17] 3.1 ms
//! ERR x exists
//! UNKNOWN no answer in 2 s, may have been applied
//! {"v":1,"directive":"create","ok":true,"outcome":"committed","key":"x","value":"5","node":"n2","term":4,"index":17,"millis":3.1}
//! ```
//!
//! Keys and values are shown as [`quoting`](crate::quoting) says; the JSON form has them whole.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::directive::{DataOperation, ReadMode};
use super::layout::duration_shown;
use crate::quoting::{ANSWER_LETTERS, brief, key_before_equals, pair, visible_brief, visible_json};
use crate::types::{LogIndex, NodeId, Term};

/// The version of the JSON form.
const VERSION: u32 = 1;

/// How many letters of a reason are shown: it may repeat two values.
const REASON_LETTERS: usize = 3 * ANSWER_LETTERS;

/// What became of a directive, as exit codes and scripts see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// A data command was refused (the key exists): an answer, no failure, unless an `expect` says so.
    Refused,
    /// It failed: a script stops here, the exit code is 1.
    Failed,
    /// Whether it was done is not known, or not known in time: a script stops here, the exit code is 3.
    Unknown,
}

/// A directive's answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// The verb.
    pub directive: &'static str,
    /// What became of it.
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

    /// Nobody can say what became of it, for this reason: `UNKNOWN reason`.
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

/// The answer to a data command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataAnswer {
    /// The command.
    pub operation: DataOperation,
    /// What became of it.
    pub outcome: DataOutcome,
    /// From the first attempt to the answer.
    pub took: Duration,
}

/// What became of a data command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataOutcome {
    /// A write is committed and applied.
    Committed(Place),
    /// A read found this value.
    Found {
        /// The value.
        value: String,
        /// Who answered.
        place: Place,
    },
    /// `create`: the key is there already.
    Exists(Option<Place>),
    /// `read`, `update`, `delete`, `cas`: the key is absent.
    NotFound(Option<Place>),
    /// `cas`: the key holds another value.
    Mismatch {
        /// What it holds.
        found: String,
        /// Who answered.
        place: Option<Place>,
    },
    /// It certainly was not applied, for this reason: no leader, or no room.
    Refused(String),
    /// It may have been applied; this is why nobody knows: `no answer in 2 s`.
    Unknown(String),
}

/// Who answered, and from where in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The node.
    pub node: NodeId,
    /// Its term.
    pub term: Term,
    /// The entry's index; for a stale read, up to where the node had applied.
    pub index: Option<LogIndex>,
    /// For a stale read: the state holds all that was answered to any client longer ago than this, if the node can
    /// tell.
    pub age: Option<Duration>,
}

impl DataOutcome {
    /// No answer came within this time.
    pub fn unanswered(waited: Duration) -> DataOutcome {
        DataOutcome::Unknown(format!("no answer in {}", duration_shown(waited)))
    }

    fn place(&self) -> Option<Place> {
        match self {
            DataOutcome::Committed(place) | DataOutcome::Found { place, .. } => Some(*place),
            DataOutcome::Exists(place)
            | DataOutcome::NotFound(place)
            | DataOutcome::Mismatch { place, .. } => *place,
            DataOutcome::Refused(_) | DataOutcome::Unknown(_) => None,
        }
    }
}

impl DataAnswer {
    fn is_stale(&self) -> bool {
        matches!(self.operation, DataOperation::Read { mode: ReadMode::Stale, .. })
    }

    /// What a stale read says of its age: ` stale, at most 61 ms old`.
    fn age_shown(&self, place: &Place) -> String {
        match place.age {
            _ if !self.is_stale() => String::new(),
            Some(age) => format!(" stale, at most {} old", duration_shown(age)),
            None => " stale, of unknown age".to_string(),
        }
    }

    fn done(&self) -> String {
        let key = self.operation.key();
        let pair = |value| pair(key, value, ANSWER_LETTERS);
        match &self.operation {
            DataOperation::Create { value, .. } => format!("created {}", pair(value)),
            DataOperation::Update { value, .. } | DataOperation::Cas { value, .. } => {
                format!("updated {}", pair(value))
            }
            DataOperation::Put { value, .. } => format!("put {}", pair(value)),
            DataOperation::Delete { .. } => format!("deleted {}", key_shown(key)),
            DataOperation::Read { .. } => key_shown(key).into_owned(),
        }
    }

    /// Which kind of answer it is, and which kind of error, in JSON.
    fn kinds(&self) -> (&'static str, Option<&str>) {
        match &self.outcome {
            DataOutcome::Committed(_) => ("committed", None),
            DataOutcome::Found { .. } => ("read", None),
            DataOutcome::Exists(_) => ("refused", Some("exists")),
            DataOutcome::NotFound(_) => ("refused", Some("not_found")),
            DataOutcome::Mismatch { .. } => ("refused", Some("mismatch")),
            DataOutcome::Refused(_) => ("refused", Some("refused")),
            DataOutcome::Unknown(_) => ("unknown", None),
        }
    }

    /// The value that was written or to be written, or that was found.
    fn value(&self) -> Option<&str> {
        match (&self.operation, &self.outcome) {
            (
                DataOperation::Create { value, .. }
                | DataOperation::Update { value, .. }
                | DataOperation::Put { value, .. }
                | DataOperation::Cas { value, .. },
                _,
            )
            | (_, DataOutcome::Found { value, .. }) => Some(value),
            (DataOperation::Read { .. } | DataOperation::Delete { .. }, _) => None,
        }
    }

    fn details(&self) -> Vec<(&'static str, Value)> {
        let (outcome, error) = self.kinds();
        let mut details: Vec<(&'static str, Value)> = vec![("outcome", outcome.into())];
        details.extend(error.map(|error| ("error", error.into())));
        match &self.outcome {
            DataOutcome::Refused(reason) | DataOutcome::Unknown(reason) => {
                details.push(("reason", reason.as_str().into()));
            }
            _ => {}
        }
        details.push(("key", self.operation.key().into()));
        details.extend(self.value().map(|value| ("value", value.into())));
        if let DataOperation::Cas { expected, .. } = &self.operation {
            details.push(("expected", expected.as_str().into()));
        }
        if let DataOutcome::Mismatch { found, .. } = &self.outcome {
            details.push(("found", found.as_str().into()));
        }
        if let Some(place) = self.outcome.place() {
            details.push(("node", place.node.to_string().into()));
            details.push(("term", place.term.0.into()));
            details.extend(place.index.map(|index| ("index", index.0.into())));
        }
        if self.is_stale() {
            details.push(("stale", true.into()));
            let age = self.outcome.place().and_then(|place| place.age);
            details.push(("age_ms", age.map_or(Value::Null, |age| millis(age).into())));
        }
        details.push(("millis", millis(self.took).into()));
        details
    }
}

impl fmt::Display for DataAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = key_shown(self.operation.key());
        let took = duration_shown(self.took);
        match &self.outcome {
            DataOutcome::Committed(place) => write!(f, "OK {} [{place}] {took}", self.done()),
            DataOutcome::Found { value, place } => {
                let pair = pair(self.operation.key(), value, ANSWER_LETTERS);
                write!(f, "OK {pair} [{place}{}] {took}", self.age_shown(place))
            }
            DataOutcome::Exists(_) => write!(f, "ERR {key} exists"),
            DataOutcome::NotFound(_) => write!(f, "ERR {key} not found"),
            DataOutcome::Mismatch { found, .. } => match &self.operation {
                DataOperation::Cas { expected, .. } => {
                    write!(f, "ERR {key} is {}, expected {}", value_shown(found), value_shown(expected))
                }
                _ => write!(f, "ERR {key} is {}", value_shown(found)),
            },
            DataOutcome::Refused(reason) => write!(f, "ERR {reason}"),
            DataOutcome::Unknown(reason) => write!(f, "UNKNOWN {reason}, may have been applied"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} term {}", self.node, self.term)?;
        match self.index {
            Some(index) => write!(f, " index {index}"),
            None => Ok(()),
        }
    }
}

impl From<&DataAnswer> for Answer {
    fn from(answer: &DataAnswer) -> Answer {
        let outcome = match answer.outcome {
            DataOutcome::Committed(_) | DataOutcome::Found { .. } => Outcome::Ok,
            DataOutcome::Exists(_)
            | DataOutcome::NotFound(_)
            | DataOutcome::Mismatch { .. }
            | DataOutcome::Refused(_) => Outcome::Refused,
            DataOutcome::Unknown(_) => Outcome::Unknown,
        };
        Answer {
            directive: answer.operation.name(),
            outcome,
            text: answer.to_string(),
            details: answer.details(),
        }
    }
}

fn key_shown(key: &str) -> Cow<'_, str> {
    key_before_equals(key, ANSWER_LETTERS)
}

fn value_shown(value: &str) -> Cow<'_, str> {
    brief(value, ANSWER_LETTERS)
}

/// A reason may repeat what a person, a file or a state machine said.
fn reason_shown(reason: &str) -> String {
    visible_brief(reason, REASON_LETTERS).into_owned()
}

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    // By way of seconds, which f64 takes from a duration without a lossy cast; rounded to whole microseconds.
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_value_or_reason_reaches_a_terminal_raw_or_at_full_length() {
        let found = DataOutcome::Found { value: "v".repeat(1 << 20), place: place() };
        let text = text("read \"k\\u{1b}[2J\\n\\u{202e}=\"", found.clone());
        let value = format!("{}... (1048576 bytes)", "v".repeat(1_000));
        assert_eq!(text, format!(r#"OK "k\u{{1b}}[2J\n\u{{202e}}="={value} [n2 term 4 index 17] 3.1 ms"#));
        let json = Answer::from(&answer("read \"k\\u{9b}\\u{202e}\"", found)).json();
        assert!(json.contains(r#""key":"k\u009b\u202e""#), "{}", &json[..200]);
        assert!(json.len() > 1 << 20, "programs get all of it");
        let failed = Answer::failed("read", format!("it says \u{1b}[31m\n{}", "r".repeat(1 << 20)));
        assert!(failed.text.starts_with(r"ERR it says \u{1b}[31m\nrrr"), "{}", &failed.text[..40]);
        assert!(failed.text.ends_with("r... (1048590 bytes)"), "{}", failed.text.len());
    }

    fn place() -> Place {
        Place { node: NodeId::new(2), term: Term(4), index: Some(LogIndex(17)), age: None }
    }

    fn answer(line: &str, outcome: DataOutcome) -> DataAnswer {
        match crate::console::language::parse(line).unwrap().unwrap().directive {
            crate::console::language::directive::Directive::Data(data) => {
                DataAnswer { operation: data.operation, outcome, took: Duration::from_micros(3_100) }
            }
            other => panic!("no data command: {other}"),
        }
    }

    fn text(line: &str, outcome: DataOutcome) -> String {
        answer(line, outcome).to_string()
    }

    #[test]
    fn writes_say_what_they_did_and_where() {
        let done = || DataOutcome::Committed(place());
        assert_eq!(text("create x 5", done()), "OK created x=5 [n2 term 4 index 17] 3.1 ms");
        assert_eq!(text("update x 6", done()), "OK updated x=6 [n2 term 4 index 17] 3.1 ms");
        assert_eq!(text("put x 5", done()), "OK put x=5 [n2 term 4 index 17] 3.1 ms");
        assert_eq!(text("cas x 5 6", done()), "OK updated x=6 [n2 term 4 index 17] 3.1 ms");
        assert_eq!(text("delete x", done()), "OK deleted x [n2 term 4 index 17] 3.1 ms");
    }

    #[test]
    fn reads_say_who_answered_and_whether_it_may_be_old() {
        let found = |index| {
            let place = Place { index, ..place() };
            DataOutcome::Found { value: "5".to_string(), place }
        };
        assert_eq!(text("read x", found(None)), "OK x=5 [n2 term 4] 3.1 ms");
        assert_eq!(
            text("read x --stale", found(Some(LogIndex(9)))),
            "OK x=5 [n2 term 4 index 9 stale, of unknown age] 3.1 ms"
        );
        let aged = |age| {
            let place = Place { index: Some(LogIndex(9)), age, ..place() };
            answer("read x --stale", DataOutcome::Found { value: "5".to_string(), place })
        };
        let old = aged(Some(Duration::from_millis(61)));
        assert_eq!(old.to_string(), "OK x=5 [n2 term 4 index 9 stale, at most 61 ms old] 3.1 ms");
        assert!(Answer::from(&old).json().contains(r#""stale":true,"age_ms":61.0,"#));
        assert!(Answer::from(&aged(None)).json().contains(r#""stale":true,"age_ms":null,"#));
    }

    #[test]
    fn refusals_and_unknown_outcomes_never_begin_with_ok() {
        assert_eq!(text("create x 5", DataOutcome::Exists(None)), "ERR x exists");
        assert_eq!(text("read x", DataOutcome::NotFound(None)), "ERR x not found");
        let mismatch = DataOutcome::Mismatch { found: "6".to_string(), place: None };
        assert_eq!(text("cas x 5 7", mismatch), "ERR x is 6, expected 5");
        assert_eq!(
            text("create x 5", DataOutcome::unanswered(Duration::from_secs(2))),
            "UNKNOWN no answer in 2 s, may have been applied"
        );
        assert_eq!(text("put x 5", DataOutcome::Refused("no leader".into())), "ERR no leader");
    }

    #[test]
    fn an_answer_stays_on_one_line_and_can_be_read_back() {
        let value = "a\nb [n1] \u{1b}";
        let found = DataOutcome::Found { value: value.to_string(), place: place() };
        let shown = text("read 'a=b'", found);
        assert_eq!(shown, r#"OK "a=b"="a\nb [n1] \u{1b}" [n2 term 4 index 17] 3.1 ms"#);
        let empty = DataOutcome::Found { value: String::new(), place: place() };
        assert!(text("read x", empty).starts_with(r#"OK x="" ["#));
    }

    #[test]
    fn json_has_the_documented_form() {
        let json = |answer: &DataAnswer| Answer::from(answer).json();
        assert_eq!(
            json(&answer("create x 5", DataOutcome::Committed(place()))),
            r#"{"v":1,"directive":"create","ok":true,"outcome":"committed","key":"x","value":"5","node":"n2","term":4,"index":17,"millis":3.1}"#
        );
        assert_eq!(
            json(&answer("create x 5", DataOutcome::Exists(None))),
            r#"{"v":1,"directive":"create","ok":false,"outcome":"refused","error":"exists","key":"x","value":"5","millis":3.1}"#
        );
        assert_eq!(
            json(&answer("put x 5", DataOutcome::unanswered(Duration::from_secs(2)))),
            r#"{"v":1,"directive":"put","ok":false,"outcome":"unknown","reason":"no answer in 2 s","key":"x","value":"5","millis":3.1}"#
        );
        assert_eq!(
            json(&answer("cas x 5 7", DataOutcome::Mismatch { found: "6".into(), place: None })),
            r#"{"v":1,"directive":"cas","ok":false,"outcome":"refused","error":"mismatch","key":"x","value":"7","expected":"5","found":"6","millis":3.1}"#
        );
    }

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
