//! Clients at work in a simulated run, and what they may rely on afterwards.
//!
//! Half of their commands create keys that nobody else uses, so that at the end each one's fate can be read from the
//! state: what was answered must be there, once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Simulation;
use crate::client::core::{Ended, Ticket};
use crate::client::{Ask, Outcome, What};
use crate::net::packet::ReadMode;
use crate::payload::Payload;
use crate::state_machine::kv::{Answer, Command, Query};
use crate::types::{ClientId, Random, Time};

/// How long a client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest that a client thinks before its next call.
const THINKING_MAX: Duration = Duration::from_millis(60);
/// Keys that all clients fight over.
const SHARED_KEYS: u64 = 4;

/// What the clients have done.
#[derive(Debug, Default)]
pub struct Workload {
    clients: BTreeMap<ClientId, Worker>,
    /// Keys whose creation was answered, with their value.
    created: BTreeMap<String, String>,
    /// Keys whose creation was rejected: certainly never made.
    refused: Vec<String>,
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
    /// The key and value that a running call is to create, if it is such a call.
    running: BTreeMap<Ticket, Option<(String, String)>>,
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
                let created = worker.running.remove(&ticket).expect("a call ends once");
                ended.push((created, outcome));
            }
            while calling && worker.running.len() < worker.window && worker.next <= now {
                let (what, creates) = worker.choose(id);
                let ticket = simulation.call(id, Ask { what, at: None, timeout: TIMEOUT });
                worker.running.insert(ticket, creates);
                worker.next = now + worker.random.duration(Duration::ZERO, THINKING_MAX);
            }
        }
        for (created, outcome) in ended {
            self.note(created, outcome);
        }
    }

    /// Whether every call has ended.
    pub fn is_idle(&self) -> bool {
        self.clients.values().all(|worker| worker.running.is_empty())
    }

    fn note(&mut self, created: Option<(String, String)>, outcome: Outcome) {
        match outcome {
            Outcome::Rejected(_) => {
                self.rejected += 1;
                self.refused.extend(created.map(|(key, _)| key));
            }
            Outcome::Unknown => self.unknown += 1,
            Outcome::Answered(answered) => {
                self.answered += 1;
                let Some((key, value)) = created else { return };
                match answered.answer.value::<Vec<Answer>>().map(Vec::as_slice) {
                    Ok([Answer::Created]) => {
                        self.created.insert(key, value);
                    }
                    other => {
                        let seen = format!("only one client creates {key}, once, but it was told {other:?}");
                        self.contradictions.push(seen);
                    }
                }
            }
        }
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
    /// The next call, and what it creates if it is a creation.
    fn choose(&mut self, id: ClientId) -> (What, Option<(String, String)>) {
        self.calls += 1;
        let value = format!("{id}.{}", self.calls);
        if self.random.chance(500_000) {
            let key = format!("own.{value}");
            let command = Command::create(key.clone(), value.clone());
            return (What::Command(Payload::new(vec![command])), Some((key, value)));
        }
        let key = format!("shared{}", self.random.below(SHARED_KEYS));
        let command = match self.random.below(5) {
            0 => Command::create(key, value),
            1 => Command::update(key, value),
            2 => Command::put(key, value),
            3 => Command::delete(key),
            _ => {
                let query = Payload::new(Query::Read { key });
                return (What::Read { query, mode: ReadMode::Linearizable }, None);
            }
        };
        (What::Command(Payload::new(vec![command])), None)
    }
}
