//! The history of what clients asked and what they were told, one JSON line for each operation.
//!
//! An operation is what a client wanted, however often it was sent again. A history says nothing of nodes or of time
//! inside the cluster, so it can be judged without trusting either: see [`linearizability`](super::linearizability).
//! Pure: reading and writing files is for others.

use std::borrow::Cow;
use std::fmt;

use crate::quoting::{CELL_LETTERS, brief, brief_beside, pair};
use crate::state_machine::kv::{Answer, Command};
use crate::types::{ClientId, LogIndex, Time};

mod line;
mod reading;
mod rule;

pub use self::line::{LineError, warm_up_line};
pub use self::reading::{Reader, Reading, START_UNKNOWN, read};
pub use self::rule::{BrokenRule, broken_rule};

/// The client that is recorded for reads of the state at the end.
const AUDITOR: ClientId = ClientId(0);

/// One operation on one key, from call to return. A batch is one operation for each of its commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    pub client: ClientId,
    pub key: String,
    pub action: Action,
    pub called: Time,
    /// When the client learned the outcome, or gave up; none if it still waited at the end.
    pub returned: Option<Time>,
    pub outcome: Outcome,
    /// A change's place in the log; for a read, the index up to which the state was applied.
    pub index: Option<LogIndex>,
}

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
    Put(String),
    /// Change the key, which must be present with the expected value.
    Cas {
        /// The value that it must have.
        expected: String,
        value: String,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Changed,
    /// The read's result: the value, or none when the key was absent.
    Found(Option<String>),
    /// Nothing was changed, as the key is there.
    Exists,
    /// Nothing was changed, as the key is absent.
    NotFound,
    /// Nothing was changed, as the key has another value than expected: this one, if that was told.
    Mismatch(Option<String>),
    /// Certainly never applied.
    Refused,
    /// It may have been applied, may still be, or never.
    Unknown,
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
}

impl Action {
    /// What this command does to its key; none for a transaction.
    pub fn on_key(command: &Command) -> Option<(&str, Action)> {
        let action = match command.clone() {
            Command::Create { value, .. } => Action::Create(value.into()),
            Command::Update { value, .. } => Action::Update(value.into()),
            Command::Put { value, .. } => Action::Put(value.into()),
            Command::Delete { .. } => Action::Delete,
            Command::Cas { expected, value, .. } => {
                Action::Cas { expected: expected.into(), value: value.into() }
            }
            Command::Txn(_) => return None,
        };
        Some((command.key()?, action))
    }
}

impl Outcome {
    /// Whether the client got what it asked for. A history without any success shows nothing.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Changed | Outcome::Found(_))
    }

    /// Whether the client was told anything by the state machine, be it a refusal.
    pub fn is_answer(&self) -> bool {
        !matches!(self, Outcome::Refused | Outcome::Unknown)
    }

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
    /// `c3 put x=7, called at 1.000000, returned at 1.002000: ok`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { client, key, action, called, .. } = self;
        let pair = |value| pair(key, value, CELL_LETTERS);
        let key = brief(key, CELL_LETTERS);
        match action {
            Action::Create(value) => write!(f, "{client} create {}", pair(value)),
            Action::Read => write!(f, "{client} read {key}"),
            Action::Update(value) => write!(f, "{client} update {}", pair(value)),
            Action::Delete => write!(f, "{client} delete {key}"),
            Action::Put(value) => write!(f, "{client} put {}", pair(value)),
            Action::Cas { expected, value } => {
                let [expected, value] = [expected, value].map(|text| brief(text, CELL_LETTERS));
                write!(f, "{client} cas {key} from {expected} to {value}")
            }
        }?;
        write!(f, ", called at {called}")?;
        if let Some(returned) = self.returned {
            write!(f, ", returned at {returned}")?;
        }
        match &self.outcome {
            Outcome::Changed => f.write_str(": ok"),
            Outcome::Found(Some(value)) => write!(f, ": {}", value_shown(value)),
            Outcome::Found(None) | Outcome::NotFound => f.write_str(": absent"),
            Outcome::Exists => f.write_str(": exists"),
            Outcome::Mismatch(Some(actual)) => write!(f, ": mismatch, it is {}", value_shown(actual)),
            Outcome::Mismatch(None) => f.write_str(": mismatch"),
            Outcome::Refused => f.write_str(": refused"),
            Outcome::Unknown => f.write_str(": unknown"),
        }
    }
}

/// A value where a sentence may have a word of its own instead: `absent` is none, `"absent"` is a value.
pub(super) fn value_shown(value: &str) -> Cow<'_, str> {
    brief_beside(value, CELL_LETTERS, &["absent", "exists", "mismatch", "ok", "or", "refused", "unknown"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &str, action: Action, outcome: Outcome) -> String {
        let (called, returned) = (Time::from_nanos(7), Some(Time::from_nanos(8)));
        let operation = Operation {
            client: ClientId(1),
            key: key.to_string(),
            action,
            called,
            returned,
            outcome,
            index: None,
        };
        operation.to_string()
    }

    #[test]
    fn no_text_of_a_client_can_be_taken_for_a_word_of_ours() {
        let read = |outcome| shown("x", Action::Read, outcome);
        let tail = ", called at 0.000000, returned at 0.000000: ";
        assert_eq!(read(Outcome::Found(None)), format!("c1 read x{tail}absent"));
        assert_eq!(read(Outcome::Found(Some("absent".into()))), format!("c1 read x{tail}\"absent\""));
        assert_eq!(read(Outcome::Found(Some(String::new()))), format!("c1 read x{tail}\"\""));
        assert_eq!(read(Outcome::Found(Some("unknown".into()))), format!("c1 read x{tail}\"unknown\""));
        assert_eq!(
            shown("a=\n", Action::Put("\u{1b}[31m".into()), Outcome::Changed),
            format!("c1 put \"a=\\n\"=\"\\u{{1b}}[31m\"{tail}ok")
        );
        let cas = Action::Cas { expected: "1".into(), value: "v".repeat(1 << 20) };
        assert_eq!(
            shown("x", cas, Outcome::Mismatch(Some("7".into()))),
            format!("c1 cas x from 1 to {}... (1048576 bytes){tail}mismatch, it is 7", "v".repeat(40))
        );
    }
}
