//! A replica carries out each command once, and answers from the text alone.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::kv::{Answer, Command, KeyValue, Query};
use super::*;
use crate::types::{ClientId, LogIndex, Serial, SessionId, Term};

pub(super) fn entry(index: u64, origin: Origin, command: Payload) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), content: Content::Command { origin, command } }
}

pub(super) fn origin(session: u64, serial: Serial, acknowledged: Serial) -> Origin {
    Origin { session: SessionId(session), serial, acknowledged }
}

/// A replica with this many sessions, opened by its first entries.
pub(super) fn opened(sessions: u64) -> Replica<KeyValue> {
    opened_with(KeyValue::default(), sessions)
}

pub(super) fn opened_with(machine: KeyValue, sessions: u64) -> Replica<KeyValue> {
    let mut replica = Replica::new(machine);
    for index in 1..=sessions {
        let content = Content::Open { client: ClientId(index), sessions_max: 10 };
        let applied = replica.apply(&Entry { index: LogIndex(index), term: Term(1), content });
        assert_eq!(applied, Applied::Opened { session: SessionId(index) });
    }
    replica
}

pub(super) fn answers(applied: &Applied) -> (EntryId, Vec<Answer>) {
    match applied {
        Applied::Answered { entry, answer } => {
            (*entry, serde_json::from_str(answer.text()).expect("a list of answers"))
        }
        other => panic!("expected an answer, got {other:?}"),
    }
}

pub(super) fn id(index: u64) -> EntryId {
    EntryId::new(Term(1), LogIndex(index))
}

#[test]
fn a_batch_is_applied_in_order_and_answered_in_order() {
    let mut replica = opened(2);
    let batch = vec![
        Command::create("x", "1"),
        Command::create("x", "2"),
        Command::update("x", "3"),
        Command::delete("y"),
    ];
    let applied = replica.apply(&entry(3, origin(1, 1, 1), Payload::batch(batch)));
    let expected = vec![Answer::Created, Answer::Exists, Answer::Updated, Answer::NotFound];
    assert_eq!(answers(&applied), (id(3), expected));
    assert_eq!(replica.items(), [("x".to_string(), "3".to_string())], "a refusal undoes no neighbor");
    assert_eq!(replica.applied(), id(3));
}

#[test]
fn a_repeated_command_gets_the_first_answer_and_the_first_entry() {
    let mut replica = opened(2);
    let create = || Payload::batch([Command::create("x", "1")]);
    replica.apply(&entry(3, origin(1, 1, 1), create()));
    let repeated = replica.apply(&entry(4, origin(1, 1, 1), create()));
    assert_eq!(
        answers(&repeated),
        (id(3), vec![Answer::Created]),
        "not Exists: the create is not applied again"
    );
    let other = replica.apply(&entry(5, origin(2, 1, 1), create()));
    assert_eq!(answers(&other), (id(5), vec![Answer::Exists]), "another client's command is another command");
}

#[test]
fn an_acknowledged_command_is_never_applied_again() {
    let mut replica = opened(2);
    replica.apply(&entry(3, origin(1, 1, 1), Payload::batch([Command::put("x", "1")])));
    replica.apply(&entry(4, origin(1, 2, 2), Payload::batch([Command::put("x", "2")])));
    let late = replica.apply(&entry(5, origin(1, 1, 1), Payload::batch([Command::put("x", "1")])));
    assert_eq!(late, Applied::Forgotten);
    assert_eq!(replica.items(), [("x".to_string(), "2".to_string())]);
}

#[test]
fn an_invalid_payload_is_refused_before_and_answered_after_the_log_alike() {
    let wrong = [
        Payload::from_text("{"),
        Payload::from_text(r#"{"op":"put","key":"x","value":"1"}"#),
        Payload::from_text(r#"[{"op":"PUT","key":"x","value":"1"}]"#),
        Payload::from_text(r#"[{"op":"put","key":"x","value":"1"},{"op":"put","key":"y"}]"#),
        Payload::new(5_u32),
    ];
    let mut replica = opened(2);
    for (index, payload) in (3..).zip(wrong) {
        let refused = replica.check(&payload).expect_err("refused before it is proposed");
        assert!(!refused.is_empty() && !refused.contains('\n'), "one line: {refused}");
        let applied = replica.apply(&entry(index, origin(1, index, 1), payload.clone()));
        assert_eq!(applied, Applied::Invalid(refused.clone()));
        let from_disk = Payload::from_text(payload.text());
        assert_eq!(replica.check(&from_disk), Err(refused), "a node that restarts decides alike");
        assert_eq!(replica.size(), 0, "no part of it is applied");
    }
}

#[test]
fn a_limit_decides_what_is_taken_in_and_not_what_is_applied() {
    let batch = Payload::batch([Command::put("x", "1"), Command::put("y", "12")]);
    // The same log, replayed by nodes with another limit than the leader had who took the command in.
    let replay = |limit| {
        let mut replica = opened_with(KeyValue::with_value_bytes_max(limit), 1);
        let applied = replica.apply(&entry(2, origin(1, 1, 1), batch.clone()));
        (replica.check(&batch), applied, replica.items())
    };
    let (wide, narrow) = (replay(2), replay(1));
    assert_eq!(wide.0, Ok(()));
    assert!(narrow.0.is_err_and(|refused| refused.contains("at most 1 are allowed")), "refused whole");
    assert_eq!((&wide.1, &wide.2), (&narrow.1, &narrow.2), "both come to the same state");
    assert_eq!(wide.2.len(), 2);
}

#[test]
fn validity_depends_on_the_text_alone() {
    // Made from another type with the same JSON, as a client written without `kv` would make it.
    let foreign = Payload::new(serde_json::json!([{"op": "put", "key": "x", "value": "1"}]));
    let mut replica = opened(2);
    assert_eq!(replica.check(&foreign), Ok(()));
    let applied = replica.apply(&entry(3, origin(1, 1, 1), foreign));
    assert_eq!(answers(&applied), (id(3), vec![Answer::Put]));
}

#[test]
fn a_query_is_answered_or_refused() {
    let mut replica = opened(2);
    replica.apply(&entry(3, origin(1, 1, 1), Payload::batch([Command::put("x", "1")])));
    let read = replica.query(&Payload::new(Query::Read { key: "x".into() })).expect("a query");
    assert_eq!(read.value::<Answer>(), Ok(&Answer::Value("1".into())));
    assert!(replica.query(&Payload::from_text(r#"{"op":"reed"}"#)).is_err());
}

#[test]
fn a_no_op_moves_only_the_mark() {
    let mut replica = Replica::new(KeyValue::default());
    let no_op = Entry { index: LogIndex(1), term: Term(1), content: Content::NoOp };
    assert_eq!(replica.apply(&no_op), Applied::NoOp);
    assert_eq!((replica.applied(), replica.size()), (id(1), 0));
}

#[test]
#[should_panic(expected = "in the order of the log")]
fn an_entry_is_never_skipped() {
    let mut replica = Replica::new(KeyValue::default());
    replica.apply(&Entry { index: LogIndex(2), term: Term(1), content: Content::NoOp });
}

#[test]
#[should_panic(expected = "in the order of the log")]
fn an_entry_is_never_applied_twice() {
    let mut replica = Replica::new(KeyValue::default());
    let no_op = Entry { index: LogIndex(1), term: Term(1), content: Content::NoOp };
    replica.apply(&no_op);
    replica.apply(&no_op);
}

#[test]
fn a_command_that_was_asked_about_before_it_came_is_never_applied() {
    let mut replica = opened(1);
    let put = || Payload::batch([Command::put("x", "1")]);
    let settle = |index, serial| Entry {
        index: LogIndex(index),
        term: Term(1),
        content: Content::Settle { origin: origin(1, serial, 1) },
    };
    assert_eq!(replica.apply(&settle(2, 1)), Applied::GivenUp);
    assert_eq!(replica.apply(&entry(3, origin(1, 1, 1), put())), Applied::GivenUp);
    assert_eq!(replica.apply(&settle(4, 1)), Applied::GivenUp, "asking again gives the same");
    assert_eq!(replica.size(), 0);
    replica.apply(&entry(5, origin(1, 2, 1), put()));
    assert_eq!(answers(&replica.apply(&settle(6, 2))), (id(5), vec![Answer::Put]));
}

/// What an entry asks for, among few sessions and serials: repetitions, gaps and late arrivals are common.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Open,
    Command(Origin),
    Settle(Origin),
}

pub(super) fn asked() -> impl Strategy<Value = Vec<Asked>> {
    let origin =
        || (1..12_u64, 1..8_u64, 0..6_u64).prop_map(|(session, serial, mark)| origin(session, serial, mark));
    let one = prop_oneof![
        1 => Just(Asked::Open),
        6 => origin().prop_map(Asked::Command),
        1 => origin().prop_map(Asked::Settle),
    ];
    prop::collection::vec(one, 0..80)
}

/// Keeps everything: what a table of sessions must not forget as far as anyone can see.
#[derive(Default)]
struct Model {
    /// The sessions that are open, the one that was used least recently first.
    open: Vec<SessionId>,
    acknowledged: BTreeSet<(SessionId, Serial)>,
    first: BTreeMap<(SessionId, Serial), Applied>,
}

impl Model {
    fn open(&mut self, index: LogIndex) -> Applied {
        let session = SessionId(index.0);
        self.open.push(session);
        if self.open.len() > SESSIONS_MAX {
            self.open.remove(0);
        }
        Applied::Opened { session }
    }

    fn settle(&mut self, origin: Origin, now: Applied) -> Applied {
        let Origin { session, serial, acknowledged } = origin;
        let Some(place) = self.open.iter().position(|open| *open == session) else {
            return Applied::Expired;
        };
        self.open.remove(place);
        self.open.push(session);
        self.acknowledged.extend((0..acknowledged).map(|serial| (session, serial)));
        if self.acknowledged.contains(&(session, serial)) {
            return Applied::Forgotten;
        }
        self.first.entry((session, serial)).or_insert(now).clone()
    }
}

pub(super) const SESSIONS_MAX: usize = 3;

proptest! {
    #[test]
    fn each_command_is_applied_at_most_once(asked in asked()) {
        let mut replica = opened(2);
        let mut model = Model { open: vec![SessionId(1), SessionId(2)], ..Model::default() };
        for (index, asked) in (3..).zip(asked) {
            let (content, expected) = match asked {
                Asked::Open => {
                    let content =
                        Content::Open { client: ClientId(index), sessions_max: SESSIONS_MAX as u64 };
                    (content, model.open(LogIndex(index)))
                }
                Asked::Command(origin) => {
                    // The value names the entry, so that a second application would show in the state.
                    let key = format!("{}.{}", origin.session, origin.serial);
                    let command = Payload::batch([Command::put(key, index.to_string())]);
                    let answer = Payload::batch([Answer::Put]);
                    let now = Applied::Answered { entry: id(index), answer };
                    (Content::Command { origin, command }, model.settle(origin, now))
                }
                Asked::Settle(origin) => {
                    (Content::Settle { origin }, model.settle(origin, Applied::GivenUp))
                }
            };
            prop_assert_eq!(
                replica.apply(&Entry { index: LogIndex(index), term: Term(1), content }),
                expected
            );
        }
        let state: BTreeMap<String, String> = replica.items().into_iter().collect();
        let executed = model.first.iter().filter_map(|((session, serial), applied)| match applied {
            Applied::Answered { entry, .. } => {
                Some((format!("{session}.{serial}"), entry.index.to_string()))
            }
            _ => None,
        });
        prop_assert_eq!(state, executed.collect());
    }

    /// One replica is handed values, the other the text that its disk would hold.
    #[test]
    fn a_value_and_its_text_lead_to_the_same_state(batches in prop::collection::vec(kv::any_batch(), 0..20)) {
        let mut by_value = opened(1);
        let mut by_text = opened(1);
        for (index, batch) in (2..).zip(batches) {
            let value = Payload::batch(batch);
            let text = Payload::from_text(value.text());
            let applied = by_value.apply(&entry(index, origin(1, index, index), value));
            prop_assert_eq!(&applied, &by_text.apply(&entry(index, origin(1, index, index), text)));
        }
        prop_assert_eq!(by_value.items(), by_text.items());
    }
}
