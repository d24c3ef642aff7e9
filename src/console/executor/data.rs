//! A client's commands: asked through the lab, answered in the forms of [`operation`](super::operation).

use std::time::Duration;

use serde_json::Value;

use super::operation::{DataAnswer, DataOutcome, Operation, Place};
use super::rows::{Row, Run, verb};
use super::slots::{AT, COUNT, EXPECTED, KEY, LEASE, STALE, TIMEOUT, VALUE};
use super::{Console, worse};
use crate::client::{Answered, Ask, Ended as CallEnded, Outcome as Ended, Rejection};
use crate::console::language::{Answer, Directive, Outcome, Topic, form};
use crate::payload::Batch;
use crate::protocol::ReadMode;
use crate::state_machine::kv::{self, Command};
use crate::text::counted;
use crate::text::layout::duration_shown;
use crate::types::{NodeId, Random};

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("create", Topic::Data, &[KEY, VALUE, AT, TIMEOUT])
            .does("sets a key that must be absent", "create x 5")
            .shows("5.3: committed once a majority stores the entry, and only then answered"),
        Console::data,
    ),
    verb(
        form("read", Topic::Data, &[KEY, AT, STALE, LEASE, TIMEOUT])
            .does("looks a key up", "read x")
            .shows("8, D 6.4: a leader confirms that it still leads; a follower asks it how far to read")
            .also(&["get"]),
        Console::data,
    ),
    verb(
        form("update", Topic::Data, &[KEY, VALUE, AT, TIMEOUT])
            .does("sets a key that must be there", "update x 6")
            .shows("5.3: every state machine applies the log in its order, so all agree"),
        Console::data,
    ),
    verb(
        form("delete", Topic::Data, &[KEY, AT, TIMEOUT])
            .does("removes a key that must be there", "delete x")
            .shows("5.3: a deletion is an entry like any other")
            .also(&["del"]),
        Console::data,
    ),
    verb(
        form("put", Topic::Data, &[KEY, VALUE, AT, TIMEOUT])
            .does("sets a key, there or not", "put x 'two words'")
            .shows("8: without an answer a command may still have been applied"),
        Console::data,
    ),
    verb(
        form("cas", Topic::Data, &[KEY, EXPECTED, VALUE, AT, TIMEOUT])
            .does("sets a key if it holds the expected value", "cas x 5 6")
            .shows("5.3: the log orders all commands, so comparing and setting needs no lock"),
        Console::data,
    ),
    verb(
        form("pipe", Topic::Data, &[COUNT])
            .does("N (40) random commands at once, answers in order", "pipe 100")
            .shows("D 10.2.2: entries follow one another without waiting for answers"),
        Console::pipe,
    ),
];

/// How many commands `pipe` sends when it is not told.
const PIPE_COUNT: usize = 40;

/// Keys among which `pipe` draws: few, so that its commands meet.
const PIPE_KEYS: u64 = 5;

/// An operation, and how it is asked for.
struct Question {
    operation: Operation,
    at: Option<NodeId>,
    timeout: Duration,
}

/// What one of the data verbs asks for.
pub(super) fn operation(line: &Directive) -> Operation {
    let text = |slot| line.get::<String>(slot).map(String::as_str).unwrap_or_default();
    let (key, value) = (text(&KEY), text(&VALUE));
    Operation::Write(match line.name() {
        "create" => Command::create(key, value),
        "update" => Command::update(key, value),
        "put" => Command::put(key, value),
        "delete" => Command::delete(key),
        "cas" => Command::cas(key, text(&EXPECTED), value),
        _ => {
            let mode = match (line.has(&STALE), line.has(&LEASE)) {
                (true, _) => ReadMode::Stale,
                (_, true) => ReadMode::Lease,
                _ => ReadMode::Linearizable,
            };
            return Operation::Read { key: key.to_string(), mode };
        }
    })
}

impl Console {
    fn data(&mut self, line: &Directive) -> Answer {
        let at = match self.one_node(line.get(&AT)) {
            Ok(at) => at,
            Err(reason) => return Answer::failed(line.name(), reason),
        };
        let timeout = line.get(&TIMEOUT).copied().unwrap_or(self.context.client_timeout);
        self.ask(vec![Question { operation: operation(line), at, timeout }])
            .pop()
            .expect("one answer to one command")
    }

    /// Reads as `read` does; none when the key is absent.
    pub(super) fn read(&mut self, key: &str, timeout: Duration) -> Result<Option<String>, String> {
        let read = Operation::Read { key: key.to_string(), mode: ReadMode::Linearizable };
        let mut ended = self.lab.ask(vec![Ask { what: read.what(), at: None, timeout }]);
        match ended.pop().expect("one answer to one question").outcome {
            Ended::Answered(answered) => match answered.answer.value::<kv::Answer>() {
                Ok(kv::Answer::Value(value)) => Ok(Some(value.to_string())),
                Ok(_) => Ok(None),
                Err(reason) => Err(format!("an answer that is not understood: {reason}")),
            },
            Ended::Rejected(rejection) => Err(rejection_text(&rejection, None, timeout)),
            Ended::Unknown(_) | Ended::Panicked(..) | Ended::Settled(_) => {
                Err(format!("no answer within {}", duration_shown(timeout)))
            }
        }
    }

    /// Random commands, all at once; a line each and a summary.
    fn pipe(&mut self, line: &Directive) -> Answer {
        let count = line.get(&COUNT).copied().unwrap_or(PIPE_COUNT);
        let begun = self.lab.now();
        let timeout = self.context.client_timeout;
        let random = &mut self.course.random;
        let question = |_| Question { operation: any_operation(random), at: None, timeout };
        let questions = (0..count).map(question).collect();
        let answers = self.ask(questions);
        let took = duration_shown(self.lab.now().since(begun));
        // By the words of the lines, so that a reader who counts them finds the same numbers.
        let how_many = |word| answers.iter().filter(|answer| answer.text.starts_with(word)).count();
        let (done, refused, unknown) = (how_many("OK "), how_many("ERR "), how_many("UNKNOWN "));
        let mut lines: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        let commands = counted(count, "command");
        let summary = format!("{commands} in {took}: {done} OK, {refused} ERR, {unknown} UNKNOWN");
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

    /// The answers to these questions, asked at once, in order.
    fn ask(&mut self, questions: Vec<Question>) -> Vec<Answer> {
        let asks = questions.iter().map(|Question { operation, at, timeout }| Ask {
            what: operation.what(),
            at: *at,
            timeout: *timeout,
        });
        let ended = self.ask_recorded(asks.collect());
        let interrupted = self.lab.interrupted();
        let mut answers = Vec::with_capacity(questions.len());
        for (Question { operation, at, timeout }, ended) in questions.into_iter().zip(ended) {
            let CallEnded { outcome: ended, took, .. } = ended;
            let ended_early = (interrupted && took < timeout).then_some(took);
            let inconclusive = matches!(ended, Ended::Rejected(Rejection::NoLeader | Rejection::NoAnswer));
            let outcome = match ended {
                Ended::Answered(answered) => answered_outcome(&operation, &answered),
                Ended::Rejected(rejection) => DataOutcome::Rejected(match ended_early {
                    Some(took) if inconclusive => interrupted_after(took),
                    _ => rejection_text(&rejection, at, timeout.max(took)),
                }),
                Ended::Panicked(token, reason) => DataOutcome::unknown(reason, Some(token)),
                Ended::Unknown(token) => match ended_early {
                    Some(took) => DataOutcome::unknown(interrupted_after(took), Some(token)),
                    None => DataOutcome::unanswered(timeout, token),
                },
                Ended::Settled(_) => unreachable!("this call asked about no other"),
            };
            if let DataOutcome::Unknown { token: Some(token), .. } = outcome {
                self.note_unknown(token, operation.clone());
            }
            let mut answer = Answer::from(&DataAnswer { operation, outcome, took });
            if inconclusive {
                // No node could answer, which another try may change.
                answer.outcome = Outcome::Unknown;
            }
            answers.push(answer);
        }
        answers
    }
}

pub(super) fn answered_outcome(operation: &Operation, answered: &Answered) -> DataOutcome {
    let index = (!operation.is_read() || operation.is_stale()).then_some(answered.index);
    let place = Place { node: answered.node, term: answered.term, index, staleness: answered.staleness };
    let answer = if operation.is_read() {
        answered.answer.value::<kv::Answer>()
    } else {
        // A command travels as a batch of one, and so does its answer.
        let batch = answered.answer.value::<Batch<kv::Answer>>();
        batch.and_then(|answers| answers.first().ok_or("the batch was answered with nothing"))
    };
    match answer {
        Ok(kv::Answer::Keys(_) | kv::Answer::Range(_) | kv::Answer::Txn(_)) => {
            DataOutcome::unknown("an answer to another question", None)
        }
        Ok(answer) => DataOutcome::Answered(answer.clone(), place),
        Err(reason) => DataOutcome::unknown(format!("an answer that is not understood ({reason})"), None),
    }
}

fn interrupted_after(took: Duration) -> String {
    format!("interrupted after {}", duration_shown(took))
}

/// Why a call had no effect, at a node that was named or at any, in this time.
pub(super) fn rejection_text(rejection: &Rejection, at: Option<NodeId>, within: Duration) -> String {
    let within = duration_shown(within);
    match (rejection, at) {
        (Rejection::NotLeader { leader: Some(leader) }, Some(node)) => {
            format!("{node} does not lead, {leader} does: leave out @{node}")
        }
        (Rejection::NotLeader { leader: None }, Some(node)) => {
            format!("{node} found no leader within {within}: leave out @{node} to ask every node")
        }
        (Rejection::NoAnswer, Some(node)) => format!("{node} did not answer within {within}"),
        (Rejection::NoAnswer, None) => format!("no answer within {within}"),
        (Rejection::NoLeader, _) => format!("no leader was found within {within}: 'status' says why"),
        (Rejection::Unreachable(node), _) => format!("{node} is down: 'restart {node}' starts it"),
        (Rejection::Busy, _) => "the leader has too many requests waiting: try again".to_string(),
        _ => rejection.to_string(),
    }
}

fn any_operation(random: &mut Random) -> Operation {
    let key = format!("k{}", random.within(1, PIPE_KEYS));
    let value = random.below(100).to_string();
    Operation::Write(match random.below(6) {
        0 => Command::create(key, value),
        1 => Command::update(key, value),
        2 => Command::delete(key),
        3 => return Operation::Read { key, mode: ReadMode::Linearizable },
        _ => Command::put(key, value),
    })
}
