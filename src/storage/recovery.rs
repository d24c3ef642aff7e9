//! What a start makes of the files: repairs what a power failure explains, refuses everything else.
//!
//! **What a power failure can leave.** Bytes not yet synced are the end of the last segment (see `json_store`). Of
//! them any part may be missing: the file may end in the middle of a line, or a block that was never written may read
//! as zero bytes up to the end of the file. Neither leaves a newline behind the gap. So a last line *without* a
//! newline is unfinished, was never acknowledged, and is cut off, which the start reports. If that line is a whole
//! record, nothing of it is missing but the newline, and it is kept: an entry that no client waits for does no harm,
//! while an acknowledged one might be lost.
//!
//! **What is damage.** A line *with* its newline may have been synced and acknowledged, even the last one, no matter what
//! its checksum says: cutting it off could lose a committed entry, and a node that does so lies instead of failing
//! cleanly. It is refused. So is a whole record that runs on into something other than a newline: no
//! cut leaves that, but a changed newline does. A disk that wrote a later block of one unfinished append but not an
//! earlier one leaves just what rot leaves, and is refused too: what cannot be told apart is not guessed at. So are
//! anything wrong before the last segment, a missing segment, an index or a term out of order, a term above the one
//! in `state.json`, a missing or unreadable `state.json`, and a log shorter than `state.json` knows it to have been.
//!
//! **What a snapshot changes.** The newest one is loaded; it is always whole, so anything wrong with it is damage.
//! A log whose beginning was dropped must reach back to it; a gap before it is one between released segments
//! (argued in the module `segments`), and the log begins behind that. A log that ends before it, or has another entry where it
//! ends, does not belong to it: the power failed between the installing of a leader's snapshot and the reset of the
//! log, or the snapshot was made of entries that this disk did not yet hold. All that matters of such a log is in the
//! snapshot, so it is discarded, and the start says so. But a log that has become shorter than it was durable, beyond
//! the snapshot, is damage.
//!
//! **What a start must not trust.** What it reads may come from the system's memory and not be durable: the last
//! process may have died before its fsync, or because of it, and after a failed fsync a later one proves nothing. So
//! the last segment, the only one that can hold such bytes, is written again and replaced in one step.
//!
//! **On a full disk** there may be no room for that copy. Then the segment's own bytes are written over themselves and
//! synced, which makes them durable just as well: what the system took for written is to be written again. It is the
//! second choice, since a power failure within those milliseconds may tear a sector of a disk that does not write sectors
//! whole, and that would be damage. A node that cannot even write its next term and vote is of no use: it is refused,
//! with the room that it needs, and has lost nothing.

use std::io;

use super::disk::Disk;
use super::error::StorageError;
use super::segment::Segment;
use super::segments;
use super::snapshot_file;
use super::state_file::{FORMAT, NAME as STATE, StateFile, Unreadable};
use super::{ClusterId, Identity, NewStore, Recovered, RecoveredSnapshot, files, log_reading};
use crate::state_machine::image::LoadImage;
use crate::types::{EntryId, LogIndex, Term};

/// What a start found, repaired and made durable.
pub struct Found {
    pub state: StateFile,
    pub segments: Vec<Segment>,
    pub recovered: Recovered,
}

/// Reads `state.json`; none when there is none.
pub fn read_state(disk: &impl Disk) -> Result<Option<StateFile>, StorageError> {
    let file = disk.describe(STATE);
    let bytes = match disk.read(STATE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::io("read", file, error)),
    };
    match StateFile::decode(&bytes) {
        Ok(state) => Ok(Some(state)),
        Err(Unreadable::Other(found)) => Err(StorageError::OtherFormat { file, found, known: FORMAT }),
        Err(Unreadable::Damaged(what)) => Err(StorageError::Damaged { file, line: None, what }),
    }
}

/// Reads everything, repairs what may be repaired, and makes durable what it returns. Refuses before it changes
/// anything.
pub fn recover(
    disk: &mut impl Disk,
    identity: &Identity,
    new_store: &NewStore,
    load: LoadImage,
) -> Result<Found, StorageError> {
    let names = files::list(disk)?;
    let mut segments: Vec<Segment> = names.iter().filter_map(|name| Segment::named(name)).collect();
    segments.sort_unstable();
    let mut snapshots: Vec<LogIndex> = names.iter().filter_map(|name| snapshot_file::named(name)).collect();
    snapshots.sort_unstable();
    let Some(mut state) = read_state(disk)? else {
        refuse_orphans(disk, &segments, &snapshots)?;
        files::remove_leftovers(disk, &names)?;
        return begin(disk, identity, new_store);
    };
    check_identity(disk.describe(STATE), &state.identity, identity)?;
    if state.hard_state.retired {
        return Err(StorageError::Retired { node: identity.node });
    }
    let newest = snapshots.pop();
    let current_term = state.hard_state.current_term;
    let snapshot =
        newest.map(|index| load_snapshot(disk, identity.cluster, index, current_term, load)).transpose()?;
    let snapshot_id = snapshot.as_ref().map(|snapshot| snapshot.id);
    let log = log_reading::read(disk, &state, &mut segments, snapshot_id)?;

    files::remove_leftovers(disk, &names)?;
    // The snapshot's name may not be durable yet, and the log may be about to go.
    files::sync_folder(disk)?;
    if log.discarded {
        forget_log(disk, &mut state, &mut segments, log.base())?;
    } else {
        segments::remove_first(disk, &mut segments, log.stale)?;
        let last = segments.last().expect("a log that was read has a segment");
        if !files::settle(disk, &last.name(), &log.last_segment)? {
            refuse_without_room(disk, &state)?;
        }
    }
    for old in snapshots {
        files::remove(disk, &snapshot_file::name(old))?;
    }
    let configuration =
        snapshot.as_ref().map(|snapshot| snapshot.configured.clone()).or_else(|| state.founders.configured());
    let recovered = Recovered {
        hard_state: state.hard_state,
        snapshot,
        base: log.base(),
        entries: log.entries,
        configuration,
        repaired: log.repaired,
        fresh: false,
    };
    Ok(Found { state, segments, recovered })
}

/// The disk is so full that the log had to stay in place: whether term and vote could be written at least.
fn refuse_without_room(disk: &mut impl Disk, state: &StateFile) -> Result<(), StorageError> {
    let content = state.encode();
    let _alone = files::copy_alone();
    match files::replace(disk, STATE, &content) {
        Err(StorageError::NoSpace { file }) => {
            files::remove_if_there(disk, &files::unfinished(STATE))?;
            Err(StorageError::NoRoom { file, bytes: content.len() })
        }
        done => done,
    }
}

/// The first start. The log's first segment is durable before `state.json` is, so that a `state.json` without a log
/// always means that the log was lost.
fn begin(disk: &mut impl Disk, identity: &Identity, new_store: &NewStore) -> Result<Found, StorageError> {
    let first = Segment { first: LogIndex(1), length: 0 };
    let (hard_state, founders) = (new_store.hard_state(), new_store.founders.clone());
    let configuration = founders.configured();
    let state = StateFile {
        identity: *identity,
        founders,
        hard_state,
        log_floor: EntryId::ZERO,
        commit: LogIndex(0),
    };
    files::replace(disk, &first.name(), &[])?;
    files::replace(disk, STATE, &state.encode())?;
    let recovered = Recovered { hard_state, configuration, fresh: true, ..Recovered::default() };
    Ok(Found { state, segments: vec![first], recovered })
}

fn check_identity(file: String, found: &Identity, expected: &Identity) -> Result<(), StorageError> {
    if found.cluster != expected.cluster {
        return Err(StorageError::OtherCluster { file, found: found.cluster, expected: expected.cluster });
    }
    if found.node != expected.node {
        return Err(StorageError::OtherNode { file, found: found.node, expected: expected.node });
    }
    if found.epoch != expected.epoch {
        let (node, found, expected) = (found.node, found.epoch, expected.epoch);
        return Err(StorageError::OtherEpoch { file, node, found, expected });
    }
    Ok(())
}

/// A first start that the power cut short leaves at most an empty first segment.
fn refuse_orphans(
    disk: &impl Disk,
    segments: &[Segment],
    snapshots: &[LogIndex],
) -> Result<(), StorageError> {
    let missing_beside = |name: &str| {
        let what = format!("it is missing although there is a {name}");
        Err(StorageError::Damaged { file: disk.describe(STATE), line: None, what })
    };
    for segment in segments {
        let name = segment.name();
        let length = disk.length(&name);
        let length = length.map_err(|error| StorageError::io("read", disk.describe(&name), error))?;
        if length > 0 || segment.first != LogIndex(1) {
            return missing_beside(&name);
        }
    }
    snapshots.first().map_or(Ok(()), |index| missing_beside(&snapshot_file::name(*index)))
}

/// Loads the snapshot up to this index. One of a later term than the node knows is damage.
pub fn load_snapshot(
    disk: &impl Disk,
    cluster: ClusterId,
    index: LogIndex,
    current_term: Term,
    load: LoadImage,
) -> Result<RecoveredSnapshot, StorageError> {
    let name = snapshot_file::name(index);
    let file = disk.describe(&name);
    match snapshot_file::load(disk, &name, cluster, index, None, load) {
        Ok(loaded) if loaded.id.term > current_term => {
            let what = format!("its term {} is above the term {current_term} of state.json", loaded.id.term);
            Err(StorageError::Damaged { file, line: None, what })
        }
        Ok(loaded) => Ok(loaded),
        Err(error) => Err(error.in_own_folder(file, cluster)),
    }
}

/// Discards a log that does not belong to the snapshot up to this entry, in the order of a reset: `state.json` stops
/// claiming it before it goes.
fn forget_log(
    disk: &mut impl Disk,
    state: &mut StateFile,
    segments: &mut Vec<Segment>,
    base: EntryId,
) -> Result<(), StorageError> {
    if state.log_floor.index > base.index {
        state.log_floor = base;
        files::replace(disk, STATE, &state.encode())?;
    }
    for stale in segments::reset(disk, segments, base.index)? {
        files::remove(disk, &stale)?;
    }
    files::sync_folder(disk)
}
