//! The simulated network: the router's rules, and the time that each envelope takes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::node::Node;
use super::{Happening, Simulation};
use crate::client::ClientCore;
use crate::faults::{DropReason, Fate};
use crate::protocol::{Address, Envelope};
use crate::raft::entry::Content;
use crate::raft::message::{Body, Extra, Message};
use crate::server::Arrival;
use crate::server::report::lost;
use crate::trace::{Flight, What};
use crate::types::{ClientId, Member, NodeId, Time};

impl Simulation {
    pub(super) fn arrive(&mut self, envelope: Envelope) {
        match envelope.to {
            Address::Client(id) => {
                let now = self.now;
                let Some(client) = self.clients.get_mut(&id) else {
                    return self.lose(&envelope, DropReason::Down);
                };
                self.counts.delivered(std::slice::from_ref(&envelope));
                client.receive(now, envelope);
                self.carry_from_client(id);
            }
            Address::Node(name) if self.nodes.get(&name).is_some_and(Node::is_running) => {
                self.counts.delivered(std::slice::from_ref(&envelope));
                self.note_if_removed(name, &envelope);
                if let Some(flight) = self.flight(&envelope) {
                    self.tell(name, What::MessageArrived(flight));
                }
                self.deliver(name, Arrival::Envelope(envelope));
            }
            Address::Node(_) => {
                self.lose(&envelope, DropReason::Down);
                if let Some(refusal) = envelope.unreachable() {
                    self.counts.sent(std::slice::from_ref(&refusal));
                    let happening = Happening::Arrives { envelope: refusal, held_back: false };
                    self.schedule(self.settings.link_delay, happening);
                }
            }
        }
    }

    /// Counts a request for a vote of a server that was a member and is none by the log of who hears it.
    fn note_if_removed(&mut self, at: NodeId, envelope: &Envelope) {
        let Some(message) = envelope.message() else { return };
        let from = Member { node: message.from, store_id: message.files.sender };
        let asks = matches!(message.body, Body::RequestVote { .. } | Body::Extra(Extra::PreVote { .. }));
        let Some(server) = self.nodes[&at].server.as_ref().filter(|_| asks) else { return };
        let known = server.raft().configurations();
        let is_named = known.newest().is_none_or(|newest| newest.configuration.names(from));
        self.tally.members.removed_heard += u64::from(!is_named);
    }

    /// The servers of which a configuration is on its way to others, or waits in an inbox.
    pub(super) fn senders_of_configurations(&self) -> BTreeSet<Member> {
        let on_their_way = self.queue.values().filter_map(|happening| match happening {
            Happening::Arrives { envelope, .. } => Some(envelope),
            _ => None,
        });
        let inboxes = self.nodes.values().flat_map(|node| &node.inbox);
        let waiting = inboxes.filter_map(|arrival| match arrival {
            Arrival::Envelope(envelope) => Some(envelope),
            _ => None,
        });
        let messages = on_their_way.chain(waiting).filter_map(Envelope::message);
        let names_members = |message: &&Message| match &message.body {
            Body::AppendEntries { entries, .. } => {
                entries.iter().any(|entry| matches!(entry.content, Content::Members(_)))
            }
            _ => false,
        };
        let senders = messages.filter(names_members);
        senders.map(|message| Member { node: message.from, store_id: message.files.sender }).collect()
    }

    /// Puts an envelope on its way, as the network's rules decide.
    pub(super) fn send(&mut self, envelope: Envelope) {
        let (from, to) = (envelope.from, envelope.to);
        self.counts.sent(std::slice::from_ref(&envelope));
        let (delay, duplicate) = match self.faults.decide(from, to) {
            Fate::Dropped(reason) => return self.lose(&envelope, reason),
            Fate::Delivered { delay, duplicate } => (delay, duplicate),
        };
        let flight = self.flight(&envelope);
        let copy = duplicate.map(|later| {
            self.counts.duplicated(from, to);
            self.put_on_its_way(envelope.clone(), later)
        });
        let arrives = self.put_on_its_way(envelope, delay);
        if let Some(flight) = flight {
            let (twice, first) = (copy.is_some(), copy.map_or(arrives, |copy| copy.min(arrives)));
            let (from, arrives) = (flight.message.from, Some(first));
            self.tell(from, What::MessageSent { flight, delay, twice, arrives });
        }
    }

    pub(super) fn lose(&mut self, envelope: &Envelope, reason: DropReason) {
        self.counts.dropped(std::slice::from_ref(envelope));
        if self.observer.is_some()
            && let Some((node, what)) = lost(envelope, reason)
        {
            self.tell(node, what);
        }
    }

    /// Puts an envelope on its way, and says when it arrives.
    fn put_on_its_way(&mut self, envelope: Envelope, delay: Duration) -> Time {
        let held_back = delay > Duration::ZERO;
        if held_back {
            self.counts.held_back(envelope.from, envelope.to);
        }
        let jitter = self.random.duration(Duration::ZERO, self.settings.link_jitter);
        let after = self.settings.link_delay + jitter + delay;
        self.schedule(after, Happening::Arrives { envelope, held_back });
        self.now + after
    }

    pub(super) fn carry_from_client(&mut self, id: ClientId) {
        let outgoing = self.clients.get_mut(&id).map(ClientCore::take_outgoing).unwrap_or_default();
        for envelope in outgoing {
            self.send(envelope);
        }
    }

    /// A message's flight, for the observer.
    fn flight(&self, envelope: &Envelope) -> Option<Flight> {
        Flight::of(envelope).filter(|_| self.observer.is_some())
    }
}
