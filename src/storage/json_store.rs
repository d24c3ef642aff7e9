//! The store of legible files: `state.json` and the log in segments, on any [`Disk`].
//!
//! ```text
//! states/n1/state.json                        whose files, term, vote, commit  replaced in one step
//! states/n1/log-00000000000000000001.jsonl    entries 1 to 90211, one a line   complete
//! states/n1/log-00000000000000090212.jsonl    the following entries            only ever appended to, or cut
//! ```
//!
//! A segment is named after its first entry's index, so the first segment's name tells where the log begins. The
//! order of operations keeps these promises at every point where the power may fail:
//!
//! - `state.json` with a term is durable before any entry of that term is written.
//! - A segment is durable before the next one is made, and the next one's name before anything is written to it:
//!   only the last segment can end in an unfinished line.
//! - A truncation removes later segments newest first, each removal durable before the next, then cuts and syncs the
//!   segment that stays, and all this before anything is appended: truncated entries cannot come back.
//! - A compaction releases whole segments, never the last one.
//! - A reset makes `state.json` claim no more than the snapshot covers, then removes the segments behind that, newest
//!   first, then puts an empty one there, then removes the newest before it that has entries, and releases the others.
//! - Released segments are removed by another thread, in any order (see `segments`).
//! - `state.json` never claims a longer log than is durable, and never claims much less: it says up to where the log
//!   was durable (`log_floor`) whenever term or vote change, a segment begins, a snapshot takes the place of entries,
//!   [`FLOOR_ENTRIES`] entries were synced since, and when its driver asks: at a polite end, and within a moment of a
//!   sync. So a start that finds less than that knows that it was lost, and what can be lost unseen is bounded.
//!
//! What a start makes of the files is in the module `recovery`.

use std::io;

use super::disk::{Disk, Lock, LockError};
use super::error::StorageError;
use super::segment::Segment;
use super::segments;
use super::state_file::StateFile;
use super::terms::Terms;
use super::{Identity, NewStore, Recovered, Storage, files, record, recovery, state_file};
use crate::raft::effects::{Rebase, Write};
use crate::raft::entry::Entry;
use crate::state_machine::image::LoadImage;
use crate::types::{LogIndex, StoreId};

/// Bytes after which a new segment begins, unless chosen otherwise.
pub const SEGMENT_BYTES: u64 = 8 << 20;

/// Entries that become durable before `state.json` says so, at most.
pub const FLOOR_ENTRIES: u64 = 8_192;

/// Bytes of lines that are handed to the disk at once: what the processor's cache still holds is copied faster.
const LINES_BYTES: usize = 256 << 10;

/// A longer buffer of lines is not kept.
const BUFFER_KEPT: usize = 4 << 20;

/// A node's files, open and locked until dropped.
pub struct JsonStore<D: Disk> {
    disk: D,
    segment_bytes: u64,
    state: StateFile,
    /// Never empty; in order.
    segments: Vec<Segment>,
    /// Released segments that the driver has not taken yet.
    stale: Vec<String>,
    terms: Terms,
    last: LogIndex,
    /// The log is durable up to here.
    durable: LogIndex,
    /// `state.json` certainly claims the log up to here. What `state` says is the most that it may claim.
    recorded: LogIndex,
    /// The commit index as it was with what the log has taken.
    commit: LogIndex,
    lines: Vec<u8>,
    poisoned: Option<String>,
    _lock: Lock,
}

/// The cluster and node that the folder's files belong to; none when it holds no files. Changes nothing and needs no lock.
pub fn read_identity(disk: &impl Disk) -> Result<Option<Identity>, StorageError> {
    Ok(read_state(disk)?.map(|state| state.identity))
}

/// What `state.json` says; none when it is not there. Changes nothing and needs no lock.
pub(crate) fn read_state(disk: &impl Disk) -> Result<Option<StateFile>, StorageError> {
    recovery::read_state(disk)
}

/// Removes a node's files, and no others, so that it starts as a new one. Refused while the folder is in use. Gives the
/// number that told them from others of the node's name; zero when there were none, or none that could be read.
pub fn wipe(disk: &mut impl Disk) -> Result<StoreId, StorageError> {
    if files::list(disk)?.is_empty() {
        return Ok(0);
    }
    let _lock = lock(disk)?;
    let found = recovery::read_state(disk).ok().flatten();
    files::remove_all(disk)?;
    Ok(found.map_or(0, |state| state.hard_state.store_id))
}

pub(super) fn lock(disk: &mut impl Disk) -> Result<Lock, StorageError> {
    disk.lock().map_err(|error| match error {
        LockError::InUse(holder) => StorageError::InUse { folder: disk.describe(""), holder },
        LockError::Io(error) => StorageError::io("lock", disk.describe(""), error),
    })
}

impl<D: Disk> JsonStore<D> {
    /// Opens a node's files, or makes them when the folder holds none, and says what they hold. A new segment begins
    /// whenever the last one has `segment_bytes` or more. A snapshot's image is read by `load`.
    ///
    /// No thread may still write snapshots for an earlier run of the node: what is unfinished is removed.
    pub fn open(
        mut disk: D,
        identity: &Identity,
        segment_bytes: u64,
        new_store: &NewStore,
        load: LoadImage,
    ) -> Result<(JsonStore<D>, Recovered), StorageError> {
        disk.create_folder().map_err(|error| StorageError::io("create", disk.describe(""), error))?;
        let lock = lock(&mut disk)?;
        let found = recovery::recover(&mut disk, identity, new_store, load)?;
        let last = found.recovered.entries.last().map_or(found.recovered.base.index, |entry| entry.index);
        let terms = Terms::of(found.recovered.base, &found.recovered.entries);
        let (recorded, commit) = (found.state.log_floor.index, found.state.commit);
        let store = JsonStore {
            disk,
            segment_bytes,
            state: found.state,
            segments: found.segments,
            terms,
            stale: Vec::new(),
            last,
            durable: last,
            recorded,
            commit,
            lines: Vec::new(),
            poisoned: None,
            _lock: lock,
        };
        Ok((store, found.recovered))
    }

    /// The same store on another disk, which holds the same files.
    pub fn on(&self, mut disk: D) -> Result<JsonStore<D>, StorageError> {
        let lock = lock(&mut disk)?;
        Ok(JsonStore {
            disk,
            segment_bytes: self.segment_bytes,
            state: self.state.clone(),
            segments: self.segments.clone(),
            stale: self.stale.clone(),
            terms: self.terms.clone(),
            last: self.last,
            durable: self.durable,
            recorded: self.recorded,
            commit: self.commit,
            lines: Vec::new(),
            poisoned: self.poisoned.clone(),
            _lock: lock,
        })
    }

    fn guarded(
        &mut self,
        operation: impl FnOnce(&mut JsonStore<D>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if let Some(first) = &self.poisoned {
            return Err(StorageError::Poisoned { first: first.clone() });
        }
        let result = operation(self);
        if let Err(error) = &result {
            self.poisoned = Some(error.to_string());
        }
        result
    }

    fn try_write(&mut self, write: &Write) -> Result<(), StorageError> {
        self.save_state(write)?;
        match write.rebase {
            None => {}
            Some(Rebase::Compact(covered)) => {
                self.stale.extend(segments::compact(&mut self.segments, covered.index));
                self.terms.compact(covered.index);
            }
            Some(Rebase::Reset(base)) => {
                self.stale.extend(segments::reset(&mut self.disk, &mut self.segments, base.index)?);
                self.terms = Terms::of(base, &[]);
                self.last = base.index;
                self.durable = base.index;
            }
        }
        if let Some(from) = write.truncate_from.filter(|from| *from <= self.last) {
            self.truncate(from)?;
        }
        self.append(&write.entries)
    }

    /// Writes `state.json` when term or vote changed, when the log is about to become shorter than it claims, and when a
    /// snapshot is about to take the place of entries: what stays of the log is all that is left of them then.
    fn save_state(&mut self, write: &Write) -> Result<(), StorageError> {
        let mut kept = self.durable;
        if let Some(Rebase::Reset(base)) = write.rebase {
            kept = kept.min(base.index);
        }
        kept = write.truncate_from.map_or(kept, LogIndex::previous).min(kept);
        let hard_state = write.hard_state.unwrap_or(self.state.hard_state);
        if hard_state == self.state.hard_state && kept >= self.state.log_floor.index {
            let compacts = matches!(write.rebase, Some(Rebase::Compact(_)));
            return if compacts { self.raise_floor(kept) } else { Ok(()) };
        }
        assert!(
            hard_state.current_term >= self.state.hard_state.current_term,
            "a term never goes back (5.1)"
        );
        self.state.hard_state = hard_state;
        self.replace_state(kept)
    }

    /// Replaces `state.json` by one that claims the log up to here. Of a log that it does not claim it does not say how much
    /// is committed: other entries may be there.
    fn replace_state(&mut self, floor: LogIndex) -> Result<(), StorageError> {
        self.state.log_floor = self.terms.id_at(floor);
        self.state.commit = self.commit.min(floor);
        files::replace(&mut self.disk, state_file::NAME, &self.state.encode())?;
        self.recorded = floor;
        Ok(())
    }

    /// Claims more of the log. A disk without room keeps the `state.json` that is there, and loses nothing by that: it
    /// is tried again. Since the file may have been replaced all the same, a truncation minds the higher claim.
    fn raise_floor(&mut self, floor: LogIndex) -> Result<(), StorageError> {
        if self.recorded == floor && self.state.commit == self.commit.min(floor) {
            return Ok(());
        }
        match self.replace_state(floor) {
            Err(StorageError::NoSpace { .. }) => {
                files::remove_if_there(&mut self.disk, &files::unfinished(state_file::NAME))
            }
            result => result,
        }
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        assert!(from >= self.segments[0].first, "what is before the log's start is never truncated");
        while self.segments.len() > 1 && self.last_segment().first >= from {
            let name = self.last_segment().name();
            self.segments.pop();
            self.doing("remove", &name, |disk| disk.remove(&name))?;
            self.doing("write", "", Disk::sync_folder)?;
        }
        let name = self.last_segment().name();
        let lines_kept = from.0 - self.last_segment().first.0;
        let bytes = self.disk.read(&name);
        let bytes = bytes.map_err(|error| StorageError::io("read", self.disk.describe(&name), error))?;
        let length = segments::length_of_lines(&bytes, lines_kept);
        if length < self.last_segment().length {
            self.doing("write", &name, |disk| disk.truncate(&name, length))?;
            self.doing("write", &name, |disk| disk.sync(&name))?;
            self.last_segment().length = length;
        }
        self.terms.truncate_from(from);
        self.last = from.previous();
        self.durable = self.last;
        Ok(())
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        for entry in entries {
            assert_eq!(entry.index, self.last.next(), "the log has no gap (5.3)");
            assert!(
                entry.term <= self.state.hard_state.current_term,
                "an entry's term is durable as the current term before the entry is"
            );
            let length = self.last_segment().length;
            if length > 0 && length + lines.len() as u64 >= self.segment_bytes {
                self.append_lines(&lines)?;
                lines.clear();
                self.begin_segment(entry.index)?;
            }
            record::encode(entry, &mut lines);
            self.terms.push(entry.id());
            self.last = entry.index;
            if lines.len() >= LINES_BYTES {
                self.append_lines(&lines)?;
                lines.clear();
            }
        }
        self.append_lines(&lines)?;
        if lines.capacity() <= BUFFER_KEPT {
            self.lines = lines;
        }
        Ok(())
    }

    fn append_lines(&mut self, lines: &[u8]) -> Result<(), StorageError> {
        if lines.is_empty() {
            return Ok(());
        }
        let name = self.last_segment().name();
        self.doing("write", &name, |disk| disk.append(&name, lines))?;
        self.last_segment().length += lines.len() as u64;
        Ok(())
    }

    fn begin_segment(&mut self, first: LogIndex) -> Result<(), StorageError> {
        self.try_sync()?;
        let segment = Segment { first, length: 0 };
        let name = segment.name();
        self.doing("create", &name, |disk| disk.create(&name))?;
        self.segments.push(segment);
        // Its last act makes all names in the folder durable, the segment's too.
        let durable = self.durable;
        self.replace_state(durable)
    }

    fn try_sync(&mut self) -> Result<(), StorageError> {
        if self.durable < self.last {
            let name = self.last_segment().name();
            self.doing("write", &name, |disk| disk.sync(&name))?;
            self.durable = self.last;
        }
        let durable = self.durable;
        if durable.0 - self.recorded.0 >= FLOOR_ENTRIES { self.raise_floor(durable) } else { Ok(()) }
    }

    fn last_segment(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log has at least one segment")
    }

    fn doing(
        &mut self,
        action: &'static str,
        file: &str,
        operation: impl FnOnce(&mut D) -> io::Result<()>,
    ) -> Result<(), StorageError> {
        files::doing(&mut self.disk, action, file, operation)
    }
}

impl<D: Disk> Storage for JsonStore<D> {
    fn write(&mut self, write: Write) -> Result<(), StorageError> {
        self.guarded(|store| store.try_write(&write))
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.guarded(JsonStore::try_sync)
    }

    fn save_floor(&mut self) -> Result<(), StorageError> {
        self.guarded(|store| store.raise_floor(store.durable))
    }

    fn note_commit(&mut self, commit: LogIndex) {
        self.commit = commit;
    }

    fn take_stale(&mut self) -> Vec<String> {
        std::mem::take(&mut self.stale)
    }
}
