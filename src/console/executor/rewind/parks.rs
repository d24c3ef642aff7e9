//! Copies of a run, made while it passes: a run that is made again continues from the nearest one, instead of from its
//! beginning.

use super::super::Console;
use super::super::course::Course;
use crate::console::narrator::RunSoFar;
use crate::lab::virtual_time::{Parked, Place};
use crate::types::Time;

/// Events from one copy to the next, as long as there are few. Some tenths of a second make as many again.
const APART: u64 = 50_000;

/// Copies that are kept at most.
pub(super) const KEPT_MAX: usize = 8;

/// The copies of one run, in the order of time.
pub(in super::super) struct Parks {
    kept: Vec<Park>,
    /// Events from one to the next at least.
    apart: u64,
}

/// A run between two of its lines.
pub(super) struct Park {
    place: Place,
    pub course: Course,
    pub memory: RunSoFar,
    pub lab: Parked,
}

impl Default for Parks {
    fn default() -> Parks {
        Parks::apart(APART)
    }
}

impl Parks {
    /// None yet; there will be this many events from one to the next at least.
    pub(super) fn apart(events: u64) -> Parks {
        Parks { kept: Vec::new(), apart: events }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether a copy is to be made at this place.
    fn wants(&self, place: Place) -> bool {
        let last = self.kept.last().map_or(0, |park| park.place.events);
        place.events >= last.saturating_add(self.apart)
    }

    fn add(&mut self, park: Park) {
        self.kept.push(park);
        if self.kept.len() > KEPT_MAX {
            self.apart = self.apart.saturating_mul(2);
            let mut place = 0;
            self.kept.retain(|_| {
                place += 1;
                place % 2 == 0
            });
        }
    }

    /// The last copy before this time.
    pub(super) fn before(&self, time: Time) -> Option<&Park> {
        self.kept.iter().rev().find(|park| park.place.time < time)
    }

    /// The run has dropped what followed this place.
    pub(super) fn forget_after(&mut self, place: Place) {
        self.kept.retain(|park| park.place.time < place.time);
    }
}

impl Console {
    /// Makes a copy of the run where it stands now, between two lines, if the last one is some way back.
    pub(in super::super) fn park(&mut self) {
        if self.later.is_some() || self.lesson.is_some() {
            return;
        }
        let Some(lab) = self.lab.virtual_time() else { return };
        let place = lab.place();
        if !self.parks.wants(place) {
            return;
        }
        let Some(lab) = lab.park() else { return };
        let mut course = self.course.clone();
        course.rerun.end_all();
        self.parks.add(Park { place, course, memory: self.narrator.so_far(), lab });
    }
}
