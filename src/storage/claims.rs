//! What a node's files claim of one another: which damage a start can notice.
//!
//! The simulator damages files by it. No reader can tell that lines are missing behind what `state.json` says to be durable
//! (`log_floor`): this is the named limit, and no start is asked for more.

use super::disk::Disk;
use super::recovery;
use super::segment::Segment;
use super::{snapshot_file, state_file};
use crate::types::LogIndex;

/// Whether the remaining files show that something is missing when this file is cut to this length, or removed.
pub(crate) fn would_be_missed(disk: &impl Disk, name: &str, length: usize) -> bool {
    let names = disk.list().unwrap_or_default();
    let mut segments: Vec<Segment> = names.iter().filter_map(|name| Segment::named(name)).collect();
    segments.sort_unstable();
    let covered = names.iter().filter_map(|name| snapshot_file::named(name)).max().unwrap_or_default();
    if name == state_file::NAME {
        // A folder with an empty log and nothing else is that of a first start which was cut short.
        let filled = |segment: &Segment| disk.length(&segment.name()).is_ok_and(|length| length > 0);
        return covered > LogIndex(0) || segments.iter().any(filled);
    }
    let Some(segment) = Segment::named(name) else { return true };
    if segments.last() != Some(&segment) {
        return true;
    }
    let Ok(Some(state)) = recovery::read_state(disk) else { return false };
    let bytes = disk.read(name).unwrap_or_default();
    let lines = bytes[..length].split(|byte| *byte == b'\n').skip(1).count() as u64;
    LogIndex(segment.first.0 - 1 + lines).max(covered) < state.log_floor.index
}
