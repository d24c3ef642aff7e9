//! Clients at work in a simulated run, and what they may rely on afterwards.
//!
//! Half of their commands create keys that nobody else uses, so that at the end each one's fate can be read from the
//! state: what was answered must be there, once. All calls are recorded as a history, which must be linearizable.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{SEARCH_STEPS, Simulation};
use crate::check::history::{self, Action, Operation};
use crate::check::linearizability::{self, Start, Verdict};
use crate::client::core::Ticket;
use crate::client::record::{Callers, Pending};
use crate::client::{Ask, Outcome, What};
use crate::net::packet::ReadMode;
use crate::payload::Payload;
use crate::state_machine::kv::{Command, Query};
use crate::types::{ClientId, LogIndex, Random, Time};

/// How long a client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest that a client thinks before its next call.
const THINKING_MAX: Duration = Duration::from_millis(60);
/// Keys that all clients fight over.
const SHARED_KEYS: u64 = 4;
/// What the keys of one client alone begin with.
const OWN: &str = "own.";
/// Who is said to have read the state at the end.
const AUDITOR: ClientId = ClientId(0);

/// What the clients have done.
#[derive(Debug, Default)]
pub struct Workload {
    clients: BTreeMap<ClientId, Worker>,
    callers: Callers,
    /// Keys whose creation was answered, with their value.
    created: BTreeMap<String, String>,
    /// Keys whose creation was rejected: certainly never made.
    refused: Vec<String>,
    /// The calls that have ended.
    history: Vec<Operation>,
    /// How many of them were taken as news.
    taken: usize,
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
    running: BTreeMap<Ticket, Pending>,
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
            for call in simulation.take_ended(id) {
                let pending = worker.running.remove(&call.ticket).expect("a call ends once");
                ended.push((self.callers.end(pending, &call), call.outcome));
            }
            while calling && worker.running.len() < worker.window && worker.next <= now {
                let ask = Ask { what: worker.choose(id), at: None, timeout: TIMEOUT };
                let pending = self.callers.begin(&ask, now);
                worker.running.insert(simulation.call(id, ask), pending);
                worker.next = now + worker.random.duration(Duration::ZERO, THINKING_MAX);
            }
        }
        for (operations, outcome) in ended {
            self.note(operations, &outcome);
        }
    }

    /// Whether every call has ended.
    pub fn is_idle(&self) -> bool {
        self.clients.values().all(|worker| worker.running.is_empty())
    }

    fn note(&mut self, operations: Vec<Operation>, outcome: &Outcome) {
        match outcome {
            Outcome::Rejected(_) => {
                self.rejected += 1;
                let own = operations.iter().filter(|operation| is_own(operation));
                self.refused.extend(own.map(|operation| operation.key.clone()));
            }
            Outcome::Unknown => self.unknown += 1,
            Outcome::Answered(answered) => {
                self.answered += 1;
                for operation in &operations {
                    if operation.outcome == history::Outcome::Unknown {
                        self.contradictions.push(format!("{operation}: it was told {:?}", answered.answer));
                    }
                    self.note_created(operation);
                }
            }
        }
        self.history.extend(operations);
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

    /// The operations that have ended since this was last asked.
    pub fn take_news(&mut self) -> &[Operation] {
        let taken = std::mem::replace(&mut self.taken, self.history.len());
        &self.history[taken..]
    }

    /// How many operations have ended.
    pub fn ended(&self) -> usize {
        self.history.len()
    }

    /// All calls, in the order in which they ended; those that still run are of unknown outcome.
    pub fn into_history(self) -> Vec<Operation> {
        let running = self.clients.into_values().flat_map(|worker| worker.running.into_values());
        self.history.into_iter().chain(running.flat_map(Pending::into_operations)).collect()
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
    /// What it asks next.
    fn choose(&mut self, client: ClientId) -> What {
        self.calls += 1;
        let value = format!("{client}.{}", self.calls);
        let command = if self.random.chance(500_000) {
            Command::create(format!("{OWN}{value}"), value)
        } else {
            let key = shared_key(self.random.below(SHARED_KEYS));
            match self.random.below(5) {
                0 => Command::create(key, value),
                1 => Command::update(key, value),
                2 => Command::put(key, value),
                3 => Command::delete(key),
                _ => {
                    let query = Payload::new(Query::Read { key });
                    return What::Read { query, mode: ReadMode::Linearizable };
                }
            }
        };
        What::Command(Payload::new(vec![command]))
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
