//! Messages in a replay: each is told when it is sent and when it arrives. Why one was lost is in no recording.

use std::time::Duration;

use crate::faults::DropReason;
use crate::protocol::{Address, Envelope};
use crate::server::report::request_received;
use crate::sim::Simulation;
use crate::sim::node::Node;
use crate::trace::{Flight, What};
use crate::types::NodeId;

/// A message that is not seen to arrive for this long is told as lost.
const FLIGHT_TIME_MAX: Duration = Duration::from_secs(2);

impl Simulation {
    pub(super) fn note_sent(&mut self, name: NodeId, envelopes: Vec<Envelope>) {
        let now = self.now;
        for envelope in envelopes {
            if let Some(flight) = Flight::of(&envelope) {
                let key = (envelope.from, envelope.to, envelope.flight());
                let what = What::MessageSent { flight, delay: Duration::ZERO, twice: false, arrives: None };
                let following = self.following.as_mut().expect("it follows");
                following.under_way.insert(key, envelope);
                following.sent.push_back((now, key));
                if self.observer.is_some() {
                    self.tell(name, what);
                }
            }
        }
    }

    pub(super) fn note_arrival(&mut self, name: NodeId, envelope: &Envelope) {
        let following = self.following.as_mut().expect("it follows");
        following.under_way.remove(&(envelope.from, envelope.to, envelope.flight()));
        if self.observer.is_none() {
            return;
        }
        if let Some(flight) = Flight::of(envelope) {
            self.tell(name, What::MessageArrived(flight));
        }
        if let Some(what) = request_received(envelope) {
            self.tell(name, what);
        }
    }

    pub(super) fn forget_lost(&mut self) {
        let now = self.now;
        let following = self.following.as_mut().expect("it follows");
        let mut lost = Vec::new();
        while let Some((_, key)) = following.sent.pop_front_if(|(sent, _)| now.since(*sent) > FLIGHT_TIME_MAX)
        {
            lost.extend(following.under_way.remove(&key));
        }
        for envelope in lost {
            let (Some(flight), Address::Node(to)) = (Flight::of(&envelope), envelope.to) else { continue };
            let is_up = self.nodes.get(&to).is_some_and(Node::is_running);
            let reason = if is_up { DropReason::Loss } else { DropReason::Down };
            self.tell(flight.message.from, What::MessageDropped { flight, reason });
        }
    }
}
