//! The bytes of a recording: frames, steps, and how lives begin and end.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::time::Duration;

use crate::config::RaftSettings;
use crate::faults::NetChange;
use crate::payload::Payload;
use crate::protocol::{Address, Call, Envelope, Packet};
use crate::raft::effects::{ChangeRequest, SnapshotReport, WriteId};
use crate::raft::membership::Configured;
use crate::raft::message::Body;
use crate::server::applier::Done;
use crate::server::frame::{self, command_of};
use crate::server::shape::Shape;
use crate::server::{Arrival, EndReason, LeftOff};
use crate::types::{EntryId, NodeId, Time};

/// What a folder's head says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The version of the form.
    pub record: u32,
    /// The version of the program.
    pub program: String,
    /// `threads` or `processes`.
    pub source: String,
    /// When the run's time was zero, by the machine's clock: nanoseconds since 1970.
    pub began: u64,
    pub nodes: Vec<NodeId>,
}

/// The rules of the network from a time on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rules {
    /// The number of the step that comes next.
    pub order: u64,
    pub at: Time,
    #[serde(rename = "rules")]
    pub all: Vec<NetChange>,
}

/// A piece of a node's file begins with one of these bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PieceKind {
    Frame = 1,
    Image = 2,
    Steps = 3,
    /// All that was recorded of the node is before it.
    End = 4,
}

/// The server of a node between two steps.
#[derive(Debug, Serialize, Deserialize)]
pub struct Frame<F = frame::Frame> {
    pub at: Time,
    /// The number of the step that comes next, or less.
    pub order: u64,
    /// Steps before it that were not recorded.
    pub missed: u64,
    /// If it is the first of a life: whether the disk was empty, and what was repaired there.
    pub started: Option<(bool, Vec<String>)>,
    /// What the commands of the log weigh.
    pub weights: Vec<usize>,
    pub server: F,
}

/// What a file holds beside frames.
#[derive(Debug)]
pub enum Event {
    Step(Box<Step>),
    Ended { order: u64, at: Time, why: EndReason },
}

/// What went into a step, and what came of it.
#[derive(Debug)]
pub struct Step {
    pub before: Before,
    pub arrivals: Vec<Arrived>,
    pub after: After,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Before {
    /// The run's time.
    pub at: Time,
    /// What the node's clock showed.
    pub now: Time,
    pub machine: MachineMove,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct After {
    pub order: u64,
    pub result: Made,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Made {
    Step {
        left_off: LeftOff,
        shape: Shape,
    },
    /// It panicked.
    Panic(String),
}

/// What became of the state machine since the step before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum MachineMove {
    #[default]
    Stayed,
    /// It moved to a thread of its own.
    Left,
    /// It came back, with the tasks that it was not given.
    Returned,
}

/// What weighs in limits, in the order in which it stands in a message.
type Weights = SmallVec<[u32; 8]>;

/// An [`Arrival`], as far as it was decided outside. What a state machine on a thread of its own answers, it answers again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Arrived<P = Packet> {
    Envelope {
        from: Address,
        flight: u64,
        packet: P,
        weights: Weights,
    },
    Persisted(WriteId),
    /// This many entries of a task were applied.
    Applied(usize),
    /// Another task was done.
    Done,
    Looked,
    TakeSnapshot,
    SnapshotSaved {
        last: EntryId,
        bytes: u64,
    },
    SnapshotUnwritable {
        last: EntryId,
        reason: String,
    },
    /// Its image is in the parts that were received.
    SnapshotInstalled {
        last: EntryId,
        bytes: u64,
        configured: Configured,
    },
    Snapshot(SnapshotReport),
    Campaign,
    Transfer(Option<NodeId>),
    Change(ChangeRequest),
    SetElectionTimer(Duration),
    Configure(Box<RaftSettings>),
    ClockJumped(Duration),
}

const STEP: u8 = 1;
const ENDED: u8 = 2;

impl<'a> Arrived<&'a Packet> {
    pub fn of(arrival: &'a Arrival) -> Arrived<&'a Packet> {
        match arrival {
            Arrival::Envelope(envelope) => Arrived::Envelope {
                from: envelope.from,
                flight: envelope.flight(),
                packet: &envelope.packet,
                weights: commands(&envelope.packet).map(weight).collect(),
            },
            Arrival::Persisted(id) => Arrived::Persisted(*id),
            Arrival::Done(Done::Applied(entries, _)) => Arrived::Applied(entries.len()),
            Arrival::Done(Done::Looked) => Arrived::Looked,
            Arrival::Done(_) => Arrived::Done,
            Arrival::TakeSnapshot => Arrived::TakeSnapshot,
            Arrival::SnapshotSaved { last, bytes } => Arrived::SnapshotSaved { last: *last, bytes: *bytes },
            Arrival::SnapshotUnwritable { last, reason } => {
                Arrived::SnapshotUnwritable { last: *last, reason: reason.clone() }
            }
            Arrival::SnapshotInstalled { last, bytes, configured, .. } => {
                Arrived::SnapshotInstalled { last: *last, bytes: *bytes, configured: configured.clone() }
            }
            Arrival::Snapshot(report) => Arrived::Snapshot(report.clone()),
            Arrival::Campaign => Arrived::Campaign,
            Arrival::Transfer(target) => Arrived::Transfer(*target),
            Arrival::Change(request) => Arrived::Change(*request),
            Arrival::SetElectionTimer(after) => Arrived::SetElectionTimer(*after),
            Arrival::Configure(settings) => Arrived::Configure(settings.clone()),
            Arrival::ClockJumped(by) => Arrived::ClockJumped(*by),
        }
    }
}

/// An envelope that arrives again, with its commands as heavy as they were.
pub fn envelope(to: NodeId, from: Address, flight: u64, mut packet: Packet, weights: &[u32]) -> Envelope {
    for (command, weight) in commands_mut(&mut packet).into_iter().zip(weights) {
        *command = command.weighing(usize::try_from(*weight).expect("32 bits are no more than a size"));
    }
    Envelope::new(from, to.into(), packet).numbered(flight)
}

fn weight(payload: &Payload) -> u32 {
    u32::try_from(payload.weight()).unwrap_or(u32::MAX)
}

fn commands(packet: &Packet) -> Box<dyn Iterator<Item = &Payload> + '_> {
    match packet {
        Packet::Raft(message) => match &message.body {
            Body::AppendEntries { entries, .. } if !entries.is_empty() => {
                Box::new(entries.iter().filter_map(|entry| command_of(&entry.content)))
            }
            _ => Box::new(std::iter::empty()),
        },
        Packet::Request(request) => match &request.call {
            Call::Command { command, .. } => Box::new(std::iter::once(command)),
            _ => Box::new(std::iter::empty()),
        },
        Packet::Reply(_) | Packet::ConnectionLost => Box::new(std::iter::empty()),
    }
}

fn commands_mut(packet: &mut Packet) -> Vec<&mut Payload> {
    match packet {
        Packet::Raft(message) => match &mut message.body {
            Body::AppendEntries { entries, .. } => {
                entries.iter_mut().filter_map(|entry| frame::command_of_mut(&mut entry.content)).collect()
            }
            _ => Vec::new(),
        },
        Packet::Request(request) => match &mut request.call {
            Call::Command { command, .. } => vec![command],
            _ => Vec::new(),
        },
        Packet::Reply(_) | Packet::ConnectionLost => Vec::new(),
    }
}

impl Frame {
    pub fn of(at: Time, order: u64, missed: u64, server: frame::Frame) -> Frame {
        Frame {
            at,
            order,
            missed,
            started: None,
            weights: server.commands().map(Payload::weight).collect(),
            server,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![PieceKind::Frame as u8];
        put(&mut bytes, self);
        bytes
    }

    /// Reads a frame back.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn read(bytes: &[u8]) -> Result<Frame, String> {
        let mut rest = bytes;
        let mut frame: Frame = take(&mut rest)?;
        let weights = std::mem::take(&mut frame.weights);
        for (command, weight) in frame.server.commands_mut().zip(&weights) {
            *command = command.weighing(*weight);
        }
        frame.weights = weights;
        Ok(frame)
    }
}

/// A server's bytes, to be compared.
pub fn bytes_of(server: &frame::Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, server);
    bytes
}

/// Appends what goes into a step.
pub fn put_before(bytes: &mut Vec<u8>, before: Before, arrivals: &[Arrival]) {
    bytes.push(STEP);
    put(bytes, &before);
    put(bytes, &arrivals.len());
    for arrival in arrivals {
        put(bytes, &Arrived::of(arrival));
    }
}

/// Appends what came of it.
pub fn put_after(bytes: &mut Vec<u8>, after: &After) {
    put(bytes, after);
}

pub fn put_ended(bytes: &mut Vec<u8>, order: u64, at: Time, why: &EndReason) {
    bytes.push(ENDED);
    put(bytes, &(order, at, why));
}

/// Takes the next event off the bytes of a piece; none behind the last.
///
/// # Errors
/// What is wrong with the bytes.
pub fn next_event(bytes: &mut &[u8]) -> Result<Option<Event>, String> {
    let Some((kind, rest)) = bytes.split_first() else { return Ok(None) };
    *bytes = rest;
    Ok(Some(match *kind {
        STEP => {
            let before = take(bytes)?;
            let count: usize = take(bytes)?;
            let arrivals = (0..count).map(|_| take(bytes)).collect::<Result<_, _>>()?;
            Event::Step(Box::new(Step { before, arrivals, after: take(bytes)? }))
        }
        ENDED => {
            let (order, at, why) = take(bytes)?;
            Event::Ended { order, at, why }
        }
        other => return Err(format!("an event of kind {other}, which no recording has")),
    }))
}

impl Event {
    /// Its number among the events of all nodes, and the time of the run.
    pub fn place(&self) -> (u64, Time) {
        match self {
            Event::Ended { order, at, .. } => (*order, *at),
            Event::Step(step) => (step.after.order, step.before.at),
        }
    }
}

fn put<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    postcard::to_io(value, bytes).expect("memory takes it, and its lists have lengths");
}

fn take<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, String> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
    *bytes = rest;
    Ok(value)
}
