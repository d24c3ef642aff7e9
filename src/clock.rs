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
    ahead: Duration,
}

impl Clock {
    /// A clock that shows [`Time::ZERO`] now.
    pub fn start() -> Clock {
        Clock { origin: Instant::now(), ahead: Duration::ZERO }
    }

    /// The time since the origin, and how far the clock was set ahead.
    pub fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed() + self.ahead
    }

    /// The same clock, set ahead of the run's time.
    #[must_use]
    pub fn set_ahead(self, by: Duration) -> Clock {
        Clock { ahead: by, ..self }
    }

    /// The `Instant` of a time of the run. What lies too far ahead for one, such as [`Time::NEVER`], becomes a century.
    pub fn instant(&self, time: Time) -> Instant {
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        self.origin + (time - self.ahead).since(Time::ZERO).min(CENTURY)
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

    #[test]
    fn a_clock_that_is_set_ahead_names_its_own_times() {
        let clock = Clock::start();
        let ahead = clock.set_ahead(Duration::from_secs(5));
        assert!(ahead.now() >= clock.now() + Duration::from_secs(4));
        let seven = Time::ZERO + Duration::from_secs(7);
        assert_eq!(clock.instant(seven) - ahead.instant(seven), Duration::from_secs(5));
    }
}
