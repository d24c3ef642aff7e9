//! The files beside a node's log: `n1-snapshot` saves the node's own snapshots, `n1-transfer` reads and writes the parts
//! of those that are sent and received, and `n1-removal` removes what the log needs no more.
//!
//! Saving or reading a large state and removing a log of many segments take long. No entry's fsync, no heartbeat and no
//! part that a follower waits for is held up by them: so these threads are apart from the log's and from one another. Each
//! starts with its first work and ends with the node, which abandons unfinished work.
//!
//! The log's fsync still shares the disk with them. A file system writes removals with the next fsync of any file, so
//! removals come one at a time, with pauses, and from one node of the process at a time.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::priority;
use crate::panics::caught;
use crate::server::Arrival;
use crate::server::snapshots::{Lane, SnapshotWork};
use crate::state_machine::image::LoadImage;
use crate::storage::StorageError;
use crate::storage::snapshots::SnapshotFiles;
use crate::types::NodeId;

/// The pause between two removals: this many times as long as the first took, within these bounds.
const PAUSE_SHARE: u32 = 4;
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// When more files than this wait to be removed, there is no pause: they must not fill the disk.
const STALE_MAX: usize = 4_096;

/// Opens the files of a node's snapshots for one thread.
pub type OpenSnapshots = Arc<dyn Fn() -> Box<dyn SnapshotFiles> + Send + Sync>;

pub(super) struct SnapshotThreads {
    node: NodeId,
    open: OpenSnapshots,
    load: LoadImage,
    part_bytes: usize,
    threads: BTreeMap<Lane, SnapshotThread>,
    abandoned: Arc<AtomicBool>,
    removing: Arc<Mutex<()>>,
    sender: Sender<FilesReport>,
    reports: Receiver<FilesReport>,
}

/// The result of a work; or why the disk can no longer be trusted.
pub(super) type FilesReport = Result<Arrival, String>;

/// What the server has to hear of a work, if anything.
type WorkResult = Result<Option<Arrival>, StorageError>;

struct SnapshotThread {
    works: Sender<SnapshotWork>,
    thread: JoinHandle<()>,
}

impl SnapshotThreads {
    /// No thread yet. A file is removed while `removing` is held.
    pub fn new(
        node: NodeId,
        open: OpenSnapshots,
        load: LoadImage,
        part_bytes: usize,
        removing: Arc<Mutex<()>>,
    ) -> SnapshotThreads {
        // Bounded by what the core asks for: one snapshot that is saved, and one part for each other node.
        let (sender, reports) = unbounded();
        let (threads, abandoned) = (BTreeMap::new(), Arc::default());
        SnapshotThreads { node, open, load, part_bytes, threads, abandoned, removing, sender, reports }
    }

    pub fn work(&mut self, work: SnapshotWork) -> io::Result<()> {
        let lane = work.lane();
        if !self.threads.contains_key(&lane) {
            self.threads.insert(lane, self.start(lane)?);
        }
        // A thread that has ended left its reason among the reports.
        let _ = self.threads[&lane].works.send(work);
        Ok(())
    }

    fn start(&self, lane: Lane) -> io::Result<SnapshotThread> {
        let (works, receiver) = unbounded();
        let worker = Worker {
            files: (self.open)(),
            load: self.load,
            part_bytes: self.part_bytes,
            works: receiver,
            reports: self.sender.clone(),
            abandoned: Arc::clone(&self.abandoned),
        };
        let removing = Arc::clone(&self.removing);
        let (name, run): (_, Box<dyn FnOnce() + Send>) = match lane {
            // No node waits for another's own snapshot.
            Lane::Save => (
                "snapshot",
                Box::new(move || {
                    priority::lower();
                    worker.run(Worker::perform);
                }),
            ),
            Lane::Transfer => ("transfer", Box::new(move || worker.run(Worker::perform))),
            // Not at a lower priority: a removal that stops halfway on a busy processor holds up the file system.
            Lane::Removal => {
                ("removal", Box::new(move || worker.run(|worker, work| worker.remove(work, &removing))))
            }
        };
        let thread = thread::Builder::new().name(format!("{}-{name}", self.node)).spawn(run)?;
        Ok(SnapshotThread { works, thread })
    }

    pub fn reports(&self) -> &Receiver<FilesReport> {
        &self.reports
    }

    /// Ends the threads and closes the files.
    pub fn leave(&mut self) {
        self.abandoned.store(true, Ordering::SeqCst);
        for SnapshotThread { works, thread } in std::mem::take(&mut self.threads).into_values() {
            drop(works);
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Worker {
    files: Box<dyn SnapshotFiles>,
    load: LoadImage,
    part_bytes: usize,
    works: Receiver<SnapshotWork>,
    reports: Sender<FilesReport>,
    abandoned: Arc<AtomicBool>,
}

impl Worker {
    fn run(mut self, mut perform: impl FnMut(&mut Worker, SnapshotWork) -> WorkResult) {
        while let Ok(work) = self.works.recv() {
            if self.is_abandoned() {
                return;
            }
            let report = match caught(|| perform(&mut self, work)) {
                Ok(Ok(Some(arrival))) => Ok(arrival),
                Ok(Ok(None)) => continue,
                // Given up, not failed.
                Ok(Err(_)) if self.is_abandoned() => return,
                Ok(Err(error)) => Err(error.to_string()),
                Err(panic) => Err(format!("by a defect of this program: {panic}")),
            };
            let failed = report.is_err();
            if self.reports.send(report).is_err() || failed {
                return;
            }
        }
    }

    fn perform(&mut self, work: SnapshotWork) -> WorkResult {
        let abandoned = Arc::clone(&self.abandoned);
        let go_on = || !abandoned.load(Ordering::SeqCst);
        work.perform(&mut *self.files, self.load, self.part_bytes, &go_on)
    }

    /// Removes a file when it is this node's turn, and pauses.
    fn remove(&mut self, work: SnapshotWork, removing: &Mutex<()>) -> WorkResult {
        let turn = removing.lock();
        let began = Instant::now();
        let performed = self.perform(work);
        drop(turn);
        if self.works.len() <= STALE_MAX && !self.is_abandoned() {
            // An end of the node cuts it short.
            thread::park_timeout((began.elapsed() * PAUSE_SHARE).clamp(PAUSE_MIN, PAUSE_MAX));
        }
        performed
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }
}
