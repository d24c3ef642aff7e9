//! A recorded run is forked: from one moment of it on, the simulator decides what happens.
//!
//! Nodes, state machines, rules and the messages under way are as they were. Each node gets a disk that holds what was durable,
//! and still has to take what was not. Its state machine's state is its newest snapshot: the file that it had is in no
//! recording. Clients are gone, and what they waited for is unknown to them.

use super::lives::SEGMENT_BYTES;
use super::node::Node;
use super::{Happening, Simulation};
use crate::lab::LabError;
use crate::raft::effects::{HardState, Rebase, Write};
use crate::raft::role::{ProgressState, Role};
use crate::recording::Recording;
use crate::server::{Arrival, EndReason, Server};
use crate::state_machine::image::LoadImage;
use crate::storage::json_store::JsonStore;
use crate::storage::simulated::SimulatedDisk;
use crate::storage::snapshots::{SnapshotFiles, Snapshots};
use crate::storage::{ClusterId, Founders, Identity, NewStore, Storage, StorageError};
use crate::trace::What;
use crate::types::{Epoch, FOUNDERS_STORE, LogIndex, NodeId, Time};

/// Where a simulation was forked from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub recording: Recording,
    /// When.
    pub at: Time,
    /// How many things of the recording had happened.
    pub events: u64,
}

/// What a node's disk holds when it is forked.
struct Laid {
    store: JsonStore<SimulatedDisk>,
    files: Snapshots<SimulatedDisk>,
    /// The snapshot that was made for it.
    saved: Option<Arrival>,
    /// What its disk has still to take.
    write: Option<Write>,
}

impl Simulation {
    /// Ends the recording here: what follows is decided by a seed.
    ///
    /// # Errors
    /// The moment cannot be forked, and why. Nothing has changed then.
    pub(super) fn fork_here(&mut self) -> Result<(), LabError> {
        let sends = |node: &Node| node.server.as_ref().is_some_and(is_sending);
        if let Some(node) = self.nodes.values().find(|node| sends(node)) {
            let text =
                format!("a snapshot is on its way to or from {}: fork a moment earlier or later", node.name);
            return Err(LabError::new(text));
        }
        let mut following = *self.following.take().expect("only what follows a recording is forked");
        self.forked = Some(Origin {
            recording: following.recording.clone(),
            at: self.now,
            events: self.happened.count(),
        });
        let names: Vec<NodeId> = self.nodes.keys().copied().collect();
        let mut saved = Vec::new();
        // Its disks are those of this simulation from here on.
        let at_once = self.settings.disk_delay.is_zero();
        for name in &names {
            let mut followed = following.nodes.remove(name).unwrap_or_default();
            let ended = followed.ended.take();
            let node = self.nodes.get_mut(name).expect("one of them");
            let Some(server) = node.server.as_ref().or(ended.as_deref()) else { continue };
            let is_running = node.server.is_some();
            let laid = lay(*name, node, server, followed.hard_state, self.machine.load, self.settings.seed);
            let laid = laid.map_err(|error| LabError::new(format!("{name} gets no disk: {error}")))?;
            let node = self.nodes.get_mut(name).expect("one of them");
            let Laid { store, files, saved: arrival, write } = laid;
            if let Some((run, shown)) = followed.clock {
                node.clock_origin = run - shown.since(Time::ZERO);
                node.clock_ahead = shown.since(run);
            }
            if !is_running {
                continue;
            }
            if let Some(server) = &mut node.server {
                server.raft_mut().expect_writes_at_once(at_once);
            }
            node.store = Some(store);
            node.files = Some(files);
            node.writes.extend(write);
            saved.extend(arrival.map(|arrival| (*name, arrival)));
            for lane in node.take_in_work(Vec::new(), followed.tasks.into()) {
                self.schedule_work(*name, lane);
            }
        }
        let delay = self.settings.link_delay;
        for envelope in following.under_way.into_values() {
            self.schedule(delay, Happening::Arrives { envelope, held_back: false });
        }
        for name in names {
            self.use_disk(name);
        }
        for (name, arrival) in saved {
            self.deliver(name, arrival);
        }
        Ok(())
    }

    /// A simulation that was forked, as it was then.
    pub(super) fn forked_again(&self, origin: &Origin) -> Simulation {
        let again = Simulation::follow(origin.recording.clone(), self.machine.clone(), None);
        let mut again = again.expect("it was read before, from the same files");
        while again.happened.count() < origin.events && again.advance(Time::NEVER) {}
        again.observer.clone_from(&self.observer);
        again.fork_here().expect("it was forked there before");
        again
    }

    /// Keeps a server that has ended, for the disk that it leaves.
    pub(super) fn end_followed(&mut self, name: NodeId, why: EndReason) {
        let server = self.nodes.get_mut(&name).and_then(|node| node.server.take());
        let following = self.following.as_mut().expect("it follows");
        following.nodes.entry(name).or_default().ended = server.map(Box::new);
        let node = self.nodes.get_mut(&name).expect("a node of the recording");
        node.forget();
        node.down = Some(why.clone());
        self.tell(name, What::from(why));
    }
}

/// Whether a snapshot is on its way to this node or from it: its parts are in no file.
fn is_sending(server: &Server) -> bool {
    let raft = server.raft();
    let to_others = match raft.role() {
        Role::Leader(leader) => {
            leader.followers.values().any(|follower| matches!(follower.state, ProgressState::Snapshot(_)))
        }
        _ => false,
    };
    to_others || raft.receives_snapshot()
}

/// A disk with what is durable of a server.
fn lay(
    name: NodeId,
    node: &Node,
    server: &Server,
    hard_state: HardState,
    load: LoadImage,
    seed: u64,
) -> Result<Laid, StorageError> {
    let raft = server.raft();
    let cluster = ClusterId(seed);
    let identity = Identity { cluster, epoch: Epoch::FIRST, node: name };
    let new_store = if raft.store_id() == FOUNDERS_STORE {
        let founders = raft.configuration_at(LogIndex(0)).or_else(|| raft.configurations().newest().cloned());
        let nodes = founders.map_or_else(|| vec![name], |known| known.configuration.nodes());
        NewStore::founding(Founders::from(nodes))
    } else {
        NewStore::joining(raft.store_id())
    };
    let disk = node.disk.clone();
    let (mut store, _) = JsonStore::open(disk.clone(), &identity, SEGMENT_BYTES, &new_store, load)?;
    let mut files = Snapshots::new(disk, cluster);
    store.write(Write { hard_state: Some(hard_state), ..Write::default() })?;
    store.sync()?;
    let machine = node.machine().or_else(|| server.machine()).filter(|_| raft.snapshot().index > LogIndex(0));
    let mut covered = LogIndex(0);
    let mut saved = None;
    if let Some(machine) = machine
        && let (last, Some(configured)) = (machine.applied(), raft.configuration_at(machine.applied().index))
    {
        let bytes = files.save(last, &configured, &*machine.image(), &|| true)?;
        (covered, saved) = (last.index, Some(Arrival::SnapshotSaved { last, bytes }));
    }
    let log = raft.log();
    let base = log.base();
    let durable = raft.durable_index().max(covered).min(log.last().index);
    let entries = |first: LogIndex, last: LogIndex| {
        let range = (first <= last).then(|| log.range(first, last).cloned());
        range.into_iter().flatten().collect()
    };
    let rebase = (base.index > LogIndex(0)).then_some(Rebase::Reset(base));
    store.write(Write { rebase, entries: entries(base.index.next(), durable), ..Write::default() })?;
    store.sync()?;
    let write = raft.pending_writes().next_back().map(|(id, _)| Write {
        id,
        hard_state: Some(raft.hard_state()),
        entries: entries(durable.next(), log.last().index),
        ..Write::default()
    });
    Ok(Laid { store, files, saved, write })
}
