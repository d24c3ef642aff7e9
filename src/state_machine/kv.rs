//! The key-value store: the state machine that consoles, scripts and load work on.
//!
//! Keys and values are text. A value may be empty, and a key with an empty value is present. A command that does not fit,
//! such as creating a key that exists, changes nothing and answers why.
//!
//! The state has a revision, as etcd's: each command that changes something has the next. A key knows the revisions in which it
//! came and was changed, so a client can tell whether it was changed since.

mod bytes;
mod keys;
mod order;
mod range;
mod reading;
mod txn;
mod values;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use self::bytes::Bytes;
pub use self::keys::Keys;
use self::order::Order;
pub use self::range::{Direction, Pair, RANGE_BYTES_MAX, Range, Ranged, Revisions, SortBy};
use self::reading::ReadCommand;
pub use self::txn::{Compare, REQUESTS_MAX, Relation, Target, Txn, TxnAnswer, TxnRequest, TxnResponse};
pub use self::values::Values;
use super::StateMachine;
use crate::config::VALUE_BYTES_MAX;

/// The most bytes in a key. It has at least one.
pub const KEY_BYTES_MAX: usize = 1 << 10;

/// The store.
#[derive(Clone, Debug)]
pub struct KeyValue {
    values: Values,
    order: Order,
    /// The most bytes in a value that is taken in. What is in the log already is applied at any length.
    value_bytes_max: usize,
}

/// A key or a value. A short one is stored in place; a longer one is shared, not copied, by a command and the stores of all
/// nodes of a process.
pub type Text = SmolStr;

/// A change to one key, or a transaction. As JSON: `{"op":"create","key":"x","value":"1"}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", try_from = "ReadCommand")]
pub enum Command {
    /// Add a key that must be absent.
    Create { key: Text, value: Text },
    /// Change a key that must be present.
    Update { key: Text, value: Text },
    /// Add or change a key.
    Put { key: Text, value: Text },
    /// Remove a key that must be present.
    Delete { key: Text },
    /// Change a key that must be present with the expected value (compare and swap).
    Cas { key: Text, expected: Text, value: Text },
    /// Compare, then do one thing or another.
    Txn(Box<Txn>),
}

/// A question about the store. As JSON: `{"op":"read","key":"x"}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Query {
    /// What is the value of this key?
    Read { key: Text },
    /// Which keys are there?
    Keys {},
    /// What do these keys have?
    Range(Box<Range>),
}

/// The answer to a command or a query. As JSON: `"created"`, `{"value":"1"}`, `{"mismatch":{"actual":"6"}}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The key was added by a create.
    Created,
    /// The key was changed by an update or a compare and swap.
    Updated,
    /// The key was added or changed by a put.
    Put,
    /// The key was removed.
    Deleted,
    /// The key's value.
    Value(Text),
    /// The keys, in order.
    Keys(Vec<Text>),
    /// Nothing was changed: the key to create exists.
    Exists,
    /// Nothing was changed or read: the key is absent.
    NotFound,
    /// Nothing was changed: the key has another value than expected.
    Mismatch { actual: Text },
    /// What the keys of a range have.
    Range(Box<Ranged>),
    /// The transaction was applied, one branch or the other.
    Txn(Box<TxnAnswer>),
    /// Nothing was changed or told: the answer would have more bytes of keys and values than this.
    TooLarge { bytes_max: u64 },
}

impl KeyValue {
    /// An empty store that takes in values of at most this many bytes.
    pub fn with_value_bytes_max(value_bytes_max: usize) -> KeyValue {
        KeyValue { values: Values::default(), order: Order::default(), value_bytes_max }
    }

    /// The command that is applied changes something: this is its revision.
    fn next_revision(&self) -> u64 {
        self.values.revision() + 1
    }

    fn put(&mut self, key: &Text, value: &Text, revision: u64) {
        if self.values.put(key, value, revision) {
            self.order.add(key);
        }
    }

    fn remove(&mut self, key: &str, revision: u64) -> bool {
        let was_there = self.values.remove(key, revision);
        if was_there {
            self.order.remove(key);
        }
        was_there
    }
}

/// By what they hold: whether a store was asked for a range makes no difference.
impl PartialEq for KeyValue {
    fn eq(&self, other: &KeyValue) -> bool {
        self.values == other.values && self.value_bytes_max == other.value_bytes_max
    }
}

impl Eq for KeyValue {}

impl Default for KeyValue {
    fn default() -> KeyValue {
        KeyValue::with_value_bytes_max(VALUE_BYTES_MAX)
    }
}

impl Command {
    /// Add this key, which must be absent.
    pub fn create(key: impl Into<Text>, value: impl Into<Text>) -> Command {
        Command::Create { key: key.into(), value: value.into() }
    }

    /// Change this key, which must be present.
    pub fn update(key: impl Into<Text>, value: impl Into<Text>) -> Command {
        Command::Update { key: key.into(), value: value.into() }
    }

    /// Add or change this key.
    pub fn put(key: impl Into<Text>, value: impl Into<Text>) -> Command {
        Command::Put { key: key.into(), value: value.into() }
    }

    /// Remove this key, which must be present.
    pub fn delete(key: impl Into<Text>) -> Command {
        Command::Delete { key: key.into() }
    }

    /// Change this key, which must be present with the expected value.
    pub fn cas(key: impl Into<Text>, expected: impl Into<Text>, value: impl Into<Text>) -> Command {
        Command::Cas { key: key.into(), expected: expected.into(), value: value.into() }
    }

    /// The key it is about; none for a transaction, which may be about many.
    pub fn key(&self) -> Option<&str> {
        match self {
            Command::Create { key, .. }
            | Command::Update { key, .. }
            | Command::Put { key, .. }
            | Command::Delete { key }
            | Command::Cas { key, .. } => Some(key),
            Command::Txn(_) => None,
        }
    }

    /// The value that the key is to have afterwards; none for a delete or a transaction.
    pub fn value(&self) -> Option<&str> {
        match self {
            Command::Create { value, .. }
            | Command::Update { value, .. }
            | Command::Put { value, .. }
            | Command::Cas { value, .. } => Some(value),
            Command::Delete { .. } | Command::Txn(_) => None,
        }
    }
}

impl Answer {
    /// Why nothing was changed or read, in the words that histories use; none when all is well.
    pub fn refusal(&self) -> Option<&'static str> {
        match self {
            Answer::Exists => Some("exists"),
            Answer::NotFound => Some("not_found"),
            Answer::Mismatch { .. } => Some("mismatch"),
            Answer::TooLarge { .. } => Some("too_large"),
            Answer::Created
            | Answer::Updated
            | Answer::Put
            | Answer::Deleted
            | Answer::Value(_)
            | Answer::Keys(_)
            | Answer::Range(_)
            | Answer::Txn(_) => None,
        }
    }
}

impl StateMachine for KeyValue {
    type Command = Command;
    type Query = Query;
    type Answer = Answer;
    type Snapshot = Values;

    fn apply(&mut self, command: &Command) -> Answer {
        let next = self.next_revision();
        match command {
            Command::Create { key, .. } if self.values.get(key).is_some() => Answer::Exists,
            Command::Create { key, value } => {
                self.put(key, value, next);
                Answer::Created
            }
            Command::Update { key, .. } if self.values.get(key).is_none() => Answer::NotFound,
            Command::Update { key, value } => {
                self.put(key, value, next);
                Answer::Updated
            }
            Command::Put { key, value } => {
                self.put(key, value, next);
                Answer::Put
            }
            Command::Delete { key } if self.remove(key, next) => Answer::Deleted,
            Command::Delete { .. } => Answer::NotFound,
            Command::Cas { key, expected, value } => match self.values.get(key) {
                Some(present) if present == expected => {
                    self.put(key, value, next);
                    Answer::Updated
                }
                Some(present) => Answer::Mismatch { actual: present.clone() },
                None => Answer::NotFound,
            },
            Command::Txn(txn) => self.transact(txn),
        }
    }

    fn query(&self, query: &Query) -> Answer {
        match query {
            Query::Read { key } => match self.values.get(key) {
                Some(value) => Answer::Value(value.clone()),
                None => Answer::NotFound,
            },
            Query::Keys {} => {
                Answer::Keys(self.values.ordered().into_iter().map(|(key, _)| key.into()).collect())
            }
            Query::Range(range) => match range.answer(&self.values, &self.order, RANGE_BYTES_MAX) {
                Ok(ranged) => Answer::Range(Box::new(ranged)),
                Err(refusal) => refusal,
            },
        }
    }

    fn check(&self, command: &Command) -> Result<(), String> {
        let key = match command {
            Command::Txn(txn) => return txn.check(self.value_bytes_max),
            command => command.key().map_or(0, str::len),
        };
        // The expected value of a compare and swap is bounded, too: it is logged like any other text.
        let expected = match command {
            Command::Cas { expected, .. } => expected.len(),
            _ => 0,
        };
        let value = command.value().map_or(0, str::len).max(expected);
        if key == 0 {
            return Err("the key is empty: give it a name".to_string());
        }
        if key > KEY_BYTES_MAX {
            return Err(too_long_a_key(key));
        }
        if value > self.value_bytes_max {
            return Err(too_long_a_value(value, self.value_bytes_max));
        }
        Ok(())
    }

    fn snapshot(&self) -> Values {
        self.values.clone()
    }

    fn restore(&mut self, values: Values) {
        self.values = values;
        self.order = Order::default();
    }

    fn answer_bytes(answer: &Answer) -> usize {
        const QUOTES: usize = 2;
        match answer {
            Answer::Put => "put".len() + QUOTES,
            Answer::Created => "created".len() + QUOTES,
            Answer::Updated => "updated".len() + QUOTES,
            Answer::Deleted => "deleted".len() + QUOTES,
            Answer::Exists => "exists".len() + QUOTES,
            Answer::NotFound => "not_found".len() + QUOTES,
            Answer::Value(_)
            | Answer::Keys(_)
            | Answer::Mismatch { .. }
            | Answer::Range(_)
            | Answer::Txn(_)
            | Answer::TooLarge { .. } => super::text_length(answer),
        }
    }

    fn items(&self) -> Vec<(String, String)> {
        let pairs = self.values.ordered().into_iter();
        pairs.map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn size(&self) -> usize {
        self.values.len()
    }
}

fn too_long_a_key(bytes: usize) -> String {
    format!("the key has {bytes} bytes: at most {KEY_BYTES_MAX} are allowed")
}

fn too_long_a_value(bytes: usize, most: usize) -> String {
    format!("the value has {bytes} bytes: at most {most} are allowed (value_bytes_max)")
}

/// Batches over a few keys and values, so that commands meet one another's traces.
#[cfg(test)]
pub(super) fn any_batch() -> impl proptest::strategy::Strategy<Value = Vec<Command>> {
    use proptest::prelude::*;
    let key = || prop::sample::select(vec!["a", "b", "c d", "\u{e9}\""]);
    let value = || prop::sample::select(vec!["", "1", "2", "a\nb"]);
    let one = prop_oneof![
        (key(), value()).prop_map(|(key, value)| Command::create(key, value)),
        (key(), value()).prop_map(|(key, value)| Command::update(key, value)),
        (key(), value()).prop_map(|(key, value)| Command::put(key, value)),
        key().prop_map(Command::delete),
        (key(), value(), value()).prop_map(|(key, expected, value)| Command::cas(key, expected, value)),
    ];
    prop::collection::vec(one, 0..12)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(store: &KeyValue, key: &str) -> Answer {
        store.query(&Query::Read { key: key.into() })
    }

    #[test]
    fn each_command_answers_what_it_did() {
        let mut store = KeyValue::default();
        assert_eq!(store.apply(&Command::update("x", "1")), Answer::NotFound);
        assert_eq!(store.apply(&Command::create("x", "1")), Answer::Created);
        assert_eq!(store.apply(&Command::create("x", "2")), Answer::Exists);
        assert_eq!(store.apply(&Command::cas("x", "9", "2")), Answer::Mismatch { actual: "1".into() });
        assert_eq!(store.apply(&Command::cas("x", "1", "2")), Answer::Updated);
        assert_eq!(read(&store, "x"), Answer::Value("2".into()));
        assert_eq!(store.apply(&Command::put("y", "3")), Answer::Put);
        assert_eq!(store.query(&Query::Keys {}), Answer::Keys(vec!["x".into(), "y".into()]));
        assert_eq!(store.apply(&Command::delete("x")), Answer::Deleted);
        assert_eq!(store.apply(&Command::delete("x")), Answer::NotFound);
        assert_eq!(store.apply(&Command::cas("x", "2", "3")), Answer::NotFound);
    }

    #[test]
    fn the_bytes_of_an_answer_are_those_of_its_text() {
        let text = || "a \"b\"\n\u{e9}".into();
        for answer in [
            Answer::Created,
            Answer::Updated,
            Answer::Put,
            Answer::Deleted,
            Answer::Value(text()),
            Answer::Keys(vec![text(), Text::default()]),
            Answer::Exists,
            Answer::NotFound,
            Answer::Mismatch { actual: text() },
        ] {
            let written = serde_json::to_string(&answer).expect("it serializes");
            assert_eq!(KeyValue::answer_bytes(&answer), written.len(), "{written}");
        }
    }

    #[test]
    fn an_empty_value_is_a_value() {
        let mut store = KeyValue::default();
        assert_eq!(store.apply(&Command::create("x", "")), Answer::Created);
        assert_eq!(read(&store, "x"), Answer::Value(Text::default()));
        assert_eq!(store.apply(&Command::create("x", "1")), Answer::Exists);
    }

    #[test]
    fn limits_are_told_by_name() {
        let name = "k".repeat(KEY_BYTES_MAX);
        let text = "v".repeat(VALUE_BYTES_MAX);
        let check = |command| KeyValue::default().check(&command);
        assert_eq!(check(Command::put(name.clone(), text.clone())), Ok(()));
        let refused = |command| check(command).expect_err("over a limit");
        assert!(refused(Command::delete(name + "k")).contains("1025 bytes: at most 1024"));
        assert!(refused(Command::put("x", text.clone() + "v")).contains("at most 1048576"));
        assert!(refused(Command::cas("x", text + "v", "")).contains("at most 1048576"));
        assert!(refused(Command::delete("")).contains("empty"));
        let narrow = KeyValue::with_value_bytes_max(3);
        assert_eq!(narrow.check(&Command::put("long key", "123")), Ok(()));
        let refused = narrow.check(&Command::put("x", "1234")).expect_err("over the limit");
        assert_eq!(refused, "the value has 4 bytes: at most 3 are allowed (value_bytes_max)");
    }

    #[test]
    fn the_written_forms_are_short() {
        let text = |command| serde_json::to_string(&command).expect("serializes");
        assert_eq!(text(Command::create("x", "1")), r#"{"op":"create","key":"x","value":"1"}"#);
        assert_eq!(text(Command::cas("x", "1", "2")), r#"{"op":"cas","key":"x","expected":"1","value":"2"}"#);
        assert_eq!(text(Command::delete("x")), r#"{"op":"delete","key":"x"}"#);
        let text = |query| serde_json::to_string(&query).expect("serializes");
        assert_eq!(text(Query::Read { key: "x".into() }), r#"{"op":"read","key":"x"}"#);
        assert_eq!(text(Query::Keys {}), r#"{"op":"keys"}"#);
        let text = |answer| serde_json::to_string(&answer).expect("serializes");
        assert_eq!(text(Answer::NotFound), r#""not_found""#);
        assert_eq!(text(Answer::Value("1".into())), r#"{"value":"1"}"#);
        assert_eq!(text(Answer::Mismatch { actual: "6".into() }), r#"{"mismatch":{"actual":"6"}}"#);
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let wrong = r#"{"op":"delete","key":"x","vaule":"1"}"#;
        assert!(serde_json::from_str::<Command>(wrong).is_err());
        assert!(serde_json::from_str::<Query>(r#"{"op":"keys","key":"x"}"#).is_err());
    }

    /// The model: an unordered list of pairs, searched from its start.
    fn apply_to_model(pairs: &mut Vec<(Text, Text)>, command: &Command) -> Answer {
        let found = pairs.iter().position(|(key, _)| Some(key.as_str()) == command.key());
        let (answer, value) = match (command, found) {
            (Command::Create { .. }, Some(_)) => (Answer::Exists, None),
            (Command::Create { value, .. }, None) => (Answer::Created, Some(value)),
            (Command::Put { value, .. }, _) => (Answer::Put, Some(value)),
            (Command::Txn(_), _) => unreachable!("none is among these batches"),
            (_, None) => (Answer::NotFound, None),
            (Command::Update { value, .. }, Some(_)) => (Answer::Updated, Some(value)),
            (Command::Delete { .. }, Some(_)) => (Answer::Deleted, None),
            (Command::Cas { expected, value, .. }, Some(at)) => match &pairs[at].1 {
                actual if actual == expected => (Answer::Updated, Some(value)),
                actual => (Answer::Mismatch { actual: actual.clone() }, None),
            },
        };
        match (found, value) {
            (Some(at), _) if answer == Answer::Deleted => drop(pairs.swap_remove(at)),
            (Some(at), Some(value)) => pairs[at].1.clone_from(value),
            (None, Some(value)) => pairs.push((command.key().expect("it has one").into(), value.clone())),
            (_, None) => (),
        }
        answer
    }

    proptest! {
        #[test]
        fn the_store_behaves_as_a_plain_list_would(commands in any_batch()) {
            let mut store = KeyValue::default();
            let mut model = Vec::new();
            for command in &commands {
                prop_assert_eq!(store.apply(command), apply_to_model(&mut model, command));
            }
            let mut model: Vec<_> =
                model.into_iter().map(|(key, value)| (String::from(key), String::from(value))).collect();
            model.sort();
            prop_assert_eq!(store.size(), model.len());
            prop_assert_eq!(store.items(), model);
        }
    }
}
