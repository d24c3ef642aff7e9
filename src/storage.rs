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

pub mod backup;
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
pub mod records;
mod recovery;
pub mod remains;
pub mod rescue;
pub(crate) mod segment;
pub(crate) mod segments;
pub mod simulated;
mod simulated_file;
mod snapshot_file;
pub mod snapshots;
pub mod survivors;
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
use crate::raft::membership::configuration::Configuration;
use crate::state_machine::image::Image;
use crate::types::{EntryId, Epoch, FOUNDERS_STORE, LogIndex, NodeId};

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

    /// Takes note of the commit index as it is with all that was written. It is recorded with what is recorded anyway: how
    /// much of a log was committed is of use when most of the cluster is gone.
    fn note_commit(&mut self, _commit: LogIndex) {}

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
    /// The last entry of the log; where that is empty, the one that it begins behind.
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base, Entry::id)
    }

    /// The configuration that the node starts with: the last one in its log, committed or not (section 6).
    pub fn configured(&self) -> Option<Configured> {
        let known = self.configuration.clone();
        let newest = self.entries.iter().rev().find_map(Configured::of);
        newest.into_iter().chain(known).max_by_key(|configured| configured.index)
    }

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
    /// The configuration that was effective at its last entry.
    pub configured: Configured,
    /// The state, to be taken over by the replica.
    pub image: Box<dyn Image>,
}

/// What a store is that is created now; an existing one stays what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewStore {
    /// Tells it from earlier ones of its name.
    pub store_id: StoreId,
    /// Those of a new cluster, this one among them. None when it joins a cluster that has run.
    pub founders: Founders,
}

/// The nodes that begin a cluster together.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Founders {
    pub nodes: Vec<NodeId>,
    /// Who leads, if it can.
    pub preferred: Option<NodeId>,
}

impl Founders {
    /// What one of them knows of its cluster's members before it reads a log.
    pub fn configured(&self) -> Option<Configured> {
        let &Founders { ref nodes, preferred } = self;
        let configuration = Configuration { preferred, ..Configuration::founders(nodes.iter().copied()) };
        (!nodes.is_empty()).then(|| Configured { index: LogIndex(0), configuration: configuration.into() })
    }
}

/// None of them is preferred.
impl<T: AsRef<[NodeId]>> From<T> for Founders {
    fn from(nodes: T) -> Founders {
        Founders { nodes: nodes.as_ref().to_vec(), preferred: None }
    }
}

impl NewStore {
    /// That of one of these nodes, which begin a cluster.
    pub fn founding(founders: impl Into<Founders>) -> NewStore {
        NewStore { store_id: FOUNDERS_STORE, founders: founders.into() }
    }

    /// That of a node that joins a cluster which has run, be it under a name that was used before.
    pub fn joining(store_id: StoreId) -> NewStore {
        assert!(store_id > FOUNDERS_STORE, "these files are not a founder's");
        NewStore { store_id, founders: Founders::default() }
    }

    /// What the node holds when it starts for the first time.
    fn hard_state(&self) -> HardState {
        HardState { store_id: self.store_id, ..HardState::default() }
    }
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    pub cluster: ClusterId,
    pub epoch: Epoch,
    pub node: NodeId,
}
