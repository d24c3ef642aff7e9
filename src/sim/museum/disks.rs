//! Defects of durability (Figure 2, persistent state; 10.2.1).

use std::collections::BTreeMap;

use super::Hook::{After, Other, Recovering, Syncing, UseDisk};
use super::Specimen;
use crate::raft::Recovered;
use crate::raft::effects::WriteId;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::mutation::{DiskUse, Mutation};
use crate::sim::seeds::Family;
use crate::storage::disk::Disk;
use crate::storage::simulated::SimulatedDisk;
use crate::types::{NodeId, Time};

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("reply-before-fsync", "Figure 2, persistent state")
        .defect("votes and acknowledgements leave before the disk holds what they promise")
        .hook(After(send_at_once))
        .caught(Family::General, 2, &["nothing promised early"]),
    Specimen::new("no-fsync", "Figure 2, persistent state")
        .defect("entries are reported as durable without an fsync")
        .hook(Syncing(DiskUse::WithoutFsync))
        .caught(Family::General, 4, &["committed is durable"]),
    Specimen::new("fsync-tried-again", "Figure 2, persistent state")
        .defect("a failed fsync is taken for a success, as a second try would report")
        .hook(Syncing(DiskUse::FailuresTakenForSuccess))
        .caught(Family::General, 19, &["committed is durable", "one vote a term", "log matching"]),
    Specimen::new("disk-failure-hidden", "Figure 2, persistent state")
        .defect("a disk's failure is hidden: its node runs on and never acknowledges anything again")
        .hook(Syncing(DiskUse::FailuresHidden))
        .caught_by_scenario("a node whose disk failed says so"),
    Specimen::new("completions-out-of-order", "Figure 2, persistent state")
        .defect("the end of one write is taken for the end of a later one")
        .hook(Other(|| Box::<OutOfOrder>::default()))
        .caught(Family::General, 39, &["committed is durable", "one vote a term"]),
    Specimen::new("damaged-line-cut-off", "Figure 2, persistent state")
        .defect(
            "a start cuts the log off at a damaged line, and the node votes and leads without what it held",
        )
        .hook(Recovering(cut_off))
        .caught(Family::General, 1, &["committed is durable"]),
    Specimen::new("state-written-each-step", "Figure 2, persistent state")
        .defect("the state file is written at every heartbeat")
        .hook(UseDisk(write_state))
        .caught_by_scenario("what an idle minute costs the disk"),
];

/// Takes each completion for that of the newest write.
#[derive(Default)]
struct OutOfOrder(BTreeMap<NodeId, WriteId>);

impl Mutation for OutOfOrder {
    fn before(&mut self, _now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
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
fn cut_off(recovered: &mut Recovered) {
    recovered.entries.truncate(recovered.entries.len() / 3 * 2);
}

fn write_state(disk: &mut SimulatedDisk) {
    const STATE: &str = "state.json";
    const NEW: &str = "state.json.new";
    let result = disk
        .read(STATE)
        .and_then(|bytes| disk.create(NEW).and_then(|()| disk.append(NEW, &bytes)))
        .and_then(|()| disk.sync(NEW))
        .and_then(|()| disk.rename(NEW, STATE));
    result.expect("a disk that works");
}

fn send_at_once(server: &mut Server, outbox: &mut Outbox) {
    for (_, messages) in server.ledger.held.drain(..) {
        outbox.envelopes.extend(messages.into_iter().map(super::sent));
    }
}
