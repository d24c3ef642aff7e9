//! How messages travel between threads: inboxes, and the router that asks [`faults`](crate::faults) for each message's
//! fate.
//!
//! A network may lose, delay, duplicate and reorder, and so may this one: it must never make a sender wait, and never
//! deliver to anyone but the envelope's destination.

pub mod counts;
mod handle;
pub mod inbox;
mod lanes;
pub mod router;

use crate::protocol::Envelope;

/// The seam between senders and the network.
pub trait Transport: Send {
    /// Takes the whole group and leaves the vector empty. One call for all messages of a step costs one hand-over to
    /// another thread.
    ///
    /// It never blocks and never fails: what a full queue cannot take is dropped and counted, as on a real network.
    fn send(&self, envelopes: &mut Vec<Envelope>);

    /// A receiver has dropped this message, which had reached its inbox: it is counted like all others that are lost.
    fn dropped_by_receiver(&self, envelope: &Envelope);
}
