//! What records: one part for each node's thread, and one that the nodes of a process share.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::form::{After, Arrived, Before, Event, Frame, Head, MachineMove, Made, Rules, Step, bytes_of_log};
use super::ring::Ring;
use super::writer::{self, Writer};
use crate::clock::Clock;
use crate::faults::NetChange;
use crate::lab::Recorded;
use crate::server::shape::Shaper;
use crate::server::{Arrival, EndReason, Outbox, Server};
use crate::types::{NodeId, Time};

/// A frame in the ring is made of a log and of a state that are no longer than this: a longer one takes too much time beside
/// heartbeats.
const FRAME_LENGTH_MAX: usize = 20_000;

/// Bytes of the rings of all nodes together.
const RINGS_BYTES: usize = 256 << 20;

/// Saved rings that are kept.
const SAVED_MAX: usize = 5;

/// Changes of the network's rules that are remembered at most.
const RULES_MAX: usize = 10_000;

/// What the nodes of a process record with. Copies are the same.
#[derive(Clone, Debug)]
pub struct FlightRecorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    order: AtomicU64,
    /// Where the rings are saved when something is wrong; none if nowhere.
    saved_to: Option<PathBuf>,
    /// A property was found broken before.
    is_broken: AtomicBool,
    /// Of a node's ring; none are kept with zero.
    ring_bytes: usize,
    rings: Mutex<BTreeMap<NodeId, Arc<Mutex<Ring>>>>,
    rules: Mutex<VecDeque<Rules>>,
    writer: Mutex<Option<Writer>>,
}

impl FlightRecorder {
    /// Keeps this many bytes of each node's newest steps; none with zero, unless a recording runs. They are saved in this folder
    /// when something is wrong.
    pub fn new(clock: Clock, ring_bytes: usize, saved_to: Option<PathBuf>) -> FlightRecorder {
        FlightRecorder(Arc::new(Shared {
            clock,
            order: AtomicU64::new(0),
            saved_to,
            is_broken: AtomicBool::new(false),
            ring_bytes,
            rings: Mutex::default(),
            rules: Mutex::default(),
            writer: Mutex::default(),
        }))
    }

    /// The number of the next step: later than that of each step whose messages have been sent.
    pub fn next_order(&self) -> u64 {
        self.0.order.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Steps have numbers of another clock, of which this is the latest.
    pub fn see_order(&self, order: u64) {
        self.0.order.fetch_max(order, Ordering::AcqRel);
    }

    /// The part of a node that starts, on an empty disk or not, after these repairs. The ring of its life before continues.
    pub fn of_node(&self, node: NodeId, fresh: bool, repaired: Vec<String>) -> StepRecorder {
        let writer = self.0.writer.lock();
        let mut rings = self.0.rings.lock();
        let ring = rings.entry(node).or_insert_with(|| {
            let mut ring = Ring::new(node, 0);
            if let Some(writer) = &*writer {
                ring.attach(writer.pieces());
            }
            Arc::new(Mutex::new(ring))
        });
        let ring = Arc::clone(ring);
        self.share_bytes(&rings);
        StepRecorder {
            shared: self.clone(),
            ring,
            shaper: Shaper::default(),
            machine: MachineMove::Stayed,
            begun: None,
            started: Some((fresh, repaired)),
        }
    }

    /// There is no such node any more.
    pub fn forget(&self, node: NodeId) {
        let mut rings = self.0.rings.lock();
        if let Some(ring) = rings.remove(&node) {
            ring.lock().detach();
            self.share_bytes(&rings);
        }
    }

    fn share_bytes(&self, rings: &BTreeMap<NodeId, Arc<Mutex<Ring>>>) {
        let each = self.0.ring_bytes.min(RINGS_BYTES / rings.len().max(1));
        for ring in rings.values() {
            ring.lock().set_bytes_max(each);
        }
    }

    /// The network has these rules from now on.
    pub fn note_rules(&self, all: Vec<NetChange>) {
        let (order, at) = (self.0.order.load(Ordering::Acquire), self.0.clock.now());
        let rules = Rules { order, at, all };
        if let Some(writer) = &*self.0.writer.lock() {
            writer.rules(&rules);
        }
        let mut known = self.0.rules.lock();
        known.push_back(rules);
        if known.len() > RULES_MAX {
            known.pop_front();
        }
    }

    /// Begins a recording in a folder, which must be empty or new. Each node's begins with its next step.
    ///
    /// # Errors
    /// A recording runs already, or the folder cannot be written: one line.
    pub fn begin(&self, folder: &Path, source: &str, bytes_max: u64) -> Result<(), String> {
        let mut running = self.0.writer.lock();
        if let Some(writer) = &*running {
            return Err(format!(
                "a recording runs: it is written to {}; 'record stop' ends it",
                writer.folder().display()
            ));
        }
        let rings = self.0.rings.lock();
        let head = self.head(source, rings.keys().copied().collect());
        let writer = Writer::start(folder, &head, bytes_max)
            .map_err(|error| format!("{} cannot be written: {error}", folder.display()))?;
        if let Some(rules) = self.0.rules.lock().back() {
            writer.rules(rules);
        }
        rings.values().for_each(|ring| ring.lock().attach(writer.pieces()));
        *running = Some(writer);
        Ok(())
    }

    /// Where a recording is written to, while one runs.
    pub fn folder(&self) -> Option<PathBuf> {
        self.0.writer.lock().as_ref().map(|writer| writer.folder().to_path_buf())
    }

    /// Ends the recording, if one runs: all of it is in the folder then.
    pub fn end(&self) -> Option<Recorded> {
        let writer = self.0.writer.lock().take()?;
        self.0.rings.lock().values().for_each(|ring| ring.lock().detach());
        Some(writer.finish())
    }

    fn head(&self, source: &str, nodes: Vec<NodeId>) -> Head {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let began = wall.saturating_sub(self.0.clock.now().since(Time::ZERO));
        Head {
            record: super::VERSION,
            program: env!("CARGO_PKG_VERSION").to_string(),
            source: source.to_string(),
            began: u64::try_from(began.as_nanos()).unwrap_or_default(),
            nodes,
        }
    }

    /// Whether a property was found broken, and was not before.
    pub fn is_first_break(&self, is_broken: bool) -> bool {
        is_broken && !self.0.is_broken.swap(true, Ordering::AcqRel)
    }

    /// Saves the rings, and says where; none if there is no place for them, or it cannot be written.
    pub fn save(&self, source: &str) -> Option<PathBuf> {
        let place = self.0.saved_to.as_ref()?;
        let folder = new_folder(place);
        match self.dump(&folder, source) {
            Ok(()) => {
                forget_oldest(place);
                Some(folder)
            }
            Err(error) => {
                log::warn!(target: "raftlab::record", "{} cannot be written: {error}", folder.display());
                None
            }
        }
    }

    /// Writes the rings to a new folder.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn dump(&self, folder: &Path, source: &str) -> io::Result<()> {
        let rings: Vec<(NodeId, Arc<Mutex<Ring>>)> =
            self.0.rings.lock().iter().map(|(node, ring)| (*node, Arc::clone(ring))).collect();
        let head = self.head(source, rings.iter().map(|(node, _)| *node).collect());
        writer::begin(folder, &head)?;
        for (node, ring) in rings {
            let pieces = ring.lock().pieces();
            let file = &mut writer::node_file(folder, node)?;
            pieces.iter().try_for_each(|piece| writer::write_piece(file, piece).map(drop))?;
            writer::write_end(file)?;
        }
        let file = &mut writer::rules_file(folder)?;
        self.0.rules.lock().iter().try_for_each(|rules| writer::write_rules(file, rules).map(drop))
    }
}

/// A folder that is not there yet, named by the time.
fn new_folder(place: &Path) -> PathBuf {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string().replace(':', "-");
    place.join(time)
}

/// Removes all saved rings but the newest ones. Their names are times.
fn forget_oldest(place: &Path) {
    let Ok(found) = place.read_dir() else { return };
    let mut saved: Vec<PathBuf> = found.flatten().map(|entry| entry.path()).collect();
    saved.sort();
    for old in saved.iter().rev().skip(SAVED_MAX) {
        // What cannot be removed stays.
        let _ = std::fs::remove_dir_all(old);
    }
}

/// What a node's thread records with.
#[derive(Debug)]
pub struct StepRecorder {
    shared: FlightRecorder,
    ring: Arc<Mutex<Ring>>,
    shaper: Shaper,
    machine: MachineMove,
    /// The step in progress, if it is recorded.
    begun: Option<StepBegin>,
    /// How this life began, until a frame says it: what the ring holds does not lead here.
    started: Option<(bool, Vec<String>)>,
}

/// What goes into a step.
#[derive(Debug)]
struct StepBegin {
    before: Before,
    arrivals: SmallVec<[Arrived; 1]>,
    /// Bytes of what the arrivals carry.
    carried: usize,
}

impl StepRecorder {
    /// The state machine moved to or from a thread of its own.
    pub fn note_machine(&mut self, machine: MachineMove) {
        self.machine = machine;
    }

    /// A step begins at this time of the run, with this shown by the node's clock.
    pub fn begin(&mut self, at: Time, now: Time, server: &Server, arrivals: &[Arrival]) {
        self.begun = None;
        let mut ring = self.ring.lock();
        if !ring.is_on() {
            // A frame that comes later is not the first of this life.
            self.started = None;
            return ring.miss();
        }
        // A recording takes a frame of any length, where there is no way around it.
        let of_any_length = ring.begins() || self.started.is_some() && ring.is_recorded();
        if (self.started.is_some() || ring.wants_frame(at))
            && (of_any_length || is_short(server, ring.frame_bytes_max()))
        {
            drop(ring);
            self.put_frame(at, server, arrivals);
            ring = self.ring.lock();
        }
        if self.started.is_some() || !ring.has_frame() {
            self.machine = MachineMove::Stayed;
            return ring.miss();
        }
        drop(ring);
        let machine = std::mem::take(&mut self.machine);
        self.begun = Some(StepBegin {
            before: Before { at, now, machine },
            arrivals: arrivals.iter().map(Arrived::of).collect(),
            carried: arrivals.iter().map(Arrival::weight).sum(),
        });
    }

    fn put_frame(&mut self, at: Time, server: &Server, arrivals: &[Arrival]) {
        let Some((server, image)) = server.frame(arrivals) else { return };
        let order = self.shared.0.order.load(Ordering::Acquire);
        let frame = Frame { at, order, missed: 0, started: self.started.take(), server };
        self.ring.lock().push_frame(frame, Arc::from(image));
        self.shaper = Shaper::default();
        self.machine = MachineMove::Stayed;
    }

    /// The step that began was made, with this number.
    pub fn end(&mut self, order: u64, server: &Server, outbox: &Outbox) {
        let Some(begun) = self.begun.take() else { return };
        let shape = self.shaper.shape(server, outbox);
        let after = After { order, result: Made::Step { left_off: server.left_off(), shape } };
        begun.end(after, &mut self.ring.lock());
    }

    /// The life has ended. A step that began was not made if it panicked.
    pub fn ended(&mut self, at: Time, why: &EndReason) {
        let mut ring = self.ring.lock();
        if let (Some(begun), EndReason::Panicked(reason)) = (self.begun.take(), why) {
            begun.end(
                After { order: self.shared.next_order(), result: Made::Panic(reason.clone()) },
                &mut ring,
            );
        }
        let order = self.shared.next_order();
        ring.push(at, Event::Ended { order, at, why: why.clone() }, 0);
    }
}

impl StepBegin {
    fn end(self, after: After, ring: &mut Ring) {
        let StepBegin { before, arrivals, carried } = self;
        ring.push(before.at, Event::Step(Box::new(Step { before, arrivals, after })), carried);
    }
}

/// Whether a frame of this server takes little time, and no more bytes than these.
fn is_short(server: &Server, bytes_max: usize) -> bool {
    let log = server.raft().log();
    let length = log.last().index.0 - log.base().index.0;
    length <= FRAME_LENGTH_MAX as u64 && server.size() <= FRAME_LENGTH_MAX && bytes_of_log(log) <= bytes_max
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::applier::Done;
    use crate::sim::{Simulation, SimulationSettings};

    /// The state machine is back then, and has applied more than the server was told.
    #[test]
    fn no_frame_is_made_while_results_of_the_state_machine_arrive() {
        let mut simulation = Simulation::new(SimulationSettings::new(1, 1), None);
        let node = NodeId::new(1);
        let server = simulation.server_mut(node);
        let recorder = FlightRecorder::new(Clock::start(), 1 << 20, None);
        let mut steps = recorder.of_node(node, true, Vec::new());
        steps.begin(Time::ZERO, Time::ZERO, server, &[Arrival::Done(Done::Looked)]);
        assert!(!steps.ring.lock().has_frame());
        steps.begin(Time::ZERO, Time::ZERO, server, &[Arrival::Campaign]);
        assert!(steps.ring.lock().has_frame());
    }
}
