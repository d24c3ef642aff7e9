//! Starts from a disk that is full, or nearly so.

use std::sync::Arc;

use raftlab::storage::faults::{DiskFaults, FaultyDisk};
use raftlab::storage::memory::MemoryDisk;
use raftlab::storage::{Storage, StorageError};
use raftlab::types::LogIndex;

use crate::{appending, entry, open, refusal, voting};

const SEGMENT: &str = "log-00000000000000000001.jsonl";

/// A folder with three entries, and an unfinished fourth line.
fn torn() -> MemoryDisk {
    let disk = MemoryDisk::new("n1", raftlab::storage::memory::Files::new());
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    store.write(voting(1, 1)).expect("memory takes it");
    store.write(appending(&[entry(1, 1), entry(2, 1), entry(3, 1)])).expect("memory takes it");
    store.sync().expect("memory takes it");
    drop(store);
    let mut files = disk.files();
    files.get_mut(SEGMENT).expect("the log").extend_from_slice(b"{\"index\":4,\"te");
    MemoryDisk::new("n1", files)
}

/// What a disk with so much room left makes of a start.
fn start(disk: &MemoryDisk, room: u64) -> Result<usize, StorageError> {
    let faults = Arc::new(DiskFaults::default());
    faults.leave_room(room);
    let (_, recovered) = open(FaultyDisk::new(disk.clone(), faults))?;
    assert_eq!(recovered.entries.last().map(|entry| entry.index), Some(LogIndex(3)));
    Ok(recovered.repaired.len())
}

#[test]
fn without_room_for_a_copy_of_the_log_it_is_made_durable_in_place() {
    let disk = torn();
    let (state, log) = (disk.files()["state.json"].len() as u64, disk.files()[SEGMENT].len() as u64);
    assert!(log > state + 60, "the log does not fit where term and vote do: {log}, {state}");
    assert_eq!(start(&disk, state + 50).expect("there is room for term and vote"), 1, "one repair is told");
    let files = disk.files();
    assert!(files[SEGMENT].ends_with(b"\"}\n"), "the unfinished line is gone");
    assert!(
        files.keys().all(|name| !name.contains(".new")),
        "nothing is left of the try: {:?}",
        files.keys()
    );
    assert_eq!(start(&disk, u64::MAX).expect("there is room for all"), 0);
}

#[test]
fn without_room_for_term_and_vote_the_start_is_refused_and_says_how_much_it_needs() {
    let disk = torn();
    let bytes = disk.files()["state.json"].len();
    for room in [0, 50] {
        let message = refusal(start(&disk, room));
        let expected = format!(
            "cannot write n1/state.json: the disk is full, and a start needs {bytes} bytes of it for a moment, for term \
             and vote; nothing is lost: make room, then start again"
        );
        assert_eq!(message, expected);
        assert!(disk.files().keys().all(|name| !name.contains(".new")), "nothing is left of the try");
    }
    start(&disk, u64::MAX).expect("once there is room it starts");
}
