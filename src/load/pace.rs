//! The pace of an open loop: when each call is due, independent of the answers.

use std::time::Duration;

use crate::text::numbers::{float, nanos, ratio, whole};
use crate::types::{Random, Time};

/// When calls of an open loop are due: one in each interval, at a place that is drawn.
pub(super) struct Pace {
    random: Random,
    begins: Time,
    interval_nanos: f64,
    passed: u64,
    pub due: Time,
}

impl Pace {
    /// The pace of one of these clients, which together make this many calls a second.
    pub(super) fn new(begins: Time, calls_a_second: f64, clients: usize, random: Random) -> Pace {
        let interval_nanos = 1e9 * ratio(float(clients as u64), calls_a_second);
        let mut pace = Pace { random, begins, interval_nanos, passed: 0, due: begins };
        pace.draw();
        pace
    }

    fn draw(&mut self) {
        let fraction = float(self.random.bits() >> 11) / float(1 << 53);
        let offset = whole((float(self.passed) + fraction) * self.interval_nanos);
        self.due = self.begins + Duration::from_nanos(offset);
    }

    pub(super) fn pass(&mut self) {
        self.passed += 1;
        self.draw();
    }

    /// How many calls that are due in this stretch have not left.
    pub(super) fn behind(&self, from: Time, until: Time) -> u64 {
        let intervals = |time: Time| whole(ratio(float(nanos(time.since(self.begins))), self.interval_nanos));
        if self.due < from || self.due >= until {
            return intervals(until).saturating_sub(intervals(from).max(self.passed));
        }
        // Where in its interval a call is due is drawn when its turn comes.
        intervals(until).saturating_sub(self.passed).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::SECOND;
    use super::*;

    #[test]
    fn an_open_loop_keeps_its_rate_with_any_draws() {
        let mut pace = Pace::new(Time::ZERO, 1_000.0, 4, Random::new(7));
        let mut before = Time::ZERO;
        for _ in 0..10_000 {
            assert!(pace.due >= before, "calls are due in order");
            before = pace.due;
            pace.pass();
        }
        let seconds = before.since(Time::ZERO).as_secs_f64();
        assert!((39.9..40.1).contains(&seconds), "10,000 calls at 250 a second, not {seconds}");
    }

    #[test]
    fn calls_that_were_due_and_did_not_leave_are_counted() {
        let second = |number: u64| Time::ZERO + SECOND * u32::try_from(number).expect("few");
        // A call in each second.
        let mut pace = Pace::new(Time::ZERO, 1.0, 1, Random::new(7));
        assert_eq!(pace.behind(second(0), second(10)), 10);
        assert_eq!(pace.behind(second(3), second(10)), 7, "those of the warm-up do not count");
        for _ in 0..8 {
            pace.pass();
        }
        assert_eq!(pace.behind(second(0), second(10)), 2);
        assert_eq!(pace.behind(second(0), second(8)), 0);
        assert_eq!(pace.behind(second(0), pace.due), 0);
        let just_due = pace.due + Duration::from_nanos(1);
        assert_eq!(pace.behind(second(0), just_due), 1);
    }
}
