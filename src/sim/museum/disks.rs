//! Defects of durability (Figure 2, persistent state; 10.2.1).

use std::collections::BTreeMap;

use super::{After, Caught, GENERAL, Specimen};
use crate::raft::Recovered;
use crate::raft::effects::WriteId;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::{DiskFailure, Exhibit};
use crate::storage::disk::Disk;
use crate::storage::simulated::SimulatedDisk;
use crate::types::NodeId;

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "reply-before-fsync",
        defect: "votes and acknowledgements leave before the disk holds what they promise",
        section: "Figure 2, persistent state",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["nothing promised early"] },
        exhibit: || Box::new(After(send_at_once)),
    },
    Specimen {
        name: "no-fsync",
        defect: "entries are reported as durable without an fsync",
        section: "Figure 2, persistent state",
        caught: Caught::BySeeds { family: GENERAL, first: 4, complaints: &["committed is durable"] },
        exhibit: || Box::new(NoFsync),
    },
    Specimen {
        name: "fsync-tried-again",
        defect: "a failed fsync is taken for a success, as a second try would report",
        section: "Figure 2, persistent state",
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 19,
            complaints: &["committed is durable", "one vote a term", "log matching"],
        },
        exhibit: || Box::new(Failing(DiskFailure::TakenForSuccess)),
    },
    Specimen {
        name: "disk-failure-hidden",
        defect: "a disk's failure is hidden: its node runs on and never acknowledges anything again",
        section: "Figure 2, persistent state",
        caught: Caught::ByScenario("a node whose disk failed says so"),
        exhibit: || Box::new(Failing(DiskFailure::Hidden)),
    },
    Specimen {
        name: "completions-out-of-order",
        defect: "the end of one write is taken for the end of a later one",
        section: "Figure 2, persistent state",
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 39,
            complaints: &["committed is durable", "one vote a term"],
        },
        exhibit: || Box::<OutOfOrder>::default(),
    },
    Specimen {
        name: "damaged-line-cut-off",
        defect: "a start cuts the log off at a damaged line, and the node votes and leads without what it held",
        section: "Figure 2, persistent state",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["committed is durable"] },
        exhibit: || Box::new(CutsOff),
    },
    Specimen {
        name: "state-written-each-step",
        defect: "the state file is written at every heartbeat",
        section: "Figure 2, persistent state",
        caught: Caught::ByScenario("what an idle minute costs the disk"),
        exhibit: || Box::new(WritesState),
    },
];

struct NoFsync;

impl Exhibit for NoFsync {
    fn skips_sync(&self) -> bool {
        true
    }
}

struct Failing(DiskFailure);

impl Exhibit for Failing {
    fn disk_failure(&self) -> DiskFailure {
        self.0
    }
}

/// Takes each completion for that of the newest write.
#[derive(Default)]
struct OutOfOrder(BTreeMap<NodeId, WriteId>);

impl Exhibit for OutOfOrder {
    fn before(&mut self, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        let newest = self.0.get(&server.raft().id()).copied();
        for arrival in arrivals {
            if let Arrival::Persisted(id) = arrival {
                *id = newest.unwrap_or(*id);
            }
        }
    }

    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        if let Some(write) = &outbox.write {
            self.0.insert(server.raft().id(), write.id);
        }
    }

    fn recovered(&mut self, node: NodeId, _recovered: &mut Recovered) {
        self.0.remove(&node);
    }
}

/// Finds the last third of a log damaged.
struct CutsOff;

impl Exhibit for CutsOff {
    fn recovered(&mut self, _node: NodeId, recovered: &mut Recovered) {
        recovered.entries.truncate(recovered.entries.len() / 3 * 2);
    }
}

struct WritesState;

impl Exhibit for WritesState {
    fn use_disk(&mut self, disk: &mut SimulatedDisk) {
        const STATE: &str = "state.json";
        const NEW: &str = "state.json.new";
        let result = disk
            .read(STATE)
            .and_then(|bytes| disk.create(NEW).and_then(|()| disk.append(NEW, &bytes)))
            .and_then(|()| disk.sync(NEW))
            .and_then(|()| disk.rename(NEW, STATE));
        result.expect("a disk that works");
    }
}

fn send_at_once(server: &mut Server, outbox: &mut Outbox) {
    for (_, messages) in server.held.drain(..) {
        outbox.envelopes.extend(messages.into_iter().map(super::sent));
    }
}
