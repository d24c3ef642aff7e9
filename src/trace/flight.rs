//! A message on its way from node to node.

use derive_more::Display;
use serde::{Deserialize, Serialize};

use crate::protocol::Envelope;
use crate::raft::message::Message;

/// A message on its way, with the number that its copies share: see [`Envelope::flight`](crate::protocol::Envelope::flight).
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[display("{message}")]
pub struct Flight {
    pub number: u64,
    pub message: Message,
}

/// Bits of a flight's number that its sender counts; its name stands above them.
const FLIGHT_BITS: u32 = 46;

impl Flight {
    /// The number that no other flight of the run has: traces show it.
    pub fn id(&self) -> u64 {
        let sender = u64::from(self.message.from.number());
        sender << FLIGHT_BITS | self.number & ((1 << FLIGHT_BITS) - 1)
    }

    /// That of an envelope from node to node.
    pub fn of(envelope: &Envelope) -> Option<Flight> {
        let message = envelope.message()?.clone();
        Some(Flight { number: envelope.flight(), message })
    }
}

#[cfg(test)]
impl super::What {
    /// A message leaves, and no rule touches it.
    pub fn sent(number: u64, message: Message) -> super::What {
        let flight = Flight { number, message };
        super::What::MessageSent { flight, delay: std::time::Duration::ZERO, twice: false, arrives: None }
    }

    /// A message is lost.
    pub fn lost(number: u64, message: Message, reason: crate::faults::DropReason) -> super::What {
        super::What::MessageDropped { flight: Flight { number, message }, reason }
    }
}
