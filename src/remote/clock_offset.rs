//! How far the console's clock is ahead of a node's, by what the node says and when that is heard.

use std::collections::VecDeque;
use std::time::Duration;

use crate::types::Time;

/// How long what was heard counts: the clocks of two machines move apart meanwhile by some milliseconds.
const COUNTS_FOR: Duration = Duration::from_secs(60);

/// Differences that are kept at most.
const KEPT_MAX: usize = 256;

/// The clock of one life of a node's process. What was on its way for the shortest time tells the difference best.
#[derive(Debug, Default)]
pub(super) struct ClockOffset {
    /// When it was heard, and the difference in nanoseconds. Each is larger than the one before it, and counts longer.
    heard: VecDeque<(Time, i128)>,
}

impl ClockOffset {
    /// What the node said at this time of its own is heard now.
    pub fn note(&mut self, now: Time, its_time: Time) {
        let ahead = i128::from(now.as_nanos()) - i128::from(its_time.as_nanos());
        while self.heard.pop_back_if(|(_, other)| *other >= ahead).is_some() {}
        while self.heard.pop_front_if(|(heard, _)| *heard + COUNTS_FOR < now).is_some() {}
        if self.heard.len() < KEPT_MAX {
            self.heard.push_back((now, ahead));
        }
    }

    /// The difference in nanoseconds.
    pub fn ahead(&self) -> i128 {
        self.heard.front().map_or(0, |(_, ahead)| *ahead)
    }

    /// A time of the node in the console's.
    pub fn moved(&self, time: Time) -> Time {
        moved(time, self.ahead())
    }
}

/// A time by a clock that is ahead by this number of nanoseconds.
pub(super) fn moved(time: Time, ahead: i128) -> Time {
    let nanos = (i128::from(time.as_nanos()) + ahead).max(0);
    Time::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn what_came_fastest_tells_the_difference() {
        let mut offset = ClockOffset::default();
        for (heard, said) in [(5_004, 1_000), (5_301, 1_300), (5_900, 1_650)] {
            offset.note(at(heard), at(said));
        }
        assert_eq!(offset.moved(at(1_650)), at(5_651), "its delay of 249 ms is not taken for the clock");
        offset.note(at(66_010), at(62_000));
        assert_eq!(offset.moved(at(62_000)), at(66_010), "a minute later the clocks may differ more");
    }

    #[test]
    fn a_clock_that_is_ahead_of_the_console_or_was_never_heard_has_its_times() {
        let mut offset = ClockOffset::default();
        assert_eq!(offset.moved(at(7)), at(7));
        offset.note(at(100), at(90_100));
        assert_eq!(offset.moved(at(90_000)), at(0));
        assert_eq!(offset.moved(at(90_250)), at(250));
    }

    #[test]
    fn few_differences_are_kept() {
        let mut offset = ClockOffset::default();
        for later in 0..2 * KEPT_MAX as u64 {
            offset.note(at(1_000 + 2 * later), at(later));
        }
        assert!(offset.heard.len() <= KEPT_MAX);
        assert_eq!(offset.moved(at(0)), at(1_000));
    }
}
