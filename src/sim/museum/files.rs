//! Defects of files: what a start takes for whole, and what is renamed before it is durable.

use super::Hook::{After, Opening, Other};
use super::Specimen;
use crate::server::{Outbox, Server};
use crate::sim::mutation::Mutation;
use crate::sim::seeds::Family;
use crate::storage::disk::Disk;
use crate::storage::record;
use crate::storage::segment::Segment;
use crate::storage::simulated::SimulatedDisk;
use crate::storage::state_file::{self, StateFile};
use crate::types::{EntryId, LogIndex};

const SECTION: &str = "Figure 2, persistent state";

/// What a node has lost that said that it held it.
const GONE: &[&str] = &[
    "committed is durable",
    "one vote a term",
    "commit rule",
    "leader completeness",
    "node invariants",
    "state machine safety",
    "log matching",
];

/// The same, and starts that are refused although nothing was damaged.
const TORN: &[&str] =
    &["committed is durable", "one vote a term", "n1 cannot", "n2 cannot", "n3 cannot", "n4 cannot"];

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("log-floor-ignored", SECTION)
        .defect("a start does not ask how long the log is known to have been durable")
        .hook(Opening(claim_nothing))
        .caught(Family::Damage, 4, GONE),
    Specimen::new("log-ends-at-damaged-line", SECTION)
        .defect("a start takes the log to end before the first line that is damaged")
        .hook(Opening(end_at_damage))
        .caught(Family::Damage, 1, GONE),
    Specimen::new("log-ends-at-missing-segment", SECTION)
        .defect("a start takes the log to end where a segment is missing")
        .hook(Opening(end_at_gap))
        .caught(Family::Damage, 1, GONE),
    Specimen::new("missing-log-begun-empty", SECTION)
        .defect("a start that finds no log begins an empty one")
        .hook(Opening(begin_empty))
        .caught(Family::Damage, 2, GONE),
    Specimen::new("missing-state-starts-new-node", SECTION)
        .defect("a start that finds no term and vote begins as a node that never ran, with a say")
        .hook(Opening(start_as_new))
        .caught(Family::Damage, 1, GONE),
    Specimen::new("state-renamed-before-fsync", SECTION)
        .defect("the new file of term and vote takes the old one's place before it is durable")
        .hook(Other(|| Box::new(RenamesEarly("state.json"))))
        .caught(Family::General, 2, TORN),
    Specimen::new("snapshot-renamed-before-fsync", "7")
        .defect("a snapshot takes its name, and the log before it goes, before it is durable")
        .hook(Other(|| Box::new(RenamesEarly("snapshot-"))))
        .caught(Family::Snapshots, 4, TORN),
    Specimen::new("segment-renamed-before-fsync", SECTION)
        .defect("a start puts a copy of the last segment into its place before the copy is durable")
        .hook(Other(|| Box::new(RenamesEarly("log-"))))
        .caught(Family::General, 2, TORN),
    Specimen::new("term-saved-without-vote", SECTION)
        .defect("the term is written to the disk and the vote of that term is not")
        .hook(After(save_no_vote))
        .caught(Family::General, 1, &["one vote a term", "nothing promised early"]),
];

/// Some files take their places before they are durable.
struct RenamesEarly(&'static str);

impl Mutation for RenamesEarly {
    fn opening(&mut self, disk: &mut SimulatedDisk) {
        disk.ignore_syncs_of_new(self.0);
    }

    fn use_disk(&mut self, disk: &mut SimulatedDisk) {
        disk.ignore_syncs_of_new(self.0);
    }
}

fn claim_nothing(disk: &mut SimulatedDisk) {
    if let Some(state) = disk.read(state_file::NAME).ok().and_then(|bytes| StateFile::decode(&bytes).ok()) {
        let state = StateFile { log_floor: EntryId::ZERO, ..state };
        disk.cut(state_file::NAME, 0);
        disk.append(state_file::NAME, &state.encode()).expect("no failure is planned");
        disk.sync(state_file::NAME).expect("no failure is planned");
    }
}

fn segments(disk: &SimulatedDisk) -> Vec<Segment> {
    let mut segments: Vec<Segment> =
        disk.list().unwrap_or_default().iter().filter_map(|name| Segment::named(name)).collect();
    segments.sort_unstable();
    segments
}

/// The log ends in this segment after this many bytes.
fn end_log(disk: &mut SimulatedDisk, last: Segment, length: usize) {
    for later in segments(disk).into_iter().filter(|segment| segment.first > last.first) {
        disk.lose(&later.name());
    }
    disk.cut(&last.name(), length);
    claim_nothing(disk);
}

fn end_at_damage(disk: &mut SimulatedDisk) {
    for segment in segments(disk) {
        let mut whole = 0;
        for line in disk.read(&segment.name()).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n");
            if text.is_some_and(|text| record::decode(text).is_err()) {
                return end_log(disk, segment, whole);
            }
            whole += line.len();
        }
    }
}

fn end_at_gap(disk: &mut SimulatedDisk) {
    let segments = segments(disk);
    for (segment, next) in segments.iter().zip(segments.iter().skip(1)) {
        let bytes = disk.read(&segment.name()).unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n').skip(1).count() as u64;
        if segment.first.0 + lines < next.first.0 {
            return end_log(disk, *segment, bytes.len());
        }
    }
}

fn begin_empty(disk: &mut SimulatedDisk) {
    let names = disk.list().unwrap_or_default();
    let has_snapshot = names.iter().any(|name| name.starts_with("snapshot-"));
    let segments = segments(disk);
    let missing = segments.first().is_none_or(|first| first.first > LogIndex(1));
    if missing && !has_snapshot && names.iter().any(|name| name == state_file::NAME) {
        let first = Segment { first: LogIndex(1), length: 0 };
        for segment in segments {
            disk.lose(&segment.name());
        }
        disk.create(&first.name()).expect("no failure is planned");
        disk.sync_folder().expect("no failure is planned");
        claim_nothing(disk);
    }
}

fn start_as_new(disk: &mut SimulatedDisk) {
    let state = disk.read(state_file::NAME).ok().and_then(|bytes| StateFile::decode(&bytes).ok());
    if state.is_none() {
        for name in disk.list().unwrap_or_default() {
            disk.lose(&name);
        }
    }
}

fn save_no_vote(_server: &mut Server, outbox: &mut Outbox) {
    if let Some(hard_state) = outbox.write.as_mut().and_then(|write| write.hard_state.as_mut()) {
        hard_state.voted_for = None;
    }
}
