//! Records through files: turned over, cut off, read on.

use std::path::Path;

use super::*;
use crate::check::records::{Cause, Record, Seen, decode};
use crate::check::safety::{Rank, Shown, Standing, Step};
use crate::raft::effects::HardState;
use crate::types::{EntryId, LogIndex, Member, NodeId, Term};

/// So few bytes that a file holds some records.
const FEW: u64 = 1_000;

fn standing(commit: u64) -> Standing {
    let id = if commit == 0 { EntryId::ZERO } else { EntryId::new(Term(1), LogIndex(commit)) };
    let member = Member::founder(NodeId::new(1));
    Standing {
        shown: Shown { member, term: Term(1), role: Rank::Follower, commit: id.index, pre_vote: true },
        base: id,
        entries: Vec::new(),
        committed: id,
        configured: None,
        hard_state: HardState::default(),
        durable_index: id.index,
        persisted: 0,
        pending: Vec::new(),
        applied: id.index,
    }
}

fn commits(recorder: &Recorder, commit: u64) {
    let step = Step::showing(standing(commit).shown);
    recorder.observe(&step, std::iter::empty(), || Some(standing(commit)));
}

fn opened(folder: &Path, life: u64) -> Recorder {
    Recorder::with_files_of(folder, life, FEW).expect("the folder can be read")
}

/// All records from a place on, read in pages of a few bytes, and where they begin.
fn read(recorder: &Recorder, from: u64) -> (u64, Vec<Record>) {
    let (mut bytes, mut start) = (Vec::new(), None);
    let mut place = from;
    loop {
        let page = recorder.page(place, 100, 0).expect("the folder can be read");
        start = start.or(Some(page.from));
        place = page.from + page.bytes.len() as u64;
        bytes.extend(page.bytes);
        if place >= page.end {
            break;
        }
    }
    let (mut records, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((content, length)) = unframe(rest).expect("whole records") {
        records.push(decode(content).expect("a record"));
        rest = &rest[length..];
    }
    (start.unwrap_or(from), records)
}

fn causes(records: &[Record]) -> Vec<Cause> {
    let cause = |record: &Record| match &record.seen {
        Seen::Standing { cause, .. } => Some(*cause),
        Seen::Step(_) => None,
    };
    records.iter().filter_map(cause).collect()
}

#[test]
fn a_ring_of_two_files_keeps_the_newest_each_from_how_its_node_stood() {
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = opened(folder.path(), 7);
    recorder.begin(&standing(0));
    commits(&recorder, 0);
    let (_, first) = read(&recorder, 0);
    assert_eq!(causes(&first), [Cause::Start]);
    assert_eq!(first.len(), 1, "a step that changes nothing is not written down");
    for commit in 1..=60 {
        commits(&recorder, commit);
    }
    let (from, records) = read(&recorder, 0);
    assert_eq!(
        (from, causes(&records)),
        (0, vec![Cause::Start, Cause::File]),
        "two files, and nothing is gone"
    );
    for commit in 61..=200 {
        commits(&recorder, commit);
    }
    let (from, records) = read(&recorder, 0);
    assert!(from > 0, "the first file was written over");
    assert_eq!(causes(&records), [Cause::File, Cause::File]);
    assert!(records.is_sorted_by_key(|record| record.clock));
    let stored = read_all(folder.path()).expect("the folder can be read").expect("it holds records");
    assert_eq!(stored.from, from);
}

#[test]
fn a_record_that_was_cut_off_goes_and_the_next_life_continues_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = opened(folder.path(), 7);
    recorder.begin(&standing(0));
    for commit in 1..=3 {
        commits(&recorder, commit);
    }
    let (_, before) = read(&recorder, 0);
    let path = folder.path().join(NAMES[0]);
    let length = std::fs::metadata(&path).expect("it is there").len();
    private::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(length - 1))
        .expect("it can be cut");
    let again = opened(folder.path(), 8);
    again.begin(&standing(2));
    let (_, after) = read(&again, 0);
    assert_eq!(after[..3], before[..3]);
    assert_eq!((after.len(), causes(&after)), (4, vec![Cause::Start; 2]));
    assert!(after[3].clock > after[2].clock, "its clock runs on");
    let page = again.page(0, 0, 900).expect("the folder can be read");
    assert_eq!((page.life, page.clock), (8, 900), "what it writes next is later");
}

#[test]
fn records_that_are_damaged_begin_again_and_are_not_cut_off_there() {
    for place in [0, 5, 10, 20] {
        let folder = tempfile::tempdir().expect("a folder");
        let recorder = opened(folder.path(), 7);
        recorder.begin(&standing(0));
        for commit in 1..=3 {
            commits(&recorder, commit);
        }
        let path = folder.path().join(NAMES[0]);
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes[HEAD_BYTES + place] ^= 1;
        std::fs::write(&path, bytes).expect("it can be written");
        let again = opened(folder.path(), 8);
        again.begin(&standing(2));
        assert_eq!(causes(&read(&again, 0).1), [Cause::Start], "byte {place}");
    }
}

#[test]
fn other_files_are_refused_by_readers_and_make_room_for_a_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(NAMES[0]);
    let mut other = head(0);
    other[8] = 9;
    for (bytes, expected) in [
        (&other[..], "its records are of version 9, this program reads version 3"),
        (&b"a letter of more than a few bytes"[..], "it holds no records"),
    ] {
        std::fs::write(&path, bytes).expect("the folder can be written");
        let refused = read_all(folder.path()).expect_err("it is no file of records").to_string();
        assert!(refused.contains(expected), "{refused}");
        let recorder = opened(folder.path(), 7);
        recorder.begin(&standing(0));
        assert_eq!(read(&recorder, 0).1.len(), 1);
    }
    for cut in 0..HEAD_BYTES {
        std::fs::write(&path, &head(0)[..cut]).expect("the folder can be written");
        let recorder = opened(folder.path(), 7);
        recorder.begin(&standing(0));
        assert_eq!(read(&recorder, 0).1.len(), 1, "a head of {cut} bytes was cut off");
    }
}
