//! The network's events: each message and its fate, for those who want to see them.

use log::Level;

use super::Cluster;
use crate::faults::Fate;
use crate::server::report::message_sent;

impl<M> Cluster<M> {
    /// Tells the observer of every message and its fate, or no longer. Costs time at each message, and closes express
    /// lanes. Logs get what their filters let through, watched or not: a logger that is
    /// set, or made finer, after the start gets no messages before this is called.
    pub fn watch_messages(&self, watch: bool) {
        let reporter = self.context.reporter.clone();
        reporter.watch_messages(watch);
        // With the usual filters, logs take neither, and then the router need not look.
        let [dropped, all] =
            [Level::Debug, Level::Trace].map(|level| reporter.logs_take(level, &self.members));
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
