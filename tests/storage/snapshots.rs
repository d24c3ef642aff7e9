//! Snapshots as files: made, sent, received, refused when a single byte is wrong, given up, and removed.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use raftlab::state_machine::image::Image;
use raftlab::storage::disk::Disk;
use raftlab::storage::faults::{DiskFaults, FaultyDisk};
use raftlab::storage::memory::{Files, MemoryDisk};
use raftlab::storage::simulated::{DiskFailure, SimulatedDisk};
use raftlab::storage::snapshots::{SnapshotFiles, Snapshots};
use raftlab::storage::{ClusterId, Storage, StorageError};
use raftlab::types::{LogIndex, Random};

use crate::image::{Table, load_table};
use crate::model::{file_of, id};
use crate::{beside, founders, open, refusal, voting};

const NAME: &str = "snapshot-00000000000000000004.json";
/// Keys of a state that takes several pieces, and several syncs.
const LARGE: u64 = 300_000;

fn memory() -> MemoryDisk {
    MemoryDisk::new("n1", Files::new())
}

/// A folder with `state.json`, a log without entries, and this file as a snapshot up to index 4.
fn folder_with(snapshot: &[u8]) -> MemoryDisk {
    let disk = memory();
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    store.write(voting(3, 1)).expect("memory takes it");
    let mut files = disk.files();
    files.insert(NAME.to_string(), snapshot.to_vec());
    MemoryDisk::new("n1", files)
}

/// What finishing says of a file that was received as a snapshot up to index 4.
fn received(file: &[u8]) -> (MemoryDisk, Result<Table, String>) {
    let disk = memory();
    let mut snapshots = beside(disk.clone());
    snapshots.receive(id(4, 3), 0, file).expect("memory takes it");
    let finished = snapshots.finish(id(4, 3), load_table).expect("memory does not fail");
    (disk, finished.map(|found| Table::of(found.image)))
}

/// A whole file, with its seal, of another content.
fn sealed(text: &str) -> Vec<u8> {
    format!("{text},\"crc\":\"{:08x}\"}}\n", crc32fast::hash(text.as_bytes())).into_bytes()
}

#[test]
fn a_snapshot_is_legible_json_and_names_no_node() {
    let file = String::from_utf8(file_of(id(4, 3))).expect("JSON is text");
    let (head, content) = file.split_once('\n').expect("the head is a line");
    assert_eq!(
        head,
        r#"{"format":3,"cluster":"00000000000000c1","index":4,"term":3,"configured":0,"members":{"voters":{"n1":1,"n2":1,"n3":1}},"content":"#
    );
    assert!(content.starts_with(r#"{"key-1":1,"key-2":2,"key-3":3,"key-4":4},"crc":""#), "{content}");
    let json: serde_json::Value = serde_json::from_str(&file).expect("jq can read it");
    assert_eq!(json["content"]["key-4"], 4);
}

#[test]
fn what_is_saved_is_found_by_a_start_and_the_log_connects_to_it() {
    let disk = folder_with(&file_of(id(4, 3)));
    let (_, recovered) = open(disk.clone()).expect("nothing is wrong");
    assert_eq!(recovered.summary(), "term 3, snapshot at index 4, 0 entries reloaded");
    let snapshot = recovered.snapshot.expect("it is there");
    assert_eq!((snapshot.id, snapshot.bytes), (id(4, 3), disk.files()[NAME].len() as u64));
    assert_eq!(Table::of(snapshot.image), Table::at(4));
    assert_eq!(recovered.base, id(4, 3));
}

#[test]
fn a_part_has_the_bytes_from_its_place_and_says_where_the_end_is() {
    let disk = memory();
    let bytes =
        beside(disk.clone()).save(id(4, 3), &founders(), &Table::at(4), &|| true).expect("memory takes it");
    assert_eq!(disk.files().keys().collect::<Vec<_>>(), [NAME]);
    assert_eq!(bytes, disk.files()[NAME].len() as u64);
    let mut snapshots = beside(disk.clone());
    let mut sent = Vec::new();
    loop {
        let part = snapshots.read(id(4, 3), sent.len() as u64, 7).expect("it is there");
        assert!(part.data.len() == 7 || part.done);
        sent.extend(part.data);
        if part.done {
            break;
        }
    }
    assert_eq!(sent, disk.files()[NAME]);
    for offset in [bytes, u64::MAX] {
        let behind = snapshots.read(id(4, 3), offset, 7).expect("it is there");
        assert!(behind.data.is_empty() && behind.done);
    }
    assert!(refusal(snapshots.read(id(5, 3), 0, 7)).starts_with("cannot read n1/snapshot-0"));
}

#[test]
fn a_received_snapshot_counts_once_it_is_complete() {
    let file = file_of(id(4, 3));
    let disk = memory();
    let mut snapshots = beside(disk.clone());
    snapshots.receive(id(9, 3), 0, b"of another leader").expect("memory takes it");
    for (place, byte) in file.iter().enumerate() {
        snapshots.receive(id(4, 3), place as u64, &[*byte]).expect("memory takes it");
        assert_eq!(disk.files().keys().collect::<Vec<_>>(), ["incoming.new"]);
    }
    let finished = snapshots.finish(id(4, 3), load_table).expect("memory does not fail");
    let found = finished.expect("nothing is wrong with it");
    assert_eq!((found.id, found.bytes, found.configured), (id(4, 3), file.len() as u64, founders()));
    assert_eq!(Table::of(found.image), Table::at(4));
    assert_eq!(disk.files(), Files::from([(NAME.to_string(), file)]));
}

#[test]
#[should_panic(expected = "a part at 3 of the snapshot up to 4@3 does not follow")]
fn a_part_that_leaves_a_gap_is_a_defect_of_the_caller() {
    let mut snapshots = beside(memory());
    snapshots.receive(id(4, 3), 0, b"ab").expect("memory takes it");
    let _ = snapshots.receive(id(4, 3), 3, b"d");
}

#[test]
fn a_single_wrong_byte_is_refused_and_changes_nothing() {
    let file = file_of(id(4, 3));
    for place in 0..file.len() {
        for mask in [0x01, 0x02, 0x08, 0x20, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[place] ^= mask;
            refuse(&changed, &format!("byte {place} changed by {mask:#x}"));
        }
    }
}

#[test]
fn a_snapshot_that_is_cut_or_longer_is_refused_and_changes_nothing() {
    let file = file_of(id(4, 3));
    for length in 0..file.len() {
        refuse(&file[..length], &format!("cut to {length}"));
    }
    refuse(&[&file[..], b"\n"].concat(), "with another line");
    refuse(&[&file[..], &[0; 600]].concat(), "with zeros behind it");
}

fn refuse(file: &[u8], context: &str) {
    let disk = folder_with(file);
    let before = disk.files();
    let error = open(disk.clone()).map(drop).expect_err(context);
    assert!(
        matches!(error, StorageError::Damaged { .. } | StorageError::OtherFormat { .. }),
        "{context}: {error}"
    );
    assert!(refusal::<()>(Err(error)).starts_with(&format!("n1/{NAME} ")), "{context}: it is named");
    assert_eq!(disk.files(), before, "{context}");
    let (disk, result) = received(file);
    assert!(result.is_err(), "{context}");
    assert_eq!(disk.files(), Files::new(), "{context}: it is removed");
}

#[test]
fn a_snapshot_of_another_cluster_format_place_or_term_is_refused_as_such() {
    let start = |file: &[u8]| refusal(open(folder_with(file)));
    let disk = memory();
    Snapshots::new(disk.clone(), ClusterId(0xc2))
        .save(id(4, 3), &founders(), &Table::at(4), &|| true)
        .expect("memory takes it");
    let foreign = &disk.files()[NAME];
    assert!(start(foreign).contains("belongs to cluster 00000000000000c2, not to 00000000000000c1"));
    assert_eq!(received(foreign).1, Err("it is of cluster 00000000000000c2".to_string()));

    let newer = sealed(r#"{"format":4,"what":"ever""#);
    assert!(start(&newer).contains("has format 4, and this program reads format 3: use a newer program"));
    assert_eq!(received(&newer).1, Err("it has format 4, and this program reads format 3".to_string()));
    let older = sealed(r#"{"format":1,"what":"ever""#);
    assert!(
        start(&older)
            .contains("has format 1, and this program reads format 3: use the program that wrote it")
    );

    let elsewhere = file_of(id(5, 3));
    assert!(start(&elsewhere).contains("is damaged: it is the snapshot up to 5@3, not up to 4"));
    let of_another_term = received(&file_of(id(4, 2))).1.expect_err("it is not what was announced");
    assert_eq!(of_another_term, "it is damaged: it is the snapshot up to 4@2, not up to 4@3");

    let later = file_of(id(4, 4));
    assert!(start(&later).contains("is damaged: its term 4 is above the term 3 of state.json"));
}

#[test]
fn a_right_checksum_does_not_excuse_a_wrong_shape() {
    let head = r#"{"format":3,"cluster":"00000000000000c1","index":4,"term":3,"configured":0,"members":{"voters":{"n1":1,"n2":1,"n3":1}},"content":"#;
    assert!(received(&sealed(&format!("{head}\n{{}}"))).1.is_ok());
    let wrong = [
        format!("{head}{{}}"),
        format!("{head}\n{{\"x\":true}}"),
        format!("{head}\n"),
        format!("{head}\n{{}},\"more\":{{}}"),
        head.replace(",\"term\":3", "") + "\n{}",
        head.replace("\"configured\":0", "\"configured\":5") + "\n{}",
        head.replace("\"format\":3", "\"format\":0") + "\n{}",
        head.replace("\"format\":3,", "") + "\n{}",
        head.replace("{\"format\"", "{ \"format\"").replace("\"term\":3", "\"term\":3,\"node\":\"n2\"")
            + "\n{}",
        format!("{{\"format\":1,\"cluster\":\"{}", "0".repeat(5_000)),
        String::new(),
    ];
    for text in wrong {
        assert!(received(&sealed(&text)).1.is_err(), "{text}");
        assert!(open(folder_with(&sealed(&text))).is_err(), "{text}");
    }
}

#[test]
fn a_large_state_goes_through_in_pieces() {
    /// Writes in small steps, as a state machine does that keeps many items.
    struct Stepwise(Table);

    impl Image for Stepwise {
        fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
            let mut text = Vec::new();
            self.0.write(&mut text)?;
            text.chunks(1_000).try_for_each(|step| out.write_all(step))
        }

        fn size(&self) -> usize {
            self.0.size()
        }

        fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
            self
        }
    }

    let table = Table::at(LARGE);
    let disk = SimulatedDisk::new("n1");
    let asked = Cell::new(0);
    let go_on = || {
        asked.set(asked.get() + 1);
        true
    };
    let bytes =
        beside(disk.clone()).save(id(4, 3), &founders(), &table, &go_on).expect("no failure is planned");
    assert!(bytes > 4 << 20, "{bytes} bytes are to need several syncs");
    assert!(asked.get() > bytes >> 18, "asked {} times for {bytes} bytes", asked.get());
    // The others remove what was there, make the file, rename it, and make that durable.
    let syncs = disk.operations() - asked.get() - 4;
    // After a mebibyte, up to the end of the piece that completes it.
    let (fewest, most) = ((bytes >> 21) + 1, (bytes >> 20) + 1);
    assert!((fewest..=most).contains(&syncs), "{syncs} for {bytes} bytes, one of them at the end");
    let file = disk.read(NAME).expect("it is there");
    assert_eq!(received(&file).1, Ok(Table::at(LARGE)));
    beside(disk.clone())
        .save(id(4, 3), &founders(), &Stepwise(table), &|| true)
        .expect("no failure is planned");
    assert_eq!(disk.read(NAME).expect("it is there"), file, "the steps do not matter");
}

#[test]
fn a_failing_disk_fails_a_save_which_leaves_nothing_behind() {
    let table = Table::at(LARGE);
    for failure in [DiskFailure::InputOutput, DiskFailure::NoSpace, DiskFailure::PagesLost] {
        for operation in 1.. {
            let context = format!("{failure:?} at operation {operation}");
            let disk = SimulatedDisk::new("n1");
            let mut snapshots = beside(disk.clone());
            disk.fail_at(operation, failure);
            let Err(error) = snapshots.save(id(4, 3), &founders(), &table, &|| true) else {
                assert!(operation > 20, "{context}: it has pieces, syncs, and a rename");
                break;
            };
            assert_eq!(
                matches!(error, StorageError::NoSpace { .. }),
                failure == DiskFailure::NoSpace,
                "{context}"
            );
            let names = disk.list().expect("the disk works");
            assert!(names.iter().all(|name| name == NAME), "{context}: {names:?}");
            snapshots.save(id(4, 3), &founders(), &Table::at(4), &|| true).expect(&context);
            disk.power_cut(&mut Random::new(operation));
            assert_eq!(received(&disk.read(NAME).expect(&context)).1, Ok(Table::at(4)), "{context}");
        }
    }
}

#[test]
fn a_full_disk_is_named_and_gives_the_room_back() {
    let (memory, faults) = (memory(), Arc::new(DiskFaults::default()));
    let mut snapshots = beside(FaultyDisk::new(memory.clone(), Arc::clone(&faults)));
    let table = Table::at(LARGE);
    let asked = Cell::new(0);
    let fill_meanwhile = || {
        asked.set(asked.get() + 1);
        faults.fill(asked.get() > 3);
        true
    };
    let message = refusal(snapshots.save(id(4, 3), &founders(), &table, &fill_meanwhile));
    let expected = format!("cannot write n1/{NAME}.new: the disk is full; make room, then restart the node");
    assert_eq!(message, expected);
    assert_eq!(memory.files(), Files::new());
    let message = refusal(snapshots.receive(id(4, 3), 0, b"anything"));
    assert!(message.starts_with("cannot write n1/incoming.new: the disk is full"), "{message}");
    faults.clear();
    snapshots.save(id(4, 3), &founders(), &table, &|| true).expect("there is room again");
    assert_eq!(memory.files().len(), 1);
}

#[test]
fn a_save_is_given_up_between_its_pieces() {
    let table = Table::at(LARGE);
    for pieces in 0..5 {
        let disk = memory();
        let left = Cell::new(pieces);
        let go_on = || left.replace(left.get() - 1) > 0;
        let result = beside(disk.clone()).save(id(4, 3), &founders(), &table, &go_on);
        assert!(matches!(result, Err(StorageError::GivenUp { .. })), "after {pieces} pieces");
        assert!(refusal(result).contains(&format!("n1/{NAME}.new was given up")));
        assert_eq!(disk.files(), Files::new());
    }
}

#[test]
fn old_snapshots_are_removed_and_the_newest_never() {
    let disk = memory();
    let mut snapshots = beside(disk.clone());
    snapshots.remove_before(LogIndex(9), &[]).expect("there is none");
    for index in [2, 4, 6, 8] {
        snapshots.save(id(index, 3), &founders(), &Table::at(index), &|| true).expect("memory takes it");
    }
    let mut left_before = |index, kept: &[u64]| {
        let kept: Vec<LogIndex> = kept.iter().copied().map(LogIndex).collect();
        snapshots.remove_before(LogIndex(index), &kept).expect("memory does not fail");
        disk.files().len()
    };
    assert_eq!([left_before(2, &[]), left_before(6, &[2])], [4, 3], "one of less is being sent");
    assert_eq!([left_before(6, &[]), left_before(7, &[]), left_before(100, &[])], [2, 1, 1]);
    assert!(disk.files().contains_key("snapshot-00000000000000000008.json"));
}
