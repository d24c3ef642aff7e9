//! A rescue that the power may cut short at any operation.

use super::*;
use crate::storage::no_image;
use crate::storage::remains::examine;
use crate::storage::simulated::{DiskFailure, SimulatedDisk};
use crate::storage::survivors::Survivors;
use crate::types::{FOUNDERS_STORE, NodeId, Random};

fn identity(epoch: u64) -> Identity {
    Identity { cluster: ClusterId(1), epoch: Epoch(epoch), node: NodeId::new(3) }
}

/// n3 of three founders, with entries 1 to 4 of term 2, of which 3 are known to be committed.
fn survivor() -> SimulatedDisk {
    let disk = SimulatedDisk::new("n3");
    let founding = NewStore::founding(NodeId::first(3));
    let opened = JsonStore::open(disk.clone(), &identity(1), SEGMENT_BYTES, &founding, no_image);
    let (mut store, _) = opened.expect("no failure is planned");
    let hard_state = HardState {
        current_term: Term(2),
        store_id: FOUNDERS_STORE,
        withheld_votes: true,
        ..HardState::default()
    };
    let entry = |index| Entry { index: LogIndex(index), term: Term(2), content: Content::NoOp };
    let entries = (1..=4).map(entry).collect();
    let write = Write { hard_state: Some(hard_state), entries, ..Write::default() };
    store.write(write).expect("no failure is planned");
    store.note_commit(LogIndex(3));
    store.sync().expect("no failure is planned");
    store.save_floor().expect("no failure is planned");
    disk
}

fn rescue(disk: &SimulatedDisk) -> Rescue {
    let survivors = Survivors::of(vec![examine(disk).expect("it can be read")]).expect("one cluster");
    let choice = survivors.choices().into_iter().next().expect("n3 can continue");
    assert_eq!((choice.bound(), survivors.has_quorum()), (LogIndex(4), false));
    let member = Member::founder(NodeId::new(3));
    Rescue::of(ClusterId(1), Epoch(2), Term(3), member, &choice, &["entries may be lost".to_string()])
}

/// The folder is that of a cluster of one in its second epoch.
fn check(disk: &SimulatedDisk, context: &str) {
    let founding = NewStore::founding(NodeId::first(3));
    let opened = |epoch| JsonStore::open(disk.clone(), &identity(epoch), SEGMENT_BYTES, &founding, no_image);
    assert!(matches!(opened(1), Err(StorageError::OtherEpoch { .. })), "{context}");
    let (_, found) = opened(2).expect(context);
    let alone = found.configured().expect("an entry names it").configuration;
    assert!(alone.is_alone(Member::founder(NodeId::new(3))), "{context}: {alone}");
    assert_eq!((found.entries.len(), found.last().term), (5, Term(3)), "{context}");
    assert_eq!((found.hard_state.current_term, found.hard_state.voted_for), (Term(3), None), "{context}");
    let remains = examine(disk).expect("it can be read");
    assert_eq!((remains.committed(), remains.is_sound()), (LogIndex(3), true), "{context}");
    let record = disk.read(&Rescue::record_name(Epoch(2))).expect("it has a record");
    assert!(String::from_utf8_lossy(&record).contains("entries may be lost"));
}

#[test]
fn a_survivor_continues_alone_in_the_next_epoch() {
    let disk = survivor();
    let rescue = rescue(&disk);
    rescue.perform(|| disk.clone()).expect("no failure is planned");
    check(&disk, "once");
    rescue.perform(|| disk.clone()).expect("no failure is planned");
    check(&disk, "made again it changes nothing");
}

#[test]
fn a_power_failure_at_any_operation_leaves_what_the_same_rescue_completes() {
    let whole = survivor();
    let before = whole.operations();
    rescue(&whole).perform(|| whole.clone()).expect("no failure is planned");
    let operations = whole.operations() - before;
    assert!(operations > 15, "{operations}");
    for operation in 1..=operations {
        for seed in 0..4 {
            let context = format!("power cut at operation {operation}, seed {seed}");
            let disk = survivor();
            let rescue = rescue(&disk);
            disk.fail_at(disk.operations() + operation, DiskFailure::PowerCut);
            assert!(rescue.perform(|| disk.clone()).is_err(), "{context}");
            disk.power_cut(&mut Random::new(seed));
            let remains = examine(&disk).expect(&context);
            assert!(remains.is_sound(), "{context}: {:?}", remains.files.troubles);
            rescue.perform(|| disk.clone()).expect(&context);
            check(&disk, &context);
        }
    }
}

#[test]
fn who_runs_is_not_touched() {
    let disk = survivor();
    let rescue = rescue(&disk);
    let founding = NewStore::founding(NodeId::first(3));
    let held = JsonStore::open(disk.clone(), &identity(1), SEGMENT_BYTES, &founding, no_image);
    let before = disk.operations();
    assert!(matches!(rescue.perform(|| disk.clone()), Err(StorageError::InUse { .. })));
    assert_eq!(disk.operations(), before);
    drop(held);
}
