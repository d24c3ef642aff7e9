//! How a node's lives begin and end.

use super::Simulation;
use crate::check::property::Property;
use crate::server::{EndReason, Server, Start};
use crate::state_machine::Replica;
use crate::state_machine::kv::KeyValue;
use crate::storage::json_store::JsonStore;
use crate::storage::simulated::SimulatedDisk;
use crate::storage::snapshots::Snapshots;
use crate::storage::{ClusterId, Identity, NewStore, Storage, StorageError};
use crate::types::{Epoch, FOUNDERS_STORE, NodeId};

/// A segment is small, so that short runs have several.
pub(super) const SEGMENT_BYTES: u64 = 4096;

/// How a node begins a life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Begin {
    /// From what its disk holds.
    Again,
    /// From an empty disk, though it was there before.
    Wiped,
    /// From an empty disk, as a node that the cluster has not had.
    Added,
}

impl Simulation {
    /// Starts a node from its disk, or from an empty one. Says what was reloaded.
    pub(super) fn start(&mut self, name: NodeId, begin: Begin) -> Result<String, StorageError> {
        let now = self.now;
        let wipe = begin != Begin::Again;
        // No other node could bring it up to date: its cluster begins again.
        let is_alone = begin == Begin::Wiped && self.members.configuration.nodes() == [name];
        // A later store has a larger number, and a wiped node joins a cluster that has run.
        let least = FOUNDERS_STORE + u64::from(wipe);
        let store_id = (now.as_nanos() + least).max(self.node(name).store_id + 1);
        let new_store = match begin {
            _ if is_alone => NewStore::founding([name]),
            Begin::Again => NewStore::founding(self.founders.clone()),
            Begin::Wiped | Begin::Added => NewStore::joining(store_id),
        };
        let random = match begin {
            Begin::Added => self.random_of_newcomer(name, store_id),
            Begin::Again | Begin::Wiped => self.random.fork(),
        };
        let away = !self.settings.machine_delay.is_zero();
        let cluster = ClusterId(self.settings.seed);
        let identity = Identity { cluster, epoch: Epoch::FIRST, node: name };
        let (settings, bounds) = (self.raft.now.clone(), self.settings.sessions);
        let node = self.node(name);
        if wipe {
            node.disk = SimulatedDisk::new(&name.to_string());
        }
        let mut disk = node.disk.clone();
        if let Some(mutation) = &mut self.mutation {
            mutation.opening(&mut disk);
        }
        let load = self.machine.load;
        let node = self.node(name);
        let (store, recovered) =
            JsonStore::open(node.disk.clone(), &identity, SEGMENT_BYTES, &new_store, load)?;
        let files = Snapshots::new(node.disk.clone(), cluster);
        self.node(name).store_id = recovered.hard_state.store_id;
        let said = recovered.summary();
        let (mut start, repaired, fresh) = Start::of(recovered);
        start.at_once = self.settings.disk_delay.is_zero();
        if let Some(mutation) = &mut self.mutation {
            mutation.recovered(name, &mut start.recovered);
        }
        let local = self.node(name).local_time(now);
        let mutation = self.mutation.as_deref();
        let blank = || match mutation {
            Some(mutation) => mutation.machine(Replica::bounded(KeyValue::default(), bounds)),
            None => (self.machine.blank)(bounds),
        };
        let mut server = Server::new(name, settings, start, &blank, random, local);
        let node = self.node(name);
        node.applier = if away { server.detach() } else { None };
        node.files = Some(files);
        node.status = server.status();
        let started = server.started(fresh, &repaired);
        node.server = Some(server);
        node.store = Some(store);
        let node = &self.nodes[&name];
        let raft = node.server.as_ref().expect("started just now").raft();
        self.safety.started(raft);
        self.tally.repaired += repaired.len() as u64;
        self.node(name).told = None;
        self.tell(name, started);
        self.tell_state(name);
        Ok(said)
    }

    pub(super) fn end(&mut self, name: NodeId, why: EndReason) {
        if let Some(violation) = why.violation(name) {
            self.safety.report(Property::NodeInvariants, violation);
        }
        let mut random = self.random.fork();
        if let Some(server) = &self.nodes[&name].server {
            self.tally.note_end(server.raft());
        }
        let node = self.node(name);
        if why == EndReason::Stopped
            && let Some(store) = &mut node.store
        {
            // If the disk fails now, the last record still holds.
            let _ = store.save_floor();
        }
        node.forget();
        if why == (EndReason::Crashed { power: true }) {
            node.disk.power_cut(&mut random);
        }
        node.down = Some(why.clone());
        self.tell(name, why.into());
    }
}
