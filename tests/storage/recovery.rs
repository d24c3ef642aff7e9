//! What a start makes of a log and a snapshot side by side, and of folders in which one of them is missing.

use std::sync::Arc;

use raftlab::raft::effects::{HardState, Write};
use raftlab::raft::entry::{Content, Entry};
use raftlab::raft::membership::Configured;
use raftlab::raft::membership::configuration::Configuration;
use raftlab::storage::json_store::{JsonStore, wipe};
use raftlab::storage::memory::{Files, MemoryDisk};
use raftlab::storage::snapshots::SnapshotFiles;
use raftlab::storage::{NewStore, Recovered, Storage, StorageError};
use raftlab::types::{EntryId, LogIndex, NodeId, Term};

use crate::image::{Table, load_table};
use crate::model::{compacting, file_of, id, resetting};
use crate::{
    appending, beside, entry, founders, founding, identity, open, opens_term, refusal, remove_stale,
    truncating, voting,
};

const SEGMENTS: [&str; 3] =
    ["log-00000000000000000001.jsonl", "log-00000000000000000004.jsonl", "log-00000000000000000007.jsonl"];

fn snapshot_name(index: u64) -> String {
    format!("snapshot-{index:020}.json")
}

/// A folder with entries 1 to 8 of term 1 in three segments, durable up to 8 when the state was last saved.
fn disk_with_log() -> MemoryDisk {
    let disk = MemoryDisk::new("n1", Files::new());
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    store.write(voting(1, 1)).expect("memory takes it");
    for index in 1..=8 {
        store.write(appending(&[entry(index, 1)])).expect("memory takes it");
    }
    store.sync().expect("memory keeps it");
    store.write(voting(3, 1)).expect("memory takes it");
    let files = disk.files();
    assert!(SEGMENTS.iter().all(|name| files.contains_key(*name)));
    MemoryDisk::new("n1", files)
}

/// The same with these snapshots besides, and without these files.
fn files(snapshots: &[EntryId], without: &[&str]) -> Files {
    let mut files = disk_with_log().files();
    files.retain(|name, _| !without.contains(&name.as_str()));
    files.extend(snapshots.iter().map(|id| (snapshot_name(id.index.0), file_of(*id))));
    files
}

/// Starts from these files, twice: the second start has nothing to repair.
fn start(files: Files) -> Result<Recovered, StorageError> {
    let disk = MemoryDisk::new("n1", files);
    let before = disk.files();
    let first = open(disk.clone()).map(|(_, recovered)| recovered);
    match &first {
        Err(_) => assert_eq!(disk.files(), before, "a refusal changes nothing"),
        Ok(first) => {
            let (_, again) = open(disk).expect("it started before");
            assert_eq!((again.base, &again.entries), (first.base, &first.entries));
            assert_eq!(again.repaired, Vec::<String>::new());
        }
    }
    first
}

/// The base, and the first and the last index behind it.
fn log_of(recovered: &Recovered) -> (EntryId, Option<(u64, u64)>) {
    let [first, .., last] = recovered.entries.as_slice() else {
        return (recovered.base, recovered.entries.first().map(|entry| (entry.index.0, entry.index.0)));
    };
    (recovered.base, Some((first.index.0, last.index.0)))
}

#[test]
fn an_old_snapshot_with_a_newer_log_keeps_the_whole_log() {
    let recovered = start(files(&[id(5, 1)], &[])).expect("nothing is wrong");
    assert_eq!(log_of(&recovered), (EntryId::ZERO, Some((1, 8))));
    assert_eq!(recovered.snapshot.map(|snapshot| snapshot.id), Some(id(5, 1)));
    assert_eq!(recovered.repaired, Vec::<String>::new());
}

#[test]
fn a_compacted_log_stands_on_its_own_first_entry_or_on_the_snapshot() {
    let recovered = start(files(&[id(5, 1)], &SEGMENTS[..1])).expect("nothing is wrong");
    assert_eq!(log_of(&recovered), (id(4, 1), Some((5, 8))));
    let recovered = start(files(&[id(4, 1)], &SEGMENTS[..1])).expect("nothing is wrong");
    assert_eq!(log_of(&recovered), (id(4, 1), Some((5, 8))));
    let recovered = start(files(&[id(6, 1)], &SEGMENTS[..2])).expect("nothing is wrong");
    assert_eq!(log_of(&recovered), (id(6, 1), Some((7, 8))));
    let recovered = start(files(&[id(8, 1)], &SEGMENTS[..2])).expect("nothing is wrong");
    assert_eq!(log_of(&recovered), (id(7, 1), Some((8, 8))));
}

#[test]
fn a_log_that_ends_before_the_snapshot_is_discarded_and_said() {
    let recovered = start(files(&[id(40, 3)], &[])).expect("the power failed before the reset");
    assert_eq!(log_of(&recovered), (id(40, 3), None));
    let expected = format!(
        "n1/{}: discarded the log's entries 1 to 8, since {} covers more",
        SEGMENTS[2],
        snapshot_name(40)
    );
    assert_eq!(recovered.repaired, std::slice::from_ref(&expected));
    assert_eq!(recovered.summary(), format!("term 3, snapshot at index 40, 0 entries reloaded; {expected}"));
}

#[test]
fn a_log_of_another_history_is_discarded_and_said() {
    for index in 1..=8 {
        let recovered = start(files(&[id(index, 3)], &[])).expect("the power failed before the reset");
        assert_eq!(log_of(&recovered), (id(index, 3), None));
        let why = format!("since {} covers another history", snapshot_name(index));
        assert!(recovered.repaired[0].ends_with(&why), "{:?}", recovered.repaired);
    }
}

#[test]
fn a_missing_segment_is_refused_with_a_snapshot_and_without() {
    let refused = |snapshots: &[EntryId], without: &[&str]| refusal(start(files(snapshots, without)));
    let missing = "should come first; a segment before it is missing";
    let message = refused(&[], &SEGMENTS[..1]);
    assert!(message.contains(&format!("{} is damaged: index 1 {missing}", SEGMENTS[1])), "{message}");
    let message = refused(&[id(2, 1)], &SEGMENTS[..1]);
    assert!(message.contains(&format!("index 3 or an earlier one {missing}")), "{message}");
    for snapshots in [&[][..], &[id(2, 1)], &[id(5, 1)]] {
        let message = refused(snapshots, &SEGMENTS[1..2]);
        assert!(message.contains(&format!("{} is damaged: index 4 {missing}", SEGMENTS[2])), "{message}");
    }
    for snapshots in [&[][..], &[id(2, 1)], &[id(6, 1)]] {
        let message = refused(snapshots, &SEGMENTS[2..]);
        assert!(message.contains("it ends with index 6 but was durable up to 8"), "{message}");
    }
    let message = refused(&[id(6, 1)], &SEGMENTS);
    assert!(message.contains("the log is missing"), "{message}");
    let message = refused(&[], &[SEGMENTS[0], SEGMENTS[1]]);
    assert!(message.contains(&format!("index 1 {missing}")), "{message}");
}

/// The log claims more than the snapshot covers, and has become shorter than that.
#[test]
fn a_snapshot_does_not_excuse_a_log_that_lost_what_was_durable_behind_it() {
    for snapshot in [id(5, 3), id(7, 1)] {
        let message = refusal(start(files(&[snapshot], &SEGMENTS[2..])));
        assert!(message.contains("it ends with index 6 but was durable up to 8"), "{message}");
    }
    let recovered = start(files(&[id(8, 1)], &SEGMENTS[2..])).expect("the snapshot covers what is lost");
    assert_eq!(log_of(&recovered), (id(8, 1), None));
}

#[test]
fn a_reset_that_was_cut_short_is_completed() {
    let empty = |index: u64| (format!("log-{index:020}.jsonl"), Vec::new());
    let cases = [
        // A gap, an overlap, and a segment without its end before the empty one.
        (id(40, 3), empty(41), &SEGMENTS[2..]),
        (id(5, 3), empty(6), &SEGMENTS[2..]),
        (id(40, 3), empty(41), &[][..]),
        // The snapshot is newer than the one that the reset was for.
        (id(60, 3), empty(41), &[]),
    ];
    for (snapshot, (name, content), without) in cases {
        let mut files = files(&[snapshot], without);
        // A snapshot that the state knows nothing beyond of.
        lower_floor(&mut files);
        files.insert(name.clone(), content);
        if without.is_empty() {
            files.get_mut(SEGMENTS[2]).expect("a segment").truncate(20);
        }
        let recovered = start(files).expect("the power failed during a reset");
        assert_eq!(log_of(&recovered), (snapshot, None));
        let expected = format!("n1/{name}: removed the log before it, which the snapshot covers");
        assert_eq!(recovered.repaired, [expected]);
    }
    let mut not_empty = files(&[id(40, 3)], &[]);
    let (name, _) = empty(41);
    let disk = MemoryDisk::new("n1", Files::new());
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    store.write(voting(3, 1)).expect("memory takes it");
    store.write(Write { entries: vec![entry(41, 3)], ..resetting(40, 3) }).expect("memory takes it");
    not_empty.insert(name.clone(), disk.files()[&name].clone());
    let recovered = start(not_empty).expect("the reset is over, and what it let go of is still there");
    assert_eq!((recovered.base, recovered.entries), (id(40, 3), vec![entry(41, 3)]));
    assert_eq!(recovered.repaired.len(), 1, "{:?}", recovered.repaired);
}

/// Puts a `state.json` there that claims no log.
fn lower_floor(files: &mut Files) {
    let disk = MemoryDisk::new("n1", Files::new());
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    store.write(voting(3, 1)).expect("memory takes it");
    let state = disk.files()["state.json"].clone();
    files.insert("state.json".to_string(), state);
}

#[test]
fn leftovers_and_older_snapshots_are_removed_and_other_files_are_not() {
    let mut files = files(&[id(3, 1), id(4, 1), id(5, 1)], &[]);
    let leftovers = ["incoming.new", "state.json.new", "log-00000000000000000007.jsonl.new"];
    for name in leftovers.map(String::from).into_iter().chain([format!("{}.new", snapshot_name(9))]) {
        files.insert(name, b"unfinished".to_vec());
    }
    files.insert("notes.new".to_string(), b"mine".to_vec());
    let disk = MemoryDisk::new("n1", files);
    let (_, recovered) = open(disk.clone()).expect("nothing is wrong");
    assert_eq!(recovered.repaired, Vec::<String>::new());
    let newest = snapshot_name(5);
    let left = [SEGMENTS[0], SEGMENTS[1], SEGMENTS[2], "notes.new", &newest, "state.json"];
    assert_eq!(disk.files().keys().collect::<Vec<_>>(), left);
}

/// Damage is not passed over for an older snapshot: the log may begin behind the damaged one.
#[test]
fn a_damaged_snapshot_is_refused_although_there_is_an_older_one() {
    let mut files = files(&[id(3, 1), id(5, 1)], &[]);
    files.get_mut(&snapshot_name(5)).expect("it is there")[100] ^= 1;
    assert!(refusal(start(files)).contains(&format!("{} is damaged: its checksum is ", snapshot_name(5))));
}

#[test]
fn a_snapshot_without_its_state_is_refused_until_it_is_wiped() {
    let mut files = files(&[id(5, 1)], &SEGMENTS);
    files.remove("state.json");
    let message = refusal(start(files.clone()));
    assert!(
        message.contains("state.json is damaged: it is missing although there is a snapshot-"),
        "{message}"
    );
    files.insert("incoming.new".to_string(), Vec::new());
    let mut disk = MemoryDisk::new("n1", files);
    wipe(&mut disk).expect("nobody uses it");
    assert_eq!(disk.files(), Files::new());
}

#[test]
fn a_log_that_was_compacted_or_reset_is_truncated_and_written_on() {
    let disk = MemoryDisk::new("n1", disk_with_log().files());
    let (mut store, _) = open(disk.clone()).expect("nothing is wrong");
    beside(disk.clone()).save(id(7, 1), &founders(), &Table::at(7), &|| true).expect("memory takes it");
    store.write(compacting(7, 1)).expect("memory takes it");
    remove_stale(&mut store, &disk);
    store.write(Write { entries: vec![opens_term(8, 3)], ..truncating(8) }).expect("memory takes it");
    store.sync().expect("memory keeps it");
    drop(store);
    let (mut store, recovered) = open(disk.clone()).expect("nothing is wrong");
    assert_eq!((recovered.base, recovered.entries), (id(7, 1), vec![opens_term(8, 3)]));
    let mut snapshots = beside(disk.clone());
    snapshots.receive(id(20, 3), 0, &file_of(id(20, 3))).expect("memory takes it");
    snapshots.finish(id(20, 3), load_table).expect("memory takes it").expect("nothing is wrong with it");
    let reset = Write { entries: vec![entry(21, 3), entry(22, 3)], ..resetting(20, 3) };
    store.write(reset).expect("memory takes it");
    remove_stale(&mut store, &disk);
    store.write(Write { entries: vec![entry(21, 3)], ..truncating(21) }).expect("memory takes it");
    store.sync().expect("memory keeps it");
    drop(store);
    let (_, recovered) = open(disk).expect("nothing is wrong");
    assert_eq!((recovered.base, recovered.entries), (id(20, 3), vec![entry(21, 3)]));
    assert_eq!(recovered.repaired, Vec::<String>::new());
}

#[test]
fn files_that_joined_know_no_member_before_their_log_names_them() {
    let disk = MemoryDisk::new("n1", Files::new());
    let open_as = |new_store| JsonStore::open(disk.clone(), &identity(), 250, &new_store, load_table);
    let (mut store, recovered) = open_as(NewStore::joining(71)).expect("a new folder");
    assert_eq!((recovered.fresh, recovered.hard_state.store_id), (true, 71));
    assert_eq!((recovered.configuration.clone(), recovered.configured()), (None, None));
    let text = String::from_utf8(disk.files()["state.json"].clone()).expect("JSON is text");
    assert!(text.contains(r#""epoch":1,"node":"n1","incarnation":71,"term":0,"vote":null,"#), "{text}");

    store
        .write(Write {
            hard_state: Some(HardState { current_term: Term(1), ..recovered.hard_state }),
            ..voting(1, 1)
        })
        .expect("memory takes it");
    let members = |index, nodes| {
        let configuration = Arc::new(Configuration::founders(NodeId::first(nodes)));
        let content = Content::Members(Arc::clone(&configuration));
        let entry = Entry { index: LogIndex(index), term: Term(1), content };
        (entry, Some(Configured { index: LogIndex(index), configuration }))
    };
    let ((three, _), (four, last)) = (members(2, 3), members(3, 4));
    store.write(appending(&[entry(1, 1), three, four])).expect("memory takes it");
    drop(store);
    let (_, recovered) = open_as(founding()).expect("nothing is wrong");
    assert_eq!(recovered.hard_state.store_id, 71, "what the files say counts");
    assert_eq!((recovered.configuration.clone(), recovered.configured()), (None, last));
}

#[test]
fn a_configuration_is_read_from_the_log_else_the_snapshot_else_the_founders() {
    let disk = MemoryDisk::new("n1", Files::new());
    let (mut store, recovered) = open(disk.clone()).expect("a new folder");
    assert_eq!(
        (recovered.configuration.clone(), recovered.configured()),
        (Some(founders()), Some(founders()))
    );
    store.write(voting(3, 1)).expect("memory takes it");
    store.write(appending(&[entry(1, 1), entry(2, 1)])).expect("memory takes it");
    let outgoing = Some(founders().configuration.voters.clone());
    let joint = Configuration { outgoing, ..Configuration::founders(NodeId::first(2)) };
    let joint = Configured { index: LogIndex(2), configuration: Arc::new(joint) };
    beside(disk.clone()).save(id(2, 1), &joint, &Table::at(2), &|| true).expect("memory takes it");
    drop(store);
    let (mut store, recovered) = open(disk.clone()).expect("nothing is wrong");
    assert_eq!(
        (recovered.configuration.clone(), recovered.configured()),
        (Some(joint.clone()), Some(joint.clone()))
    );
    let configuration = Arc::new(Configuration::founders(NodeId::first(2)));
    let content = Content::Members(Arc::clone(&configuration));
    store.write(appending(&[Entry { index: LogIndex(3), term: Term(3), content }])).expect("memory takes it");
    drop(store);
    let (_, recovered) = open(disk).expect("nothing is wrong");
    let left = Configured { index: LogIndex(3), configuration };
    assert_eq!((recovered.configuration.clone(), recovered.configured()), (Some(joint), Some(left)));
}

/// What `state.json` says to be committed.
fn commit_of(disk: &MemoryDisk) -> u64 {
    let state: serde_json::Value = serde_json::from_slice(&disk.files()["state.json"]).expect("JSON");
    state["commit"].as_u64().expect("a number")
}

#[test]
fn the_state_says_what_is_committed_of_the_log_that_it_claims() {
    let disk = MemoryDisk::new("n1", Files::new());
    let (mut store, _) = open(disk.clone()).expect("a new folder");
    store.write(voting(1, 1)).expect("memory takes it");
    store.write(appending(&[entry(1, 1), entry(2, 1), entry(3, 1)])).expect("memory takes it");
    // A leader's commit index may be ahead of its own disk.
    store.note_commit(LogIndex(2));
    store.write(voting(2, 1)).expect("memory takes it");
    assert_eq!(commit_of(&disk), 0, "of entries that are not durable nothing is claimed");
    store.sync().expect("memory takes it");
    store.save_floor().expect("memory takes it");
    assert_eq!(commit_of(&disk), 2);
    store.note_commit(LogIndex(3));
    store.save_floor().expect("memory takes it");
    assert_eq!(commit_of(&disk), 3, "also when the log has not grown");
    let operations = disk.files();
    store.save_floor().expect("memory takes it");
    assert_eq!(disk.files(), operations);
    drop(store);
    let (mut store, _) = open(disk.clone()).expect("nothing is wrong");
    store.write(voting(3, 1)).expect("memory takes it");
    assert_eq!(commit_of(&disk), 3, "it is remembered");
}

#[test]
fn the_files_of_a_node_that_was_removed_refuse_another_start() {
    let disk = MemoryDisk::new("n1", Files::new());
    let (mut store, recovered) = open(disk.clone()).expect("a new folder");
    let retired = HardState { retired: true, ..recovered.hard_state };
    store.write(Write { hard_state: Some(retired), ..Write::default() }).expect("memory takes it");
    drop(store);
    let message = refusal(open(disk.clone()));
    assert_eq!(message, "n1 was removed from the cluster: 'add n1' takes it in again with new files");
    assert_eq!(
        wipe(&mut disk.clone()).expect("it is not in use"),
        1,
        "the number of the files that are gone"
    );
    assert!(open(disk).expect("nothing is there").1.fresh);
}
