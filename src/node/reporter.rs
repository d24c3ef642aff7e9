//! Where a node's events go: to the log files and to those who watch the run.
//!
//! The end of a node that was not ordered also goes to the program's own log, or to standard error if there is neither a log
//! nor an observer: every program that embeds a cluster hears of it.

use std::fmt;
use std::sync::Arc;

use log::{Level, LevelFilter};

use crate::panics::caught;
use crate::trace::{NodeLogs, TraceEvent, What};
use crate::types::{NodeId, Time};

/// Is called for each event, on the thread in which it happens: it must be quick.
pub type Observer = Arc<dyn Fn(&TraceEvent) + Send + Sync>;

/// Tells events to those who listen. Clones tell the same.
#[derive(Clone, Default)]
pub struct Reporter {
    observer: Option<Observer>,
    logs: Option<Arc<NodeLogs>>,
}

impl Reporter {
    /// Tells the observer everything and the log files what their filter lets through.
    pub fn new(observer: Option<Observer>, logs: Option<Arc<NodeLogs>>) -> Reporter {
        Reporter { observer, logs }
    }

    /// Whether an event of this level may be used: asked before one is made.
    pub fn takes(&self, level: Level) -> bool {
        self.observer.is_some() || self.logs_take(level)
    }

    /// Whether an event of this level may be written to a log file.
    pub fn logs_take(&self, level: Level) -> bool {
        self.logs.as_ref().is_some_and(|logs| logs.takes(level))
    }

    /// Tells what happened at a node. An event without a reader is not formatted.
    pub fn tell(&self, time: Time, node: NodeId, happened: impl IntoIterator<Item = What>) {
        let mut lines = Vec::new();
        for what in happened {
            let event = TraceEvent { time, node, what };
            if event.level() == Level::Error {
                self.cry_out(&event);
            }
            self.show(&event);
            if self.logs_take(event.level()) {
                lines.push(event);
            }
        }
        if let Some(logs) = self.logs.as_ref().filter(|_| !lines.is_empty()) {
            logs.record(&lines);
        }
    }

    /// A panic of the observer is reported, and ends no node.
    fn show(&self, event: &TraceEvent) {
        let Some(observer) = &self.observer else { return };
        if let Err(panic) = caught(|| observer(event)) {
            say(event.node, &format!("an observer of events panicked: {panic}"), false);
        }
    }

    fn cry_out(&self, event: &TraceEvent) {
        say(event.node, &event.what.to_string(), self.observer.is_some());
    }
}

/// To the program's own log; to standard error if it has none, unless somebody was told already.
pub(super) fn say(node: NodeId, sentence: &str, told: bool) {
    log::error!(target: &format!("raftlab::{node}"), "{node} {sentence}");
    if log::max_level() == LevelFilter::Off && !told {
        eprintln!("raftlab: {node} {sentence}");
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = &mut f.debug_struct("Reporter");
        fields.field("observed", &self.observer.is_some()).field("logs", &self.logs).finish()
    }
}
