//! Whose folder is it, and may it be used: the lock, the identity, the format, and files of the operating system.

use std::fs;
use std::path::Path;

use raftlab::storage::json_store::{JsonStore, SEGMENT_BYTES, read_identity, wipe};
use raftlab::storage::memory::{Files, MemoryDisk};
use raftlab::storage::real::RealDisk;
use raftlab::storage::{ClusterId, Identity, Storage, StorageError, no_image};
use raftlab::types::{Epoch, NodeId};

use crate::model::{Action, Model, carry_out, run_of_everything, run_with_snapshots};
use crate::{appending, beside, entry, founding, identity, open, refusal, voting};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

fn node_disk(folder: &Path) -> RealDisk {
    RealDisk::new(folder.join("states").join("n1"))
}

#[test]
fn the_same_run_on_real_files_is_found_again() {
    for run in [run_of_everything(), run_with_snapshots()] {
        the_same_run_is_found_again(&run);
    }
}

fn the_same_run_is_found_again(run: &[Action]) {
    let folder = folder();
    let (mut store, recovered) = open(node_disk(folder.path())).expect("a new folder");
    assert!(recovered.fresh);
    let mut model = Model::new();
    let mut snapshots = beside(node_disk(folder.path()));
    carry_out(&mut store, &mut snapshots, run, &mut model).expect("the disk works");
    store.sync().expect("the disk works");
    model.synced();
    drop(store);
    let (_, recovered) = open(node_disk(folder.path())).expect("the same folder");
    model.check(&recovered, "after a clean end");
    assert_eq!(recovered.repaired, Vec::<String>::new());
    assert!(!recovered.fresh);
    let names = fs::read_dir(folder.path().join("states/n1")).expect("the folder is there");
    let names: Vec<_> = names.map(|file| file.expect("a file").file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "no leftovers: {names:?}");
}

#[test]
fn a_folder_is_for_one_at_a_time() {
    let folder = folder();
    let held = open(node_disk(folder.path())).expect("a new folder");
    let message = refusal(open(node_disk(folder.path())));
    let process = std::process::id();
    assert!(message.contains(&format!("is in use by process {process}: stop that one first")), "{message}");
    drop(held);
    assert!(open(node_disk(folder.path())).is_ok());
}

#[test]
fn a_file_in_the_way_of_the_folder_is_named() {
    let folder = folder();
    fs::write(folder.path().join("states"), "").expect("a file in the way");
    let message = refusal(open(node_disk(folder.path())));
    assert!(message.starts_with("cannot create ") && message.contains("a file is in the way"), "{message}");
}

#[test]
fn the_files_of_another_cluster_node_or_epoch_are_refused() {
    let disk = MemoryDisk::new("n1", Files::new());
    drop(open(disk.clone()).expect("a new folder"));
    let opened_as =
        |identity: &Identity| JsonStore::open(disk.clone(), identity, SEGMENT_BYTES, &founding(), no_image);
    let other_cluster = Identity { cluster: ClusterId(0xc2), ..identity() };
    let message = refusal(opened_as(&other_cluster));
    let expected = "n1/state.json belongs to cluster 00000000000000c1, not to 00000000000000c2: ";
    assert!(message.starts_with(expected), "{message}");
    let other_node = Identity { node: NodeId::new(2), ..identity() };
    assert!(refusal(opened_as(&other_node)).starts_with("n1/state.json belongs to n1, not to n2: "));
    let other_epoch = Identity { epoch: Epoch(2), ..identity() };
    let message = refusal(opened_as(&other_epoch));
    let expected =
        "n1/state.json is of epoch 1, and the cluster is in epoch 2: what it holds is of another history; ";
    assert!(message.starts_with(expected), "{message}");
    assert!(opened_as(&identity()).is_ok(), "a refusal releases the lock and changes nothing");
}

#[test]
fn another_format_is_refused_as_such() {
    let disk = MemoryDisk::new("n1", Files::new());
    drop(open(disk.clone()).expect("a new folder"));
    let mut files = disk.files();
    let state = String::from_utf8(files["state.json"].clone()).expect("JSON is text");
    let cases = [(99, "a newer program"), (4, "the program that wrote it"), (1, "the program that wrote it")];
    for (format, program) in cases {
        let other = state.replace("\"format\":5", &format!("\"format\":{format}"));
        files.insert("state.json".to_string(), other.into_bytes());
        let result = open(MemoryDisk::new("n1", files.clone()));
        assert!(matches!(result, Err(StorageError::OtherFormat { found, known: 5, .. }) if found == format));
        let expected = format!("format {format}, and this program reads format 5: use {program}");
        assert!(refusal(result).contains(&expected));
    }
}

#[test]
fn the_identity_is_read_without_opening() {
    let disk = MemoryDisk::new("n1", Files::new());
    assert_eq!(read_identity(&disk).expect("an empty folder"), None);
    assert_eq!(disk.files(), Files::new(), "reading makes nothing");
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    store.write(voting(1, 1)).expect("memory takes it");
    store.write(appending(&[entry(1, 1)])).expect("memory takes it");
    assert_eq!(read_identity(&disk).expect("also while it is in use"), Some(identity()));
}

#[test]
fn a_wipe_removes_the_nodes_files_alone_and_waits_for_nobody() {
    let folder = folder();
    let mut disk = node_disk(folder.path());
    wipe(&mut disk).expect("nothing is there");
    let (mut store, _) = open(node_disk(folder.path())).expect("a new folder");
    store.write(voting(1, 1)).expect("the disk works");
    fs::write(folder.path().join("states/n1/notes.txt"), "mine").expect("a file of somebody else");
    assert!(refusal(wipe(&mut disk)).contains("is in use"));
    drop(store);
    wipe(&mut disk).expect("nobody uses it");
    let (_, recovered) = open(node_disk(folder.path())).expect("an empty folder");
    assert!(recovered.fresh);
    assert!(folder.path().join("states/n1/notes.txt").exists());
}
