//! The threads that wait at one client, each for something of its own.
//!
//! All of it is used with the client's lock held, but for [`Signal::is_on`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, MutexGuard};

use super::call::CallId;

/// What a thread waits for. Threads that wait for room come first, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waiter {
    Room(u64),
    Call(CallId),
    Stream,
    Session,
}

#[derive(Default)]
pub(super) struct Waiters {
    /// In their order, which is almost always the one in which they came.
    waiting: Vec<(Waiter, Arc<Signal>)>,
    /// Those that spin.
    pub awake: usize,
}

/// Tells one thread to look for what it waits for.
#[derive(Default)]
pub(super) struct Signal {
    on: AtomicBool,
    sleeps: Condvar,
}

thread_local! {
    /// A thread waits for one thing at a time.
    static SIGNAL: Arc<Signal> = Arc::default();
}

impl Waiters {
    /// This thread waits for that until it is woken or [leaves](Waiters::leave).
    pub fn enter(&mut self, waiter: Waiter) -> Arc<Signal> {
        // A thread that ends may have let go of it.
        let signal = SIGNAL.try_with(Arc::clone).unwrap_or_default();
        signal.on.store(false, Ordering::Relaxed);
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
        own.map(|place| self.waiting.remove(place));
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn wake(&mut self, waiter: Waiter) {
        if let Ok(place) = self.place(waiter) {
            self.waiting.remove(place).1.turn_on();
        }
    }

    /// If all sleep, wakes one, of calls the newest: it will probably be waited for longest.
    pub fn wake_newest(&mut self) {
        if self.awake == 0
            && let Some((_, signal)) = self.waiting.pop()
        {
            signal.turn_on();
        }
    }

    /// Wakes the thread that has waited for room longest.
    pub fn wake_next_in_queue(&mut self) {
        if let Some((Waiter::Room(_), _)) = self.waiting.first() {
            self.waiting.remove(0).1.turn_on();
        }
    }

    /// Where this one stands, or where it would.
    fn place(&self, waiter: Waiter) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&waiter, |(waiter, _)| *waiter)
    }
}

impl Signal {
    /// Whether it was turned on. Without the lock this is a hint.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Sleeps without the lock until it is turned on, or until then.
    pub fn sleep<T>(&self, state: &mut MutexGuard<'_, T>, until: Instant) {
        self.sleeps.wait_until(state, until);
    }

    fn turn_on(&self) {
        self.on.store(true, Ordering::Relaxed);
        self.sleeps.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_woken_in_order_and_no_one_while_another_is_awake() {
        let mut waiters = Waiters::default();
        let all = [Waiter::Call(CallId(2)), Waiter::Room(1), Waiter::Call(CallId(1)), Waiter::Room(0)];
        // Each on a thread of its own, as they wait: a thread has one signal.
        let enter = |waiter| std::thread::scope(|scope| scope.spawn(|| waiters.enter(waiter)).join());
        let signals: Vec<_> = all.map(enter).into_iter().map(|signal| signal.expect("it enters")).collect();
        let on = || signals.iter().map(|signal| signal.is_on()).collect::<Vec<_>>();
        waiters.awake = 1;
        waiters.wake_newest();
        assert_eq!(on(), [false; 4]);
        waiters.wake_next_in_queue();
        assert_eq!(on(), [false, false, false, true]);
        waiters.awake = 0;
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
        let mut enter = || {
            let enter = || waiters.enter(Waiter::Session);
            std::thread::scope(|scope| scope.spawn(enter).join()).expect("it enters")
        };
        let signals = [enter(), enter(), enter()];
        waiters.leave(Waiter::Session, &signals[1]);
        waiters.leave(Waiter::Session, &signals[1]);
        waiters.wake_newest();
        waiters.wake_newest();
        assert_eq!(signals.map(|signal| signal.is_on()), [true, false, true]);
    }
}
