//! S4, S6, S16: what a start makes of the files, and of an index that is not there.

use raftlab::payload::Payload;
use raftlab::raft::effects::{HardState, Write};
use raftlab::raft::entry::{Content, Entry, Origin};
use raftlab::raft::log::Log;
use raftlab::storage::disk::Disk;
use raftlab::storage::json_store::{JsonStore, SEGMENT_BYTES};
use raftlab::storage::simulated::{DiskFailure, SimulatedDisk};
use raftlab::storage::{ClusterId, Identity, NewStore, Recovered, Storage, StorageError, no_image};
use raftlab::types::{EntryId, Epoch, LogIndex, Member, NodeId, Random, SessionId, Term};

const LOG: &str = "log-00000000000000000001.jsonl";
const STATE: &str = "state.json";

#[test]
fn s4_a_log_whose_first_line_is_gone_is_refused_by_name() {
    let disk = disk_with_entries(4);
    let text = String::from_utf8(disk.read(LOG).expect("the log is there")).expect("JSON is text");
    let shifted = text.split_once('\n').expect("it has lines").1.to_string();
    overwrite(&disk, LOG, shifted.as_bytes());
    let message = open(&disk).err().expect("a shifted log is refused").to_string();
    assert!(
        message.contains(LOG) && message.contains("index 2"),
        "it names the file and the place: {message}"
    );

    // The original's log: an entry's index is the number of its line.
    let serial = |line: &str| line.split(r#""serial":"#).nth(1).map(|rest| rest[..1].to_string());
    let by_position: Vec<_> = shifted.lines().map(serial).collect();
    assert_eq!(by_position[0].as_deref(), Some("2"), "the defect shows: entry 1 reads as what was entry 2");
}

#[test]
fn s6_a_start_repairs_a_last_line_that_is_torn_at_any_byte() {
    let whole = disk_with_entries(3).read(LOG).expect("the log is there");
    let last_line = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("lines") + 1;
    let mut strict_refusals = 0;
    for length in last_line..whole.len() {
        let disk = disk_with_entries(2);
        overwrite(&disk, LOG, &whole[..length]);
        let (_, recovered) = open(&disk).expect("a torn last line was never acknowledged, and is repaired");
        let kept = recovered.entries.len();
        assert!(kept == 2 || (kept == 3 && length + 1 == whole.len()), "cut to {length}: {kept} entries");
        // The original's start: every line must be whole.
        let lines = whole[..length].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        strict_refusals += usize::from(lines.into_iter().any(|line| !line.ends_with(b"\"}")));
    }
    assert!(strict_refusals > 0, "the defect shows: such a reader would refuse for ever");
}

#[test]
fn s6_a_power_cut_at_any_moment_leaves_a_state_file_that_reads() {
    let vote = HardState {
        current_term: Term(2),
        voted_for: Some(Member::founder(NodeId::new(3))),
        ..HardState::default()
    };
    let unreadable = |write: fn(&SimulatedDisk, HardState)| {
        let cuts = (1..=12).flat_map(|operation| (0..20).map(move |seed| (operation, seed)));
        cuts.filter(|(operation, seed)| {
            let disk = disk_with_entries(2);
            disk.fail_at(disk.operations() + operation, DiskFailure::PowerCut);
            write(&disk, vote);
            disk.power_cut(&mut Random::new(*seed));
            open(&disk).is_err()
        })
        .count()
    };
    assert_eq!(unreadable(save_vote), 0, "the old state or the new is there");
    assert!(unreadable(overwrite_vote) > 0, "the defect shows: truncated in place, it may be torn for good");
}

/// A vote as the store writes it. The power may fail meanwhile.
fn save_vote(disk: &SimulatedDisk, vote: HardState) {
    let Ok((mut store, _)) = open(disk) else { return };
    let _ = store.write(Write { hard_state: Some(vote), ..Write::default() });
}

/// A vote as the original writes it: into the same file, which is emptied first.
fn overwrite_vote(disk: &SimulatedDisk, vote: HardState) {
    let mut disk = disk.clone();
    let text = format!("{vote:?}");
    let _ =
        disk.create(STATE).and_then(|()| disk.append(STATE, text.as_bytes())).and_then(|()| disk.sync(STATE));
}

#[test]
fn s16_an_index_below_the_logs_start_reads_as_none() {
    let base = EntryId::new(Term(1), LogIndex(10));
    let log = Log::recovered(base, vec![entry(11), entry(12), entry(13)]);
    let reads_none =
        |read: &dyn Fn(LogIndex) -> Option<LogIndex>| (0..=10).all(|index| read(LogIndex(index)).is_none());
    assert!(reads_none(&|index| log.get(index).map(|entry| entry.index)), "what is not kept is not there");

    // The original's list: a negative position counts from the end.
    let wrapping = |index: LogIndex| {
        let kept = [LogIndex(11), LogIndex(12), LogIndex(13)];
        let position = i64::try_from(index.0).expect("a small index") - 11;
        usize::try_from(position.rem_euclid(3)).ok().map(|position| kept[position])
    };
    assert!(!reads_none(&wrapping), "the defect shows: another entry is read");
}

fn identity() -> Identity {
    Identity { cluster: ClusterId(1), epoch: Epoch::FIRST, node: NodeId::new(1) }
}

fn open(disk: &SimulatedDisk) -> Result<(JsonStore<SimulatedDisk>, Recovered), StorageError> {
    JsonStore::open(disk.clone(), &identity(), SEGMENT_BYTES, &NewStore::founding(NodeId::first(3)), no_image)
}

fn entry(index: u64) -> Entry {
    let origin = Origin { session: SessionId(7), serial: index, acknowledged: 0 };
    let command = Payload::from_text(format!("[{index}]"));
    Entry { index: LogIndex(index), term: Term(1), content: Content::Command { origin, command } }
}

fn disk_with_entries(count: u64) -> SimulatedDisk {
    let disk = SimulatedDisk::new("n1");
    let (mut store, _) = open(&disk).expect("an empty disk is no obstacle");
    let hard_state = Some(HardState {
        current_term: Term(1),
        voted_for: Some(Member::founder(NodeId::new(1))),
        ..HardState::default()
    });
    let write = Write { hard_state, entries: (1..=count).map(entry).collect(), ..Write::default() };
    store.write(write).and_then(|()| store.sync()).expect("the disk works");
    disk
}

/// Gives a file another content, for good.
fn overwrite(disk: &SimulatedDisk, file: &str, bytes: &[u8]) {
    let mut disk = disk.clone();
    let result = disk.create(file).and_then(|()| disk.append(file, bytes)).and_then(|()| disk.sync(file));
    result.expect("the disk works");
}
