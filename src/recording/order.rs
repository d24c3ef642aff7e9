//! Which of the next events of several processes is taken. Each comes behind what it has heard of, which the numbers of the
//! steps say; those that have heard nothing of each other come by the time, since a node that is cut off counts fewer steps
//! than the others meanwhile.

use std::collections::BTreeMap;

use super::form::{Arrived, Event, Next};
use crate::protocol::Address;
use crate::types::{NodeId, Time};

/// The next event of a file.
#[derive(Debug)]
pub(super) struct Head {
    pub node: NodeId,
    pub order: u64,
    pub time: Time,
    pub next: Next,
}

impl Head {
    /// Each message that is taken in: by whom it was sent, and the number of its flight.
    fn arriving(&self) -> impl Iterator<Item = (NodeId, u64)> {
        let arrivals = match &self.next {
            Next::Event(_, Event::Step(step)) => &step.arrivals[..],
            _ => &[],
        };
        arrivals.iter().filter_map(|arrived| match arrived {
            Arrived::Envelope { from: Address::Node(from), flight, .. } => Some((*from, *flight)),
            _ => None,
        })
    }
}

/// By the number of the file: the event that comes first. `is_sent` says of a node's message to another whether the step that
/// sent it was taken. A number that is lower than all others waits for nothing.
pub(super) fn first(
    heads: &BTreeMap<usize, Head>,
    is_sent: &dyn Fn(NodeId, NodeId, u64) -> bool,
) -> Option<usize> {
    let is_due = |place: usize, head: &Head| {
        // One that was a process has a file for each life.
        let mut own = heads.iter().filter(|(_, other)| other.node == head.node);
        let follows_own = own.all(|(at, other)| (other.order, *at) >= (head.order, place));
        let has_come = |from: NodeId, flight| {
            let mut sender = heads.values().filter(|other| other.node == from && from != head.node);
            is_sent(from, head.node, flight) || sender.all(|sender| sender.order >= head.order)
        };
        follows_own && head.arriving().all(|(from, flight)| has_come(from, flight))
    };
    let due = heads.iter().filter(|(place, head)| is_due(**place, head));
    due.min_by_key(|(place, head)| (head.time, head.order, **place)).map(|(place, _)| *place)
}

#[cfg(test)]
mod tests {
    use smallvec::SmallVec;

    use super::*;
    use crate::protocol::Packet;
    use crate::raft::message::{Beat, Body, Files, Message};
    use crate::recording::MachineMove;
    use crate::recording::form::{After, Before, Made, Step};
    use crate::types::{EntryId, LogIndex, Term};

    /// The step of a node with this number, at this time, which takes in these messages.
    fn head(name: u8, order: u64, millis: u64, arriving: &[(u8, u64)]) -> Head {
        let (node, time) = (NodeId::new(name), Time::from_nanos(millis * 1_000_000));
        let arrived = |&(from, flight): &(u8, u64)| {
            let (from, prev) = (NodeId::new(from), EntryId::ZERO);
            let body =
                Body::AppendEntries { prev, entries: Vec::new(), commit: LogIndex(0), beat: Beat::default() };
            let message = Message { from, to: node, term: Term(1), files: Files::FOUNDERS, body };
            Arrived::Envelope { from: from.into(), flight, packet: Packet::Raft(message) }
        };
        let arrivals: SmallVec<[Arrived; 1]> = arriving.iter().map(arrived).collect();
        let before = Before { at: time, now: time, machine: MachineMove::Stayed };
        let after = After { order, result: Made::Panic(String::new()) };
        let step = Event::Step(Box::new(Step { before, arrivals, after }));
        Head { node, order, time, next: Next::Event(node, step) }
    }

    fn first_of(heads: Vec<Head>, sent: &[(u8, u64)]) -> Option<usize> {
        let is_sent = |from: NodeId, _, flight| sent.contains(&(from.number(), flight));
        first(&heads.into_iter().enumerate().collect(), &is_sent)
    }

    #[test]
    fn a_node_that_heard_nothing_of_the_others_does_not_come_before_its_time() {
        let cut_off = || head(1, 40, 970, &[]);
        let others = || [head(2, 5_000, 491, &[(3, 7)]), head(3, 4_990, 490, &[])];
        let [second, third] = others();
        assert_eq!(first_of(vec![cut_off(), second, third], &[]), Some(2), "it sends what n2 takes in");
        let [second, _] = others();
        assert_eq!(first_of(vec![cut_off(), second, head(3, 5_002, 492, &[])], &[(3, 7)]), Some(1));
    }

    #[test]
    fn what_is_heard_by_a_clock_that_is_behind_comes_after_what_was_said() {
        let heads = || vec![head(1, 40, 970, &[]), head(2, 41, 491, &[(1, 7)])];
        assert_eq!(first_of(heads(), &[]), Some(0));
        assert_eq!(first_of(heads(), &[(1, 7)]), Some(1), "n1 had sent it before");
    }

    #[test]
    fn the_lives_of_a_node_come_one_after_the_other() {
        assert_eq!(first_of(vec![head(1, 40, 970, &[]), head(1, 90, 100, &[])], &[]), Some(0));
        assert_eq!(first_of(vec![head(1, 90, 100, &[]), head(1, 40, 970, &[])], &[]), Some(1));
        assert_eq!(first_of(Vec::new(), &[]), None);
    }
}
