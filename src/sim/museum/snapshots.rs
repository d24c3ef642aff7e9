//! Defects of snapshots (section 7).

use std::collections::BTreeMap;

use super::altered::{Altered, Rules};
use super::{After, Before, Caught, SNAPSHOTS, Specimen, arriving, leaving};
use crate::raft::effects::SnapshotTask;
use crate::raft::message::Body;
use crate::raft::role::Role;
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::state_machine::image::Image;
use crate::state_machine::kv::KeyValue;
use crate::state_machine::sessions::Sessions;
use crate::state_machine::{Machine, Replica};
use crate::storage::simulated::SimulatedDisk;
use crate::types::{EntryId, NodeId, Term};

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "compacted-previous-without-term",
        defect: "a leader sends term 0 for a previous entry that it has compacted",
        section: "7",
        caught: Caught::BySeeds {
            family: SNAPSHOTS,
            first: 1,
            complaints: &["node invariants", "not healed"],
        },
        exhibit: || Box::new(After(forget_base_term)),
    },
    Specimen {
        name: "old-snapshot-wipes-log",
        defect: "a snapshot that is older than the log replaces it all the same",
        section: "Figure 13, InstallSnapshot 6",
        caught: Caught::BySeeds {
            family: SNAPSHOTS,
            first: 5,
            complaints: &["node invariants", "committed is durable", "state machine safety", "log matching"],
        },
        exhibit: || Box::new(Before(wipe_log)),
    },
    Specimen {
        name: "foreign-suffix-kept",
        defect: "the log behind a snapshot's last entry is kept without looking at that entry's term",
        section: "Figure 13, InstallSnapshot 6 and 7",
        caught: Caught::BySeeds {
            family: SNAPSHOTS,
            first: 21,
            complaints: &["state machine safety", "nothing promised early", "log matching"],
        },
        exhibit: || Box::new(Before(take_for_shared)),
    },
    Specimen {
        name: "applied-set-back",
        defect: "a late part of a snapshot sets the applied index back",
        section: "Figure 13, InstallSnapshot 8",
        caught: Caught::BySeeds { family: SNAPSHOTS, first: 1, complaints: &["node invariants"] },
        exhibit: || Box::new(Before(set_applied_back)),
    },
    Specimen {
        name: "snapshot-without-sessions",
        defect: "the table of sessions is not in the snapshot",
        section: "8; 6.3 of the dissertation",
        caught: Caught::BySeeds { family: SNAPSHOTS, first: 1, complaints: &["snapshot"] },
        exhibit: || Box::new(Altered(Rules { save: forget_sessions, ..Rules::KEPT })),
    },
    Specimen {
        name: "sessions-not-restored",
        defect: "who starts from a snapshot takes over its state, and not its table of sessions",
        section: "8; 6.3 of the dissertation",
        caught: Caught::BySeeds {
            family: SNAPSHOTS,
            first: 1,
            complaints: &["state machine safety", "exactly once", "snapshot"],
        },
        exhibit: || Box::new(Altered(Rules { adopt: forget_sessions, ..Rules::KEPT })),
    },
    Specimen {
        name: "idle-tip-not-sent",
        defect: "a leader whose log is all compacted sends no snapshot",
        section: "7",
        caught: Caught::ByScenario("an idle leader whose log is all in its snapshot brings an empty node up"),
        exhibit: || Box::new(After(send_no_snapshot_from_tip)),
    },
    Specimen {
        name: "applied-index-apart",
        defect: "the index that a snapshot claims to cover is saved apart from its state, and newer",
        section: "7",
        caught: Caught::BySeeds { family: SNAPSHOTS, first: 1, complaints: &["snapshot"] },
        exhibit: || Box::<SavesApart>::default(),
    },
    Specimen {
        name: "no-folder-fsync",
        defect: "files are renamed and removed without an fsync of their folder",
        section: "Figure 2, persistent state",
        caught: Caught::BySeeds {
            family: SNAPSHOTS,
            first: 4,
            complaints: &["committed is durable", "one vote a term", "n1 cannot", "n2 cannot", "n3 cannot"],
        },
        exhibit: || Box::new(NoFolderSync),
    },
];

fn forget_base_term(server: &mut Server, outbox: &mut Outbox) {
    let base = server.raft().log().base();
    for message in leaving(server, outbox) {
        if let Body::AppendEntries { prev, .. } = &mut message.body
            && *prev == base
        {
            *prev = EntryId::new(Term(0), base.index);
        }
    }
}

/// Figure 13's rule 6 without its condition.
fn wipe_log(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let installed = arrivals.iter().find_map(|arrival| match arrival {
        Arrival::SnapshotInstalled { last, .. } => Some(*last),
        _ => None,
    });
    if let Some(last) = installed
        && last.index < server.raft().log().last().index
        && last.index > server.raft().snapshot().index
    {
        let raft = server.raft_mut();
        raft.log.reset(last);
        raft.durability.reset(last.index);
        raft.commit_index = last.index;
    }
}

/// Takes the entry where a snapshot ends for the one that the snapshot covers, whatever its term.
fn take_for_shared(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    for arrival in arrivals {
        if let Arrival::SnapshotInstalled { last, .. } = arrival
            && last.index > server.raft().commit_index()
            && server.raft().log().get(last.index).is_some()
        {
            server.raft_mut().log.forge_term(*last);
        }
    }
}

fn set_applied_back(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let applied = server.handed;
    let base = server.raft().log().base().index;
    for message in arriving(arrivals) {
        if let Body::InstallSnapshot { last, .. } = message.body
            && last.index < applied
            && last.index >= base
        {
            server.handed = last.index;
        }
    }
}

fn forget_sessions(sessions: &mut Sessions) {
    *sessions = Sessions::default();
}

fn send_no_snapshot_from_tip(server: &mut Server, outbox: &mut Outbox) {
    let leads = matches!(server.raft().role(), Role::Leader(_));
    let log = server.raft().log();
    if leads && log.last() == log.base() {
        outbox.snapshots.retain(|work| !matches!(work, SnapshotWork::Task(SnapshotTask::Read { .. })));
    }
}

/// Writes each node's image before the newest under the newest's index.
#[derive(Default)]
struct SavesApart(BTreeMap<NodeId, Box<dyn Image>>);

impl Exhibit for SavesApart {
    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        for work in &mut outbox.snapshots {
            if let SnapshotWork::Save { image, .. } = work
                && let Some(newest) = server.machine().map(Machine::image)
            {
                let before = self.0.insert(server.raft().id(), newest);
                *image = before.unwrap_or_else(|| Replica::new(KeyValue::default()).image());
            }
        }
    }
}

struct NoFolderSync;

impl Exhibit for NoFolderSync {
    fn use_disk(&mut self, disk: &mut SimulatedDisk) {
        disk.ignore_folder_syncs();
    }
}
