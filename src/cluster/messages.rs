//! The network's events: each message and its fate, for those who want to see them.

use log::Level;

use super::Cluster;
use crate::clock::Clock;
use crate::faults::Fate;
use crate::node::Reporter;
use crate::protocol::{Envelope, Packet};
use crate::trace::What;

impl<M> Cluster<M> {
    /// Tells the observer of every message and its fate, or no longer. Costs time at each message, and closes express
    /// lanes. Log files get what their filter lets through, watched or not.
    pub fn watch_messages(&self, watch: bool) {
        let reporter = self.surroundings.reporter.clone();
        // What the log files want: with their usual filter, nothing, and then the router need not look.
        let (dropped, all) = (reporter.logs_take(Level::Debug), reporter.logs_take(Level::Trace));
        if !watch && !dropped {
            return self.network.observe(None);
        }
        let clock = self.surroundings.clock;
        self.network.observe(Some(Box::new(move |envelope, fate| {
            if watch || all || matches!(fate, Fate::Dropped(_)) {
                tell(&reporter, clock, envelope, *fate);
            }
        })));
    }
}

fn tell(reporter: &Reporter, clock: Clock, envelope: &Envelope, fate: Fate) {
    let Packet::Raft(message) = &envelope.packet else { return };
    let (sender, message) = (message.from, message.clone());
    let what = match fate {
        Fate::Dropped(reason) => What::MessageDropped { message, reason },
        Fate::Delivered { duplicate: Some(_), .. } => What::MessageDuplicated(message),
        Fate::Delivered { delay, duplicate: None } if delay.is_zero() => What::MessageSent(message),
        Fate::Delivered { delay, duplicate: None } => What::MessageDelayed { message, delay },
    };
    reporter.tell(clock.now(), sender, [what]);
}
