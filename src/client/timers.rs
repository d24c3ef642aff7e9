//! When each call has to be looked at though nothing arrives.
//!
//! Almost every call is answered long before its time, and then its timer must cost next to nothing: a timer that is
//! set anew or needed no more stays where it is, and is let go when it would be next. Most are added behind
//! all others, since most calls are as patient as the one before.

use std::collections::VecDeque;

use super::call::Running;
use super::core::CallId;
use crate::ascending::Ascending;
use crate::types::Time;

/// Timers in the order of their times, then of their calls. Those that do not say when their call wants to be woken
/// are stale; the first one never is.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers(VecDeque<(Time, CallId)>);

impl Timers {
    /// The call wants to be woken then.
    pub fn add(&mut self, time: Time, call: CallId) {
        let timer = (time, call);
        if self.0.back().is_none_or(|last| *last < timer) {
            self.0.push_back(timer);
        } else {
            let place = self.0.partition_point(|other| *other < timer);
            self.0.insert(place, timer);
        }
    }

    /// Lets go of what is stale and would be next. To be called whenever a call has ended or wants another time.
    pub fn forget_stale(&mut self, calls: &Ascending<CallId, Running>) {
        let is_stale =
            |(time, call): &mut (Time, CallId)| calls.get(*call).is_none_or(|call| call.wake != *time);
        while self.0.pop_front_if(is_stale).is_some() {}
    }

    /// The time of the next one.
    pub fn next(&self) -> Time {
        self.0.front().map_or(Time::NEVER, |(time, _)| *time)
    }

    /// The next one, if its time has come. Its call has no timer until one is added.
    pub fn take_due(&mut self, now: Time, calls: &Ascending<CallId, Running>) -> Option<CallId> {
        let (_, call) = self.0.pop_front_if(|(time, _)| *time <= now)?;
        self.forget_stale(calls);
        Some(call)
    }
}
