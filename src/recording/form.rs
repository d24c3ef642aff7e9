//! The bytes of a recording: frames, steps, and how lives begin and end.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::time::Duration;

use crate::binary::put;
use crate::config::RaftSettings;
use crate::faults::NetChange;
use crate::payload::Payload;
use crate::protocol::{Address, Call, Packet};
use crate::raft::effects::{ChangeRequest, SnapshotReport, WriteId};
use crate::raft::log::Log;
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
#[derive(Debug)]
pub struct Frame {
    pub at: Time,
    /// The number of the step that comes next, or less.
    pub order: u64,
    /// Steps before it that were not recorded.
    pub missed: u64,
    /// If it is the first of a life: whether the disk was empty, and what was repaired there.
    pub started: Option<(bool, Vec<String>)>,
    pub server: frame::Frame,
}

/// What a file holds beside frames.
#[derive(Debug)]
pub enum Event {
    Step(Box<Step>),
    Ended { order: u64, at: Time, why: EndReason },
}

/// The next thing of a recording.
#[derive(Debug)]
pub enum Next {
    /// A node's server as it was; the image of its state machine follows as text.
    Frame(NodeId, Box<Frame>, Vec<u8>),
    Event(NodeId, Event),
    Rules(Rules),
}

/// What went into a step, and what came of it.
#[derive(Debug)]
pub struct Step {
    pub before: Before,
    /// Most steps take in one.
    pub arrivals: SmallVec<[Arrived; 1]>,
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

/// An [`Arrival`], as far as it was decided outside. What a state machine on a thread of its own answers, it answers again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Arrived {
    Envelope {
        from: Address,
        flight: u64,
        packet: Packet,
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

impl Arrived {
    /// It shares commands and data with the arrival, and makes no text of them.
    pub fn of(arrival: &Arrival) -> Arrived {
        match arrival {
            Arrival::Envelope(envelope) => Arrived::Envelope {
                from: envelope.from,
                flight: envelope.flight(),
                packet: envelope.packet.clone(),
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
            Arrival::Change(request) => Arrived::Change(request.clone()),
            Arrival::SetElectionTimer(after) => Arrived::SetElectionTimer(*after),
            Arrival::Configure(settings) => Arrived::Configure(settings.clone()),
            Arrival::ClockJumped(by) => Arrived::ClockJumped(*by),
        }
    }

    fn commands(&self) -> Box<dyn Iterator<Item = &Payload> + '_> {
        match self {
            Arrived::Envelope { packet, .. } => commands(packet),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn commands_mut(&mut self) -> Vec<&mut Payload> {
        match self {
            Arrived::Envelope { packet, .. } => commands_mut(packet),
            _ => Vec::new(),
        }
    }
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
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![PieceKind::Frame as u8];
        let weights: Vec<usize> = self.server.commands().map(Payload::weight).collect();
        put(&mut bytes, &(self.at, self.order, self.missed, &self.started, weights, &self.server));
        bytes
    }

    /// Reads a frame back.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn read(mut bytes: &[u8]) -> Result<Frame, String> {
        type Form = (Time, u64, u64, Option<(bool, Vec<String>)>, Vec<usize>, frame::Frame);
        let (at, order, missed, started, weights, mut server): Form = take(&mut bytes)?;
        for (command, weight) in server.commands_mut().zip(weights) {
            *command = command.weighing(weight);
        }
        Ok(Frame { at, order, missed, started, server })
    }
}

/// About the bytes of memory that a log keeps alive.
pub fn bytes_of_log(log: &Log) -> usize {
    log.weight(log.base().index.next(), log.last().index)
}

/// A server's bytes, to be compared.
pub fn bytes_of(server: &frame::Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, server);
    bytes
}

/// Appends an event's bytes.
pub fn put_event(bytes: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Step(step) => {
            bytes.push(STEP);
            let weights = step.arrivals.iter().flat_map(Arrived::commands).map(Payload::weight);
            let weights: Vec<usize> = weights.collect();
            put(bytes, &(step.before, &step.arrivals, weights, &step.after));
        }
        Event::Ended { order, at, why } => {
            bytes.push(ENDED);
            put(bytes, &(order, at, why));
        }
    }
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
            let (before, mut arrivals, weights, after): (_, SmallVec<_>, Vec<usize>, _) = take(bytes)?;
            let commands = arrivals.iter_mut().flat_map(Arrived::commands_mut);
            for (command, weight) in commands.zip(weights) {
                *command = command.weighing(weight);
            }
            Event::Step(Box::new(Step { before, arrivals, after }))
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

fn take<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, String> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
    *bytes = rest;
    Ok(value)
}
