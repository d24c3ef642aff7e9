//! How a cluster's nodes start and end.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, select};

use super::states::{Files, Medium, Opened, Wiped};
use super::{Cluster, END_PATIENCE, STOP_PATIENCE, StartError};
use crate::lab::{DiskChange, LabError, Life, left_by_crash};
use crate::net::inbox::inbox;
use crate::node::{Handles, Losses, Node, Store};
use crate::panics::caught;
use crate::protocol::Address;
use crate::server::{RoleName, Server, Start, Status};
use crate::state_machine::{Machine, Replica, StateMachine, image};
use crate::storage::StorageError;
use crate::storage::glimpse::{self, Glimpse};
use crate::storage::real::RealDisk;
use crate::trace::What;
use crate::types::{NodeId, StoreId};

/// A node, running or not.
pub(super) struct Slot {
    pub medium: Medium,
    /// The node's thread; none when it is known to have ended.
    pub node: Option<Node>,
    down: String,
    /// What it knew when it last ran.
    status: Status,
    /// What its disk had not taken when it ended.
    lost: Losses,
    pub clock_ahead: Duration,
}

impl Slot {
    pub fn new(medium: Medium) -> Slot {
        Slot {
            medium,
            node: None,
            down: String::new(),
            status: Status::default(),
            lost: Losses::default(),
            clock_ahead: Duration::ZERO,
        }
    }

    /// One that does not run, for this reason.
    pub fn down(medium: Medium, why: String) -> Slot {
        Slot { down: why, ..Slot::new(medium) }
    }

    /// The node, if it runs and is not frozen.
    pub fn awake(&self) -> Option<&Node> {
        self.node.as_ref().filter(|node| node.ended().is_none() && !node.is_paused())
    }

    pub fn life(&self) -> Life {
        match &self.node {
            Some(node) => match node.ended() {
                Some(ended) => Life::Down(ended.why.to_string()),
                None if node.is_paused() => Life::Paused,
                None => Life::Up,
            },
            None => Life::Down(self.down.clone()),
        }
    }

    /// What it knows; of a node that has ended, what it knew, without a role.
    pub fn status(&self) -> Status {
        match &self.node {
            Some(node) if node.ended().is_none() => node.status(),
            Some(node) => out_of_office(node.status()),
            None => out_of_office(self.status),
        }
    }

    /// Waits for the node's end, and notes how it ended.
    pub fn settle(&mut self, until: Instant) {
        let Some(node) = &mut self.node else { return };
        if let Some(ended) = node.wait_for_end(until) {
            self.status = node.status();
            self.down = ended.why.to_string();
            self.lost = ended.lost;
            self.node = None;
        }
    }

    /// Sets its clock ahead, also for later starts.
    pub fn skew_clock(&mut self, ahead: Duration) {
        self.clock_ahead = ahead;
        if let Some(node) = &self.node {
            node.set_clock(ahead);
        }
    }

    /// Whether its disk completes no write now.
    pub fn is_disk_blocked(&self) -> bool {
        matches!(&self.medium, Medium::Files(files) if files.faults.is_blocked())
    }

    /// How often it has forced something to disk.
    pub fn syncs(&self) -> u64 {
        match &self.medium {
            Medium::Files(files) => files.faults.syncs(),
            Medium::Memory(_) => 0,
        }
    }

    pub fn change_disk(&self, name: NodeId, change: DiskChange) -> Result<String, LabError> {
        let Medium::Files(files) = &self.medium else {
            return Err(LabError::new(format!(
                "{name} keeps its state in memory: start the cluster without --memory"
            )));
        };
        match change {
            DiskChange::Slow(by) => files.faults.slow(by),
            DiskChange::Stall(duration) => files.faults.stall(duration),
            DiskChange::Full(full) => files.faults.fill(full),
            DiskChange::Mend => return Ok(files.faults.clear()),
        }
        Ok(String::new())
    }

    /// What it has stored, running or not.
    pub fn stored(&self, entries: usize) -> Result<Glimpse, StorageError> {
        match &self.medium {
            Medium::Files(files) => glimpse::look(&RealDisk::new(&files.folder), entries),
            Medium::Memory(content) => content.look(entries).map(Some),
        }
        .map(Option::unwrap_or_default)
    }

    /// The number of its files; zero if there are none that can be read.
    pub fn store_id(&self) -> StoreId {
        let stored = self.stored(0).unwrap_or_default();
        stored.hard_state.map_or(0, |hard_state| hard_state.store_id)
    }

    /// Lets its disk fail instead of waiting.
    pub fn interrupt(&self) {
        if let (Medium::Files(files), Some(_)) = (&self.medium, &self.node) {
            files.faults.interrupt();
        }
    }
}

impl<M: StateMachine> Cluster<M> {
    /// Starts a node with what its disk held. Returns a summary of that.
    pub(super) fn launch(&mut self, name: NodeId, opened: Opened) -> Result<String, StartError> {
        let Opened { store, open, recovered } = opened;
        let said = recovered.summary();
        let (mut start, repaired, fresh) = Start::of(recovered);
        start.at_once = matches!(store, Store::Inline(_));
        let (random, clock) = (self.random.fork(), self.context.clock);
        let settings = self.raft.now.clone();
        let own_clock = clock.set_ahead(self.slot(name).clock_ahead);
        let make = &self.machine;
        let blank = || -> Box<dyn Machine> { Box::new(Replica::new(make())) };
        let server = caught(|| Server::new(name, settings, start, &blank, random, own_clock.now()));
        let server = server.map_err(|reason| StartError::Machine { node: name, reason })?;

        self.context.started(server.raft());
        self.context.reporter.tell(clock.now(), name, [server.started(fresh, &repaired)]);

        let (sender, inbox) = inbox(self.settings.inbox_node, self.settings.inbox_node_bytes);
        self.network.register(Address::Node(name), sender);
        let transport = Box::new(self.network.clone());
        let handles = Handles {
            store,
            open,
            load: image::load::<M>,
            part_bytes: self.settings.raft.snapshot_part_bytes,
        };
        let context = self.context.clone();
        let flight = context.flight_recorder.of_node(name, fresh, repaired);
        let node = Node::start(server, handles, transport, inbox, context, own_clock, flight);
        let node = node.map_err(StartError::Thread)?;
        self.slot(name).node = Some(node);
        self.context.changes.announce();
        Ok(said)
    }

    pub(super) fn start_again(&mut self, name: NodeId, wipe: bool) -> Result<String, LabError> {
        // A cluster of one has no other node to take it in.
        let is_alone = self.slots.len() == 1 && self.home.is_none();
        let wiped = if is_alone { Wiped::Alone } else { Wiped::Joins { after: 0 } };
        let wiped = wipe.then_some(wiped);
        let load = image::load::<M>;
        let slot = self.existing(name)?;
        let opened = match slot.medium.clone() {
            Medium::Files(files) => self.open_patiently(name, files, wiped)?,
            Medium::Memory(content) => {
                let new_store = wiped.unwrap_or(Wiped::Alone).new_store(name, content.store_id());
                let content = if wipe { content.wiped() } else { content };
                slot.medium = Medium::Memory(content);
                slot.medium.open(&new_store, load).map_err(told)?
            }
        };
        self.context.reporter.tell(self.context.clock.now(), name, [What::Restarted]);
        self.launch(name, opened).map_err(told)
    }

    /// Opens a node's files, on a thread of its own: while a disk stalls, a person can give up.
    pub(super) fn open_patiently(
        &self,
        name: NodeId,
        files: Files,
        wiped: Option<Wiped>,
    ) -> Result<Opened, LabError> {
        let faults = files.faults.clone();
        let (sender, opened) = bounded(1);
        let open = move || {
            let load = image::load::<M>;
            let opened = || match (wiped, files.exist()) {
                // Damaged files can still be wiped.
                (Some(wiped), _) => files.renew(wiped, load).map_err(|error| error.to_string()),
                (None, Ok(false)) => {
                    Err(format!("{name} has no files: 'restart {name} --wipe' starts it empty"))
                }
                (None, Ok(true)) => files.open_again(load).map_err(|error| error.to_string()),
                (None, Err(error)) => Err(error.to_string()),
            };
            // The state machine's types are read here.
            let result = caught(opened);
            let result = result.map_err(|reason| StartError::Machine { node: name, reason }.to_string());
            let _ = sender.send(result.flatten());
        };
        thread::Builder::new().name(format!("{name}-open")).spawn(open).map_err(told)?;
        let wake = self.waiting.wake();
        let result = select! {
            recv(opened) -> result => result,
            recv(wake) -> _ => {
                faults.interrupt();
                opened.recv()
            }
        };
        result.unwrap_or_else(|_| Err(format!("{name}'s files cannot be opened"))).map_err(LabError::new)
    }
}

impl<M> Cluster<M> {
    pub(super) fn crash_node(&mut self, name: NodeId, power: bool) -> Result<String, LabError> {
        self.running(name)?.crash(power);
        let slot = self.ended(name, Instant::now() + END_PATIENCE)?;
        if let (Medium::Files(files), true) = (&slot.medium, power) {
            let lost = files.faults.lose_unsynced(&mut RealDisk::new(&files.folder));
            lost.map_err(|error| {
                LabError::new(format!("{name} crashed, but its files cannot be cut: {error}"))
            })?;
        }
        Ok(match (&slot.medium, slot.stored(1)) {
            (Medium::Memory(_), _) => "what it stored is kept".to_string(),
            (Medium::Files(_), Ok(stored)) => left_by_crash(&slot.status, &stored),
            (Medium::Files(_), Err(error)) => format!("its files cannot be read: {error}"),
        })
    }

    /// Ends a node's life once its disk has all that it was given, or does not answer.
    pub(super) fn stop_node(&mut self, name: NodeId) -> Result<String, LabError> {
        self.running(name)?.stop();
        let slot = self.slot(name);
        slot.settle(Instant::now() + STOP_PATIENCE);
        slot.interrupt();
        let slot = self.ended(name, Instant::now() + END_PATIENCE)?;
        Ok(match (lost_shown(slot.lost), &slot.medium) {
            (Some(lost), _) => format!("its disk did not answer: {lost}"),
            (None, Medium::Files(_)) => "all it had is on its disk".to_string(),
            (None, Medium::Memory(_)) => "all it had is kept in memory".to_string(),
        })
    }

    fn ended(&mut self, name: NodeId, until: Instant) -> Result<&mut Slot, LabError> {
        let slot = self.slots.get_mut(&name).expect("it ran just now");
        slot.settle(until);
        if slot.node.is_some() {
            return Err(LabError::new(format!(
                "{name} does not end: its disk does not answer; try again later"
            )));
        }
        self.network.unregister(Address::Node(name));
        Ok(slot)
    }

    /// A node that runs, frozen or not.
    pub(super) fn running(&mut self, name: NodeId) -> Result<&mut Node, LabError> {
        self.existing(name)?.node.as_mut().ok_or(LabError::down(name))
    }

    /// A node. If its thread has ended, this is known from now on.
    pub(super) fn existing(&mut self, name: NodeId) -> Result<&mut Slot, LabError> {
        if !self.slots.contains_key(&name) {
            let nodes: Vec<NodeId> = self.slots.keys().copied().collect();
            return Err(LabError::unknown(name, &nodes));
        }
        let slot = self.slot(name);
        if slot.node.as_ref().is_some_and(|node| node.ended().is_some()) {
            slot.settle(Instant::now() + END_PATIENCE);
        }
        Ok(slot)
    }
}

/// The status without a role: a node that has ended neither leads nor follows.
fn out_of_office(known: Status) -> Status {
    Status { role: RoleName::default(), leader: None, ..known }
}

/// `3 entries and its newest term and vote were not on its disk yet`; none when nothing was lost.
fn lost_shown(lost: Losses) -> Option<String> {
    let entries = match lost.entries {
        0 => None,
        1 => Some("1 entry".to_string()),
        many => Some(format!("{many} entries")),
    };
    let state = (lost.hard_states > 0).then(|| "its newest term and vote".to_string());
    let verb = if lost.entries == 1 && lost.hard_states == 0 { "was" } else { "were" };
    let parts: Vec<String> = entries.into_iter().chain(state).collect();
    (!parts.is_empty()).then(|| format!("{} {verb} not on its disk yet", parts.join(" and ")))
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err by name")]
pub(super) fn told(error: impl ToString) -> LabError {
    LabError::new(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_said_in_a_sentence() {
        let said = |entries, hard_states| lost_shown(Losses { entries, hard_states }).unwrap_or_default();
        assert_eq!(said(0, 0), "");
        assert_eq!(said(1, 0), "1 entry was not on its disk yet");
        assert_eq!(said(3, 1), "3 entries and its newest term and vote were not on its disk yet");
    }
}
