//! How threads wait for what they share.
//!
//! There is no thread behind a client. Threads that wait spin (`src/spin.rs`), and the first that sees that something has
//! arrived takes it in for all: each end is brought to the thread that waits for it. The last that spins sleeps at the inbox,
//! without the lock: it is the *driver*, and takes in what arrives. The others sleep, each at a bell of its own, until their
//! call has ended, they are to take in what arrives, or the core's next deadline comes, which the driver may not know of:
//! then they tick the core themselves.

use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, RecvTimeoutError, at, select};
use parking_lot::MutexGuard;

use super::SharedClient;
use super::state::State;
use super::waiters::Waiter;
use crate::client::call::CallId;
use crate::client::core::Ended;
use crate::protocol::Envelope;
use crate::types::Time;

/// Why a wait is over.
enum News<'a> {
    /// The thread is to look for itself, with the lock.
    Look(MutexGuard<'a, State>),
    /// Its call has ended.
    Ended(Ended),
}

enum WakeUp {
    Arrived(Vec<Envelope>),
    Due,
    Interrupted,
    Closed,
}

impl SharedClient {
    /// As [`SharedClient::wait`], with the lock.
    pub(super) fn wait_for_call<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        call: CallId,
        until: Time,
    ) -> Option<Ended> {
        loop {
            let ended = state.take_end(call);
            if ended.is_some() || self.is_past(until) {
                self.pass_on(&mut state);
                return ended;
            }
            match self.await_news(state, until, Waiter::Call(call)) {
                News::Look(again) => state = again,
                News::Ended(ended) => return Some(ended),
            }
        }
    }

    /// Waits until `find` finds something, or until then.
    pub(super) fn wait_for<'a, T>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Time,
        waiter: Waiter,
        mut find: impl FnMut(&mut State) -> Option<T>,
    ) -> (Option<T>, MutexGuard<'a, State>) {
        loop {
            let found = find(&mut state);
            if found.is_some() || self.is_past(until) {
                self.pass_on(&mut state);
                return (found, state);
            }
            match self.await_news(state, until, waiter) {
                News::Look(again) => state = again,
                News::Ended(_) => unreachable!("it waits for no call"),
            }
        }
    }

    fn is_past(&self, until: Time) -> bool {
        until != Time::NEVER && self.clock.now() >= until
    }

    /// This thread takes in no more: if no other does, one is woken for it.
    pub(super) fn pass_on(&self, state: &mut State) {
        state.call_next_in_queue();
        if !self.is_driven() {
            state.waiters.wake_newest();
        }
    }

    pub(super) fn is_driven(&self) -> bool {
        self.driven.load(Ordering::Relaxed)
    }

    /// Waits until the call has ended, this thread is woken, it has taken in what arrived, or something is due.
    fn await_news<'a>(&'a self, mut state: MutexGuard<'a, State>, until: Time, waiter: Waiter) -> News<'a> {
        let signal = state.waiters.enter(waiter);
        let interrupt = state.interrupt.clone();
        let has_arrived =
            || !self.inbox.is_empty() || interrupt.as_ref().is_some_and(|interrupt| !interrupt.is_empty());
        let has_news = || signal.is_on() || !self.is_driven() && has_arrived();
        let due = state.due().min(until);
        drop(state);
        self.spin.until(Some(self.clock.instant(due)), has_news);
        if let Some(ended) = signal.take_end() {
            return News::Ended(ended);
        }
        state = self.state.lock();
        state.waiters.fall_asleep(&signal);
        let drives = !self.is_driven() && !state.waiters.some_awake();
        if !drives && !has_news() {
            let due = state.due_for(waiter).min(until);
            drop(state);
            signal.sleep(self.clock.instant(due));
            if let Some(ended) = signal.take_end() {
                return News::Ended(ended);
            }
            state = self.state.lock();
        }
        state.waiters.leave(waiter, &signal);
        if let Some(ended) = signal.take_end() {
            return News::Ended(ended);
        }
        if drives && !has_news() {
            let due = state.due().min(until);
            self.drive(&mut state, due, interrupt.as_ref());
        }
        self.take_in(&mut state, self.clock.now());
        News::Look(state)
    }

    /// Sleeps at the inbox, without the lock, until something has arrived or is due.
    fn drive(&self, state: &mut MutexGuard<'_, State>, until: Time, interrupt: Option<&Receiver<()>>) {
        self.driven.store(true, Ordering::Relaxed);
        let woken = MutexGuard::unlocked(state, || self.sleep_at_inbox(until, interrupt));
        self.driven.store(false, Ordering::Relaxed);
        let now = self.clock.now();
        match woken {
            WakeUp::Arrived(group) => state.receive(now, group),
            WakeUp::Due => {}
            WakeUp::Interrupted | WakeUp::Closed => {
                // Answers that have arrived still count.
                state.receive_waiting(now, &self.inbox);
                state.closed |= matches!(woken, WakeUp::Closed);
                state.give_up(now);
            }
        }
    }

    fn sleep_at_inbox(&self, until: Time, interrupt: Option<&Receiver<()>>) -> WakeUp {
        let until = self.clock.instant(until);
        match interrupt {
            None => match self.inbox.recv_deadline(until) {
                Ok(group) => WakeUp::Arrived(group),
                Err(RecvTimeoutError::Timeout) => WakeUp::Due,
                Err(RecvTimeoutError::Disconnected) => WakeUp::Closed,
            },
            Some(interrupt) => select! {
                recv(self.inbox.receiver()) -> parcel => {
                    parcel.map_or(WakeUp::Closed, |parcel| WakeUp::Arrived(self.inbox.open(parcel)))
                }
                recv(interrupt) -> wish => wish.map_or(WakeUp::Closed, |()| WakeUp::Interrupted),
                recv(at(until)) -> _ => WakeUp::Due,
            },
        }
    }

    /// Takes in what has arrived, unless a driver does, and ticks the core in either case: the driver may have fallen asleep
    /// before it could know of a deadline.
    pub(super) fn take_in(&self, state: &mut State, now: Time) {
        if !self.is_driven() {
            state.receive_waiting(now, &self.inbox);
            if state.take_interruptions() || state.closed {
                state.give_up(now);
            }
        }
        if now >= state.leave_by {
            state.leave(now);
        }
        state.tick(now);
        state.settle(now);
    }
}
