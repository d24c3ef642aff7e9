//! Clients at work in a simulated run, and the guarantees that they hold the cluster to.
//!
//! Half of their commands create keys that no other command uses, so that at the end the state shows the outcome of each:
//! what was answered must be there, once. All calls are recorded as a history, which must be linearizable.

mod reads;

use std::collections::BTreeMap;
use std::time::Duration;

use super::{SEARCH_STEPS, Simulation};
use crate::check::history::{self, Action, Operation};
use crate::check::linearizability::{self, Start, Verdict};
use crate::client::{Answered, Ask, CallId, Fate, Gathering, Groups, Outcome, What};
use crate::history::{Callers, Pending};
use crate::lab::Lab;
use crate::payload::Payload;
use crate::protocol::ReadMode;
use crate::state_machine::kv::{Command, Query};
use crate::types::{ClientId, NodeId, Random, Time, Token};

/// How long a client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest that a client thinks before its next call.
const THINKING_MAX: Duration = Duration::from_millis(60);
const SHARED_KEYS: u64 = 4;
/// The prefix of keys that only one client uses.
const OWN: &str = "own.";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each habit is there or not by itself")]
pub struct Habits {
    /// The shortest time that a client waits for an answer.
    pub timeout_min: Duration,
    pub timeout_max: Duration,
    /// Whether clients ask later what became of the commands that had no answer.
    pub settles: bool,
    /// Whether some of their reads rely on clocks: by lease, or local and as young as they say.
    pub leases: bool,
    /// Whether some of their commands leave together, and share an entry.
    pub gathers: bool,
    /// Whether they mostly read, few keys, and half of them at nodes that they name.
    pub reads: bool,
    /// Whether the replicas keep so few answers that they may have forgotten what became of a command.
    pub forgetful: bool,
}

impl Default for Habits {
    fn default() -> Habits {
        Habits {
            timeout_min: TIMEOUT,
            timeout_max: TIMEOUT,
            settles: false,
            leases: false,
            gathers: false,
            reads: false,
            forgetful: false,
        }
    }
}

#[derive(Debug, Default)]
pub struct Workload {
    habits: Habits,
    clients: BTreeMap<ClientId, Worker>,
    callers: Callers,
    asked_at: Option<NodeId>,
    /// For now clients only read, if they mostly do.
    reads_only: bool,
    /// Keys whose creation was answered, with their value.
    created: BTreeMap<String, String>,
    /// Keys whose creation was rejected: certainly never made.
    refused: Vec<String>,
    history: Vec<Operation>,
    /// How many of them [`Workload::take_news`] has returned.
    taken: usize,
    pub counts: CallCounts,
    pub contradictions: Vec<String>,
}

/// How calls ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CallCounts {
    pub answered: u64,
    /// They certainly had no effect.
    pub rejected: u64,
    /// Calls whose outcome was unknown when they ended.
    pub unknown: u64,
    /// What became of those that were asked about: applied, never applied, not known since their session has expired.
    pub fates: [u64; 3],
    /// Those whose answer had been displaced by newer ones of their session.
    pub forgotten: u64,
    /// Calls that shared an entry: those that were answered, and those of unknown outcome.
    pub gathered: [u64; 2],
}

#[derive(Debug)]
struct Worker {
    random: Random,
    calls: u64,
    gathering: Gathering,
    running: BTreeMap<CallId, Task>,
    /// Commands of unknown outcome, and their places in the history.
    unsettled: Vec<(Token, usize)>,
    /// How many calls it has running at once.
    window: usize,
    next: Time,
}

#[derive(Debug)]
enum Task {
    Call(Pending),
    /// What became of a command, and its place in the history.
    Settle(Token, usize),
    /// One node's state, however old, as asked at this time.
    Local(Time),
}

impl Workload {
    /// These many clients, added to the cluster.
    pub fn new(simulation: &mut Simulation, count: u64, habits: Habits, random: &mut Random) -> Workload {
        let mut workload = Workload { habits, ..Workload::default() };
        for number in 1..=count {
            let id = ClientId(100 + number);
            simulation.add_client(id);
            let mut random = random.fork();
            let window = usize::try_from(random.within(1, 4)).expect("a small number");
            let gathering = Gathering::new(if habits.gathers { window } else { 1 });
            let (running, unsettled, next) = (BTreeMap::new(), Vec::new(), Time::ZERO);
            let worker = Worker { random, calls: 0, gathering, running, unsettled, window, next };
            workload.clients.insert(id, worker);
        }
        workload
    }

    /// From now on clients wait long enough for an answer: only an answered call counts as served.
    pub fn become_patient(&mut self) {
        self.habits = Habits { timeout_min: TIMEOUT, timeout_max: TIMEOUT, ..self.habits };
    }

    /// From now on clients ask this node first of all.
    pub fn ask_at(&mut self, node: Option<NodeId>) {
        self.asked_at = node;
    }

    /// From now on clients that mostly read do nothing else, or write again.
    pub fn read_only(&mut self, reads_only: bool) {
        self.reads_only = reads_only;
    }

    pub fn next_call(&self) -> Time {
        let ready = |worker: &&Worker| worker.running.len() < worker.window;
        self.clients.values().filter(ready).map(|worker| worker.next).min().unwrap_or(Time::NEVER)
    }

    /// Takes in what has ended and, with `calling`, makes the calls that are due.
    pub fn work(&mut self, simulation: &mut Simulation, calling: bool) {
        let (habits, asked_at) = (self.habits, self.asked_at);
        let nodes = Lab::nodes(simulation);
        let mut ended = Vec::new();
        for (&id, worker) in &mut self.clients {
            let mut calls = Vec::new();
            for all in simulation.take_ended(id) {
                let again = worker.gathering.end(simulation.now(), all, &mut calls);
                worker.begin(simulation, id, again);
            }
            for call in calls {
                ended.push((id, worker.running.remove(&call.call_id).expect("a call ends once"), call));
            }
        }
        if calling && self.next_call() <= simulation.now() {
            simulation.come_after();
        }
        let now = simulation.now();
        for (&id, worker) in &mut self.clients {
            let mut asks = Vec::new();
            // Calls that leave together are equally patient.
            let mut timeout = None;
            while calling && worker.running.len() < worker.window && worker.next <= now {
                let timeout = *timeout.get_or_insert_with(|| worker.timeout(habits));
                let (ask, task) = if habits.reads {
                    {
                        let writes = !self.reads_only;
                        let reader = reads::Reader { client: id, habits, nodes: &nodes, asked_at, writes };
                        worker.next_reading(reader, timeout, now)
                    }
                } else {
                    worker.next_task(id, habits, timeout, &nodes, asked_at, now)
                };
                let task = task.unwrap_or_else(|| Task::Call(self.callers.begin(&ask, now)));
                asks.push(ask);
                worker.running.insert(CallId(worker.gathering.last().0 + asks.len() as u64), task);
                worker.next = now + worker.pause(habits, asked_at);
            }
            let groups = worker.gathering.gather(&mut asks);
            worker.begin(simulation, id, groups);
        }
        let mut local = Vec::new();
        for (client, task, call) in ended {
            let token = match task {
                Task::Call(pending) => {
                    let operations = self.callers.end(pending, &call);
                    let token = self.note(&operations, &call.outcome);
                    self.history.extend(operations);
                    token.map(|token| (token, self.history.len() - 1))
                }
                Task::Settle(token, place) => {
                    self.settle(place, &call.outcome, now).then_some((token, place))
                }
                Task::Local(asked) => {
                    local.push((asked, call.outcome));
                    None
                }
            };
            let worker = self.clients.get_mut(&client).expect("it has just worked");
            worker.unsettled.extend(token.filter(|_| habits.settles));
        }
        // Checked against all calls that have ended by now.
        for (asked, outcome) in local {
            self.note_local(asked, &outcome);
        }
    }

    /// Checks the staleness bound of a local read: it must show all that was answered longer before it than that. The bound
    /// is measured by the node's clock, which is right within the drift.
    fn note_local(&mut self, asked: Time, outcome: &Outcome) {
        let Outcome::Answered(Answered { index, staleness: Some(staleness), node, .. }) = outcome else {
            return;
        };
        let as_of = asked - *staleness * 12 / 10;
        let missed = self.history.iter().rev().find(|operation| {
            let changes = operation.action != Action::Read && operation.index > Some(*index);
            changes && operation.returned.is_some_and(|returned| returned < as_of)
        });
        if let Some(missed) = missed {
            let seen = format!(
                "staleness bound: {node} said its state at {index} was at most {staleness:?} old at {asked}"
            );
            self.contradictions.push(format!("{seen}, but {missed}"));
        }
    }

    pub fn is_idle(&self) -> bool {
        self.clients.values().all(|worker| worker.running.is_empty())
    }

    /// Notes how a call ended; if that is unknown, the token that asks about it.
    fn note(&mut self, operations: &[Operation], outcome: &Outcome) -> Option<Token> {
        match outcome {
            Outcome::Rejected(_) => {
                self.counts.rejected += 1;
                self.note_refused(operations);
                None
            }
            Outcome::Unknown(token) | Outcome::Panicked(token, _) => {
                self.counts.unknown += 1;
                self.counts.gathered[1] += u64::from(token.part.is_some());
                Some(*token)
            }
            Outcome::Answered(answered) => {
                self.counts.answered += 1;
                self.counts.gathered[0] += u64::from(answered.part.is_some());
                self.note_answered(operations, answered);
                None
            }
            Outcome::Settled(_) => unreachable!("this call asked about no other"),
        }
    }

    /// Notes what became of the operation at this place, whose outcome was unknown. True if it is to be asked again.
    fn settle(&mut self, place: usize, outcome: &Outcome, now: Time) -> bool {
        let Outcome::Settled(fate) = outcome else { return true };
        let operations = self.callers.settle(vec![self.history[place].clone()], fate, now);
        let known = match fate {
            Fate::Applied(answered) => {
                self.note_answered(&operations, answered);
                0
            }
            Fate::NeverApplied => {
                self.note_refused(&operations);
                1
            }
            Fate::Expired | Fate::Lost { .. } => 2,
            Fate::Forgotten if self.habits.forgetful => {
                self.counts.forgotten += 1;
                return false;
            }
            // Clients ask within half a window, and the replicas keep all answers of that window.
            Fate::Forgotten => {
                let forgotten = format!("{}: no node knows any more what became of it", self.history[place]);
                self.contradictions.push(forgotten);
                return false;
            }
        };
        self.counts.fates[known] += 1;
        self.history.splice(place..=place, operations);
        false
    }

    fn note_refused(&mut self, operations: &[Operation]) {
        let own = operations.iter().filter(|operation| is_own(operation));
        self.refused.extend(own.map(|operation| operation.key.clone()));
    }

    fn note_answered(&mut self, operations: &[Operation], answered: &Answered) {
        for operation in operations {
            if operation.outcome == history::Outcome::Unknown {
                self.contradictions.push(format!("{operation}: it was told {:?}", answered.answer));
            }
            self.note_created(operation);
        }
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

    /// Notes what the shared keys hold at the end, as if one client had read them all.
    pub fn audit(&mut self, items: &[(String, String)], now: Time) {
        let state: BTreeMap<&str, &str> =
            items.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.history.extend((0..SHARED_KEYS).map(shared_key).map(|key| {
            let value = state.get(key.as_str()).map(ToString::to_string);
            Operation::seen_at_the_end(key, value, now)
        }));
    }

    /// The operations that have ended since this was last asked.
    pub fn take_news(&mut self) -> &[Operation] {
        let taken = std::mem::replace(&mut self.taken, self.history.len());
        &self.history[taken..]
    }

    pub fn ended(&self) -> usize {
        self.history.len()
    }

    /// All calls, in the order in which they ended; those that still run are of unknown outcome.
    pub fn into_history(self) -> Vec<Operation> {
        let running = self.clients.into_values().flat_map(|worker| worker.running.into_values());
        let operations = running.flat_map(|task| match task {
            Task::Call(pending) => pending.into_operations(),
            Task::Settle(..) | Task::Local(_) => Vec::new(),
        });
        self.history.into_iter().chain(operations).collect()
    }

    /// Compares what the clients were told with a node's state at the end.
    pub fn lost_or_phantom_keys(&self, items: &[(String, String)]) -> Vec<String> {
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
    fn begin(&mut self, simulation: &mut Simulation, client: ClientId, groups: Groups) {
        for group in groups {
            let asked = simulation.call(client, group.ask());
            self.gathering.begun(asked, group);
        }
    }

    /// The next call, and what it is about if that is no operation.
    fn next_task(
        &mut self,
        client: ClientId,
        habits: Habits,
        timeout: Duration,
        nodes: &[NodeId],
        asked_at: Option<NodeId>,
        now: Time,
    ) -> (Ask, Option<Task>) {
        if habits.settles && !self.unsettled.is_empty() && self.random.chance(400_000) {
            let (token, place) = self.unsettled.remove(0);
            let ask = Ask { what: What::Settle(token), at: None, timeout };
            return (ask, Some(Task::Settle(token, place)));
        }
        if habits.leases && self.random.chance(50_000) {
            let what = What::Read { query: Payload::new(Query::Keys {}), mode: ReadMode::Stale };
            let ask = Ask { what, at: self.random.pick(nodes).copied(), timeout };
            return (ask, Some(Task::Local(now)));
        }
        let (what, at) = self.choose(client, nodes, habits.leases);
        (Ask { what, at: at.or(asked_at), timeout }, None)
    }

    fn timeout(&mut self, habits: Habits) -> Duration {
        let Habits { timeout_min, timeout_max, .. } = habits;
        // No draw where there is nothing to choose.
        if timeout_min < timeout_max { self.random.duration(timeout_min, timeout_max) } else { timeout_min }
    }

    /// How long it thinks before the next call.
    fn pause(&mut self, habits: Habits, asked_at: Option<NodeId>) -> Duration {
        // No draw where there is nothing to choose.
        if habits.reads {
            self.pause_of_reader(asked_at)
        } else if habits.gathers && self.random.chance(300_000) {
            Duration::ZERO
        } else {
            self.random.duration(Duration::ZERO, THINKING_MAX)
        }
    }

    /// What it asks next, and the only node it asks.
    fn choose(&mut self, client: ClientId, nodes: &[NodeId], leases: bool) -> (What, Option<NodeId>) {
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
                _ => return self.choose_read(key, nodes, leases),
            }
        };
        (What::commands([command]), None)
    }

    fn choose_read(&mut self, key: String, nodes: &[NodeId], leases: bool) -> (What, Option<NodeId>) {
        let at = if self.random.chance(400_000) { self.random.pick(nodes).copied() } else { None };
        let by_lease = leases && self.random.chance(600_000);
        let mode = if by_lease { ReadMode::Lease } else { ReadMode::Linearizable };
        (What::Read { query: Payload::new(Query::Read { key: key.into() }), mode }, at)
    }
}

/// Whether an order of the calls explains all that the clients were told; otherwise what is wrong.
pub fn contradiction(history: &[Operation]) -> Option<String> {
    match linearizability::check(Start::Absent, history, linearizability::steps(SEARCH_STEPS)) {
        Verdict::Linearizable => None,
        Verdict::Violation(violation) => Some(format!("linearizable: {}", violation.explanation)),
        Verdict::Undecided { key, .. } => Some(format!("linearizable: undecided for {key}")),
    }
}

fn shared_key(number: u64) -> String {
    format!("shared{number}")
}

/// Whether only its caller uses the key.
fn is_own(operation: &Operation) -> bool {
    operation.key.starts_with(OWN)
}
