//! A look at a node's files from outside, while the node runs or after: without its lock, and without a change.
//!
//! The node may write meanwhile. Appending is harmless: what has no newline yet is not there yet. What else may come in
//! between, a truncation, a new segment, a compaction, would mix two logs that never were one. So everything that was
//! read is read again, and counts only if it is the same. Each part was then in place from its first reading to its
//! second, and all parts were so at the moment between the two passes.

use std::collections::BTreeMap;
use std::io;

use derive_more::From;
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::error::StorageError;
use super::segment::Segment;
use super::state_file::{NAME as STATE, StateFile, Unreadable};
use super::{Founders, Identity, files, record, snapshot_file};
use crate::raft::effects::HardState;
use crate::raft::entry::Entry;
use crate::raft::membership::Configured;
use crate::types::{EntryId, LogIndex, Term};

/// How often a look is repeated when the files change under it.
const TRIES: usize = 20;

/// Bytes from a segment's end that are read first; four times as many when they do not hold enough.
const TAIL_BYTES: u64 = 16 << 10;

/// What a node's files said at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Glimpse {
    /// The node and cluster; none while `state.json` is missing or cannot be read.
    pub identity: Option<Identity>,
    /// None in files that joined the cluster later, or like `identity`.
    pub founders: Founders,
    /// Term and vote; none like `identity`.
    pub hard_state: Option<HardState>,
    /// Up to which entry `state.json` says that the log was durable.
    pub floor: EntryId,
    /// Up to where `state.json` knows the log to be committed.
    pub commit: LogIndex,
    /// The newest snapshot's last entry; zero without one.
    pub snapshot: EntryId,
    /// The configuration in that snapshot.
    pub base: Option<Configured>,
    /// The newest configuration that was read: in the last entries, else in the snapshot, else the founders'.
    pub configured: Option<Configured>,
    /// The first entry that the log keeps, or would keep.
    pub first: LogIndex,
    /// The entry before those of `terms`.
    pub before: LogIndex,
    /// The terms of the last entries, in order; none in the place of one that cannot be read.
    pub terms: Vec<Option<Term>>,
    /// The configurations among these entries, in order.
    pub changes: Vec<Configured>,
    /// What cannot be read and why, one line each.
    pub troubles: Vec<String>,
}

impl Glimpse {
    /// Whether the node knew that these files are left out of the members.
    pub fn is_retired(&self) -> bool {
        self.hard_state.is_some_and(|hard_state| hard_state.retired)
    }

    pub fn last(&self) -> LogIndex {
        LogIndex(self.before.0 + self.terms.len() as u64)
    }
}

/// What the files in this folder say, with the last `entries` entries: at least one. None while they change faster
/// than they can be read.
///
/// # Errors
/// The folder or a file cannot be read. Damage is no error: it is told among the troubles.
pub fn look(disk: &impl Disk, entries: usize) -> Result<Option<Glimpse>, StorageError> {
    for _ in 0..TRIES {
        match try_look(disk, entries.max(1)) {
            Ok(glimpse) => return Ok(Some(glimpse)),
            Err(Obstacle::Changed) => {}
            Err(Obstacle::Storage(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether an entry can have this index: others stand only in files that no node has written.
fn can_be(index: LogIndex) -> bool {
    (1..u64::MAX / 2).contains(&index.0)
}

#[derive(From)]
enum Obstacle {
    /// The files are no longer what they were.
    Changed,
    #[from]
    Storage(StorageError),
}

/// A file that was listed and is gone has been compacted, truncated or wiped away.
fn obstacle(disk: &impl Disk, file: &str, error: io::Error) -> Obstacle {
    match error.kind() {
        io::ErrorKind::NotFound => Obstacle::Changed,
        _ => Obstacle::Storage(StorageError::io("read", disk.describe(file), error)),
    }
}

fn try_look(disk: &impl Disk, entries: usize) -> Result<Glimpse, Obstacle> {
    let names = files::list(disk)?;
    let found = names.iter().filter_map(|name| Segment::named(name));
    let mut segments: Vec<Segment> = found.filter(|segment| can_be(segment.first)).collect();
    segments.sort_unstable();
    let mut reading = Reading { disk, seen: Vec::new(), changes: BTreeMap::new(), troubles: Vec::new() };
    let (first, before, terms) = reading.log(&segments, entries)?;
    let covered = match names.iter().filter_map(|name| snapshot_file::named(name)).max() {
        Some(newest) => reading.snapshot(newest)?,
        None => None,
    };
    let state = reading.state(!terms.is_empty())?;
    reading.read_again()?;
    let mut glimpse = Glimpse { first, before, terms, troubles: reading.troubles, ..Glimpse::default() };
    // A reset may have left entries before the log.
    let changes = reading.changes.split_off(&before.next());
    glimpse.changes = changes.into_values().collect();
    if let Some(StateFile { identity, founders, hard_state, log_floor, commit }) = state {
        (glimpse.identity, glimpse.hard_state) = (Some(identity), Some(hard_state));
        (glimpse.founders, glimpse.floor, glimpse.commit) = (founders, log_floor, commit);
    }
    let (snapshot, configured) = covered.unzip();
    glimpse.snapshot = snapshot.unwrap_or_default();
    glimpse.base = configured;
    let newest = glimpse.changes.last().cloned().or_else(|| glimpse.base.clone());
    glimpse.configured = newest.or_else(|| glimpse.founders.configured());
    Ok(glimpse)
}

struct Reading<'a, D> {
    disk: &'a D,
    /// The parts of the log that were read: file, offset, bytes.
    seen: Vec<(String, u64, Vec<u8>)>,
    /// The configurations that were read, by their entries.
    changes: BTreeMap<LogIndex, Configured>,
    troubles: Vec<String>,
}

struct Tail {
    first: LogIndex,
    terms: Vec<Option<Term>>,
}

impl<D: Disk> Reading<'_, D> {
    /// The log's first index, the index before the entries that were read, and their terms.
    fn log(
        &mut self,
        segments: &[Segment],
        entries: usize,
    ) -> Result<(LogIndex, LogIndex, Vec<Option<Term>>), Obstacle> {
        let Some(last) = segments.last() else { return Ok((LogIndex(1), LogIndex(0), Vec::new())) };
        let mut first = last.first;
        let mut terms = Vec::new();
        for (place, segment) in segments.iter().enumerate().rev() {
            let tail = self.tail(segment, entries - terms.len())?;
            let end = LogIndex(tail.first.0 + tail.terms.len() as u64);
            let is_last = place + 1 == segments.len();
            if !is_last && end != first {
                // Either a reset has not yet removed what is before, or something is missing: neither is in this log.
                return Ok((first, first.previous(), terms));
            }
            first = tail.first;
            terms.splice(0..0, tail.terms);
            if terms.len() >= entries {
                return Ok((segments[0].first, first.previous(), terms));
            }
        }
        Ok((first, first.previous(), terms))
    }

    /// The last lines of a segment, at most this many.
    fn tail(&mut self, segment: &Segment, lines_wanted: usize) -> Result<Tail, Obstacle> {
        let name = segment.name();
        let length = self.disk.length(&name).map_err(|error| obstacle(self.disk, &name, error))?;
        let mut span = TAIL_BYTES;
        loop {
            let offset = length.saturating_sub(span);
            let bytes = self.part(&name, offset, length - offset)?;
            let newline = |byte: &u8| *byte == b'\n';
            // Unless it is the file's own, the first line of the part has lost its beginning.
            let start = if offset == 0 { Some(0) } else { bytes.iter().position(newline).map(|at| at + 1) };
            let end = bytes.iter().rposition(newline).map_or(0, |at| at + 1);
            let lines = bytes.get(start.unwrap_or(end)..end).unwrap_or_default();
            let mut lines: Vec<&[u8]> = lines.split(newline).collect();
            // Behind the last newline stands what has no newline yet.
            lines.pop();
            let place = if offset == 0 { Some(segment.first) } else { None };
            if (offset == 0 || lines.len() >= lines_wanted)
                && let Some(tail) = self.decode(&name, &lines, place, lines_wanted)
            {
                self.seen.push((name, offset, bytes));
                return Ok(tail);
            }
            span = span.saturating_mul(4);
        }
    }

    /// The terms of the last of these lines. Their places come from the first line's, where that is known, else from
    /// any line that can be read; none if there is none.
    fn decode(
        &mut self,
        name: &str,
        lines: &[&[u8]],
        place: Option<LogIndex>,
        lines_wanted: usize,
    ) -> Option<Tail> {
        let skipped = lines.len().saturating_sub(lines_wanted);
        let read: Vec<Result<Entry, String>> =
            lines[skipped..].iter().map(|line| record::decode(line)).collect();
        let known = |(at, read): (usize, &Result<Entry, String>)| {
            let index = read.as_ref().ok().map(|entry| entry.index).filter(|index| can_be(*index))?;
            index.0.checked_sub(at as u64).map(LogIndex).filter(|first| can_be(*first))
        };
        let counted = place.map(|place| LogIndex(place.0 + skipped as u64));
        let first = counted.or_else(|| read.iter().enumerate().filter_map(known).next_back())?;
        let mut terms = Vec::new();
        for (index, read) in (first.0..).zip(read) {
            let what = match read {
                Ok(entry) if entry.index.0 == index => {
                    self.changes.extend(Configured::of(&entry).map(|change| (change.index, change)));
                    terms.push(Some(entry.term));
                    continue;
                }
                Ok(entry) => format!("it holds index {}", entry.index),
                Err(what) => what,
            };
            self.troubles.push(format!("{}: entry {index}: {what}", self.disk.describe(name)));
            terms.push(None);
        }
        Some(Tail { first, terms })
    }

    /// What the newest snapshot covers, by its first line; none when that cannot be read.
    fn snapshot(&mut self, index: LogIndex) -> Result<Option<(EntryId, Configured)>, Obstacle> {
        let name = snapshot_file::name(index);
        let start = self.disk.read_at(&name, 0, snapshot_file::HEAD_BYTES_MAX);
        let start = start.map_err(|error| obstacle(self.disk, &name, error))?;
        match snapshot_file::covers(&start) {
            Ok((id, configured)) if id.index == index => return Ok(Some((id, configured))),
            Ok((id, _)) => {
                self.troubles.push(format!("{}: it is the snapshot up to {id}", self.disk.describe(&name)));
            }
            Err(what) => self.troubles.push(format!("{}: {what}", self.disk.describe(&name))),
        }
        Ok(None)
    }

    /// A node with entries has a term. A node that is being created has an empty log for a moment, and no term yet.
    fn state(&mut self, has_entries: bool) -> Result<Option<StateFile>, Obstacle> {
        let bytes = match self.disk.read(STATE) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if has_entries {
                    self.troubles.push(format!("{}: it is missing", self.disk.describe(STATE)));
                }
                return Ok(None);
            }
            Err(error) => return Err(obstacle(self.disk, STATE, error)),
        };
        let what = match StateFile::decode(&bytes) {
            Ok(state) => return Ok(Some(state)),
            Err(Unreadable::Other(format)) => format!("it has format {format}, of another version"),
            Err(Unreadable::Damaged(what)) => what,
        };
        self.troubles.push(format!("{}: {what}", self.disk.describe(STATE)));
        Ok(None)
    }

    fn part(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>, Obstacle> {
        let length = usize::try_from(length).map_err(|_| Obstacle::Changed)?;
        let bytes = self.disk.read_at(name, offset, length);
        let bytes = bytes.map_err(|error| obstacle(self.disk, name, error))?;
        if bytes.len() == length { Ok(bytes) } else { Err(Obstacle::Changed) }
    }

    /// Whether all that was read is still there.
    fn read_again(&self) -> Result<(), Obstacle> {
        for (name, offset, bytes) in &self.seen {
            if self.part(name, *offset, bytes.len() as u64)? != *bytes {
                return Err(Obstacle::Changed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
