//! A simulation that follows a recording: its nodes take the steps that were recorded, in their order, and each is compared
//! with what came of it then.
//!
//! Chance, disks and the network have no part in it until it is forked: what arrives is in the recording.

mod difference;
mod flights;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use derive_more::Debug;

pub use self::difference::{Difference, ReplayReport};
use super::machine::Kind;
use super::node::Node;
use super::{Observer, Simulation, SimulationSettings};
use crate::check::safety::{Safety, Standing, answering};
use crate::faults::NetChange;
use crate::panics::caught;
use crate::protocol::{Address, Envelope};
use crate::raft::effects::{HardState, SnapshotTask, WriteId};
use crate::recording::form::{self, Arrived, Event, Frame, MachineMove, Made, Next, Step};
use crate::recording::reading::Playing;
use crate::recording::{Recording, RecordingError};
use crate::server::applier::{Applier, Done, Task};
use crate::server::shape::Shaper;
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, LeftOff, Outbox, Server};
use crate::state_machine::StateMachine;
use crate::state_machine::kv::KeyValue;
use crate::storage::simulated::SimulatedDisk;
use crate::storage::snapshots;
use crate::types::{Member, NodeId, Time};

/// Differences that are kept at most: what follows from the first is no news.
const DIFFERENCES_MAX: usize = 100;

/// How far a recording was followed, and what came of it.
#[derive(Debug)]
pub(super) struct Following {
    pub recording: Recording,
    playing: Playing,
    pub nodes: BTreeMap<NodeId, Followed>,
    differences: Vec<Difference>,
    steps: u64,
    /// Steps that no frame leads to.
    skipped: u64,
    /// What was sent and has not arrived.
    pub under_way: BTreeMap<(Address, Address, u64), Envelope>,
    sent: VecDeque<(Time, (Address, Address, u64))>,
    /// What is wrong with the files from here on.
    damage: Option<String>,
}

/// What is followed of a node beside its server.
#[derive(Debug, Default)]
pub(super) struct Followed {
    shaper: Shaper,
    steps: u64,
    /// What the state machine is to do on its own thread.
    pub tasks: VecDeque<Task>,
    /// The snapshot that is being received.
    parts: Vec<u8>,
    /// What of its term and vote is durable, and what is not yet.
    pub hard_state: HardState,
    writes: VecDeque<(WriteId, Option<HardState>)>,
    /// The run's time of its last step, and what its clock showed.
    pub clock: Option<(Time, Time)>,
    /// What it was when its life ended.
    #[debug(skip)]
    pub ended: Option<Box<Server>>,
}

impl Simulation {
    /// A cluster of key-value stores that follows a recording.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub fn following(recording: Recording, observer: Option<Observer>) -> Result<Simulation, RecordingError> {
        Simulation::following_with(recording, KeyValue::default, observer)
    }

    /// The same for a cluster of these state machines, which must be of the kind that was recorded.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub fn following_with<M: StateMachine>(
        recording: Recording,
        machine: impl Fn() -> M + 'static,
        observer: Option<Observer>,
    ) -> Result<Simulation, RecordingError> {
        Simulation::follow(recording, Kind::of(machine), observer)
    }

    pub(super) fn follow(
        recording: Recording,
        machine: Kind,
        observer: Option<Observer>,
    ) -> Result<Simulation, RecordingError> {
        let playing = recording.play()?;
        let disks = recording.nodes().into_iter().map(|name| (name, SimulatedDisk::new(&name.to_string())));
        let settings = SimulationSettings::new(1, 0);
        let mut simulation =
            Simulation { machine, observer, ..Simulation::on_disks(settings, disks.collect()) };
        if !recording.is_whole() {
            simulation.safety = Safety::of_records();
        }
        simulation.following = Some(Box::new(Following {
            recording,
            playing,
            nodes: BTreeMap::new(),
            differences: Vec::new(),
            steps: 0,
            skipped: 0,
            under_way: BTreeMap::new(),
            sent: VecDeque::new(),
            damage: None,
        }));
        Ok(simulation)
    }

    /// What the replay found so far; none of a simulation that follows no recording.
    pub fn replay_report(&self) -> Option<ReplayReport> {
        let following = self.following.as_ref()?;
        Some(ReplayReport {
            steps: following.steps,
            skipped: following.skipped,
            differences: following.differences.clone(),
            damage: following.damage.clone(),
        })
    }

    /// Lets the next thing of the recording happen.
    pub(super) fn follow_next(&mut self) {
        let Some(following) = &mut self.following else { return };
        let Following { playing, under_way, .. } = &mut **following;
        match playing.take(&|from, to, flight| is_under_way(under_way, from, to, flight)) {
            Ok(Some(Next::Frame(name, frame, image))) => self.follow_frame(name, *frame, &image),
            Ok(Some(Next::Event(name, Event::Step(step)))) => self.follow_step(name, *step),
            Ok(Some(Next::Event(name, Event::Ended { why, .. }))) => {
                if self.nodes.get(&name).is_some_and(Node::is_running) {
                    self.end_followed(name, why);
                }
            }
            Ok(Some(Next::Rules(rules))) => {
                // A rule of a node that has no file says nothing here.
                let _ = self.faults.apply(&NetChange::Replace(rules.all));
            }
            Ok(None) => {}
            Err(error) => following.damage = Some(error.to_string()),
        }
    }

    /// When the next thing of the recording happens; never at its end, and behind damage.
    pub(super) fn followed_until(&self) -> Option<Time> {
        let following = self.following.as_ref()?;
        let is_sent = |from, to, flight| is_under_way(&following.under_way, from, to, flight);
        let next = following.playing.next_at(&is_sent).filter(|_| following.damage.is_none());
        Some(next.map_or(Time::NEVER, |next| next.max(self.now)))
    }

    fn follow_frame(&mut self, name: NodeId, frame: Frame, image: &[u8]) {
        let started = frame.started.clone();
        let known = self.nodes[&name].server.as_ref().filter(|_| started.is_none() && frame.missed == 0);
        if let Some(server) = known
            && form::bytes_of(&server.frame_without_machine()) == form::bytes_of(&frame.server)
        {
            self.followed(name).shaper = Shaper::default();
            return;
        }
        if known.is_some() {
            self.differs(name, "all that the node is");
        }
        let image = match (self.machine.load)(&mut &*image) {
            Ok(image) => image,
            Err(problem) => {
                let damage = Some(format!("the state of {name} cannot be read: {problem}"));
                self.following.as_mut().expect("it follows").damage = damage;
                return;
            }
        };
        let bounds = self.settings.sessions;
        let server = Server::resume(frame.server, image, &|| (self.machine.blank)(bounds));
        let node = self.nodes.get_mut(&name).expect("added above");
        node.forget();
        node.down = None;
        node.status = server.status();
        node.store_id = server.raft().store_id();
        let standing = Standing::at_first(server.raft());
        if started.is_some() {
            self.safety.begin(&standing);
        } else {
            self.safety.begin_midway(&standing);
            // What it did before it was seen may explain them, and is in no recording.
            self.safety.forget_doubts();
        }
        let what = started.map(|(fresh, repaired)| server.started(fresh, &repaired));
        self.raft.now = server.raft().settings.clone();
        let hard_state = server.raft().hard_state();
        node.server = Some(server);
        node.told = None;
        let steps = self.followed(name).steps;
        *self.followed(name) = Followed { steps, hard_state, ..Followed::default() };
        let recording = &self.following.as_ref().expect("it follows").recording;
        if !recording.is_whole() {
            let has_server = |name: &NodeId| self.nodes.get(name).is_some_and(Node::is_running);
            let unseen = self.safety.members().into_iter().filter(|member| !has_server(member));
            self.safety.lose_sight(unseen.chain(recording.missing().iter().copied()).collect());
        }
        if let Some(what) = what {
            self.tell(name, what);
        }
        self.tell_state(name);
    }

    fn followed(&mut self, name: NodeId) -> &mut Followed {
        self.following.as_mut().expect("it follows").nodes.entry(name).or_default()
    }

    fn differs(&mut self, name: NodeId, field: &str) {
        let (time, following) = (self.now, self.following.as_mut().expect("it follows"));
        let step = following.nodes.get(&name).map_or(0, |followed| followed.steps);
        if following.differences.len() < DIFFERENCES_MAX {
            following.differences.push(Difference { node: name, step, time, field: field.to_string() });
        }
    }

    fn follow_step(&mut self, name: NodeId, step: Step) {
        let following = self.following.as_mut().expect("it follows");
        if !self.nodes.get(&name).is_some_and(Node::is_running) {
            following.skipped += 1;
            return;
        }
        following.steps += 1;
        let now = self.now;
        let Step { before, arrivals, after } = step;
        let followed = self.followed(name);
        followed.steps += 1;
        followed.clock = Some((now, before.now));
        if before.machine == MachineMove::Left {
            let node = self.node(name);
            node.applier = node.server.as_mut().and_then(Server::detach);
        }
        let arrivals: Option<Vec<Arrival>> =
            arrivals.into_iter().map(|arrived| self.arrived(name, arrived)).collect();
        let Some(mut arrivals) = arrivals else {
            self.node(name).forget();
            return;
        };
        if before.machine == MachineMove::Returned {
            let tasks = std::mem::take(&mut self.followed(name).tasks).into();
            let node = self.node(name);
            if let (Some(server), Some(applier)) = (&mut node.server, node.applier.take()) {
                server.attach(applier, tasks);
            }
        }
        let node = self.node(name);
        let server = node.server.as_mut().expect("it runs");
        let answering = answering(server.raft(), arrivals.iter().filter_map(Arrival::message));
        let left_off = match &after.result {
            Made::Step { left_off, .. } => left_off.clone(),
            Made::Panic(_) => LeftOff::default(),
        };
        let made = caught(|| server.handle_again(before.now, &mut arrivals, left_off));
        match (made, after.result) {
            (Ok(outbox), Made::Step { shape, .. }) => {
                let server = self.nodes[&name].server.as_ref().expect("it runs");
                let followed = self.following.as_mut().expect("it follows").nodes.entry(name).or_default();
                let own = followed.shaper.shape(server, &outbox);
                if let Some(field) = own.differs_in(&shape) {
                    self.differs(name, field);
                }
                let status = self.nodes[&name].server.as_ref().expect("it runs").status();
                self.node(name).status = status;
                self.take_over(name, before.now, &answering, outbox);
            }
            (Ok(_), Made::Panic(reason)) => {
                self.differs(name, &format!("that it panicked then ({reason}): it and this"));
            }
            (Err(reason), Made::Panic(recorded)) if reason == recorded => {}
            (Err(reason), _) => {
                self.differs(name, &format!("that it panics now ({reason}): this and what it did"));
            }
        }
    }

    /// What arrived, as it did; none when the replay has nothing that could have arrived.
    fn arrived(&mut self, name: NodeId, arrived: Arrived) -> Option<Arrival> {
        Some(match arrived {
            Arrived::Envelope { from, flight, packet } => {
                let envelope = Envelope::new(from, name.into(), packet).numbered(flight);
                self.note_arrival(name, &envelope);
                Arrival::Envelope(envelope)
            }
            Arrived::Persisted(id) => {
                self.followed(name).note_durable(id);
                Arrival::Persisted(id)
            }
            Arrived::Applied(count) => Arrival::Done(self.perform(name, Some(count))?),
            Arrived::Done => Arrival::Done(self.perform(name, None)?),
            Arrived::Looked => Arrival::Done(Done::Looked),
            Arrived::TakeSnapshot => Arrival::TakeSnapshot,
            Arrived::SnapshotSaved { last, bytes } => Arrival::SnapshotSaved { last, bytes },
            Arrived::SnapshotUnwritable { last, reason } => Arrival::SnapshotUnwritable { last, reason },
            Arrived::SnapshotInstalled { last, bytes, configured } => {
                let parts = std::mem::take(&mut self.followed(name).parts);
                match snapshots::image_in(&parts, last, self.machine.load) {
                    Ok(image) => Arrival::SnapshotInstalled { last, bytes, configured, image },
                    Err(problem) => {
                        self.differs(name, &format!("the parts of the snapshot up to {last} ({problem})"));
                        return None;
                    }
                }
            }
            Arrived::Snapshot(report) => Arrival::Snapshot(report),
            Arrived::Campaign => Arrival::Campaign,
            Arrived::Transfer(target) => Arrival::Transfer(target),
            Arrived::Change(request) => Arrival::Change(request),
            Arrived::SetElectionTimer(after) => Arrival::SetElectionTimer(after),
            Arrived::Configure(settings) => {
                self.raft.now = (*settings).clone();
                Arrival::Configure(settings)
            }
            Arrived::ClockJumped(by) => Arrival::ClockJumped(by),
        })
    }

    /// Lets the state machine on its own thread do its next task, or this many entries of it.
    fn perform(&mut self, name: NodeId, entries: Option<usize>) -> Option<Done> {
        let task = self.followed(name).tasks.pop_front();
        let (Some(task), Some(applier)) = (task, self.node(name).applier.as_mut()) else {
            self.differs(name, "the work of its state machine");
            return None;
        };
        let (done, rest) = perform_as_then(applier, task, entries);
        if let Some(rest) = rest {
            self.followed(name).tasks.push_front(rest);
        }
        Some(done)
    }

    /// What follows from a step, as far as it has not been recorded.
    fn take_over(&mut self, name: NodeId, local: Time, answering: &[Member], mut outbox: Outbox) {
        self.judge(name, local, answering, &mut outbox);
        self.note_sent(name, outbox.envelopes);
        let followed = self.followed(name);
        followed.writes.extend(outbox.write.map(|write| (write.id, write.hard_state)));
        // One that is durable at once does not arrive.
        if let Some(durable) = outbox.persisted {
            followed.note_durable(durable);
        }
        for work in outbox.snapshots {
            if let SnapshotWork::Task(SnapshotTask::Receive { offset, data, .. }) = work {
                let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(followed.parts.len());
                followed.parts.truncate(offset);
                followed.parts.extend_from_slice(&data);
            }
        }
        followed.tasks.extend(outbox.tasks);
        self.forget_lost();
    }
}

#[cfg(test)]
impl Simulation {
    pub(crate) fn server_mut(&mut self, name: NodeId) -> &mut Server {
        self.node(name).server.as_mut().expect("it runs")
    }
}

impl Followed {
    /// This write, and every earlier one, is durable.
    fn note_durable(&mut self, durable: WriteId) {
        while let Some((_, hard_state)) = self.writes.pop_front_if(|(id, _)| *id <= durable) {
            self.hard_state = hard_state.unwrap_or(self.hard_state);
        }
    }
}

fn is_under_way(
    under_way: &BTreeMap<(Address, Address, u64), Envelope>,
    from: NodeId,
    to: NodeId,
    flight: u64,
) -> bool {
    under_way.contains_key(&(from.into(), to.into(), flight))
}

/// Performs a task as far as it was performed then.
fn perform_as_then(applier: &mut Applier, task: Task, entries: Option<usize>) -> (Done, Option<Task>) {
    let left = Cell::new(entries.unwrap_or(usize::MAX));
    applier.perform(task, &|| {
        left.set(left.get().saturating_sub(1));
        left.get() == 0
    })
}
