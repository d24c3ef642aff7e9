//! Ranges with limits: what is counted, what is told, and what is too much.

use super::*;
use crate::state_machine::StateMachine;
use crate::state_machine::kv::{Bytes, Command, KeyValue, Query};

fn bound(text: &str) -> Bytes {
    text.into()
}

#[track_caller]
fn ranged(store: &KeyValue, range: Range) -> Ranged {
    match store.query(&Query::Range(Box::new(range))) {
        Answer::Range(ranged) => *ranged,
        other => panic!("{other:?}"),
    }
}

/// The keys that are told, how many there are, and whether there are more.
fn told(store: &KeyValue, range: Range) -> (String, u64, bool) {
    let Ranged { pairs, more, count, .. } = ranged(store, range);
    (pairs.iter().map(|pair| pair.key.as_str()).collect::<Vec<_>>().join(" "), count, more)
}

#[track_caller]
fn assert_counts(store: &KeyValue, revision: u64, expected: &[(Keys, u64)]) {
    for (keys, count) in expected {
        for limit in 0..=count + 1 {
            let range = Range { limit, ..Range::of(keys.clone()) };
            let all = Ranged { revision, pairs: Vec::new(), more: false, count: *count };
            assert_eq!(ranged(store, Range { only_count: true, ..range.clone() }), all, "{keys:?}");
            let told = if limit == 0 { *count } else { limit.min(*count) };
            let Ranged { pairs, more, count: counted, .. } = ranged(store, range);
            assert_eq!(
                (pairs.len() as u64, more, counted),
                (told, told < *count, *count),
                "{keys:?}, limit {limit}"
            );
        }
    }
}

#[test]
fn the_count_is_that_of_the_whole_range_with_any_limit() {
    let mut store = KeyValue::default();
    let from = |first| Keys::From(bound(first));
    let between = |first, end| Keys::Between(bound(first), bound(end));
    assert_counts(&store, 1, &[(from("\0"), 0), (from("a"), 0), (between("a", "z"), 0)]);
    for key in ["a", "b", "c", "d", "e"] {
        store.apply(&Command::put(key, "1"));
    }
    let whole = [(from("\0"), 5), (from("a"), 5), (between("a", "f"), 5), (between("\0", "e\0"), 5)];
    assert_counts(&store, 6, &whole);
    let parts = [
        (from("a\0"), 4),
        (from("f"), 0),
        (between("a", "e"), 4),
        (between("b", "d"), 2),
        (between("b", "b"), 0),
        (between("d", "b"), 0),
        (Keys::One("c".into()), 1),
        (Keys::One("x".into()), 0),
    ];
    assert_counts(&store, 6, &parts);
    // The index follows the keys that come and go, at both ends too, and not the values that change.
    store.apply(&Command::put("c", "2"));
    assert_counts(&store, 7, &whole);
    store.apply(&Command::delete("a"));
    store.apply(&Command::put("f", "1"));
    assert_counts(
        &store,
        9,
        &[(from("\0"), 5), (from("b"), 5), (from("c"), 4), (between("a", "f"), 4), (between("a", "g"), 5)],
    );
    let only = Revisions { first: 7, last: 0 };
    let changed = Range { modified: only, ..Range::of(from("\0")) };
    assert_eq!(told(&store, changed.clone()), ("c f".to_string(), 5, false));
    assert_eq!(
        told(&store, Range { limit: 1, ..changed }),
        ("c".to_string(), 5, true),
        "filters do not count"
    );
}

#[test]
fn a_limit_keeps_the_first_in_the_order_that_is_asked_for() {
    let mut store = KeyValue::default();
    for (key, value) in [("a", "3"), ("b", "1"), ("c", "2"), ("d", "1"), ("b", "1")] {
        store.apply(&Command::put(key, value));
    }
    let (up, down) = (Some(Direction::Ascending), Some(Direction::Descending));
    for (direction, sort_by, expected) in [
        (None, SortBy::Key, "a b"),
        (up, SortBy::Key, "a b"),
        (down, SortBy::Key, "d c"),
        // Cut before it is sorted: `c`, one more than the limit, is sorted too.
        (None, SortBy::Value, "b c"),
        (up, SortBy::Value, "b d"),
        (down, SortBy::Value, "a c"),
        (down, SortBy::Modified, "b d"),
        (up, SortBy::Version, "a c"),
        (down, SortBy::Version, "b a"),
    ] {
        let range = Range { limit: 2, direction, sort_by, ..Range::of(Keys::From(bound("\0"))) };
        assert_eq!(told(&store, range), (expected.to_string(), 4, true), "{direction:?} {sort_by:?}");
    }
}

#[test]
fn what_fits_by_its_limit_is_told_of_any_number() {
    let mut store = KeyValue::default();
    for number in 0..100 {
        store.apply(&Command::put(format!("k{number:02}"), "1"));
    }
    let answer = |limit, modified, bytes_max| {
        let range = Range { limit, modified, ..Range::of(Keys::From(bound("k"))) };
        range.answer(&store.values, &store.order, bytes_max).map(|ranged| ranged.pairs.len())
    };
    let any = Revisions::default();
    let ten = 10 * (PAIR_BYTES + "k00".len() + "1".len());
    assert_eq!(answer(10, any, ten), Ok(10));
    let refused = Err(Answer::TooLarge { bytes_max: ten as u64 });
    assert_eq!(answer(11, any, ten), refused);
    assert_eq!(answer(0, any, ten), refused);
    assert_eq!(answer(0, Revisions { first: 0, last: 11 }, ten), Ok(10), "those that are wanted count");
    assert_eq!(answer(0, Revisions { first: 0, last: 12 }, ten), refused);
}
