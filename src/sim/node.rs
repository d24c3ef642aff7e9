//! One simulated node: a server, its store on a simulated disk, and when the disk is done.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::mutation::{DiskUse, Mutation};
use crate::lab::Life;
use crate::panics::caught;
use crate::raft::effects::{SnapshotTask, Write, WriteId};
use crate::server::applier::{Applier, Task};
use crate::server::snapshots::{self, SnapshotWork};
use crate::server::{Arrival, EndReason, Outbox, Server, Status};
use crate::state_machine::Machine;
use crate::state_machine::image::LoadImage;
use crate::storage::disk::Disk;
use crate::storage::faults::faults_named;
use crate::storage::json_store::JsonStore;
use crate::storage::simulated::{DiskFailure, SimulatedDisk};
use crate::storage::snapshots::{Snapshots, finished};
use crate::storage::{Storage, StorageError};
use crate::trace::NodeState;
use crate::types::{NodeId, StoreId, Time};

/// A node, running or not. Its disk outlives it.
pub(super) struct Node {
    pub name: NodeId,
    pub server: Option<Server>,
    pub store: Option<JsonStore<SimulatedDisk>>,
    pub files: Option<Snapshots<SimulatedDisk>>,
    pub disk: SimulatedDisk,
    /// Counts its starts, so that events of an earlier life are recognised.
    pub life: u64,
    pub paused: bool,
    /// What its thread has not taken in yet.
    pub inbox: Vec<Arrival>,
    /// Writes for the disk when it is free.
    pub writes: VecDeque<Write>,
    writing: Option<WriteId>,
    works: BTreeMap<snapshots::Lane, VecDeque<SnapshotWork>>,
    /// The state machine, when it is on a thread of its own, and its tasks.
    pub applier: Option<Applier>,
    tasks: VecDeque<Task>,
    pub slow: Duration,
    pub stalled_until: Time,
    full: bool,
    /// What it knew when it last made a step.
    pub status: Status,
    /// What was last told of its state, while somebody follows it.
    pub told: Option<Box<NodeState>>,
    /// Why it does not run; none before its first start.
    pub down: Option<EndReason>,
    /// Its clock's rate, in parts of a million of the true one.
    pub clock_rate: u64,
    pub clock_ahead: Duration,
    /// When its clock showed zero, in the run's time.
    pub clock_origin: Time,
    /// What its clock last showed: it never goes back.
    clock_shown: Time,
    /// The number of its newest store; zero before the first.
    pub store_id: StoreId,
}

/// A thread of a node, beside its own and its log's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    Files(snapshots::Lane),
    Machine,
}

const TRUE_RATE: u64 = 1_000_000;

/// A copy of a message, or of the end of a write; none of other work.
fn copied(arrival: &Arrival) -> Option<Arrival> {
    match arrival {
        Arrival::Envelope(envelope) => Some(Arrival::Envelope(envelope.clone())),
        Arrival::Persisted(id) => Some(Arrival::Persisted(*id)),
        _ => None,
    }
}

impl Node {
    pub fn new(name: NodeId, disk: SimulatedDisk) -> Node {
        Node {
            name,
            server: None,
            store: None,
            files: None,
            disk,
            life: 0,
            paused: false,
            inbox: Vec::new(),
            writes: VecDeque::new(),
            writing: None,
            works: BTreeMap::new(),
            applier: None,
            tasks: VecDeque::new(),
            slow: Duration::ZERO,
            stalled_until: Time::ZERO,
            full: false,
            status: Status::default(),
            told: None,
            down: None,
            clock_rate: TRUE_RATE,
            clock_ahead: Duration::ZERO,
            clock_origin: Time::ZERO,
            clock_shown: Time::ZERO,
            store_id: 0,
        }
    }

    /// Another node of the same name, with a disk and a clock of its own.
    pub fn successor(&self) -> Node {
        let disk = SimulatedDisk::new(&self.name.to_string());
        Node { life: self.life, store_id: self.store_id, ..Node::new(self.name, disk) }
    }

    /// Whether no work beside the log is under way, and only messages and ends of writes wait for its thread: then it can be copied.
    pub fn is_idle(&self) -> bool {
        self.inbox.iter().all(|arrival| copied(arrival).is_some())
            && self.works.values().all(VecDeque::is_empty)
            && self.applier.is_none()
            && self.tasks.is_empty()
            && self.server.as_ref().is_none_or(Server::has_frame)
    }

    /// A copy of an idle node, on a disk of its own.
    pub fn copy(&self, blank: &dyn Fn() -> Box<dyn Machine>) -> Node {
        let frame = self.server.as_ref().map(|server| server.frame(&[]).expect("it is idle"));
        let disk = self.disk.copy();
        let on_copy = |store: &JsonStore<_>| store.on(disk.clone()).expect("no store has locked the copy");
        Node {
            server: frame.map(|(frame, image)| Server::resume(frame, image, blank)),
            store: self.store.as_ref().map(on_copy),
            files: self.files.as_ref().map(|files| files.on(disk.clone())),
            disk,
            works: BTreeMap::new(),
            applier: None,
            inbox: self.inbox.iter().filter_map(copied).collect(),
            tasks: VecDeque::new(),
            name: self.name,
            life: self.life,
            paused: self.paused,
            writes: self.writes.clone(),
            writing: self.writing,
            slow: self.slow,
            stalled_until: self.stalled_until,
            full: self.full,
            status: self.status,
            told: self.told.clone(),
            down: self.down.clone(),
            clock_rate: self.clock_rate,
            clock_ahead: self.clock_ahead,
            clock_origin: self.clock_origin,
            clock_shown: self.clock_shown,
            store_id: self.store_id,
        }
    }

    /// Whether its disk holds anything.
    pub fn has_files(&self) -> bool {
        self.disk.list().is_ok_and(|names| !names.is_empty())
    }

    pub fn is_running(&self) -> bool {
        self.server.is_some()
    }

    pub fn life(&self) -> Life {
        match (self.is_running(), self.paused) {
            (true, false) => Life::Up,
            (true, true) => Life::Paused,
            (false, _) => {
                Life::Down(self.down.as_ref().map_or("not started".to_string(), EndReason::to_string))
            }
        }
    }

    /// Whether it does not run because its disk failed.
    pub fn has_failed_disk(&self) -> bool {
        matches!(self.down, Some(EndReason::StorageFailed(_)))
    }

    /// Whether its disk completes no write at this time.
    pub fn is_disk_blocked(&self, now: Time) -> bool {
        self.full || self.stalled_until > now
    }

    pub fn fill_disk(&mut self, full: bool) {
        self.full = full;
        if full { self.disk.fail_always(DiskFailure::NoSpace) } else { self.disk.heal() }
    }

    /// Ends the faults of its disk, and says which there were.
    pub fn mend_disk(&mut self, now: Time) -> String {
        let slow = !std::mem::take(&mut self.slow).is_zero();
        let stalled = std::mem::replace(&mut self.stalled_until, Time::ZERO) > now;
        let full = self.full;
        self.fill_disk(false);
        faults_named(slow, stalled, full)
    }

    /// When it must step if nothing arrives, in the run's time.
    pub fn deadline(&self) -> Time {
        match &self.server {
            Some(server) if !self.paused => self.true_time(server.deadline()),
            _ => Time::NEVER,
        }
    }

    pub fn local_time(&mut self, now: Time) -> Time {
        let passed = now - self.clock_origin.since(Time::ZERO);
        let local = u128::from(passed.as_nanos()) * u128::from(self.clock_rate) / u128::from(TRUE_RATE);
        let local = Time::from_nanos(u64::try_from(local).unwrap_or(u64::MAX)) + self.clock_ahead;
        self.clock_shown = self.clock_shown.max(local);
        self.clock_shown
    }

    /// The first moment at which its own clock shows this.
    fn true_time(&self, local: Time) -> Time {
        if local == Time::NEVER {
            return Time::NEVER;
        }
        let local = local - self.clock_ahead;
        let now =
            (u128::from(local.as_nanos()) * u128::from(TRUE_RATE)).div_ceil(u128::from(self.clock_rate));
        self.clock_origin + Duration::from_nanos(u64::try_from(now).unwrap_or(u64::MAX))
    }

    /// Makes one step. An error is the reason why it stopped itself.
    pub fn step(
        &mut self,
        now: Time,
        mut arrivals: Vec<Arrival>,
        mut mutation: Option<&mut (dyn Mutation + 'static)>,
    ) -> Result<Option<Outbox>, String> {
        let local = self.local_time(now);
        let Some(server) = &mut self.server else { return Ok(None) };
        let step = || {
            if let Some(mutation) = mutation.as_deref_mut() {
                mutation.before(local, server, &mut arrivals);
            }
            let mut outbox = server.handle(local, &mut arrivals);
            if let Some(mutation) = mutation {
                mutation.after(server, &mut outbox);
                mutation.use_disk(&mut self.disk);
            }
            outbox
        };
        let outbox = caught(step)?;
        self.status = server.status();
        Ok(Some(outbox))
    }

    /// Gives the disk all waiting writes, unless it is busy. Returns when it will be done, and the node's life.
    pub fn begin_writing(
        &mut self,
        now: Time,
        delay: Duration,
        mutation: Option<&dyn Mutation>,
    ) -> Result<Option<(Time, u64)>, StorageError> {
        let (Some(store), None) = (&mut self.store, self.writing) else { return Ok(None) };
        let how = mutation.map_or(DiskUse::Proper, Mutation::disk_use);
        for write in self.writes.drain(..) {
            let id = write.id;
            if let Err(error) = store.write(write)
                && matches!(how, DiskUse::Proper | DiskUse::WithoutFsync)
            {
                return Err(error);
            }
            self.writing = Some(id);
        }
        if let Some(server) = &self.server {
            store.note_commit(server.raft().commit_index());
        }
        let done = (now + delay + self.slow).max(self.stalled_until);
        Ok(self.writing.map(|_| (done, self.life)))
    }

    /// The disk is done: what it was given is durable.
    pub fn written(&mut self, mutation: Option<&dyn Mutation>) -> Result<Option<WriteId>, StorageError> {
        let (Some(store), Some(id)) = (&mut self.store, self.writing.take()) else { return Ok(None) };
        match mutation.map_or(DiskUse::Proper, Mutation::disk_use) {
            DiskUse::Proper => store.sync().map(|()| Some(id)),
            DiskUse::WithoutFsync => Ok(Some(id)),
            DiskUse::FailuresHidden => Ok(store.sync().ok().map(|()| id)),
            DiskUse::FailuresTakenForSuccess => {
                let _ = store.sync();
                Ok(Some(id))
            }
        }
    }

    /// Makes all waiting writes durable now. Returns the lanes that were idle and have work now.
    pub fn flush(&mut self, now: Time, mutation: Option<&dyn Mutation>) -> Result<Vec<Lane>, StorageError> {
        // Those before them first, if the disk has begun with some.
        self.written(mutation)?;
        self.begin_writing(now, Duration::ZERO, mutation)?;
        self.written(mutation)?;
        let stale = self.stale();
        Ok(self.take_in_work(stale, Vec::new()))
    }

    /// Files that the store needs no more.
    pub fn stale(&mut self) -> Vec<SnapshotWork> {
        let stale = self.store.as_mut().map(JsonStore::take_stale).unwrap_or_default();
        stale.into_iter().map(SnapshotWork::Remove).collect()
    }

    /// Takes in work beside the log. Returns the lanes that were idle and have work now.
    pub fn take_in_work(&mut self, snapshots: Vec<SnapshotWork>, tasks: Vec<Task>) -> Vec<Lane> {
        let mut woken = Vec::new();
        for work in snapshots {
            let lane = work.lane();
            let works = self.works.entry(lane).or_default();
            if works.is_empty() {
                woken.push(Lane::Files(lane));
            }
            works.push_back(work);
        }
        if self.tasks.is_empty() && !tasks.is_empty() {
            woken.push(Lane::Machine);
        }
        self.tasks.extend(tasks);
        woken
    }

    /// Does the first work of a lane. Returns what the server hears of it, and whether more waits.
    pub fn work(
        &mut self,
        lane: Lane,
        part_bytes: usize,
        load: LoadImage,
    ) -> Result<(Option<Arrival>, bool), StorageError> {
        let Lane::Files(lane) = lane else {
            let (Some(applier), Some(task)) = (&mut self.applier, self.tasks.pop_front()) else {
                return Ok((None, false));
            };
            let (done, _) = applier.perform(task, &|| false);
            return Ok((Some(Arrival::Done(done)), !self.tasks.is_empty()));
        };
        let (Some(files), Some(works)) = (&mut self.files, self.works.get_mut(&lane)) else {
            return Ok((None, false));
        };
        let Some(work) = works.pop_front() else { return Ok((None, false)) };
        let arrival = work.perform(files, load, part_bytes, &|| true)?;
        Ok((arrival, !works.is_empty()))
    }

    /// When the next work of a lane will be done.
    pub fn done_at(&self, lane: Lane, now: Time, disk: Duration, machine: Duration) -> Time {
        match lane {
            Lane::Machine => now + machine,
            Lane::Files(_) => (now + disk + self.slow).max(self.stalled_until),
        }
    }

    pub fn machine(&self) -> Option<&dyn Machine> {
        let here = self.server.as_ref().and_then(Server::machine);
        here.or_else(|| self.applier.as_ref().map(Applier::machine))
    }

    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// How many writes are not durable.
    pub fn unwritten(&self) -> usize {
        self.writes.len() + usize::from(self.writing.is_some())
    }

    /// How many whole snapshots are on its disk that it is not about to remove.
    pub fn snapshots_kept(&self) -> usize {
        let mut kept = finished(&self.disk).unwrap_or_default();
        for work in self.works.values().flatten() {
            if let SnapshotWork::Task(SnapshotTask::Forget { but }) = work {
                kept.retain(|last| *last >= but.newest || but.sent.contains(last));
            }
        }
        kept.len()
    }

    /// Drops what is gone at an end: the thread, its memory, the lock of its files.
    pub fn forget(&mut self) {
        self.server = None;
        self.store = None;
        self.files = None;
        self.works.clear();
        self.applier = None;
        self.tasks.clear();
        self.life += 1;
        self.paused = false;
        self.inbox.clear();
        self.writes.clear();
        self.writing = None;
    }
}
