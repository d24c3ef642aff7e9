//! The files of a node's snapshots, beside its log's disk: `n1-snapshot` saves the node's own, `n1-transfer` reads and
//! writes the parts that are sent and received.
//!
//! Saving a large state takes its time, and so does reading one that was received. Neither holds up an entry's fsync, a
//! heartbeat, or a part that a follower waits for: so these threads are apart from the log's, and from one another. Each
//! starts when there is first something for it to do, and ends with the node; what it was doing then is given up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::panics::caught;
use super::priority;
use crate::server::Arrival;
use crate::server::snapshots::SnapshotWork;
use crate::state_machine::image::LoadImage;
use crate::storage::snapshots::SnapshotFiles;
use crate::types::NodeId;

/// Opens the files of a node's snapshots for one thread.
pub type OpenSnapshots = Arc<dyn Fn() -> Box<dyn SnapshotFiles> + Send + Sync>;

/// The node's side of the threads.
pub(super) struct SnapshotThreads {
    node: NodeId,
    open: OpenSnapshots,
    load: LoadImage,
    part_bytes: usize,
    save: Option<SnapshotThread>,
    transfer: Option<SnapshotThread>,
    abandoned: Arc<AtomicBool>,
    sender: Sender<Report>,
    reports: Receiver<Report>,
}

/// What became of a work; or why the disk can no longer be trusted.
pub(super) type Report = Result<Arrival, String>;

struct SnapshotThread {
    works: Sender<SnapshotWork>,
    thread: JoinHandle<()>,
}

impl SnapshotThreads {
    /// No thread yet.
    pub fn new(node: NodeId, open: OpenSnapshots, load: LoadImage, part_bytes: usize) -> SnapshotThreads {
        // Bounded by what the core asks for: one snapshot that is saved, and one part for each other node.
        let (sender, reports) = unbounded();
        let abandoned = Arc::default();
        SnapshotThreads {
            node,
            open,
            load,
            part_bytes,
            save: None,
            transfer: None,
            abandoned,
            sender,
            reports,
        }
    }

    /// Hands a work over.
    pub fn work(&mut self, work: SnapshotWork) -> io::Result<()> {
        let is_long = work.is_long();
        let (slot, name) =
            if is_long { (&mut self.save, "snapshot") } else { (&mut self.transfer, "transfer") };
        if slot.is_none() {
            let (works, receiver) = unbounded();
            let worker = Worker {
                files: (self.open)(),
                load: self.load,
                part_bytes: self.part_bytes,
                works: receiver,
                reports: self.sender.clone(),
                abandoned: Arc::clone(&self.abandoned),
            };
            let name = format!("{}-{name}", self.node);
            let thread = thread::Builder::new().name(name).spawn(move || {
                // Nobody waits for a node's own snapshot.
                if is_long {
                    priority::lower();
                }
                worker.run();
            })?;
            *slot = Some(SnapshotThread { works, thread });
        }
        // A thread that is gone has left its reason among the reports.
        let _ = slot.as_ref().expect("started just now").works.send(work);
        Ok(())
    }

    /// Where reports arrive.
    pub fn reports(&self) -> &Receiver<Report> {
        &self.reports
    }

    /// Ends the threads and closes the files.
    pub fn leave(&mut self) {
        self.abandoned.store(true, Ordering::SeqCst);
        for SnapshotThread { works, thread } in [self.save.take(), self.transfer.take()].into_iter().flatten()
        {
            drop(works);
            let _ = thread.join();
        }
    }
}

/// One thread.
struct Worker {
    files: Box<dyn SnapshotFiles>,
    load: LoadImage,
    part_bytes: usize,
    works: Receiver<SnapshotWork>,
    reports: Sender<Report>,
    abandoned: Arc<AtomicBool>,
}

impl Worker {
    fn run(mut self) {
        while let Ok(work) = self.works.recv() {
            let abandoned = Arc::clone(&self.abandoned);
            let go_on = || !abandoned.load(Ordering::SeqCst);
            if !go_on() {
                return;
            }
            let done = caught(|| work.perform(&mut *self.files, self.load, self.part_bytes, &go_on));
            let report = match done {
                Ok(Ok(Some(arrival))) => Ok(arrival),
                Ok(Ok(None)) => continue,
                // Given up, not failed.
                Ok(Err(_)) if !go_on() => return,
                Ok(Err(error)) => Err(error.to_string()),
                Err(panic) => Err(format!("by a defect of this program: {panic}")),
            };
            let failed = report.is_err();
            if self.reports.send(report).is_err() || failed {
                return;
            }
        }
    }
}
