//! The disk refuses: EIO, ENOSPC, and an fsync that fails once and then claims success.

use raftlab::storage::simulated::{DiskFailure, SimulatedDisk};
use raftlab::storage::{Storage, StorageError};
use raftlab::types::Random;

use crate::model::{Action, Model, carry_out, run_of_everything, run_with_snapshots};
use crate::{appending, beside, entry, open, refusal, voting};

#[test]
fn nothing_is_acknowledged_that_a_failing_disk_loses() {
    for run in [run_of_everything(), run_with_snapshots()] {
        fail_at_each_operation(&run);
    }
}

fn fail_at_each_operation(run: &[Action]) {
    for failure in [DiskFailure::InputOutput, DiskFailure::NoSpace, DiskFailure::PagesLost] {
        for operation in 1.. {
            let context = format!("{failure:?} at operation {operation}");
            let disk = SimulatedDisk::new("n1");
            let mut model = Model::new();
            disk.fail_at(operation, failure);
            let done = match open(disk.clone()) {
                Ok((mut store, _)) => carry_out(&mut store, &mut beside(disk.clone()), run, &mut model),
                Err(error) => Err(error),
            };
            disk.heal();
            let (_, recovered) = open(disk.clone()).expect(&context);
            model.check(&recovered, &context);
            disk.power_cut(&mut Random::new(operation));
            let (_, again) = open(disk).expect(&context);
            let found = (again.hard_state, again.base, again.entries);
            let before = (recovered.hard_state, recovered.base, recovered.entries);
            assert_eq!(found, before, "{context}: a start makes durable what it finds");
            match done {
                Ok(()) => break,
                Err(StorageError::NoSpace { .. }) => assert_eq!(failure, DiskFailure::NoSpace, "{context}"),
                Err(error) => assert!(matches!(error, StorageError::Io { .. }), "{context}: {error}"),
            }
        }
    }
}

/// What a start finds may not be durable yet, a snapshot's name above all: it must be so before the log goes for it.
#[test]
fn a_start_after_a_failing_operation_survives_a_power_failure_at_each_of_its_own() {
    const OPERATIONS_OF_A_START: u64 = 16;
    let run = run_with_snapshots();
    for operation in 1.. {
        let mut done = false;
        for (cut, seed) in (1..=OPERATIONS_OF_A_START).flat_map(|cut| (0..4).map(move |seed| (cut, seed))) {
            let context = format!("EIO at operation {operation}, power cut {cut} later, seed {seed}");
            let disk = SimulatedDisk::new("n1");
            let mut model = Model::new();
            disk.fail_at(operation, DiskFailure::InputOutput);
            if let Ok((mut store, _)) = open(disk.clone()) {
                done = carry_out(&mut store, &mut beside(disk.clone()), &run, &mut model).is_ok();
            }
            disk.fail_at(disk.operations() + cut, DiskFailure::PowerCut);
            if let Ok((_, recovered)) = open(disk.clone()) {
                model.check(&recovered, &context);
            }
            disk.power_cut(&mut Random::new(operation << 8 | seed));
            let (_, recovered) = open(disk).expect(&context);
            model.check(&recovered, &context);
        }
        if done {
            break;
        }
    }
}

#[test]
fn a_full_disk_is_named_and_the_node_starts_again_when_there_is_room() {
    let disk = SimulatedDisk::new("n1");
    let (mut store, _) = open(disk.clone()).expect("there is room");
    store.write(voting(1, 1)).expect("there is room");
    disk.fail_always(DiskFailure::NoSpace);
    let message = refusal(store.write(appending(&[entry(1, 1)])));
    let expected =
        "cannot write n1/log-00000000000000000001.jsonl: the disk is full; make room, then restart the node";
    assert_eq!(message, expected);
    drop(store);
    assert!(matches!(open(disk.clone()), Err(StorageError::NoSpace { .. })));
    disk.heal();
    let (_, recovered) = open(disk).expect("there is room again");
    assert_eq!(Some(recovered.hard_state), voting(1, 1).hard_state);
}

/// The original's L13: the state file was rewritten at every heartbeat.
#[test]
fn l13_a_write_that_changes_nothing_touches_no_file() {
    let disk = SimulatedDisk::new("n1");
    let (mut store, _) = open(disk.clone()).expect("no failure is planned");
    store.write(voting(1, 1)).expect("no failure is planned");
    let before = disk.operations();
    store.write(voting(1, 1)).expect("no failure is planned");
    store.write(appending(&[])).expect("no failure is planned");
    store.sync().expect("no failure is planned");
    assert_eq!(disk.operations(), before);
}

#[test]
fn several_writes_share_one_sync() {
    let disk = SimulatedDisk::new("n1");
    let (mut store, _) = open(disk.clone()).expect("no failure is planned");
    store.write(voting(1, 1)).expect("no failure is planned");
    let before = disk.operations();
    store.write(appending(&[entry(1, 1)])).expect("no failure is planned");
    store.write(appending(&[entry(2, 1)])).expect("no failure is planned");
    store.sync().expect("no failure is planned");
    store.sync().expect("no failure is planned");
    assert_eq!(disk.operations() - before, 3, "two appends and one sync");
}
