//! Defects of what a snapshot replaces, at the node that saves it and at the one that is sent it (section 7).

use super::Hook::{After, Before};
use super::Specimen;
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::seeds::Family;
use crate::state_machine::kv::KeyValue;
use crate::state_machine::{Machine, Replica};
use crate::types::EntryId;

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("snapshot-of-wrong-term", "7")
        .defect("a snapshot names the term in which it was taken, not that of the last entry that it covers")
        .hook(After(name_current_term))
        .caught(Family::Snapshots, 10, &["snapshot"]),
    Specimen::new("older-snapshot-in-place-of-newer", "7")
        .defect("a snapshot that is saved while the leader's newer one is installed takes that one's place")
        .hook(Before(take_older))
        .caught(Family::Snapshots, 21, &["node invariants"]),
    Specimen::new("installed-without-state", "Figure 13, InstallSnapshot 8")
        .defect("a follower takes over what a snapshot says of the log, and not the state that it holds")
        .hook(Before(install_nothing))
        .caught(
            Family::Snapshots,
            1,
            &["snapshot", "state machine safety", "nodes that applied", "linearizable"],
        ),
];

fn name_current_term(server: &mut Server, outbox: &mut Outbox) {
    for work in &mut outbox.snapshots {
        if let SnapshotWork::Save { last, .. } = work {
            *last = EntryId::new(server.raft().current_term(), last.index);
        }
    }
}

fn take_older(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    for arrival in arrivals {
        if let Arrival::SnapshotSaved { last, .. } = arrival
            && last.index < server.raft().snapshot().index
        {
            server.raft_mut().snapshot = *last;
        }
    }
}

fn install_nothing(_server: &mut Server, arrivals: &mut Vec<Arrival>) {
    for arrival in arrivals {
        if let Arrival::SnapshotInstalled { image, .. } = arrival {
            *image = Replica::new(KeyValue::default()).image();
        }
    }
}
