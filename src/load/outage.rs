//! Outages: stretches in which nothing was answered although calls were waiting.
//!
//! A stretch begins with an answer while other calls wait, or, if none waits, with the next call. It ends with the next
//! answer: calls that fail do not end it, though for a moment no call may wait. Only the measured time counts.
//!
//! Marks divide the measured time, at the moments at which something was done to the cluster: of each part the longest is
//! known, too. What a mark cuts in two counts on both sides as long as it lies there.

use std::time::Duration;

use crate::types::Time;

/// The longest outage of a load, found while it runs.
#[derive(Debug)]
pub(super) struct Outages {
    end: Time,
    waiting: u64,
    /// Since when nothing was answered; none while no call waits.
    since: Option<Time>,
    answered: Time,
    /// When a call last ended without an answer.
    failed: Time,
    all: Longest,
    /// From each mark to the next.
    parts: Vec<Longest>,
}

/// The longest outage that lies within a stretch of time.
#[derive(Clone, Copy, Debug)]
struct Longest {
    start: Time,
    end: Time,
    /// From when until when.
    found: (Time, Time),
}

impl Longest {
    fn within(start: Time, end: Time) -> Longest {
        Longest { start, end, found: (start, start) }
    }

    fn note(&mut self, since: Time, at: Time) {
        let (from, to) = (since.max(self.start), at.min(self.end));
        if to.since(from) > self.found.1.since(self.found.0) {
            self.found = (from, to);
        }
    }

    fn until(self, end: Time) -> (Time, Duration) {
        let (from, to) = self.found;
        (from, to.min(end).since(from))
    }
}

impl Outages {
    /// In this stretch of time; `end` may be [`Time::NEVER`] until it is known.
    pub(super) fn new(start: Time, end: Time) -> Outages {
        let (answered, failed) = (Time::ZERO, Time::ZERO);
        let all = Longest::within(start, end);
        Outages { end, waiting: 0, since: None, answered, failed, all, parts: Vec::new() }
    }

    /// Something is done to the cluster now: what follows is a part of its own.
    pub(super) fn mark(&mut self, at: Time) {
        if let Some(part) = self.parts.last_mut() {
            if let Some(since) = self.since {
                part.note(since, at);
            }
            part.end = part.end.min(at);
        }
        self.parts.push(Longest::within(at, self.end));
    }

    /// A client that had no call under way has one since then. Clients may say so in another order.
    pub(super) fn begin(&mut self, then: Time) {
        self.waiting += 1;
        let then = then.max(self.answered);
        self.since = Some(self.since.map_or(then, |since| since.min(then)));
    }

    /// A client has no call under way any more.
    pub(super) fn rest(&mut self) {
        self.waiting -= 1;
        if self.waiting == 0 && self.since.is_some_and(|since| self.failed <= since) {
            self.since = None;
        }
    }

    pub(super) fn answer(&mut self, at: Time) {
        self.answered = self.answered.max(at);
        if let Some(since) = self.since {
            self.close(since, at);
            self.since = Some(since.max(at));
        }
    }

    /// A call ended without an answer.
    pub(super) fn fail(&mut self, at: Time) {
        self.failed = self.failed.max(at);
    }

    /// When the longest began, and how long it was, in a measured time that ended then.
    pub(super) fn longest(&mut self, end: Time) -> (Time, Duration) {
        self.end = self.end.min(end);
        if let Some(since) = self.since {
            self.close(since, end);
        }
        self.all.until(self.end)
    }

    /// How long it was in the part behind each mark, in seconds, once [`Outages::longest`] has said when the measured time ended. None of a
    /// mark behind it.
    pub(super) fn parts(&self) -> Vec<Option<f64>> {
        let longest = |part: &Longest| part.until(self.end).1.as_secs_f64();
        self.parts.iter().map(|part| (part.start < self.end).then(|| longest(part))).collect()
    }

    fn close(&mut self, since: Time, at: Time) {
        self.all.note(since, at);
        if let Some(part) = self.parts.last_mut() {
            part.note(since, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn outages() -> Outages {
        Outages::new(at(1_000), at(10_000))
    }

    #[test]
    fn an_outage_lies_between_two_answers_while_calls_wait() {
        let mut outages = outages();
        outages.begin(at(500));
        for answer in [1_100, 1_200, 5_000, 5_050] {
            outages.answer(at(answer));
        }
        outages.rest();
        assert_eq!(outages.longest(at(10_000)), (at(1_200), Duration::from_millis(3_800)));
    }

    #[test]
    fn a_time_without_calls_is_none() {
        let mut outages = outages();
        for call in [2_000, 4_000, 9_000] {
            outages.begin(at(call));
            outages.answer(at(call + 10));
            outages.rest();
        }
        assert_eq!(outages.longest(at(10_000)), (at(2_000), Duration::from_millis(10)));
    }

    #[test]
    fn calls_that_fail_do_not_end_it() {
        let mut outages = outages();
        for call in [2_000, 3_000] {
            outages.begin(at(call));
            outages.fail(at(call + 600));
            outages.rest();
        }
        outages.begin(at(4_000));
        outages.answer(at(4_001));
        outages.rest();
        assert_eq!(outages.longest(at(10_000)), (at(2_000), Duration::from_millis(2_001)));
    }

    #[test]
    fn only_the_measured_time_counts() {
        let mut outages = outages();
        outages.begin(at(100));
        outages.fail(at(10_600));
        outages.rest();
        assert_eq!(outages.longest(at(10_000)), (at(1_000), Duration::from_secs(9)));
        let mut stopped = Outages::new(at(1_000), Time::NEVER);
        stopped.begin(at(100));
        stopped.answer(at(8_000));
        assert_eq!(stopped.longest(at(3_000)), (at(1_000), Duration::from_secs(2)));
    }

    #[test]
    fn each_part_behind_a_mark_has_an_outage_of_its_own() {
        let mut outages = outages();
        outages.begin(at(1_000));
        for answer in [1_010, 2_000] {
            outages.answer(at(answer));
        }
        outages.mark(at(2_500));
        outages.answer(at(3_000));
        // Told late, from before the mark.
        outages.answer(at(2_400));
        outages.answer(at(3_100));
        outages.mark(at(4_000));
        outages.answer(at(4_100));
        outages.answer(at(9_500));
        outages.mark(at(11_000));
        outages.answer(at(11_500));
        outages.rest();
        let millis = Duration::from_millis;
        assert_eq!(outages.longest(at(10_000)), (at(4_100), millis(5_400)));
        assert_eq!(outages.parts(), [Some(0.9), Some(5.4), None]);
    }

    #[test]
    fn an_answer_that_is_told_late_ends_nothing_twice() {
        let mut outages = outages();
        outages.begin(at(1_500));
        outages.begin(at(1_000));
        outages.answer(at(2_000));
        outages.begin(at(1_800));
        outages.answer(at(1_500));
        outages.answer(at(2_100));
        assert_eq!(outages.longest(at(2_100)).1, Duration::from_secs(1));
    }
}
