//! Virtual time: a whole cluster on one thread, driven by a seed.
//!
//! The same servers, stores and fault rules as on threads, but time jumps from event to event: a run takes no longer
//! than its work, and the same seed gives the same run, byte for byte. Nothing here may read a clock or draw from
//! anything but the seed.

pub mod exhibit;
mod lab;
pub mod museum;
mod node;
pub mod seeds;
pub mod tally;
pub mod workload;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::check::property::Property;
use crate::check::replay::Replay;
use crate::check::safety::{Safety, Step};
use crate::client::Ask;
use crate::client::{CallId, ClientCore, ClientSettings, Ended};
use crate::config::RaftSettings;
use crate::net::change::{NetChange, NetError};
use crate::net::counts::Counts;
use crate::net::faults::{DropReason, Fate, Faults};
use crate::net::packet::{Address, Envelope, Packet, Reply, Response};
use crate::raft::message::Message;
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, Outbox};
use crate::storage::simulated::SimulatedDisk;
use crate::trace::{TraceEvent, What};
use crate::types::{ClientId, NodeId, Random, Term, Time};

use exhibit::Exhibit;
use node::{End, Lane, Node};
use tally::Tally;

/// How many steps the search for an order of a history may take.
const SEARCH_STEPS: u64 = 200_000;

/// Who is told of everything that happens, as it happens.
pub type Observer = Arc<dyn Fn(&TraceEvent) + Send + Sync>;

/// Lets this much of the clock's time pass.
pub type Pace = Box<dyn FnMut(Duration)>;

/// What a simulated cluster is made of.
#[derive(Clone, Debug)]
pub struct SimulationSettings {
    /// How many nodes.
    pub nodes: u8,
    /// What decides everything.
    pub seed: u64,
    /// The core's settings.
    pub raft: RaftSettings,
    /// What each message takes at least on its way.
    pub link_delay: Duration,
    /// What it may take beyond that; above zero, messages overtake one another.
    pub link_jitter: Duration,
    /// How late a node's thread may be: what arrives meanwhile makes one step. Zero wakes it for each arrival.
    pub lateness: Duration,
    /// What a write takes until it is durable.
    pub disk_delay: Duration,
    /// What a state machine takes for what it is given at once. Above zero it works on a thread of its own.
    pub machine_delay: Duration,
    /// The shortest and longest pause of a client before it tries again.
    pub client: ClientSettings,
}

impl SimulationSettings {
    /// A cluster of this size with constant delays: messages take 1 ms, writes 1 ms.
    pub fn new(nodes: u8, seed: u64) -> SimulationSettings {
        SimulationSettings {
            nodes,
            seed,
            raft: RaftSettings::default(),
            link_delay: Duration::from_millis(1),
            link_jitter: Duration::ZERO,
            disk_delay: Duration::from_millis(1),
            machine_delay: Duration::ZERO,
            lateness: Duration::ZERO,
            client: ClientSettings::default(),
        }
    }
}

/// A cluster in virtual time.
pub struct Simulation {
    settings: SimulationSettings,
    now: Time,
    random: Random,
    queue: BTreeMap<(Time, u64), Happening>,
    scheduled: u64,
    nodes: BTreeMap<NodeId, Node>,
    clients: BTreeMap<ClientId, ClientCore>,
    faults: Faults,
    counts: Counts,
    safety: Safety,
    /// What the snapshots must hold.
    replay: Replay,
    tally: Tally,
    /// When a property was first broken.
    broken_at: Option<Time>,
    observer: Option<Observer>,
    exhibit: Option<Box<dyn Exhibit>>,
    digest: u64,
    speed: Option<f64>,
    pace: Option<Pace>,
    interrupt: Option<Box<dyn Fn() -> bool>>,
}

/// Something that will happen at a known time.
#[derive(Debug)]
enum Happening {
    /// An envelope reaches its destination.
    Arrives {
        envelope: Envelope,
        /// A rule held it back on its way.
        held_back: bool,
    },
    /// The disk of a node's this life has finished what it was given.
    Written { node: NodeId, life: u64 },
    /// Something that a node's this life does beside its log is done.
    Worked { node: NodeId, life: u64, lane: Lane },
    /// A node's thread gets its turn, in this life.
    Wakes { node: NodeId, life: u64 },
}

impl Simulation {
    /// A cluster whose nodes have just started for the first time.
    pub fn new(settings: SimulationSettings, observer: Option<Observer>) -> Simulation {
        let mut random = Random::new(settings.seed);
        let names = NodeId::first(settings.nodes);
        let mut simulation = Simulation {
            now: Time::ZERO,
            queue: BTreeMap::new(),
            scheduled: 0,
            nodes: names.iter().map(|&name| (name, Node::new(name))).collect(),
            clients: BTreeMap::new(),
            faults: Faults::new(&names, random.fork()),
            counts: Counts::new(&names),
            safety: Safety::default(),
            replay: Replay::default(),
            tally: Tally::default(),
            broken_at: None,
            observer,
            exhibit: None,
            digest: settings.seed,
            speed: None,
            pace: None,
            interrupt: None,
            random: random.fork(),
            settings,
        };
        for name in names {
            simulation.start(name, false).expect("an empty disk is no obstacle");
        }
        simulation
    }

    /// Puts a broken rule into every node, to see who notices.
    pub fn break_rule(&mut self, exhibit: Box<dyn Exhibit>) {
        self.exhibit = Some(exhibit);
    }

    /// A node's disk, to look at or to damage.
    pub fn disk_of(&mut self, name: NodeId) -> SimulatedDisk {
        self.node(name).disk.clone()
    }

    /// Tells this one of everything that happens from now on.
    pub fn set_observer(&mut self, observer: Option<Observer>) {
        self.observer = observer;
    }

    /// The time of the run.
    pub fn now(&self) -> Time {
        self.now
    }

    /// A moment later. What is called now comes after all that has ended: at one time the two would count as concurrent,
    /// and a history would hold the later one to nothing.
    fn come_after(&mut self) {
        self.now = self.now + Duration::from_nanos(1);
    }

    /// What the checks have seen.
    pub fn safety(&self) -> &Safety {
        &self.safety
    }

    /// What kinds of things have happened.
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

    /// When the next thing happens.
    pub fn next_event(&self) -> Time {
        let queued = self.queue.keys().next().map_or(Time::NEVER, |(time, _)| *time);
        let nodes = self.nodes.values().map(Node::deadline).min().unwrap_or(Time::NEVER);
        let clients = self.clients.values().map(ClientCore::deadline).min().unwrap_or(Time::NEVER);
        queued.min(nodes).min(clients).max(self.now)
    }

    /// Lets the next thing happen, if it does not lie beyond `until`; otherwise time moves there. False then.
    pub fn advance(&mut self, until: Time) -> bool {
        let next = self.next_event();
        if next > until {
            self.now = self.now.max(until);
            return false;
        }
        self.now = next;
        self.one_happens(next);
        if self.broken_at.is_none() && !self.safety.violations().is_empty() {
            self.broken_at = Some(self.now);
        }
        true
    }

    fn one_happens(&mut self, next: Time) {
        if let Some(entry) = self.queue.first_entry()
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

    /// Lets everything happen up to this time.
    pub fn run_until(&mut self, until: Time) {
        while self.advance(until) {}
    }

    /// Changes the network's rules.
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
                let exhibit = self.exhibit.as_deref();
                let node = self.nodes.get_mut(&name).expect("a node of this cluster");
                if node.life == life && node.is_running() {
                    match node.written(exhibit) {
                        Ok(Some(id)) => {
                            self.deliver(name, Arrival::Persisted(id));
                            self.use_disk(name);
                        }
                        Ok(None) => {}
                        Err(error) => self.end(name, End::StorageFailed(error.to_string())),
                    }
                }
            }
            Happening::Worked { node: name, life, lane } => {
                let part_bytes = self.settings.raft.snapshot_part_bytes;
                let node = self.nodes.get_mut(&name).expect("a node of this cluster");
                if node.life == life && node.is_running() {
                    match node.work(lane, part_bytes) {
                        Ok((arrival, more)) => {
                            if more {
                                self.schedule_work(name, lane);
                            }
                            if let Some(arrival) = arrival {
                                self.deliver(name, arrival);
                            }
                        }
                        Err(error) => self.end(name, End::StorageFailed(error.to_string())),
                    }
                }
            }
            Happening::Wakes { node: name, life } => {
                if self.nodes[&name].life == life {
                    self.step_node(name, Vec::new());
                }
            }
        }
    }

    fn arrive(&mut self, envelope: Envelope) {
        match envelope.to {
            Address::Client(id) => {
                let now = self.now;
                let Some(client) = self.clients.get_mut(&id) else {
                    return self.counts.dropped(std::slice::from_ref(&envelope));
                };
                self.counts.delivered(std::slice::from_ref(&envelope));
                client.receive(now, envelope);
                self.carry_from_client(id);
            }
            Address::Node(name) if self.nodes[&name].is_running() => {
                self.counts.delivered(std::slice::from_ref(&envelope));
                self.deliver(name, Arrival::Envelope(envelope));
            }
            Address::Node(_) => {
                self.counts.dropped(std::slice::from_ref(&envelope));
                self.refuse(&envelope);
                self.note_drop(envelope, DropReason::Down);
            }
        }
    }

    /// Nobody listens there: a client is told at once, as a connection would be refused.
    fn refuse(&mut self, envelope: &Envelope) {
        if let Packet::Request(request) = &envelope.packet {
            let reply = Reply { attempt: request.attempt, term: Term(0), response: Response::Unreachable };
            let back = Envelope { from: envelope.to, to: envelope.from, packet: Packet::Reply(reply) };
            self.counts.sent(std::slice::from_ref(&back));
            self.schedule(self.settings.link_delay, Happening::Arrives { envelope: back, held_back: false });
        }
    }

    /// Puts something into a running node's inbox. Its thread comes to it at once, or late, as the settings say.
    fn deliver(&mut self, name: NodeId, arrival: Arrival) {
        if self.settings.lateness.is_zero() {
            return self.step_node(name, vec![arrival]);
        }
        let node = self.node(name);
        let (first, life) = (node.inbox.is_empty(), node.life);
        node.inbox.push(arrival);
        if first {
            let after = self.random.duration(Duration::ZERO, self.settings.lateness);
            self.schedule(after, Happening::Wakes { node: name, life });
        }
    }

    /// One step of a node, with everything that follows from it.
    fn step_node(&mut self, name: NodeId, mut arrivals: Vec<Arrival>) {
        let now = self.now;
        let node = self.nodes.get_mut(&name).expect("a node of this cluster");
        node.inbox.append(&mut arrivals);
        if node.paused {
            return;
        }
        let arrivals = std::mem::take(&mut node.inbox);
        for arrival in &arrivals {
            if let Arrival::Envelope(Envelope { from: Address::Client(client), packet, .. }) = arrival
                && let Some(observer) = &self.observer
                && let Packet::Request(request) = packet
            {
                observer(&TraceEvent {
                    time: now,
                    node: name,
                    what: What::RequestReceived { client: *client, call: request.call.clone() },
                });
            }
        }
        let exhibit = self.exhibit.as_deref_mut();
        match node.step(now, arrivals, exhibit) {
            Ok(Some(outbox)) => self.carry_out(name, outbox),
            Ok(None) => {}
            Err(reason) => {
                self.safety.report(Property::NodeInvariants, format!("{name} stopped itself: {reason}"));
                self.end(name, End::Panicked(reason));
            }
        }
    }

    fn carry_out(&mut self, name: NodeId, outbox: Outbox) {
        let node = &self.nodes[&name];
        let server = node.server.as_ref().expect("it has just made a step");
        let step = Step {
            raft: server.raft(),
            persisted: outbox.persisted,
            write: outbox.write.as_ref(),
            adopted: &outbox.adopted,
            applied: &outbox.applied,
        };
        self.safety.observe(&step, outbox.envelopes.iter().filter_map(raft_message));
        for applied in &outbox.applied {
            if applied.entry.index == self.replay.next() {
                let entry = server.raft().log().get(applied.entry.index);
                self.replay.note_applied(entry.expect("what was just applied is in the log"));
            }
        }
        for work in &outbox.snapshots {
            if let SnapshotWork::Save { last, image } = work {
                self.safety.snapshot_compared(name, self.replay.compare(*last, &**image));
            }
        }
        self.tally.note(server.raft(), &outbox);
        let raft = server.raft();
        for part in [
            self.now.as_nanos(),
            u64::from(name.number()),
            raft.current_term().0,
            raft.commit_index().0,
            raft.log().last().index.0,
            outbox.envelopes.len() as u64,
            outbox.events.len() as u64,
        ] {
            self.digest = (self.digest ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        if self.observer.is_some() {
            let first_last = outbox.applied.first().zip(outbox.applied.last());
            let events = outbox.events.into_iter().map(What::Raft);
            let applied = first_last
                .map(|(first, last)| What::Applied { first: first.entry.index, last: last.entry.index });
            let saved = outbox.saved.map(|(last, bytes)| What::SnapshotCreated { last, bytes });
            for what in events.chain(applied).chain(saved) {
                self.tell(name, what);
            }
        }
        for envelope in outbox.envelopes {
            self.send(envelope);
        }
        if let Some(write) = outbox.write {
            let node = self.nodes.get_mut(&name).expect("a node of this cluster");
            node.writes.push_back(write);
        }
        let node = self.nodes.get_mut(&name).expect("a node of this cluster");
        for lane in node.take_in_work(outbox.snapshots, outbox.tasks) {
            self.schedule_work(name, lane);
        }
        self.use_disk(name);
    }

    /// Lets a node do what waits in one of its lanes.
    fn schedule_work(&mut self, name: NodeId, lane: Lane) {
        let (disk, machine) = (self.settings.disk_delay, self.settings.machine_delay);
        let node = &self.nodes[&name];
        let after = node.done_at(lane, self.now, disk, machine).since(self.now);
        self.schedule(after, Happening::Worked { node: name, life: node.life, lane });
    }

    /// Gives the disk what waits for it, if it is free.
    fn use_disk(&mut self, name: NodeId) {
        let (now, delay) = (self.now, self.settings.disk_delay);
        let exhibit = self.exhibit.as_deref();
        let node = self.nodes.get_mut(&name).expect("a node of this cluster");
        match node.begin_writing(now, delay, exhibit) {
            Ok(Some((at, life))) => self.schedule(at.since(now), Happening::Written { node: name, life }),
            Ok(None) => {}
            Err(error) => self.end(name, End::StorageFailed(error.to_string())),
        }
    }

    /// Puts an envelope on its way, as the network's rules decide.
    fn send(&mut self, envelope: Envelope) {
        let (from, to) = (envelope.from, envelope.to);
        self.counts.sent(std::slice::from_ref(&envelope));
        let fate = self.faults.decide(from, to);
        self.tell_message(&envelope, &fate);
        match fate {
            Fate::Dropped(_) => self.counts.dropped(std::slice::from_ref(&envelope)),
            Fate::Delivered { delay, duplicate } => {
                if let Some(later) = duplicate {
                    self.counts.duplicated(from, to);
                    self.put_on_its_way(envelope.clone(), later);
                }
                self.put_on_its_way(envelope, delay);
            }
        }
    }

    fn put_on_its_way(&mut self, envelope: Envelope, delay: Duration) {
        let held_back = delay > Duration::ZERO;
        if held_back {
            self.counts.held_back(envelope.from, envelope.to);
        }
        let jitter = self.random.duration(Duration::ZERO, self.settings.link_jitter);
        let after = self.settings.link_delay + jitter + delay;
        self.schedule(after, Happening::Arrives { envelope, held_back });
    }

    fn schedule(&mut self, after: Duration, happening: Happening) {
        self.scheduled += 1;
        self.queue.insert((self.now + after, self.scheduled), happening);
    }

    /// Adds a client.
    pub fn add_client(&mut self, id: ClientId) {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let core = ClientCore::new(id, nodes, self.settings.client, self.random.fork());
        self.clients.insert(id, core);
    }

    /// Makes a client call.
    pub fn call(&mut self, id: ClientId, ask: Ask) -> CallId {
        let now = self.now;
        let client = self.clients.get_mut(&id).expect("a client that was added");
        let call_id = client.ask(now, ask);
        self.carry_from_client(id);
        call_id
    }

    /// The calls of a client that have ended since the last question.
    pub fn take_ended(&mut self, id: ClientId) -> Vec<Ended> {
        self.clients.get_mut(&id).expect("a client that was added").take_ended()
    }

    /// Lets a node's clock run at this rate, in parts of a million of the true one.
    pub fn set_clock_rate(&mut self, name: NodeId, rate: u64) {
        self.node(name).clock_rate = rate;
    }

    fn carry_from_client(&mut self, id: ClientId) {
        let outgoing = self.clients.get_mut(&id).map(ClientCore::take_outgoing).unwrap_or_default();
        for envelope in outgoing {
            self.send(envelope);
        }
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

    fn tell_message(&self, envelope: &Envelope, fate: &Fate) {
        let Some(message) = raft_message(envelope) else { return };
        if self.observer.is_none() {
            return;
        }
        let copy = || message.clone();
        match *fate {
            Fate::Dropped(reason) => {
                self.tell(message.from, What::MessageDropped { message: copy(), reason });
            }
            Fate::Delivered { delay, duplicate } => {
                self.tell(message.from, What::MessageSent(copy()));
                if delay > Duration::ZERO {
                    self.tell(message.from, What::MessageDelayed { message: copy(), delay });
                }
                if duplicate.is_some() {
                    self.tell(message.from, What::MessageDuplicated(copy()));
                }
            }
        }
    }

    fn note_drop(&self, envelope: Envelope, reason: DropReason) {
        if let Packet::Raft(message) = envelope.packet {
            self.tell(message.from, What::MessageDropped { message, reason });
        }
    }
}

fn raft_message(envelope: &Envelope) -> Option<&Message> {
    match &envelope.packet {
        Packet::Raft(message) => Some(message),
        Packet::Request(_) | Packet::Reply(_) => None,
    }
}
