//! Virtual time: a whole cluster on one thread, driven by a seed.
//!
//! It runs the same servers, stores and fault rules as on threads, but time jumps from event to event: a run takes no longer
//! than its work, and the same seed gives the same run, byte for byte. Nothing here may read a clock, or draw random numbers
//! from anything but the seed.

mod copying;
pub mod mutation;
mod following;
mod forking;
mod lab;
mod lives;
mod machine;
pub mod museum;
mod network;
mod node;
mod nodes;
mod rewinding;
pub mod seeds;
mod settings;
mod stepping;
pub mod tally;
mod under_way;
pub mod cluster;
pub mod workload;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::check::replay::Replay;
use crate::check::safety::Safety;
use crate::client::{Ask, CallId, ClientCore, Ended};
use crate::faults::{Faults, NetChange, NetError};
use crate::lab::LabSettings;
use crate::net::counts::Counts;
use crate::protocol::Envelope;
use crate::raft::membership::Configured;
use crate::server::{Arrival, EndReason};
use crate::state_machine::kv::KeyValue;
use crate::storage::Founders;
use crate::storage::simulated::SimulatedDisk;
use crate::trace::{TraceEvent, What};
use crate::types::{ClientId, NodeId, Random, Time};

pub use settings::SimulationSettings;

pub use following::{Difference, ReplayReport};

use following::Following;
use forking::Origin;
use lives::Begin;
use machine::Kind;
use mutation::Mutation;
use node::{Lane, Node};
use rewinding::{Again, Happened};
use tally::Tally;

/// How many steps the search for an order of a history may take.
const SEARCH_STEPS: u64 = 200_000;

/// Called for each event, as it happens.
pub type Observer = Arc<dyn Fn(&TraceEvent) + Send + Sync>;

/// Waits for this much of real time.
pub type Pace = Box<dyn FnMut(Duration)>;

pub struct Simulation {
    settings: SimulationSettings,
    machine: Kind,
    now: Time,
    random: Random,
    queue: BTreeMap<(Time, u64), Happening>,
    scheduled: u64,
    founders: Founders,
    /// The nodes that there are now.
    nodes: BTreeMap<NodeId, Node>,
    /// Those that were removed: their disks outlive them.
    removed: BTreeMap<NodeId, Node>,
    clients: BTreeMap<ClientId, ClientCore>,
    faults: Faults,
    counts: Counts,
    /// The core's settings as they change.
    raft: LabSettings,
    safety: Safety,
    /// The newest configuration that a node has known to be committed.
    members: Configured,
    /// What the snapshots must hold; none when the run did not see all that they cover.
    replay: Option<Replay>,
    tally: Tally,
    broken_at: Option<Time>,
    observer: Option<Observer>,
    /// It is told what a node is after each step, too.
    follows: bool,
    mutation: Option<Box<dyn Mutation>>,
    digest: u64,
    happened: Happened,
    /// The recording that it follows.
    following: Option<Box<Following>>,
    /// The recording that it was forked from.
    forked: Option<Origin>,
    /// It is made again, as it was before.
    again: Option<Again>,
    speed: Option<f64>,
    pace: Option<Pace>,
    interrupt: Option<Box<dyn Fn() -> bool>>,
}

/// Something that will happen at a known time.
#[derive(Clone, Debug)]
enum Happening {
    Arrives {
        envelope: Envelope,
        /// A rule held it back on its way.
        held_back: bool,
    },
    /// A node's disk has finished its writes, if the node still lives this life.
    Written { node: NodeId, life: u64 },
    /// A work beside the log is done, if the node still lives this life.
    Worked { node: NodeId, life: u64, lane: Lane },
    /// A node's thread runs, if the node still lives this life.
    Wakes { node: NodeId, life: u64 },
}

impl Simulation {
    /// A cluster of key-value stores whose nodes have just started for the first time.
    pub fn new(settings: SimulationSettings, observer: Option<Observer>) -> Simulation {
        Simulation::of(Kind::of(KeyValue::default), settings, observer)
    }

    fn of(machine: Kind, settings: SimulationSettings, observer: Option<Observer>) -> Simulation {
        let disks = NodeId::first(settings.nodes).into_iter();
        let disks = disks.map(|name| (name, SimulatedDisk::new(&name.to_string()))).collect();
        let mut simulation = Simulation { machine, observer, ..Simulation::on_disks(settings, disks) };
        let (blank, bounds) = (simulation.machine.blank.clone(), simulation.settings.sessions);
        simulation.replay = Some(Replay::new(move || blank(bounds)));
        for name in NodeId::first(simulation.settings.nodes) {
            simulation.start(name, Begin::Again).expect("an empty disk is no obstacle");
        }
        simulation
    }

    /// A cluster of key-value stores on these disks, whose nodes are not started yet.
    pub fn on_disks(settings: SimulationSettings, disks: BTreeMap<NodeId, SimulatedDisk>) -> Simulation {
        let mut random = Random::new(settings.seed);
        let names: Vec<NodeId> = disks.keys().copied().collect();
        Simulation {
            machine: Kind::of(KeyValue::default),
            now: Time::ZERO,
            queue: BTreeMap::new(),
            scheduled: 0,
            nodes: disks.into_iter().map(|(name, disk)| (name, Node::new(name, disk))).collect(),
            removed: BTreeMap::new(),
            clients: BTreeMap::new(),
            faults: Faults::new(&names, random.fork()),
            counts: Counts::default(),
            members: Configured::founders(names.iter().copied()),
            founders: Founders { nodes: names, preferred: settings.preferred },
            safety: Safety::default(),
            replay: None,
            tally: Tally::default(),
            broken_at: None,
            observer: None,
            follows: false,
            mutation: None,
            digest: settings.seed,
            happened: Happened::default(),
            following: None,
            forked: None,
            again: None,
            speed: None,
            pace: None,
            interrupt: None,
            random: random.fork(),
            raft: LabSettings::new(settings.raft.clone()),
            settings,
        }
    }

    /// Puts a broken rule into every node, to see which check notices.
    pub fn break_rule(&mut self, mutation: Box<dyn Mutation>) {
        self.mutation = Some(mutation);
    }

    /// A node's disk, to look at or to damage.
    pub fn disk_of(&mut self, name: NodeId) -> SimulatedDisk {
        self.node(name).disk.clone()
    }

    /// Tells this observer of every event from now on.
    pub fn set_observer(&mut self, observer: Option<Observer>) {
        self.observer = observer;
    }

    pub fn now(&self) -> Time {
        self.now
    }

    /// Moves time by a nanosecond, so that a call now begins after all that have ended: at the same time they would count as
    /// concurrent, and the history would say nothing about their order.
    fn come_after(&mut self) {
        self.now = self.now + Duration::from_nanos(1);
    }

    pub fn safety(&self) -> &Safety {
        &self.safety
    }

    /// How often each kind of thing has happened.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// When a property was first broken; none if all held so far.
    pub fn broken_at(&self) -> Option<Time> {
        self.broken_at
    }

    /// A number that two runs share only if they were the same at every step.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    pub fn next_event(&self) -> Time {
        if let Some(next) = self.followed_until() {
            return next;
        }
        let queued = self.queue.keys().next().map_or(Time::NEVER, |(time, _)| *time);
        let nodes = self.nodes.values().map(Node::deadline).min().unwrap_or(Time::NEVER);
        let clients = self.clients.values().map(ClientCore::deadline).min().unwrap_or(Time::NEVER);
        queued.min(nodes).min(clients).max(self.now)
    }

    /// Lets the next event happen, if it is not after `until`. Otherwise time moves there, and this is false.
    pub fn advance(&mut self, until: Time) -> bool {
        let next = self.next_event();
        if next > until {
            self.now = self.now.max(until);
            return false;
        }
        self.now = next;
        self.happened.note(next);
        self.one_happens(next);
        if self.broken_at.is_none() && !self.safety.violations().is_empty() {
            self.broken_at = Some(self.now);
        }
        true
    }

    fn one_happens(&mut self, next: Time) {
        if self.following.is_some() {
            self.follow_next();
        } else if let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= next
        {
            let happening = entry.remove();
            self.happen(happening);
        } else if let Some(name) =
            self.nodes.values().find(|node| node.deadline() <= next).map(|node| node.name)
        {
            self.step_node(name, Vec::new());
        } else if let Some((&id, client)) =
            self.clients.iter_mut().find(|(_, client)| client.deadline() <= next)
        {
            client.tick(next);
            self.carry_from_client(id);
        }
    }

    /// Lets all events up to this time happen.
    pub fn run_until(&mut self, until: Time) {
        while self.advance(until) {}
    }

    pub fn change(&mut self, change: &NetChange) -> Result<String, NetError> {
        self.faults.apply(change)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives { envelope, held_back } => {
                if held_back {
                    self.counts.released(envelope.from, envelope.to);
                }
                self.arrive(envelope);
            }
            Happening::Written { node: name, life } => {
                let mutation = self.mutation.as_deref();
                if let Some(node) = living(&mut self.nodes, name, life) {
                    match node.written(mutation) {
                        Ok(Some(id)) => {
                            let stale = node.stale();
                            for lane in node.take_in_work(stale, Vec::new()) {
                                self.schedule_work(name, lane);
                            }
                            self.deliver(name, Arrival::Persisted(id));
                            self.use_disk(name);
                        }
                        Ok(None) => {}
                        Err(error) => self.end(name, EndReason::StorageFailed(error.to_string())),
                    }
                }
            }
            Happening::Worked { node: name, life, lane } => {
                let part_bytes = self.settings.raft.snapshot_part_bytes;
                if let Some(node) = living(&mut self.nodes, name, life) {
                    match node.work(lane, part_bytes, self.machine.load) {
                        Ok((arrival, more)) => {
                            if more {
                                self.schedule_work(name, lane);
                            }
                            if let Some(arrival) = arrival {
                                self.deliver(name, arrival);
                            }
                        }
                        Err(error) => self.end(name, EndReason::StorageFailed(error.to_string())),
                    }
                }
            }
            Happening::Wakes { node: name, life } => {
                if living(&mut self.nodes, name, life).is_some() {
                    self.step_node(name, Vec::new());
                }
            }
        }
    }

    fn schedule(&mut self, after: Duration, happening: Happening) {
        self.scheduled += 1;
        self.queue.insert((self.now + after, self.scheduled), happening);
    }

    pub fn add_client(&mut self, id: ClientId) {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let core = ClientCore::new(id, nodes, self.settings.client, self.random.fork());
        self.clients.insert(id, core);
    }

    pub fn call(&mut self, id: ClientId, ask: Ask) -> CallId {
        let now = self.now;
        let client = self.clients.get_mut(&id).expect("a client that was added");
        let call_id = client.ask(now, ask);
        self.carry_from_client(id);
        call_id
    }

    /// The calls of a client that have ended since the last call of this.
    pub fn take_ended(&mut self, id: ClientId) -> Vec<Ended> {
        self.clients.get_mut(&id).expect("a client that was added").take_ended()
    }

    /// Lets a node's clock run at this rate, in parts of a million of the true one.
    pub fn set_clock_rate(&mut self, name: NodeId, rate: u64) {
        self.node(name).clock_rate = rate;
    }

    fn node(&mut self, name: NodeId) -> &mut Node {
        self.nodes.get_mut(&name).expect("a node of this cluster")
    }

    /// Tells the observer of something that happened at a node.
    fn tell(&self, node: NodeId, what: What) {
        if let Some(observer) = &self.observer {
            observer(&TraceEvent { time: self.now, node, what });
        }
    }
}

/// The node, if it runs and still lives this life.
fn living(nodes: &mut BTreeMap<NodeId, Node>, name: NodeId, life: u64) -> Option<&mut Node> {
    nodes.get_mut(&name).filter(|node| node.life == life && node.is_running())
}
