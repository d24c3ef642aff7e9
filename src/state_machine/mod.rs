//! The replicated state machine (section 2): what a cluster keeps, and how committed entries change it.
//!
//! A user writes a [`StateMachine`], typed at its edges by serde. A [`Replica`] joins it with the clients' sessions
//! behind [`Machine`], a face without type parameters that works on entries and payloads, so that neither server
//! nor node knows what is replicated.
//!
//! An entry's command is a *batch*: a JSON list of commands, a single command being a list of one, and its answer is
//! the list of their answers. The batch is one entry, so it is committed whole or not at all and nothing comes
//! between its commands. A command that answers with a refusal of its own, such as "exists", undoes no neighbor.
//!
//! Every replica must come to the same state from the same entries. Nothing here may read a clock, draw a random
//! number, or depend on whether a payload came as a value or as text.

pub mod kv;
pub mod sessions;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::sessions::{Sessions, Standing};
use crate::payload::Payload;
use crate::raft::log::{Content, Entry, Origin};
use crate::types::EntryId;

/// What is replicated: a deterministic machine, changed by commands and read by queries.
///
/// Commands, queries and answers travel and are stored as JSON. Each must read back from its own JSON as the value
/// it was: some replicas apply the value itself, others what they read from their disk.
pub trait StateMachine: Send + 'static {
    /// A change that a client asks for.
    type Command: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// A question that changes nothing and never enters the log.
    type Query: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The answer to a command or a query, refusals such as "exists" included.
    type Answer: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Carries out a committed command. The same commands in the same order give the same answers and the same
    /// state on every replica.
    fn apply(&mut self, command: &Self::Command) -> Self::Answer;

    /// Answers from the state as it is.
    fn query(&self, query: &Self::Query) -> Self::Answer;

    /// Whether the command is within the machine's limits. The leader asks before it takes a command in, and a batch
    /// with one command over a limit is refused whole.
    ///
    /// Limits may be configured, and may be others after a restart: so nobody asks before applying. What the log holds
    /// is applied, and [`StateMachine::apply`] must be able to.
    ///
    /// # Errors
    /// One line: the limit that is broken, and what it is.
    fn check(&self, _command: &Self::Command) -> Result<(), String> {
        Ok(())
    }

    /// The state as names and values, in a fixed order, for consoles that show and compare replicas.
    fn items(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// How many items the state holds.
    fn size(&self) -> usize {
        self.items().len()
    }
}

/// A [`StateMachine`] with its clients' sessions, seen without its types.
pub trait Machine: Send {
    /// Whether the payload is a batch that [`Machine::apply`] would carry out, and within the machine's limits. Asked
    /// before a command is proposed, so that an invalid one is refused and never enters the log.
    ///
    /// # Errors
    /// One line: what does not decode, or which limit is broken.
    fn check(&self, command: &Payload) -> Result<(), String>;

    /// Applies the next committed entry. Limits are not asked for: another node, or this one before it was configured
    /// anew, may have had others when it took the command in, and all replicas must apply the same.
    ///
    /// Entries come in the order of the log, each once; anything else is a defect of the caller and panics, because
    /// going on would make this replica differ from the others for good.
    fn apply(&mut self, entry: &Entry) -> Applied;

    /// Answers a query from the state as it is.
    ///
    /// # Errors
    /// One line: why the payload is no query of this machine.
    fn query(&self, query: &Payload) -> Result<Payload, String>;

    /// The entry applied last; [`EntryId::ZERO`] when none was.
    fn applied(&self) -> EntryId;

    /// The state as names and values, in a fixed order.
    fn items(&self) -> Vec<(String, String)>;

    /// How many items the state holds.
    fn size(&self) -> usize;
}

/// What became of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Applied {
    /// It was a no-op.
    NoOp,
    /// Its batch was carried out, now or before.
    Answered {
        /// The entry that carried it out: this one, or an earlier one if the client repeated its command.
        entry: EntryId,
        /// The answers to the batch, in order.
        answer: Payload,
    },
    /// The client repeated a command whose answer it had acknowledged. It was not carried out again, and the answer is
    /// no longer kept.
    Forgotten,
    /// The payload is no batch of this machine: the state is untouched.
    Invalid {
        /// What is wrong with it, in one line.
        reason: String,
    },
}

/// An entry that was applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppliedEntry {
    /// Which one.
    pub entry: EntryId,
    /// Whose command it carried out; none for a no-op, a repetition or an invalid command.
    pub carried_out: Option<Origin>,
    /// It holds a command that was carried out before, and was not again.
    pub repetition: bool,
}

/// The state machine of one node and its clients' sessions, which belong to the replicated state (section 8).
#[derive(Clone, Debug, Default)]
pub struct Replica<M> {
    machine: M,
    sessions: Sessions,
    applied: EntryId,
}

impl<M: StateMachine> Replica<M> {
    /// A replica that has applied nothing yet, around a machine in its first state.
    pub fn new(machine: M) -> Replica<M> {
        Replica { machine, sessions: Sessions::default(), applied: EntryId::ZERO }
    }

    /// The state machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The clients' sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    fn apply_command(&mut self, origin: Origin, entry: EntryId, command: &Payload) -> Applied {
        match self.sessions.look_up(origin) {
            Standing::Answered { entry, answer } => Applied::Answered { entry, answer },
            Standing::Forgotten => Applied::Forgotten,
            Standing::Fresh => {
                let machine = &mut self.machine;
                let answer = read::<Vec<M::Command>, Payload>(command, |commands| {
                    let answers: Vec<M::Answer> = commands.iter().map(|each| machine.apply(each)).collect();
                    Payload::new(answers)
                });
                match answer {
                    Ok(answer) => {
                        self.sessions.record(origin, entry, answer.clone());
                        Applied::Answered { entry, answer }
                    }
                    // It stays unrecorded: what was never carried out leaves no answer to repeat.
                    Err(reason) => Applied::Invalid { reason },
                }
            }
        }
    }
}

impl<M: StateMachine> Machine for Replica<M> {
    fn check(&self, command: &Payload) -> Result<(), String> {
        read::<Vec<M::Command>, _>(command, |commands| {
            commands.iter().try_for_each(|each| self.machine.check(each))
        })?
    }

    fn apply(&mut self, entry: &Entry) -> Applied {
        assert_eq!(
            entry.index,
            self.applied.index.next(),
            "entries are applied in the order of the log, each once (5.3)"
        );
        assert!(entry.term >= self.applied.term, "terms never go back along a log (5.3)");
        self.applied = entry.id();
        match &entry.content {
            Content::NoOp => Applied::NoOp,
            Content::Command { origin, command } => self.apply_command(*origin, entry.id(), command),
        }
    }

    fn query(&self, query: &Payload) -> Result<Payload, String> {
        read::<M::Query, Payload>(query, |query| Payload::new(self.machine.query(query)))
    }

    fn applied(&self) -> EntryId {
        self.applied
    }

    fn items(&self) -> Vec<(String, String)> {
        self.machine.items()
    }

    fn size(&self) -> usize {
        self.machine.size()
    }
}

/// Hands the payload's value to `then`.
///
/// The text has the last word: a payload that a process made from another type is read again from its text, as a
/// node that restarts would read it from its disk. So validity never depends on where a payload came from.
fn read<T, R>(payload: &Payload, then: impl FnOnce(&T) -> R) -> Result<R, String>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    match payload.value::<T>() {
        Ok(value) => Ok(then(value)),
        Err(_) => serde_json::from_str::<T>(payload.text())
            .map(|value| then(&value))
            .map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::kv::{Answer, Command, KeyValue, Query};
    use super::*;
    use crate::types::{ClientId, LogIndex, Serial, Term};

    fn entry(index: u64, origin: Origin, command: Payload) -> Entry {
        Entry { index: LogIndex(index), term: Term(1), content: Content::Command { origin, command } }
    }

    fn origin(client: u64, serial: Serial, acknowledged: Serial) -> Origin {
        Origin { client: ClientId(client), serial, acknowledged }
    }

    fn answers(applied: &Applied) -> (EntryId, Vec<Answer>) {
        match applied {
            Applied::Answered { entry, answer } => {
                (*entry, serde_json::from_str(answer.text()).expect("a list of answers"))
            }
            other => panic!("expected an answer, got {other:?}"),
        }
    }

    fn id(index: u64) -> EntryId {
        EntryId::new(Term(1), LogIndex(index))
    }

    #[test]
    fn a_batch_is_applied_in_order_and_answered_in_order() {
        let mut replica = Replica::new(KeyValue::default());
        let batch = vec![
            Command::create("x", "1"),
            Command::create("x", "2"),
            Command::update("x", "3"),
            Command::delete("y"),
        ];
        let applied = replica.apply(&entry(1, origin(7, 1, 1), Payload::new(batch)));
        let expected = vec![Answer::Created, Answer::Exists, Answer::Updated, Answer::NotFound];
        assert_eq!(answers(&applied), (id(1), expected));
        assert_eq!(replica.items(), [("x".to_string(), "3".to_string())], "a refusal undoes no neighbor");
        assert_eq!(replica.applied(), id(1));
    }

    #[test]
    fn a_repeated_command_gets_the_first_answer_and_the_first_entry() {
        let mut replica = Replica::new(KeyValue::default());
        let create = || Payload::new(vec![Command::create("x", "1")]);
        replica.apply(&entry(1, origin(7, 1, 1), create()));
        let repeated = replica.apply(&entry(2, origin(7, 1, 1), create()));
        assert_eq!(
            answers(&repeated),
            (id(1), vec![Answer::Created]),
            "not Exists: the create is not applied again"
        );
        let other = replica.apply(&entry(3, origin(8, 1, 1), create()));
        assert_eq!(
            answers(&other),
            (id(3), vec![Answer::Exists]),
            "another client's command is another command"
        );
    }

    #[test]
    fn an_acknowledged_command_is_never_applied_again() {
        let mut replica = Replica::new(KeyValue::default());
        replica.apply(&entry(1, origin(7, 1, 1), Payload::new(vec![Command::put("x", "1")])));
        replica.apply(&entry(2, origin(7, 2, 2), Payload::new(vec![Command::put("x", "2")])));
        let late = replica.apply(&entry(3, origin(7, 1, 1), Payload::new(vec![Command::put("x", "1")])));
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
        let mut replica = Replica::new(KeyValue::default());
        for (index, payload) in (1..).zip(wrong) {
            let refused = replica.check(&payload).expect_err("refused before it is proposed");
            assert!(!refused.is_empty() && !refused.contains('\n'), "one line: {refused}");
            let applied = replica.apply(&entry(index, origin(7, index, 1), payload.clone()));
            assert_eq!(applied, Applied::Invalid { reason: refused.clone() });
            let from_disk = Payload::from_text(payload.text());
            assert_eq!(replica.check(&from_disk), Err(refused), "a node that restarts decides alike");
            assert_eq!(replica.size(), 0, "no part of it is applied");
        }
    }

    #[test]
    fn a_limit_decides_what_is_taken_in_and_not_what_is_applied() {
        let batch = Payload::new(vec![Command::put("x", "1"), Command::put("y", "12")]);
        // The same log, replayed by nodes with another limit than the leader had who took the command in.
        let replay = |limit| {
            let mut replica = Replica::new(KeyValue::with_value_bytes_max(limit));
            let applied = replica.apply(&entry(1, origin(7, 1, 1), batch.clone()));
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
        let mut replica = Replica::new(KeyValue::default());
        assert_eq!(replica.check(&foreign), Ok(()));
        let applied = replica.apply(&entry(1, origin(7, 1, 1), foreign));
        assert_eq!(answers(&applied), (id(1), vec![Answer::Put]));
    }

    #[test]
    fn a_query_is_answered_or_refused() {
        let mut replica = Replica::new(KeyValue::default());
        replica.apply(&entry(1, origin(7, 1, 1), Payload::new(vec![Command::put("x", "1")])));
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

    /// Few clients, serials and marks, so that repetitions, gaps and late arrivals are common.
    fn origins() -> impl Strategy<Value = Vec<Origin>> {
        let one = (1..3_u64, 1..8_u64, 0..6_u64);
        prop::collection::vec(one.prop_map(|(client, serial, mark)| origin(client, serial, mark)), 0..60)
    }

    proptest! {
        /// The model keeps every answer for ever and knows nothing of sessions: a set of what was applied, and the
        /// list of what each client has acknowledged.
        #[test]
        fn each_command_is_applied_at_most_once(origins in origins()) {
            let mut replica = Replica::new(KeyValue::default());
            let mut first: BTreeMap<(ClientId, Serial), (EntryId, Vec<Answer>)> = BTreeMap::new();
            let mut acknowledged: BTreeSet<(ClientId, Serial)> = BTreeSet::new();
            for (index, origin) in (1..).zip(origins) {
                let name = (origin.client, origin.serial);
                acknowledged.extend((0..origin.acknowledged).map(|serial| (origin.client, serial)));
                // The value names the entry, so that a second application would show in the state.
                let command = Payload::new(vec![Command::put(format!("{name:?}"), index.to_string())]);
                let applied = replica.apply(&entry(index, origin, command));
                if acknowledged.contains(&name) {
                    prop_assert_eq!(applied, Applied::Forgotten);
                } else {
                    let expected = first.entry(name).or_insert((id(index), vec![Answer::Put]));
                    prop_assert_eq!(&answers(&applied), expected);
                }
            }
            let state: BTreeMap<String, String> = replica.items().into_iter().collect();
            let expected: BTreeMap<String, String> = first
                .iter()
                .map(|(name, (entry, _))| (format!("{name:?}"), entry.index.to_string()))
                .collect();
            prop_assert_eq!(state, expected);
        }

        /// One replica is handed values, the other the text that its disk would hold.
        #[test]
        fn a_value_and_its_text_lead_to_the_same_state(batches in prop::collection::vec(kv::any_batch(), 0..20)) {
            let mut by_value = Replica::new(KeyValue::default());
            let mut by_text = Replica::new(KeyValue::default());
            for (index, batch) in (1..).zip(batches) {
                let value = Payload::new(batch);
                let text = Payload::from_text(value.text());
                let applied = by_value.apply(&entry(index, origin(1, index, index), value));
                prop_assert_eq!(&applied, &by_text.apply(&entry(index, origin(1, index, index), text)));
            }
            prop_assert_eq!(by_value.items(), by_text.items());
        }
    }
}
