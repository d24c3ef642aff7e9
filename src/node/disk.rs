//! A node's disk thread, `n1-disk`: it writes, syncs once for all writes that wait, and reports.
//!
//! The node never waits for its disk: it hands a write over and the completion arrives later, so that heartbeats continue
//! while an fsync hangs. What waits is bounded where it enters the node: see [`Backlog::admission`]. A store in memory
//! needs no thread: its writes are complete at once.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, never, unbounded};

use super::board::Losses;
use super::measures::Meters;
use crate::panics::caught;
use crate::protocol::{Envelope, Packet, Request};
use crate::raft::effects::{Write, WriteId};
use crate::raft::message::{Body, Extra, Message};
use crate::spin::Spin;
use crate::storage::faults::DiskFaults;
use crate::storage::{Storage, StorageError};
use crate::types::{LogIndex, NodeId};

/// Bytes of entries that may wait for the disk before the node takes in no more of them.
const ENTRY_BYTES_MAX: usize = 64 << 20;

/// Writes that may wait for the disk before the node takes in no more entries.
const WRITES_MAX: usize = 4_096;

/// Writes that may wait before the node takes in nothing that needs the disk: as many again for the small writes of
/// heartbeats' answers and votes.
const WRITES_LIMIT: usize = 2 * WRITES_MAX;

/// The most writes that share one fsync.
const BATCH_MAX: usize = 1_024;

/// How long after a sync the store records up to where its log is durable.
const FLOOR_DELAY: Duration = Duration::from_secs(1);

/// And at least this many times as long as the last sync took: a record takes two syncs, which delay the log's.
const FLOOR_SYNCS: u32 = 20;

const FLOOR_DELAY_MAX: Duration = Duration::from_secs(10);

/// How many bytes of a log wait for the disk, and how many writes.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<PendingWrite>,
    entry_bytes: usize,
}

#[derive(Debug)]
struct PendingWrite {
    id: WriteId,
    entries: usize,
    entry_bytes: usize,
    hard_state: bool,
}

/// Whether a node whose disk is behind may take this in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    Take,
    /// Tell the client to try again later.
    Refuse,
    /// Ignore it, as if the network had lost it: the leader sends it again.
    Drop,
}

pub(super) enum NodeDisk {
    /// Complete as soon as it is written.
    Inline { storage: Box<dyn Storage>, completions: Receiver<Completion> },
    /// Written by a thread of its own.
    Threaded(DiskThread),
}

/// What is durable; or why the disk failed.
pub(super) type Completion = Result<Persisted, String>;

/// This write and all before it are durable.
pub(super) struct Persisted {
    pub id: WriteId,
    /// Files that the store needs no more.
    pub stale: Vec<String>,
}

pub(super) struct DiskThread {
    writes: Option<Sender<Write>>,
    completions: Receiver<Completion>,
    progress: Arc<WriteProgress>,
    faults: Arc<DiskFaults>,
    backlog: Backlog,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct WriteProgress {
    /// The node is gone: nothing more is written.
    abandoned: AtomicBool,
    written: AtomicU64,
    synced: AtomicU64,
    /// The commit index, as known after the last write that was handed over.
    commit: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Farewell {
    /// What was handed over is written and synced first.
    Finish,
    /// What was not written yet is not written.
    Abandon,
    /// And what was not synced yet is lost as well.
    PowerCut,
}

impl Backlog {
    /// Whether to take in an envelope that would add to this backlog.
    ///
    /// A leader's own disk bounds what clients may add, and a follower's what its leader may: entries beyond the bound
    /// are rejected or dropped. Heartbeats pass, so that a slow disk starts no election by itself; a disk that is further
    /// behind cuts its node off from everything that needs a write.
    pub fn admission(&self, envelope: &Envelope) -> Admission {
        let behind = self.entry_bytes > ENTRY_BYTES_MAX || self.waiting.len() > WRITES_MAX;
        if !behind {
            return Admission::Take;
        }
        let far_behind = self.waiting.len() > WRITES_LIMIT;
        match &envelope.packet {
            Packet::Request(Request { call, .. }) if call.is_logged() => Admission::Refuse,
            Packet::Raft(Message { body: Body::AppendEntries { entries, .. }, .. })
                if far_behind || !entries.is_empty() =>
            {
                Admission::Drop
            }
            Packet::Raft(Message {
                body: Body::RequestVote { .. } | Body::Extra(Extra::PreVote { .. }),
                ..
            }) if far_behind => Admission::Drop,
            _ => Admission::Take,
        }
    }

    fn add(&mut self, write: &Write) {
        let entry_bytes = write.entries.iter().map(crate::raft::entry::Entry::weight).sum();
        self.entry_bytes += entry_bytes;
        let (entries, hard_state) = (write.entries.len(), write.hard_state.is_some());
        self.waiting.push_back(PendingWrite { id: write.id, entries, entry_bytes, hard_state });
    }

    fn complete(&mut self, id: WriteId) {
        while let Some(done) = self.waiting.pop_front_if(|waiting| waiting.id <= id) {
            self.entry_bytes -= done.entry_bytes;
        }
    }

    fn behind(&self, kept: WriteId) -> Losses {
        let mut lost = Losses::default();
        for waiting in self.waiting.iter().filter(|waiting| waiting.id > kept) {
            lost.entries += waiting.entries;
            lost.hard_states += usize::from(waiting.hard_state);
        }
        lost
    }
}

impl NodeDisk {
    pub fn inline(storage: Box<dyn Storage>) -> NodeDisk {
        NodeDisk::Inline { storage, completions: never() }
    }

    /// A disk with its thread, which ends with the node.
    pub fn threaded(
        node: NodeId,
        storage: Box<dyn Storage>,
        faults: Arc<DiskFaults>,
        meters: Arc<Meters>,
    ) -> io::Result<NodeDisk> {
        // Both are bounded by the backlog: the node hands over nothing that it did not take in.
        let (writes, receiver) = unbounded();
        let (sender, completions) = unbounded();
        let progress = Arc::new(WriteProgress::default());
        let worker = Worker {
            storage,
            writes: receiver,
            completions: sender,
            progress: Arc::clone(&progress),
            meters,
            spin: Spin::default(),
            unrecorded_since: Some(Instant::now()),
            sync_took: Duration::ZERO,
        };
        let thread = thread::Builder::new().name(format!("{node}-disk")).spawn(move || worker.run())?;
        let (writes, thread) = (Some(writes), Some(thread));
        let backlog = Backlog::default();
        Ok(NodeDisk::Threaded(DiskThread { writes, completions, progress, faults, backlog, thread }))
    }

    /// Hands a write over. Its number when it is durable already.
    pub fn write(&mut self, write: Write) -> Result<Option<WriteId>, String> {
        match self {
            NodeDisk::Inline { storage, .. } => {
                let id = write.id;
                let durable = storage.write(write).and_then(|()| storage.sync());
                durable.map(|()| Some(id)).map_err(|error| error.to_string())
            }
            NodeDisk::Threaded(disk) => {
                disk.backlog.add(&write);
                // A thread that has ended left its reason among the completions.
                let _ = disk.writes.as_ref().expect("a running node has its disk").send(write);
                Ok(None)
            }
        }
    }

    /// Takes note of the commit index after a step, once its write was handed over.
    pub fn note_commit(&self, commit: LogIndex) {
        if let NodeDisk::Threaded(disk) = self {
            disk.progress.commit.store(commit.0, Ordering::SeqCst);
        }
    }

    pub fn completions(&self) -> &Receiver<Completion> {
        match self {
            NodeDisk::Inline { completions, .. } => completions,
            NodeDisk::Threaded(disk) => &disk.completions,
        }
    }

    /// Takes in a completion: the newest durable write, and the files to remove.
    pub fn completed(&mut self, completion: Completion) -> Result<Persisted, String> {
        let persisted = completion?;
        if let NodeDisk::Threaded(disk) = self {
            disk.backlog.complete(persisted.id);
        }
        Ok(persisted)
    }

    /// Whether this envelope may be taken in.
    pub fn admission(&self, envelope: &Envelope) -> Admission {
        match self {
            NodeDisk::Inline { .. } => Admission::Take,
            NodeDisk::Threaded(disk) => disk.backlog.admission(envelope),
        }
    }

    /// Ends the thread and closes the files. Says what the disk did not take.
    pub fn leave(&mut self, farewell: Farewell) -> Losses {
        let NodeDisk::Threaded(disk) = self else { return Losses::default() };
        if farewell != Farewell::Finish {
            disk.progress.abandoned.store(true, Ordering::SeqCst);
            disk.faults.interrupt();
        }
        disk.writes = None;
        if let Some(thread) = disk.thread.take() {
            let _ = thread.join();
        }
        // The node takes no more completions: a failure at the very end is logged here.
        for reason in disk.completions.try_iter().filter_map(Result::err) {
            log::warn!("at the node's end: {reason}");
        }
        let kept = if farewell == Farewell::Abandon { &disk.progress.written } else { &disk.progress.synced };
        disk.backlog.behind(kept.load(Ordering::SeqCst))
    }
}

struct Worker {
    storage: Box<dyn Storage>,
    writes: Receiver<Write>,
    completions: Sender<Completion>,
    progress: Arc<WriteProgress>,
    meters: Arc<Meters>,
    spin: Spin,
    /// Since when the log is durable further than the store has recorded.
    unrecorded_since: Option<Instant>,
    sync_took: Duration,
}

impl Worker {
    fn run(mut self) {
        loop {
            let next = self.next();
            let ended = matches!(next, Err(RecvTimeoutError::Disconnected));
            let done = caught(|| match next {
                Ok(first) => self.persist(first),
                Err(_) => self.save_floor().map(|()| None),
            });
            let completion = match done {
                Ok(Ok(Some(id))) => Ok(Persisted { id, stale: self.storage.take_stale() }),
                Ok(Ok(None)) if ended => return,
                Ok(Ok(None)) => continue,
                Ok(Err(error)) => Err(error.to_string()),
                Err(panic) => Err(format!("by a defect of this program: {panic}")),
            };
            let failed = completion.is_err();
            // After an error it is unknown what the disk holds: this thread never touches it again.
            if self.completions.send(completion).is_err() || failed {
                return;
            }
        }
    }

    /// The next write; a time-out when the store is to record up to where the log is durable.
    fn next(&self) -> Result<Write, RecvTimeoutError> {
        self.spin.until(None, || !self.writes.is_empty());
        let delay = (self.sync_took * FLOOR_SYNCS).clamp(FLOOR_DELAY, FLOOR_DELAY_MAX);
        match self.unrecorded_since.map(|since| since + delay) {
            Some(due) if due <= Instant::now() => Err(RecvTimeoutError::Timeout),
            Some(due) => self.writes.recv_deadline(due),
            None => self.writes.recv().map_err(RecvTimeoutError::from),
        }
    }

    /// After a crash nothing more is recorded.
    fn save_floor(&mut self) -> Result<(), StorageError> {
        self.unrecorded_since = None;
        if self.progress.abandoned.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.note_commit();
        self.storage.save_floor()
    }

    /// Tells the store what is committed, once it has all that was written before that was known.
    fn note_commit(&mut self) {
        let commit = self.progress.commit.load(Ordering::SeqCst);
        if self.writes.is_empty() {
            self.storage.note_commit(LogIndex(commit));
        }
    }

    /// Makes this write durable, and with the same sync those queued behind it. None when the node is gone.
    fn persist(&mut self, first: Write) -> Result<Option<WriteId>, StorageError> {
        let mut next = Some(first);
        let mut last = None;
        let mut count = 0;
        while let Some(write) = next {
            if self.progress.abandoned.load(Ordering::SeqCst) {
                return Ok(None);
            }
            let id = write.id;
            self.storage.write(write)?;
            self.progress.written.store(id, Ordering::SeqCst);
            last = Some(id);
            count += 1;
            next = if count < BATCH_MAX { self.writes.try_recv().ok() } else { None };
        }
        self.note_commit();
        let began = Instant::now();
        self.storage.sync()?;
        self.sync_took = began.elapsed();
        self.meters.syncs.note(self.sync_took);
        self.unrecorded_since.get_or_insert_with(Instant::now);
        if let Some(id) = last {
            self.progress.synced.store(id, Ordering::SeqCst);
        }
        Ok(last)
    }
}
