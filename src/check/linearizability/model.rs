//! One key as a register: its operations in a compact form, and what each does to the value.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::super::history::{Action, Operation, Outcome, value_shown};
use super::Start;
use crate::types::{LogIndex, Time};

/// What the key holds: nothing, a value that no answer depends on, or one of the others.
pub(super) type Value = u32;

const ABSENT: Value = 0;

/// The values that no answer depends on, of unknown changes or of an unknown start, are one, which makes many
/// situations one situation.
const UNSEEN: Value = 1;

/// The operations on one key that can have taken effect.
pub(super) struct KeyHistory<'a> {
    pub key: &'a str,
    /// What it can have held at the start, the most promising first.
    pub starts: Vec<Value>,
    pub answered: Vec<Item>,
    /// Those whose outcome is unknown, in the order of their calls.
    pub unknown: Vec<Item>,
    /// The values that somebody was told, expected or certainly wrote.
    values: Vec<&'a str>,
    /// Whether an answer can depend on each value, by its number.
    telling: Vec<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Item {
    pub position: usize,
    pub change: Change,
    pub told: Told,
    pub called: Time,
    pub returned: Time,
    pub index: Option<LogIndex>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Change {
    Create(Value),
    Read,
    Update(Value),
    Delete,
    Put(Value),
    Cas { expected: Value, value: Value },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Changed,
    Found(Value),
    Exists,
    NotFound,
    Mismatch(Option<Value>),
    Unknown,
}

impl<'a> KeyHistory<'a> {
    /// The operations at these positions, all of this key.
    pub fn new(
        key: &'a str,
        start: Start,
        operations: &'a [Operation],
        positions: &[usize],
    ) -> KeyHistory<'a> {
        let of_key = || positions.iter().map(|at| &operations[*at]);
        let told: BTreeSet<&str> = of_key().flat_map(told_by).collect();
        let values: BTreeSet<&str> = of_key().filter_map(written_by).chain(told.iter().copied()).collect();
        let values: Vec<&str> = values.into_iter().collect();
        let telling =
            [true, true].into_iter().chain(values.iter().map(|value| told.contains(value))).collect();
        let numbers: BTreeMap<&str, Value> = values.iter().copied().zip(UNSEEN + 1..).collect();
        let starts = match start {
            Start::Absent => vec![ABSENT],
            Start::Unknown => (ABSENT..).take(values.len() + 2).collect(),
        };
        let (answered, unknown) = (Vec::new(), Vec::new());
        let mut history = KeyHistory { key, starts, answered, unknown, values, telling };
        history.starts.retain(|start| history.telling[*start as usize]);
        for &position in positions {
            let operation = &operations[position];
            let Some(told) = Told::new(&operation.outcome, &numbers) else { continue };
            let change = Change::new(&operation.action, &numbers);
            let unknown = told == Told::Unknown;
            let returned = operation.returned.filter(|_| !unknown).unwrap_or(Time::NEVER);
            let (called, index) = (operation.called, operation.index);
            let item = Item { position, change, told, called, returned, index };
            match told {
                // A read changes nothing: without an answer it says nothing.
                Told::Unknown if change == Change::Read => {}
                Told::Unknown => history.unknown.push(item),
                _ => history.answered.push(item),
            }
        }
        history.answered.sort_by_key(|item| (item.returned, item.called));
        history.unknown.sort_by_key(|item| item.called);
        history
    }

    /// How many values there are, counted from 0.
    pub fn value_count(&self) -> usize {
        self.values.len() + 2
    }

    /// The value that stands for this one: what no answer depends on is all alike.
    pub fn class(&self, value: Value) -> Value {
        if self.telling[value as usize] { value } else { UNSEEN }
    }

    pub fn describe(&self, value: Value) -> Cow<'_, str> {
        match value {
            ABSENT => Cow::Borrowed("absent"),
            UNSEEN => Cow::Borrowed("a value that no client was told"),
            _ => value_shown(self.values[(value - UNSEEN - 1) as usize]),
        }
    }
}

impl Item {
    /// What the key holds afterwards if this takes effect now; none if the client would have been told otherwise.
    pub fn apply(&self, state: Value) -> Option<Value> {
        let (told, next) = self.change.apply(state);
        let fits = match self.told {
            Told::Unknown => true,
            Told::Mismatch(None) => matches!(told, Told::Mismatch(_)),
            other => other == told,
        };
        fits.then_some(next)
    }

    /// The value that it must have found to be told this, if it is one.
    pub fn observes(&self) -> Option<Value> {
        match (self.told, self.change) {
            (Told::Found(value) | Told::Mismatch(Some(value)), _) => Some(value),
            (Told::NotFound, _) | (Told::Changed, Change::Create(_)) => Some(ABSENT),
            (Told::Changed, Change::Cas { expected, .. }) => Some(expected),
            _ => None,
        }
    }

    /// The value that it may have left, if it may have changed any.
    pub fn writes(&self) -> Option<Value> {
        match (self.told, self.change) {
            (Told::Changed | Told::Unknown, Change::Delete) => Some(ABSENT),
            (
                Told::Changed | Told::Unknown,
                Change::Create(value)
                | Change::Update(value)
                | Change::Put(value)
                | Change::Cas { value, .. },
            ) => Some(value),
            _ => None,
        }
    }

    /// In how many states it does what it does in one, by rank: what a change of a lower rank can do somewhere, one
    /// of a higher rank that does the same here can do there too.
    pub fn reach(&self) -> u8 {
        match self.change {
            Change::Cas { .. } => 0,
            Change::Create(_) | Change::Update(_) => 1,
            Change::Put(_) | Change::Delete | Change::Read => 2,
        }
    }

    /// Whether it leaves every state as it is.
    pub fn is_pure(&self) -> bool {
        !matches!(self.told, Told::Changed | Told::Unknown)
    }
}

impl Change {
    fn new(action: &Action, numbers: &BTreeMap<&str, Value>) -> Change {
        let number = |value: &String| numbers.get(value.as_str()).copied().unwrap_or(UNSEEN);
        match action {
            Action::Create(value) => Change::Create(number(value)),
            Action::Read => Change::Read,
            Action::Update(value) => Change::Update(number(value)),
            Action::Delete => Change::Delete,
            Action::Put(value) => Change::Put(number(value)),
            Action::Cas { expected, value } => {
                Change::Cas { expected: number(expected), value: number(value) }
            }
        }
    }

    fn apply(self, state: Value) -> (Told, Value) {
        match self {
            Change::Create(value) if state == ABSENT => (Told::Changed, value),
            Change::Create(_) => (Told::Exists, state),
            Change::Read => (Told::Found(state), state),
            Change::Update(_) | Change::Delete | Change::Cas { .. } if state == ABSENT => {
                (Told::NotFound, state)
            }
            Change::Put(value) | Change::Update(value) => (Told::Changed, value),
            Change::Delete => (Told::Changed, ABSENT),
            Change::Cas { expected, value } if expected == state => (Told::Changed, value),
            Change::Cas { .. } => (Told::Mismatch(Some(state)), state),
        }
    }
}

impl Told {
    /// None for what never took effect.
    fn new(outcome: &Outcome, numbers: &BTreeMap<&str, Value>) -> Option<Told> {
        let number = |value: &String| numbers[value.as_str()];
        match outcome {
            Outcome::Changed => Some(Told::Changed),
            Outcome::Found(value) => Some(Told::Found(value.as_ref().map_or(ABSENT, number))),
            Outcome::Exists => Some(Told::Exists),
            Outcome::NotFound => Some(Told::NotFound),
            Outcome::Mismatch(actual) => Some(Told::Mismatch(actual.as_ref().map(number))),
            Outcome::Refused => None,
            Outcome::Unknown => Some(Told::Unknown),
        }
    }
}

/// The values that an operation was told or expected.
fn told_by(operation: &Operation) -> impl Iterator<Item = &str> {
    let expected = match &operation.action {
        Action::Cas { expected, .. } => Some(expected),
        _ => None,
    };
    let told = match &operation.outcome {
        Outcome::Found(value) | Outcome::Mismatch(value) => value.as_ref(),
        _ => None,
    };
    expected.into_iter().chain(told).map(String::as_str)
}

/// The value that an operation wrote, if it is certain that it ended.
fn written_by(operation: &Operation) -> Option<&str> {
    match &operation.action {
        _ if operation.outcome == Outcome::Unknown => None,
        Action::Create(value) | Action::Update(value) | Action::Put(value) | Action::Cas { value, .. } => {
            Some(value)
        }
        Action::Read | Action::Delete => None,
    }
}
