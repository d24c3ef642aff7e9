//! What the network did: each message and its fate, for those who want to see them, and numbers.

use log::Level;

use super::Cluster;
use crate::faults::{End, Fate};
use crate::net::counts::LinkCounts;
use crate::server::report::decided;
use crate::trace::What;
use crate::types::NodeId;

impl<M> Cluster<M> {
    /// The network's counters, for each link that was used.
    pub fn counts(&self) -> Vec<(End, End, LinkCounts)> {
        self.network.counts()
    }

    /// Messages that were ever sent, by nodes and clients, on links that are gone too.
    pub fn messages_sent(&self) -> u64 {
        self.network.ever_sent()
    }

    /// Tells what happens to a node by an order.
    pub(crate) fn note(&self, node: NodeId, what: What) {
        self.context.reporter.tell(self.context.clock.now(), node, [what]);
    }

    /// Tells the observer of every message and its fate, or no longer. Costs time at each message, and closes express
    /// lanes. Logs get what their filters let through, watched or not: a logger that is
    /// set, or made finer, after the start gets no messages before this is called.
    pub fn watch_messages(&self, watch: bool) {
        self.context.reporter.watch_messages(watch);
        self.observe_network();
    }

    /// Lets the router show what observer and logs take: all messages, those that are lost, or none.
    pub(crate) fn observe_network(&self) {
        let reporter = self.context.reporter.clone();
        let watch = reporter.watches_messages();
        let nodes: Vec<_> = self.slots.keys().copied().collect();
        // With the usual filters, logs take neither, and then the router need not look.
        let [dropped, all] = [Level::Debug, Level::Trace].map(|level| reporter.logs_take(level, &nodes));
        if !watch && !dropped {
            return self.network.observe(None);
        }
        let clock = self.context.clock;
        self.network.observe(Some(Box::new(move |envelope, fate| {
            if (watch || all || matches!(fate, Fate::Dropped(_)))
                && let Some((node, what)) = decided(envelope, *fate)
            {
                reporter.tell(clock.now(), node, [what]);
            }
        })));
    }
}
