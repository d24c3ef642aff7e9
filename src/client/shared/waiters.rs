//! The threads that wait at one client, each for something of its own.
//!
//! A call's end is put into the hand of the thread that waits for it, which needs no lock to take it. All else is used
//! with the client's lock held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::bell::Bell;
use crate::client::call::CallId;
use crate::client::core::Ended;

/// What a thread waits for. Threads that wait for room come first, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiter {
    Room(u64),
    Call(CallId),
    Stream,
    Session,
}

#[derive(Default)]
pub struct Waiters {
    /// In their order, which is almost always the one in which they came.
    waiting: Vec<(Waiter, Arc<Signal>)>,
    /// How many of them spin.
    spinning: usize,
}

/// Tells one thread to look for what it waits for, or brings it the end of its call.
#[derive(Default)]
pub struct Signal {
    on: AtomicBool,
    end: Mutex<Option<Ended>>,
    /// Whether its thread spins. It changes with the client's lock held.
    spins: AtomicBool,
    bell: Bell,
}

thread_local! {
    /// A thread waits for one thing at a time.
    static SIGNAL: Arc<Signal> = Arc::default();
}

impl Waiters {
    /// This thread waits for that, and spins, until it is woken or [leaves](Waiters::leave).
    pub fn enter(&mut self, waiter: Waiter) -> Arc<Signal> {
        // A thread that ends may have let go of it.
        let signal = SIGNAL.try_with(Arc::clone).unwrap_or_default();
        signal.on.store(false, Ordering::Relaxed);
        *signal.end.lock() = None;
        signal.spins.store(true, Ordering::Relaxed);
        self.spinning += 1;
        let (Ok(place) | Err(place)) = self.place(waiter);
        self.waiting.insert(place, (waiter, Arc::clone(&signal)));
        signal
    }

    /// The thread with this signal waits no more.
    pub fn leave(&mut self, waiter: Waiter, signal: &Arc<Signal>) {
        let Ok(place) = self.place(waiter) else { return };
        let is_own = |(_, other): &(Waiter, Arc<Signal>)| Arc::ptr_eq(other, signal);
        // Several threads may wait for the session.
        let own =
            if is_own(&self.waiting[place]) { Some(place) } else { self.waiting.iter().position(is_own) };
        own.map(|place| self.remove(place));
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether one of them spins, and takes in what arrives.
    pub fn some_spin(&self) -> bool {
        self.spinning > 0
    }

    /// The thread with this signal spins no more.
    pub fn fall_asleep(&mut self, signal: &Signal) {
        self.spinning -= usize::from(signal.spins.swap(false, Ordering::Relaxed));
    }

    pub fn wake(&mut self, waiter: Waiter) {
        if let Ok(place) = self.place(waiter) {
            self.remove(place).turn_on();
        }
    }

    /// Brings this end to the thread that waits for its call. None waits if it comes back.
    pub fn bring(&mut self, ended: Ended) -> Option<Ended> {
        let Ok(place) = self.place(Waiter::Call(ended.call_id)) else { return Some(ended) };
        let signal = self.remove(place);
        *signal.end.lock() = Some(ended);
        signal.turn_on();
        None
    }

    /// If all sleep, wakes one, of calls the newest: it will probably be waited for longest.
    pub fn wake_newest(&mut self) {
        if self.spinning == 0
            && let Some((_, signal)) = self.waiting.pop()
        {
            signal.turn_on();
        }
    }

    /// Wakes the thread that has waited for room longest.
    pub fn wake_next_in_queue(&mut self) {
        if let Some((Waiter::Room(_), _)) = self.waiting.first() {
            self.remove(0).turn_on();
        }
    }

    fn remove(&mut self, place: usize) -> Arc<Signal> {
        let (_, signal) = self.waiting.remove(place);
        self.fall_asleep(&signal);
        signal
    }

    /// Where this one stands, or where it would.
    fn place(&self, waiter: Waiter) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&waiter, |(waiter, _)| *waiter)
    }
}

impl Signal {
    /// Whether it was turned on.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// The end that was brought.
    pub fn take_end(&self) -> Option<Ended> {
        if self.is_on() { self.end.lock().take() } else { None }
    }

    /// Sleeps until it is turned on, or until then.
    pub fn sleep(&self, until: Instant) {
        self.bell.sleep_unless(until, || self.is_on().then_some(()));
    }

    fn turn_on(&self) {
        self.on.store(true, Ordering::Release);
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::{Outcome, Rejection};
    use crate::types::Time;

    /// Each on a thread of its own, as they wait: a thread has one signal.
    fn enter(waiters: &mut Waiters, waiter: Waiter) -> Arc<Signal> {
        std::thread::scope(|scope| scope.spawn(|| waiters.enter(waiter)).join()).expect("it enters")
    }

    #[test]
    fn who_waits_is_woken_in_order_and_no_one_while_another_spins() {
        let mut waiters = Waiters::default();
        let all = [Waiter::Call(CallId(2)), Waiter::Room(1), Waiter::Call(CallId(1)), Waiter::Room(0)];
        let signals = all.map(|waiter| enter(&mut waiters, waiter));
        let on = || signals.iter().map(|signal| signal.is_on()).collect::<Vec<_>>();
        waiters.wake_newest();
        assert_eq!(on(), [false; 4]);
        waiters.wake_next_in_queue();
        assert_eq!(on(), [false, false, false, true]);
        signals[..2].iter().for_each(|signal| waiters.fall_asleep(signal));
        waiters.wake_newest();
        assert_eq!(on(), [false, false, false, true], "one spins");
        assert!(waiters.some_spin());
        waiters.fall_asleep(&signals[2]);
        waiters.fall_asleep(&signals[2]);
        assert!(!waiters.some_spin());
        waiters.wake_newest();
        assert_eq!(on(), [true, false, false, true]);
        waiters.leave(all[1], &signals[1]);
        waiters.wake_next_in_queue();
        waiters.wake(all[1]);
        assert_eq!(on(), [true, false, false, true], "the one in the queue has left");
        waiters.wake(all[2]);
        assert_eq!(on(), [true, false, true, true]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn of_those_that_wait_for_the_same_each_leaves_for_itself() {
        let mut waiters = Waiters::default();
        let signals = [(); 3].map(|()| enter(&mut waiters, Waiter::Session));
        waiters.leave(Waiter::Session, &signals[1]);
        waiters.leave(Waiter::Session, &signals[1]);
        for signal in &signals {
            waiters.fall_asleep(signal);
        }
        waiters.wake_newest();
        waiters.wake_newest();
        assert_eq!(signals.map(|signal| signal.is_on()), [true, false, true]);
    }

    #[test]
    fn an_end_is_brought_to_the_thread_that_waits_for_it_and_to_no_other() {
        let end = |number| Ended {
            call_id: CallId(number),
            outcome: Outcome::Rejected(Rejection::Full),
            began: Time::ZERO,
            took: Duration::ZERO,
        };
        let mut waiters = Waiters::default();
        let [first, second] = [1, 2].map(|number| enter(&mut waiters, Waiter::Call(CallId(number))));
        assert_eq!(waiters.bring(end(3)), Some(end(3)));
        assert_eq!(waiters.bring(end(2)), None);
        assert!(waiters.some_spin(), "the other");
        assert_eq!([first.take_end(), second.take_end(), second.take_end()], [None, Some(end(2)), None]);
        assert_eq!(waiters.bring(end(2)), Some(end(2)), "no one waits for it any more");
        waiters.wake(Waiter::Call(CallId(1)));
        assert_eq!((first.is_on(), first.take_end()), (true, None), "it is to look, and has no end");
        assert!(!waiters.some_spin());
        assert!(waiters.is_empty());
    }
}
