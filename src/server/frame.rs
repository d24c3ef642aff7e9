//! A server between two steps, as data: a recording begins with one, and a replay resumes from it.

use serde::{Deserialize, Serialize};

use super::applier::Applier;
use super::ledger::Ledger;
use super::{Arrival, Lateness, Server};
use crate::payload::Payload;
use crate::raft::Raft;
use crate::raft::entry::Content;
use crate::state_machine::Machine;
use crate::state_machine::image::Image;

/// All of a server but its state machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    raft: Raft,
    ledger: Ledger,
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
        Frame { raft: self.raft.clone(), ledger: self.ledger.clone() }
    }

    /// The server that this frame was made of, with its state machine as the frame's image has it.
    pub fn resume(frame: Frame, image: Box<dyn Image>, blank: &dyn Fn() -> Box<dyn Machine>) -> Server {
        let Frame { raft, ledger } = frame;
        let mut machine = blank();
        machine.adopt(ledger.applied, image);
        Server {
            inputs: Vec::new(),
            settings: raft.settings.clone(),
            raft,
            applier: Some(Applier::new(machine)),
            broken: None,
            lateness: Lateness::default(),
            postponed: Vec::new(),
            limits: blank(),
            ledger,
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
