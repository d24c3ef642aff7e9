//! What virtual time adds to a lab: its run can be begun again, with the same outcome, and stopped anywhere.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use super::LabError;
use crate::types::{NodeId, Time};

/// A lab whose run its seed and the calls of its user decide.
pub trait VirtualTime {
    fn place(&self) -> Place;

    /// A number that two runs share only if they were the same at every step so far.
    fn digest(&self) -> u64;

    /// Where the run begins: zero, or where it was forked from a recording.
    fn begins_at(&self) -> Time;

    /// When something happened last, and when it did before; none of a time before the first event.
    fn last_events(&self) -> (Option<Time>, Option<Time>);

    /// Lets what comes next happen, with all of the same time, but nothing after this moment. False if nothing is to come
    /// and the moment never does.
    fn step(&mut self, until: Time) -> bool;

    /// A copy of the run as it stands; none while it does what cannot be copied.
    fn copy(&self) -> Option<Parked>;

    /// About the bytes of memory that a copy takes.
    fn copy_bytes(&self) -> usize;

    /// Begins the run again: from a copy of it, or with the same seed, the settings that it began with, and no fault. It
    /// stops at this place, as if a person had interrupted it there, and takes no pauses until then. Returns the run so far.
    fn begin_again(&mut self, from: Option<&Parked>, stop: Stop, look: Look) -> Parked;

    /// Changes the way of the message that arrives next on a link between nodes, or of the one with this number there, as
    /// traces number flights. Says its number, and what becomes of it.
    ///
    /// # Errors
    /// No such message is under way.
    fn change_flight(
        &mut self,
        link: (NodeId, NodeId),
        number: Option<u64>,
        change: FlightChange,
    ) -> Result<(u64, String), LabError>;

    /// Lets a run that follows a recording continue by itself.
    ///
    /// # Errors
    /// It cannot from this moment, and why.
    fn fork_recording(&mut self) -> Result<(), LabError>;

    /// Lets the run that was begun again stop at another place.
    fn stop_at(&mut self, stop: Stop);

    /// Ends what [`VirtualTime::begin_again`] began: the run stops nowhere by itself any more.
    fn run_on(&mut self);

    /// Puts a run that was parked in the place of this one.
    fn put_back(&mut self, parked: Parked);
}

/// Looks at the time of a run that is made again, between its events.
pub type Look = Box<dyn FnMut(Time)>;

/// What becomes of a message that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlightChange {
    /// It is lost.
    Lose,
    /// It arrives this much later.
    Hold(Duration),
}

/// A place in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub time: Time,
    /// How many events came before. Several may happen at the same time.
    pub events: u64,
}

/// A time, with all that is shown as the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// The run stands here, or later where something happens later in the moment.
    pub first: Time,
    pub last: Time,
}

/// Where a run stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Nowhere.
    Never,
    /// After all that happens in this moment.
    After(Moment),
    /// After all that happens at the first time behind this one at which something does; at the place at the latest.
    Next(Time, Option<Place>),
    /// At this place, with events of the same time still to come.
    At(Place),
}

impl From<Time> for Moment {
    /// This time and no other.
    fn from(time: Time) -> Moment {
        Moment { first: time, last: time }
    }
}

/// A run that was set aside, as it stood.
pub struct Parked(pub(crate) Box<dyn Any>);

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked").finish_non_exhaustive()
    }
}
