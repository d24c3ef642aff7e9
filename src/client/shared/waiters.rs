//! The threads that wait at one client, each for something of its own.
//!
//! A call's end is brought to the thread that waits for it, which needs no lock of the client to take it.
//! [`Waiters`] are used with that lock held.

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
    /// How many threads spin, or were woken and are on their way to the lock.
    awake: usize,
}

/// Tells one thread to look for what it waits for, or brings it the end of its call.
#[derive(Default)]
pub struct Signal {
    on: AtomicBool,
    end: Mutex<Option<Ended>>,
    /// Whether its thread counts as awake. It changes with the client's lock held.
    awake: AtomicBool,
    bell: Bell,
}

thread_local! {
    /// A thread waits for one thing at a time.
    static SIGNAL: Arc<Signal> = Arc::default();
}

impl Waiters {
    /// This thread waits for that, and is awake, until it is woken or [leaves](Waiters::leave).
    pub fn enter(&mut self, waiter: Waiter) -> Arc<Signal> {
        // A thread that ends may have let go of it.
        let signal = SIGNAL.try_with(Arc::clone).unwrap_or_default();
        signal.on.store(false, Ordering::Relaxed);
        self.count_as_awake(&signal, true);
        let (Ok(place) | Err(place)) = self.place(waiter);
        self.waiting.insert(place, (waiter, Arc::clone(&signal)));
        signal
    }

    /// The thread with this signal waits no more.
    pub fn leave(&mut self, waiter: Waiter, signal: &Arc<Signal>) {
        self.fall_asleep(signal);
        let Ok(place) = self.place(waiter) else { return };
        let is_own = |(_, other): &(Waiter, Arc<Signal>)| Arc::ptr_eq(other, signal);
        // Several threads may wait for the session.
        let own =
            if is_own(&self.waiting[place]) { Some(place) } else { self.waiting.iter().position(is_own) };
        own.map(|place| self.waiting.remove(place));
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a thread is awake that will look at what has arrived.
    pub fn some_awake(&self) -> bool {
        self.awake > 0
    }

    /// The thread with this signal is awake no more.
    pub fn fall_asleep(&mut self, signal: &Signal) {
        self.count_as_awake(signal, false);
    }

    /// Wakes all that wait for this.
    pub fn wake(&mut self, waiter: Waiter) {
        while let Ok(place) = self.place(waiter) {
            self.wake_at(place);
        }
    }

    /// Brings this end to the thread that waits for its call. Returns it if none does.
    pub fn bring(&mut self, ended: Ended) -> Option<Ended> {
        let Ok(place) = self.place(Waiter::Call(ended.call_id)) else { return Some(ended) };
        let (_, signal) = self.waiting.remove(place);
        // It need not come to the lock.
        self.fall_asleep(&signal);
        *signal.end.lock() = Some(ended);
        signal.turn_on();
        None
    }

    /// If all sleep, wakes one, of calls the newest: it will probably be waited for longest.
    pub fn wake_newest(&mut self) {
        if self.awake == 0 && !self.waiting.is_empty() {
            self.wake_at(self.waiting.len() - 1);
        }
    }

    /// Wakes the thread that has waited for room longest.
    pub fn wake_next_in_queue(&mut self) {
        if let Some((Waiter::Room(_), _)) = self.waiting.first() {
            self.wake_at(0);
        }
    }

    fn wake_at(&mut self, place: usize) {
        let (_, signal) = self.waiting.remove(place);
        self.count_as_awake(&signal, true);
        signal.turn_on();
    }

    fn count_as_awake(&mut self, signal: &Signal, awake: bool) {
        let before = signal.awake.swap(awake, Ordering::Relaxed);
        self.awake = self.awake + usize::from(awake) - usize::from(before);
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

    /// The end that was brought, once.
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
    fn who_waits_is_woken_in_order_and_no_one_while_another_is_awake() {
        let mut waiters = Waiters::default();
        let all = [Waiter::Call(CallId(2)), Waiter::Room(1), Waiter::Call(CallId(1)), Waiter::Room(0)];
        let signals = all.map(|waiter| enter(&mut waiters, waiter));
        let on = || signals.iter().map(|signal| signal.is_on()).collect::<Vec<_>>();
        waiters.wake_newest();
        assert_eq!(on(), [false; 4]);
        waiters.wake_next_in_queue();
        assert_eq!(on(), [false, false, false, true]);
        for signal in &signals[..3] {
            waiters.fall_asleep(signal);
        }
        waiters.wake_newest();
        assert_eq!(on(), [false, false, false, true], "the one that was woken has not come to the lock yet");
        waiters.leave(all[3], &signals[3]);
        assert!(!waiters.some_awake());
        waiters.wake_newest();
        waiters.wake_newest();
        assert_eq!(on(), [true, false, false, true]);
        waiters.leave(all[1], &signals[1]);
        waiters.wake_next_in_queue();
        waiters.wake(all[1]);
        assert_eq!(on(), [true, false, false, true], "the one in the queue has left");
        waiters.wake(all[2]);
        assert_eq!(on(), [true, false, true, true]);
        assert!(waiters.is_empty() && waiters.some_awake());
        waiters.leave(all[0], &signals[0]);
        waiters.leave(all[2], &signals[2]);
        assert!(!waiters.some_awake());
    }

    #[test]
    fn of_those_that_wait_for_the_same_each_leaves_for_itself_and_all_are_woken() {
        let mut waiters = Waiters::default();
        let signals = [(); 3].map(|()| enter(&mut waiters, Waiter::Session));
        waiters.leave(Waiter::Session, &signals[1]);
        waiters.leave(Waiter::Session, &signals[1]);
        waiters.wake(Waiter::Session);
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
        assert!(waiters.some_awake(), "the other");
        assert_eq!([first.take_end(), second.take_end(), second.take_end()], [None, Some(end(2)), None]);
        assert_eq!(waiters.bring(end(2)), Some(end(2)), "no one waits for it any more");
        waiters.wake(Waiter::Call(CallId(1)));
        assert_eq!((first.is_on(), first.take_end()), (true, None), "it is to look, and has no end");
        waiters.leave(Waiter::Call(CallId(1)), &first);
        assert!(waiters.is_empty() && !waiters.some_awake());
    }
}
