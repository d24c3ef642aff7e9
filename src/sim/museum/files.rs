//! Defects of files: what a start takes for whole, and what is renamed before it is durable.

use super::{After, Caught, DAMAGE, GENERAL, SNAPSHOTS, Specimen};
use crate::server::{Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::storage::disk::Disk;
use crate::storage::record;
use crate::storage::segment::Segment;
use crate::storage::simulated::SimulatedDisk;
use crate::storage::state_file::{self, StateFile};
use crate::types::{EntryId, LogIndex, NodeId};

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
    Specimen {
        name: "log-floor-ignored",
        defect: "a start does not ask how long the log is known to have been durable",
        section: SECTION,
        caught: Caught::BySeeds { family: DAMAGE, first: 4, complaints: GONE },
        exhibit: || Box::new(Opens(claim_nothing)),
    },
    Specimen {
        name: "log-ends-at-damaged-line",
        defect: "a start takes the log to end before the first line that is damaged",
        section: SECTION,
        caught: Caught::BySeeds { family: DAMAGE, first: 1, complaints: GONE },
        exhibit: || Box::new(Opens(end_at_damage)),
    },
    Specimen {
        name: "log-ends-at-missing-segment",
        defect: "a start takes the log to end where a segment is missing",
        section: SECTION,
        caught: Caught::BySeeds { family: DAMAGE, first: 1, complaints: GONE },
        exhibit: || Box::new(Opens(end_at_gap)),
    },
    Specimen {
        name: "missing-log-begun-empty",
        defect: "a start that finds no log begins an empty one",
        section: SECTION,
        caught: Caught::BySeeds { family: DAMAGE, first: 2, complaints: GONE },
        exhibit: || Box::new(Opens(begin_empty)),
    },
    Specimen {
        name: "missing-state-starts-new-node",
        defect: "a start that finds no term and vote begins as a node that never ran, with a say",
        section: SECTION,
        caught: Caught::BySeeds { family: DAMAGE, first: 1, complaints: GONE },
        exhibit: || Box::new(Opens(start_as_new)),
    },
    Specimen {
        name: "state-renamed-before-fsync",
        defect: "the new file of term and vote takes the old one's place before it is durable",
        section: SECTION,
        caught: Caught::BySeeds { family: GENERAL, first: 2, complaints: TORN },
        exhibit: || Box::new(RenamesEarly("state.json")),
    },
    Specimen {
        name: "snapshot-renamed-before-fsync",
        defect: "a snapshot takes its name, and the log before it goes, before it is durable",
        section: "7",
        caught: Caught::BySeeds { family: SNAPSHOTS, first: 4, complaints: TORN },
        exhibit: || Box::new(RenamesEarly("snapshot-")),
    },
    Specimen {
        name: "segment-renamed-before-fsync",
        defect: "a start puts a copy of the last segment into its place before the copy is durable",
        section: SECTION,
        caught: Caught::BySeeds { family: GENERAL, first: 2, complaints: TORN },
        exhibit: || Box::new(RenamesEarly("log-")),
    },
    Specimen {
        name: "term-saved-without-vote",
        defect: "the term is written to the disk and the vote of that term is not",
        section: SECTION,
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 1,
            complaints: &["one vote a term", "nothing promised early"],
        },
        exhibit: || Box::new(After(save_no_vote)),
    },
];

/// What is done to a node's files before it starts, so that the start finds nothing wrong.
struct Opens(fn(&mut SimulatedDisk));

impl Exhibit for Opens {
    fn opening(&mut self, _node: NodeId, disk: &mut SimulatedDisk) {
        (self.0)(disk);
    }
}

/// Some files take their places before they are durable.
struct RenamesEarly(&'static str);

impl Exhibit for RenamesEarly {
    fn opening(&mut self, _node: NodeId, disk: &mut SimulatedDisk) {
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
