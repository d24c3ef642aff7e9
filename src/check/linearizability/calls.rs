//! Which operations were called by a moment, found without a look at all others.
//!
//! Operations stand in the order of their returns, and one may return long after it was called: the few that may take
//! effect now can stand anywhere. A tree of the earliest calls finds each in logarithmic time.

use super::model::Item;
use crate::types::Time;

/// The calls of operations in the order of their returns.
pub(super) struct Calls {
    count: usize,
    leaves: usize,
    /// The earliest call below each node: the root is 1, below node `n` are `2n` and `2n + 1`, the leaves come last.
    earliest: Vec<Time>,
}

impl Calls {
    pub fn new(items: &[Item]) -> Calls {
        let leaves = items.len().next_power_of_two();
        let mut earliest = vec![Time::NEVER; 2 * leaves];
        for (leaf, item) in earliest[leaves..].iter_mut().zip(items) {
            *leaf = item.called;
        }
        for node in (1..leaves).rev() {
            earliest[node] = earliest[2 * node].min(earliest[2 * node + 1]);
        }
        Calls { count: items.len(), leaves, earliest }
    }

    /// The places from this one on of those that were called by this moment, in order.
    pub fn by(&self, until: Time, first: usize) -> Vec<usize> {
        let mut found = Vec::new();
        // Nodes that are still to be looked at, and how many leaves each has; the first to look at is the last.
        let mut open = vec![(1, self.leaves)];
        while let Some((node, width)) = open.pop() {
            let begin = node * width - self.leaves;
            if begin + width <= first || begin >= self.count || self.earliest[node] > until {
                continue;
            }
            if width == 1 {
                found.push(begin);
            } else {
                open.extend([(2 * node + 1, width / 2), (2 * node, width / 2)]);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Change, Told};
    use super::*;

    #[test]
    fn what_was_called_by_a_moment_is_found_in_order() {
        let calls = [5, 1, 9, 3, 3, 7];
        let item = |called: &u64| Item {
            position: 0,
            change: Change::Read,
            told: Told::Exists,
            called: Time::from_nanos(*called),
            returned: Time::NEVER,
            index: None,
        };
        for count in 0..=calls.len() {
            let items: Vec<Item> = calls[..count].iter().map(item).collect();
            let tree = Calls::new(&items);
            for (until, first) in (0..=10).flat_map(|until| (0..=count).map(move |first| (until, first))) {
                let until = Time::from_nanos(until);
                let expected: Vec<usize> = (first..count).filter(|at| items[*at].called <= until).collect();
                assert_eq!(tree.by(until, first), expected, "{count} calls, by {until}, from {first}");
            }
            assert_eq!(tree.by(Time::NEVER, 0).len(), count);
        }
    }
}
