//! What a node's thread tells of its steps and its messages.

use log::Level;

use super::event_loop::EventLoop;
use crate::faults::DropReason;
use crate::protocol::Envelope;
use crate::server::Outbox;
use crate::server::report::{lost, request_received};
use crate::trace::{Flight, What};
use crate::types::{NodeId, Time};

impl EventLoop {
    /// The disk is too far behind for this message: it is lost here, and counted as if the network had lost it.
    pub(super) fn drop_message(&self, envelope: &Envelope) {
        self.transport.dropped_by_receiver(envelope);
        if let Some((node, what)) = lost(envelope, DropReason::Overflow) {
            self.tell(node, [what]);
        }
    }

    /// Tells what came of a step.
    pub(super) fn tell_step(&mut self, now: Time, outbox: &mut Outbox) {
        // No event of a step is an error.
        if self.context.reporter.takes(Level::Warn) {
            self.context.reporter.tell(now, self.name, outbox.take_happened());
        }
        self.tell_replies(now, outbox.replies());
        self.tell_state(now);
    }

    /// Tells what the step changed, to those who follow it.
    fn tell_state(&mut self, now: Time) {
        if !self.context.reporter.follows_steps() {
            return self.told = None;
        }
        let state = Some(Box::new(self.server.state()));
        if state != self.told {
            self.told.clone_from(&state);
            self.context.reporter.tell(now, self.name, state.map(What::State));
        }
    }

    /// Tells the answers that leave for clients, to those who follow each step.
    pub(super) fn tell_replies(&self, now: Time, replies: impl IntoIterator<Item = What>) {
        if self.context.reporter.follows_steps() {
            self.context.reporter.tell(now, self.name, replies);
        }
    }

    pub(super) fn tell_arrival(&self, envelope: &Envelope) {
        if self.context.reporter.watches_messages()
            && let Some(flight) = Flight::of(envelope)
        {
            self.tell(self.name, [What::MessageArrived(flight)]);
        }
        if self.context.reporter.takes(Level::Debug)
            && let Some(what) = request_received(envelope)
        {
            self.tell(self.name, [what]);
        }
    }

    pub(super) fn tell<const N: usize>(&self, node: NodeId, happened: [What; N]) {
        self.context.reporter.tell(self.context.clock.now(), node, happened);
    }
}
