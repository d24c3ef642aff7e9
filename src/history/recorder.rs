//! Records calls on the key-value store as operations of a [history]: the one place that knows what such a call asked and
//! what its outcome says.
//!
//! An operation's interval contains the real one: it begins before anything is sent and ends after the client has the
//! answer, both by the clock of the run. So it may hide a real order, and never invents one. Stale reads promise nothing
//! and are not recorded, unless a caller wants to know how stale they are.
//!
//! A client whose command had an unknown outcome gets no further operation, even if the outcome becomes known: the history
//! may have been written already.

use std::collections::BTreeSet;

use crate::check::history::{self, Action, Operation};
use crate::client::{Answered, Ask, Ended, Fate, Outcome, Rejection, What};
use crate::payload::Batch;
use crate::protocol::ReadMode;
use crate::state_machine::kv::{Answer, Command, Query};
use crate::types::{ClientId, Time};

/// Gives operations their clients. A client of a history has one operation at a time, and none after one of unknown
/// outcome; the client that sends may have many.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Callers {
    idle: BTreeSet<ClientId>,
    last: u64,
    judges_stale: bool,
}

/// A call under way: an operation of unknown outcome for each of its commands. Empty if it is not recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pending(Vec<(usize, Operation)>);

impl Callers {
    /// Gives clients numbers above this one, so that histories recorded side by side can be joined.
    pub fn after(last: u64) -> Callers {
        Callers { last, ..Callers::default() }
    }

    /// These, which record stale reads, too, as if they had promised to be linearizable.
    #[must_use]
    pub fn judging_stale(self, judges_stale: bool) -> Callers {
        Callers { judges_stale, ..self }
    }

    /// The operations of a call that begins.
    pub fn begin(&mut self, ask: &Ask, called: Time) -> Pending {
        self.begin_on(ask, called, |_| true)
    }

    /// The same for wanted keys only. The history of a key is complete only if it is wanted in each call.
    pub fn begin_on(&mut self, ask: &Ask, called: Time, wanted: impl Fn(&str) -> bool) -> Pending {
        let asked: Vec<(usize, &str, Action)> = match &ask.what {
            What::Command(batch) => match batch.value::<Batch<Command>>() {
                Ok(batch) => {
                    // A transaction is no operation on one key, so a history has none.
                    let of_one_key = |(place, command): (usize, _)| {
                        let (key, action) = Action::on_key(command)?;
                        wanted(key).then_some((place, key, action))
                    };
                    batch.iter().enumerate().filter_map(of_one_key).collect()
                }
                Err(_) => Vec::new(),
            },
            What::Named { .. } | What::Settle(_) => Vec::new(),
            What::Read { mode: ReadMode::Stale, .. } if !self.judges_stale => Vec::new(),
            What::Read { query, .. } => match query.value::<Query>() {
                Ok(Query::Read { key }) if wanted(key) => vec![(0, key, Action::Read)],
                Ok(Query::Read { .. } | Query::Keys {} | Query::Range(_)) | Err(_) => Vec::new(),
            },
        };
        let mut operation = |key: &str, action| Operation {
            client: self.next(),
            key: key.to_string(),
            action,
            called,
            returned: None,
            outcome: history::Outcome::Unknown,
            index: None,
        };
        Pending(asked.into_iter().map(|(place, key, action)| (place, operation(key, action))).collect())
    }

    /// The operations of a call that has ended. An answer of another type leaves the outcome unknown.
    pub fn end(&mut self, pending: Pending, ended: &Ended) -> Vec<Operation> {
        let begun = |(place, operation)| (place, Operation { called: ended.began, ..operation });
        let learned = learn(pending.0.into_iter().map(begun), &ended.outcome, ended.returned());
        let told = learned.iter().filter(|operation| operation.outcome != history::Outcome::Unknown);
        self.idle.extend(told.map(|operation| operation.client));
        learned
    }

    /// The operations of a call of unknown outcome that was asked about; unchanged if the outcome is lost.
    pub fn settle(&self, operations: Vec<Operation>, fate: &Fate<Answered>, now: Time) -> Vec<Operation> {
        let outcome = match fate {
            Fate::Applied(answered) => Outcome::Answered(answered.clone()),
            Fate::NeverApplied => Outcome::Rejected(Rejection::GivenUp),
            Fate::Forgotten | Fate::Expired | Fate::Lost { .. } => return operations,
        };
        learn(operations.into_iter().enumerate(), &outcome, now)
    }

    fn next(&mut self) -> ClientId {
        self.idle.pop_first().unwrap_or_else(|| {
            self.last += 1;
            ClientId(self.last)
        })
    }
}

impl Pending {
    pub fn into_operations(self) -> Vec<Operation> {
        self.0.into_iter().map(|(_, operation)| operation).collect()
    }
}

/// What this outcome tells of the operations at these places of their call.
fn learn(
    operations: impl Iterator<Item = (usize, Operation)>,
    outcome: &Outcome,
    now: Time,
) -> Vec<Operation> {
    let mut learned = Vec::new();
    for (place, mut operation) in operations {
        match outcome {
            Outcome::Answered(answered) => {
                if let Some(told) = told(&operation.action, answered, place) {
                    operation.outcome = told;
                    operation.index = Some(answered.index);
                }
            }
            Outcome::Rejected(_) => operation.outcome = history::Outcome::Refused,
            Outcome::Unknown(_) | Outcome::Panicked(..) | Outcome::Settled(_) => {}
        }
        if operation.outcome != history::Outcome::Unknown {
            operation.returned = Some(now);
        }
        learned.push(operation);
    }
    learned
}

/// What an answer says to the action at this place of its call; none if it is no answer to it.
fn told(action: &Action, answered: &Answered, place: usize) -> Option<history::Outcome> {
    let answer = if *action == Action::Read {
        answered.answer.value::<Answer>().ok()?
    } else {
        answered.answers::<Answer>()?.get(place)?
    };
    history::Outcome::of(action, answer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::CallId;
    use crate::payload::Payload;
    use crate::types::{LogIndex, NodeId, SessionId, Term, Token};

    const CALLED: Time = Time::from_nanos(10);

    fn ask(what: What) -> Ask {
        Ask { what, at: None, timeout: Duration::from_secs(1) }
    }

    fn commands(batch: Vec<Command>) -> Ask {
        ask(What::commands(batch))
    }

    fn read(mode: ReadMode) -> Ask {
        ask(What::Read { query: Payload::new(Query::Read { key: "x".into() }), mode })
    }

    fn unknown() -> Outcome {
        Outcome::Unknown(Token { session: SessionId(2), serial: 1, part: None })
    }

    fn ended(outcome: Outcome) -> Ended {
        Ended { call_id: CallId(1), outcome, began: CALLED, took: Duration::from_nanos(5) }
    }

    fn answered(answer: Payload) -> Ended {
        let (node, term, index) = (NodeId::new(1), Term(1), LogIndex(7));
        ended(Outcome::Answered(Answered { answer, node, term, index, staleness: None, part: None }))
    }

    #[test]
    fn each_command_of_a_batch_is_an_operation_of_its_own() {
        let mut callers = Callers::default();
        let batch = commands(vec![Command::create("x", "1"), Command::delete("y")]);
        let pending = callers.begin(&batch, CALLED);
        let answer = Payload::batch([Answer::Exists, Answer::Deleted]);
        let operations = callers.end(pending, &answered(answer));
        let lines: Vec<String> = operations.iter().map(Operation::to_line).collect();
        assert_eq!(
            lines,
            [
                r#"{"client":1,"key":"x","op":"create","value":"1","call_ns":10,"return_ns":15,"ok":false,"error":"exists","result":null,"index":7}"#,
                r#"{"client":2,"key":"y","op":"delete","call_ns":10,"return_ns":15,"ok":true,"result":null,"index":7}"#,
            ]
        );
    }

    #[test]
    fn a_client_has_one_operation_at_a_time_and_none_after_an_unknown_one() {
        let mut callers = Callers::default();
        let put = commands(vec![Command::put("x", "1")]);
        let (one, other) = (callers.begin(&put, CALLED), callers.begin(&put, CALLED));
        let one = callers.end(one, &ended(unknown()));
        assert_eq!(
            (one[0].client, one[0].returned, one[0].outcome.clone()),
            (ClientId(1), None, history::Outcome::Unknown)
        );
        let other = callers.end(other, &ended(Outcome::Rejected(Rejection::Busy)));
        assert_eq!((other[0].client, other[0].outcome.clone()), (ClientId(2), history::Outcome::Refused));
        let clients = [0, 1].map(|_| callers.begin(&put, CALLED).into_operations()[0].client);
        assert_eq!(clients, [ClientId(2), ClientId(3)]);
    }

    #[test]
    fn a_client_whose_outcome_was_unknown_has_no_other_operation_when_it_is_settled() {
        let mut callers = Callers::default();
        let put = commands(vec![Command::put("x", "1")]);
        let pending = callers.begin(&put, CALLED);
        let unknown = callers.end(pending, &ended(unknown()));
        let settled = callers.settle(unknown, &Fate::NeverApplied, Time::from_nanos(20));
        assert_eq!((settled[0].client, settled[0].outcome.clone()), (ClientId(1), history::Outcome::Refused));
        assert_eq!(callers.begin(&put, CALLED).into_operations()[0].client, ClientId(2));
    }

    #[test]
    fn reads_are_recorded_unless_they_may_be_stale() {
        let mut callers = Callers::default();
        let pending = callers.begin(&read(ReadMode::Linearizable), CALLED);
        let operations = callers.end(pending, &answered(Payload::new(Answer::NotFound)));
        assert_eq!(operations[0].outcome, history::Outcome::Found(None));
        assert_eq!(callers.begin(&read(ReadMode::Stale), CALLED), Pending::default());
        let mut judging = Callers::default().judging_stale(true);
        assert_ne!(judging.begin(&read(ReadMode::Stale), CALLED), Pending::default());
        let keys = ask(What::Read { query: Payload::new(Query::Keys {}), mode: ReadMode::Linearizable });
        assert_eq!(callers.begin(&keys, CALLED), Pending::default());
        assert_eq!(callers.begin(&ask(What::Command(Payload::new(3))), CALLED), Pending::default());
    }

    #[test]
    fn an_answer_to_something_else_tells_nothing() {
        let mut callers = Callers::default();
        let pending = callers.begin(&commands(vec![Command::put("x", "1")]), CALLED);
        let operations = callers.end(pending, &answered(Payload::batch([Answer::Deleted])));
        assert_eq!((operations[0].returned, operations[0].index), (None, None));
        assert_eq!(operations[0].outcome, history::Outcome::Unknown);
    }
}
