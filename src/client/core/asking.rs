//! Which nodes a call asks, in which order, and when it asks again.

use smallvec::SmallVec;

use super::ClientCore;
use crate::client::call::CallId;
use crate::client::session::Session;
use crate::protocol::{Address, Attempt, Envelope, Packet, Request};
use crate::types::{NodeId, Time};

impl ClientCore {
    /// Ignores the answers to all attempts of this call so far.
    pub(super) fn forget_attempts(&mut self, call_id: CallId) {
        let attempts: SmallVec<[Attempt; 4]> = self
            .attempts
            .iter()
            .filter(|(_, owner)| **owner == call_id)
            .map(|(attempt, _)| attempt)
            .collect();
        for attempt in attempts {
            self.attempts.remove(attempt);
        }
    }

    /// Asks the next node of the turn, or backs off after the last.
    pub(super) fn ask_next(&mut self, now: Time, call_id: CallId) {
        let call = self.call(call_id);
        if now >= call.deadline {
            let outcome = call.unanswered();
            return self.end(now, call_id, outcome);
        }
        if let Some(node) = call.at {
            return self.send_to(now, call_id, &[node]);
        }
        let in_rotation = self.nodes[self.next..].iter().chain(&self.nodes[..self.next]).copied();
        let in_turn = self.leader.into_iter().chain(in_rotation).filter(|node| !call.has_asked(*node));
        let mut targets: SmallVec<[NodeId; 4]> = SmallVec::new();
        for node in in_turn {
            if targets.len() == self.settings.copies {
                break;
            }
            if !targets.contains(&node) {
                targets.push(node);
            }
        }
        if targets.is_empty() { self.back_off(now, call_id) } else { self.send_to(now, call_id, &targets) }
    }

    fn send_to(&mut self, now: Time, call_id: CallId, nodes: &[NodeId]) {
        self.call_mut(call_id).begin_group();
        for node in nodes {
            self.send(now, call_id, *node);
        }
    }

    fn send(&mut self, now: Time, call_id: CallId, node: NodeId) {
        self.last_attempt += 1;
        let attempt = self.last_attempt;
        let token = self.call(call_id).token;
        let session = self.session.as_ref().filter(|session| token.is_some_and(|token| session.holds(token)));
        let acknowledged = session.map_or(0, Session::acknowledged);
        let call = self.call_mut(call_id);
        call.note_sent(attempt, node);
        let request = Request { attempt, call: call.request(acknowledged) };
        let (from, to) = (Address::Client(self.id), Address::Node(node));
        self.outgoing.push(Envelope::new(from, to, Packet::Request(request)));
        self.attempts.insert(attempt, call_id);
        self.wake_at(call_id, now + self.settings.attempt_timeout);
    }

    pub(super) fn back_off(&mut self, now: Time, call_id: CallId) {
        let call = self.call_mut(call_id);
        let pauses = call.pauses;
        call.pauses += 1;
        call.begin_turn();
        let longest = self.settings.backoff(pauses);
        let pause = self.random.duration(longest / 2, longest);
        self.wake_at(call_id, now + pause);
    }

    pub(super) fn wake_at(&mut self, call_id: CallId, time: Time) {
        let call = self.calls.get_mut(call_id).expect("a call has a timer until it ends");
        call.wake = time.min(call.deadline);
        self.timers.add(call.wake, call_id);
        self.timers.forget_stale(&self.calls);
    }

    /// No longer takes this node for the leader, and continues the search after it.
    pub(super) fn doubt(&mut self, node: NodeId) {
        if self.leader == Some(node) {
            self.leader = None;
        }
        if self.nodes[self.next] == node {
            self.next = (self.next + 1) % self.nodes.len();
        }
    }
}
