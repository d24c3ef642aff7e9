//! What is read of a folder that is whole, and of one that is damaged anywhere.

use super::*;
use crate::raft::effects::{HardState, Write};
use crate::raft::entry::{Content, Entry};
use crate::state_machine::image::Image;
use crate::storage::json_store::JsonStore;
use crate::storage::memory::{Files, MemoryDisk};
use crate::storage::snapshots::{SnapshotFiles, Snapshots};
use crate::storage::{ClusterId, Identity, NewStore, Storage, no_image};
use crate::types::{Epoch, FOUNDERS_STORE};

use std::any::Any;
use std::io;

struct Nothing;

impl Image for Nothing {
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(b"null")
    }

    fn size(&self) -> usize {
        0
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// A founder's folder: entries 1 to 6 of term 2, of which a snapshot covers 3, and 5 are known to be committed.
fn folder() -> MemoryDisk {
    let disk = MemoryDisk::new("states/n1", Files::new());
    let identity = Identity { cluster: ClusterId(1), epoch: Epoch::FIRST, node: NodeId::new(1) };
    let founding = NewStore::founding(NodeId::first(3));
    let (mut store, _) =
        JsonStore::open(disk.clone(), &identity, 200, &founding, no_image).expect("a new folder");
    let hard_state = HardState { current_term: Term(2), store_id: FOUNDERS_STORE, ..HardState::default() };
    let entry = |index| Entry { index: LogIndex(index), term: Term(2), content: Content::NoOp };
    for index in 1..=6 {
        let write = Write { hard_state: Some(hard_state), entries: vec![entry(index)], ..Write::default() };
        store.write(write).expect("memory takes it");
    }
    store.note_commit(LogIndex(5));
    store.sync().expect("memory takes it");
    store.save_floor().expect("memory takes it");
    let founders = Configured::founders(NodeId::first(3));
    let mut snapshots = Snapshots::new(disk.clone(), ClusterId(1));
    snapshots
        .save(EntryId::new(Term(2), LogIndex(3)), &founders, &Nothing, &|| true)
        .expect("memory takes it");
    disk
}

fn read(disk: &MemoryDisk) -> Remains {
    examine(disk).expect("memory can be read")
}

#[test]
fn a_whole_folder_says_who_it_is_and_what_it_proves() {
    let remains = read(&folder());
    assert!(remains.is_sound(), "{:?}", remains.files.troubles);
    assert_eq!(remains.member(), Some(Member::founder(NodeId::new(1))));
    assert_eq!((remains.committed(), remains.last()), (LogIndex(5), EntryId::new(Term(2), LogIndex(6))));
    assert_eq!(remains.configured(), Some(Configured::founders(NodeId::first(3))));
}

#[test]
fn damage_at_any_byte_is_told_and_never_believed() {
    let disk = folder();
    let whole = read(&disk);
    let mut told = 0;
    for (name, content) in disk.files() {
        for place in 0..content.len() {
            let mut files = disk.files();
            files.get_mut(&name).expect("it is there")[place] ^= 1;
            let remains = read(&MemoryDisk::new("states/n1", files));
            assert!(!remains.is_sound() || remains == whole, "{name} byte {place}: {remains:?}");
            assert!(remains.committed() <= whole.committed(), "{name} byte {place}");
            told += usize::from(!remains.is_sound());
        }
        let mut files = disk.files();
        files.remove(&name);
        let remains = read(&MemoryDisk::new("states/n1", files));
        assert!(remains.committed() <= whole.committed(), "{name} is gone");
    }
    assert!(told > 500, "{told} changes were told of");
}

#[test]
fn what_is_missing_is_named() {
    let disk = folder();
    let names: Vec<String> = disk.files().into_keys().filter(|name| name.starts_with("log-")).collect();
    assert!(names.len() > 1, "{names:?}");
    let without = |gone: &str| {
        let mut files = disk.files();
        files.remove(gone);
        read(&MemoryDisk::new("states/n1", files)).files.troubles
    };
    let last = without(&names[names.len() - 1]);
    assert!(last.iter().any(|told| told.contains("the log ends with index")), "{last:?}");
    let state = without("state.json");
    assert!(state.iter().any(|told| told.ends_with("state.json: it is missing")), "{state:?}");
    let mut files = disk.files();
    files.retain(|name, _| !name.starts_with("snapshot-") && *name != names[0]);
    let gap = read(&MemoryDisk::new("states/n1", files)).files.troubles;
    assert!(gap.iter().any(|told| told.contains("are missing")), "{gap:?}");
}
