//! Clients at work in a simulated run, and what they may rely on afterwards.
//!
//! Half of their commands create keys that nobody else uses, so that at the end each one's fate can be read from the
//! state: what was answered must be there, once. All calls are recorded as a history, which must be linearizable.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Simulation;
use crate::check::history::{self, Action, Operation};
use crate::check::linearizability::{self, Start, Verdict};
use crate::client::core::{Ended, Ticket};
use crate::client::{Ask, Outcome, What};
use crate::net::packet::ReadMode;
use crate::payload::Payload;
use crate::state_machine::kv::{Answer, Command, Query};
use crate::types::{ClientId, LogIndex, Random, Time};

/// How long a client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest that a client thinks before its next call.
const THINKING_MAX: Duration = Duration::from_millis(60);
/// Keys that all clients fight over.
const SHARED_KEYS: u64 = 4;
/// How many steps the search for an order of the history may take.
const SEARCH_STEPS: u64 = 200_000;
/// What the keys of one client alone begin with.
const OWN: &str = "own.";
/// Who is said to have read the state at the end.
const AUDITOR: ClientId = ClientId(0);

/// What the clients have done.
#[derive(Debug, Default)]
pub struct Workload {
    clients: BTreeMap<ClientId, Worker>,
    /// Keys whose creation was answered, with their value.
    created: BTreeMap<String, String>,
    /// Keys whose creation was rejected: certainly never made.
    refused: Vec<String>,
    /// The calls that have ended.
    history: Vec<Operation>,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that certainly had no effect.
    pub rejected: u64,
    /// Calls whose outcome is unknown.
    pub unknown: u64,
    /// What no client should ever see.
    pub contradictions: Vec<String>,
}

#[derive(Debug)]
struct Worker {
    random: Random,
    calls: u64,
    /// What the running calls ask, as if nothing will be known of them.
    running: BTreeMap<Ticket, Operation>,
    /// How many calls it has running at once.
    window: usize,
    next: Time,
}

impl Workload {
    /// These many clients, added to the cluster.
    pub fn new(simulation: &mut Simulation, count: u64, random: &mut Random) -> Workload {
        let mut workload = Workload::default();
        for number in 1..=count {
            let id = ClientId(100 + number);
            simulation.add_client(id);
            let mut random = random.fork();
            let window = usize::try_from(random.within(1, 4)).expect("a small number");
            let worker = Worker { random, calls: 0, running: BTreeMap::new(), window, next: Time::ZERO };
            workload.clients.insert(id, worker);
        }
        workload
    }

    /// When a client wants to call next.
    pub fn next_call(&self) -> Time {
        let ready = |worker: &&Worker| worker.running.len() < worker.window;
        self.clients.values().filter(ready).map(|worker| worker.next).min().unwrap_or(Time::NEVER)
    }

    /// Takes in what has ended and, with `calling`, makes the calls that are due.
    pub fn work(&mut self, simulation: &mut Simulation, calling: bool) {
        let now = simulation.now();
        let mut ended = Vec::new();
        for (&id, worker) in &mut self.clients {
            for Ended { ticket, outcome, .. } in simulation.take_ended(id) {
                let operation = worker.running.remove(&ticket).expect("a call ends once");
                ended.push((Operation { returned: Some(now), ..operation }, outcome));
            }
            while calling && worker.running.len() < worker.window && worker.next <= now {
                let operation = worker.choose(id, now);
                let ticket = simulation.call(id, Ask { what: what(&operation), at: None, timeout: TIMEOUT });
                worker.running.insert(ticket, operation);
                worker.next = now + worker.random.duration(Duration::ZERO, THINKING_MAX);
            }
        }
        for (operation, outcome) in ended {
            self.note(operation, outcome);
        }
    }

    /// Whether every call has ended.
    pub fn is_idle(&self) -> bool {
        self.clients.values().all(|worker| worker.running.is_empty())
    }

    fn note(&mut self, mut operation: Operation, outcome: Outcome) {
        match outcome {
            Outcome::Rejected(_) => {
                self.rejected += 1;
                operation.outcome = history::Outcome::Refused;
                if is_own(&operation) {
                    self.refused.push(operation.key.clone());
                }
            }
            Outcome::Unknown => self.unknown += 1,
            Outcome::Answered(answered) => {
                self.answered += 1;
                operation.index = Some(answered.index);
                if let Some(told) = told(&operation.action, &answered.answer) {
                    operation.outcome = told;
                } else {
                    self.contradictions.push(format!("{operation}: it was told {:?}", answered.answer));
                }
                self.note_created(&operation);
            }
        }
        self.history.push(operation);
    }

    fn note_created(&mut self, operation: &Operation) {
        let Operation { key, action, outcome, .. } = operation;
        let Action::Create(value) = action else { return };
        match outcome {
            _ if !is_own(operation) => {}
            history::Outcome::Changed => {
                self.created.insert(key.clone(), value.clone());
            }
            other => {
                let seen = format!("only one client creates {key}, once, but it was told {other:?}");
                self.contradictions.push(seen);
            }
        }
    }

    /// Notes what the shared keys hold at the end, as if somebody had read them all.
    pub fn audit(&mut self, items: &[(String, String)], now: Time) {
        let state: BTreeMap<&str, &str> =
            items.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.history.extend((0..SHARED_KEYS).map(shared_key).map(|key| Operation {
            client: AUDITOR,
            outcome: history::Outcome::Found(state.get(key.as_str()).map(ToString::to_string)),
            key,
            action: Action::Read,
            called: now,
            returned: Some(now),
            index: Some(LogIndex(u64::MAX)),
        }));
    }

    /// All calls, in the order in which they ended; those that still run are of unknown outcome.
    pub fn into_history(self) -> Vec<Operation> {
        let running = self.clients.into_values().flat_map(|worker| worker.running.into_values());
        self.history.into_iter().chain(running).collect()
    }

    /// Compares what the clients were told with a node's state at the end.
    pub fn lies(&self, items: &[(String, String)]) -> Vec<String> {
        let state: BTreeMap<&str, &str> =
            items.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let gone = |(key, value): &(&String, &String)| state.get(key.as_str()) != Some(&value.as_str());
        let lost = self.created.iter().filter(gone);
        let made = self.refused.iter().filter(|key| state.contains_key(key.as_str()));
        lost.map(|(key, value)| format!("{key}={value} was answered OK and is not there"))
            .chain(made.map(|key| format!("{key} was rejected and is there")))
            .collect()
    }
}

impl Worker {
    /// The next call.
    fn choose(&mut self, client: ClientId, called: Time) -> Operation {
        self.calls += 1;
        let value = format!("{client}.{}", self.calls);
        let (key, action) = if self.random.chance(500_000) {
            (format!("{OWN}{value}"), Action::Create(value))
        } else {
            let key = shared_key(self.random.below(SHARED_KEYS));
            let action = match self.random.below(5) {
                0 => Action::Create(value),
                1 => Action::Update(value),
                2 => Action::Put(value),
                3 => Action::Delete,
                _ => Action::Read,
            };
            (key, action)
        };
        let outcome = history::Outcome::Unknown;
        Operation { client, key, action, called, returned: None, outcome, index: None }
    }
}

/// Whether an order of the calls explains all that the clients were told; otherwise what is wrong.
pub fn contradiction(history: &[Operation]) -> Option<String> {
    match linearizability::check(Start::Absent, history, linearizability::steps(SEARCH_STEPS)) {
        Verdict::Linearizable => None,
        Verdict::Violation(violation) => Some(format!("linearizable: {}", violation.explanation)),
        Verdict::Undecided { key } => Some(format!("linearizable: undecided for {key}")),
    }
}

fn shared_key(number: u64) -> String {
    format!("shared{number}")
}

/// Whether the key is its caller's alone.
fn is_own(operation: &Operation) -> bool {
    operation.key.starts_with(OWN)
}

/// What a client asks to have this done.
fn what(operation: &Operation) -> What {
    let key = operation.key.clone();
    let command = match operation.action.clone() {
        Action::Create(value) => Command::create(key, value),
        Action::Update(value) => Command::update(key, value),
        Action::Put(value) => Command::put(key, value),
        Action::Delete => Command::delete(key),
        Action::Cas { expected, value } => Command::cas(key, expected, value),
        Action::Read => {
            let query = Payload::new(Query::Read { key });
            return What::Read { query, mode: ReadMode::Linearizable };
        }
    };
    What::Command(Payload::new(vec![command]))
}

/// What an answer says; none if it is no answer to this.
fn told(action: &Action, answer: &Payload) -> Option<history::Outcome> {
    match action {
        Action::Read => history::Outcome::of(action, answer.value::<Answer>().ok()?),
        _ => match answer.value::<Vec<Answer>>().ok()?.as_slice() {
            [answer] => history::Outcome::of(action, answer),
            _ => None,
        },
    }
}
