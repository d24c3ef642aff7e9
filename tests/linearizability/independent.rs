//! Three other checkers for histories of one key: all permutations, that of the crate todc-utils, and the library's own for
//! any model.

#![expect(clippy::ref_option, reason = "the state is an option, and is looked at as it is")]

use std::collections::BTreeSet;

use crate::generate::operation;
use raftlab::check::history::{Action, Operation, Outcome};
use raftlab::linearizability::{Call, Judgement, Model, judge};
use raftlab::types::Time;
use todc_utils::{Action as Moment, History, Specification, WGLChecker};

/// The places of the answered operations, in the order of their returns.
pub fn return_order(history: &[Operation]) -> Vec<usize> {
    let answered = |at: &usize| !matches!(history[*at].outcome, Outcome::Unknown | Outcome::Refused);
    let mut order: Vec<usize> = (0..history.len()).filter(answered).collect();
    order.sort_by_key(|at| (history[*at].returned, history[*at].called));
    order
}

/// Tries every order until the first `count` of the answered operations have taken effect. The others may.
pub fn by_all_permutations(history: &[Operation], count: usize) -> bool {
    let required = return_order(history);
    let count = count.min(required.len());
    let mut left: Vec<usize> = (0..history.len()).collect();
    left.retain(|at| history[*at].outcome != Outcome::Refused);
    permute(history, &required[..count], &left, &None)
}

fn permute(history: &[Operation], required: &[usize], left: &[usize], state: &Option<String>) -> bool {
    if required.iter().all(|at| !left.contains(at)) {
        return true;
    }
    left.iter().any(|at| {
        let operation = &history[*at];
        // Whatever returned before this was called must have taken effect.
        let returned = |other: &usize| end(&history[*other]).is_some_and(|end| end < operation.called);
        if left.iter().any(returned) {
            return false;
        }
        let (told, next) = effect(&operation.action, state);
        let rest: Vec<usize> = left.iter().copied().filter(|other| other != at).collect();
        agrees(&operation.outcome, &told) && permute(history, required, &rest, &next)
    })
}

fn end(operation: &Operation) -> Option<Time> {
    operation.returned.filter(|_| operation.outcome != Outcome::Unknown)
}

/// What the client is told and what is there afterwards.
fn effect(action: &Action, state: &Option<String>) -> (Outcome, Option<String>) {
    let same = state.clone();
    match (action, state) {
        (Action::Read, _) => (Outcome::Found(state.clone()), same),
        (Action::Put(value), _) | (Action::Create(value), None) | (Action::Update(value), Some(_)) => {
            (Outcome::Changed, Some(value.clone()))
        }
        (Action::Create(_), Some(_)) => (Outcome::Exists, same),
        (Action::Update(_) | Action::Delete | Action::Cas { .. }, None) => (Outcome::NotFound, None),
        (Action::Delete, Some(_)) => (Outcome::Changed, None),
        (Action::Cas { expected, value }, Some(actual)) if expected == actual => {
            (Outcome::Changed, Some(value.clone()))
        }
        (Action::Cas { .. }, Some(actual)) => (Outcome::Mismatch(Some(actual.clone())), same),
    }
}

fn agrees(recorded: &Outcome, told: &Outcome) -> bool {
    match recorded {
        Outcome::Unknown => true,
        Outcome::Mismatch(None) => matches!(told, Outcome::Mismatch(_)),
        _ => recorded == told,
    }
}

/// What the key may hold at the start: nothing, a value of the history, or another.
pub fn values(history: &[Operation]) -> BTreeSet<Option<String>> {
    let of = |operation: &Operation| {
        let told = match &operation.outcome {
            Outcome::Found(value) | Outcome::Mismatch(value) => value.clone(),
            _ => None,
        };
        let asked = match operation.action.clone() {
            Action::Create(value) | Action::Update(value) | Action::Put(value) => vec![value],
            Action::Cas { expected, value } => vec![expected, value],
            Action::Read | Action::Delete => vec![],
        };
        told.into_iter().chain(asked)
    };
    let known = history.iter().flat_map(of).chain(["a value of its own".to_string()]);
    known.map(Some).chain([None]).collect()
}

/// The history behind a put of this value, if it is one.
pub fn after(value: Option<String>, history: &[Operation]) -> Vec<Operation> {
    let later = |time: Time| Time::from_nanos(time.as_nanos() + 2);
    let first = value.map(|value| operation("x", Action::Put(value), 0, Some(1), Outcome::Changed, 0));
    let shifted = history.iter().cloned().map(|operation| Operation {
        called: later(operation.called),
        returned: operation.returned.map(later),
        ..operation
    });
    first.into_iter().chain(shifted).collect()
}

struct Register;

impl Specification for Register {
    type State = Option<String>;
    type Operation = (Action, Outcome);

    fn init() -> Option<String> {
        None
    }

    fn apply((action, outcome): &(Action, Outcome), state: &Option<String>) -> (bool, Option<String>) {
        let (told, next) = effect(action, state);
        (agrees(outcome, &told), next)
    }
}

/// What todc-utils says. An operation of unknown outcome returns after all others: when it takes effect last, that is
/// as if it never did.
pub fn by_todc(history: &[Operation]) -> bool {
    let mut moments = Vec::new();
    for (process, operation) in history.iter().enumerate() {
        if operation.outcome == Outcome::Refused {
            continue;
        }
        let what = || (operation.action.clone(), operation.outcome.clone());
        let end = end(operation).unwrap_or(Time::NEVER);
        // At one moment the calls come first: those operations are concurrent.
        moments.push((operation.called, 0, process, Moment::Call(what())));
        moments.push((end, 1, process, Moment::Response(what())));
    }
    if moments.is_empty() {
        return true;
    }
    moments.sort_by_key(|(time, kind, process, _)| (*time, *kind, *process));
    let actions = moments.into_iter().map(|(_, _, process, moment)| (process, moment)).collect();
    WGLChecker::<Register>::is_linearizable(History::from_actions(actions))
}

/// One key, as a model for the library's general checker.
struct KeyModel;

impl Model for KeyModel {
    type State = Option<String>;
    type Input = Action;
    type Output = Outcome;

    fn initial(&self) -> Option<String> {
        None
    }

    fn step(
        &self,
        state: &Option<String>,
        action: &Action,
        told: Option<&Outcome>,
    ) -> Option<Option<String>> {
        let (answer, next) = effect(action, state);
        told.is_none_or(|told| agrees(told, &answer)).then_some(next)
    }
}

/// What the library's general checker says. What it gives as the reason is held against the model.
pub fn by_model(history: &[Operation]) -> bool {
    let kept = history.iter().filter(|operation| operation.outcome != Outcome::Refused);
    let calls: Vec<_> = kept
        .map(|operation| Call {
            input: operation.action.clone(),
            called: operation.called,
            returned: end(operation).map(|returned| (returned, operation.outcome.clone())),
            hint: operation.index.map(|index| index.0),
        })
        .collect();
    let follow = |order: &[usize]| {
        let mut state = KeyModel.initial();
        for &at in order {
            let told = calls[at].returned.as_ref().map(|(_, told)| told);
            state = KeyModel.step(&state, &calls[at].input, told).expect("the order is one of the model's");
        }
    };
    match judge(&KeyModel, &calls, 1_000_000) {
        Judgement::Linearizable(order) => {
            follow(&order);
            let answered = (0..calls.len()).filter(|at| calls[*at].returned.is_some());
            assert!(answered.into_iter().all(|at| order.contains(&at)), "an answered call is left out");
            for (at, later) in order
                .iter()
                .enumerate()
                .flat_map(|(at, one)| order[at + 1..].iter().map(move |later| (one, later)))
            {
                let returned = calls[*later].returned.as_ref().map(|(time, _)| *time);
                assert!(returned.is_none_or(|time| time >= calls[*at].called), "the order goes against time");
            }
            true
        }
        Judgement::Violation { call, order } => {
            follow(&order);
            assert!(calls[call].returned.is_some() && !order.contains(&call));
            false
        }
        Judgement::Undecided => panic!("too hard for the general checker"),
    }
}
