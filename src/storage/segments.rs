//! The log's segments by name, and how its beginning is dropped once a snapshot covers it (section 7).
//!
//! Whole segments go, so the cost is that of what goes, not of the log. Each removal is durable before the next, so
//! that what a power failure leaves has no gap that a lost segment could hide in.

use super::disk::Disk;
use super::error::StorageError;
use super::files;
use crate::types::LogIndex;

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
    pub fn named(name: &str) -> Option<Segment> {
        let digits = name.strip_prefix("log-")?.strip_suffix(".jsonl")?;
        let first = LogIndex(digits.parse().ok()?);
        Some(Segment { first, length: 0 }).filter(|segment| segment.name() == name)
    }
}

/// Bytes of the first so many lines.
pub fn length_of_lines(bytes: &[u8], lines: u64) -> u64 {
    let lines = usize::try_from(lines).expect("fewer lines than bytes in memory");
    bytes.split_inclusive(|byte| *byte == b'\n').take(lines).map(|line| line.len() as u64).sum()
}

/// Removes the segments all of whose entries are at or below this index, oldest first; never the last one.
pub fn compact(
    disk: &mut impl Disk,
    segments: &mut Vec<Segment>,
    index: LogIndex,
) -> Result<(), StorageError> {
    let covered = segments.iter().skip(1).take_while(|following| following.first <= index.next()).count();
    remove_first(disk, segments, covered)
}

/// Removes so many segments from the log's beginning.
pub fn remove_first(
    disk: &mut impl Disk,
    segments: &mut Vec<Segment>,
    count: usize,
) -> Result<(), StorageError> {
    for segment in segments.drain(..count) {
        files::remove_durably(disk, &segment.name())?;
    }
    Ok(())
}

/// Removes the whole log and begins it anew behind this index, up to which a durable snapshot covers it. `state.json`
/// claims no longer log any more.
///
/// Wherever the power fails, a start can tell what was under way: it finds either a log that does not belong to its
/// snapshot, or an empty last segment that begins where the snapshot ends; both mean that nothing else is needed.
pub fn reset(disk: &mut impl Disk, segments: &mut Vec<Segment>, index: LogIndex) -> Result<(), StorageError> {
    let empty = Segment { first: index.next(), length: 0 };
    while let Some(beyond) = segments.pop_if(|segment| segment.first > empty.first) {
        files::remove_durably(disk, &beyond.name())?;
    }
    files::replace(disk, &empty.name(), &[])?;
    segments.pop_if(|segment| segment.first == empty.first);
    let before = segments.len();
    remove_first(disk, segments, before)?;
    segments.push(empty);
    Ok(())
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
}
