//! What every part of the store does with its files in the same way: replace one in one step, remove one for good.

use std::io;

use parking_lot::RwLock;

use super::disk::Disk;
use super::error::StorageError;
use super::segment::Segment;
use super::{snapshot_file, state_file};

/// Ends the name of a file that is being made. A start removes it.
pub const NEW: &str = ".new";

pub const INCOMING: &str = "incoming.new";

pub fn list(disk: &impl Disk) -> Result<Vec<String>, StorageError> {
    disk.list().map_err(|error| StorageError::io("read", disk.describe(""), error))
}

/// Carries out an operation on a file, and says what it was for when it fails.
pub fn doing<D: Disk, T>(
    disk: &mut D,
    action: &'static str,
    file: &str,
    operation: impl FnOnce(&mut D) -> io::Result<T>,
) -> Result<T, StorageError> {
    operation(disk).map_err(|error| StorageError::io(action, disk.describe(file), error))
}

/// The name that a file has while it is being made.
pub fn unfinished(name: &str) -> String {
    format!("{name}{NEW}")
}

/// Replaces a file in one step: a power failure leaves the old content or the new.
pub fn replace(disk: &mut impl Disk, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
    let new = unfinished(name);
    doing(disk, "write", name, |disk| {
        disk.create(&new)?;
        disk.append(&new, bytes)?;
        disk.sync(&new)?;
        disk.rename(&new, name)?;
        disk.sync_folder()
    })
}

/// Held while a segment is copied. Nodes that start side by side may share a disk, and what a copy takes for a moment is not
/// missing in the end.
static COPIES: RwLock<()> = RwLock::new(());

/// Waits until no node of this process copies a segment, and lets none begin.
pub fn copy_alone() -> impl Sized {
    COPIES.write()
}

/// Makes durable what was read of a file and cuts off the rest: as [`replace`] does, or, where
/// there is no room for a second copy, by writing the same bytes over themselves. Says whether there was room.
pub fn settle(disk: &mut impl Disk, name: &str, bytes: &[u8]) -> Result<bool, StorageError> {
    let copying = COPIES.read();
    let copied = replace(disk, name, bytes);
    if copied.is_err() {
        remove_if_there(disk, &unfinished(name))?;
    }
    drop(copying);
    match copied {
        Err(full @ StorageError::NoSpace { .. }) => {
            let _alone = copy_alone();
            let length = bytes.len() as u64;
            let done = doing(disk, "write", name, |disk| {
                if disk.length(name)? > length {
                    disk.truncate(name, length)?;
                }
                disk.overwrite(name, bytes)
            });
            match done {
                Err(StorageError::Io { error, .. }) if error.kind() == io::ErrorKind::Unsupported => {
                    Err(full)
                }
                done => done.map(|()| false),
            }
        }
        done => done.map(|()| true),
    }
}

/// Removes a file, without making that durable.
pub fn remove(disk: &mut impl Disk, name: &str) -> Result<(), StorageError> {
    doing(disk, "remove", name, |disk| disk.remove(name))
}

/// Removes a file if it is there, without making that durable.
pub fn remove_if_there(disk: &mut impl Disk, name: &str) -> Result<(), StorageError> {
    doing(disk, "remove", name, |disk| match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
}

pub fn remove_durably(disk: &mut impl Disk, name: &str) -> Result<(), StorageError> {
    remove(disk, name)?;
    sync_folder(disk)
}

/// Makes every name and every removal durable.
pub fn sync_folder(disk: &mut impl Disk) -> Result<(), StorageError> {
    doing(disk, "write", "", Disk::sync_folder)
}

/// Removes what was being made when the last process ended.
pub fn remove_leftovers(disk: &mut impl Disk, names: &[String]) -> Result<(), StorageError> {
    let unfinished = |name: &&String| *name == INCOMING || name.strip_suffix(NEW).is_some_and(is_ours);
    for name in names.iter().filter(unfinished) {
        remove(disk, name)?;
    }
    Ok(())
}

/// Removes every file of the store, finished or not. `state.json` goes first and for good: no start accepts a log or
/// a snapshot without it, so a wipe that is cut short cannot pass for a node with a shorter log.
pub fn remove_all(disk: &mut impl Disk) -> Result<(), StorageError> {
    let names = list(disk)?;
    let (state, others): (Vec<&String>, Vec<&String>) =
        names.iter().filter(|name| is_ours(name)).partition(|name| *name == state_file::NAME);
    for group in [state, others] {
        for name in group {
            remove(disk, name)?;
        }
        sync_folder(disk)?;
    }
    remove_leftovers(disk, &names)
}

fn is_ours(name: &str) -> bool {
    name == state_file::NAME || Segment::named(name).is_some() || snapshot_file::named(name).is_some()
}
