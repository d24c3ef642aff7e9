//! The clock of a run on real threads: maps the machine's steady clock to the run's [`Time`].
//!
//! All threads of a run share one, so that their times can be compared. The simulator has no clock and must never
//! use this file.

use std::time::{Duration, Instant};

use crate::types::Time;

/// Counts from one origin. Copies count from the same one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that shows [`Time::ZERO`] now.
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// The time since the origin.
    pub fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    /// The machine's name for a time of the run. What lies too far ahead for the machine, [`Time::NEVER`] included,
    /// becomes a century.
    pub fn instant(&self, time: Time) -> Instant {
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        self.origin + time.since(Time::ZERO).min(CENTURY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_and_its_instant_are_the_same_moment() {
        let clock = Clock::start();
        let later = clock.instant(Time::from_nanos(5_000));
        assert_eq!(later - clock.instant(Time::ZERO), Duration::from_micros(5));
        assert!(clock.instant(Time::NEVER) > Instant::now(), "never is not in the past");
        assert!(clock.now() >= Time::ZERO);
    }
}
