//! Which of the clients' requests a trace tells: all where they are few, and a bounded number where they are many.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::protocol::{Attempt, Response};
use crate::types::{ClientId, NodeId, Time};

/// Requests that are told of a node in a second of the run.
const TOLD_MAX: u32 = 100;

/// The answer to a request is told if it comes before this many further requests of its node were told.
const OPEN_MAX: usize = 1_000;

/// What a node says to a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, derive_more::Display, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyKind {
    /// Done, or read.
    #[display("done")]
    Done,
    /// Certainly without effect: another node leads, or there is no room.
    #[display("rejected")]
    Rejected,
    /// It may or may not be done yet.
    #[display("unknown")]
    Unknown,
    /// Not understood, over a limit, or the state machine panicked.
    #[display("failed")]
    Failed,
}

/// Which requests a trace tells.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<NodeId, NodeRequests>);

#[derive(Debug, Default)]
struct NodeRequests {
    second: u64,
    told: u32,
    /// Losses that were told.
    lost: u32,
    left_out: u64,
    /// Told, and not answered yet.
    open: BTreeSet<(ClientId, Attempt)>,
    /// The last that were told, the oldest first.
    newest: VecDeque<(ClientId, Attempt)>,
}

impl ReplyKind {
    pub fn of(response: &Response) -> ReplyKind {
        match response {
            Response::Entry(_) | Response::Read { .. } => ReplyKind::Done,
            Response::Rejected(_) | Response::Unreachable => ReplyKind::Rejected,
            Response::LeadershipLost { .. } => ReplyKind::Unknown,
            Response::Invalid(_) | Response::Panicked { .. } => ReplyKind::Failed,
        }
    }
}

impl Requests {
    /// Whether a request is told, and how many of its node were not since the last that was.
    pub(super) fn take(
        &mut self,
        time: Time,
        node: NodeId,
        client: ClientId,
        attempt: Attempt,
    ) -> Option<u64> {
        let known = self.0.entry(node).or_default();
        known.note(time);
        if known.told == TOLD_MAX {
            known.left_out += 1;
            return None;
        }
        known.told += 1;
        if known.newest.len() == OPEN_MAX
            && let Some(oldest) = known.newest.pop_front()
        {
            known.open.remove(&oldest);
        }
        known.newest.push_back((client, attempt));
        known.open.insert((client, attempt));
        Some(std::mem::take(&mut known.left_out))
    }

    /// Whether the loss of a request, or of an answer, is told.
    pub(super) fn lose(&mut self, time: Time, node: NodeId) -> bool {
        let known = self.0.entry(node).or_default();
        known.note(time);
        known.lost += 1;
        known.lost <= TOLD_MAX
    }

    /// Whether the answer to a request is told: as its request was.
    pub(super) fn end(&mut self, node: NodeId, client: ClientId, attempt: Attempt) -> bool {
        self.0.get_mut(&node).is_some_and(|known| known.open.remove(&(client, attempt)))
    }
}

impl NodeRequests {
    fn note(&mut self, time: Time) {
        let second = time.as_micros() / 1_000_000;
        if second != self.second {
            (self.second, self.told, self.lost) = (second, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_requests_a_part_is_told_and_the_rest_is_counted() {
        let (node, client) = (NodeId::new(1), ClientId(1));
        let mut requests = Requests::default();
        let first = Time::from_nanos(1);
        let told: Vec<_> =
            (0..20_000).filter(|attempt| requests.take(first, node, client, *attempt).is_some()).collect();
        assert_eq!(told, (0..u64::from(TOLD_MAX)).collect::<Vec<_>>());
        let later = Time::from_nanos(1_000_000_000);
        assert_eq!(requests.take(later, node, client, 20_000), Some(20_000 - u64::from(TOLD_MAX)));
        assert_eq!(requests.take(later, node, client, 20_001), Some(0));

        let lost = (0..200).filter(|_| requests.lose(later, node)).count();
        assert_eq!(lost, TOLD_MAX as usize);

        let answered = (0..20_002).filter(|attempt| requests.end(node, client, *attempt)).count();
        assert_eq!(answered, told.len() + 2, "an answer is told where its request was");
        assert!(!requests.end(node, client, 0), "and once");
    }

    #[test]
    fn the_oldest_requests_without_an_answer_are_forgotten() {
        let (node, patient, busy) = (NodeId::new(1), ClientId(1), ClientId(2));
        let mut requests = Requests::default();
        let mut second = 0;
        let mut take = |client, attempt| {
            second += 1;
            let told = requests.take(Time::from_nanos(second * 1_000_000_000), node, client, attempt);
            assert_eq!(told, Some(0));
        };
        // Neither the client's number nor the attempt says which request is older.
        take(busy, 0);
        take(patient, 7);
        (1..OPEN_MAX as u64).for_each(|attempt| take(busy, attempt));
        assert!(!requests.end(node, busy, 0), "the oldest is forgotten");
        assert!(requests.end(node, patient, 7));
        assert!(requests.end(node, busy, OPEN_MAX as u64 - 1));
    }
}
