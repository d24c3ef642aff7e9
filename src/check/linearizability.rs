//! Linearizability (section 8): whether each operation can have taken effect at once, at some moment between its call
//! and its return.
//!
//! - A history is linearizable if and only if that of each key is, so keys are judged one by one. Batches that touch
//!   several keys are not judged as a whole.
//! - A key begins absent, or, if the history begins in the middle of a cluster's life, with any value that explains it.
//! - An operation with an unknown outcome may have taken effect at any time after its call, or never. A refused one
//!   never did.
//! - First a cheap witness: the order of the log. Only a key that it does not convince is searched for another order,
//!   as Wing and Gong did, with the memory that Lowe added.
//! - A search can take more time than anyone has: the caller says when to stop, and the verdict is then open.
//! - What searches remember is bounded: a key that needs more is given up, and the verdict is open.
//!
//! Two operations of which one returns at the very moment that the other is called count as concurrent: clocks are not
//! finer than that. This file must never trust an index: it only says where to look first.

mod budget;
mod calls;
mod model;
mod search;
mod values;
mod witness;

use std::collections::BTreeMap;

use derive_more::Display;

use self::budget::Budget;
use self::model::KeyHistory;
use self::search::{Contradiction, Search, Settled};
use super::history::Operation;

/// How many steps a key's search may take until it is the next key's turn: one hard key hides no easy one.
const TURN: u32 = 4096;

/// How many bytes the searches of a check may remember together, if nothing else is said.
pub const MEMORY_MAX: usize = 256 << 20;

/// What each key holds before the first operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Start {
    #[default]
    Absent,
    /// Unknown: the cluster ran before. Any one value, or none, may explain the history.
    Unknown,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every operation can have taken effect at once.
    Linearizable,
    Violation(Violation),
    /// It took too much to say. No violation was found.
    Undecided {
        key: String,
        limit: Limit,
    },
}

/// What ended a search without a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display)]
pub enum Limit {
    #[display("no order found in time")]
    Time,
    /// There was no room to remember more.
    #[display("no order found in the memory allowed")]
    Memory,
}

/// Why a history is not linearizable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The key whose operations contradict each other.
    pub key: String,
    /// The place, in the history, of the first operation to return that contradicts: without it and what returned
    /// later, there is an order.
    pub operation: usize,
    /// What it was told and what it can have found, in one line.
    pub explanation: String,
}

/// Judges a history that begins like this, in any order of its operations. Before each step of a search `keep_going`
/// is asked whether there is time for it. Searches remember [`MEMORY_MAX`] bytes at most.
pub fn check(start: Start, operations: &[Operation], keep_going: impl FnMut() -> bool) -> Verdict {
    check_within(MEMORY_MAX, start, operations, keep_going)
}

/// [`check`], with this many bytes for the searches' memory.
pub fn check_within(
    memory: usize,
    start: Start,
    operations: &[Operation],
    mut keep_going: impl FnMut() -> bool,
) -> Verdict {
    let histories: Vec<KeyHistory> = keys(operations)
        .into_iter()
        .map(|(key, positions)| KeyHistory::new(key, start, operations, &positions))
        .filter(|history| !witness::convinces(history))
        .collect();
    let mut budget = Budget::new(memory);
    let mut searches: Vec<Search> = histories.iter().map(Search::new).collect();
    let mut found: Vec<(&KeyHistory, Contradiction)> = Vec::new();
    let mut given_up: Vec<(&KeyHistory, Limit)> = Vec::new();
    while !searches.is_empty() {
        let mut open = Vec::new();
        for mut search in searches {
            match search.run(TURN, &mut budget, &mut keep_going) {
                Settled::Open => {
                    open.push(search);
                    continue;
                }
                Settled::Linearizable => {}
                Settled::Contradiction(contradiction) => found.push((search.history, contradiction)),
                // That there is a contradiction may be known already, though not where it begins.
                Settled::Full => match search.contradiction() {
                    Some(contradiction) => found.push((search.history, contradiction)),
                    None => given_up.push((search.history, Limit::Memory)),
                },
            }
            search.release(&mut budget);
        }
        searches = open;
        if !searches.is_empty() && !keep_going() {
            break;
        }
    }
    for search in searches {
        match search.contradiction() {
            Some(contradiction) => found.push((search.history, contradiction)),
            None => given_up.push((search.history, Limit::Time)),
        }
    }
    match (found.into_iter().min_by_key(|(_, found)| found.returned), given_up.first()) {
        (Some((history, found)), _) => Verdict::Violation(Violation {
            key: history.key.to_string(),
            operation: found.position,
            explanation: found.explain(&operations[found.position], history),
        }),
        (None, Some((history, limit))) => Verdict::Undecided { key: history.key.to_string(), limit: *limit },
        (None, None) => Verdict::Linearizable,
    }
}

/// The keys of a history, each with the places of its operations.
pub fn keys(operations: &[Operation]) -> BTreeMap<&str, Vec<usize>> {
    let mut keys: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, operation) in operations.iter().enumerate() {
        keys.entry(&operation.key).or_default().push(position);
    }
    keys
}

/// Lets a check make this many steps: the same verdict on every machine.
pub fn steps(limit: u64) -> impl FnMut() -> bool {
    let mut left = limit;
    move || {
        let some = left > 0;
        left = left.saturating_sub(1);
        some
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{Action, Outcome};
    use super::*;
    use crate::types::{ClientId, LogIndex, Time};

    fn operation(action: Action, times: (u64, u64), outcome: Outcome) -> Operation {
        Operation {
            client: ClientId(1),
            key: "x".to_string(),
            action,
            called: Time::from_nanos(times.0),
            returned: (outcome != Outcome::Unknown).then_some(Time::from_nanos(times.1)),
            outcome,
            index: None,
        }
    }

    fn put(value: &str, times: (u64, u64)) -> Operation {
        operation(Action::Put(value.to_string()), times, Outcome::Changed)
    }

    fn read(value: &str, times: (u64, u64)) -> Operation {
        operation(Action::Read, times, Outcome::Found(Some(value.to_string())))
    }

    fn absent(times: (u64, u64)) -> Operation {
        operation(Action::Read, times, Outcome::Found(None))
    }

    fn lost(action: Action, called: u64) -> Operation {
        operation(action, (called, called), Outcome::Unknown)
    }

    fn judge(operations: &[Operation]) -> Verdict {
        check(Start::Absent, operations, steps(1_000_000))
    }

    fn violation(operations: &[Operation]) -> (usize, String) {
        match judge(operations) {
            Verdict::Violation(found) => (found.operation, found.explanation),
            other => panic!("expected a violation, got {other:?}"),
        }
    }

    #[test]
    fn nothing_is_linearizable() {
        assert_eq!(judge(&[]), Verdict::Linearizable);
    }

    #[test]
    fn concurrent_operations_may_take_effect_in_any_order() {
        let history = [put("1", (0, 10)), put("2", (0, 10)), read("2", (1, 5)), read("1", (6, 9))];
        assert_eq!(judge(&history), Verdict::Linearizable);
    }

    #[test]
    fn a_read_sees_the_write_that_returned_before() {
        let history = [put("1", (0, 1)), put("2", (2, 3)), read("1", (4, 5))];
        let (operation, explanation) = violation(&history);
        assert_eq!(operation, 2);
        let expected =
            "c1 read x, called at 0.000000, returned at 0.000000: 1; in any order, x can only have been 2";
        assert_eq!(explanation, expected);
    }

    #[test]
    fn what_two_reads_saw_is_not_undone() {
        let history = [put("1", (0, 1)), put("2", (2, 9)), read("2", (3, 4)), read("1", (5, 6))];
        assert_eq!(violation(&history).0, 3);
    }

    #[test]
    fn the_same_moment_counts_as_concurrent() {
        assert_eq!(judge(&[put("1", (0, 5)), absent((5, 6))]), Verdict::Linearizable);
        assert_eq!(violation(&[put("1", (0, 5)), absent((6, 7))]).0, 1);
    }

    #[test]
    fn an_unknown_write_may_take_effect_late_or_never_but_once() {
        let unknown = || lost(Action::Put("9".to_string()), 2);
        let never = [put("1", (0, 1)), unknown(), read("1", (20, 30))];
        assert_eq!(judge(&never), Verdict::Linearizable);
        let late = [put("1", (0, 1)), unknown(), read("1", (20, 30)), read("9", (40, 50))];
        assert_eq!(judge(&late), Verdict::Linearizable);
        let early = [read("9", (0, 1)), unknown()];
        assert_eq!(violation(&early).0, 0);
        let twice = [unknown(), read("9", (5, 6)), put("1", (7, 8)), read("9", (9, 10))];
        assert_eq!(violation(&twice).0, 3);
    }

    #[test]
    fn refused_operations_never_took_effect() {
        let refused = operation(Action::Put("1".to_string()), (0, 1), Outcome::Refused);
        assert_eq!(judge(&[refused.clone(), absent((2, 3))]), Verdict::Linearizable);
        assert_eq!(violation(&[refused, read("1", (2, 3))]).0, 1);
    }

    #[test]
    fn each_command_keeps_its_meaning() {
        let create = |times, outcome| operation(Action::Create("1".to_string()), times, outcome);
        let update = |times, outcome| operation(Action::Update("2".to_string()), times, outcome);
        let delete = |times, outcome| operation(Action::Delete, times, outcome);
        let cas = |times, outcome| {
            let action = Action::Cas { expected: "2".to_string(), value: "3".to_string() };
            operation(action, times, outcome)
        };
        let told_one = Outcome::Mismatch(Some("1".to_string()));
        let all = [
            update((0, 1), Outcome::NotFound),
            delete((2, 3), Outcome::NotFound),
            cas((4, 5), Outcome::NotFound),
            create((6, 7), Outcome::Changed),
            create((8, 9), Outcome::Exists),
            cas((10, 11), told_one),
            update((12, 13), Outcome::Changed),
            cas((14, 15), Outcome::Changed),
            cas((16, 17), Outcome::Mismatch(None)),
            delete((18, 19), Outcome::Changed),
            absent((20, 21)),
        ];
        assert_eq!(judge(&all), Verdict::Linearizable);
        let after_put = |mut next: Operation| {
            next.called = Time::from_nanos(100);
            next.returned = Some(Time::from_nanos(101));
            violation(&[put("7", (0, 1)), next]).0
        };
        for wrong in [0, 1, 2, 3, 5, 7, 10] {
            assert_eq!(after_put(all[wrong].clone()), 1, "{} cannot follow a put", all[wrong]);
        }
    }

    #[test]
    fn an_unknown_start_is_one_value_whichever_explains_the_history() {
        let from_anything = |operations: &[Operation]| check(Start::Unknown, operations, steps(1_000_000));
        let cas = |expected: &str, times, outcome| {
            let (expected, value) = (expected.to_string(), "9".to_string());
            operation(Action::Cas { expected, value }, times, outcome)
        };
        let create = operation(Action::Create("2".to_string()), (2, 3), Outcome::Exists);
        let explained = [
            vec![read("1", (0, 1)), read("1", (2, 3))],
            vec![absent((0, 1)), put("1", (2, 3)), read("1", (4, 5))],
            // A value that is never told.
            vec![cas("1", (0, 1), Outcome::Mismatch(None)), create.clone()],
            vec![cas("1", (0, 1), Outcome::Changed), read("9", (2, 3))],
        ];
        for history in &explained {
            assert_eq!(from_anything(history), Verdict::Linearizable, "{}", history[0]);
        }
        let refuted = [
            vec![read("1", (0, 1)), read("2", (2, 3))],
            vec![absent((0, 1)), create],
            vec![cas("1", (0, 1), Outcome::Mismatch(None)), read("1", (2, 3))],
            vec![put("1", (0, 1)), absent((2, 3))],
        ];
        for history in &refuted {
            let Verdict::Violation(found) = from_anything(history) else { panic!("{}", history[0]) };
            assert_eq!(found.operation, 1, "{}", found.explanation);
        }
    }

    #[test]
    fn from_an_unknown_start_the_log_alone_convinces_too() {
        let mut history = vec![read("7", (0, 1)), put("1", (2, 3)), read("1", (4, 5))];
        for (operation, index) in history.iter_mut().zip([4, 5, 5]) {
            operation.index = Some(LogIndex(index));
        }
        assert_eq!(check(Start::Unknown, &history, || false), Verdict::Linearizable);
        assert_ne!(check(Start::Absent, &history, || false), Verdict::Linearizable);
    }

    #[test]
    fn the_earliest_of_several_contradictions_is_told() {
        let of_key = |key: &str, mut operation: Operation| {
            operation.key = key.to_string();
            operation
        };
        let history = [of_key("a", read("1", (8, 9))), of_key("b", read("1", (1, 2))), put("1", (0, 1))];
        let Verdict::Violation(found) = judge(&history) else { panic!("no client wrote that") };
        assert_eq!((found.key.as_str(), found.operation), ("b", 1));
    }

    #[test]
    fn without_time_there_is_no_verdict_but_what_the_log_shows() {
        let mut history = vec![put("1", (0, 1)), read("1", (2, 3))];
        assert_eq!(
            check(Start::Absent, &history, || false),
            Verdict::Undecided { key: "x".to_string(), limit: Limit::Time }
        );
        for operation in &mut history {
            operation.index = Some(LogIndex(4));
        }
        assert_eq!(
            check(Start::Absent, &history, || false),
            Verdict::Linearizable,
            "the witness needs no search"
        );
    }

    #[test]
    fn a_wrong_index_convinces_no_one() {
        let mut history = vec![put("1", (0, 1)), put("2", (2, 3)), read("1", (4, 5))];
        for (operation, index) in history.iter_mut().zip([2, 1, 2]) {
            operation.index = Some(LogIndex(index));
        }
        assert_eq!(violation(&history).0, 2);
        history[2] = read("2", (4, 5));
        assert_eq!(judge(&history), Verdict::Linearizable, "the search finds what the indexes hide");
    }
}
