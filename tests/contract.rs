//! The client's contract on real threads: half a minute of load while leaders crash, the network parts and every link
//! loses a tenth of its messages, the clients' included. Every history must be linearizable, nothing that was answered
//! lost, nothing done twice, and no call may outlast its deadline.
#![expect(clippy::print_stdout, reason = "it says how much was tried")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use raftlab::check::history::{self, Action, Operation};
use raftlab::check::linearizability::{self, Start, Verdict};
use raftlab::client::{Ask, Client, Ended, Outcome, Token, What};
use raftlab::cluster::Cluster;
use raftlab::faults::{LinkScope, NetChange};
use raftlab::history::Callers;
use raftlab::lab::{Lab, Life, NodeOrder};
use raftlab::payload::Payload;
use raftlab::protocol::ReadMode;
use raftlab::state_machine::kv::{Command, KeyValue, Query};
use raftlab::types::{NodeId, Random, Time};

/// How long faults and load go on.
const LOAD: Duration = Duration::from_secs(30);
/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How much later than at its deadline a call may end.
const OVERTIME: Duration = Duration::from_millis(100);
/// Clients, each on a thread of its own.
const CLIENTS: u64 = 6;
/// Keys that all of them fight over.
const SHARED_KEYS: u64 = 8;
/// A tenth of all messages.
const LOSS: u32 = 100_000;
/// How long healing and judging may take: machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all clients have seen.
#[derive(Default)]
struct Seen {
    callers: Callers,
    history: Vec<Operation>,
    overtime: Duration,
    settled: u64,
}

#[test]
fn under_crashes_partitions_and_loss_every_call_ends_in_time_once_and_truly() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let builder = Cluster::builder().nodes(3).seed(7).states(folder.path().join("states"));
    let mut cluster = builder.start().expect("a cluster starts");
    cluster.wait_until_leader(PATIENCE).expect("a leader");
    cluster.change_network(&NetChange::Drop { per_million: LOSS, scope: LinkScope::All }).expect("a rule");

    let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
    let calls = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (client, seen, stop) = (cluster.client(), Arc::clone(&seen), Arc::clone(&stop));
            let calls = Arc::clone(&calls);
            thread::spawn(move || {
                let mut worker = Worker { number, client, random: Random::new(number), calls: 0 };
                while !stop.load(Ordering::Relaxed) {
                    worker.work(&seen);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let faults = break_things(&mut cluster);
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("no call panics");
    }

    heal(&mut cluster);
    let state = cluster.items(NodeId::new(1)).expect("it runs");
    let mut seen = std::mem::take(&mut *seen.lock().expect("nobody panicked"));
    assert!(seen.overtime <= OVERTIME, "a call ended {:?} after its deadline", seen.overtime);
    judge(&mut seen, &state, cluster.now());
    for verdict in cluster.check() {
        assert_eq!(verdict.violation, None, "{}", verdict.property);
    }
    let answered = seen.history.iter().filter(|operation| operation.index.is_some()).count();
    println!(
        "{} operations, {answered} answered, {} settled later; {faults} faults; latest end {:?} after its deadline",
        seen.history.len(),
        seen.settled,
        seen.overtime
    );
    assert!(answered > 500 && faults > 10, "too little happened to show anything: {answered}, {faults}");
}

struct Worker {
    number: u64,
    client: Client<KeyValue>,
    random: Random,
    calls: u64,
}

impl Worker {
    /// One call, or a few at once; what has no answer is asked about.
    fn work(&mut self, seen: &Mutex<Seen>) {
        let count = self.random.within(1, 3);
        let asks: Vec<Ask> = (0..count).map(|_| self.choose()).collect();
        let pending: Vec<_> = {
            let callers = &mut seen.lock().expect("nobody panicked").callers;
            asks.iter().map(|ask| callers.begin(ask, Time::ZERO)).collect()
        };
        let ended = self.client.ask_all(asks);
        let mut unknown: Vec<(Token, usize)> = Vec::new();
        {
            let seen = &mut *seen.lock().expect("nobody panicked");
            for (pending, ended) in pending.into_iter().zip(&ended) {
                seen.note_time(ended);
                if let Outcome::Unknown(token) = ended.outcome {
                    unknown.push((token, seen.history.len()));
                }
                let operations = seen.callers.end(pending, ended);
                seen.history.extend(operations);
            }
        }
        for (token, place) in unknown {
            let ended = self.client.ask(Ask { what: What::Settle(token), at: None, timeout: TIMEOUT });
            let seen = &mut *seen.lock().expect("nobody panicked");
            seen.note_time(&ended);
            if let Outcome::Settled(fate) = &ended.outcome {
                seen.settled += 1;
                let operation = seen.history[place].clone();
                let known = seen.callers.settle(vec![operation], fate, ended.returned());
                seen.history.splice(place..=place, known);
            }
        }
    }

    fn choose(&mut self) -> Ask {
        self.calls += 1;
        let value = format!("{}.{}", self.number, self.calls);
        let shared = format!("shared{}", self.random.below(SHARED_KEYS));
        let command = match self.random.below(8) {
            0..=2 => Command::create(format!("own.{value}"), value),
            3 => Command::put(shared, value),
            4 => Command::update(shared, value),
            5 => Command::delete(shared),
            6 => Command::create(shared, value),
            _ => {
                let query = Payload::new(Query::Read { key: shared.into() });
                let at = self
                    .random
                    .chance(300_000)
                    .then(|| NodeId::new(1 + u8::from(self.random.chance(500_000))));
                let what = What::Read { query, mode: ReadMode::Linearizable };
                return Ask { what, at, timeout: TIMEOUT };
            }
        };
        Ask { what: What::commands([command]), at: None, timeout: TIMEOUT }
    }
}

impl Seen {
    fn note_time(&mut self, ended: &Ended) {
        self.overtime = self.overtime.max(ended.took.saturating_sub(TIMEOUT));
    }
}

/// Crashes leaders and parts the network, again and again. Says how often.
fn break_things(cluster: &mut Cluster) -> u64 {
    let end = Instant::now() + LOAD;
    let mut random = Random::new(3);
    let mut faults = 0;
    while Instant::now() < end {
        let names = cluster.nodes();
        let leader = cluster.leader();
        match (random.below(4), leader) {
            (0 | 1, Some(leader)) => {
                let order = if random.chance(500_000) { NodeOrder::PowerCut } else { NodeOrder::Crash };
                // It may have ended by itself.
                let _ = cluster.order(leader, order);
            }
            (2, Some(leader)) => {
                let rest = names.iter().copied().filter(|name| *name != leader).collect();
                change(cluster, &NetChange::Partition(vec![vec![leader], rest]));
            }
            _ => {
                let alone = *random.pick(&names).expect("a cluster has nodes");
                change(cluster, &NetChange::Isolate(alone));
            }
        }
        faults += 1;
        let broken = random.duration(Duration::from_millis(200), Duration::from_millis(1_500));
        let_pass(cluster, broken);
        mend(cluster);
        let whole = random.duration(Duration::from_millis(200), Duration::from_millis(1_000));
        let_pass(cluster, whole);
    }
    faults
}

/// All nodes run and reach one another; messages are still lost.
fn mend(cluster: &mut Cluster) {
    change(cluster, &NetChange::Heal(LinkScope::All));
    for name in cluster.nodes() {
        if matches!(cluster.view(name).life, Life::Down(_)) {
            cluster.order(name, NodeOrder::Restart).expect("what it had is on its disk");
        }
    }
}

/// All nodes have applied the same log.
fn heal(cluster: &mut Cluster) {
    mend(cluster);
    change(cluster, &NetChange::Reset);
    let until = Instant::now() + PATIENCE;
    loop {
        let statuses: Vec<_> = cluster.nodes().into_iter().map(|name| cluster.view(name).status).collect();
        let same = statuses.iter().all(|status| {
            status.last == statuses[0].last && status.applied == status.last.index && status.leader.is_some()
        });
        if same {
            return;
        }
        assert!(Instant::now() < until, "the cluster does not heal: {statuses:?}");
        let soon = cluster.now() + Duration::from_millis(100);
        cluster.wait(soon);
    }
}

fn let_pass(cluster: &mut Cluster, span: Duration) {
    let until = cluster.now() + span;
    while cluster.now() < until {
        cluster.wait(until);
    }
}

fn change(cluster: &mut Cluster, change: &NetChange) {
    cluster.change_network(change).expect("the cluster can have it");
}

/// Holds what the clients were told against the state at the end, and against itself.
fn judge(seen: &mut Seen, state: &[(String, String)], now: Time) {
    let state: BTreeMap<&str, &str> =
        state.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    for operation in seen.history.iter().filter(|operation| operation.key.starts_with("own.")) {
        let Action::Create(value) = &operation.action else {
            panic!("own keys are created alone: {operation}")
        };
        let there = state.get(operation.key.as_str()).copied();
        match operation.outcome {
            history::Outcome::Changed => assert_eq!(there, Some(value.as_str()), "lost: {operation}"),
            history::Outcome::Refused => assert_eq!(there, None, "refused, and yet there: {operation}"),
            history::Outcome::Unknown => assert!(there.is_none_or(|there| there == value), "{operation}"),
            _ => panic!("done twice, for nobody else creates it: {operation}"),
        }
    }
    let shared = (0..SHARED_KEYS).map(|number| format!("shared{number}")).map(|key| {
        let value = state.get(key.as_str()).map(ToString::to_string);
        Operation::seen_at_the_end(key, value, now)
    });
    let history: Vec<Operation> = seen.history.iter().cloned().chain(shared).collect();
    let until = Instant::now() + PATIENCE;
    let verdict = linearizability::check(Start::Absent, &history, || Instant::now() < until);
    assert_eq!(verdict, Verdict::Linearizable);
}
