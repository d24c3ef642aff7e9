//! The crate `openraft` on a Tokio runtime of a worker a core: its log, its state machine, and calls between its nodes.
//!
//! Each command in flight is a task that awaits `client_write`, or a part of a group that `client_write_many` takes.
//! Entries share their command, so none is copied on its way to another node or to the map. AppendEntries goes through
//! the crate's own stream, which keeps several under way.

mod network;
mod store;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use openraft::{Config, EmptyNode, Raft, ServerState, SnapshotPolicy};
use tokio::runtime::Builder;

use self::network::Network;
use self::store::{Machine, Store};
use crate::driver::{Figure, PATIENCE, Plan, Puts, Tally, Times};
use crate::map::{self, Map, Put};

const NODES: u64 = 3;

openraft::declare_raft_types!(
    /// What is replicated.
    pub Types:
        D = Command,
        R = (),
        NodeId = u64,
        Node = EmptyNode,
        AsyncRuntime = openraft_rt_tokio::TokioRuntime,
);

/// A command that all nodes share.
#[derive(Clone, Debug)]
pub struct Command(pub Arc<Put>);

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "put {} {}", self.0.key, self.0.value)
    }
}

/// A running node.
pub type Node = Raft<Types, Machine>;

/// All nodes, known when all are made.
pub type Nodes = Arc<OnceLock<Vec<Node>>>;

/// How a client asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asking {
    /// Each command in flight by itself.
    OneByOne,
    /// What it has in flight in four groups, each replaced when all of it has been answered.
    InGroups,
}

/// Groups that a client has in flight.
const GROUPS: usize = 4;

/// Runs the plan on a cluster of its own.
pub fn run(plan: &Plan, asking: Asking) -> Result<Figure, String> {
    // More workers than cores only take turns.
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_time().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let nodes = start().await?;
        let tallies = drive(plan, asking, &nodes[0]).await?;
        let (answered, figure) = Tally::sum(plan, &tallies);
        let maps = maps(&nodes, answered).await?;
        for node in &nodes {
            node.shutdown().await.map_err(|error| error.to_string())?;
        }
        map::agree(answered, &maps)?;
        Ok(figure)
    })
}

async fn start() -> Result<Vec<Node>, String> {
    let config = Config {
        heartbeat_interval: 50,
        election_timeout_min: 300,
        election_timeout_max: 600,
        max_payload_entries: 4_096,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(50_000),
        max_in_snapshot_log_to_keep: 5_000,
        purge_batch_size: 1_024,
        replication_lag_threshold: 1_000_000,
        ..Config::default()
    };
    let config = Arc::new(config.validate().map_err(|error| error.to_string())?);
    let known = Nodes::default();
    let mut nodes = Vec::new();
    for id in 1..=NODES {
        let network = Network::new(Arc::clone(&known));
        let node = Raft::new(id, Arc::clone(&config), network, Store::default(), Machine::default()).await;
        nodes.push(node.map_err(|error| error.to_string())?);
    }
    known.set(nodes.clone()).map_err(|_| "the nodes are told once")?;
    let members: BTreeSet<u64> = (1..=NODES).collect();
    nodes[0].initialize(members).await.map_err(|error| error.to_string())?;
    let leads = nodes[0].wait(Some(PATIENCE)).state(ServerState::Leader, "the first node leads").await;
    leads.map_err(|error| error.to_string())?;
    Ok(nodes)
}

/// The load: a task for each command or group in flight; those of a client share what they note.
async fn drive(plan: &Plan, asking: Asking, leader: &Node) -> Result<Vec<Tally>, String> {
    let times = Times::of(plan);
    let (mut tallies, mut tasks) = (Vec::new(), Vec::new());
    let size = if asking == Asking::InGroups { plan.window.div_ceil(GROUPS) } else { 1 };
    let mut number = 0;
    for _ in 0..plan.clients {
        let tally = Arc::new(Mutex::new(Tally::new(times)));
        for _ in 0..plan.window / size {
            number += 1;
            let puts = Puts::new(number, plan.value_bytes);
            let (leader, tally) = (leader.clone(), Arc::clone(&tally));
            tasks.push(match asking {
                Asking::OneByOne => tokio::spawn(write(leader, puts, tally, times)),
                Asking::InGroups => tokio::spawn(write_groups(leader, puts, size, tally, times)),
            });
        }
        tallies.push(tally);
    }
    // One limit for all of them: what hangs holds up the next rounds no longer than that.
    let limit = tokio::time::Instant::now() + plan.span + plan.span / 10 + PATIENCE;
    for task in tasks {
        let ended = tokio::time::timeout_at(limit, task).await;
        ended.map_err(|_| "a command was not answered")?.map_err(|error| error.to_string())??;
    }
    let alone = |tally: Arc<Mutex<Tally>>| {
        let tally = Arc::into_inner(tally).expect("its tasks have ended");
        tally.into_inner().unwrap_or_else(PoisonError::into_inner)
    };
    Ok(tallies.into_iter().map(alone).collect())
}

async fn write(leader: Node, mut puts: Puts, tally: Arc<Mutex<Tally>>, times: Times) -> Result<(), String> {
    loop {
        let sent = Instant::now();
        if times.are_over(sent) {
            return Ok(());
        }
        let command = Command(Arc::new(puts.draw()));
        leader.client_write(command).await.map_err(|error| error.to_string())?;
        tally.lock().unwrap_or_else(PoisonError::into_inner).note(sent, Instant::now());
    }
}

async fn write_groups(
    leader: Node,
    mut puts: Puts,
    size: usize,
    tally: Arc<Mutex<Tally>>,
    times: Times,
) -> Result<(), String> {
    loop {
        let sent = Instant::now();
        if times.are_over(sent) {
            return Ok(());
        }
        let commands: Vec<Command> = (0..size).map(|_| Command(Arc::new(puts.draw()))).collect();
        let mut answers = leader.client_write_many(commands).await.map_err(|error| error.to_string())?;
        let mut answered = 0;
        while let Some(answer) = answers.try_next().await.map_err(|error| error.to_string())? {
            answer.map_err(|error| error.to_string())?;
            tally.lock().unwrap_or_else(PoisonError::into_inner).note(sent, Instant::now());
            answered += 1;
        }
        if answered < size {
            return Err(format!("{answered} of a group of {size} were answered"));
        }
    }
}

/// What each node holds once all have applied so many commands.
async fn maps(nodes: &[Node], answered: u64) -> Result<Vec<Map>, String> {
    let until = Instant::now() + PATIENCE;
    let mut maps = Vec::new();
    for node in nodes {
        loop {
            let map = node.with_state_machine(|machine| Box::pin(async move { machine.map().clone() })).await;
            let map = map.map_err(|error| error.to_string())?;
            if map.applied() >= answered || Instant::now() > until {
                maps.push(map);
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(maps)
}
