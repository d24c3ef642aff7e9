//! Reads the log's segments as a power failure may have left them, and holds them against `state.json` and the newest
//! snapshot. Changes no file.
//!
//! What may be missing and what is damage is argued in the module `recovery`.

use super::disk::Disk;
use super::error::StorageError;
use super::segment::Segment;
use super::state_file::{NAME as STATE, StateFile};
use super::{record, snapshot_file};
use crate::raft::entry::Entry;
use crate::text::counted;
use crate::types::{EntryId, LogIndex, Term};

/// The log as far as it has been read.
#[derive(Default)]
pub struct LogRead {
    /// The entry before the first of `entries`; none before it is known.
    base: Option<EntryId>,
    pub entries: Vec<Entry>,
    last: EntryId,
    /// What the last segment holds after its repair.
    pub last_segment: Vec<u8>,
    /// How many segments, from the first, are stale: the store had released them.
    pub stale: usize,
    /// The log does not belong to the snapshot, which covers all that is needed: it must start again behind the snapshot.
    pub discarded: bool,
    pub repaired: Vec<String>,
}

/// Reads what the segments hold, which are in order, and what of it is to be kept.
pub fn read(
    disk: &impl Disk,
    state: &StateFile,
    segments: &mut [Segment],
    snapshot: Option<EntryId>,
) -> Result<LogRead, StorageError> {
    let Some(last) = segments.last() else {
        let what = "the log is missing: no file log-*.jsonl lies beside it".to_string();
        return Err(StorageError::Damaged { file: disk.describe(STATE), line: None, what });
    };
    let length = disk.length(&last.name());
    let length = length.map_err(|error| StorageError::io("read", disk.describe(&last.name()), error))?;
    let begins_behind = |snapshot: EntryId| last.first <= snapshot.index.next();
    let before = segments.len() - 1;
    let may_be_reset = length == 0 && before > 0 && snapshot.is_some_and(begins_behind);
    match LogRead::of(disk, state, segments, snapshot) {
        // All that lies before an empty segment which begins no later than right behind the snapshot is covered by
        // that. If it is not one log with that segment, a reset had not yet removed it.
        Err(StorageError::Damaged { .. }) if may_be_reset => {
            let last = &mut segments[before..];
            let mut log = LogRead::of(disk, state, last, snapshot)?;
            log.repaired.insert(0, removed_before(&disk.describe(&last[0].name())));
            log.stale = before;
            Ok(log)
        }
        result => result,
    }
}

fn damaged(file: &str, line: usize, what: String) -> StorageError {
    StorageError::Damaged { file: file.to_string(), line: Some(line), what }
}

fn removed_before(file: &str) -> String {
    format!("{file}: removed the log before it, which the snapshot covers")
}

impl LogRead {
    /// The log in these segments, of which there is at least one.
    fn of(
        disk: &impl Disk,
        state: &StateFile,
        segments: &mut [Segment],
        snapshot: Option<EntryId>,
    ) -> Result<LogRead, StorageError> {
        let mut log = LogRead::default();
        log.begin(disk, &segments[0], snapshot)?;
        log.read_segments(disk, state.hard_state.current_term, segments, snapshot)?;
        let last = disk.describe(&segments[segments.len() - 1].name());
        log.settle(&last, state, segments[log.stale].first, snapshot)?;
        Ok(log)
    }

    /// The entry before the first of `entries`.
    pub fn base(&self) -> EntryId {
        self.base.expect("a log that was read and held against the snapshot has a base")
    }

    /// Settles what comes before the first segment.
    fn begin(
        &mut self,
        disk: &impl Disk,
        first: &Segment,
        snapshot: Option<EntryId>,
    ) -> Result<(), StorageError> {
        let snapshot = snapshot.unwrap_or(EntryId::ZERO);
        self.last = match first.first {
            LogIndex(1) => EntryId::ZERO,
            // The last entry before it is gone, so its own first entry is the one that the others stand on.
            LogIndex(index) if index <= snapshot.index.0 => EntryId::new(Term(0), LogIndex(index - 1)),
            index if index == snapshot.index.next() => snapshot,
            _ => {
                let expected = snapshot.index.next();
                let earlier = if expected.0 == 1 { "" } else { " or an earlier one" };
                let what =
                    format!("index {expected}{earlier} should come first; a segment before it is missing");
                return Err(StorageError::Damaged { file: disk.describe(&first.name()), line: None, what });
            }
        };
        let stands_on_its_own = self.last.term == Term(0) && self.last.index > LogIndex(0);
        self.base = (!stands_on_its_own).then_some(self.last);
        Ok(())
    }

    fn read_segments(
        &mut self,
        disk: &impl Disk,
        current_term: Term,
        segments: &mut [Segment],
        snapshot: Option<EntryId>,
    ) -> Result<(), StorageError> {
        let count = segments.len();
        for (place, segment) in segments.iter_mut().enumerate() {
            let name = segment.name();
            let file = disk.describe(&name);
            let follows = segment.first == self.last.index.next();
            if !follows && snapshot.is_some_and(|snapshot| segment.first <= snapshot.index.next()) {
                // All that may be missing is in the snapshot: see `segments`.
                *self = LogRead { stale: place, repaired: vec![removed_before(&file)], ..LogRead::default() };
                self.begin(disk, segment, snapshot)?;
            } else if !follows {
                let expected = self.last.index.next();
                let what = format!("index {expected} should come first; a segment before it is missing");
                return Err(StorageError::Damaged { file, line: None, what });
            }
            let mut bytes =
                disk.read(&name).map_err(|error| StorageError::io("read", file.clone(), error))?;
            let read = self.read_lines(&bytes, current_term);
            let (lines, whole) = read.map_err(|(line, what)| damaged(&file, line, what))?;
            if place + 1 < count {
                if whole < bytes.len() {
                    return Err(damaged(
                        &file,
                        lines + 1,
                        "it is unfinished, and a segment follows".to_string(),
                    ));
                }
                // A later truncation may make any segment the last one again.
                segment.length = bytes.len() as u64;
                continue;
            }
            let notice = self.repair(&mut bytes, whole, current_term);
            let notice = notice.map_err(|what| damaged(&file, lines + 1, what))?;
            self.repaired.extend(notice.map(|what| format!("{file}: {what} line {}", lines + 1)));
            segment.length = bytes.len() as u64;
            self.last_segment = bytes;
        }
        Ok(())
    }

    /// Holds the whole log against the snapshot and against what `state.json` knows of it.
    fn settle(
        &mut self,
        file: &str,
        state: &StateFile,
        first: LogIndex,
        snapshot: Option<EntryId>,
    ) -> Result<(), StorageError> {
        let (last, floor) = (self.last.index, state.log_floor);
        let covered = snapshot.map_or(LogIndex(0), |snapshot| snapshot.index);
        if covered < floor.index && self.term_at(floor.index) != Some(floor.term) {
            let what = match self.term_at(floor.index) {
                None => format!("it ends with index {last} but was durable up to {}", floor.index),
                Some(term) => {
                    format!("its entry {} is of term {term} but was of {}", floor.index, floor.term)
                }
            };
            return Err(StorageError::Damaged { file: file.to_string(), line: None, what });
        }
        let Some(snapshot) = snapshot.filter(|snapshot| self.term_at(snapshot.index) != Some(snapshot.term))
        else {
            return Ok(());
        };
        if first <= last {
            let name = snapshot_file::name(snapshot.index);
            let why = if last < snapshot.index { "covers more" } else { "covers another history" };
            self.repaired
                .push(format!("{file}: discarded the log's entries {first} to {last}, since {name} {why}"));
        }
        self.discarded = true;
        self.entries.clear();
        self.base = Some(snapshot);
        self.last = snapshot;
        Ok(())
    }

    /// The term of the entry at this index, if that is the base or behind it.
    fn term_at(&self, index: LogIndex) -> Option<Term> {
        let base = self.base?;
        let place = index.0.checked_sub(base.index.0)?;
        let Some(place) = place.checked_sub(1) else { return Some(base.term) };
        self.entries.get(usize::try_from(place).ok()?).map(|entry| entry.term)
    }

    /// Reads every line that has its newline. Gives their number and their bytes, or the first wrong line.
    fn read_lines(&mut self, bytes: &[u8], current_term: Term) -> Result<(usize, usize), (usize, String)> {
        let mut lines = 0;
        let mut start = 0;
        while let Some(length) = bytes[start..].iter().position(|byte| *byte == b'\n') {
            lines += 1;
            self.push(&bytes[start..start + length], current_term).map_err(|what| (lines, what))?;
            start += length + 1;
        }
        Ok((lines, start))
    }

    fn push(&mut self, line: &[u8], current_term: Term) -> Result<(), String> {
        let entry = record::decode(line)?;
        if entry.index != self.last.index.next() {
            return Err(format!("it holds index {} where {} belongs", entry.index, self.last.index.next()));
        }
        if entry.term < self.last.term {
            return Err(format!("its term {} is below the term {} before it", entry.term, self.last.term));
        }
        if entry.term > current_term {
            return Err(format!("its term {} is above the term {current_term} of state.json", entry.term));
        }
        self.last = entry.id();
        if self.base.is_some() {
            self.entries.push(entry);
        } else {
            self.base = Some(entry.id());
        }
        Ok(())
    }

    /// Repairs what follows the last newline, which ends the first `whole` bytes. Says what it did, or what is wrong.
    fn repair(
        &mut self,
        bytes: &mut Vec<u8>,
        whole: usize,
        current_term: Term,
    ) -> Result<Option<String>, String> {
        let found = bytes.len() - whole;
        if found == 0 {
            return Ok(None);
        }
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(whole, |place| whole.max(place + 1));
        let tail = &bytes[whole..written];
        if record::decode(tail).is_ok() {
            self.push(tail, current_term)?;
            bytes.truncate(written);
            bytes.push(b'\n');
            return Ok(Some("added the missing newline to".to_string()));
        }
        if let Some(length) = record_at_start(tail) {
            return Err(format!(
                "behind its record stand {} other bytes, not a newline",
                tail.len() - length
            ));
        }
        bytes.truncate(whole);
        Ok(Some(format!("cut off {} of the unfinished", counted(found, "byte"))))
    }
}

/// The length of a whole record that the bytes begin with.
fn record_at_start(bytes: &[u8]) -> Option<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'}').map(|(place, _)| place + 1);
    ends.into_iter().find(|end| record::decode(&bytes[..*end]).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_in_front_of_what_is_not_a_newline() {
        let mut line = Vec::new();
        let content = crate::raft::entry::Content::NoOp;
        record::encode(&Entry { index: LogIndex(1), term: Term(1), content }, &mut line);
        let length = line.len() - 1;
        *line.last_mut().expect("a line") = b'x';
        assert_eq!(record_at_start(&line), Some(length));
        assert_eq!(record_at_start(&line[..length - 1]), None);
    }
}
