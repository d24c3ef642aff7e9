//! Every byte of a small folder is cut at and changed: repaired and said, or refused, never a wrong start.

use raftlab::raft::entry::Entry;
use raftlab::storage::disk::Disk;
use raftlab::storage::json_store::{FLOOR_ENTRIES, JsonStore};
use raftlab::storage::memory::{Files, MemoryDisk};
use raftlab::storage::simulated::{DiskFailure, SimulatedDisk};
use raftlab::storage::{Recovered, Storage, StorageError};

use crate::image::load_table;
use crate::model::{compacting, resetting};
use crate::{appending, entry, founding, identity, open, opens_term, refusal, truncating, voting};

const STATE: &str = "state.json";
const FIRST: &str = "log-00000000000000000001.jsonl";
const SECOND: &str = "log-00000000000000000004.jsonl";

fn entries() -> Vec<Entry> {
    vec![opens_term(1, 1), entry(2, 1), entry(3, 1), entry(4, 1), entry(5, 1)]
}

/// A folder with `state.json` and two segments. The log was durable up to index 3 when the state was last saved.
fn files() -> Files {
    let disk = MemoryDisk::new("n1", Files::new());
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    store.write(voting(1, 1)).expect("memory takes it");
    store.write(appending(&entries()[..3])).expect("memory takes it");
    store.sync().expect("memory keeps it");
    store.write(voting(2, 1)).expect("memory takes it");
    store.write(appending(&entries()[3..])).expect("memory takes it");
    store.sync().expect("memory keeps it");
    let files = disk.files();
    assert_eq!(files.keys().collect::<Vec<_>>(), [FIRST, SECOND, STATE]);
    files
}

fn start(files: Files) -> Result<Recovered, StorageError> {
    let disk = MemoryDisk::new("n1", files);
    let before = disk.files();
    let result = open(disk.clone()).map(|(_, recovered)| recovered);
    if result.is_err() {
        assert_eq!(disk.files(), before, "a refusal changes nothing");
    }
    result
}

fn start_with(file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<Recovered, StorageError> {
    let mut files = files();
    change(files.get_mut(file).expect("one of the three files"));
    start(files)
}

#[test]
fn undamaged_files_start_without_a_word() {
    let recovered = start(files()).expect("nothing is wrong");
    assert_eq!(recovered.entries, entries());
    assert_eq!(recovered.repaired, Vec::<String>::new());
    assert!(!recovered.fresh);
}

#[test]
fn a_changed_byte_never_loses_or_changes_an_entry() {
    for (file, content) in files() {
        for (place, byte) in content.iter().enumerate() {
            // Single bits, all bits, into a newline, into a zero.
            for mask in [0x01, 0x08, 0x20, 0x80, 0xff, byte ^ b'\n', *byte] {
                if mask == 0 {
                    continue;
                }
                match start_with(&file, |content| content[place] ^= mask) {
                    Ok(recovered) => {
                        assert_eq!(recovered.entries, entries(), "{file} byte {place} changed by {mask:#x}");
                        assert_eq!(recovered.repaired.len(), 1, "{file} byte {place} changed by {mask:#x}");
                        assert!(
                            place == content.len() - 1 && mask == *byte,
                            "only a zero for the last newline"
                        );
                    }
                    Err(error) => {
                        let message = refusal::<()>(Err(error));
                        let line = content[..=place].split_inclusive(|byte| *byte == b'\n').count();
                        let named = if file == STATE {
                            file.clone()
                        } else {
                            format!("{file} line {line} is damaged")
                        };
                        assert!(message.contains(&named), "{file} byte {place}: {message}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_cut_file_gives_a_prefix_and_says_so_or_is_refused() {
    for (file, content) in files() {
        for length in 0..content.len() {
            let context = format!("{file} cut to {length}");
            match start_with(&file, |content| content.truncate(length)) {
                Ok(recovered) => {
                    assert_eq!(file, SECOND, "{context}: only the last segment can be unfinished");
                    assert!(entries().starts_with(&recovered.entries), "{context}");
                    assert!(recovered.entries.len() >= 3, "{context}: durable when the state was saved");
                    let between_lines = length == 0 || content[length - 1] == b'\n';
                    assert_eq!(recovered.repaired.is_empty(), between_lines, "{context}");
                }
                Err(error) => {
                    assert_ne!(file, SECOND, "{context}: a torn tail is repaired");
                    assert!(refusal::<()>(Err(error)).contains(" is damaged: "), "{context}");
                }
            }
        }
    }
}

/// The same folder after a polite end, which records that the log is durable up to its last entry.
fn files_left_politely() -> Files {
    let disk = MemoryDisk::new("n1", files());
    let (mut store, _) = open(disk.clone()).expect("nothing is wrong");
    store.save_floor().expect("memory takes it");
    disk.files()
}

/// Every way in which a folder may have lost a byte, a run of bytes, a line, a run of lines or a file: what is missing,
/// and what is left.
fn losses(files: &Files) -> Vec<(String, Files)> {
    let mut all = Vec::new();
    for (name, content) in files {
        let mut lose = |what: String, left: Option<Vec<u8>>| {
            let mut files = files.clone();
            match left {
                Some(left) => files.insert(name.clone(), left),
                None => files.remove(name),
            };
            all.push((format!("{name} without {what}"), files));
        };
        lose("anything: it is gone".to_string(), None);
        for length in 0..content.len() {
            lose(format!("its bytes from {length} on"), Some(content[..length].to_vec()));
            let byte = [&content[..length], &content[length + 1..]].concat();
            lose(format!("its byte {length}"), Some(byte));
        }
        let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
        for first in 0..lines.len() {
            for end in first + 1..=lines.len() {
                let left = [&lines[..first], &lines[end..]].concat().concat();
                lose(format!("its lines {} to {end}", first + 1), Some(left));
            }
        }
    }
    // Whole files from the end of the log, as many as there are.
    let segments: Vec<&String> = files.keys().filter(|name| name.starts_with("log-")).collect();
    for first in 0..segments.len() {
        let mut left = files.clone();
        left.retain(|name, _| !segments[first..].contains(&name));
        all.push((format!("the folder without {:?}", &segments[first..]), left));
    }
    all
}

#[test]
fn after_a_polite_end_nothing_can_be_lost_unseen() {
    let files = files_left_politely();
    assert_eq!(start(files.clone()).expect("nothing is wrong").entries, entries());
    for (lost, left) in losses(&files) {
        match start(left) {
            Ok(recovered) => {
                assert_eq!(recovered.entries, entries(), "{lost}");
                assert!(lost.contains("byte"), "{lost}: only the last newline is no loss");
            }
            Err(error) => {
                let message = refusal::<()>(Err(error));
                assert!(message.contains(" is damaged: "), "{lost}: {message}");
            }
        }
    }
}

#[test]
fn after_a_crash_what_can_be_lost_unseen_lies_behind_the_last_record() {
    for (lost, left) in losses(&files()) {
        if let Ok(recovered) = start(left) {
            assert!(recovered.entries.len() >= 3, "{lost}: durable when the state was saved");
            assert!(entries().starts_with(&recovered.entries), "{lost}");
        }
    }
}

#[test]
fn a_record_that_was_cut_after_a_polite_end_is_no_torn_tail() {
    let mut files = files_left_politely();
    let last = files.get_mut(SECOND).expect("the second segment");
    last.truncate(last.len() - 9);
    let message = refusal(start(files));
    let expected = format!("n1/{SECOND} is damaged: it ends with index 4 but was durable up to 5");
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn an_entry_of_another_history_where_the_log_was_durable_is_refused() {
    let mut files = files_left_politely();
    let other = MemoryDisk::new("n1", Files::new());
    let (mut store, _) = open(other.clone()).expect("a new folder");
    store.write(voting(2, 1)).expect("memory takes it");
    store.write(appending(&entries()[..3])).expect("memory takes it");
    store.write(appending(&[opens_term(4, 2), entry(5, 2), entry(6, 2)])).expect("memory takes it");
    files.insert(SECOND.to_string(), other.files()[SECOND].clone());
    let message = refusal(start(files));
    assert!(message.contains("its entry 5 is of term 2 but was of 1"), "{message}");
}

/// What `state.json` says of the log.
fn floor_of(files: &Files) -> (u64, u64) {
    let state: serde_json::Value = serde_json::from_slice(&files[STATE]).expect("JSON");
    let number = |name: &str| state[name].as_u64().expect("a number");
    (number("log_floor"), number("log_floor_term"))
}

#[test]
fn the_state_records_up_to_where_the_log_is_durable() {
    let disk = MemoryDisk::new("n1", Files::new());
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    let three = appending(&[entry(1, 1), entry(2, 2), entry(3, 2)]);
    for (write, floor, why) in [
        (voting(3, 1), (0, 0), "there is no entry"),
        (three, (0, 0), "nothing is durable"),
        (appending(&[entry(4, 3)]), (3, 2), "a segment begins"),
        (truncating(3), (2, 2), "it never claims more than there is"),
        (appending(&[entry(3, 3)]), (2, 2), "nothing new is durable"),
    ] {
        store.write(write).expect("memory takes it");
        store.save_floor().expect("memory takes it");
        assert_eq!(floor_of(&disk.files()), floor, "{why}");
    }
    store.sync().expect("memory keeps it");
    assert_eq!(floor_of(&disk.files()), (2, 2), "an fsync costs nothing more");
    store.write(compacting(1, 1)).expect("memory takes it");
    assert_eq!(floor_of(&disk.files()), (3, 3), "a snapshot takes the place of entries");
    store.write(resetting(2, 2)).expect("memory takes it");
    assert_eq!(floor_of(&disk.files()), (2, 2), "a leader's snapshot takes the place of the log");
    store.write(appending(&[entry(3, 3)])).expect("memory takes it");
    store.sync().expect("memory keeps it");
    store.save_floor().expect("memory takes it");
    assert_eq!(floor_of(&disk.files()), (3, 3), "its driver asks for it");
}

#[test]
fn a_disk_without_room_for_a_record_is_compacted_and_records_later() {
    let disk = SimulatedDisk::new("n1");
    let (mut store, _) = open(disk.clone()).expect("no failure is planned");
    store.write(voting(1, 1)).expect("no failure is planned");
    store.write(appending(&entries()[..3])).expect("no failure is planned");
    store.sync().expect("no failure is planned");
    let floor = || floor_of(&Files::from([(STATE.to_string(), disk.read(STATE).expect("it is there"))]));
    for write in [Some(compacting(1, 1)), None] {
        disk.fail_at(disk.operations() + 1, DiskFailure::NoSpace);
        let result = match write {
            Some(write) => store.write(write),
            None => store.save_floor(),
        };
        result.expect("what is recorded stays true");
        assert_eq!(floor(), (0, 0));
    }
    store.save_floor().expect("there is room again");
    assert_eq!(floor(), (3, 1), "although nothing was appended meanwhile");
}

#[test]
fn so_many_entries_are_synced_without_a_record_and_no_more() {
    let disk = MemoryDisk::new("n1", Files::new());
    let opened = JsonStore::open(disk.clone(), &identity(), u64::MAX, &founding(), load_table);
    let (mut store, _) = opened.expect("a new folder");
    store.write(voting(1, 1)).expect("memory takes it");
    for index in 1..=FLOOR_ENTRIES {
        assert_eq!(floor_of(&disk.files()), (0, 0), "{index}");
        store.write(appending(&[entry(index, 1)])).expect("memory takes it");
        store.sync().expect("memory keeps it");
    }
    assert_eq!(floor_of(&disk.files()), (FLOOR_ENTRIES, 1));
}

#[test]
fn zero_bytes_behind_the_last_line_are_a_block_that_was_never_written() {
    let recovered = start_with(SECOND, |content| content.extend([0; 600])).expect("a torn tail");
    assert_eq!(recovered.entries, entries());
    assert_eq!(recovered.repaired, [format!("n1/{SECOND}: cut off 600 bytes of the unfinished line 3")]);
}

#[test]
fn a_whole_record_without_its_newline_is_kept() {
    let recovered = start_with(SECOND, |content| content.truncate(content.len() - 1))
        .expect("only the newline is missing");
    assert_eq!(recovered.entries, entries());
    assert_eq!(recovered.repaired, [format!("n1/{SECOND}: added the missing newline to line 2")]);
}

#[test]
fn a_log_shorter_than_it_was_durable_is_refused() {
    let mut files = files();
    files.remove(SECOND);
    let content = files.get_mut(FIRST).expect("the first segment");
    let two_lines = content.split_inclusive(|byte| *byte == b'\n').take(2).map(<[u8]>::len).sum();
    content.truncate(two_lines);
    let message = refusal(start(files));
    assert!(message.contains("it ends with index 2 but was durable up to 3"), "{message}");
}

#[test]
fn a_missing_file_is_refused_and_an_empty_last_segment_is_not() {
    let without = |file: &str| {
        let mut files = files();
        files.remove(file);
        start(files)
    };
    assert!(refusal(without(STATE)).contains("it is missing although there is a log-"));
    assert!(refusal(without(FIRST)).contains("index 1 should come first; a segment before it is missing"));
    let neither = Files::from([(STATE.to_string(), files()[STATE].clone())]);
    assert!(refusal(start(neither)).contains("the log is missing"));
    let recovered = start_with(SECOND, Vec::clear).expect("a segment may have been begun and never written");
    assert_eq!(recovered.entries, entries()[..3]);
}

#[test]
fn an_entry_of_a_term_that_the_state_does_not_know_is_refused() {
    let disk = MemoryDisk::new("n1", Files::new());
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    let old_state = disk.files()[STATE].clone();
    store.write(voting(1, 1)).expect("memory takes it");
    store.write(appending(&entries()[..1])).expect("memory takes it");
    let mut files = disk.files();
    files.insert(STATE.to_string(), old_state);
    let message = refusal(start(files));
    assert!(message.contains("line 1 is damaged: its term 1 is above the term 0 of state.json"), "{message}");
}

#[test]
fn lines_out_of_order_are_refused_although_each_is_whole() {
    let swapped = start_with(FIRST, |content| {
        let mut lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
        lines.swap(1, 2);
        *content = lines.concat();
    });
    assert!(refusal(swapped).contains("line 2 is damaged: it holds index 3 where 2 belongs"));
}
