//! Which events a person wants to see.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Narration, Topic, TraceEvent};

/// How much is narrated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventFilter {
    /// Elections, leaders and trouble.
    On,
    /// Nothing.
    Off,
    /// Terms, votes and leaders.
    Election,
    /// Requests of clients, and where they are sent on.
    Client,
    /// Messages, without heartbeats.
    Net,
    /// Everything but heartbeats.
    All,
    /// Everything.
    Heartbeats,
}

impl EventFilter {
    /// Their names.
    pub const NAMES: [&str; 7] = ["on", "off", "election", "client", "net", "all", "heartbeats"];

    /// The filters, in the order of their names.
    const ALL: [EventFilter; 7] = [
        EventFilter::On,
        EventFilter::Off,
        EventFilter::Election,
        EventFilter::Client,
        EventFilter::Net,
        EventFilter::All,
        EventFilter::Heartbeats,
    ];

    /// The filter of this name.
    pub fn named(name: &str) -> Option<EventFilter> {
        EventFilter::NAMES.iter().position(|known| *known == name).map(|at| EventFilter::ALL[at])
    }

    /// The filter at this place among the names.
    #[cfg(feature = "cli")]
    pub(crate) fn numbered(number: u8) -> EventFilter {
        EventFilter::ALL[usize::from(number)]
    }

    /// Whether an event is shown.
    pub fn takes(self, event: &TraceEvent) -> bool {
        let (topic, narration) = (event.topic(), event.narration());
        match self {
            EventFilter::Off => false,
            EventFilter::On => narration == Narration::Unasked,
            EventFilter::Election => {
                matches!(topic, Topic::Election | Topic::Process) && narration != Narration::Answered
            }
            EventFilter::Client => topic == Topic::Client || narration == Narration::Unasked,
            EventFilter::Net => topic == Topic::Net && narration != Narration::Heartbeat,
            EventFilter::All => !matches!(narration, Narration::Heartbeat | Narration::Traced),
            EventFilter::Heartbeats => narration != Narration::Traced,
        }
    }

    /// Whether it shows what the network decides: messages, or requests and answers of clients that are lost.
    pub fn shows_network(self) -> bool {
        matches!(self, EventFilter::Client | EventFilter::Net | EventFilter::All | EventFilter::Heartbeats)
    }
}

impl fmt::Display for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EventFilter::NAMES[*self as usize])
    }
}
