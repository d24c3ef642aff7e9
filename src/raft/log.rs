//! The log in memory (5.3): entries numbered from 1, or from just behind a snapshot.
//!
//! It never reaches below its base and never leaves a gap; an index outside reads as none, not as another entry.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::types::{ClientId, EntryId, LogIndex, Serial, Term};

/// Whose command an entry holds, so that a repeated command can be recognised (section 8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The client.
    pub client: ClientId,
    /// The client's number for the command.
    pub serial: Serial,
    /// The client has the answers to all its serials below this one: they need not be kept any longer.
    pub acknowledged: Serial,
}

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its place.
    pub index: LogIndex,
    /// The term of the leader that created it.
    pub term: Term,
    /// What it holds.
    pub content: Content,
}

/// What an entry holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Nothing: it opens a leader's term, so that older entries commit (section 8).
    NoOp,
    /// A client's command.
    Command {
        /// Whose.
        origin: Origin,
        /// The command; opaque here.
        command: Payload,
    },
}

impl Entry {
    /// Index and term.
    pub fn id(&self) -> EntryId {
        EntryId::new(self.term, self.index)
    }

    /// Bytes that the entry weighs in limits and queues: its command's text and a little for itself.
    pub fn weight(&self) -> usize {
        const ITSELF: usize = 64;
        match &self.content {
            Content::NoOp => ITSELF,
            Content::Command { command, .. } => ITSELF + command.len(),
        }
    }
}
