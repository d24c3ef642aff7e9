//! A client's commands: asked through the lab, answered in the forms of the language.

use std::time::Duration;

use serde_json::Value;

use super::{Console, worse};
use crate::client::{Answered, Ask, Ended as CallEnded, Outcome as Ended, Rejection, What};
use crate::console::language::answer::{Answer, DataAnswer, DataOutcome, Outcome, Place};
use crate::console::language::directive::{DataDirective, DataOperation, ReadMode};
use crate::console::language::layout::duration_shown;
use crate::lab::Lab;
use crate::payload::{Batch, Payload};
use crate::protocol;
use crate::state_machine::kv;
use crate::types::{NodeId, Random};

/// Keys among which `pipe` draws: few, so that its commands meet.
const PIPE_KEYS: u64 = 5;

impl<L: Lab> Console<L> {
    pub(super) fn data(&mut self, data: &DataDirective) -> Answer {
        if let Some(node) = data.at.filter(|node| !self.lab.nodes().contains(node)) {
            let reason = super::target::no_such_node(node, &self.picture());
            return Answer::failed(data.operation.name(), reason);
        }
        self.ask(vec![data.clone()]).pop().expect("one answer to one command")
    }

    /// Reads as `read` does; none when the key is absent.
    pub(super) fn read(&mut self, key: &str, timeout: Duration) -> Result<Option<String>, String> {
        let query = Payload::new(kv::Query::Read { key: key.into() });
        let what = What::Read { query, mode: protocol::ReadMode::Linearizable };
        let mut ended = self.lab.ask(vec![Ask { what, at: None, timeout }]);
        match ended.pop().expect("one answer to one question").outcome {
            Ended::Answered(answered) => match answered.answer.value::<kv::Answer>() {
                Ok(kv::Answer::Value(value)) => Ok(Some(value.to_string())),
                Ok(_) => Ok(None),
                Err(reason) => Err(format!("an answer that is not understood: {reason}")),
            },
            Ended::Rejected(rejection) => Err(rejection.to_string()),
            Ended::Unknown(_) | Ended::Panicked(..) | Ended::Settled(_) => {
                Err("no answer in time".to_string())
            }
        }
    }

    /// Random commands, all at once; a line each and a summary.
    pub(super) fn pipe(&mut self, count: usize) -> Answer {
        let begun = self.lab.now();
        let commands: Vec<DataDirective> = (0..count).map(|_| any_command(&mut self.random)).collect();
        let answers = self.ask(commands);
        let took = duration_shown(self.lab.now().since(begun));
        let how_many = |wanted: Outcome| answers.iter().filter(|answer| answer.outcome == wanted).count();
        let (done, refused, unknown) =
            (how_many(Outcome::Ok), how_many(Outcome::Refused), how_many(Outcome::Unknown));
        let mut lines: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        let plural = if count == 1 { "command" } else { "commands" };
        let summary =
            format!("{count} {plural} in {took}: {done} OK, {refused} refused, {unknown} without an answer");
        lines.push(&summary);
        let outcome = answers.iter().fold(Outcome::Ok, |outcome, answer| worse(outcome, answer.outcome));
        let objects = answers.iter().map(|answer| serde_json::to_value(answer).expect("an answer is JSON"));
        let objects: Vec<Value> = objects.collect();
        let mut answer = Answer::ok("pipe", lines.join("\n"))
            .with("count", count)
            .with("done", done)
            .with("refused", refused)
            .with("unknown", unknown)
            .with("answers", objects);
        answer.outcome = outcome;
        answer
    }

    /// The answers to these commands, asked at once, in order.
    fn ask(&mut self, commands: Vec<DataDirective>) -> Vec<Answer> {
        let default = self.surroundings.client_timeout;
        let timeouts: Vec<Duration> = commands.iter().map(|data| data.timeout.unwrap_or(default)).collect();
        let asks: Vec<Ask> =
            commands.iter().zip(&timeouts).map(|(data, timeout)| to_ask(data, *timeout)).collect();
        let ended = self.ask_recorded(asks);
        let interrupted = self.lab.interrupted();
        let mut answers = Vec::with_capacity(commands.len());
        for ((data, timeout), ended) in commands.into_iter().zip(timeouts).zip(ended) {
            let CallEnded { outcome: ended, took, .. } = ended;
            let given_up = if interrupted && took < timeout {
                DataOutcome::Unknown(format!("interrupted after {}", duration_shown(took)))
            } else {
                DataOutcome::unanswered(timeout)
            };
            let inconclusive = matches!(ended, Ended::Rejected(Rejection::NoLeader | Rejection::NoAnswer));
            let token = match &ended {
                Ended::Unknown(token) | Ended::Panicked(token, _) => Some(*token),
                Ended::Answered(_) | Ended::Rejected(_) | Ended::Settled(_) => None,
            };
            let outcome = to_outcome(&data, ended, given_up);
            let operation = data.operation.clone();
            let mut answer = Answer::from(&DataAnswer { operation, outcome, took });
            if inconclusive {
                // Nobody refused it: there was nobody to answer, which another try may change.
                answer.outcome = Outcome::Unknown;
            }
            if let Some(token) = token {
                self.note_unknown(token, data);
                answer = answer.with("token", token.to_string());
            }
            answers.push(answer);
        }
        answers
    }
}

fn to_ask(data: &DataDirective, timeout: Duration) -> Ask {
    let command = |command: kv::Command| What::commands([command]);
    let what = match &data.operation {
        DataOperation::Create { key, value } => command(kv::Command::create(key, value)),
        DataOperation::Update { key, value } => command(kv::Command::update(key, value)),
        DataOperation::Put { key, value } => command(kv::Command::put(key, value)),
        DataOperation::Delete { key } => command(kv::Command::delete(key)),
        DataOperation::Cas { key, expected, value } => command(kv::Command::cas(key, expected, value)),
        DataOperation::Read { key, mode } => {
            let query = Payload::new(kv::Query::Read { key: key.into() });
            What::Read { query, mode: read_mode(*mode) }
        }
    };
    Ask { what, at: data.at, timeout }
}

fn read_mode(mode: ReadMode) -> protocol::ReadMode {
    match mode {
        ReadMode::Linearizable => protocol::ReadMode::Linearizable,
        ReadMode::Lease => protocol::ReadMode::Lease,
        ReadMode::Stale => protocol::ReadMode::Stale,
    }
}

fn to_outcome(data: &DataDirective, ended: Ended, given_up: DataOutcome) -> DataOutcome {
    match ended {
        Ended::Answered(answered) => answered_outcome(data, &answered),
        Ended::Rejected(rejection) => {
            let reads = matches!(data.operation, DataOperation::Read { .. });
            DataOutcome::Refused(refusal(&rejection, data.at, reads))
        }
        Ended::Panicked(_, reason) => DataOutcome::Unknown(reason),
        Ended::Unknown(_) | Ended::Settled(_) => given_up,
    }
}

pub(super) fn answered_outcome(data: &DataDirective, answered: &Answered) -> DataOutcome {
    let reads = matches!(data.operation, DataOperation::Read { .. });
    let stale = matches!(data.operation, DataOperation::Read { mode: ReadMode::Stale, .. });
    let index = (!reads || stale).then_some(answered.index);
    let place = Place { node: answered.node, term: answered.term, index, age: answered.age };
    let answer = if reads {
        answered.answer.value::<kv::Answer>()
    } else {
        // A command travels as a batch of one, and so does its answer.
        let batch = answered.answer.value::<Batch<kv::Answer>>();
        batch.and_then(|answers| answers.first().ok_or("the batch was answered with nothing"))
    };
    match answer {
        Ok(kv::Answer::Created | kv::Answer::Updated | kv::Answer::Put | kv::Answer::Deleted) => {
            DataOutcome::Committed(place)
        }
        Ok(kv::Answer::Value(value)) => DataOutcome::Found { value: value.to_string(), place },
        Ok(kv::Answer::Exists) => DataOutcome::Exists(Some(place)),
        Ok(kv::Answer::NotFound) => DataOutcome::NotFound(Some(place)),
        Ok(kv::Answer::Mismatch { actual }) => {
            DataOutcome::Mismatch { found: actual.to_string(), place: Some(place) }
        }
        Ok(kv::Answer::Keys(_)) => DataOutcome::Unknown("an answer to another question".to_string()),
        Err(reason) => DataOutcome::Unknown(format!("an answer that is not understood ({reason})")),
    }
}

fn refusal(rejection: &Rejection, at: Option<NodeId>, reads: bool) -> String {
    match (rejection, at) {
        (Rejection::NotLeader { leader: Some(leader) }, Some(node)) => {
            format!("{node} does not lead, {leader} does: leave @{node} away")
        }
        (Rejection::NotLeader { leader: None }, Some(node)) if reads => {
            format!("{node} found no leader to ask in time: see 'status', or read --stale")
        }
        (Rejection::NotLeader { leader: None }, Some(node)) => {
            format!("{node} does not lead and found no leader in time: see 'status'")
        }
        _ => rejection.to_string(),
    }
}

fn any_command(random: &mut Random) -> DataDirective {
    let key = format!("k{}", random.within(1, PIPE_KEYS));
    let value = random.below(100).to_string();
    let operation = match random.below(6) {
        0 => DataOperation::Create { key, value },
        1 => DataOperation::Update { key, value },
        2 => DataOperation::Delete { key },
        3 => DataOperation::Read { key, mode: ReadMode::Linearizable },
        _ => DataOperation::Put { key, value },
    };
    DataDirective { operation, at: None, timeout: None }
}
