//! Wakes a thread that sleeps until something arrives: many ring, one sleeps.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::{self, Thread};
use std::time::Instant;

use parking_lot::Mutex;

#[derive(Debug, Default)]
pub struct Bell {
    asleep: AtomicBool,
    sleeper: Mutex<Option<Thread>>,
}

impl Bell {
    /// Sleeps until `look` finds something, or until then. `look` sees everything that was done before a `ring`.
    pub fn sleep_unless<T>(&self, until: Instant, look: impl Fn() -> Option<T>) -> Option<T> {
        *self.sleeper.lock() = Some(thread::current());
        loop {
            self.asleep.store(true, Ordering::Relaxed);
            // Either `ring` sees that this thread sleeps, or this look sees what was done before the ring.
            fence(Ordering::SeqCst);
            let found = look();
            let left = until.saturating_duration_since(Instant::now());
            if found.is_some() || left.is_zero() {
                self.asleep.store(false, Ordering::Relaxed);
                return found;
            }
            thread::park_timeout(left);
        }
    }

    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed)
            && self.asleep.swap(false, Ordering::Relaxed)
            && let Some(sleeper) = &*self.sleeper.lock()
        {
            sleeper.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_ring_is_missed() {
        const TURNS: u64 = 20_000;
        let (bell, turn) = (Bell::default(), AtomicU64::new(0));
        let (back, answer) = (Bell::default(), AtomicU64::new(0));
        let far = Instant::now() + Duration::from_secs(60);
        let wait = |bell: &Bell, number: &AtomicU64, wanted| {
            bell.sleep_unless(far, || (number.load(Ordering::Relaxed) == wanted).then_some(()))
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                for wanted in 1..=TURNS {
                    assert_eq!(wait(&bell, &turn, wanted), Some(()));
                    answer.store(wanted, Ordering::Relaxed);
                    back.ring();
                }
            });
            for wanted in 1..=TURNS {
                turn.store(wanted, Ordering::Relaxed);
                bell.ring();
                assert_eq!(wait(&back, &answer, wanted), Some(()), "a missed ring would last a minute");
            }
        });
    }

    #[test]
    fn who_waits_in_vain_wakes_in_time() {
        let bell = Bell::default();
        let until = Instant::now() + Duration::from_millis(5);
        assert_eq!(bell.sleep_unless(until, || None::<()>), None);
        assert!(Instant::now() >= until);
    }
}
