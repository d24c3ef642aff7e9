//! The linearizability check, checked: generated histories pass, planted faults are refused, and on small random
//! histories it agrees with two checkers that share nothing with it.

mod generate;
mod independent;
mod program;

use generate::{Fault, Plan};
use proptest::prelude::*;
use raftlab::check::history::{Action, Operation, Outcome};
use raftlab::check::linearizability::{Start, Verdict, check, steps};
use raftlab::types::{ClientId, Random, Time};

/// Far more than any history here needs.
const STEPS: u64 = 100_000;

fn judge(history: &[Operation]) -> Verdict {
    check(Start::Absent, history, steps(STEPS))
}

/// The same history without what the log says: only the search can judge it.
fn without_indexes(history: &[Operation]) -> Vec<Operation> {
    history.iter().cloned().map(|operation| Operation { index: None, ..operation }).collect()
}

#[test]
fn what_a_correct_store_answers_is_linearizable() {
    let mut by_the_log_alone = 0;
    for seed in 0..300 {
        let history = Plan::new(seed, 2 + seed % 7, 1 + seed % 3, 200).execute();
        assert_eq!(judge(&history), Verdict::Linearizable, "seed {seed}");
        assert_eq!(judge(&without_indexes(&history)), Verdict::Linearizable, "seed {seed}, by search");
        by_the_log_alone += u32::from(check(Start::Absent, &history, || false) == Verdict::Linearizable);
    }
    // Where unknown changes took effect is guessed, and rarely wrong.
    assert!(by_the_log_alone > 250, "the witness is worth its place: {by_the_log_alone} of 300");
}

#[test]
fn planted_faults_are_refused_and_named() {
    for fault in [Fault::StaleRead, Fault::LostWrite, Fault::AppliedTwice, Fault::DeleteUndone] {
        let mut planted = 0;
        for seed in 0..200 {
            let plan = Plan::new(seed, 2 + seed % 4, 1 + seed % 2, 200);
            let Some((history, read)) = plan.execute_with(fault) else { continue };
            planted += 1;
            for history in [without_indexes(&history), history] {
                for start in [Start::Absent, Start::Unknown] {
                    let Verdict::Violation(found) = check(start, &history, steps(STEPS)) else {
                        panic!("seed {seed}: {fault:?} is not noticed from {start:?}");
                    };
                    let (named, planted) = (&history[found.operation], &history[read]);
                    // A fault that stays may show to another client first.
                    let other = fault != Fault::StaleRead && named.returned < planted.returned;
                    let explanation = found.explanation;
                    assert!(other || named == planted, "seed {seed}, {fault:?}, {planted}: {explanation}");
                }
            }
        }
        assert!(planted > 20, "{fault:?} found a place in {planted} histories only");
    }
}

#[test]
fn changes_that_do_the_same_are_tried_in_one_order() {
    // Seven values in a ring, all changes at once: forty equal choices at each step, but only one way.
    let operation = |client, action, times: (u64, u64), outcome| Operation {
        client: ClientId(client),
        key: "r".to_string(),
        action,
        called: Time::from_nanos(times.0),
        returned: Some(Time::from_nanos(times.1)),
        outcome,
        index: None,
    };
    let mut history = vec![operation(99, Action::Put("0".to_string()), (1, 2), Outcome::Changed)];
    for client in 0..40 {
        let [expected, value] = [client % 7, (client + 1) % 7].map(|value| value.to_string());
        history.push(operation(client, Action::Cas { expected, value }, (10, 1_000), Outcome::Changed));
    }
    let read =
        |value: &str| operation(99, Action::Read, (2_000, 2_001), Outcome::Found(Some(value.to_string())));
    history.push(read("5"));
    assert_eq!(judge(&history), Verdict::Linearizable);
    history[41] = read("6");
    let Verdict::Violation(found) = judge(&history) else { panic!("the way ends in 5") };
    assert!(found.operation == 41 && found.explanation.ends_with("r can only have been 5"), "{found:?}");
}

#[test]
fn small_histories_are_judged_as_by_the_others() {
    let mut counts = [0, 0];
    for seed in 0..6_000 {
        let mut random = Random::new(seed);
        let history = generate::small(&mut random);
        let linearizable = agreed(&history);
        counts[usize::from(linearizable)] += 1;
    }
    assert!(counts.iter().all(|count| *count > 500), "both verdicts are common: {counts:?}");
}

#[test]
fn an_unknown_start_is_judged_as_by_the_others() {
    let mut counts = [0, 0];
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let mut history = generate::small(&mut random);
        // What is missing may have written anything.
        history.remove(0);
        counts[usize::from(agreed_from_anything(&history))] += 1;
    }
    assert!(counts.iter().all(|count| *count > 200), "both verdicts are common: {counts:?}");
}

proptest! {
    #[test]
    fn any_small_history_with_an_unknown_start_is_judged_as_by_the_others(
        history in prop::collection::vec(any_operation(), 0..=5)
    ) {
        agreed_from_anything(&history);
    }

    #[test]
    fn any_small_history_is_judged_as_by_the_others(
        history in prop::collection::vec(any_operation(), 0..=6)
    ) {
        agreed(&history);
    }

    #[test]
    fn a_line_gives_back_its_operation(operation in any_operation()) {
        prop_assert_eq!(Operation::from_line(&operation.to_line()), Ok(operation));
    }

    #[test]
    fn no_text_makes_reading_a_line_panic(text in ".{0,60}") {
        let _ = Operation::from_line(&text);
    }
}

/// Whether the history is linearizable: all checkers say so, or none.
fn agreed(history: &[Operation]) -> bool {
    let text = || history.iter().map(Operation::to_line).collect::<Vec<_>>().join("\n");
    let expected = independent::by_all_permutations(history, history.len());
    assert_eq!(independent::by_todc(history), expected, "the two others disagree on:\n{}", text());
    assert_eq!(independent::by_model(history), expected, "the model's checker disagrees on:\n{}", text());
    for history in [history.to_vec(), without_indexes(history)] {
        match judge(&history) {
            Verdict::Linearizable => assert!(expected, "no order of these is possible:\n{}", text()),
            Verdict::Undecided { .. } => panic!("too hard:\n{}", text()),
            Verdict::Violation(found) => {
                assert!(!expected, "{}, but there is an order:\n{}", found.explanation, text());
                let returned = independent::return_order(&history);
                let at = returned.iter().position(|at| *at == found.operation).expect("it was answered");
                assert!(
                    independent::by_all_permutations(&history, at),
                    "an earlier one contradicts:\n{}",
                    text()
                );
                assert!(
                    !independent::by_all_permutations(&history, at + 1),
                    "that one does not contradict yet:\n{}",
                    text()
                );
            }
        }
    }
    expected
}

/// Whether any start explains the history: all checkers say so, or none. The others know no starts, but may be shown a
/// put of the value before all else.
fn agreed_from_anything(history: &[Operation]) -> bool {
    let text = || history.iter().map(Operation::to_line).collect::<Vec<_>>().join("\n");
    let starts: Vec<Vec<Operation>> =
        independent::values(history).into_iter().map(|value| independent::after(value, history)).collect();
    let explained = |count: usize| {
        starts.iter().any(|from| independent::by_all_permutations(from, from.len() - history.len() + count))
    };
    let expected = explained(history.len());
    let other = starts.iter().any(|from| independent::by_todc(from));
    assert_eq!(other, expected, "the two others disagree on:\n{}", text());
    for history in [history.to_vec(), without_indexes(history)] {
        match check(Start::Unknown, &history, steps(STEPS)) {
            Verdict::Linearizable => assert!(expected, "no start explains these:\n{}", text()),
            Verdict::Undecided { .. } => panic!("too hard:\n{}", text()),
            Verdict::Violation(found) => {
                assert!(!expected, "{}, but a start explains it:\n{}", found.explanation, text());
                let returned = independent::return_order(&history);
                let at = returned.iter().position(|at| *at == found.operation).expect("it was answered");
                assert!(explained(at) && !explained(at + 1), "another one is the first:\n{}", text());
            }
        }
    }
    expected
}

/// Any operation on one key, with whatever it may have been told.
fn any_operation() -> impl Strategy<Value = Operation> {
    let value = || prop::sample::select(vec!["1", "2", "3"]).prop_map(str::to_string);
    let told = |outcomes: Vec<Outcome>| {
        prop::sample::select([outcomes, vec![Outcome::Unknown, Outcome::Refused]].concat())
    };
    let of = move |action: Action, outcomes| (Just(action), told(outcomes));
    let maybe = || prop::option::of(value());
    let asked_and_told = prop_oneof![
        value()
            .prop_flat_map(move |value| of(Action::Create(value), vec![Outcome::Changed, Outcome::Exists])),
        value()
            .prop_flat_map(move |value| of(Action::Update(value), vec![Outcome::Changed, Outcome::NotFound])),
        value().prop_flat_map(move |value| of(Action::Put(value), vec![Outcome::Changed])),
        Just(()).prop_flat_map(move |()| of(Action::Delete, vec![Outcome::Changed, Outcome::NotFound])),
        maybe().prop_flat_map(move |found| of(Action::Read, vec![Outcome::Found(found)])),
        (value(), value(), maybe()).prop_flat_map(move |(expected, value, actual)| {
            let told = vec![Outcome::Changed, Outcome::NotFound, Outcome::Mismatch(actual)];
            of(Action::Cas { expected, value }, told)
        }),
    ];
    (asked_and_told, 0..12_u64, 0..6_u64, 0..8_u64).prop_map(|((action, outcome), called, took, index)| {
        generate::operation(
            "x",
            action,
            called,
            (outcome != Outcome::Unknown).then_some(called + took),
            outcome,
            index,
        )
    })
}
