//! Histories of a store that is correct by construction, or has one planted fault.

use std::collections::BTreeMap;

use raftlab::check::history::{Action, Operation, Outcome};
use raftlab::state_machine::StateMachine;
use raftlab::state_machine::kv::{Command, KeyValue, Query};
use raftlab::types::{ClientId, LogIndex, Random, Time};

/// What a store with a defect does at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A read is answered from the state before the last write.
    StaleRead,
    /// A write is answered and not made.
    LostWrite,
    /// A write is made again after another one.
    AppliedTwice,
    /// What was deleted comes back.
    DeleteUndone,
}

/// What clients will ask, and when each operation takes effect.
pub struct Plan(Vec<Planned>);

struct Planned {
    client: u64,
    key: String,
    action: Action,
    called: u64,
    /// The moment at which it takes effect.
    effect: u64,
    returned: u64,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// Of unknown outcome, and it does take effect.
    Late,
    /// Of unknown outcome, and it never takes effect.
    Never,
}

/// Three operations on one key, one after the other: a put that was answered, a change of it, a read.
struct Place {
    write: usize,
    change: usize,
    read: usize,
}

impl Plan {
    pub fn new(seed: u64, clients: u64, keys: u64, count: u64) -> Plan {
        let mut random = Random::new(seed);
        let mut free_at: Vec<(u64, u64)> = (1..=clients).map(|client| (0, client)).collect();
        let mut plan = Vec::new();
        for number in 0..count {
            free_at.sort_unstable();
            let (free, client) = free_at[0];
            let called = free + random.within(1, 50);
            let effect = called + random.within(0, 50);
            let returned = effect + random.within(0, 50);
            let mut planned = Planned {
                client,
                key: format!("k{}", random.below(keys)),
                action: action(&mut random, number),
                called,
                effect,
                returned,
                fate: Fate::Answered,
            };
            free_at[0] = (returned, client);
            if random.chance(60_000) {
                // The client gives up; what it asked for may happen long after.
                planned.fate = if random.chance(500_000) { Fate::Late } else { Fate::Never };
                planned.effect += random.within(0, 1_000);
                free_at[0].1 += clients;
            }
            plan.push(planned);
        }
        plan.sort_by_key(|planned| planned.effect);
        Plan(plan)
    }

    /// What the clients are told by a correct store.
    pub fn execute(&self) -> Vec<Operation> {
        self.run(|_, _, _| {})
    }

    /// What the clients are told by a store with this fault, and the place of the read that shows it; none if the plan
    /// has no place for the fault.
    pub fn execute_with(&self, fault: Fault) -> Option<(Vec<Operation>, usize)> {
        self.execute_late(fault, 0)
    }

    /// The same with the fault at this place or later.
    pub fn execute_late(&self, fault: Fault, earliest: usize) -> Option<(Vec<Operation>, usize)> {
        let Place { write, change, read } = self.place(fault, earliest)?;
        let again = command(&self.0[write]).expect("a write");
        let changed = command(&self.0[change]).expect("a change");
        let history = self.run(|at, before, store| match fault {
            Fault::LostWrite | Fault::DeleteUndone if at == change => *store = before.clone(),
            Fault::AppliedTwice if at == change => {
                store.apply(&again);
            }
            // The state before the change is that of the write: nothing else came between them.
            Fault::StaleRead if at + 1 == read => {
                store.apply(&again);
            }
            Fault::StaleRead if at == read => {
                store.apply(&changed);
            }
            _ => {}
        });
        Some((history, read))
    }

    /// Lets each operation take effect in its turn; `then` may change the store after each, and sees how it was before.
    fn run(&self, then: impl Fn(usize, &KeyValue, &mut KeyValue)) -> Vec<Operation> {
        let mut store = KeyValue::default();
        let mut history = Vec::new();
        // The log holds the changes alone; a read sees all of it up to some entry.
        let mut index = 0;
        for (at, planned) in self.0.iter().enumerate() {
            let before = store.clone();
            let answer = match command(planned) {
                _ if planned.fate == Fate::Never => None,
                Some(command) => {
                    index += 1;
                    Some(store.apply(&command))
                }
                None => Some(store.query(&Query::Read { key: planned.key.as_str().into() })),
            };
            then(at, &before, &mut store);
            let answered = answer.filter(|_| planned.fate == Fate::Answered);
            let told = answered.map(|answer| Outcome::of(&planned.action, &answer).expect("an answer to it"));
            let returned = told.is_some().then_some(planned.returned);
            let outcome = told.unwrap_or(Outcome::Unknown);
            let action = planned.action.clone();
            let mut operation = operation(&planned.key, action, planned.called, returned, outcome, index);
            operation.client = ClientId(planned.client);
            history.push(operation);
        }
        history
    }

    fn place(&self, fault: Fault, earliest: usize) -> Option<Place> {
        let correct = self.execute();
        let mut last: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (read, planned) in self.0.iter().enumerate().filter(|(_, planned)| planned.fate != Fate::Never) {
            let of_key = last.entry(&planned.key).or_default();
            if let [.., write, change] = of_key[..] {
                let all = [write, change, read];
                let answered = all.iter().all(|at| self.0[*at].fate == Fate::Answered);
                let in_turn = all.windows(2).all(|two| self.0[two[0]].returned < self.0[two[1]].called);
                let fits = match self.0[change].action {
                    Action::Delete => fault == Fault::DeleteUndone,
                    Action::Put(_) | Action::Update(_) => fault != Fault::DeleteUndone,
                    _ => false,
                };
                let writes = matches!(self.0[write].action, Action::Put(_))
                    && correct[change].outcome == Outcome::Changed;
                if write >= earliest
                    && answered
                    && in_turn
                    && fits
                    && writes
                    && planned.action == Action::Read
                {
                    return Some(Place { write, change, read });
                }
            }
            of_key.push(read);
        }
        None
    }
}

/// A history of up to seven operations on one key: a correct one, or one with a wrong answer somewhere.
pub fn small(random: &mut Random) -> Vec<Operation> {
    let count = random.within(1, 7);
    let mut history = Plan::new(random.bits(), 3, 1, count).execute();
    if random.chance(700_000) {
        let others: Vec<Outcome> = history.iter().map(|operation| operation.outcome.clone()).collect();
        for operation in &mut history {
            let other = random.pick(&others).cloned().unwrap_or(Outcome::Unknown);
            // Told what another client was told, where that can be an answer to this.
            if random.chance(500_000)
                && (operation.action == Action::Read) == matches!(other, Outcome::Found(_))
            {
                operation.outcome = other;
                operation.returned = operation.returned.or(Some(Time::from_nanos(5_000)));
            }
        }
    }
    history
}

pub fn operation(
    key: &str,
    action: Action,
    called: u64,
    returned: Option<u64>,
    outcome: Outcome,
    index: u64,
) -> Operation {
    let returned = returned.map(Time::from_nanos);
    let (called, index) = (Time::from_nanos(called), Some(LogIndex(index)));
    Operation { client: ClientId(1), key: key.to_string(), action, called, returned, outcome, index }
}

/// Written values are unique.
fn action(random: &mut Random, number: u64) -> Action {
    let value = format!("v{number}");
    match random.below(8) {
        0 => Action::Create(value),
        1 => Action::Update(value),
        2 | 3 => Action::Put(value),
        4 => Action::Delete,
        5 => Action::Cas { expected: format!("v{}", number.saturating_sub(random.within(1, 4))), value },
        _ => Action::Read,
    }
}

fn command(planned: &Planned) -> Option<Command> {
    let key = planned.key.clone();
    match planned.action.clone() {
        Action::Create(value) => Some(Command::create(key, value)),
        Action::Read => None,
        Action::Update(value) => Some(Command::update(key, value)),
        Action::Delete => Some(Command::delete(key)),
        Action::Put(value) => Some(Command::put(key, value)),
        Action::Cas { expected, value } => Some(Command::cas(key, expected, value)),
    }
}
