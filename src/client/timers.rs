//! When each call has to be looked at though nothing arrives.
//!
//! Almost every call is answered long before its time, and then its timer must cost next to nothing: a timer that is
//! set anew or needed no more stays where it is, and is let go when it would be next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::call::{ActiveCall, CallId};
use crate::ascending::Ascending;
use crate::types::Time;

/// Timers in the order of their times, then of their calls. Those that do not say when their call wants to be woken
/// are stale; the first one never is.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Time, CallId)>>);

impl Timers {
    /// The call wants to be woken then.
    pub fn add(&mut self, time: Time, call: CallId) {
        self.0.push(Reverse((time, call)));
    }

    /// Lets go of what is stale and would be next. To be called whenever a call has ended or wants another time.
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
