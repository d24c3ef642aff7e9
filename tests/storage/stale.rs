//! Segments that the store has let go of: they cost the log nothing, and a start finds the log whatever is left of them.

use std::collections::BTreeSet;

use raftlab::raft::effects::Write;
use raftlab::storage::disk::Disk;
use raftlab::storage::json_store::JsonStore;
use raftlab::storage::memory::{Files, MemoryDisk};
use raftlab::storage::simulated::SimulatedDisk;
use raftlab::storage::snapshots::SnapshotFiles;
use raftlab::storage::{Recovered, Storage, StorageError};
use raftlab::types::LogIndex;

use crate::image::Table;
use crate::model::{compacting, id, resetting};
use crate::{appending, beside, entry, founders, open, refusal, voting};

fn name(first: u64) -> String {
    format!("log-{first:020}.jsonl")
}

/// The entries from 1 up to this one, of term 1, three in a segment.
fn filled<D: Disk>(disk: D, last: u64) -> JsonStore<D> {
    let (mut store, _) = open(disk).expect("a new folder");
    store.write(voting(1, 1)).expect("no failure is planned");
    for index in 1..=last {
        store.write(appending(&[entry(index, 1)])).expect("no failure is planned");
    }
    store.sync().expect("no failure is planned");
    store
}

/// Starts from all of these files but for some: for each choice of those that are missing.
fn starts(files: &Files, stale: &[String], mut check: impl FnMut(Result<Recovered, StorageError>, &str)) {
    for choice in 0..1_u32 << stale.len() {
        let gone =
            |name: &String| stale.iter().position(|s| s == name).is_some_and(|at| choice >> at & 1 == 1);
        let left: Files = files.clone().into_iter().filter(|(name, _)| !gone(name)).collect();
        let context = format!("{:?}", left.keys());
        let disk = MemoryDisk::new("n1", left);
        let first = open(disk.clone()).map(|(_, recovered)| recovered);
        if let Ok(first) = &first {
            let (_, again) = open(disk).expect("it started before");
            assert_eq!((again.base, &again.entries), (first.base, &first.entries), "{context}");
            assert_eq!(again.repaired, Vec::<String>::new(), "{context}");
        }
        check(first, &context);
    }
}

#[test]
fn a_log_of_many_segments_is_let_go_of_before_the_next_sync_without_removing_one() {
    let disk = SimulatedDisk::new("n1");
    let mut store = filled(disk.clone(), 3_000);
    let mut cost = |write: Write| {
        let before = disk.operations();
        store.write(write).expect("no failure is planned");
        store.sync().expect("no failure is planned");
        (disk.operations() - before, store.take_stale().len())
    };
    assert_eq!(cost(compacting(2, 1)).1, 0, "the first segment holds entry 3 too");
    assert_eq!(cost(compacting(3, 1)).1, 1);
    assert_eq!(cost(compacting(3, 1)).1, 0, "each is named once");
    let (operations, stale) = cost(Write { entries: vec![entry(3_001, 1)], ..compacting(3_000, 1) });
    assert!(operations < 20 && stale > 900, "{operations} operations, {stale} segments");
    let (operations, stale) = cost(Write { entries: vec![entry(3_002, 1)], ..compacting(3_001, 1) });
    assert!(operations < 20 && stale <= 1, "{operations} operations, {stale} segments");
}

#[test]
fn a_reset_of_a_log_of_many_segments_removes_few_of_them_before_the_next_sync() {
    let disk = SimulatedDisk::new("n1");
    let mut store = filled(disk.clone(), 3_000);
    let before = disk.operations();
    let reset = Write { entries: vec![entry(5_001, 1)], ..resetting(5_000, 1) };
    store.write(reset).expect("no failure is planned");
    store.sync().expect("no failure is planned");
    let (operations, stale) = (disk.operations() - before, store.take_stale().len());
    assert!(operations < 20 && stale > 900, "{operations} operations, {stale} segments");
}

#[test]
fn a_start_finds_the_log_whatever_is_left_of_what_was_compacted() {
    let disk = MemoryDisk::new("n1", Files::new());
    let mut store = filled(disk.clone(), 27);
    beside(disk.clone()).save(id(20, 1), &founders(), &Table::at(20), &|| true).expect("memory takes it");
    store.write(compacting(20, 1)).expect("memory takes it");
    let stale = store.take_stale();
    assert_eq!(stale, [1, 4, 7, 10, 13, 16].map(name));
    let mut lengths = BTreeSet::new();
    starts(&disk.files(), &stale, |recovered, context| {
        let recovered = recovered.expect(context);
        let known: Vec<_> = (recovered.base.index.0 + 1..=27).map(|index| entry(index, 1)).collect();
        assert!(recovered.base.index <= LogIndex(20), "{context}");
        assert_eq!(recovered.entries, known, "{context}");
        lengths.insert(known.len());
    });
    assert_eq!(lengths.len(), 7, "as much of the log as is left behind the last gap: {lengths:?}");
    // The log's own segments are missed.
    for lost in [19, 22].map(name) {
        let mut files = disk.files();
        files.remove(&lost);
        starts(&files, &stale, |recovered, context| {
            assert!(refusal(recovered).contains(" is damaged: "), "{context} without {lost}");
        });
    }
}

/// Else entries that no majority ever had would stand in the log below what is committed, and go to others from there.
#[test]
fn what_a_reset_let_go_of_never_comes_back_into_the_log() {
    for last in [11, 12, 14] {
        let disk = MemoryDisk::new("n1", Files::new());
        let mut store = filled(disk.clone(), last);
        store.write(voting(3, 1)).expect("memory takes it");
        store
            .write(Write { entries: vec![entry(13, 3), entry(14, 3)], ..resetting(12, 3) })
            .expect("memory takes it");
        store.write(appending(&[entry(15, 3), entry(16, 3)])).expect("memory takes it");
        store.sync().expect("memory keeps it");
        beside(disk.clone()).save(id(15, 3), &founders(), &Table::at(15), &|| true).expect("memory takes it");
        let stale = store.take_stale();
        assert_eq!(stale, [1, 4, 7].map(name), "the newest is gone for good");
        starts(&disk.files(), &stale, |recovered, context| {
            let recovered = recovered.expect(context);
            assert_eq!((recovered.base, recovered.entries.len()), (id(13, 3), 3), "{context}");
            assert_eq!(recovered.entries.last(), Some(&entry(16, 3)), "{context}");
        });
    }
}
