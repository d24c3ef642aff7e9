//! What the core asks its driver to do with the files of snapshots, and what it is told of that.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::raft::membership::configured::Configured;
use crate::types::{EntryId, LogIndex, NodeId};

/// The snapshots that a node cannot do without.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Needed {
    /// The index that the newest one covers.
    pub newest: LogIndex,
    /// The indexes that older ones cover which are being sent, each once.
    pub sent: SmallVec<[LogIndex; 2]>,
}

/// What a step wants done with the files of snapshots, beside the log's writes and in this order. What becomes of it is
/// reported as a [`SnapshotReport`].
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum SnapshotTask {
    /// Read a part of a snapshot, to be sent.
    Read { to: NodeId, last: EntryId, offset: u64 },
    /// Add a part to the snapshot that is being received. A first part restarts it.
    Receive {
        last: EntryId,
        offset: u64,
        #[serde(with = "crate::raft::beyond::message::bytes")]
        data: Arc<[u8]>,
        /// It is the last one: make the snapshot durable and read it.
        done: bool,
    },
    /// Read the whole of a snapshot that a follower could not use. One that is damaged here too ends the node.
    Check { to: NodeId, last: EntryId },
    /// Remove snapshots older than the newest of these, except those that are being sent.
    Forget { but: Needed },
}

/// What became of a snapshot, or of a part of one.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum SnapshotReport {
    /// This node's own, taken of its applied state, is durable.
    Saved(EntryId),
    Read {
        to: NodeId,
        last: EntryId,
        offset: u64,
        #[serde(with = "crate::raft::beyond::message::bytes")]
        data: Arc<[u8]>,
        done: bool,
    },
    /// A snapshot that was checked is whole.
    Whole { to: NodeId, last: EntryId },
    /// What was received so far ends at this byte.
    Received { last: EntryId, next: u64 },
    /// A snapshot that was received is durable and was read. It holds the configuration that was effective where it ends.
    Installed(EntryId, Configured),
    /// A snapshot that was received is damaged. Nothing of it is kept.
    Unusable(EntryId),
}
