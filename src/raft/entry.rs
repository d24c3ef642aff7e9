//! Entries of the log (5.3): the term of the leader that made one, and what it holds.

use std::sync::Arc;

use super::membership::configuration::{Configuration, text};
use crate::payload::Payload;
pub use crate::types::Origin;
use crate::types::{ClientId, EntryId, LogIndex, Term};

#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    pub index: LogIndex,
    /// The term of the leader that created it.
    pub term: Term,
    pub content: Content,
}

/// What an entry holds. The core reads only [`Content::Members`]; the rest is for the state machine.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Content {
    /// Nothing: it opens a leader's term, so that older entries commit (section 8).
    NoOp,
    /// A client's session begins, named by this entry's place (D 6.3).
    Open {
        client: ClientId,
        /// How many sessions may be open from here on; the least recently used is closed for a new one. The log
        /// says so, and not each node's settings, so that all nodes close the same one.
        sessions_max: u64,
    },
    Command {
        origin: Origin,
        command: Payload,
    },
    /// A client asks what became of one of its commands: if it was not applied before this entry, it never will be.
    Settle {
        origin: Origin,
    },
    /// Who belongs to the cluster from here on: a node uses it as soon as it is in its log (section 6).
    Members(#[serde(with = "text")] Arc<Configuration>),
}

impl Content {
    /// Bytes that it weighs in limits and queues: its command's, and a little for all else.
    pub fn weight(&self) -> usize {
        const ITSELF: usize = 64;
        match self {
            Content::Command { command, .. } => ITSELF + command.weight(),
            Content::Members(configuration) => ITSELF + configuration.weight(),
            Content::NoOp | Content::Open { .. } | Content::Settle { .. } => ITSELF,
        }
    }
}

impl Entry {
    pub fn id(&self) -> EntryId {
        EntryId::new(self.term, self.index)
    }

    /// Bytes that the entry weighs in limits and queues.
    pub fn weight(&self) -> usize {
        self.content.weight()
    }
}
