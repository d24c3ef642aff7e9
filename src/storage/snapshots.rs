//! Making, sending, receiving and removing snapshots (section 7), beside the log and on other threads than it.
//!
//! A snapshot may be large, and the log's fsyncs must not wait for it. So it has a handle of its own on the same
//! folder, takes no lock, since the store holds that, and touches no file but snapshots and what the store has let go
//! of. What it makes has a name
//! that ends in `.new` until it is whole, checked and durable; then it is renamed in one step. So a file with a
//! snapshot's name is always whole, and one that is not is damaged.
//!
//! **What the caller owes.** The store is open as long as a handle is used, and was opened before it. A snapshot's
//! term is durable in `state.json` before the snapshot is ([`Storage`](super::Storage)): a start refuses one of a
//! later term. After an error the node stops; nothing here is poisoned by it, but a later success may not be trusted.

use std::io;

use super::disk::Disk;
use super::error::StorageError;
use super::files::{self, INCOMING, NEW};
use super::simulated::SimulatedDisk;
use super::snapshot_file::{self, LoadError, PIECE_BYTES};
use super::{ClusterId, RecoveredSnapshot};
use crate::raft::membership::Configured;
use crate::state_machine::image::{Image, LoadImage};
use crate::types::{EntryId, LogIndex};

/// Bytes after which a file that is being written is synced, so that its last sync does not hold up the log's.
const SYNC_BYTES: u64 = 1 << 20;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub data: Vec<u8>,
    pub done: bool,
}

/// A node's snapshots. Each is named by the last entry that it covers.
pub trait SnapshotFiles: Send {
    /// Writes an image in pieces and makes it durable under its name. Gives its bytes.
    ///
    /// Between the pieces `go_on` is asked; when it says no, this ends with [`StorageError::GivenUp`]. After any
    /// error, what was written is removed if the disk allows it.
    fn save(
        &mut self,
        id: EntryId,
        configured: &Configured,
        image: &dyn Image,
        go_on: &dyn Fn() -> bool,
    ) -> Result<u64, StorageError>;

    /// At most `length` bytes of a finished snapshot from `offset` on, to send them. At its end `done` is set.
    fn read(&mut self, id: EntryId, offset: u64, bytes_max: usize) -> Result<Part, StorageError>;

    /// Reads the whole of a finished snapshot, and fails with [`StorageError::Damaged`] if it is not as it was written.
    fn check(&mut self, id: EntryId) -> Result<(), StorageError>;

    /// Adds a part to the snapshot that is being received. Offset 0 starts again; any other
    /// offset is what was received of this snapshot so far.
    fn receive(&mut self, id: EntryId, offset: u64, data: &[u8]) -> Result<(), StorageError>;

    /// The snapshot that is being received is complete: checks it, decodes it with `load`, and makes it durable under
    /// its name. The inner error says why it is unusable: it is removed, and nothing else has changed.
    fn finish(
        &mut self,
        id: EntryId,
        load: LoadImage,
    ) -> Result<Result<RecoveredSnapshot, String>, StorageError>;

    /// Removes the finished snapshots that end before this index, but for those that end at one of `kept`, and never the
    /// newest of all. What is removed may not be read any more.
    fn remove_before(&mut self, index: LogIndex, kept: &[LogIndex]) -> Result<(), StorageError>;

    /// Removes a file that the store has released ([`take_stale`](super::Storage::take_stale)).
    fn remove_stale(&mut self, file: &str) -> Result<(), StorageError>;
}

/// The last entries that a folder's finished snapshots cover.
pub fn finished(disk: &impl Disk) -> Result<Vec<LogIndex>, StorageError> {
    Ok(files::list(disk)?.iter().filter_map(|name| snapshot_file::named(name)).collect())
}

/// The image in the bytes of a snapshot's file, which covers the log up to this entry.
///
/// # Errors
/// What is wrong with them.
pub fn image_in(bytes: &[u8], last: EntryId, load: LoadImage) -> Result<Box<dyn Image>, String> {
    const FILE: &str = "received";
    let mut disk = SimulatedDisk::new(FILE);
    let cluster = snapshot_file::cluster_of(bytes)?;
    let put = disk.create(FILE).and_then(|()| disk.append(FILE, bytes));
    put.map_err(|error| error.to_string())?;
    let read = snapshot_file::load(&disk, FILE, cluster, last.index, Some(last.term), load);
    read.map(|found| found.image).map_err(|error| match error {
        LoadError::Unusable(unusable) => unusable.reason(),
        LoadError::Io(error) => error.to_string(),
    })
}

pub struct Snapshots<D: Disk> {
    disk: D,
    cluster: ClusterId,
    incoming: Option<Incoming>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Incoming {
    id: EntryId,
    growth: Growth,
}

/// How long a file has become, and how many of its bytes are not synced yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Growth {
    length: u64,
    unsynced: u64,
}

impl Growth {
    /// Appends a piece to the file, and syncs it now and then.
    fn append(&mut self, disk: &mut impl Disk, file: &str, piece: &[u8]) -> io::Result<()> {
        disk.append(file, piece)?;
        self.length += piece.len() as u64;
        self.unsynced += piece.len() as u64;
        if self.unsynced >= SYNC_BYTES {
            disk.sync(file)?;
            self.unsynced = 0;
        }
        Ok(())
    }
}

impl<D: Disk> Snapshots<D> {
    /// The snapshots in the folder of an open store. The disk is a handle of their own.
    pub fn new(disk: D, cluster: ClusterId) -> Snapshots<D> {
        Snapshots { disk, cluster, incoming: None }
    }

    /// The same snapshots on another disk, which holds the same files.
    #[must_use]
    pub fn on(&self, disk: D) -> Snapshots<D> {
        Snapshots { disk, cluster: self.cluster, incoming: self.incoming }
    }

    /// Writes the image under a name that does not count yet.
    fn write(
        &mut self,
        new: &str,
        id: EntryId,
        configured: &Configured,
        image: &dyn Image,
        go_on: &dyn Fn() -> bool,
    ) -> Result<u64, StorageError> {
        // A new file, not the old one emptied: nothing is known of what an earlier failure left in that.
        files::remove_if_there(&mut self.disk, new)?;
        files::doing(&mut self.disk, "create", new, |disk| disk.create(new))?;
        let mut out =
            Pieces { disk: &mut self.disk, file: new, go_on, growth: Growth::default(), stopped: None };
        let written = snapshot_file::write(&mut out, self.cluster, id, configured, image);
        let Pieces { growth, stopped, .. } = out;
        match (written, stopped) {
            (_, Some(Stopped::GivenUp)) => Err(StorageError::GivenUp { file: self.disk.describe(new) }),
            // The image's encoder may have put the disk's error into words of its own.
            (_, Some(Stopped::Failed(error))) | (Err(error), None) => {
                Err(StorageError::io("write", self.disk.describe(new), error))
            }
            (Ok(()), None) => {
                files::doing(&mut self.disk, "write", new, |disk| disk.sync(new)).map(|()| growth.length)
            }
        }
    }

    /// Gives a whole and durable file the name that makes it count.
    fn publish(&mut self, new: &str, name: &str) -> Result<(), StorageError> {
        files::doing(&mut self.disk, "write", name, |disk| {
            disk.rename(new, name)?;
            disk.sync_folder()
        })
    }

    fn add(&mut self, mut incoming: Incoming, data: &[u8]) -> Result<(), StorageError> {
        if incoming.growth.length == 0 {
            files::remove_if_there(&mut self.disk, INCOMING)?;
            files::doing(&mut self.disk, "create", INCOMING, |disk| disk.create(INCOMING))?;
        }
        files::doing(&mut self.disk, "write", INCOMING, |disk| incoming.growth.append(disk, INCOMING, data))?;
        self.incoming = Some(incoming);
        Ok(())
    }

    fn try_finish(
        &mut self,
        id: EntryId,
        load: LoadImage,
    ) -> Result<Result<RecoveredSnapshot, String>, StorageError> {
        files::doing(&mut self.disk, "write", INCOMING, |disk| disk.sync(INCOMING))?;
        match snapshot_file::load(&self.disk, INCOMING, self.cluster, id.index, Some(id.term), load) {
            Ok(loaded) => {
                self.publish(INCOMING, &snapshot_file::name(id.index))?;
                Ok(Ok(loaded))
            }
            Err(LoadError::Unusable(unusable)) => {
                files::remove(&mut self.disk, INCOMING)?;
                Ok(Err(unusable.reason()))
            }
            Err(LoadError::Io(error)) => Err(StorageError::io("read", self.disk.describe(INCOMING), error)),
        }
    }
}

impl<D: Disk> SnapshotFiles for Snapshots<D> {
    fn save(
        &mut self,
        id: EntryId,
        configured: &Configured,
        image: &dyn Image,
        go_on: &dyn Fn() -> bool,
    ) -> Result<u64, StorageError> {
        let name = snapshot_file::name(id.index);
        let new = format!("{name}{NEW}");
        let result = self.write(&new, id, configured, image, go_on);
        let result = result.and_then(|bytes| self.publish(&new, &name).map(|()| bytes));
        if result.is_err() {
            // The first error is the one to tell of. A start removes what this cannot.
            let _ = self.disk.remove(&new);
        }
        result
    }

    fn read(&mut self, id: EntryId, offset: u64, bytes_max: usize) -> Result<Part, StorageError> {
        let name = snapshot_file::name(id.index);
        let (length, data) = files::doing(&mut self.disk, "read", &name, |disk| {
            Ok((disk.length(&name)?, disk.read_at(&name, offset, bytes_max)?))
        })?;
        let done = offset.saturating_add(data.len() as u64) >= length;
        Ok(Part { data, done })
    }

    fn check(&mut self, id: EntryId) -> Result<(), StorageError> {
        let name = snapshot_file::name(id.index);
        let checked = snapshot_file::check(&self.disk, &name, self.cluster, id.index, Some(id.term));
        checked.map(drop).map_err(|error| error.in_own_folder(self.disk.describe(&name), self.cluster))
    }

    fn receive(&mut self, id: EntryId, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        let incoming = match self.incoming.take() {
            _ if offset == 0 => Incoming { id, growth: Growth::default() },
            Some(incoming) if (incoming.id, incoming.growth.length) == (id, offset) => incoming,
            other => panic!("a part at {offset} of the snapshot up to {id} does not follow {other:?}"),
        };
        let result = self.add(incoming, data);
        if result.is_err() {
            let _ = self.disk.remove(INCOMING);
        }
        result
    }

    fn finish(
        &mut self,
        id: EntryId,
        load: LoadImage,
    ) -> Result<Result<RecoveredSnapshot, String>, StorageError> {
        let received = self.incoming.take().map(|incoming| incoming.id);
        assert_eq!(received, Some(id), "only what was received can be complete");
        let result = self.try_finish(id, load);
        if result.is_err() {
            let _ = self.disk.remove(INCOMING);
        }
        result
    }

    fn remove_before(&mut self, index: LogIndex, kept: &[LogIndex]) -> Result<(), StorageError> {
        let finished = finished(&self.disk)?;
        let Some(newest) = finished.iter().max() else { return Ok(()) };
        let old =
            finished.iter().filter(|found| **found < index && !kept.contains(found) && *found != newest);
        for found in old {
            // Should the removal come undone, the next start removes the file again.
            files::remove(&mut self.disk, &snapshot_file::name(*found))?;
        }
        Ok(())
    }

    fn remove_stale(&mut self, file: &str) -> Result<(), StorageError> {
        files::remove(&mut self.disk, file)
    }
}

/// Writes to a file a piece at a time, and asks between the pieces whether to continue.
struct Pieces<'a, D> {
    disk: &'a mut D,
    file: &'a str,
    go_on: &'a dyn Fn() -> bool,
    growth: Growth,
    /// Once it stopped, nothing more is written.
    stopped: Option<Stopped>,
}

enum Stopped {
    GivenUp,
    Failed(io::Error),
}

impl<D: Disk> io::Write for Pieces<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        if self.stopped.is_none() {
            if (self.go_on)() {
                match self.growth.append(self.disk, self.file, piece) {
                    Ok(()) => return Ok(piece.len()),
                    Err(error) => self.stopped = Some(Stopped::Failed(error)),
                }
            } else {
                self.stopped = Some(Stopped::GivenUp);
            }
        }
        Err(io::Error::other("nothing more is written"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
