//! The simulated network: the router's rules, and the time that each envelope takes.

use std::time::Duration;

use super::{Happening, Simulation};
use crate::client::ClientCore;
use crate::faults::{DropReason, Fate};
use crate::protocol::{Address, Envelope, Packet, Reply, Response};
use crate::raft::message::Message;
use crate::server::Arrival;
use crate::trace::What;
use crate::types::{ClientId, Term};

impl Simulation {
    pub(super) fn arrive(&mut self, envelope: Envelope) {
        match envelope.to {
            Address::Client(id) => {
                let now = self.now;
                let Some(client) = self.clients.get_mut(&id) else {
                    return self.counts.dropped(std::slice::from_ref(&envelope));
                };
                self.counts.delivered(std::slice::from_ref(&envelope));
                client.receive(now, envelope);
                self.carry_from_client(id);
            }
            Address::Node(name) if self.nodes[&name].is_running() => {
                self.counts.delivered(std::slice::from_ref(&envelope));
                self.deliver(name, Arrival::Envelope(envelope));
            }
            Address::Node(_) => {
                self.counts.dropped(std::slice::from_ref(&envelope));
                self.refuse(&envelope);
                self.note_drop(envelope, DropReason::Down);
            }
        }
    }

    /// Nobody listens there: a client is told at once, as a connection would be refused.
    fn refuse(&mut self, envelope: &Envelope) {
        if let Packet::Request(request) = &envelope.packet {
            let reply = Reply { attempt: request.attempt, term: Term(0), response: Response::Unreachable };
            let back = Envelope { from: envelope.to, to: envelope.from, packet: Packet::Reply(reply) };
            self.counts.sent(std::slice::from_ref(&back));
            self.schedule(self.settings.link_delay, Happening::Arrives { envelope: back, held_back: false });
        }
    }

    /// Puts an envelope on its way, as the network's rules decide.
    pub(super) fn send(&mut self, envelope: Envelope) {
        let (from, to) = (envelope.from, envelope.to);
        self.counts.sent(std::slice::from_ref(&envelope));
        let fate = self.faults.decide(from, to);
        self.tell_message(&envelope, &fate);
        match fate {
            Fate::Dropped(_) => self.counts.dropped(std::slice::from_ref(&envelope)),
            Fate::Delivered { delay, duplicate } => {
                if let Some(later) = duplicate {
                    self.counts.duplicated(from, to);
                    self.put_on_its_way(envelope.clone(), later);
                }
                self.put_on_its_way(envelope, delay);
            }
        }
    }

    fn put_on_its_way(&mut self, envelope: Envelope, delay: Duration) {
        let held_back = delay > Duration::ZERO;
        if held_back {
            self.counts.held_back(envelope.from, envelope.to);
        }
        let jitter = self.random.duration(Duration::ZERO, self.settings.link_jitter);
        let after = self.settings.link_delay + jitter + delay;
        self.schedule(after, Happening::Arrives { envelope, held_back });
    }

    pub(super) fn carry_from_client(&mut self, id: ClientId) {
        let outgoing = self.clients.get_mut(&id).map(ClientCore::take_outgoing).unwrap_or_default();
        for envelope in outgoing {
            self.send(envelope);
        }
    }

    fn tell_message(&self, envelope: &Envelope, fate: &Fate) {
        let Some(message) = raft_message(envelope) else { return };
        if self.observer.is_none() {
            return;
        }
        let copy = || message.clone();
        match *fate {
            Fate::Dropped(reason) => {
                self.tell(message.from, What::MessageDropped { message: copy(), reason });
            }
            Fate::Delivered { delay, duplicate } => {
                self.tell(message.from, What::MessageSent(copy()));
                if delay > Duration::ZERO {
                    self.tell(message.from, What::MessageDelayed { message: copy(), delay });
                }
                if duplicate.is_some() {
                    self.tell(message.from, What::MessageDuplicated(copy()));
                }
            }
        }
    }

    fn note_drop(&self, envelope: Envelope, reason: DropReason) {
        if let Packet::Raft(message) = envelope.packet {
            self.tell(message.from, What::MessageDropped { message, reason });
        }
    }
}

pub(super) fn raft_message(envelope: &Envelope) -> Option<&Message> {
    match &envelope.packet {
        Packet::Raft(message) => Some(message),
        Packet::Request(_) | Packet::Reply(_) => None,
    }
}
