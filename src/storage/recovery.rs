//! What a start makes of the files: repairs what a power failure explains, refuses everything else.
//!
//! **What a power failure can leave.** Bytes not yet synced are the end of the last segment (see `json_store`). Of
//! them any part may be missing: the file may end in the middle of a line, or a block that was never written may read
//! as zero bytes up to the end of the file. Neither leaves a newline behind the gap. So a last line *without* a
//! newline is unfinished, was never acknowledged, and is cut off, which the start reports. If that line is a whole
//! record, nothing of it is missing but the newline, and it is kept: an entry that nobody waits for does no harm,
//! while an acknowledged one might be lost.
//!
//! **What is damage.** A line *with* its newline may have been synced and acknowledged, even the last one, whatever
//! its checksum says: cutting it off could lose a committed entry, and a node that does so is a liar, not a failed
//! one (CORRECTNESS, 30). It is refused. So is a whole record that runs on into something other than a newline: no
//! cut leaves that, but a changed newline does. A disk that wrote a later block of one unfinished append but not an
//! earlier one leaves just what rot leaves, and is refused too: what cannot be told apart is not guessed at. So are
//! anything wrong before the last segment, a missing segment, an index or a term out of order, a term above the one
//! in `state.json`, a missing or unreadable `state.json`, and a log shorter than `state.json` knows it to have been.
//!
//! **What a start must not trust.** What it reads may come from the system's memory and not be durable: the last
//! process may have died before its fsync, or because of it, and after a failed fsync a later one proves nothing. So
//! the last segment, the only one that can hold such bytes, is written anew and replaced in one step.

use super::disk::Disk;
use super::error::StorageError;
use super::state_file::{FORMAT, NAME as STATE, StateFile, Unreadable};
use super::{Identity, Recovered, record};
use crate::raft::effects::HardState;
use crate::raft::log::Entry;
use crate::types::{EntryId, LogIndex, Term};

use std::io;

const NEW: &str = ".new";

/// One file of the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Segment {
    /// The index of its first entry.
    pub first: LogIndex,
    /// Its bytes.
    pub length: u64,
}

impl Segment {
    pub fn name(&self) -> String {
        format!("log-{:020}.jsonl", self.first.0)
    }

    /// The segment of this name; none when it is another file's.
    fn named(name: &str) -> Option<Segment> {
        let digits = name.strip_prefix("log-")?.strip_suffix(".jsonl")?;
        let first = LogIndex(digits.parse().ok()?);
        Some(Segment { first, length: 0 }).filter(|segment| segment.name() == name)
    }
}

/// What a start found, repaired and made durable.
pub struct Found {
    pub state: StateFile,
    pub segments: Vec<Segment>,
    pub recovered: Recovered,
}

/// Replaces a file in one step: a power failure leaves the old content or the new.
pub fn replace(disk: &mut impl Disk, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
    let new = format!("{name}{NEW}");
    let result = disk
        .create(&new)
        .and_then(|()| disk.append(&new, bytes))
        .and_then(|()| disk.sync(&new))
        .and_then(|()| disk.rename(&new, name))
        .and_then(|()| disk.sync_folder());
    result.map_err(|error| StorageError::io("write", disk.describe(name), error))
}

/// Bytes of the first so many lines.
pub fn length_of_lines(bytes: &[u8], lines: u64) -> u64 {
    let lines = usize::try_from(lines).expect("fewer lines than bytes in memory");
    bytes.split_inclusive(|byte| *byte == b'\n').take(lines).map(|line| line.len() as u64).sum()
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

/// Removes every file of the store, finished or not. `state.json` goes first and for good: no start accepts a log
/// without it, so a wipe that is cut short cannot pass for a node with a shorter log.
pub fn remove_all(disk: &mut impl Disk) -> Result<(), StorageError> {
    let names = disk.list().map_err(|error| StorageError::io("read", disk.describe(""), error))?;
    let (state, others): (Vec<&String>, Vec<&String>) =
        names.iter().filter(|name| is_ours(name)).partition(|name| *name == STATE);
    for group in [state, others] {
        for name in group {
            disk.remove(name).map_err(|error| StorageError::io("remove", disk.describe(name), error))?;
        }
        disk.sync_folder().map_err(|error| StorageError::io("write", disk.describe(""), error))?;
    }
    remove_leftovers(disk, &names)
}

/// Reads everything, repairs what may be repaired, and makes durable what it returns. Refuses before it changes
/// anything.
pub fn recover(disk: &mut impl Disk, identity: &Identity) -> Result<Found, StorageError> {
    let names = disk.list().map_err(|error| StorageError::io("read", disk.describe(""), error))?;
    let mut segments: Vec<Segment> = names.iter().filter_map(|name| Segment::named(name)).collect();
    segments.sort_unstable();
    let Some(state) = read_state(disk)? else {
        refuse_orphans(disk, &segments)?;
        remove_leftovers(disk, &names)?;
        return begin(disk, identity);
    };
    check_identity(disk.describe(STATE), &state.identity, identity)?;
    let log = read_log(disk, &state, &mut segments)?;
    remove_leftovers(disk, &names)?;
    let last = segments.last().expect("a log that was read has a segment");
    replace(disk, &last.name(), &log.last_segment)?;
    let recovered = Recovered {
        hard_state: state.hard_state,
        base: EntryId::ZERO,
        entries: log.entries,
        repaired: log.repaired,
        fresh: false,
    };
    Ok(Found { state, segments, recovered })
}

/// The first start. The log's first segment is durable before `state.json` is, so that a `state.json` without a log
/// always means that the log was lost.
fn begin(disk: &mut impl Disk, identity: &Identity) -> Result<Found, StorageError> {
    let first = Segment { first: LogIndex(1), length: 0 };
    let state = StateFile {
        identity: identity.clone(),
        hard_state: HardState::default(),
        log_floor: LogIndex::default(),
    };
    replace(disk, &first.name(), &[])?;
    replace(disk, STATE, &state.encode())?;
    let recovered = Recovered { fresh: true, ..Recovered::default() };
    Ok(Found { state, segments: vec![first], recovered })
}

fn check_identity(file: String, found: &Identity, expected: &Identity) -> Result<(), StorageError> {
    if found.cluster != expected.cluster {
        return Err(StorageError::OtherCluster { file, found: found.cluster, expected: expected.cluster });
    }
    if found.node != expected.node {
        return Err(StorageError::OtherNode { file, found: found.node, expected: expected.node });
    }
    if found.members != expected.members {
        let (found, expected) = (found.members.clone(), expected.members.clone());
        return Err(StorageError::OtherMembers { file, found, expected });
    }
    Ok(())
}

/// A first start that the power cut short leaves at most an empty first segment.
fn refuse_orphans(disk: &impl Disk, segments: &[Segment]) -> Result<(), StorageError> {
    for segment in segments {
        let name = segment.name();
        let length = disk.length(&name);
        let length = length.map_err(|error| StorageError::io("read", disk.describe(&name), error))?;
        if length > 0 || segment.first != LogIndex(1) {
            let what = format!("it is missing although there is a {name}");
            return Err(StorageError::Damaged { file: disk.describe(STATE), line: None, what });
        }
    }
    Ok(())
}

fn remove_leftovers(disk: &mut impl Disk, names: &[String]) -> Result<(), StorageError> {
    for name in names.iter().filter(|name| name.strip_suffix(NEW).is_some_and(is_ours)) {
        disk.remove(name).map_err(|error| StorageError::io("remove", disk.describe(name), error))?;
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    name == STATE || Segment::named(name).is_some()
}

/// The log as far as it has been read.
#[derive(Default)]
struct LogRead {
    entries: Vec<Entry>,
    last: EntryId,
    /// What the last segment holds after its repair.
    last_segment: Vec<u8>,
    repaired: Vec<String>,
}

fn read_log(disk: &impl Disk, state: &StateFile, segments: &mut [Segment]) -> Result<LogRead, StorageError> {
    let mut log = LogRead::default();
    let count = segments.len();
    for (place, segment) in segments.iter_mut().enumerate() {
        let name = segment.name();
        let file = disk.describe(&name);
        if segment.first != log.last.index.next() {
            let what =
                format!("index {} should come first; a segment before it is missing", log.last.index.next());
            return Err(StorageError::Damaged { file, line: None, what });
        }
        let mut bytes = disk.read(&name).map_err(|error| StorageError::io("read", file.clone(), error))?;
        let read = log.read_lines(&bytes, state.hard_state.current_term);
        let (lines, whole) = read.map_err(|(line, what)| damaged(&file, line, what))?;
        if place + 1 < count {
            if whole < bytes.len() {
                return Err(damaged(&file, lines + 1, "it is unfinished, and a segment follows".to_string()));
            }
            // A later truncation may make any segment the last one again.
            segment.length = bytes.len() as u64;
            continue;
        }
        let notice = log.repair(&mut bytes, whole, state.hard_state.current_term);
        let notice = notice.map_err(|what| damaged(&file, lines + 1, what))?;
        log.repaired.extend(notice.map(|what| format!("{file}: {what} line {}", lines + 1)));
        segment.length = bytes.len() as u64;
        log.last_segment = bytes;
    }
    if count == 0 {
        let what = "the log is missing: no file log-*.jsonl lies beside it".to_string();
        return Err(StorageError::Damaged { file: disk.describe(STATE), line: None, what });
    }
    if log.last.index < state.log_floor {
        let what = format!("it ends with index {} but was durable up to {}", log.last.index, state.log_floor);
        let file = disk.describe(&segments[count - 1].name());
        return Err(StorageError::Damaged { file, line: None, what });
    }
    Ok(log)
}

fn damaged(file: &str, line: usize, what: String) -> StorageError {
    StorageError::Damaged { file: file.to_string(), line: Some(line), what }
}

impl LogRead {
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
        self.entries.push(entry);
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
        Ok(Some(format!("cut off {found} bytes of the unfinished")))
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
    fn only_the_exact_name_is_a_segment() {
        let segment = Segment { first: LogIndex(1), length: 0 };
        assert_eq!(segment.name(), "log-00000000000000000001.jsonl");
        assert_eq!(Segment::named(&segment.name()), Some(segment));
        for other in [
            "log-1.jsonl",
            "log-00000000000000000001.jsonl~",
            "log-.jsonl",
            "state.json",
            "log-+0000000000000000001.jsonl",
        ] {
            assert_eq!(Segment::named(other), None, "{other}");
        }
    }

    #[test]
    fn a_record_is_found_in_front_of_what_is_not_a_newline() {
        let mut line = Vec::new();
        let content = crate::raft::log::Content::NoOp;
        record::encode(&Entry { index: LogIndex(1), term: Term(1), content }, &mut line);
        let length = line.len() - 1;
        *line.last_mut().expect("a line") = b'x';
        assert_eq!(record_at_start(&line), Some(length));
        assert_eq!(record_at_start(&line[..length - 1]), None);
    }
}
