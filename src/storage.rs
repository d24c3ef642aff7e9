//! What a node keeps across crashes: term, vote and log (Figure 2, "persistent state on all servers").
//!
//! A [`Storage`] takes writes and makes them durable. Two of them exist: the [`JsonStore`](json_store::JsonStore),
//! which keeps legible files on a [`Disk`](disk::Disk), and the [`MemoryStore`](memory_store::MemoryStore), which
//! forgets everything when the process ends.
//!
//! Beside the log lie its [snapshots], which other threads write and read.
//!
//! Nothing here may report as durable what a power failure can still take away, start from files that are damaged,
//! or continue after an error as if it had not happened.

pub(crate) mod claims;
pub mod disk;
pub mod error;
pub mod faults;
mod files;
pub mod glimpse;
pub mod json_store;
mod log_reading;
pub mod memory;
pub mod memory_store;
pub mod real;
pub(crate) mod private;
pub(crate) mod record;
mod recovery;
pub(crate) mod segment;
pub(crate) mod segments;
pub mod simulated;
mod simulated_file;
mod snapshot_file;
pub mod snapshots;
pub(crate) mod state_file;
mod terms;

use std::io;
use std::str::FromStr;

use derive_more::{Debug, Display};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use error::StorageError;

use crate::raft::effects::{HardState, StoreId, Write};
use crate::raft::entry::Entry;
use crate::raft::membership::Configured;
use crate::state_machine::image::Image;
use crate::types::{EntryId, NodeId};

/// Where a node's persistent state goes.
///
/// After an error the storage is poisoned: what the disk holds is unknown, so every later call fails.
/// Retrying a failed fsync, above all, proves nothing: the system may have dropped the bytes and report success.
pub trait Storage: Send {
    /// Takes a write, behind all earlier ones. It counts as durable only after the next [`sync`](Storage::sync), so
    /// that several writes can share one.
    fn write(&mut self, write: Write) -> Result<(), StorageError>;

    fn sync(&mut self) -> Result<(), StorageError>;

    /// Records beside the log up to where it is durable, so that a later start that finds less refuses. A driver calls
    /// it at a polite end, and a moment after the last [`sync`](Storage::sync); it costs nothing when nothing changed.
    fn save_floor(&mut self) -> Result<(), StorageError>;

    /// The files released since the last call. The driver removes them, in any order, when that holds
    /// up nothing; one that is left is no harm to a later start.
    fn take_stale(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// What a node finds when it starts. All of it is durable.
#[derive(Debug, Default)]
pub struct Recovered {
    pub hard_state: HardState,
    /// The newest snapshot. The log connects to it: `base` is not behind what it covers, and the entry where it ends,
    /// if it is among `entries`, is the one that it covers last.
    pub snapshot: Option<RecoveredSnapshot>,
    /// The entry just before the first one of `entries`: zero while the log has all of them.
    pub base: EntryId,
    /// The log, in order and without a gap.
    pub entries: Vec<Entry>,
    /// What is known beside `entries`: the snapshot's configuration, else the founders'; none in files that joined later.
    pub configuration: Option<Configured>,
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
        let snapshot = self.snapshot.as_ref();
        let snapshot =
            snapshot.map_or(String::new(), |snapshot| format!("snapshot at index {}, ", snapshot.id.index));
        let reloaded = format!("term {}, {snapshot}{count} {plural} reloaded", self.hard_state.current_term);
        [&[reloaded], self.repaired.as_slice()].concat().join("; ")
    }
}

/// A snapshot that was read, and found right.
#[derive(Debug)]
#[debug("the snapshot up to {id}, {} items in {bytes} bytes", image.size())]
pub struct RecoveredSnapshot {
    pub id: EntryId,
    pub bytes: u64,
    /// The state, to be taken over by the replica.
    pub image: Box<dyn Image>,
}

/// Identity for a store created now; an existing store keeps its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NewStore {
    /// Tells it from earlier nodes of its name.
    pub store_id: StoreId,
    /// The cluster has run before: the node has to be readmitted before it votes.
    pub joining: bool,
}

/// Loads no image: for nodes that make no snapshots.
///
/// # Errors
/// Always.
pub fn no_image(_: &mut dyn io::Read) -> Result<Box<dyn Image>, String> {
    Err("this node makes no snapshots".to_string())
}

/// A cluster's own number, drawn at random when the cluster is made, so that directories of different clusters are
/// not mixed. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Display)]
#[display("{_0:016x}")]
pub struct ClusterId(pub u64);

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

/// The cluster and node that files belong to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    pub cluster: ClusterId,
    pub node: NodeId,
    /// Every node of the cluster, this one included.
    pub members: Vec<NodeId>,
}
