//! Defects of snapshots (section 7).

use std::collections::BTreeMap;

use super::Hook::{Adopting, After, Before, Leaving, Other, Saving, UseDisk};
use super::{Specimen, arriving};
use crate::raft::Raft;
use crate::raft::effects::SnapshotTask;
use crate::raft::message::{Body, Message};
use crate::raft::role::Role;
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::mutation::Mutation;
use crate::sim::seeds::Family;
use crate::state_machine::image::Image;
use crate::state_machine::kv::KeyValue;
use crate::state_machine::sessions::Sessions;
use crate::state_machine::{Machine, Replica};
use crate::types::{EntryId, NodeId, Term};

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("compacted-previous-without-term", "7")
        .defect("a leader sends term 0 for a previous entry that it has compacted")
        .hook(Leaving(forget_base_term))
        .caught(Family::Snapshots, 1, &["node invariants", "not healed"]),
    Specimen::new("old-snapshot-wipes-log", "Figure 13, InstallSnapshot 6")
        .defect("a snapshot that is older than the log replaces it all the same")
        .hook(Before(wipe_log))
        .caught(
            Family::Snapshots,
            5,
            &["node invariants", "committed is durable", "state machine safety", "log matching"],
        ),
    Specimen::new("foreign-suffix-kept", "Figure 13, InstallSnapshot 6 and 7")
        .defect("the log behind a snapshot's last entry is kept without looking at that entry's term")
        .hook(Before(take_for_shared))
        .caught(Family::Snapshots, 21, &["state machine safety", "nothing promised early", "log matching"]),
    Specimen::new("applied-set-back", "Figure 13, InstallSnapshot 8")
        .defect("a late part of a snapshot sets the applied index back")
        .hook(Before(set_applied_back))
        .caught(Family::Snapshots, 1, &["node invariants"]),
    Specimen::new("snapshot-without-sessions", "8; 6.3 of the dissertation")
        .defect("the table of sessions is not in the snapshot")
        .hook(Saving(forget_sessions))
        .caught(Family::Snapshots, 1, &["snapshot"]),
    Specimen::new("sessions-not-restored", "8; 6.3 of the dissertation")
        .defect("a start from a snapshot restores its state, and not its table of sessions")
        .hook(Adopting(forget_sessions))
        .caught(Family::Snapshots, 1, &["state machine safety", "exactly once", "snapshot"]),
    Specimen::new("idle-tip-not-sent", "7")
        .defect("a leader whose log is all compacted sends no snapshot")
        .hook(After(send_no_snapshot_from_tip))
        .caught_by_scenario("an idle leader whose log is all in its snapshot brings an empty node up"),
    Specimen::new("applied-index-apart", "7")
        .defect("the index that a snapshot claims to cover is saved apart from its state, and newer")
        .hook(Other(|| Box::<SavesApart>::default()))
        .caught(Family::Snapshots, 1, &["snapshot"]),
    Specimen::new("no-folder-fsync", "Figure 2, persistent state")
        .defect("files are renamed and removed without an fsync of their folder")
        .hook(UseDisk(|disk| disk.ignore_folder_syncs()))
        .caught(
            Family::Snapshots,
            4,
            &["committed is durable", "one vote a term", "n1 cannot", "n2 cannot", "n3 cannot"],
        ),
];

fn forget_base_term(raft: &Raft, message: &mut Message) {
    let base = raft.log().base();
    if let Body::AppendEntries { prev, .. } = &mut message.body
        && *prev == base
    {
        *prev = EntryId::new(Term(0), base.index);
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

/// Takes the entry where a snapshot ends for the one that the snapshot covers, of any term.
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
    let applied = server.ledger.handed;
    let base = server.raft().log().base().index;
    for message in arriving(arrivals) {
        if let Body::InstallSnapshot { last, .. } = message.body
            && last.index < applied
            && last.index >= base
        {
            server.ledger.handed = last.index;
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

impl Mutation for SavesApart {
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
