//! Places of which there is a limited number, such as those for connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

#[derive(Debug)]
pub(super) struct Places {
    taken: Mutex<usize>,
    left: Condvar,
    max: usize,
}

/// A place that is taken as long as this lives.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Places {
    pub(super) fn new(max: usize) -> Places {
        Places { taken: Mutex::default(), left: Condvar::new(), max }
    }

    /// A place, if one is free.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken.lock();
        if *taken == self.max {
            return None;
        }
        *taken += 1;
        Some(Place(Arc::clone(self)))
    }

    /// Waits until all places are free, but not longer than this.
    pub(super) fn wait_until_free(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut taken = self.taken.lock();
        while *taken > 0 && !self.left.wait_until(&mut taken, until).timed_out() {}
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock() -= 1;
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let places = Arc::new(Places::new(2));
        let (first, second) = (places.take(), places.take());
        assert!(first.is_some() && second.is_some() && places.take().is_none());
        drop(first);
        assert!(places.take().is_some(), "it was left");
        thread::scope(|scope| {
            scope.spawn(move || drop(second));
            places.wait_until_free(Duration::from_secs(20));
        });
        assert_eq!(*places.taken.lock(), 0);
    }
}
