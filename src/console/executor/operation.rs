//! A client's command as the console knows it, and what became of it, as text and as JSON.
//!
//! ```text
//! OK created x=5 [n2 term 4 index 17] 3.1 ms
//! ERR x exists
//! ERR not applied: no leader was found within 2 s
//! UNKNOWN no answer in 2 s: may have been applied; 'outcome 2.5' asks
//! {"v":1,"directive":"create","ok":true,"outcome":"committed","key":"x","value":"5","node":"n2","term":4,"index":17,"millis":3.1}
//! ```
//!
//! Keys and values are shown as [`quoting`](crate::quoting) says; the JSON form has them whole.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::client::What;
use crate::console::language::{Answer, Outcome};
use crate::payload::Payload;
use crate::protocol::ReadMode;
use crate::quoting::{ANSWER_LETTERS, brief, key_before_equals, pair, word};
use crate::state_machine::kv::{self, Command, Query};
use crate::text::layout::duration_shown;
use crate::types::{LogIndex, NodeId, Term, Token};

/// A command of the key-value store, or a question about one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    Write(Command),
    Read {
        key: String,
        /// How fresh the answer must be.
        mode: ReadMode,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataAnswer {
    pub operation: Operation,
    pub outcome: DataOutcome,
    /// From the first attempt to the answer.
    pub took: Duration,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataOutcome {
    /// The store's answer, and where it came from.
    Answered(kv::Answer, Place),
    /// It certainly was not applied, for this reason: no leader, or no room.
    Rejected(String),
    /// It may have been applied.
    Unknown {
        /// Why it is not known: `no answer in 2 s`.
        reason: String,
        /// What asks about it later; none for a read.
        token: Option<Token>,
    },
}

/// Who answered, and from where in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub node: NodeId,
    pub term: Term,
    /// The entry's index; for a stale read, up to where the node had applied.
    pub index: Option<LogIndex>,
    /// For a stale read: the state holds all that was answered to any client longer ago than this, if the node can
    /// tell.
    pub staleness: Option<Duration>,
}

impl Operation {
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Write(Command::Create { .. }) => "create",
            Operation::Write(Command::Update { .. }) => "update",
            Operation::Write(Command::Put { .. }) => "put",
            Operation::Write(Command::Delete { .. }) => "delete",
            Operation::Write(Command::Cas { .. }) => "cas",
            Operation::Write(Command::Txn(_)) => "txn",
            Operation::Read { .. } => "read",
        }
    }

    pub fn key(&self) -> &str {
        match self {
            Operation::Write(command) => command.key().unwrap_or_default(),
            Operation::Read { key, .. } => key,
        }
    }

    /// The call of a client that carries it out.
    pub(super) fn what(&self) -> What {
        match self {
            Operation::Write(command) => What::commands([command.clone()]),
            Operation::Read { key, mode } => {
                What::Read { query: Payload::new(Query::Read { key: key.into() }), mode: *mode }
            }
        }
    }

    pub(super) fn is_read(&self) -> bool {
        matches!(self, Operation::Read { .. })
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Operation::Read { mode: ReadMode::Stale, .. })
    }

    fn expected(&self) -> Option<&str> {
        match self {
            Operation::Write(Command::Cas { expected, .. }) => Some(expected),
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), word(self.key()))?;
        if let Some(expected) = self.expected() {
            write!(f, " {}", word(expected))?;
        }
        match self {
            Operation::Write(command) => {
                command.value().map_or(Ok(()), |value| write!(f, " {}", word(value)))
            }
            Operation::Read { mode: ReadMode::Linearizable, .. } => Ok(()),
            Operation::Read { mode: ReadMode::Lease, .. } => f.write_str(" --lease"),
            Operation::Read { mode: ReadMode::Stale, .. } => f.write_str(" --stale"),
        }
    }
}

impl DataOutcome {
    pub fn unanswered(waited: Duration, token: Token) -> DataOutcome {
        DataOutcome::unknown(format!("no answer in {}", duration_shown(waited)), Some(token))
    }

    pub(super) fn unknown(reason: impl Into<String>, token: Option<Token>) -> DataOutcome {
        DataOutcome::Unknown { reason: reason.into(), token }
    }

    /// Which kind of answer it is, and which kind of error, in JSON.
    fn kinds(&self) -> (&'static str, Option<&'static str>) {
        match self {
            DataOutcome::Answered(kv::Answer::Value(_), _) => ("read", None),
            DataOutcome::Answered(answer, _) => match answer.refusal() {
                None => ("committed", None),
                refusal => ("refused", refusal),
            },
            DataOutcome::Rejected(_) => ("rejected", Some("rejected")),
            DataOutcome::Unknown { .. } => ("unknown", None),
        }
    }
}

impl DataAnswer {
    fn details(&self) -> Vec<(&'static str, Value)> {
        let (outcome, error) = self.outcome.kinds();
        let mut details: Vec<(&'static str, Value)> = vec![("outcome", outcome.into())];
        details.extend(error.map(|error| ("error", error.into())));
        if let DataOutcome::Rejected(reason) | DataOutcome::Unknown { reason, .. } = &self.outcome {
            details.push(("reason", reason.as_str().into()));
        }
        details.push(("key", self.operation.key().into()));
        let value = match (&self.operation, &self.outcome) {
            (Operation::Write(command), _) => command.value(),
            (_, DataOutcome::Answered(kv::Answer::Value(value), _)) => Some(value.as_str()),
            _ => None,
        };
        details.extend(value.map(|value| ("value", value.into())));
        details.extend(self.operation.expected().map(|expected| ("expected", expected.into())));
        if let DataOutcome::Answered(kv::Answer::Mismatch { actual }, _) = &self.outcome {
            details.push(("found", actual.as_str().into()));
        }
        if let DataOutcome::Answered(_, place) = &self.outcome {
            details.push(("node", place.node.to_string().into()));
            details.push(("term", place.term.0.into()));
            details.extend(place.index.map(|index| ("index", index.0.into())));
            if self.operation.is_stale() {
                details.push(("stale", true.into()));
                details.push((
                    "staleness_ms",
                    place.staleness.map_or(Value::Null, |staleness| millis(staleness).into()),
                ));
            }
        }
        details.push(("millis", millis(self.took).into()));
        if let DataOutcome::Unknown { token: Some(token), .. } = &self.outcome {
            details.push(("token", token.to_string().into()));
        }
        details
    }
}

impl fmt::Display for DataAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DataAnswer { operation, outcome, took } = self;
        let (answer, place) = match outcome {
            DataOutcome::Answered(answer, place) => (answer, place),
            DataOutcome::Rejected(reason) if operation.is_read() => return write!(f, "ERR {reason}"),
            DataOutcome::Rejected(reason) => return write!(f, "ERR not applied: {reason}"),
            DataOutcome::Unknown { reason, token: None } => return write!(f, "UNKNOWN {reason}"),
            DataOutcome::Unknown { reason, token: Some(token) } => {
                return write!(f, "UNKNOWN {reason}: may have been applied; 'outcome {token}' asks");
            }
        };
        let key = key_before_equals(operation.key(), ANSWER_LETTERS);
        let value = match operation {
            Operation::Write(command) => command.value().unwrap_or_default(),
            Operation::Read { .. } => "",
        };
        let pair = |value| pair(operation.key(), value, ANSWER_LETTERS);
        let done = match answer {
            kv::Answer::Created => format!("created {}", pair(value)),
            kv::Answer::Updated => format!("updated {}", pair(value)),
            kv::Answer::Put => format!("put {}", pair(value)),
            kv::Answer::Deleted => format!("deleted {key}"),
            kv::Answer::Value(found) => pair(found),
            kv::Answer::Keys(keys) => keys.join(" "),
            kv::Answer::Range(_) | kv::Answer::Txn(_) | kv::Answer::TooLarge { .. } => {
                return f.write_str("ERR an answer to another question");
            }
            kv::Answer::Exists => return write!(f, "ERR {key} exists"),
            kv::Answer::NotFound => return write!(f, "ERR {key} not found"),
            kv::Answer::Mismatch { actual } => {
                let shown = |value| brief(value, ANSWER_LETTERS);
                let expected = operation.expected().unwrap_or_default();
                return write!(f, "ERR {key} is {}, expected {}", shown(actual), shown(expected));
            }
        };
        let age = match place.staleness {
            _ if !operation.is_stale() => String::new(),
            Some(age) => format!(" stale, at most {} old", duration_shown(age)),
            None => " stale, of unknown age".to_string(),
        };
        write!(f, "OK {done} [{place}{age}] {}", duration_shown(*took))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} term {}", self.node, self.term)?;
        self.index.map_or(Ok(()), |index| write!(f, " index {index}"))
    }
}

impl From<&DataAnswer> for Answer {
    fn from(answer: &DataAnswer) -> Answer {
        let outcome = match answer.outcome.kinds().0 {
            "refused" | "rejected" => Outcome::Refused,
            "unknown" => Outcome::Unknown,
            _ => Outcome::Ok,
        };
        let (directive, text) = (answer.operation.name(), answer.to_string());
        Answer { directive, outcome, text, details: answer.details() }
    }
}

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    // By way of seconds, which f64 takes from a duration without a lossy cast; rounded to whole microseconds.
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::executor::{data, parse};
    use crate::types::SessionId;

    #[test]
    fn no_key_value_or_reason_reaches_a_terminal_raw_or_at_full_length() {
        let found = found(&"v".repeat(1 << 20), place());
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
        Place { node: NodeId::new(2), term: Term(4), index: Some(LogIndex(17)), staleness: None }
    }

    fn found(value: &str, place: Place) -> DataOutcome {
        DataOutcome::Answered(kv::Answer::Value(value.into()), place)
    }

    fn unanswered() -> DataOutcome {
        let token = Token { session: SessionId(2), serial: 5, part: None };
        DataOutcome::unanswered(Duration::from_secs(2), token)
    }

    fn answer(line: &str, outcome: DataOutcome) -> DataAnswer {
        let line = parse(line).unwrap().unwrap();
        DataAnswer { operation: data::operation(&line), outcome, took: Duration::from_micros(3_100) }
    }

    fn text(line: &str, outcome: DataOutcome) -> String {
        answer(line, outcome).to_string()
    }

    fn answered(line: &str, answer: kv::Answer) -> String {
        text(line, DataOutcome::Answered(answer, place()))
    }

    #[test]
    fn writes_say_what_they_did_and_where() {
        for (line, answer, said) in [
            ("create x 5", kv::Answer::Created, "OK created x=5 [n2 term 4 index 17] 3.1 ms"),
            ("update x 6", kv::Answer::Updated, "OK updated x=6 [n2 term 4 index 17] 3.1 ms"),
            ("put x 5", kv::Answer::Put, "OK put x=5 [n2 term 4 index 17] 3.1 ms"),
            ("cas x 5 6", kv::Answer::Updated, "OK updated x=6 [n2 term 4 index 17] 3.1 ms"),
            ("delete x", kv::Answer::Deleted, "OK deleted x [n2 term 4 index 17] 3.1 ms"),
        ] {
            assert_eq!(answered(line, answer), said);
        }
    }

    #[test]
    fn reads_say_who_answered_and_whether_it_may_be_old() {
        let at = |index, staleness| found("5", Place { index, staleness, ..place() });
        assert_eq!(text("read x", at(None, None)), "OK x=5 [n2 term 4] 3.1 ms");
        let index = Some(LogIndex(9));
        let unknown = answer("read x --stale", at(index, None));
        assert_eq!(unknown.to_string(), "OK x=5 [n2 term 4 index 9 stale, of unknown age] 3.1 ms");
        let old = answer("read x --stale", at(index, Some(Duration::from_millis(61))));
        assert_eq!(old.to_string(), "OK x=5 [n2 term 4 index 9 stale, at most 61 ms old] 3.1 ms");
        assert!(Answer::from(&old).json().contains(r#""stale":true,"staleness_ms":61.0,"#));
        assert!(Answer::from(&unknown).json().contains(r#""stale":true,"staleness_ms":null,"#));
    }

    #[test]
    fn rejections_and_unknown_outcomes_never_begin_with_ok() {
        assert_eq!(answered("create x 5", kv::Answer::Exists), "ERR x exists");
        assert_eq!(answered("read x", kv::Answer::NotFound), "ERR x not found");
        let mismatch = kv::Answer::Mismatch { actual: "6".into() };
        assert_eq!(answered("cas x 5 7", mismatch), "ERR x is 6, expected 5");
        assert_eq!(
            text("create x 5", unanswered()),
            "UNKNOWN no answer in 2 s: may have been applied; 'outcome 2.5' asks"
        );
        let rejected = || DataOutcome::Rejected("no leader was found within 2 s".into());
        assert_eq!(text("put x 5", rejected()), "ERR not applied: no leader was found within 2 s");
        assert_eq!(text("read x", rejected()), "ERR no leader was found within 2 s");
    }

    #[test]
    fn an_answer_stays_on_one_line_and_can_be_read_back() {
        let shown = text("read 'a=b'", found("a\nb [n1] \u{1b}", place()));
        assert_eq!(shown, r#"OK "a=b"="a\nb [n1] \u{1b}" [n2 term 4 index 17] 3.1 ms"#);
        assert!(text("read x", found("", place())).starts_with(r#"OK x="" ["#));
    }

    #[test]
    fn an_operation_is_shown_as_it_is_typed() {
        for line in ["create 'a b' ''", "read x --stale", "read x --lease", "cas x 5 6", "delete x"] {
            let line = parse(line).unwrap().unwrap();
            assert_eq!(data::operation(&line).to_string(), line.to_string());
        }
    }

    #[test]
    fn json_has_the_documented_form() {
        let json = |line, outcome| Answer::from(&answer(line, outcome)).json();
        let told = |line, answer| json(line, DataOutcome::Answered(answer, place()));
        assert_eq!(
            told("create x 5", kv::Answer::Created),
            r#"{"v":1,"directive":"create","ok":true,"outcome":"committed","key":"x","value":"5","node":"n2","term":4,"index":17,"millis":3.1}"#
        );
        assert_eq!(
            told("create x 5", kv::Answer::Exists),
            r#"{"v":1,"directive":"create","ok":false,"outcome":"refused","error":"exists","key":"x","value":"5","node":"n2","term":4,"index":17,"millis":3.1}"#
        );
        assert_eq!(
            json("put x 5", unanswered()),
            r#"{"v":1,"directive":"put","ok":false,"outcome":"unknown","reason":"no answer in 2 s","key":"x","value":"5","millis":3.1,"token":"2.5"}"#
        );
        assert_eq!(
            told("cas x 5 7", kv::Answer::Mismatch { actual: "6".into() }),
            r#"{"v":1,"directive":"cas","ok":false,"outcome":"refused","error":"mismatch","key":"x","value":"7","expected":"5","found":"6","node":"n2","term":4,"index":17,"millis":3.1}"#
        );
    }
}
