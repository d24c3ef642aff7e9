//! Transactions and ranges beside a plain model: an ordered map that is searched from its start.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::state_machine::StateMachine;
use crate::state_machine::kv::range::PAIR_BYTES;
use crate::state_machine::kv::{Command, Direction, Query, Revisions, SortBy};

type Model = BTreeMap<String, Pair>;

fn key() -> impl Strategy<Value = Text> {
    prop::sample::select(vec!["a", "ab", "b", "b\u{e9}", "c"]).prop_map(Text::from)
}

fn value() -> impl Strategy<Value = Text> {
    prop::sample::select(vec!["", "1", "2"]).prop_map(Text::from)
}

fn bound() -> impl Strategy<Value = Bytes> {
    let of = |bytes: &[u8]| Bytes(bytes.to_vec());
    prop::sample::select(vec![of(b"\0"), of(b"a"), of(b"b"), of(b"b\xc3"), of(b"b\xff"), of(b"z")])
}

fn keys() -> impl Strategy<Value = Keys> {
    prop_oneof![
        key().prop_map(Keys::One),
        bound().prop_map(Keys::From),
        (bound(), bound()).prop_map(|(first, end)| Keys::Between(first, end)),
    ]
}

fn range() -> impl Strategy<Value = Range> {
    let direction = prop::sample::select(vec![None, Some(Direction::Ascending), Some(Direction::Descending)]);
    let sort_by = prop::sample::select(vec![
        SortBy::Key,
        SortBy::Version,
        SortBy::Created,
        SortBy::Modified,
        SortBy::Value,
    ]);
    let revisions = || (0..4_i64, 0..9_i64).prop_map(|(first, last)| Revisions { first, last });
    (keys(), 0..4_u64, direction, sort_by, any::<(bool, bool)>(), revisions(), revisions()).prop_map(
        |(keys, limit, direction, sort_by, (without_values, only_count), modified, created)| Range {
            limit,
            direction,
            sort_by,
            without_values,
            only_count,
            modified,
            created,
            ..Range::of(keys)
        },
    )
}

fn request() -> impl Strategy<Value = TxnRequest> {
    prop_oneof![
        (key(), prop::option::of(value()), any::<(bool, bool)>())
            .prop_map(|(key, value, (present, previous))| TxnRequest::Put { key, value, present, previous }),
        range().prop_map(|range| TxnRequest::Range { range }),
        (keys(), any::<bool>()).prop_map(|(keys, previous)| TxnRequest::Delete { keys, previous }),
    ]
}

fn compare() -> impl Strategy<Value = Compare> {
    let relation =
        prop::sample::select(vec![Relation::Equal, Relation::Greater, Relation::Less, Relation::NotEqual]);
    let to = prop_oneof![
        (-1..3_i64).prop_map(Target::Version),
        (-1..9_i64).prop_map(Target::Created),
        (-1..9_i64).prop_map(Target::Modified),
        value().prop_map(|value| Target::Value(value.as_str().into())),
        (-1..2_i64).prop_map(Target::Lease),
    ];
    (keys(), relation, to).prop_map(|(keys, relation, to)| Compare { keys, relation, to })
}

fn any_txn() -> impl Strategy<Value = Txn> {
    let requests = || prop::collection::vec(request(), 0..4);
    (prop::collection::vec(compare(), 0..2), requests(), requests())
        .prop_map(|(compare, success, failure)| Txn { compare, success, failure })
}

/// What is told of a range, found by looking at every pair.
fn model_range(model: &Model, range: &Range, revision: u64) -> Ranged {
    let meant = || model.values().filter(|pair| range.keys.hold(&pair.key));
    let count = meant().count() as u64;
    if range.only_count {
        return Ranged { revision, pairs: Vec::new(), more: false, count };
    }
    let unbounded = |revisions: Revisions| revisions == Revisions::default();
    let in_order = range.direction.is_none() && unbounded(range.modified) && unbounded(range.created);
    let limit =
        if range.limit == 0 { usize::MAX } else { usize::try_from(range.limit).expect("it is small") };
    let looked_at = if in_order { limit.saturating_add(1) } else { usize::MAX };
    let within = |at: u64, Revisions { first, last }: Revisions| {
        let at = i64::try_from(at).expect("it is small");
        (first == 0 || first <= at) && (last == 0 || at <= last)
    };
    let mut pairs: Vec<Pair> = meant()
        .take(looked_at)
        .filter(|pair| within(pair.modified, range.modified) && within(pair.created, range.created))
        .cloned()
        .collect();
    let rank = |pair: &Pair| match range.sort_by {
        SortBy::Key => (0, pair.key.clone()),
        SortBy::Version => (pair.version, Text::default()),
        SortBy::Created => (pair.created, Text::default()),
        SortBy::Modified => (pair.modified, Text::default()),
        SortBy::Value => (0, pair.value.clone()),
    };
    pairs.sort_by_key(rank);
    if range.direction == Some(Direction::Descending) {
        pairs.sort_by_key(|pair| std::cmp::Reverse(rank(pair)));
    }
    let more = pairs.len() > limit;
    pairs.truncate(limit);
    if range.without_values {
        for pair in &mut pairs {
            pair.value = Text::default();
        }
    }
    Ranged { revision, pairs, more, count }
}

fn model_holds(model: &Model, compare: &Compare) -> bool {
    let fits = |pair: &Pair| {
        let number = |number: u64| i64::try_from(number).expect("it is small");
        let order = match &compare.to {
            Target::Version(to) => number(pair.version).cmp(to),
            Target::Created(to) => number(pair.created).cmp(to),
            Target::Modified(to) => number(pair.modified).cmp(to),
            Target::Value(to) => pair.value.as_bytes().cmp(&to.0),
            Target::Lease(to) => 0.cmp(to),
        };
        match compare.relation {
            Relation::Equal => order.is_eq(),
            Relation::Greater => order.is_gt(),
            Relation::Less => order.is_lt(),
            Relation::NotEqual => !order.is_eq(),
        }
    };
    let meant: Vec<&Pair> = model.values().filter(|pair| compare.keys.hold(&pair.key)).collect();
    if meant.is_empty() {
        let absent = Pair { key: "".into(), value: "".into(), created: 0, modified: 0, version: 0 };
        return !matches!(compare.to, Target::Value(_)) && fits(&absent);
    }
    meant.into_iter().all(fits)
}

/// Applies a transaction to the model, which has this revision.
fn apply_to_model(model: &mut Model, revision: &mut u64, txn: &Txn) -> Answer {
    let succeeded = txn.compare.iter().all(|compare| model_holds(model, compare));
    let branch = if succeeded { &txn.success } else { &txn.failure };
    let lacks = |request: &TxnRequest| match request {
        TxnRequest::Put { key, value, present, .. } => {
            (*present || value.is_none()) && !model.contains_key(key.as_str())
        }
        _ => false,
    };
    if branch.iter().any(lacks) {
        return Answer::NotFound;
    }
    let next = *revision + 1;
    let mut responses = Vec::new();
    for request in branch {
        responses.push(match request {
            TxnRequest::Put { key, value, previous, .. } => {
                let before = model.get(key.as_str()).cloned();
                let pair = Pair {
                    key: key.clone(),
                    value: value
                        .clone()
                        .unwrap_or_else(|| before.clone().map(|pair| pair.value).unwrap_or_default()),
                    created: before.as_ref().map_or(next, |pair| pair.created),
                    modified: next,
                    version: before.as_ref().map_or(1, |pair| pair.version + 1),
                };
                model.insert(key.to_string(), pair);
                *revision = next;
                TxnResponse::Put { revision: next, previous: before.filter(|_| *previous) }
            }
            TxnRequest::Range { range } => TxnResponse::Range(model_range(model, range, *revision)),
            TxnRequest::Delete { keys, previous } => {
                let gone: Vec<Pair> = model.values().filter(|pair| keys.hold(&pair.key)).cloned().collect();
                model.retain(|key, _| !keys.hold(key));
                if !gone.is_empty() {
                    *revision = next;
                }
                let deleted = gone.len() as u64;
                let previous = if *previous { gone } else { Vec::new() };
                TxnResponse::Delete { revision: *revision, deleted, previous }
            }
        });
    }
    Answer::Txn(Box::new(TxnAnswer { succeeded, revision: *revision, responses }))
}

proptest! {
    #[test]
    fn a_transaction_does_what_a_plain_map_would(txns in prop::collection::vec(any_txn(), 0..12)) {
        let mut store = KeyValue::default();
        let (mut model, mut revision) = (Model::new(), 1);
        for txn in txns {
            let expected = apply_to_model(&mut model, &mut revision, &txn);
            prop_assert_eq!(store.apply(&Command::Txn(Box::new(txn))), expected);
            let all = Query::Range(Box::new(Range::of(Keys::From(Bytes::default()))));
            let pairs: Vec<Pair> = model.values().cloned().collect();
            let count = pairs.len() as u64;
            let expected = Ranged { revision, pairs, more: false, count };
            prop_assert_eq!(store.query(&all), Answer::Range(Box::new(expected)));
            let mut restored = KeyValue::default();
            restored.restore(store.snapshot());
            prop_assert_eq!(restored.query(&all), store.query(&all), "an index is made again");
        }
    }

    #[test]
    fn a_transaction_and_its_answer_read_back_as_they_were_written(txn in any_txn()) {
        let command = Command::Txn(Box::new(txn));
        let text = serde_json::to_string(&command).expect("it serializes");
        prop_assert_eq!(serde_json::from_str::<Command>(&text).expect("it reads back"), command.clone());
        let mut store = KeyValue::default();
        store.apply(&Command::put("b", "1"));
        let answer = store.apply(&command);
        let text = serde_json::to_string(&answer).expect("it serializes");
        prop_assert_eq!(serde_json::from_str::<Answer>(&text).expect("it reads back"), answer);
    }
}

fn put(key: &str, value: &str) -> TxnRequest {
    TxnRequest::Put { key: key.into(), value: Some(value.into()), present: false, previous: false }
}

#[test]
fn each_command_that_changes_something_has_a_revision() {
    let mut store = KeyValue::default();
    let revision = |store: &KeyValue| store.values.revision();
    assert_eq!(revision(&store), 1, "as in etcd");
    for (command, expected) in [
        (Command::put("x", "1"), 2),
        (Command::put("x", "1"), 3),
        (Command::create("x", "2"), 3),
        (Command::cas("x", "9", "2"), 3),
        (Command::cas("x", "1", "2"), 4),
        (Command::delete("y"), 4),
        (Command::Txn(Box::new(Txn::requests([put("y", "1"), put("z", "1")]))), 5),
        (Command::Txn(Box::default()), 5),
        (Command::delete("x"), 6),
    ] {
        store.apply(&command);
        assert_eq!(revision(&store), expected, "{command:?}");
    }
}

#[test]
fn limits_of_a_transaction_are_told() {
    let refused =
        |txn: Txn| KeyValue::default().check(&Command::Txn(Box::new(txn))).err().unwrap_or_default();
    assert_eq!(refused(Txn::requests([put("x", "1"), put("y", "1")])), "");
    assert_eq!(refused(Txn::requests([put("x", "1"), put("x", "2")])), "duplicate key given in txn request");
    let deleted = TxnRequest::Delete { keys: Keys::From("a".into()), previous: false };
    assert_eq!(refused(Txn::requests([put("x", "1"), deleted])), "duplicate key given in txn request");
    assert_eq!(refused(Txn::requests([put("", "1")])), "key is not provided");
    let many = (0..=REQUESTS_MAX).map(|number| put(&number.to_string(), ""));
    assert_eq!(refused(Txn::requests(many)), "too many operations in txn request");
    assert!(refused(Txn::requests([put(&"k".repeat(KEY_BYTES_MAX + 1), "")])).contains("at most 1024"));
    let store = KeyValue::with_value_bytes_max(3);
    let refused = store.check(&Command::Txn(Box::new(Txn::requests([put("x", "1234")]))));
    assert_eq!(refused, Err("the value has 4 bytes: at most 3 are allowed (value_bytes_max)".to_string()));
}

#[test]
fn a_transaction_that_would_tell_too_much_changes_nothing() {
    let mut store = KeyValue::default();
    let half = "v".repeat(ANSWER_BYTES_MAX / 2);
    for key in ["a", "b"] {
        store.apply(&Command::put(key, half.as_str()));
    }
    let before = store.clone();
    let all = TxnRequest::Delete { keys: Keys::From("a".into()), previous: true };
    let answer = store.apply(&Command::Txn(Box::new(Txn::requests([put("A", "1"), all]))));
    assert_eq!(answer, Answer::TooLarge { bytes_max: ANSWER_BYTES_MAX as u64 });
    assert_eq!(store, before);
    let silent = TxnRequest::Delete { keys: Keys::From("a".into()), previous: false };
    let answer = store.apply(&Command::Txn(Box::new(Txn::requests([silent]))));
    let response = TxnResponse::Delete { revision: 4, deleted: 2, previous: Vec::new() };
    assert_eq!(
        answer,
        Answer::Txn(Box::new(TxnAnswer { succeeded: true, revision: 4, responses: vec![response] }))
    );
}

#[test]
fn a_pair_counts_more_than_its_key_and_value() {
    let mut store = KeyValue::default();
    let all = || TxnRequest::Range { range: Range::of(Keys::From("k".into())) };
    let fits = ANSWER_BYTES_MAX / (PAIR_BYTES + "k00000".len());
    for number in 0..fits {
        store.apply(&Command::put(format!("k{number:05}"), ""));
    }
    let answer = store.apply(&Command::Txn(Box::new(Txn::requests([all()]))));
    assert!(matches!(&answer, Answer::Txn(answer) if answer.succeeded), "{fits} fit");
    let answer = store.apply(&Command::Txn(Box::new(Txn::requests([all(), all()]))));
    assert_eq!(answer, Answer::TooLarge { bytes_max: ANSWER_BYTES_MAX as u64 }, "twice is too much");
    store.apply(&Command::put("k99999", ""));
    let answer = store.apply(&Command::Txn(Box::new(Txn::requests([all()]))));
    assert_eq!(answer, Answer::TooLarge { bytes_max: ANSWER_BYTES_MAX as u64 }, "one more does not fit");
}
