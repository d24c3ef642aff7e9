//! The network's events: each message and its fate, for those who want to see them.

use log::Level;

use super::Cluster;
use crate::faults::Fate;
use crate::server::report::message_sent;

impl<M> Cluster<M> {
    /// Tells the observer of every message and its fate, or no longer. Costs time at each message, and closes express
    /// lanes. Log files get what their filter lets through, watched or not.
    pub fn watch_messages(&self, watch: bool) {
        let reporter = self.context.reporter.clone();
        // With the usual filter the log files want none of them, and the router need not look.
        let (dropped, all) = (reporter.logs_take(Level::Debug), reporter.logs_take(Level::Trace));
        if !watch && !dropped {
            return self.network.observe(None);
        }
        let clock = self.context.clock;
        self.network.observe(Some(Box::new(move |envelope, fate| {
            let Some(message) = envelope.message() else { return };
            if watch || all || matches!(fate, Fate::Dropped(_)) {
                let told = message_sent(message.clone(), *fate);
                reporter.tell(clock.now(), message.from, [told]);
            }
        })));
    }
}
