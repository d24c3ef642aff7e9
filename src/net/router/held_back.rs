//! Messages that a link's rules hold back until they are due.
//!
//! Bounded in messages and in bytes for all links together: a long delay and a fast sender would fill any memory.

use std::collections::BTreeMap;

use crate::protocol::Envelope;
use crate::types::Time;

/// The messages, the next due first. Messages due at the same time keep their order.
pub(super) struct HeldBack {
    waiting: BTreeMap<(Time, u64), Envelope>,
    sequence: u64,
    bytes: usize,
    messages_max: usize,
    bytes_max: usize,
}

impl HeldBack {
    /// Empty, with these bounds. A message that is larger than the bound is held back when no other is.
    pub fn new(messages_max: usize, bytes_max: usize) -> HeldBack {
        HeldBack { waiting: BTreeMap::new(), sequence: 0, bytes: 0, messages_max, bytes_max }
    }

    /// Holds back a message until then. Returns it when there is no room.
    pub fn push(&mut self, due: Time, envelope: Envelope) -> Option<Envelope> {
        let weight = envelope.weight();
        let too_large = self.bytes + weight > self.bytes_max && !self.waiting.is_empty();
        if too_large || self.waiting.len() >= self.messages_max {
            return Some(envelope);
        }
        self.sequence += 1;
        self.bytes += weight;
        self.waiting.insert((due, self.sequence), envelope);
        None
    }

    pub fn next_due(&self) -> Option<Time> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next, if it is due by now.
    pub fn pop_due(&mut self, now: Time) -> Option<Envelope> {
        self.next_due().filter(|due| *due <= now)?;
        let (_, envelope) = self.waiting.pop_first()?;
        self.bytes -= envelope.weight();
        Some(envelope)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::{Packet, Reply, Response};
    use crate::types::{ClientId, NodeId, Term};

    fn message(attempt: u64, weight: usize) -> Envelope {
        let reply = Reply { attempt, term: Term(1), response: Response::Invalid("x".repeat(weight - 64)) };
        Envelope::new(NodeId::new(1).into(), ClientId(1).into(), Packet::Reply(reply))
    }

    fn after(milliseconds: u64) -> Time {
        Time::ZERO + Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_is_due_first_comes_first_and_equals_keep_their_order() {
        let mut held_back = HeldBack::new(10, 10_000);
        for (number, due) in [(1, 20), (2, 10), (3, 10), (4, 30)] {
            assert_eq!(held_back.push(after(due), message(number, 100)), None);
        }
        assert_eq!(held_back.next_due(), Some(after(10)));
        for number in [2, 3, 1] {
            assert_eq!(held_back.pop_due(after(20)), Some(message(number, 100)));
        }
        assert_eq!(held_back.pop_due(after(20)), None);
    }

    #[test]
    fn it_is_bounded_in_messages_and_in_bytes() {
        let mut few = HeldBack::new(2, 10_000);
        let mut small = HeldBack::new(10, 250);
        for held_back in [&mut few, &mut small] {
            for number in [1, 2] {
                assert_eq!(held_back.push(after(1), message(number, 100)), None);
            }
            assert_eq!(held_back.push(after(1), message(3, 100)), Some(message(3, 100)));
            assert!(held_back.pop_due(after(1)).is_some());
            assert_eq!(held_back.push(after(1), message(4, 100)), None, "what has left makes room");
        }
        let mut empty = HeldBack::new(10, 250);
        assert_eq!(empty.push(after(1), message(5, 1_000)), None, "alone it passes, however large");
        assert_eq!(empty.push(after(1), message(6, 100)), Some(message(6, 100)));
    }
}
