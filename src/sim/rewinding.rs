//! A run that is begun again: the same seed and the same calls make the same run, so it can be stopped at any place that
//! it has passed.

use super::Simulation;
use super::stepping::mixed;
use crate::lab::virtual_time::{FlightChange, Look, Moment, Parked, Place, Stop, VirtualTime};
use crate::lab::{Lab, LabError};
use crate::types::{NodeId, Time};

/// A run that is made again, until it stops.
pub(super) struct Again {
    stop: Stop,
    look: Look,
}

/// When events happen. Several of the same time count as one here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Happened {
    count: u64,
    last: Option<Time>,
    before: Option<Time>,
}

impl Happened {
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn note(&mut self, now: Time) {
        self.count += 1;
        if self.last != Some(now) {
            self.before = self.last.replace(now);
        }
    }
}

impl Simulation {
    /// Whether a run that is made again has come to where it stops.
    pub(super) fn is_stopped(&self) -> bool {
        match self.again.as_ref().map_or(Stop::Never, |again| again.stop) {
            Stop::Never => false,
            Stop::After(Moment { first, last }) => self.now >= first && self.next_event() > last,
            Stop::Next(time, place) => {
                let next = self.happened.last.filter(|last| *last > time);
                next.is_some_and(|next| self.next_event() > next)
                    || place.is_some_and(|place| self.is_at(place))
            }
            Stop::At(place) => self.is_at(place),
        }
    }

    fn is_at(&self, place: Place) -> bool {
        self.now >= place.time && self.happened.count >= place.events
    }

    /// How far time may run at most, on the way to this time.
    pub(super) fn until_stop(&mut self, until: Time) -> Time {
        let Some(Again { stop, look }) = &mut self.again else { return until };
        look(self.now);
        match stop {
            Stop::Never | Stop::Next(_, None) => until,
            Stop::Next(_, Some(place)) => until.min(place.time),
            Stop::After(Moment { first, .. }) if self.now < *first => until.min(*first),
            Stop::After(Moment { last: time, .. }) | Stop::At(Place { time, .. }) => until.min(*time),
        }
    }

    /// Lets a simulation that takes the place of this one be driven by the same person.
    fn hand_over(&mut self, other: &mut Simulation) {
        std::mem::swap(&mut self.pace, &mut other.pace);
        std::mem::swap(&mut self.interrupt, &mut other.interrupt);
        other.speed = self.speed;
    }
}

impl VirtualTime for Simulation {
    fn place(&self) -> Place {
        Place { time: self.now, events: self.happened.count }
    }

    fn digest(&self) -> u64 {
        let drawn = self.random.clone().bits();
        let parts = [self.now.as_nanos(), self.happened.count, self.scheduled, drawn];
        parts.into_iter().fold(self.digest, mixed)
    }

    fn begins_at(&self) -> Time {
        self.forked.as_ref().map_or(Time::ZERO, |origin| origin.at)
    }

    fn last_events(&self) -> (Option<Time>, Option<Time>) {
        (self.happened.last, self.happened.before)
    }

    fn step(&mut self, until: Time) -> bool {
        if self.next_event().min(until) == Time::NEVER {
            return false;
        }
        if self.paced(until) {
            let now = self.now;
            while self.next_event() == now && !self.interrupted() {
                self.paced(now);
            }
        }
        true
    }

    fn copy(&self) -> Option<Parked> {
        self.copied().map(|copy| Parked(Box::new(copy)))
    }

    fn copy_bytes(&self) -> usize {
        self.bytes_copied()
    }

    fn begin_again(&mut self, from: Option<&Parked>, stop: Stop, look: Look) -> Parked {
        let observer = self.observer.clone();
        let from = from.and_then(|parked| parked.0.downcast_ref::<Simulation>());
        let mut fresh = match (from, &self.following, &self.forked) {
            (Some(copy), ..) => {
                let copy = copy.copied().expect("it is a copy, whose nodes are idle");
                Simulation { observer, ..copy }
            }
            (None, None, Some(origin)) => self.forked_again(origin),
            (None, Some(following), _) => {
                Simulation::follow(following.recording.clone(), self.machine.clone(), observer)
                    .expect("it was read before, from the same files")
            }
            (None, None, None) => Simulation::of(self.machine.clone(), self.settings.clone(), observer),
        };
        fresh.follows = self.follows;
        self.hand_over(&mut fresh);
        fresh.again = Some(Again { stop, look });
        Parked(Box::new(std::mem::replace(self, fresh)))
    }

    fn change_flight(
        &mut self,
        link: (NodeId, NodeId),
        number: Option<u64>,
        change: FlightChange,
    ) -> Result<(u64, String), LabError> {
        self.change_next_flight(link, number, change)
    }

    fn fork_recording(&mut self) -> Result<(), LabError> {
        self.fork_here()
    }

    fn stop_at(&mut self, stop: Stop) {
        if let Some(again) = &mut self.again {
            again.stop = stop;
        }
    }

    fn run_on(&mut self) {
        self.again = None;
    }

    fn put_back(&mut self, parked: Parked) {
        let mut parked = parked.0.downcast::<Simulation>().expect("a lab gets back what it has parked");
        self.hand_over(&mut parked);
        *self = *parked;
    }
}
