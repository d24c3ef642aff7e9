//! The ways that a group of envelopes may take: by the router thread, or by the express lane straight to the
//! destination's inbox, which saves the router's hop on links that no rule touches.
//!
//! An express send holds the lock for as long as it lasts, so a change of rules, which takes the lock to close lanes,
//! is in force for everything that is sent after it. Messages that go by different lanes may overtake one another
//! when a lane opens or closes: Raft allows for any order.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use parking_lot::RwLock;

use super::counts::Counts;
use super::inbox::{Inbox, NotSent};
use crate::faults::LinkTable;
use crate::protocol::{Address, Envelope};

/// Shared by the router thread and all senders.
#[derive(Debug)]
pub(super) struct Routes {
    pub counts: Counts,
    /// The open express lanes; none in a run without them.
    pub lanes: Option<RwLock<Lanes>>,
}

#[derive(Debug)]
pub(super) struct Lanes {
    pub open: LinkTable<bool>,
    pub inboxes: HashMap<Address, Inbox, RandomState>,
}

impl Lanes {
    /// Sends what may go by these lanes; the rest stays in the vector.
    pub fn send(&self, counts: &Counts, envelopes: &mut Vec<Envelope>) {
        let Some(first) = envelopes.first().map(link) else { return };
        if envelopes.iter().all(|envelope| link(envelope) == first) {
            *envelopes = self.send_group(first, counts, std::mem::take(envelopes));
        } else if envelopes.iter().any(|envelope| self.is_open(link(envelope))) {
            envelopes.sort_by_cached_key(link); // Stable: a link keeps its order.
            let mut rest = Vec::new();
            while let Some(last) = envelopes.last().map(link) {
                let start = envelopes.partition_point(|envelope| link(envelope) < last);
                rest.append(&mut self.send_group(last, counts, envelopes.split_off(start)));
            }
            *envelopes = rest;
        }
    }

    /// Sends a group that shares this link. Returns it when it has to go by the thread: the lane is closed, or its receiver
    /// is gone, and a client should hear so.
    fn send_group(&self, link: (Address, Address), counts: &Counts, group: Vec<Envelope>) -> Vec<Envelope> {
        let Some(inbox) = self.inboxes.get(&link.0).filter(|_| self.is_open(link)) else { return group };
        counts.sent(&group);
        counts.delivered(&group);
        match inbox.try_send(group) {
            Ok(()) => Vec::new(),
            Err(NotSent::Full(lost)) => {
                counts.not_delivered(&lost);
                Vec::new()
            }
            Err(NotSent::Closed(returned)) => {
                counts.not_sent(&returned);
                returned
            }
        }
    }

    fn is_open(&self, (to, from): (Address, Address)) -> bool {
        self.open.get(from.into(), to.into()).copied().unwrap_or(false)
    }
}

/// Destination first, so that sorting gathers what goes to one inbox.
fn link(envelope: &Envelope) -> (Address, Address) {
    (envelope.to, envelope.from)
}
