//! A server between two steps, as data: a recording begins with one, and a replay resumes from it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::applier::Applier;
use super::requests::Caller;
use super::snapshots::Schedule;
use super::waiting::{PendingEntry, Waiting};
use super::{Arrival, Lateness, Server};
use crate::ascending::Ascending;
use crate::payload::Payload;
use crate::raft::Raft;
use crate::raft::effects::{ChangeError, RequestId, WriteId};
use crate::raft::entry::Content;
use crate::raft::message::Message;
use crate::state_machine::Machine;
use crate::state_machine::image::Image;
use crate::types::{EntryId, LogIndex, Time};

/// All of a server but its state machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    raft: Raft,
    applied: EntryId,
    size: usize,
    handed: LogIndex,
    unapplied_bytes: usize,
    schedule: Schedule,
    held: VecDeque<(WriteId, Vec<Message>)>,
    calls: Ascending<RequestId, Caller>,
    waiting: Ascending<LogIndex, PendingEntry>,
    last_request: RequestId,
    last_flight: u64,
    lost_office: bool,
    changed: Option<Result<LogIndex, ChangeError>>,
    leader_since: Time,
}

impl Server {
    /// The server as it is now, before it takes in these arrivals, and an image of its state machine. None while it cannot be
    /// told apart from work under way: the state machine is away, or has just come back with tasks or before its results, or a
    /// snapshot is being received, whose parts came before.
    pub fn frame(&self, arrivals: &[Arrival]) -> Option<(Frame, Box<dyn Image>)> {
        let applier = self.applier.as_ref().filter(|_| self.has_frame())?;
        let is_behind = arrivals.iter().any(|arrival| matches!(arrival, Arrival::Done(_)));
        (!is_behind).then(|| (self.frame_without_machine(), applier.machine().image()))
    }

    /// Whether a frame can be made of it before it takes in anything.
    pub fn has_frame(&self) -> bool {
        self.applier.is_some() && self.postponed.is_empty() && !self.raft.receives_snapshot()
    }

    /// The server as it is now, even while its state machine is away.
    pub fn frame_without_machine(&self) -> Frame {
        Frame {
            raft: self.raft.clone(),
            applied: self.applied,
            size: self.size,
            handed: self.handed,
            unapplied_bytes: self.unapplied_bytes,
            schedule: self.schedule,
            held: self.held.clone(),
            calls: self.calls.clone(),
            waiting: self.waiting.by_index.clone(),
            last_request: self.last_request,
            last_flight: self.last_flight,
            lost_office: self.lost_office,
            changed: self.changed.clone(),
            leader_since: self.leader_since,
        }
    }

    /// The server that this frame was made of, with its state machine as the frame's image has it.
    pub fn resume(frame: Frame, image: Box<dyn Image>, blank: &dyn Fn() -> Box<dyn Machine>) -> Server {
        let mut machine = blank();
        machine.adopt(frame.applied, image);
        Server {
            inputs: Vec::new(),
            settings: frame.raft.settings.clone(),
            raft: frame.raft,
            applier: Some(Applier::new(machine)),
            broken: None,
            lateness: Lateness::default(),
            postponed: Vec::new(),
            limits: blank(),
            applied: frame.applied,
            size: frame.size,
            handed: frame.handed,
            unapplied_bytes: frame.unapplied_bytes,
            schedule: frame.schedule,
            held: frame.held,
            calls: frame.calls,
            waiting: Waiting::of(frame.waiting),
            last_request: frame.last_request,
            last_flight: frame.last_flight,
            lost_office: frame.lost_office,
            changed: frame.changed,
            leader_since: frame.leader_since,
        }
    }
}

impl Frame {
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The commands in its log and on their way there, whose weights count.
    pub fn commands(&self) -> impl Iterator<Item = &Payload> {
        self.raft.contents().filter_map(command_of)
    }

    /// The same, to be given their weights.
    pub fn commands_mut(&mut self) -> impl Iterator<Item = &mut Payload> {
        self.raft.contents_mut().filter_map(command_of_mut)
    }
}

/// The command that an entry holds.
pub(crate) fn command_of(content: &Content) -> Option<&Payload> {
    match content {
        Content::Command { command, .. } => Some(command),
        _ => None,
    }
}

pub(crate) fn command_of_mut(content: &mut Content) -> Option<&mut Payload> {
    match content {
        Content::Command { command, .. } => Some(command),
        _ => None,
    }
}
