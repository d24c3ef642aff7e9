//! Where a node's events go: to the log files and to whoever watches the run.

use std::fmt;
use std::sync::Arc;

use log::Level;

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

    /// Whether anybody may want an event of this level: asked before one is made up.
    pub fn takes(&self, level: Level) -> bool {
        self.observer.is_some() || self.logs_take(level)
    }

    /// Whether an event of this level may be written to a log file.
    pub fn logs_take(&self, level: Level) -> bool {
        self.logs.as_ref().is_some_and(|logs| logs.takes(level))
    }

    /// Tells what happened at a node. Nothing is formatted that nobody reads.
    pub fn tell(&self, time: Time, node: NodeId, happened: impl IntoIterator<Item = What>) {
        if self.observer.is_none() && self.logs.is_none() {
            return;
        }
        let mut lines = Vec::new();
        for what in happened {
            let event = TraceEvent { time, node, what };
            if let Some(observer) = &self.observer {
                observer(&event);
            }
            if self.logs_take(event.level()) {
                lines.push(event);
            }
        }
        if let Some(logs) = self.logs.as_ref().filter(|_| !lines.is_empty()) {
            logs.record(&lines);
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = &mut f.debug_struct("Reporter");
        fields.field("observed", &self.observer.is_some()).field("logs", &self.logs).finish()
    }
}
