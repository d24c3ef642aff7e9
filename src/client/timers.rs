//! The timers of calls: when each acts if nothing arrives.
//!
//! Almost every call is answered long before its time, so a timer must cost next to nothing: a stale one stays in the heap
//! until it would be next, and is dropped then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::call::{ActiveCall, CallId};
use crate::ascending::Ascending;
use crate::types::Time;

/// Timers in the order of their times, then of their calls. A timer is stale if its call now has another wake time, or
/// has ended; the first one never is.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Time, CallId)>>);

impl Timers {
    pub fn add(&mut self, time: Time, call: CallId) {
        self.0.push(Reverse((time, call)));
    }

    /// Drops stale timers that would be next. Call this whenever a call has ended or has another wake time.
    pub fn forget_stale(&mut self, calls: &Ascending<CallId, ActiveCall>) {
        while let Some(Reverse((time, call))) = self.0.peek()
            && calls.get(*call).is_none_or(|call| call.wake != *time)
        {
            self.0.pop();
        }
    }

    pub fn next(&self) -> Time {
        self.0.peek().map_or(Time::NEVER, |Reverse((time, _))| *time)
    }

    /// The next one, if its time has come. Its call has no timer until one is added.
    pub fn take_due(&mut self, now: Time, calls: &Ascending<CallId, ActiveCall>) -> Option<CallId> {
        let due = self.next() <= now;
        let Reverse((_, call)) = due.then(|| self.0.pop()).flatten()?;
        self.forget_stale(calls);
        Some(call)
    }
}
