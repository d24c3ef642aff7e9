//! Where a node's events go: to the log files, to the program's own logger, and to the observer of the run.
//!
//! The end of a node that a defect or its disk caused also goes to standard error if the program has no logger and no
//! observer: a program that embeds a cluster hears of it, however it was built.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use derive_more::Debug;
use log::{Level, LevelFilter};

use crate::panics::caught;
use crate::trace::{self, NodeLogs, TraceEvent, What};
use crate::types::{NodeId, Time};

/// Is called for each event, on the thread in which it happens: it must be quick.
pub type Observer = Arc<dyn Fn(&TraceEvent) + Send + Sync>;

/// Tells events to those who listen. Clones tell the same.
#[derive(Clone, Debug, Default)]
#[debug("Reporter({} observer, {logs:?})", if observer.is_some() { "an" } else { "no" })]
pub struct Reporter {
    observer: Option<Observer>,
    logs: Option<Arc<NodeLogs>>,
    /// Messages are told, too.
    watches: Arc<AtomicBool>,
    /// Messages are, and what a node is after each step.
    follows: Arc<AtomicBool>,
}

impl Reporter {
    /// Tells the observer everything, the log files what their filter lets through, and the program's logger what it takes.
    pub fn new(observer: Option<Observer>, logs: Option<Arc<NodeLogs>>) -> Reporter {
        Reporter { observer, logs, watches: Arc::default(), follows: Arc::default() }
    }

    /// From now on messages are told, too, or no longer.
    pub fn watch_messages(&self, watches: bool) {
        self.watches.store(watches, Ordering::Relaxed);
    }

    /// Whether the arrival of a message is to be told.
    pub fn watches_messages(&self) -> bool {
        self.watches.load(Ordering::Relaxed) || self.follows_steps()
    }

    /// From now on messages are told, and what a node is after each step, or no longer.
    pub fn follow_steps(&self, follows: bool) {
        self.follows.store(follows, Ordering::Relaxed);
    }

    pub fn follows_steps(&self) -> bool {
        self.follows.load(Ordering::Relaxed)
    }

    /// Whether an event of this level may have a reader: asked before one is made.
    pub fn takes(&self, level: Level) -> bool {
        self.observer.is_some() || self.files_take(level) || level <= log::max_level()
    }

    /// Whether events of this level of these nodes are logged, in files or by the program's logger.
    pub fn logs_take(&self, level: Level, nodes: &[NodeId]) -> bool {
        self.files_take(level) || trace::is_logged(level, nodes)
    }

    fn files_take(&self, level: Level) -> bool {
        self.logs.as_ref().is_some_and(|logs| logs.takes(level))
    }

    /// Tells what happened at a node. Nothing is formatted that has no reader.
    pub fn tell(&self, time: Time, node: NodeId, happened: impl IntoIterator<Item = What>) {
        let mut lines = Vec::new();
        for what in happened {
            let level = trace::level(&what);
            if !self.takes(level) && level != Level::Error {
                continue;
            }
            let event = TraceEvent { time, node, what };
            trace::log_event(&event, level);
            if level == Level::Error && self.observer.is_none() {
                cry_out(node, &event.what);
            }
            self.show(&event);
            if self.files_take(level) {
                lines.push(event);
            }
        }
        if let Some(logs) = self.logs.as_ref().filter(|_| !lines.is_empty()) {
            logs.record(&lines);
        }
    }

    /// A panic in the observer ends no node, and is reported.
    fn show(&self, event: &TraceEvent) {
        let Some(observer) = &self.observer else { return };
        if let Err(panic) = caught(|| observer(event)) {
            let sentence = format!("an observer of events panicked: {panic}");
            log::error!(target: trace::target(event.node), "{sentence}");
            cry_out(event.node, &sentence);
        }
    }
}

/// To standard error, if the program has no logger.
fn cry_out(node: NodeId, sentence: &dyn fmt::Display) {
    if log::max_level() == LevelFilter::Off {
        eprintln!("raftlab: {node} {sentence}");
    }
}
