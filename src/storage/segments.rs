//! The log's segments by name, and how its beginning is dropped once a snapshot covers it (section 7).
//!
//! **Stale segments.** Removing many files takes long, and making each removal durable takes longer: the log's own
//! syncs would wait for all of it. So the store releases segments: from then on they are *stale*, it never touches
//! them again, and its driver removes them in its own time ([`take_stale`](super::Storage::take_stale)), in any order,
//! without a sync.
//!
//! **What a power failure leaves** is therefore any of the stale segments, and behind them the whole log. A start tells
//! this from a log that lost a segment by the newest snapshot, which is whole or refused. Only segments that a durable
//! snapshot covers become stale. So of the segments that begin no later than right behind the newest snapshot, the last
//! one is the log's: from there on a gap is damage. Before it a gap loses nothing, since the snapshot has all that may
//! be missing, whether it was stale or lost; the log begins behind the last such gap, and what is before that goes.
//!
//! **No stale entry becomes a wrong one.** What a compaction releases was committed in this very log: as far as no gap
//! is between, it still fits, and the log is only longer. What a reset releases may belong to another history. So a reset
//! removes for good the newest segment that has entries, before the new log has one. That leaves a gap, and as later
//! segments begin later still, none ever fills it.

use super::disk::Disk;
use super::error::StorageError;
use super::files;
use super::segment::Segment;
use crate::types::LogIndex;

/// The length in bytes of the first `count` lines.
pub fn length_of_lines(bytes: &[u8], lines: u64) -> u64 {
    let lines = usize::try_from(lines).expect("fewer lines than bytes in memory");
    bytes.split_inclusive(|byte| *byte == b'\n').take(lines).map(|line| line.len() as u64).sum()
}

/// Lets go of the segments all of whose entries are at or below this index; never of the last one.
pub fn compact(segments: &mut Vec<Segment>, index: LogIndex) -> Vec<String> {
    let covered = segments.iter().skip(1).take_while(|following| following.first <= index.next()).count();
    segments.drain(..covered).map(|segment| segment.name()).collect()
}

/// Removes segments from the log's beginning, all of which a snapshot covers.
pub fn remove_first(
    disk: &mut impl Disk,
    segments: &mut Vec<Segment>,
    count: usize,
) -> Result<(), StorageError> {
    if count == 0 {
        return Ok(());
    }
    for segment in segments.drain(..count) {
        files::remove(disk, &segment.name())?;
    }
    files::sync_folder(disk)
}

/// Starts the log again behind this index, up to which a durable snapshot covers it, and releases what was before.
/// `state.json` claims no longer log any more.
///
/// Wherever the power fails, a start can tell what was under way: it finds either a log that does not belong to its
/// snapshot, or an empty last segment that begins where the snapshot ends; both mean that nothing else is needed.
pub fn reset(
    disk: &mut impl Disk,
    segments: &mut Vec<Segment>,
    index: LogIndex,
) -> Result<Vec<String>, StorageError> {
    let empty = Segment { first: index.next(), length: 0 };
    while let Some(beyond) = segments.pop_if(|segment| segment.first > empty.first) {
        files::remove_durably(disk, &beyond.name())?;
    }
    files::replace(disk, &empty.name(), &[])?;
    segments.pop_if(|segment| segment.first == empty.first);
    // Up to the newest one that has entries: see above.
    let newest = segments.iter().rposition(|segment| segment.length > 0).unwrap_or(0);
    let mut beside = segments.split_off(newest);
    let count = beside.len();
    remove_first(disk, &mut beside, count)?;
    let stale = std::mem::replace(segments, vec![empty]);
    Ok(stale.iter().map(Segment::name).collect())
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
