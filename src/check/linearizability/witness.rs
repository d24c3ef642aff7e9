//! The cheap witness: a cluster that works takes operations into effect in the order of its log.
//!
//! Reads come after the change whose state they saw. An unknown change has no known place, so it is put where an
//! answer asks for it. If the order that results is possible, the history is linearizable; if not, nothing is known.

use super::model::{Change, Item, KeyHistory, Value};
use crate::types::Time;

/// Whether the order of the log is a possible one.
pub(super) fn convinces(history: &KeyHistory<'_>) -> bool {
    if history.answered.iter().any(|item| item.index.is_none()) {
        return false;
    }
    let mut order: Vec<&Item> = history.answered.iter().collect();
    // Commands of one batch share an index; they stand in the history in their order.
    order.sort_by_key(|item| {
        let at = if is_read(item) { (true, item.called, 0) } else { (false, Time::ZERO, item.position) };
        (item.index, at)
    });
    history.starts.iter().any(|start| is_possible(&order, history, *start))
}

/// Whether this order can be that of the log, if the key begins with this value.
fn is_possible(order: &[&Item], history: &KeyHistory<'_>, start: Value) -> bool {
    let mut unknown: Vec<&Item> = history.unknown.iter().collect();
    let mut state = start;
    // No operation that stands here or later can have taken effect before this.
    let mut earliest = Time::ZERO;
    for item in order {
        earliest = earliest.max(item.called);
        let next = item.apply(state).or_else(|| {
            let fits = |other: &&Item| {
                let helped = other.apply(state).and_then(|state| item.apply(state));
                other.called <= item.returned && helped.is_some()
            };
            let chosen = unknown.remove(unknown.iter().position(fits)?);
            earliest = earliest.max(chosen.called);
            chosen.apply(state).and_then(|state| item.apply(state))
        });
        match next {
            Some(next) if earliest <= item.returned => state = next,
            _ => return false,
        }
    }
    true
}

fn is_read(item: &Item) -> bool {
    item.change == Change::Read
}
