//! Looks at files that change meanwhile, or that are damaged.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::raft::entry::Content;
use crate::storage::ClusterId;
use crate::storage::disk::{Lock, LockError};
use crate::storage::simulated::SimulatedDisk;
use crate::types::{Epoch, NodeId};

/// A folder that is changed from one history to another just before one of its reads.
struct Moving {
    disk: SimulatedDisk,
    reads: AtomicUsize,
    at: usize,
}

impl Moving {
    fn read(&self) {
        if self.reads.fetch_add(1, Ordering::SeqCst) == self.at {
            write(&mut self.disk.clone(), 2, 2);
        }
    }
}

impl Disk for Moving {
    fn create_folder(&mut self) -> io::Result<()> {
        self.disk.create_folder()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.read();
        self.disk.list()
    }

    fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        Moving::read(self);
        self.disk.read(file)
    }

    fn read_at(&self, file: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        Moving::read(self);
        self.disk.read_at(file, offset, length)
    }

    fn length(&self, file: &str) -> io::Result<u64> {
        Moving::read(self);
        self.disk.length(file)
    }

    fn create(&mut self, file: &str) -> io::Result<()> {
        self.disk.create(file)
    }

    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.disk.append(file, bytes)
    }

    fn truncate(&mut self, file: &str, length: u64) -> io::Result<()> {
        self.disk.truncate(file, length)
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        self.disk.sync(file)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        self.disk.remove(file)
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.disk.sync_folder()
    }

    fn lock(&mut self) -> Result<Lock, LockError> {
        self.disk.lock()
    }

    fn describe(&self, file: &str) -> String {
        self.disk.describe(file)
    }
}

fn line(index: u64, term: u64) -> Vec<u8> {
    let mut line = Vec::new();
    record::encode(&Entry { index: LogIndex(index), term: Term(term), content: Content::NoOp }, &mut line);
    line
}

/// A log of six entries in two segments: those up to `kept` of term 1, the others of this term.
fn write(disk: &mut SimulatedDisk, kept: u64, term: u64) {
    let identity = Identity { cluster: ClusterId(1), epoch: Epoch::FIRST, node: NodeId::new(1) };
    let hard_state = HardState { current_term: Term(term), ..HardState::default() };
    let founders = NodeId::first(3).into();
    let state = StateFile { identity, founders, hard_state, log_floor: EntryId::ZERO, commit: LogIndex(0) };
    files::replace(disk, STATE, &state.encode()).expect("the disk is in order");
    for (first, last) in [(1, 4), (5, 6)] {
        let name = Segment { first: LogIndex(first), length: 0 }.name();
        disk.create(&name).expect("the disk is in order");
        for index in first..=last {
            let term = if index <= kept { 1 } else { term };
            disk.append(&name, &line(index, term)).expect("the disk is in order");
        }
    }
}

#[test]
fn a_change_between_any_two_reads_gives_the_log_before_or_after_it() {
    let whole = |kept, term| {
        let mut disk = SimulatedDisk::new("n1");
        write(&mut disk, kept, term);
        look(&disk, 6).expect("readable").expect("nothing changes it")
    };
    let (before, after) = (whole(6, 1), whole(2, 2));
    assert_eq!(before.terms, [Some(Term(1)); 6]);
    let (mut seen_before, mut seen_after) = (0, 0);
    for at in 0..30 {
        let mut disk = SimulatedDisk::new("n1");
        write(&mut disk, 6, 1);
        let moving = Moving { disk, reads: AtomicUsize::new(0), at };
        let glimpse = look(&moving, 6).expect("readable").expect("it changes once");
        assert!(glimpse == before || glimpse == after, "changed before read {at}: {glimpse:?}");
        seen_before += usize::from(glimpse == before);
        seen_after += usize::from(glimpse == after);
    }
    assert!(seen_before > 5 && seen_after > 5, "{seen_before} {seen_after}");
}

#[test]
fn a_line_that_cannot_be_read_is_none_and_its_neighbors_keep_their_places() {
    let mut disk = SimulatedDisk::new("n1");
    write(&mut disk, 6, 1);
    let name = Segment { first: LogIndex(5), length: 0 }.name();
    let mut damaged = line(7, 1);
    damaged[3] ^= 1;
    let unfinished = &line(9, 2)[..20];
    for bytes in [damaged.as_slice(), &line(8, 2), unfinished] {
        disk.append(&name, bytes).expect("the disk is in order");
    }
    for entries in [2, 3, 8, 100] {
        let glimpse = look(&disk, entries).expect("readable").expect("nothing changes it");
        let end = &glimpse.terms[glimpse.terms.len() - 2..];
        assert_eq!((glimpse.last(), end), (LogIndex(8), [None, Some(Term(2))].as_slice()));
        assert!(glimpse.troubles[0].contains("entry 7: "), "{:?}", glimpse.troubles);
    }
}
