//! Snapshots between server and disk (section 7): when one is taken, and the work on their files.
//!
//! That work is done beside the log: saving or reading a large state takes long, and neither an entry's fsync nor a
//! heartbeat waits for it.

use std::sync::Arc;

use derive_more::Debug;

use super::{Arrival, SnapshotInfo};
use crate::config::RaftSettings;
use crate::panics::caught;
use crate::raft::effects::{SnapshotReport, SnapshotTask};
use crate::raft::membership::Configured;
use crate::state_machine::image::{Image, LoadImage};
use crate::storage::snapshots::{Part, SnapshotFiles};
use crate::storage::{RecoveredSnapshot, StorageError};
use crate::types::EntryId;

/// A snapshot of at most this size is cheap, and is taken as often as the settings say.
const SMALL_BYTES: u64 = 64 << 10;

/// Before a larger one is taken again, this many times its size must be logged: writing a state as text costs many times
/// what logging as many bytes does. It also bounds how much longer than the state the log may be.
const LOGGED_PER_SIZE: u64 = 16;

/// Work on files beside the log's writes.
#[derive(Debug)]
pub enum SnapshotWork {
    #[debug("Save({last})")]
    Save {
        last: EntryId,
        /// The configuration that was effective there.
        configured: Configured,
        image: Box<dyn Image>,
    },
    #[debug("{_0:?}")]
    Task(SnapshotTask),
    /// Remove a file that the log's store has let go of.
    Remove(String),
}

/// Work of one lane is done in order; lanes do not wait for one another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lane {
    /// Saves the node's own snapshots: that may take long.
    Save,
    /// Reads and writes the parts of snapshots that are sent and received: a node waits for them.
    Transfer,
    /// Removes what the log needs no more: that may wait.
    Removal,
}

#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Schedule {
    pub newest: SnapshotInfo,
    /// One is being taken: from when it is due until it is durable.
    taking: bool,
    /// Items of the one that is being saved.
    size: usize,
    /// Entries applied since the newest one was taken, and bytes of them.
    entries: u64,
    bytes: usize,
    wanted: bool,
}

impl Schedule {
    pub fn recovered(newest: SnapshotInfo) -> Schedule {
        Schedule { newest, ..Schedule::default() }
    }

    /// This many entries, of these bytes, go to the state machine.
    pub fn note_entries(&mut self, count: u64, bytes: usize) {
        self.entries += count;
        self.bytes += bytes;
    }

    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether one is to be taken now. At most one is being saved at a time.
    pub fn due(&mut self, settings: &RaftSettings) -> bool {
        if self.taking {
            return false;
        }
        if self.entries == 0 {
            self.wanted = false;
            return false;
        }
        let enough = self.entries >= settings.snapshot_entries || self.bytes >= settings.snapshot_bytes;
        let size = self.newest.bytes;
        // `snapshot_bytes` are enough for a larger state, as long as no less is logged than is written.
        let bytes_min = (LOGGED_PER_SIZE * size).min(size.max(settings.snapshot_bytes as u64));
        let repaid = size <= SMALL_BYTES || self.bytes as u64 >= bytes_min;
        self.taking = std::mem::take(&mut self.wanted) || enough && repaid;
        if self.taking {
            (self.entries, self.bytes) = (0, 0);
        }
        self.taking
    }

    /// The image of the one that is being taken has this many items.
    pub fn imaged(&mut self, size: usize) {
        self.size = size;
    }

    /// One is durable: its own, or one of the leader's.
    pub fn note_durable(&mut self, found: SnapshotInfo) {
        if found.last.index > self.newest.last.index {
            self.newest = found;
        }
    }

    /// The one that was being saved is durable.
    pub fn saved(&mut self, last: EntryId, bytes: u64) {
        self.taking = false;
        self.note_durable(SnapshotInfo { last, bytes, size: self.size });
    }

    /// It cannot be saved: the next try is due as if it had been.
    pub fn not_saved(&mut self) {
        self.taking = false;
    }

    /// The state is that of a leader's snapshot.
    pub fn adopted(&mut self) {
        (self.entries, self.bytes) = (0, 0);
    }
}

impl SnapshotWork {
    pub fn lane(&self) -> Lane {
        match self {
            SnapshotWork::Save { .. } => Lane::Save,
            SnapshotWork::Task(_) => Lane::Transfer,
            SnapshotWork::Remove(_) => Lane::Removal,
        }
    }

    /// Performs it, and returns what the server has to hear of it. Asks `go_on` now and then whether to continue.
    ///
    /// # Errors
    /// The disk failed: the node must stop.
    pub fn perform(
        self,
        files: &mut dyn SnapshotFiles,
        load: LoadImage,
        part_bytes: usize,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Arrival>, StorageError> {
        let report = match self {
            SnapshotWork::Save { last, configured, image } => {
                if let Err(reason) = caught(|| image.check()).flatten() {
                    return Ok(Some(Arrival::SnapshotUnwritable { last, reason }));
                }
                let bytes = files.save(last, &configured, &*image, go_on)?;
                return Ok(Some(Arrival::SnapshotSaved { last, bytes }));
            }
            SnapshotWork::Task(SnapshotTask::Read { to, last, offset }) => {
                let Part { data, done } = files.read(last, offset, part_bytes)?;
                SnapshotReport::Read { to, last, offset, data: Arc::from(data), done }
            }
            SnapshotWork::Task(SnapshotTask::Check { to, last }) => {
                files.check(last)?;
                SnapshotReport::Whole { to, last }
            }
            SnapshotWork::Task(SnapshotTask::Receive { last, offset, data, done }) => {
                files.receive(last, offset, &data)?;
                let next = offset + data.len() as u64;
                if done {
                    return Ok(Some(match files.finish(last, load)? {
                        Ok(RecoveredSnapshot { bytes, configured, image, .. }) => {
                            Arrival::SnapshotInstalled { last, bytes, configured, image }
                        }
                        Err(_) => Arrival::Snapshot(SnapshotReport::Unusable(last)),
                    }));
                }
                SnapshotReport::Received { last, next }
            }
            SnapshotWork::Task(SnapshotTask::Forget { but }) => {
                files.remove_before(but.newest, &but.sent)?;
                return Ok(None);
            }
            SnapshotWork::Remove(file) => {
                files.remove_stale(&file)?;
                return Ok(None);
            }
        };
        Ok(Some(Arrival::Snapshot(report)))
    }
}
