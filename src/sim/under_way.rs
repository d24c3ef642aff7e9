//! Messages that are on their way, and what a person does to one of them.

use std::collections::BTreeSet;

use super::{Happening, Simulation};
use crate::faults::DropReason;
use crate::lab::LabError;
use crate::lab::virtual_time::FlightChange;
use crate::protocol::{Address, Envelope};
use crate::text::joined;
use crate::trace::{Flight, What};
use crate::types::NodeId;

impl Simulation {
    /// The links from node to node on which a message is under way.
    fn links_in_use(&self) -> BTreeSet<String> {
        let flights = self.queue.values().filter_map(|happening| match happening {
            Happening::Arrives { envelope, .. } => envelope.message(),
            _ => None,
        });
        flights.map(|message| format!("{}>{}", message.from, message.to)).collect()
    }

    /// Changes the way of the message that arrives next on a link, or of the one with this number there. Says its number, and what
    /// becomes of it.
    pub(super) fn change_next_flight(
        &mut self,
        (from, to): (NodeId, NodeId),
        number: Option<u64>,
        change: FlightChange,
    ) -> Result<(u64, String), LabError> {
        let flies = |envelope: &Envelope| {
            let is_on_link = (envelope.from, envelope.to) == (Address::Node(from), Address::Node(to));
            is_on_link
                && number.is_none_or(|number| Flight::of(envelope).is_some_and(|one| one.id() == number))
        };
        let found = self.queue.iter().find_map(|(place, happening)| match happening {
            Happening::Arrives { envelope, held_back } if flies(envelope) => Some((*place, *held_back)),
            _ => None,
        });
        let Some((place, was_held_back)) = found else {
            let which =
                number.map_or_else(|| "no message".to_string(), |number| format!("no flight {number}"));
            let links: Vec<String> = self.links_in_use().into_iter().collect();
            let others = if links.is_empty() {
                String::new()
            } else {
                format!("; under way: {}", joined(&links, ", "))
            };
            return Err(LabError::new(format!("{which} is under way from {from} to {to}{others}")));
        };
        let Some(Happening::Arrives { envelope, .. }) = self.queue.remove(&place) else {
            unreachable!("it was found there")
        };
        let flight = Flight::of(&envelope).expect("it goes from node to node");
        let (number, text) = (flight.id(), flight.to_string());
        match change {
            FlightChange::Lose => {
                if was_held_back {
                    self.counts.released(envelope.from, envelope.to);
                }
                self.lose(&envelope, DropReason::Chosen);
                Ok((number, format!("{text}: lost, flight {number}")))
            }
            FlightChange::Hold(by) => {
                if !was_held_back {
                    self.counts.held_back(envelope.from, envelope.to);
                }
                let arrives = place.0 + by;
                self.schedule(arrives.since(self.now), Happening::Arrives { envelope, held_back: true });
                self.tell(from, What::MessageHeld { flight, arrives });
                Ok((number, format!("{text}: arrives at {arrives}, flight {number}")))
            }
        }
    }
}
