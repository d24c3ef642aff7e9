//! Something for each index of a log, of which only the newest million is kept: so that following a cluster that runs
//! for months takes a bounded amount of memory. What is older is not checked any more.

use std::collections::VecDeque;

use crate::types::LogIndex;

/// How many are kept at least.
const KEPT_MIN: usize = 1_000_000;

/// Values by index, from 1 to `last`, the oldest of which may be gone.
#[derive(Clone, Debug)]
pub(super) struct Window<T> {
    base: LogIndex,
    values: VecDeque<T>,
}

impl<T> Default for Window<T> {
    fn default() -> Window<T> {
        Window { base: LogIndex(0), values: VecDeque::new() }
    }
}

impl<T: Copy> Window<T> {
    /// Nothing is known up to this index.
    pub fn behind(last: LogIndex) -> Window<T> {
        Window { base: last, values: VecDeque::new() }
    }

    /// This is the first value that is known.
    pub fn beginning_at(index: LogIndex, value: T) -> Window<T> {
        Window { base: index.previous(), values: VecDeque::from([value]) }
    }

    /// Whether the value at this index was there and is not known, or not known any more.
    pub fn is_gone(&self, index: LogIndex) -> bool {
        index > LogIndex(0) && index <= self.base
    }

    /// The first whose value may be there.
    pub fn first(&self) -> LogIndex {
        self.base.next()
    }

    pub fn last(&self) -> LogIndex {
        LogIndex(self.base.0 + self.values.len() as u64)
    }

    /// The value at this index; none beyond the last, and none where it is gone.
    pub fn get(&self, index: LogIndex) -> Option<T> {
        let offset = index.0.checked_sub(self.base.0 + 1)?;
        self.values.get(usize::try_from(offset).ok()?).copied()
    }

    /// Adds the value at the next index.
    pub fn push(&mut self, value: T) {
        self.values.push_back(value);
        if self.values.len() >= 2 * KEPT_MIN {
            self.values.drain(..KEPT_MIN);
            self.base.0 += KEPT_MIN as u64;
        }
    }

    pub fn truncate(&mut self, last: LogIndex) {
        let kept = last.0.saturating_sub(self.base.0);
        self.values.truncate(usize::try_from(kept).expect("a length in memory"));
    }

    /// The indexes whose values are there, up to this one, from the last.
    pub fn indexes_down_from(&self, last: LogIndex) -> impl Iterator<Item = LogIndex> + use<T> {
        (self.base.0 + 1..=last.min(self.last()).0).rev().map(LogIndex)
    }
}

impl<T: Copy> Window<T> {
    /// The beginning of this one up to an index.
    pub fn up_to(&self, last: LogIndex) -> Window<T> {
        let kept = usize::try_from(last.0.saturating_sub(self.base.0)).expect("a length in memory");
        Window { base: self.base, values: self.values.iter().take(kept).copied().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_under_their_indexes() {
        let mut window = Window::default();
        for value in 1..=2 * KEPT_MIN as u64 + 5 {
            window.push(value);
        }
        let last = LogIndex(2 * KEPT_MIN as u64 + 5);
        assert_eq!(window.last(), last);
        assert_eq!(window.get(LogIndex(7)), None, "it is gone");
        assert_eq!(window.get(last), Some(last.0));
        assert_eq!(window.get(last.next()), None);
        window.truncate(last.previous());
        assert_eq!((window.last(), window.get(last)), (last.previous(), None));
        let beginning = window.up_to(LogIndex(KEPT_MIN as u64 + 3));
        assert_eq!(beginning.last(), LogIndex(KEPT_MIN as u64 + 3));
        assert_eq!(beginning.get(beginning.last()), Some(beginning.last().0));
    }
}
