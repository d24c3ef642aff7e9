//! The history of what clients asked and what they were told, one JSON line for each operation.
//!
//! An operation is what a client wanted, however often it was sent again. A history says nothing of nodes or of time
//! inside the cluster, so it can be judged without trusting either: see [`linearizability`](super::linearizability).
//! Pure: reading and writing files is for others.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::state_machine::kv::{Answer, Command};
use crate::types::{ClientId, LogIndex, Time};

mod reading;

pub use self::reading::{Reading, START_UNKNOWN, read};

/// Who is said to have read the state at the end.
const AUDITOR: ClientId = ClientId(0);

/// One operation on one key, from call to return. A batch is one operation for each of its commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Who asked.
    pub client: ClientId,
    /// The key it was about.
    pub key: String,
    /// What was asked.
    pub action: Action,
    /// When it was asked.
    pub called: Time,
    /// When the client learned the outcome, or gave up; none if it still waited at the end.
    pub returned: Option<Time>,
    /// What the client was told.
    pub outcome: Outcome,
    /// A change's place in the log; for a read, the index up to which the state was applied.
    pub index: Option<LogIndex>,
}

/// What was asked of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Add the key, which must be absent, with this value.
    Create(String),
    /// Tell the value, as it was at some moment between call and return. A read that may be stale is not recorded.
    Read,
    /// Change the key, which must be present, to this value.
    Update(String),
    /// Remove the key, which must be present.
    Delete,
    /// Add or change the key.
    Put(String),
    /// Change the key, which must be present with the expected value.
    Cas {
        /// The value that it must have.
        expected: String,
        /// Its new value.
        value: String,
    },
}

/// What a client was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The change was made.
    Changed,
    /// The read's result: the value, or none when the key was absent.
    Found(Option<String>),
    /// Nothing was changed, as the key is there.
    Exists,
    /// Nothing was changed, as the key is absent.
    NotFound,
    /// Nothing was changed, as the key has another value than expected: this one, if that was told.
    Mismatch(Option<String>),
    /// Certainly never carried out.
    Refused,
    /// It may have been carried out, may still be, or never.
    Unknown,
}

/// Why a line is no operation, in words that follow "line 7: ".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineError(String);

/// The JSON line. Its fields stand in the order in which people read them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    client: ClientId,
    key: String,
    op: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    call_ns: u64,
    #[serde(default)]
    return_ns: Option<u64>,
    ok: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
    #[serde(default)]
    result: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<LogIndex>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Create,
    Read,
    Update,
    Delete,
    Put,
    Cas,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    NotFound,
    Exists,
    Mismatch,
    Refused,
}

impl Operation {
    /// A read of this key by somebody who sees the whole log, once all is over.
    pub fn seen_at_the_end(key: String, value: Option<String>, now: Time) -> Operation {
        Operation {
            client: AUDITOR,
            key,
            action: Action::Read,
            called: now,
            returned: Some(now),
            outcome: Outcome::Found(value),
            index: Some(LogIndex(u64::MAX)),
        }
    }

    /// Its JSON line, without a line end.
    pub fn to_line(&self) -> String {
        let (op, value, expected) = match self.action.clone() {
            Action::Create(value) => (Name::Create, Some(value), None),
            Action::Read => (Name::Read, None, None),
            Action::Update(value) => (Name::Update, Some(value), None),
            Action::Delete => (Name::Delete, None, None),
            Action::Put(value) => (Name::Put, Some(value), None),
            Action::Cas { expected, value } => (Name::Cas, Some(value), Some(expected)),
        };
        let (ok, error, result) = match self.outcome.clone() {
            Outcome::Changed => (Some(true), None, None),
            Outcome::Found(result) => (Some(true), None, result),
            Outcome::Exists => (Some(false), Some(Reason::Exists), None),
            Outcome::NotFound => (Some(false), Some(Reason::NotFound), None),
            Outcome::Mismatch(actual) => (Some(false), Some(Reason::Mismatch), actual),
            Outcome::Refused => (Some(false), Some(Reason::Refused), None),
            Outcome::Unknown => (None, None, None),
        };
        let line = Line {
            client: self.client,
            key: self.key.clone(),
            op,
            value,
            expected,
            call_ns: self.called.as_nanos(),
            return_ns: self.returned.map(Time::as_nanos),
            ok,
            error,
            result,
            index: self.index,
        };
        serde_json::to_string(&line).expect("text and numbers serialize without error")
    }

    /// The operation of a JSON line.
    ///
    /// # Errors
    /// What is wrong with the line: it is no JSON, a field is missing or unknown, or its fields contradict each other.
    pub fn from_line(text: &str) -> Result<Operation, LineError> {
        let line: Line = serde_json::from_str(text).map_err(|error| LineError(error.to_string()))?;
        let action = line.action()?;
        let outcome = line.outcome()?;
        let answered = !matches!(outcome, Outcome::Refused | Outcome::Unknown);
        match line.return_ns {
            None if answered => return Err(wrong("ok is given, so return_ns must be")),
            Some(return_ns) if return_ns < line.call_ns => {
                return Err(wrong("return_ns is before call_ns"));
            }
            _ => {}
        }
        Ok(Operation {
            client: line.client,
            key: line.key,
            action,
            called: Time::from_nanos(line.call_ns),
            returned: line.return_ns.map(Time::from_nanos),
            outcome,
            index: line.index,
        })
    }
}

impl Line {
    fn action(&self) -> Result<Action, LineError> {
        let given = (self.value.clone(), self.expected.clone());
        match (self.op, given) {
            (Name::Create, (Some(value), None)) => Ok(Action::Create(value)),
            (Name::Update, (Some(value), None)) => Ok(Action::Update(value)),
            (Name::Put, (Some(value), None)) => Ok(Action::Put(value)),
            (Name::Cas, (Some(value), Some(expected))) => Ok(Action::Cas { expected, value }),
            (Name::Read, (None, None)) => Ok(Action::Read),
            (Name::Delete, (None, None)) => Ok(Action::Delete),
            (Name::Create | Name::Update | Name::Put, _) => {
                Err(wrong("a create, update or put has a value and nothing expected"))
            }
            (Name::Cas, _) => Err(wrong("a cas has a value and an expected one")),
            (Name::Read | Name::Delete, _) => {
                Err(wrong("a read or delete has no value and nothing expected"))
            }
        }
    }

    fn outcome(&self) -> Result<Outcome, LineError> {
        let outcome = match (self.ok, self.error, self.op) {
            (Some(true), None, Name::Read) => return Ok(Outcome::Found(self.result.clone())),
            (Some(false), Some(Reason::Mismatch), Name::Cas) => {
                return Ok(Outcome::Mismatch(self.result.clone()));
            }
            (Some(true), None, _) => Outcome::Changed,
            // A console answers the read of an absent key with an error.
            (Some(false), Some(Reason::NotFound), Name::Read) => Outcome::Found(None),
            (Some(false), Some(Reason::NotFound), Name::Update | Name::Delete | Name::Cas) => {
                Outcome::NotFound
            }
            (Some(false), Some(Reason::Exists), Name::Create) => Outcome::Exists,
            (Some(false), Some(Reason::Refused), _) => Outcome::Refused,
            (None, None, _) => Outcome::Unknown,
            (Some(false), None, _) => return Err(wrong("ok is false, so error must say why")),
            (Some(true) | None, Some(_), _) => return Err(wrong("only with ok false is there an error")),
            (Some(false), Some(_), _) => return Err(wrong("this op cannot fail with this error")),
        };
        match self.result {
            None => Ok(outcome),
            Some(_) => Err(wrong("only a read that is ok and a cas with a mismatch have a result")),
        }
    }
}

impl From<&Command> for Action {
    fn from(command: &Command) -> Action {
        match command.clone() {
            Command::Create { value, .. } => Action::Create(value.into()),
            Command::Update { value, .. } => Action::Update(value.into()),
            Command::Put { value, .. } => Action::Put(value.into()),
            Command::Delete { .. } => Action::Delete,
            Command::Cas { expected, value, .. } => {
                Action::Cas { expected: expected.into(), value: value.into() }
            }
        }
    }
}

impl Outcome {
    /// What the state machine's answer to this action says; none if it is no answer to it.
    pub fn of(action: &Action, answer: &Answer) -> Option<Outcome> {
        match (action, answer) {
            (Action::Read, Answer::Value(value)) => Some(Outcome::Found(Some(value.to_string()))),
            (Action::Read, Answer::NotFound) => Some(Outcome::Found(None)),
            (Action::Create(_), Answer::Exists) => Some(Outcome::Exists),
            (Action::Update(_) | Action::Delete | Action::Cas { .. }, Answer::NotFound) => {
                Some(Outcome::NotFound)
            }
            (Action::Cas { .. }, Answer::Mismatch { actual }) => {
                Some(Outcome::Mismatch(Some(actual.to_string())))
            }
            (Action::Create(_), Answer::Created)
            | (Action::Update(_) | Action::Cas { .. }, Answer::Updated)
            | (Action::Put(_), Answer::Put)
            | (Action::Delete, Answer::Deleted) => Some(Outcome::Changed),
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    /// `c3 put x=7 from 1.000000 to 1.002000: ok`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { client, key, action, called, .. } = self;
        match action {
            Action::Create(value) => write!(f, "{client} create {key}={value}"),
            Action::Read => write!(f, "{client} read {key}"),
            Action::Update(value) => write!(f, "{client} update {key}={value}"),
            Action::Delete => write!(f, "{client} delete {key}"),
            Action::Put(value) => write!(f, "{client} put {key}={value}"),
            Action::Cas { expected, value } => write!(f, "{client} cas {key} from {expected} to {value}"),
        }?;
        write!(f, ", called at {called}")?;
        if let Some(returned) = self.returned {
            write!(f, ", returned at {returned}")?;
        }
        match &self.outcome {
            Outcome::Changed => f.write_str(": ok"),
            Outcome::Found(Some(value)) => write!(f, ": {value}"),
            Outcome::Found(None) | Outcome::NotFound => f.write_str(": absent"),
            Outcome::Exists => f.write_str(": exists"),
            Outcome::Mismatch(Some(actual)) => write!(f, ": mismatch, it is {actual}"),
            Outcome::Mismatch(None) => f.write_str(": mismatch"),
            Outcome::Refused => f.write_str(": refused"),
            Outcome::Unknown => f.write_str(": unknown"),
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LineError {}

fn wrong(what: &str) -> LineError {
    LineError(what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_other_tools_may_write() {
        let text = r#"{"client":3,"key":"x","op":"cas","value":"2","expected":"1","call_ns":5,"return_ns":9,"ok":false,"error":"mismatch","result":"7","index":4}"#;
        let operation = Operation::from_line(text).unwrap();
        assert_eq!(operation.action, Action::Cas { expected: "1".to_string(), value: "2".to_string() });
        assert_eq!(operation.outcome, Outcome::Mismatch(Some("7".to_string())));
        assert_eq!((operation.index, operation.to_line().as_str()), (Some(LogIndex(4)), text));
        assert_eq!(
            operation.to_string(),
            "c3 cas x from 1 to 2, called at 0.000000, returned at 0.000000: mismatch, it is 7"
        );
    }

    #[test]
    fn every_outcome_survives_its_line() {
        let found = |value: Option<&str>| Outcome::Found(value.map(str::to_string));
        let cas = Action::Cas { expected: String::new(), value: "a\n\"b".to_string() };
        let cases = [
            (Action::Create("1".to_string()), Outcome::Exists),
            (Action::Update("1".to_string()), Outcome::NotFound),
            (Action::Put("1".to_string()), Outcome::Changed),
            (Action::Delete, Outcome::Refused),
            (Action::Delete, Outcome::Unknown),
            (Action::Read, found(None)),
            (Action::Read, found(Some(""))),
            (cas.clone(), Outcome::Mismatch(None)),
            (cas, Outcome::Changed),
        ];
        for (action, outcome) in cases {
            let returned = (outcome != Outcome::Unknown).then_some(Time::from_nanos(8));
            let operation = Operation {
                client: ClientId(1),
                key: "a \u{e9}".to_string(),
                action,
                called: Time::from_nanos(7),
                returned,
                outcome,
                index: None,
            };
            assert_eq!(Operation::from_line(&operation.to_line()), Ok(operation));
        }
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong() {
        let cases = [
            (r#"{"client":1"#, "EOF while parsing"),
            (r#"{"client":1,"key":"x","op":"push","call_ns":1,"ok":null}"#, "unknown variant `push`"),
            (
                r#"{"client":1,"key":"x","op":"read","call_ns":1,"ok":null,"color":1}"#,
                "unknown field `color`",
            ),
            (r#"{"client":1,"op":"read","call_ns":1,"ok":null}"#, "missing field `key`"),
            (
                r#"{"client":1,"key":"x","op":"put","call_ns":1,"ok":null}"#,
                "a create, update or put has a value",
            ),
            (r#"{"client":1,"key":"x","op":"cas","value":"1","call_ns":1,"ok":null}"#, "a cas has"),
            (r#"{"client":1,"key":"x","op":"read","value":"1","call_ns":1,"ok":null}"#, "a read or delete"),
            (r#"{"client":1,"key":"x","op":"read","call_ns":1,"ok":true}"#, "ok is given, so return_ns"),
            (
                r#"{"client":1,"key":"x","op":"read","call_ns":2,"return_ns":1,"ok":true}"#,
                "return_ns is before",
            ),
            (r#"{"client":1,"key":"x","op":"read","call_ns":2,"return_ns":3,"ok":false}"#, "ok is false, so"),
            (
                r#"{"client":1,"key":"x","op":"read","call_ns":2,"ok":null,"error":"exists"}"#,
                "only with ok false",
            ),
            (
                r#"{"client":1,"key":"x","op":"delete","call_ns":2,"ok":false,"error":"exists"}"#,
                "this op cannot",
            ),
            (
                r#"{"client":1,"key":"x","op":"delete","call_ns":2,"ok":null,"result":"1"}"#,
                "only a read that is ok",
            ),
        ];
        for (text, expected) in cases {
            let error = Operation::from_line(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
