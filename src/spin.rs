//! Looks again for a moment before a thread goes to sleep.
//!
//! A thread that sleeps has to be woken, and a core with nothing to run halts: on a virtual machine it takes tens of
//! microseconds until it runs again, much more than all else that a message's way takes. So who waits for messages first
//! leaves its core to others for a moment, again and again, and sleeps when nothing has come. A core does nothing else
//! only while nobody else could use it.
//!
//! Where this was in vain the next waits begin with sleep, the more of them the longer it stays so. An idle cluster is
//! idle, and of many clients that wait for their turn most are asleep.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a thread looks before it sleeps. On a core that nobody else wants that is some 30 microseconds.
const LOOKS: u32 = 64;

/// Who had to wait longer than this until it could look again shares its core with others who are busy. It sleeps: whoever is
/// woken comes before those who were running.
const SLOW: Duration = Duration::from_millis(1);

/// Waits in a row that begin with sleep at most.
const PAUSES_MAX: u32 = 31;

/// What one thread's waits have taught. Threads that wait in turn may share it.
#[derive(Debug, Default)]
pub struct Spin {
    /// Waits that are yet to begin with sleep.
    pauses: AtomicU32,
    /// How many there were when looking was last in vain.
    last: AtomicU32,
}

impl Spin {
    /// Returns as soon as this finds something, and else when it is time to sleep, or this time has come.
    pub fn until(&self, deadline: Option<Instant>, found: impl Fn() -> bool) {
        let leave_core = || {
            thread::yield_now();
            Instant::now()
        };
        self.look(Instant::now(), deadline, leave_core, found);
    }

    /// The same on any clock: `leave_core` leaves the core to others once, and says what time it is then.
    fn look(
        &self,
        begin: Instant,
        deadline: Option<Instant>,
        leave_core: impl Fn() -> Instant,
        found: impl Fn() -> bool,
    ) {
        let pauses = self.pauses.load(Ordering::Relaxed);
        if pauses > 0 {
            self.pauses.store(pauses - 1, Ordering::Relaxed);
            return;
        }
        let mut looked = begin;
        for _ in 0..LOOKS {
            if found() {
                self.last.store(0, Ordering::Relaxed);
                return;
            }
            let now = leave_core();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return;
            }
            if now.duration_since(looked) > SLOW {
                break;
            }
            looked = now;
        }
        let pauses = (self.last.load(Ordering::Relaxed) * 2 + 1).min(PAUSES_MAX);
        self.last.store(pauses, Ordering::Relaxed);
        self.pauses.store(pauses, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often each of these waits looks, if the first looks of each find this, and time stands still.
    fn looks(spin: &Spin, waits: usize, finds: bool) -> Vec<u32> {
        let now = Instant::now();
        let wait = |_| {
            let looks = Cell::new(0);
            let found = || {
                looks.set(looks.get() + 1);
                finds
            };
            spin.look(now, None, || now, found);
            looks.get()
        };
        (0..waits).map(wait).collect()
    }

    #[test]
    fn who_looks_in_vain_sleeps_at_once_more_and_more_often() {
        let spin = Spin::default();
        let expected = [LOOKS, 0, LOOKS, 0, 0, 0, LOOKS, 0, 0, 0, 0, 0, 0, 0, LOOKS];
        assert_eq!(looks(&spin, 15, false), expected);
        let later = looks(&spin, 1_000, false);
        let most = later.iter().filter(|looks| **looks > 0).count();
        assert!((25..40).contains(&most), "one wait in thirty-two, not {most} in a thousand");
    }

    #[test]
    fn who_has_something_to_do_stops_looking() {
        let spin = Spin::default();
        let looks = Cell::new(0);
        for _ in 0..3 {
            spin.until(Some(Instant::now()), || {
                looks.set(looks.get() + 1);
                false
            });
        }
        assert_eq!(looks.get(), 3, "once each time: it was not in vain");
    }

    #[test]
    fn who_could_not_look_for_long_sleeps() {
        let spin = Spin::default();
        let looks = Cell::new(0);
        let now = Instant::now();
        for _ in 0..2 {
            let found = || {
                looks.set(looks.get() + 1);
                false
            };
            spin.look(now, None, || now + 2 * SLOW, found);
        }
        assert_eq!(looks.get(), 1, "and at once, the next time");
    }

    #[test]
    fn who_finds_something_goes_on_looking() {
        let spin = Spin::default();
        assert_eq!(looks(&spin, 3, false), [LOOKS, 0, LOOKS]);
        assert_eq!(looks(&spin, 6, true), [0, 0, 0, 1, 1, 1]);
        assert_eq!(looks(&spin, 3, false), [LOOKS, 0, LOOKS], "it begins anew");
    }
}
