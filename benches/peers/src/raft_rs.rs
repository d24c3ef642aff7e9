//! The crate `raft`: a thread a node, crossbeam channels between them, and what an embedding program has to add.
//!
//! A node waits for its inbox or its next tick, takes in all that waits up to a bound, and then handles what is ready
//! until nothing is. All commands that came together are proposed as one message, so that one message to each follower
//! carries them. A leader's messages leave before its own log is written, as the crate allows.
//!
//! The first node is made the leader at the start. Commands of clients are answered in the order in which it proposed
//! them, which holds only as long as it leads: a run in which the leader changes is refused.

mod log;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use raft::StateRole;
use raft::prelude::{Config, Entry, Message, MessageType, RawNode};

use self::log::Log;
use crate::driver::{self, Client, Figure, PATIENCE, Plan, Tally};
use crate::map::{self, Map, Put};

const NODES: u64 = 3;
const LEADER: u64 = 1;
/// Election timeouts are 30 to 60 of these, heartbeats 5 apart.
const TICK: Duration = Duration::from_millis(10);
/// Groups that are taken in before what is ready is handled.
const GROUPS_MAX: usize = 1_024;
/// Bytes of entries in one message, about.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// Messages with entries under way to a follower.
const IN_FLIGHT_MAX: usize = 256;
/// Applied entries that stay in a log so that a slow follower finds them, and how many more make a trim worthwhile.
const TRAILING: u64 = 5_000;
const TRIMMED_AT_ONCE: u64 = 10_000;

/// What comes to a node.
enum Input {
    Messages(Vec<Message>),
    Commands(Commands),
    /// The node ends and hands out its map.
    Stop,
}

/// Of one client, encoded, in order.
struct Commands {
    client: usize,
    commands: Vec<Vec<u8>>,
}

/// One node, on its thread.
struct Node {
    raw: RawNode<Log>,
    inbox: Receiver<Input>,
    /// To each node, by its number less one.
    others: Vec<Sender<Input>>,
    outboxes: Vec<Vec<Message>>,
    map: Map,
    applied: Arc<AtomicU64>,
    /// The clients whose commands this leader has proposed and not applied yet.
    proposed: VecDeque<usize>,
    /// To each client the number of its commands that were answered.
    answers: Vec<Sender<usize>>,
    answered: Vec<usize>,
    /// Told once, when the node leads and has applied its first entry.
    leads: Option<Sender<()>>,
}

/// A client, on a thread of its own.
struct Caller {
    number: usize,
    leader: Sender<Input>,
    answers: Receiver<usize>,
}

/// The running nodes.
struct Running {
    inboxes: Vec<Sender<Input>>,
    applied: Vec<Arc<AtomicU64>>,
    threads: Vec<JoinHandle<Result<Map, String>>>,
}

/// Runs the plan on a cluster of its own.
pub fn run(plan: &Plan) -> Result<Figure, String> {
    let (answers, callers): (Vec<_>, Vec<_>) = (0..plan.clients).map(|_| unbounded()).unzip();
    let (running, leads) = start(&answers)?;
    leads.recv_timeout(PATIENCE).map_err(|_| "nobody leads")?;
    let leader = &running.inboxes[0];
    let caller = |(number, answers)| Caller { number, leader: leader.clone(), answers };
    let tallies = driver::drive(plan, callers.into_iter().enumerate().map(caller).collect());
    let tallies = tallies.map_err(|reason| running.trouble(&reason))?;
    let (answered, figure) = Tally::sum(plan, &tallies);
    let maps = running.stop(answered)?;
    map::agree(answered, &maps)?;
    Ok(figure)
}

fn start(answers: &[Sender<usize>]) -> Result<(Running, Receiver<()>), String> {
    let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..NODES).map(|_| unbounded()).unzip();
    let (leads, first) = bounded(1);
    let mut running = Running { inboxes, applied: Vec::new(), threads: Vec::new() };
    for (number, inbox) in (1..).zip(receivers) {
        let applied = Arc::new(AtomicU64::new(0));
        running.applied.push(Arc::clone(&applied));
        let others = running.inboxes.clone();
        let (answers, leads) = (answers.to_vec(), leads.clone());
        let work = move || {
            let answered = vec![0; answers.len()];
            let outboxes = others.iter().map(|_| Vec::new()).collect();
            let mut node = Node {
                raw: raw_node(number)?,
                inbox,
                others,
                outboxes,
                map: Map::default(),
                applied,
                proposed: VecDeque::new(),
                answers,
                answered,
                leads: Some(leads),
            };
            node.work()?;
            Ok(node.map)
        };
        let thread = thread::Builder::new().name(format!("raft-rs-{number}")).spawn(work);
        running.threads.push(thread.map_err(|error| error.to_string())?);
    }
    Ok((running, first))
}

fn raw_node(id: u64) -> Result<RawNode<Log>, String> {
    let config = Config {
        id,
        election_tick: 30,
        heartbeat_tick: 5,
        max_size_per_msg: MESSAGE_BYTES_MAX,
        max_inflight_msgs: IN_FLIGHT_MAX,
        check_quorum: true,
        pre_vote: true,
        batch_append: true,
        ..Config::default()
    };
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    RawNode::new(&config, Log::new((1..=NODES).collect()), &logger).map_err(|error| error.to_string())
}

impl Running {
    /// Waits until all have applied so many commands, ends them, and hands out what they hold.
    fn stop(self, answered: u64) -> Result<Vec<Map>, String> {
        let until = Instant::now() + PATIENCE;
        let all = || self.applied.iter().all(|applied| applied.load(Ordering::Acquire) >= answered);
        while !all() && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(1));
        }
        self.inboxes.iter().for_each(|inbox| drop(inbox.send(Input::Stop)));
        let join =
            |thread: JoinHandle<_>| thread.join().unwrap_or_else(|_| Err("a node panicked".to_string()));
        self.threads.into_iter().map(join).collect()
    }

    /// What the nodes say of it, if a client was not answered.
    fn trouble(&self, reason: &str) -> String {
        let applied: Vec<u64> = self.applied.iter().map(|applied| applied.load(Ordering::Acquire)).collect();
        self.inboxes.iter().for_each(|inbox| drop(inbox.send(Input::Stop)));
        format!("{reason}; the nodes have applied {applied:?}")
    }
}

impl Node {
    fn work(&mut self) -> Result<(), String> {
        if self.raw.raft.id == LEADER {
            self.raw.campaign().map_err(|error| error.to_string())?;
        }
        let mut tick = Instant::now() + TICK;
        loop {
            self.handle_ready()?;
            let first = match self.inbox.recv_deadline(tick) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let waiting = first.into_iter().chain(self.inbox.try_iter()).take(GROUPS_MAX);
            let mut entries = Vec::new();
            for input in waiting {
                match input {
                    Input::Messages(messages) => {
                        for message in messages {
                            self.raw.step(message).map_err(|error| error.to_string())?;
                        }
                    }
                    Input::Commands(Commands { client, commands }) => {
                        self.proposed.extend(std::iter::repeat_n(client, commands.len()));
                        let entry = |command: Vec<u8>| Entry { data: command.into(), ..Entry::default() };
                        entries.extend(commands.into_iter().map(entry));
                    }
                    Input::Stop => return Ok(()),
                }
            }
            self.propose(entries)?;
            while Instant::now() >= tick {
                self.raw.tick();
                tick += TICK;
            }
        }
    }

    fn propose(&mut self, entries: Vec<Entry>) -> Result<(), String> {
        if entries.is_empty() {
            return Ok(());
        }
        if self.raw.raft.state != StateRole::Leader {
            return Err("the leader changed".to_string());
        }
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.raw.raft.id;
        message.set_entries(entries.into());
        self.raw.step(message).map_err(|error| error.to_string())
    }

    fn handle_ready(&mut self) -> Result<(), String> {
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            self.send(ready.take_messages());
            let log = self.raw.mut_store();
            log.append(ready.take_entries());
            if let Some(hard_state) = ready.hs() {
                log.set_hard_state(hard_state.clone());
            }
            self.send(ready.take_persisted_messages());
            self.apply(&ready.take_committed_entries())?;
            let mut light = self.raw.advance(ready);
            if let Some(commit) = light.commit_index() {
                self.raw.mut_store().set_commit(commit);
            }
            self.send(light.take_messages());
            self.apply(&light.take_committed_entries())?;
            self.raw.advance_apply();
            self.answer();
        }
        self.trim();
        Ok(())
    }

    /// Each node's messages as one group.
    fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            let to = usize::try_from(message.to).expect("one of three") - 1;
            self.outboxes[to].push(message);
        }
        for (outbox, to) in self.outboxes.iter_mut().zip(&self.others) {
            if !outbox.is_empty() {
                // A node that has ended needs no message.
                let _ = to.send(Input::Messages(std::mem::take(outbox)));
            }
        }
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<(), String> {
        let leads = self.raw.raft.state == StateRole::Leader;
        for entry in entries {
            if entry.data.is_empty() {
                // A new leader's own entry.
                if let Some(told) = self.leads.take_if(|_| leads) {
                    let _ = told.send(());
                }
                continue;
            }
            let (key, value) = decode(&entry.data).ok_or("an entry holds no command")?;
            self.map.put(key, value);
            if leads {
                let client = self.proposed.pop_front().ok_or("the leader changed")?;
                self.answered[client] += 1;
            }
        }
        if !entries.is_empty() {
            self.applied.store(self.map.applied(), Ordering::Release);
        }
        Ok(())
    }

    fn answer(&mut self) {
        for (answered, client) in self.answered.iter_mut().zip(&self.answers) {
            if *answered > 0 {
                // A client that has failed waits for nothing.
                let _ = client.send(std::mem::take(answered));
            }
        }
    }

    /// Forgets entries that all nodes have, as far as this one knows.
    fn trim(&mut self) {
        let mut spare = self.raw.raft.raft_log.applied;
        if self.raw.raft.state == StateRole::Leader {
            let matched = self.raw.raft.prs().iter().map(|(_, progress)| progress.matched);
            spare = spare.min(matched.min().unwrap_or(0));
        }
        let keep_from = spare.saturating_sub(TRAILING);
        let log = self.raw.mut_store();
        if keep_from > log.first() + TRIMMED_AT_ONCE {
            log.trim(keep_from);
        }
    }
}

impl Client for Caller {
    fn send(&mut self, puts: Vec<Put>) -> Result<(), String> {
        let commands = Commands { client: self.number, commands: puts.iter().map(encode).collect() };
        self.leader.send(Input::Commands(commands)).map_err(|_| "the leader has ended".to_string())
    }

    fn wait(&mut self) -> Result<usize, String> {
        let first = self.answers.recv_timeout(PATIENCE).map_err(|_| "a command was not answered")?;
        Ok(first + self.answers.try_iter().sum::<usize>())
    }
}

/// The key's length, the key, the value.
fn encode(put: &Put) -> Vec<u8> {
    let Put { key, value } = put;
    let mut bytes = Vec::with_capacity(1 + key.len() + value.len());
    bytes.push(u8::try_from(key.len()).expect("keys are short"));
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}
