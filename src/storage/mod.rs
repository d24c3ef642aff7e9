//! What a node keeps across crashes: term, vote and log (Figure 2, "persistent state on all servers").
//!
//! A [`Storage`] takes writes and makes them durable. Two of them exist: the [`JsonStore`](json_store::JsonStore),
//! which keeps legible files on a [`Disk`](disk::Disk), and the [`MemoryStore`](memory_store::MemoryStore), which
//! forgets everything when the process ends.
//!
//! Nothing here may report as durable what a power failure can still take away, start from files that are damaged,
//! or go on after an error as if it had not happened.

pub mod disk;
pub mod error;
pub mod faults;
pub mod json_store;
pub mod memory;
pub mod memory_store;
pub mod real;
mod record;
mod recovery;
pub mod simulated;
mod simulated_file;
mod state_file;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use error::StorageError;

use crate::raft::effects::{HardState, Write};
use crate::raft::log::Entry;
use crate::types::{EntryId, NodeId};

/// Where a node's persistent state goes.
///
/// After an error the storage is poisoned: nobody knows any longer what the disk holds, so every later call fails.
/// Retrying a failed fsync, above all, proves nothing: the system may have dropped the bytes and report success.
pub trait Storage: Send {
    /// Takes a write, behind all earlier ones. It counts as durable only after the next [`sync`](Storage::sync), so
    /// that several writes can share one.
    fn write(&mut self, write: &Write) -> Result<(), StorageError>;

    /// Makes every write so far durable.
    fn sync(&mut self) -> Result<(), StorageError>;
}

impl<S: Storage + ?Sized> Storage for Box<S> {
    fn write(&mut self, write: &Write) -> Result<(), StorageError> {
        (**self).write(write)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        (**self).sync()
    }
}

/// What a node finds when it starts. All of it is durable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Term and vote.
    pub hard_state: HardState,
    /// The entry just before the first one of `entries`.
    pub base: EntryId,
    /// The log, in order and without a gap.
    pub entries: Vec<Entry>,
    /// What had to be repaired, one line each.
    pub repaired: Vec<String>,
    /// Nothing was there: the node has never run before.
    pub fresh: bool,
}

impl Recovered {
    /// What was found, and what was repaired, in words.
    pub fn summary(&self) -> String {
        if self.fresh {
            return "with a new, empty state".to_string();
        }
        let count = self.entries.len();
        let plural = if count == 1 { "entry" } else { "entries" };
        let reloaded = format!("term {}, {count} {plural} reloaded", self.hard_state.current_term);
        [&[reloaded], self.repaired.as_slice()].concat().join("; ")
    }
}

/// A cluster's own number, drawn at random when the cluster is made, so that directories of different clusters are
/// not mixed. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClusterId(pub u64);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ClusterId {
    type Err = String;

    fn from_str(text: &str) -> Result<ClusterId, String> {
        let digits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(text, 16) {
            Ok(number) if digits => Ok(ClusterId(number)),
            _ => Err(format!("'{text}' is not a cluster's number: 16 hexadecimal digits")),
        }
    }
}

impl Serialize for ClusterId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClusterId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ClusterId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whose files these are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Every node of the cluster, this one included.
    pub members: Vec<NodeId>,
}
