//! The rule of a history's clients: a client has one operation at a time, and none after one of unknown outcome.
//!
//! Linearizability asks for no clients, so a history that breaks the rule could be judged. But its times are then not
//! what its writer believes they are, and a verdict on it would be worth nothing.

use std::fmt;

use super::{Operation, Outcome};
use crate::types::{ClientId, Time};

/// Two operations of one client that cannot both be what they say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokenRule {
    /// The place in the history of the one that was called too early, or under a number that was used up.
    pub operation: usize,
    /// The place of the one before it.
    pub before: usize,
    pub client: ClientId,
    /// Whether the outcome of the one before is unknown.
    pub unknown: bool,
}

/// The first place where a client breaks the rule, if any does. A call at the very moment of a return is in order:
/// clocks are not finer than that.
pub fn broken_rule(operations: &[Operation]) -> Option<BrokenRule> {
    let mut order: Vec<usize> = (0..operations.len()).collect();
    order.sort_by_key(|at| {
        let operation = &operations[*at];
        (operation.client, operation.called, end(operation).unwrap_or(Time::NEVER))
    });
    let pairs = order.windows(2).map(|two| (two[0], two[1]));
    let broken = pairs.filter_map(|(before, operation)| {
        let client = operations[operation].client;
        let same = operations[before].client == client;
        let in_turn = end(&operations[before]).is_some_and(|end| end <= operations[operation].called);
        let unknown = operations[before].outcome == Outcome::Unknown;
        (same && !in_turn).then_some(BrokenRule { operation, before, client, unknown })
    });
    broken.min_by_key(|broken| broken.operation)
}

/// When its client may call again: never after an unknown outcome.
fn end(operation: &Operation) -> Option<Time> {
    match operation.outcome {
        Outcome::Unknown => None,
        _ => Some(operation.returned.unwrap_or(operation.called)),
    }
}

impl BrokenRule {
    /// What is wrong, where the operation before stands on this line.
    pub fn explain(&self, line: usize) -> impl fmt::Display {
        let client = self.client.0;
        if self.unknown {
            format!(
                "client {client} calls again after line {line}, whose outcome is unknown: it needs a new number then"
            )
        } else {
            format!(
                "client {client} calls before its operation of line {line} has returned: it has one operation at a time"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::*;

    fn operation(client: u64, called: u64, returned: Option<u64>) -> Operation {
        Operation {
            client: ClientId(client),
            key: "x".to_string(),
            action: Action::Put("1".to_string()),
            called: Time::from_nanos(called),
            returned: returned.map(Time::from_nanos),
            outcome: if returned.is_some() { Outcome::Changed } else { Outcome::Unknown },
            index: None,
        }
    }

    fn broken(operations: &[Operation]) -> Option<(usize, usize, bool)> {
        broken_rule(operations).map(|broken| (broken.operation, broken.before, broken.unknown))
    }

    #[test]
    fn a_client_has_one_operation_at_a_time() {
        let in_order = [operation(1, 5, Some(9)), operation(1, 1, Some(5)), operation(2, 3, Some(7))];
        assert_eq!(broken(&in_order), None, "their lines may stand in any order");
        assert_eq!(broken(&[operation(1, 4, Some(9)), operation(1, 1, Some(5))]), Some((0, 1, false)));
        let refused = Operation { outcome: Outcome::Refused, ..operation(1, 1, None) };
        assert_eq!(broken(&[refused, operation(1, 1, Some(2))]), None, "it ended when it began");
    }

    #[test]
    fn a_client_has_none_after_an_unknown_outcome() {
        assert_eq!(broken(&[operation(1, 1, None), operation(2, 3, Some(4))]), None);
        assert_eq!(broken(&[operation(1, 1, None), operation(1, 3, Some(4))]), Some((1, 0, true)));
        let given_up = Operation { returned: Some(Time::from_nanos(2)), ..operation(1, 1, None) };
        assert_eq!(broken(&[given_up, operation(1, 3, Some(4))]), Some((1, 0, true)));
        assert_eq!(broken(&[operation(1, 3, None), operation(1, 3, Some(3))]), None, "the other was first");
    }
}
