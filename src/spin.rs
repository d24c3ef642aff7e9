//! Spins for a moment, with an adaptive backoff, before a thread sleeps.
//!
//! Waking a thread costs more than all the rest of a message's way: a core with nothing to run halts, and on a virtual
//! machine it takes tens of microseconds to resume. So a thread that waits for messages first yields its core a few times
//! and looks again in between. It never keeps a core that another thread could use.
//!
//! When the spin finds nothing, the next waits sleep at once: one of them, then three, seven, up to thirty-one. An idle
//! cluster stays idle, and of many waiting clients most are asleep. After a long pause the next few waits sleep at once too: a
//! thread that spun after each heartbeat of an idle cluster would spin in vain.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a thread looks before it sleeps: some 30 microseconds on a core without other work.
const LOOKS: u32 = 64;

/// A thread that gets its core back later than this shares it with busy threads, and sleeps: the scheduler favors a
/// thread that was woken over those that were running.
const SLOW: Duration = Duration::from_millis(1);

/// A core may come back this much later for each other thread of this process that spins. They take turns, and each of them
/// works for a moment when it finds something: hundreds of clients that wait for the same nodes are no busy threads.
const TURN: Duration = Duration::from_micros(20);

/// The threads of this process that spin now. It is a number and orders nothing.
static SPINNING: AtomicU32 = AtomicU32::new(0);

/// The most waits in a row that sleep at once.
const PAUSES_MAX: u32 = 31;

/// When two waits of a thread begin this far apart, it has little to do, or something else that takes long.
const QUIET: Duration = Duration::from_millis(10);

/// How many waits then sleep at once: a heartbeat brings this many to a leader of five.
const PAUSES_IN_QUIET: u32 = 5;

/// The backoff of one thread, or of those that wait for the same.
#[derive(Debug)]
pub struct Spin {
    pauses: AtomicU32,
    /// How many there were after the last spin in vain.
    last: AtomicU32,
    origin: Instant,
    /// When two waits begin this far apart, the next few sleep at once.
    quiet: Duration,
    /// When it last waited, in nanoseconds since its origin.
    waited: AtomicU64,
}

impl Default for Spin {
    fn default() -> Spin {
        Spin::since(Instant::now())
    }
}

impl Spin {
    fn since(origin: Instant) -> Spin {
        let (pauses, last, waited) = Default::default();
        Spin { pauses, last, origin, quiet: QUIET, waited }
    }

    /// Takes this much between two waits for a long time, and not what is long for a node.
    pub fn quiet_after(self, quiet: Duration) -> Spin {
        Spin { quiet, ..self }
    }

    /// Returns when `found` does, at the deadline, or when it is time to sleep.
    pub fn until(&self, deadline: Option<Instant>, found: impl Fn() -> bool) {
        let others = SPINNING.fetch_add(1, Ordering::Relaxed);
        self.wait(deadline, SLOW + TURN * others, Instant::now, found);
        SPINNING.fetch_sub(1, Ordering::Relaxed);
    }

    /// The same on any clock, of which a core that comes back later than `slow` is shared with busy threads.
    fn wait(
        &self,
        deadline: Option<Instant>,
        slow: Duration,
        clock: impl Fn() -> Instant,
        found: impl Fn() -> bool,
    ) {
        let mut looked = clock();
        let mut pauses = self.pauses.load(Ordering::Relaxed);
        if self.is_quiet(looked) {
            pauses = pauses.max(PAUSES_IN_QUIET);
        }
        if pauses > 0 {
            self.pauses.store(pauses - 1, Ordering::Relaxed);
            return;
        }
        if found() {
            return self.last.store(0, Ordering::Relaxed);
        }
        for _ in 1..LOOKS {
            thread::yield_now();
            let now = clock();
            if found() {
                return self.last.store(0, Ordering::Relaxed);
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                return;
            }
            if now.duration_since(looked) > slow {
                break;
            }
            looked = now;
        }
        let pauses = (self.last.load(Ordering::Relaxed) * 2 + 1).min(PAUSES_MAX);
        self.last.store(pauses, Ordering::Relaxed);
        self.pauses.store(pauses, Ordering::Relaxed);
    }

    /// Whether the last wait began long ago.
    fn is_quiet(&self, now: Instant) -> bool {
        let nanos = u64::try_from(now.duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX);
        let last = self.waited.swap(nanos, Ordering::Relaxed);
        Duration::from_nanos(nanos.saturating_sub(last)) > self.quiet
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often each wait looks while time stands still and every look returns `finds`.
    fn looks(spin: &Spin, now: Instant, waits: usize, finds: bool) -> Vec<u32> {
        let wait = |_| {
            let looks = Cell::new(0);
            let found = || {
                looks.set(looks.get() + 1);
                finds
            };
            spin.wait(None, SLOW, || now, found);
            looks.get()
        };
        (0..waits).map(wait).collect()
    }

    #[test]
    fn who_looks_in_vain_sleeps_at_once_more_and_more_often() {
        let origin = Instant::now();
        let spin = Spin::since(origin);
        let expected = [LOOKS, 0, LOOKS, 0, 0, 0, LOOKS, 0, 0, 0, 0, 0, 0, 0, LOOKS];
        assert_eq!(looks(&spin, origin, 15, false), expected);
        let later = looks(&spin, origin, 1_000, false);
        let most = later.iter().filter(|looks| **looks > 0).count();
        assert!((25..40).contains(&most), "one wait in thirty-two, not {most} in a thousand");
    }

    #[test]
    fn who_has_something_to_do_stops_looking() {
        let origin = Instant::now();
        let spin = Spin::since(origin);
        let looks = Cell::new(0);
        for _ in 0..3 {
            let found = || {
                looks.set(looks.get() + 1);
                false
            };
            spin.wait(Some(origin), SLOW, || origin, found);
        }
        assert_eq!(looks.get(), 6, "twice each time: it was not in vain");
    }

    #[test]
    fn who_could_not_look_for_long_sleeps() {
        let origin = Instant::now();
        let spin = Spin::since(origin);
        let looks = Cell::new(0);
        let now = Cell::new(origin);
        for _ in 0..2 {
            let clock = || now.replace(now.get() + 2 * SLOW);
            let found = || {
                looks.set(looks.get() + 1);
                false
            };
            spin.wait(None, SLOW, clock, found);
        }
        assert_eq!(looks.get(), 2, "at the second look it knew, and it slept at once the next time");
    }

    #[test]
    fn after_a_long_wait_the_next_few_sleep_at_once() {
        let origin = Instant::now();
        let spin = Spin::since(origin);
        let mut now = origin;
        assert_eq!(looks(&spin, now, 2, true), [1, 1]);
        for _ in 0..3 {
            now += QUIET * 5;
            assert_eq!(looks(&spin, now, 7, true), [0, 0, 0, 0, 0, 1, 1]);
        }
    }

    #[test]
    fn what_is_a_long_wait_depends_on_who_waits() {
        let origin = Instant::now();
        let (node, client) = (Spin::since(origin), Spin::since(origin).quiet_after(QUIET / 5));
        assert_eq!([&node, &client].map(|spin| looks(spin, origin, 1, true)), [[1], [1]]);
        let later = origin + QUIET / 2;
        assert_eq!([&node, &client].map(|spin| looks(spin, later, 1, true)), [[1], [0]]);
    }

    #[test]
    fn who_shares_its_core_with_others_that_spin_looks_for_longer() {
        let origin = Instant::now();
        let spin = Spin::since(origin);
        let looks = Cell::new(0);
        let now = Cell::new(origin);
        let clock = || now.replace(now.get() + 2 * SLOW);
        let found = || looks.replace(looks.get() + 1) == 5;
        spin.wait(None, SLOW + TURN * 100, clock, found);
        assert_eq!(looks.get(), 6);
    }

    #[test]
    fn who_finds_something_goes_on_looking() {
        let origin = Instant::now();
        let spin = Spin::since(origin);
        assert_eq!(looks(&spin, origin, 3, false), [LOOKS, 0, LOOKS]);
        assert_eq!(looks(&spin, origin, 6, true), [0, 0, 0, 1, 1, 1]);
        assert_eq!(looks(&spin, origin, 3, false), [LOOKS, 0, LOOKS], "it starts again");
    }
}
