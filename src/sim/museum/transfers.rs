//! Defects of what a snapshot replaces, at the node that saves it and at the one that is sent it (section 7).

use super::{After, Before, Caught, SNAPSHOTS, Specimen};
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, Outbox, Server};
use crate::state_machine::kv::KeyValue;
use crate::state_machine::{Machine, Replica};
use crate::types::EntryId;

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "snapshot-of-wrong-term",
        defect: "a snapshot names the term in which it was taken, not that of the last entry that it covers",
        section: "7",
        caught: Caught::BySeeds { family: SNAPSHOTS, first: 10, complaints: &["snapshot"] },
        exhibit: || Box::new(After(name_current_term)),
    },
    Specimen {
        name: "older-snapshot-in-place-of-newer",
        defect: "a snapshot that is saved while the leader's newer one is installed takes that one's place",
        section: "7",
        caught: Caught::BySeeds { family: SNAPSHOTS, first: 21, complaints: &["node invariants"] },
        exhibit: || Box::new(Before(take_older)),
    },
    Specimen {
        name: "installed-without-state",
        defect: "a follower takes over what a snapshot says of the log, and not the state that it holds",
        section: "Figure 13, InstallSnapshot 8",
        caught: Caught::BySeeds {
            family: SNAPSHOTS,
            first: 1,
            complaints: &["snapshot", "state machine safety", "nodes that applied", "linearizable"],
        },
        exhibit: || Box::new(Before(install_nothing)),
    },
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
