//! The result of applying an entry: for the client that waits for it, and for the checks.

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::raft::entry::Origin;
use crate::types::{EntryId, Epoch, SessionId};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Applied {
    /// It was a no-op, or concerns only the cluster.
    NoOp,
    /// Its batch was applied, now or before.
    Answered {
        /// The entry that applied it: this one, or an earlier one if the client repeated its command.
        entry: EntryId,
        /// The answers to the batch, in order.
        answer: Payload,
    },
    Opened {
        /// Its name: the entry that opened it.
        session: SessionId,
    },
    /// It was not applied, and never will be: the client asked for its outcome before.
    GivenUp,
    /// The client repeated a command that it had acknowledged. It was not applied again, and its answer is no longer kept.
    Forgotten,
    /// Its session has expired, or never was: nothing was done.
    Expired,
    /// Its session is of an earlier epoch than this one, in which the cluster was recovered: nothing was done.
    Lost { epoch: Epoch },
    /// The payload is no batch of this machine: the state is untouched.
    /// The text says what is wrong with it, in one line.
    Invalid(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppliedEntry {
    pub entry: EntryId,
    /// The origin of the command that it applied; none for a no-op, a repetition or an invalid command.
    pub executed: Option<Origin>,
    /// It holds a command that was applied before, and was not again.
    pub repetition: bool,
    /// It names a command of a session that has expired or is lost, and changed nothing.
    pub expired: bool,
}
