//! What a driver tells of a server: its start, its requests, its steps and its messages.
//!
//! Both drivers tell the same, so that a log file and a transcript of virtual time read alike.

use super::{Outbox, Server};
use crate::faults::{DropReason, Fate};
use crate::protocol::{Address, Envelope, Packet, Reply, Response};
use crate::raft::message::Message;
use crate::trace::{Flight, NodeState, ReplyKind, What};
use crate::types::NodeId;

impl Server {
    /// The event of its start. `fresh` says that its disk was empty, `repaired` what was repaired there.
    pub fn started(&self, fresh: bool, repaired: &[String]) -> What {
        let raft = self.raft();
        What::Started {
            term: raft.current_term(),
            vote: raft.voted_for().map(|candidate| candidate.node),
            last: raft.log().last(),
            fresh,
            repaired: (!repaired.is_empty()).then(|| repaired.join("; ")),
        }
    }

    /// All that it is.
    pub fn state(&self) -> NodeState {
        NodeState::of(&self.raft, self.ledger.applied.index)
    }
}

impl Outbox {
    /// The events of the step. Takes the core's events out.
    pub fn take_happened(&mut self) -> impl Iterator<Item = What> {
        // What is durable at once was appended in this step.
        let durable = self.durable.map(|to| What::LogDurable { to });
        let (before, behind) = if self.writes_at_once() { (None, durable) } else { (durable, None) };
        let events = std::mem::take(&mut self.events).into_iter().map(What::Raft);
        let events = before.into_iter().chain(events).chain(behind);
        let first_last = self.applied.first().zip(self.applied.last());
        let applied = first_last
            .map(|(first, last)| What::Applied { first: first.entry.index, last: last.entry.index });
        let saved = self.saved.map(|(last, bytes)| What::SnapshotCreated { last, bytes });
        let not_saved = self.not_saved.take();
        let not_saved = not_saved.map(|(last, reason)| What::SnapshotUnwritable { last, reason });
        let invalid = self.envelopes.iter().filter_map(request_invalid);
        events.chain(applied).chain(saved).chain(not_saved).chain(invalid)
    }

    /// The events of its answers to clients.
    pub fn replies(&self) -> impl Iterator<Item = What> {
        self.envelopes.iter().filter_map(replied)
    }

    pub fn messages(&self) -> impl Iterator<Item = &Message> + Clone {
        self.envelopes.iter().filter_map(Envelope::message)
    }
}

/// The event of a client's request that reached its node; none for other envelopes.
pub fn request_received(envelope: &Envelope) -> Option<What> {
    match (&envelope.packet, envelope.from) {
        (Packet::Request(request), Address::Client(client)) => {
            let (attempt, call) = (request.attempt, request.call.clone());
            Some(What::RequestReceived { client, attempt, call })
        }
        _ => None,
    }
}

/// The event of an answer that leaves for a client; none for other envelopes.
pub fn replied(envelope: &Envelope) -> Option<What> {
    match (&envelope.packet, envelope.to) {
        (Packet::Reply(Reply { attempt, response, .. }), Address::Client(client)) => {
            Some(What::Replied { client, attempt: *attempt, outcome: ReplyKind::of(response) })
        }
        _ => None,
    }
}

/// The event of an envelope that the network decided on, and the node that it is told of: the sender of a message, the node
/// that a client's lost request or answer is about. None for what a client and a node exchange as they should.
pub fn decided(envelope: &Envelope, fate: Fate) -> Option<(NodeId, What)> {
    match (Flight::of(envelope), fate) {
        (Some(flight), Fate::Delivered { delay, duplicate }) => {
            let (from, twice) = (flight.message.from, duplicate.is_some());
            Some((from, What::MessageSent { flight, delay, twice, arrives: None }))
        }
        (None, Fate::Delivered { .. }) => None,
        (_, Fate::Dropped(reason)) => lost(envelope, reason),
    }
}

/// The event of an envelope that was lost, and the node that it is told of; none for the network's own answers.
pub fn lost(envelope: &Envelope, reason: DropReason) -> Option<(NodeId, What)> {
    match (&envelope.packet, envelope.from, envelope.to) {
        (Packet::Raft(message), ..) => {
            let flight = Flight::of(envelope)?;
            Some((message.from, What::MessageDropped { flight, reason }))
        }
        (Packet::Request(request), Address::Client(client), Address::Node(node)) => {
            Some((node, What::RequestLost { client, attempt: request.attempt, reason }))
        }
        (Packet::Reply(Reply { response: Response::Unreachable, .. }), ..) => None,
        (Packet::Reply(reply), Address::Node(node), Address::Client(client)) => {
            Some((node, What::ReplyLost { client, attempt: reply.attempt, reason }))
        }
        _ => None,
    }
}

fn request_invalid(envelope: &Envelope) -> Option<What> {
    match (&envelope.packet, envelope.to) {
        (Packet::Reply(Reply { response: Response::Invalid(reason), .. }), Address::Client(client)) => {
            Some(What::RequestInvalid { client, reason: reason.clone() })
        }
        _ => None,
    }
}
