//! The clock of a run on real threads: maps the machine's steady clock to the run's [`Time`].
//!
//! All threads of a run share one, so that their times can be compared. The simulator has no clock and must never
//! use this file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

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
        self.time(Instant::now())
    }

    /// What it showed at this moment.
    pub fn time(&self, moment: Instant) -> Time {
        Time::ZERO + moment.saturating_duration_since(self.origin) + self.ahead
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

/// Notices that the steady clock stood still, as it does while a machine sleeps: its wall clock moved further. A person who
/// sets the wall clock looks the same.
#[derive(Clone, Copy, Debug)]
pub struct JumpWatch {
    steady: Instant,
    wall: SystemTime,
}

impl JumpWatch {
    pub fn start() -> JumpWatch {
        JumpWatch { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// How much further the wall clock moved than the steady one since the last look.
    pub fn look(&mut self, steady: Instant, wall: SystemTime) -> Duration {
        let moved = wall.duration_since(self.wall).unwrap_or_default();
        let passed = steady.saturating_duration_since(self.steady);
        *self = JumpWatch { steady, wall };
        moved.saturating_sub(passed)
    }
}

/// The logical clock of a process (Lamport 1978): later than every step whose message it has seen. Copies are the same clock.
#[derive(Clone, Debug, Default)]
pub struct LogicalClock(Arc<AtomicU64>);

impl LogicalClock {
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Something was seen that was done at this moment of another clock.
    pub fn see(&self, moment: u64) {
        self.0.fetch_max(moment, Ordering::AcqRel);
    }

    /// The next moment, which something is done at.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_moves_further_is_noticed_once() {
        let (steady, wall) = (Instant::now(), SystemTime::now());
        let mut watch = JumpWatch { steady, wall };
        let mut look = |passed: u64, moved: i64| {
            let moved_by = Duration::from_millis(moved.unsigned_abs());
            let wall = if moved < 0 { wall - moved_by } else { wall + moved_by };
            watch.look(steady + Duration::from_millis(passed), wall).as_millis()
        };
        assert_eq!(look(50, 51), 1, "a clock that is steered");
        assert_eq!(look(100, 3_101), 3_000, "a machine that slept");
        assert_eq!(look(150, 3_151), 0, "once");
        assert_eq!(look(200, -90_000), 0, "set back");
        assert_eq!(look(90_200, 0), 0, "it has moved as far as the other since");
    }

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
