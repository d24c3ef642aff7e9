//! A node's state machine, when it is slow: on a thread of its own, `n1-machine`.
//!
//! As long as the machine is quick, the node's thread applies entries itself, which saves a hop to another thread. When
//! it has taken too long once, the machine is moved away, with all that it had not come to in that step, so that
//! heartbeats, votes and replication go on beside it; when it has been quick for a while, it comes back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, unbounded};

use crate::panics::caught;
use crate::server::applier::{Applier, Done, Task};
use crate::types::NodeId;

/// So many things in a row, each done quickly, bring the machine back.
const QUICK_MIN: u32 = 256;

/// How long entries are applied before it is told what came of them.
const PIECE: Duration = Duration::from_millis(1);

pub(super) struct MachineThread {
    /// What takes longer than this stands in the way of heartbeats.
    patience: Duration,
    away: Option<Away>,
    /// Where nothing arrives while the machine is here.
    silence: Receiver<Report>,
}

/// What was done; or the panic that ended it.
pub(super) type Report = Result<TaskReport, String>;

pub(super) struct TaskReport {
    done: Done,
    /// How long the whole task took, if nothing is left of it.
    took: Option<Duration>,
}

struct Away {
    tasks: Sender<Task>,
    reports: Receiver<Report>,
    thread: JoinHandle<Option<Applier>>,
    abandoned: Arc<AtomicBool>,
    outstanding: usize,
    quick: u32,
    /// What it is to do once it is back: it has been called.
    held: Vec<Task>,
}

impl Away {
    /// Whether it has been quick for so long that it comes back as soon as it has done what it was given.
    fn is_called(&self) -> bool {
        self.quick >= QUICK_MIN
    }
}

impl MachineThread {
    /// The machine is with the node's thread.
    pub fn new(patience: Duration) -> MachineThread {
        MachineThread { patience, away: None, silence: never() }
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

    /// Hands over what it is to do.
    pub fn give(&mut self, tasks: Vec<Task>) {
        if tasks.is_empty() {
            return;
        }
        let away = self.away.as_mut().expect("only a machine that is away is given tasks");
        if away.is_called() {
            // Were it given more, it would never be done as long as there is work.
            return away.held.extend(tasks);
        }
        away.outstanding += tasks.len();
        for task in tasks {
            // A thread that is gone has left its reason among the reports.
            let _ = away.tasks.send(task);
        }
    }

    pub fn reports(&self) -> &Receiver<Report> {
        self.away.as_ref().map_or(&self.silence, |away| &away.reports)
    }

    pub fn reported(&mut self, report: Report) -> Result<Done, String> {
        let TaskReport { done, took } = report?;
        if let (Some(away), Some(took)) = (&mut self.away, took) {
            away.outstanding -= 1;
            let quick = if took * 4 > self.patience { 0 } else { away.quick + 1 };
            // One that has been called comes back, however its last tasks went.
            away.quick = if away.is_called() { away.quick } else { quick };
        }
        Ok(done)
    }

    /// The machine, if it has become quick and has done what it was given; and what it is to do now.
    pub fn come_back(&mut self) -> Option<(Applier, Vec<Task>)> {
        let away = self.away.take_if(|away| away.outstanding == 0 && away.is_called())?;
        drop(away.tasks);
        let applier = away.thread.join().ok().flatten();
        applier.map(|applier| (applier, away.held))
    }

    /// Lets its thread end, after what it is doing.
    pub fn leave(&mut self) {
        if let Some(away) = self.away.take() {
            away.abandoned.store(true, Ordering::SeqCst);
        }
    }
}

fn run(
    mut applier: Applier,
    tasks: &Receiver<Task>,
    reports: &Sender<Report>,
    abandoned: &AtomicBool,
) -> Option<Applier> {
    while let Ok(task) = tasks.recv() {
        let began = Instant::now();
        let mut next = Some(task);
        while let Some(task) = next.take() {
            if abandoned.load(Ordering::SeqCst) {
                return None;
            }
            // Piece by piece: whoever waits for the first entry does not wait for the last one.
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
