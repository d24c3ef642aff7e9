//! A slow state machine on a thread of its own, `n1-machine`.
//!
//! While the machine is quick, the node's thread applies entries itself, which saves a hop to another thread. Once it has
//! taken too long, it moves to its own thread, with the rest of that step's tasks, so that heartbeats, votes and
//! replication continue. After it has been quick for a while it returns.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, unbounded};

use crate::panics::caught;
use crate::server::applier::{Applier, Done, Task};
use crate::types::NodeId;

/// After this many consecutive quick tasks the machine returns to the node's thread.
const QUICK_MIN: u32 = 256;

/// How long entries are applied before their results are reported.
const PIECE: Duration = Duration::from_millis(1);

pub(super) struct MachineThread {
    /// A task that takes longer than this delays heartbeats.
    pub patience: Duration,
    away: Option<Away>,
    /// A channel without reports, for while the machine is with the node.
    silence: Receiver<MachineReport>,
}

/// The result of a task; or the panic that ended the thread.
pub(super) type MachineReport = Result<TaskReport, String>;

pub(super) struct TaskReport {
    done: Done,
    /// How long the whole task took; none while a part of it is left.
    took: Option<Duration>,
}

struct Away {
    tasks: Sender<Task>,
    reports: Receiver<MachineReport>,
    thread: JoinHandle<Option<Applier>>,
    abandoned: Arc<AtomicBool>,
    outstanding: usize,
    quick: u32,
    /// Tasks for after its return, once it has been called back.
    held: Vec<Task>,
}

impl Away {
    /// Whether it has been quick for long enough to return after the tasks that it was given.
    fn is_called(&self) -> bool {
        self.quick >= QUICK_MIN
    }
}

impl MachineThread {
    /// The machine is with the node's thread, which has patience for it.
    pub fn new() -> MachineThread {
        MachineThread { patience: Duration::MAX, away: None, silence: never() }
    }

    /// Whether the machine is with the node's thread.
    pub fn is_here(&self) -> bool {
        self.away.is_none()
    }

    /// Whether something that took this long was too slow for the node's thread.
    pub fn is_slow(&self, took: Duration) -> bool {
        took > self.patience
    }

    /// Moves the machine to its own thread.
    pub fn move_away(&mut self, node: NodeId, applier: Applier) -> io::Result<()> {
        // Bounded by what the node takes in: see `Server::lags`.
        let (tasks, receiver) = unbounded();
        let (sender, reports) = unbounded();
        let abandoned = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&abandoned);
        let work = move || run(applier, &receiver, &sender, &stop);
        let thread = thread::Builder::new().name(format!("{node}-machine")).spawn(work)?;
        self.away =
            Some(Away { tasks, reports, thread, abandoned, outstanding: 0, quick: 0, held: Vec::new() });
        Ok(())
    }

    pub fn give(&mut self, tasks: Vec<Task>) {
        if tasks.is_empty() {
            return;
        }
        let away = self.away.as_mut().expect("only a machine that is away is given tasks");
        if away.is_called() {
            // With more tasks it would never finish while there is load.
            return away.held.extend(tasks);
        }
        away.outstanding += tasks.len();
        for task in tasks {
            // A thread that has ended left its reason among the reports.
            let _ = away.tasks.send(task);
        }
    }

    pub fn reports(&self) -> &Receiver<MachineReport> {
        self.away.as_ref().map_or(&self.silence, |away| &away.reports)
    }

    pub fn reported(&mut self, report: MachineReport) -> Result<Done, String> {
        let TaskReport { done, took } = report?;
        if let (Some(away), Some(took)) = (&mut self.away, took) {
            away.outstanding -= 1;
            let quick = if took * 4 > self.patience { 0 } else { away.quick + 1 };
            // Once called back it returns, even if its last tasks were slow.
            away.quick = if away.is_called() { away.quick } else { quick };
        }
        Ok(done)
    }

    /// The machine and its next tasks, if it has been called back and has finished.
    pub fn come_back(&mut self) -> Option<(Applier, Vec<Task>)> {
        let away = self.away.take_if(|away| away.outstanding == 0 && away.is_called())?;
        drop(away.tasks);
        let applier = away.thread.join().ok().flatten();
        applier.map(|applier| (applier, away.held))
    }

    /// Lets its thread end after its present task.
    pub fn leave(&mut self) {
        if let Some(away) = self.away.take() {
            away.abandoned.store(true, Ordering::SeqCst);
        }
    }
}

fn run(
    mut applier: Applier,
    tasks: &Receiver<Task>,
    reports: &Sender<MachineReport>,
    abandoned: &AtomicBool,
) -> Option<Applier> {
    while let Ok(task) = tasks.recv() {
        let began = Instant::now();
        let mut next = Some(task);
        while let Some(task) = next.take() {
            if abandoned.load(Ordering::SeqCst) {
                return None;
            }
            // In pieces: the client of the first entry does not wait for the last one.
            let piece = Instant::now();
            let is_late = || piece.elapsed() > PIECE;
            let report = caught(|| applier.perform(task, &is_late)).map(|(done, rest)| {
                next = rest;
                TaskReport { done, took: next.is_none().then(|| began.elapsed()) }
            });
            let failed = report.as_ref().map_or(true, |told| matches!(told.done, Done::Failed(_)));
            if reports.send(report).is_err() || failed {
                return None;
            }
        }
    }
    Some(applier)
}
