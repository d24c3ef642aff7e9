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

/// Bytes of all of them together, about.
const BYTES_MAX: usize = 512 << 20;

/// The copies of one run, in the order of time.
pub(in super::super) struct Copies {
    kept: Vec<RunCopy>,
    /// Events from one to the next at least.
    apart: u64,
}

/// A run between two of its lines.
pub(super) struct RunCopy {
    place: Place,
    bytes: usize,
    pub course: Course,
    pub memory: RunSoFar,
    pub lab: Parked,
}

impl Default for Copies {
    fn default() -> Copies {
        Copies::apart(APART)
    }
}

impl Copies {
    /// None yet; there will be this many events from one to the next at least.
    pub(super) fn apart(events: u64) -> Copies {
        Copies { kept: Vec::new(), apart: events }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether a copy is to be made at this place.
    fn wants(&self, place: Place) -> bool {
        let last = self.kept.last().map_or(0, |copy| copy.place.events);
        place.events >= last.saturating_add(self.apart)
    }

    fn add(&mut self, copy: RunCopy) {
        self.kept.push(copy);
        while self.kept.len() > KEPT_MAX || self.bytes() > BYTES_MAX {
            self.thin_out();
        }
    }

    fn bytes(&self) -> usize {
        self.kept.iter().map(|copy| copy.bytes).sum()
    }

    /// Keeps the newest, and every second one before it.
    fn thin_out(&mut self) {
        self.apart = self.apart.saturating_mul(2);
        let mut newer = self.kept.len();
        self.kept.retain(|_| {
            newer -= 1;
            newer.is_multiple_of(2)
        });
    }

    /// The last copy before this time.
    pub(super) fn before(&self, time: Time) -> Option<&RunCopy> {
        self.kept.iter().rev().find(|copy| copy.place.time < time)
    }

    /// The run has dropped what followed this place.
    pub(super) fn forget_after(&mut self, place: Place) {
        self.kept.retain(|copy| copy.place.time < place.time);
        if self.kept.is_empty() {
            self.apart = self.apart.min(APART);
        }
    }
}

impl Console {
    /// Makes a copy of the run where it stands now, between two lines, if the last one is some way back.
    pub(in super::super) fn copy_run(&mut self) {
        if self.later.is_some() || self.lesson.is_some() {
            return;
        }
        let Some(lab) = self.lab.virtual_time() else { return };
        let place = lab.place();
        if !self.copies.wants(place) {
            return;
        }
        let bytes = lab.copy_bytes();
        if bytes > BYTES_MAX {
            return;
        }
        let Some(lab) = lab.copy() else { return };
        let mut course = self.course.clone();
        course.rerun.end_all();
        self.copies.add(RunCopy { place, bytes, course, memory: self.narrator.so_far(), lab });
    }
}
