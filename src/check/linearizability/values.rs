//! Who needs each value of a key, and who can have written it.

use super::model::KeyHistory;

/// The places of the operations that have to do with one value.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    /// Answered operations that must have found it, in the order of their returns.
    pub observers: Vec<usize>,
    /// Answered operations that wrote it, in the order of their returns.
    pub writers: Vec<usize>,
    /// Unknown operations that may have written it, in the order of their calls.
    pub unknown: Vec<usize>,
}

impl Uses {
    pub fn of(history: &KeyHistory<'_>) -> Vec<Uses> {
        let mut uses = vec![Uses::default(); history.value_count()];
        for (at, item) in history.answered.iter().enumerate() {
            if let Some(value) = item.observes() {
                uses[value as usize].observers.push(at);
            }
            if let Some(value) = item.writes() {
                uses[value as usize].writers.push(at);
            }
        }
        for (at, item) in history.unknown.iter().enumerate() {
            if let Some(value) = item.writes() {
                uses[value as usize].unknown.push(at);
            }
        }
        uses
    }
}
