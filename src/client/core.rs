//! The client's rules as a pure state machine: finding the leader, repeating what was not answered, and ending each
//! call in time (section 8).
//!
//! The blocking client and the simulator drive this same core, so what the checks see is what users run. It must
//! never read a clock, draw chance from elsewhere, or block: time, chance and envelopes are handed in.
//!
//! - A command keeps its serial through all its attempts, so that the servers' sessions apply it once. It also carries
//!   the lowest serial that has not ended: answers below that need not be kept.
//! - Asking goes by *turns*: in one turn each node is asked once at most, the believed leader first, then by hint or in
//!   rotation. When a turn is over the call backs off, twice as long each time and with jitter. So neither dead nodes
//!   nor nodes that point at each other make a hot loop.
//! - A call ends by its deadline. A command that may have been taken in by any node ends as [`Outcome::Unknown`], never
//!   as a rejection. This relies on an attempt reaching its node once at most, as over a connection: of two copies one
//!   may be taken in and the other refused, and the client hears of the refusal alone.
//!
//! Calls that are under way at the same time may take effect in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::call::{Question, Running};
use super::{Answered, Ask, Outcome, Rejection};
use crate::config::RaftSettings;
use crate::net::packet::{Address, Attempt, Envelope, Packet, ReadMode, Reply, Request, Response};
use crate::raft::effects::Refusal;
use crate::types::{ClientId, NodeId, Random, Serial, Time};

/// How patient a client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientSettings {
    /// How long one node may take to answer before another is asked; above zero.
    pub attempt_timeout: Duration,
    /// The first back-off of a call lasts this long at most; above zero.
    pub backoff_min: Duration,
    /// No back-off lasts longer than this.
    pub backoff_max: Duration,
}

/// The name of one call: tickets count up from 1 in the order of asking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// A call that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Which call.
    pub ticket: Ticket,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began: nothing of it was sent before.
    pub began: Time,
    /// How long it took, until its answer was in the client's hands.
    pub took: Duration,
}

/// One client's calls. See the head of this file.
///
/// After each method that takes the time, look at [`ClientCore::take_outgoing`] and [`ClientCore::take_ended`].
#[derive(Clone, Debug)]
pub struct ClientCore {
    id: ClientId,
    nodes: Vec<NodeId>,
    settings: ClientSettings,
    random: Random,
    /// Who led when last heard of, and is not doubted since.
    leader: Option<NodeId>,
    /// The place in `nodes` where the search goes on while no leader is believed in.
    next: usize,
    calls: BTreeMap<Ticket, Running>,
    /// The calls, by when each has to be looked at.
    timers: BTreeSet<(Time, Ticket)>,
    /// The call of each attempt. Kept until the call ends: a late answer to an earlier attempt answers the same call.
    attempts: BTreeMap<Attempt, Ticket>,
    /// The serials of the commands that have not ended.
    unended: BTreeSet<Serial>,
    last_ticket: u64,
    last_serial: Serial,
    last_attempt: Attempt,
    outgoing: Vec<Envelope>,
    ended: Vec<Ended>,
}

impl ClientSettings {
    /// Settings that suit a cluster's times: after the longest election timeout somebody else may lead, and an
    /// election is over soon enough not to be slept through.
    pub fn suited_to(raft: &RaftSettings) -> ClientSettings {
        let least = Duration::from_micros(100);
        let backoff_min = (raft.heartbeat / 10).max(least);
        ClientSettings {
            attempt_timeout: raft.election_max.max(least),
            backoff_min,
            backoff_max: (raft.election_min / 4).max(backoff_min),
        }
    }

    /// The longest that a call's back-off may last after it backed off this often.
    fn backoff(&self, pauses: u32) -> Duration {
        let doubled = 2_u32.checked_pow(pauses).and_then(|factor| self.backoff_min.checked_mul(factor));
        doubled.map_or(self.backoff_max, |backoff| backoff.min(self.backoff_max))
    }
}

impl Ended {
    /// When it ended.
    pub fn returned(&self) -> Time {
        self.began + self.took
    }
}

impl Default for ClientSettings {
    /// What suits the default times of Raft.
    fn default() -> ClientSettings {
        ClientSettings::suited_to(&RaftSettings::default())
    }
}

impl ClientCore {
    /// A client of these nodes that has asked nothing yet. Its id must never have been used by another client of the
    /// cluster: serials count from 1, and a session remembers those that it has seen.
    pub fn new(id: ClientId, nodes: Vec<NodeId>, settings: ClientSettings, mut random: Random) -> ClientCore {
        assert!(!nodes.is_empty(), "a client needs a node to ask");
        assert!(!settings.attempt_timeout.is_zero(), "a node needs time to answer");
        assert!(!settings.backoff_min.is_zero(), "backing off for no time at all is a hot loop");
        assert!(settings.backoff_min <= settings.backoff_max, "back-offs grow");
        // Clients that start at the same moment do not all start at the same node.
        let next = random.below(nodes.len() as u64);
        ClientCore {
            id,
            nodes,
            settings,
            random,
            leader: None,
            next: usize::try_from(next).expect("below a length in memory"),
            calls: BTreeMap::new(),
            timers: BTreeSet::new(),
            attempts: BTreeMap::new(),
            unended: BTreeSet::new(),
            last_ticket: 0,
            last_serial: 0,
            last_attempt: 0,
            outgoing: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Who this client is.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// The node that it believes to lead.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// Begins a call.
    pub fn ask(&mut self, now: Time, ask: Ask) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let question = Question::new(ask.what, || {
            self.last_serial += 1;
            self.unended.insert(self.last_serial);
            self.last_serial
        });
        let call = Running::new(question, ask.at, now, ask.timeout);
        self.timers.insert((call.wake, ticket));
        self.calls.insert(ticket, call);
        self.ask_next(now, ticket);
        ticket
    }

    /// Takes in what the network delivered. What is no answer to a call under way is ignored.
    pub fn receive(&mut self, now: Time, envelope: Envelope) {
        let Envelope { from: Address::Node(node), to, packet: Packet::Reply(reply) } = envelope else {
            return;
        };
        if to != Address::Client(self.id) {
            return;
        }
        let Some(&ticket) = self.attempts.get(&reply.attempt) else { return };
        let Reply { attempt, term, response } = reply;
        let question = &self.call(ticket).question;
        match (response, question) {
            (Response::Applied { entry, answer }, Question::Command { .. }) => {
                self.leader = Some(node);
                self.answered(now, ticket, Answered { answer, node, term, index: entry.index });
            }
            (Response::Read { applied, answer }, Question::Read { mode, .. }) => {
                if *mode == ReadMode::Linearizable {
                    self.leader = Some(node);
                }
                self.answered(now, ticket, Answered { answer, node, term, index: applied });
            }
            (Response::Invalid(reason), _) => {
                self.end(now, ticket, Outcome::Rejected(Rejection::Invalid(reason)));
            }
            // A session forgets what its client has ended, and this call has not: another client uses this one's id,
            // and whose command the session saw cannot be told.
            (Response::Forgotten, Question::Command { .. }) => self.end(now, ticket, Outcome::Unknown),
            (Response::Refused(Refusal::Busy), _) => self.busy(now, ticket, attempt),
            (Response::Unreachable, _) => self.unreachable(now, ticket, attempt, node),
            (Response::Refused(Refusal::NotLeader { leader }), _)
            | (Response::LeadershipLost { leader }, Question::Read { .. }) => {
                if self.call_mut(ticket).note_refused(attempt, false) {
                    self.redirected(now, ticket, node, leader);
                }
            }
            (Response::LeadershipLost { leader }, Question::Command { .. }) => {
                if self.call_mut(ticket).note_lost(attempt) {
                    self.redirected(now, ticket, node, leader);
                }
            }
            // An answer to what was not asked is as good as none.
            (Response::Applied { .. } | Response::Forgotten, Question::Read { .. })
            | (Response::Read { .. }, Question::Command { .. }) => {}
        }
    }

    /// Does what is due: gives up on nodes that stay silent, ends back-offs, ends calls at their deadline.
    pub fn tick(&mut self, now: Time) {
        while let Some(&(time, ticket)) = self.timers.first()
            && time <= now
        {
            let call = self.call_mut(ticket);
            // Also at the deadline of a call that was less patient than an attempt: else a client of such calls would
            // ask the same silent node for ever.
            if let Some(silent) = call.stop_waiting() {
                self.doubt(silent);
            }
            self.ask_next(now, ticket);
        }
    }

    /// When to call [`ClientCore::tick`] though nothing arrives.
    pub fn deadline(&self) -> Time {
        self.timers.first().map_or(Time::NEVER, |(time, _)| *time)
    }

    /// Whether no call is under way.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// Ends every call now, as its deadline would. What was not taken from [`ClientCore::take_outgoing`] yet is not
    /// sent.
    pub fn give_up(&mut self, now: Time) {
        self.outgoing.clear();
        while let Some((&ticket, call)) = self.calls.first_key_value() {
            let outcome = call.unanswered();
            self.end(now, ticket, outcome);
        }
    }

    /// What is to be sent, in order.
    pub fn take_outgoing(&mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.outgoing)
    }

    /// The calls that have ended since this was last asked, in the order in which they ended.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// Asks the next node of the call's turn, or backs off when all have been asked.
    fn ask_next(&mut self, now: Time, ticket: Ticket) {
        let call = self.call(ticket);
        if now >= call.deadline {
            let outcome = call.unanswered();
            return self.end(now, ticket, outcome);
        }
        let in_rotation = || self.nodes[self.next..].iter().chain(&self.nodes[..self.next]).copied();
        let in_turn = |node: &NodeId| !call.has_asked(*node);
        let target = call.at.or_else(|| self.leader.into_iter().chain(in_rotation()).find(in_turn));
        match target {
            Some(node) => self.send(now, ticket, node),
            None => self.back_off(now, ticket),
        }
    }

    fn send(&mut self, now: Time, ticket: Ticket, node: NodeId) {
        self.last_attempt += 1;
        let attempt = self.last_attempt;
        let acknowledged = self.unended.first().copied().unwrap_or(self.last_serial + 1);
        let call = self.call_mut(ticket);
        call.note_sent(attempt, node);
        let request = Request { attempt, call: call.question.call(acknowledged) };
        let (from, to) = (Address::Client(self.id), Address::Node(node));
        self.outgoing.push(Envelope { from, to, packet: Packet::Request(request) });
        self.attempts.insert(attempt, ticket);
        self.wake_at(ticket, now + self.settings.attempt_timeout);
    }

    fn back_off(&mut self, now: Time, ticket: Ticket) {
        let call = self.call_mut(ticket);
        let pauses = call.pauses;
        call.pauses += 1;
        call.begin_turn();
        let longest = self.settings.backoff(pauses);
        let pause = self.random.duration(longest / 2, longest);
        self.wake_at(ticket, now + pause);
    }

    fn wake_at(&mut self, ticket: Ticket, time: Time) {
        let call = self.calls.get_mut(&ticket).expect("a call has a timer until it ends");
        self.timers.remove(&(call.wake, ticket));
        call.wake = time.min(call.deadline);
        self.timers.insert((call.wake, ticket));
    }

    /// The leader holds too much; it is still the one to ask.
    fn busy(&mut self, now: Time, ticket: Ticket, attempt: Attempt) {
        if self.call_mut(ticket).note_refused(attempt, true) {
            self.back_off(now, ticket);
        }
    }

    fn unreachable(&mut self, now: Time, ticket: Ticket, attempt: Attempt, node: NodeId) {
        if !self.call_mut(ticket).note_refused(attempt, false) {
            return;
        }
        self.doubt(node);
        let call = self.call(ticket);
        if call.at.is_some() {
            let outcome = call.rejected(Rejection::Unreachable(node));
            self.end(now, ticket, outcome);
        } else {
            self.ask_next(now, ticket);
        }
    }

    /// This node does not lead, or no longer; perhaps that one does.
    fn redirected(&mut self, now: Time, ticket: Ticket, node: NodeId, leader: Option<NodeId>) {
        self.doubt(node);
        let call = self.call(ticket);
        if call.at.is_some() {
            let outcome = call.rejected(Rejection::NotLeader { leader });
            return self.end(now, ticket, outcome);
        }
        // Whom this turn has asked already does not answer as a leader: a hint at it is old, or early.
        let news = leader.filter(|leader| self.nodes.contains(leader) && !call.has_asked(*leader));
        match news {
            Some(_) => {
                self.leader = news;
                self.ask_next(now, ticket);
            }
            None => self.back_off(now, ticket),
        }
    }

    /// No longer takes this node for the leader, and lets the search begin elsewhere.
    fn doubt(&mut self, node: NodeId) {
        if self.leader == Some(node) {
            self.leader = None;
        }
        if self.nodes[self.next] == node {
            self.next = (self.next + 1) % self.nodes.len();
        }
    }

    fn answered(&mut self, now: Time, ticket: Ticket, answered: Answered) {
        self.end(now, ticket, Outcome::Answered(answered));
    }

    /// The one way for a call to end.
    fn end(&mut self, now: Time, ticket: Ticket, outcome: Outcome) {
        let call = self.calls.remove(&ticket).expect("a call ends once");
        self.timers.remove(&(call.wake, ticket));
        for attempt in call.attempts() {
            self.attempts.remove(&attempt);
        }
        if let Some(serial) = call.question.serial() {
            self.unended.remove(&serial);
        }
        let (began, took) = (call.began, now.since(call.began));
        self.ended.push(Ended { ticket, outcome, began, took });
    }

    fn call(&self, ticket: Ticket) -> &Running {
        self.calls.get(&ticket).expect("timers and attempts name calls under way alone")
    }

    fn call_mut(&mut self, ticket: Ticket) -> &mut Running {
        self.calls.get_mut(&ticket).expect("timers and attempts name calls under way alone")
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
