//! The client's rules as a pure state machine: finding the leader, repeating what was not answered, and ending each
//! call in time (section 8).
//!
//! The blocking client and the simulator drive this same core, so what the checks see is what users run. It must
//! never read a clock, draw chance from elsewhere, or block: time, chance and envelopes are handed in.
//!
//! - Commands are sent within a session, which the first of them asks for (D 6.3). A command keeps its name
//!   there, its [`Token`](super::Token), through all its attempts, so that the servers apply it once. It also carries the
//!   lowest serial whose answer is still needed: answers below that need not be kept.
//! - A session that was not used for long may expire. A command that certainly was not applied in it is sent again in a
//!   new one; any other ends as unknown.
//! - Asking goes by *turns*: in one turn each node is asked at most once, the last known leader first, then by hint or in
//!   rotation. After a turn the call backs off, twice as long each time and with jitter. So neither dead nodes nor nodes
//!   that name each other as leader make a hot loop.
//! - A node that is named as leader in a newer term than the last one named begins a new turn: after a transfer no call
//!   waits.
//! - A call to one node asks only that node, and repeats it while the node knows no leader. That another node leads, or
//!   that this one is down, is final.
//! - A call ends by its deadline. A command that a node may have taken in ends as [`Outcome::Unknown`], never as a rejection.
//!   This relies on each attempt reaching its node at most once, as over a connection: of two copies one might be taken in
//!   and the other rejected, and the client would hear only of the rejection.
//!
//! Concurrent calls may take effect in any order.

mod answers;
mod asking;
mod opening;

use std::collections::BTreeSet;
use std::time::Duration;

use super::call::{ActiveCall, CallId};
use super::session::Session;
use super::settings::{CALLS_MAX, ClientSettings, WhenFull};
use super::timers::Timers;
use super::{Ask, Outcome, Rejection, What};
use crate::ascending::Ascending;
use crate::protocol::{Address, Attempt, Envelope, Packet};
use crate::types::{ClientId, NodeId, Random, SessionId, Time};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    pub call_id: CallId,
    pub outcome: Outcome,
    /// When it began: nothing of it was sent before.
    pub began: Time,
    /// How long it took, until the client had the answer.
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
    /// The last known leader, until a request to it fails.
    leader: Option<NodeId>,
    /// The index in `nodes` where the search for a leader continues.
    next: usize,
    calls: Ascending<CallId, ActiveCall>,
    /// When each call has to be looked at.
    timers: Timers,
    /// The call of each attempt. Kept until the call ends: a late answer to an earlier attempt answers the same call.
    attempts: Ascending<Attempt, CallId>,
    /// The session in which commands are sent; none before the first, and after it has expired.
    session: Option<Session>,
    /// The call that asks for a session on behalf of all.
    opener: Option<CallId>,
    /// Commands that wait for a session, or for room in it.
    waiting: BTreeSet<CallId>,
    /// The network has ended: no call is answered any more.
    closed: bool,
    last_call: u64,
    last_attempt: Attempt,
    outgoing: Vec<Envelope>,
    ended: Vec<Ended>,
}

impl Ended {
    pub fn returned(&self) -> Time {
        self.began + self.took
    }

    /// The same end of a call that counts from this earlier moment: then it was asked for.
    #[must_use]
    pub fn counted_from(self, began: Time) -> Ended {
        Ended { took: self.returned().since(began), began, ..self }
    }
}

impl ClientCore {
    /// A client of these nodes that has asked nothing yet.
    pub fn new(id: ClientId, nodes: Vec<NodeId>, settings: ClientSettings, mut random: Random) -> ClientCore {
        assert!(!nodes.is_empty(), "a client needs a node to ask");
        assert!(!settings.attempt_timeout.is_zero(), "a node needs time to answer");
        assert!(!settings.backoff_min.is_zero(), "backing off for no time at all is a hot loop");
        assert!(settings.backoff_min <= settings.backoff_max, "back-offs grow");
        assert!(settings.copies > 0, "somebody has to be asked");
        // Clients that start together begin at different nodes.
        let next = random.below(nodes.len() as u64);
        ClientCore {
            id,
            nodes,
            settings,
            random,
            leader: None,
            next: usize::try_from(next).expect("below a length in memory"),
            calls: Ascending::default(),
            timers: Timers::default(),
            attempts: Ascending::default(),
            session: None,
            opener: None,
            waiting: BTreeSet::new(),
            closed: false,
            last_call: 0,
            last_attempt: 0,
            outgoing: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// The same client, whose session is open.
    #[cfg(test)]
    pub(super) fn in_session(self, id: SessionId) -> ClientCore {
        ClientCore { session: Some(Session::new(id)), ..self }
    }

    /// These are the nodes from now on. A call under way asks those that are new in its turn, and none that is gone.
    pub fn set_nodes(&mut self, nodes: Vec<NodeId>) {
        assert!(!nodes.is_empty(), "a client needs a node to ask");
        let at = self.nodes[self.next];
        self.next = nodes.iter().position(|node| *node >= at).unwrap_or(0);
        let before = std::mem::replace(&mut self.nodes, nodes);
        self.leader = self.leader.filter(|leader| self.nodes.contains(leader) || !before.contains(leader));
    }

    pub fn id(&self) -> ClientId {
        self.id
    }

    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// What its calls do from now on when there is no room for them.
    pub fn set_when_full(&mut self, when_full: WhenFull) {
        self.settings.when_full = when_full;
    }

    /// What its calls do when there is no room for them.
    pub fn when_full(&self) -> WhenFull {
        self.settings.when_full
    }

    /// Begins a call. After [`ClientCore::close`] it ends at once, and so does what JSON cannot hold: it could reach
    /// neither a disk nor another process.
    pub fn ask(&mut self, now: Time, ask: Ask) -> CallId {
        self.last_call += 1;
        let call_id = CallId(self.last_call);
        let unwritable = ask.check().err().map(|reason| Rejection::Unwritable(reason.to_string()));
        let turned_down = unwritable.or(self.closed.then_some(Rejection::Closed));
        let is_command = matches!(ask.what, What::Command(_));
        self.calls.insert(call_id, ActiveCall::new(ask, now));
        if let Some(rejection) = turned_down {
            self.end(now, call_id, Outcome::Rejected(rejection));
        } else if !is_command {
            self.ask_next(now, call_id);
        } else if self.waiting.is_empty() && self.may_begin() {
            self.begin(now, call_id);
        } else {
            self.waiting.insert(call_id);
            self.wake_at(call_id, Time::NEVER);
            self.begin_waiting(now);
        }
        call_id
    }

    /// Asks for the session ahead of the first command, this node first; not if there is one, or if it is being asked for.
    /// Once it is open, a command that gets no answer ends as unknown, however short its time.
    pub fn open_session(&mut self, now: Time, first: Option<NodeId>, timeout: Duration) {
        if self.closed || self.session.is_some() || self.opener.is_some() {
            return;
        }
        self.leader = self.leader.or(first);
        self.last_call += 1;
        let call_id = CallId(self.last_call);
        self.calls.insert(call_id, ActiveCall::opening(now, timeout));
        self.begin(now, call_id);
    }

    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// The session in which its commands are sent.
    pub fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(Session::id)
    }

    /// Whether a call asks for the session.
    pub fn is_opening(&self) -> bool {
        self.opener.is_some()
    }

    /// Takes in what the network delivered. Ignores everything but answers to calls under way.
    pub fn receive(&mut self, now: Time, envelope: Envelope) {
        let Envelope { from: Address::Node(node), to, packet, .. } = envelope else { return };
        if to != Address::Client(self.id) {
            return;
        }
        match packet {
            Packet::Reply(reply) => {
                if let Some(&call_id) = self.attempts.get(reply.attempt) {
                    self.take_in(now, call_id, node, reply);
                    self.begin_waiting(now);
                }
            }
            Packet::ConnectionLost => self.connection_lost(now, node),
            Packet::Raft(_) | Packet::Request(_) => {}
        }
    }

    /// The connection to this node has broken, or the network says that it will answer nothing any more. What was sent may
    /// have been taken in, so those who wait for it ask elsewhere now, and do not count it as refused.
    pub fn connection_lost(&mut self, now: Time, node: NodeId) {
        self.doubt(node);
        let waits = |(call_id, call): (CallId, &ActiveCall)| call.waits_only_for(node).then_some(call_id);
        let waiting: Vec<CallId> = self.calls.iter().filter_map(waits).collect();
        for call_id in waiting {
            let call = self.call_mut(call_id);
            call.stop_waiting();
            match call.at {
                Some(_) => self.back_off(now, call_id),
                None => self.ask_next(now, call_id),
            }
        }
        self.begin_waiting(now);
    }

    /// Does what is due: gives up on nodes that stay silent, ends back-offs, ends calls at their deadline.
    pub fn tick(&mut self, now: Time) {
        while let Some(call_id) = self.timers.take_due(now, &self.calls) {
            let call = self.call_mut(call_id);
            // Also at a deadline that comes before the attempt's time-out: otherwise a client of such calls would always ask
            // the same silent node.
            for silent in call.stop_waiting() {
                self.doubt(silent);
            }
            if self.awaits_session(call_id) && now < self.call(call_id).deadline {
                self.waiting.insert(call_id);
                // Until it is its turn, only its deadline counts.
                self.wake_at(call_id, Time::NEVER);
                continue;
            }
            self.ask_next(now, call_id);
        }
        self.begin_waiting(now);
    }

    /// When to call [`ClientCore::tick`] though nothing arrives.
    pub fn deadline(&self) -> Time {
        self.timers.next()
    }

    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Ends every call now, as its deadline would. What was not taken from [`ClientCore::take_outgoing`] yet is not
    /// sent.
    pub fn give_up(&mut self, now: Time) {
        self.end_all(now, ActiveCall::unanswered);
    }

    /// The network has ended: ends every call now, and each later one at once.
    pub fn close(&mut self, now: Time) {
        self.closed = true;
        self.end_all(now, |call| call.rejected(Rejection::Closed));
    }

    fn end_all(&mut self, now: Time, outcome: impl Fn(&ActiveCall) -> Outcome) {
        self.outgoing.clear();
        self.waiting.clear();
        let calls: Vec<CallId> = self.calls.iter().map(|(call_id, _)| call_id).collect();
        for call_id in calls {
            let outcome = outcome(self.call(call_id));
            self.end(now, call_id, outcome);
        }
    }

    pub fn take_outgoing(&mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.outgoing)
    }

    /// The calls that have ended since the last call of this, in order.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// Takes back the memory of ends, unless a burst made it large.
    pub(super) fn reuse(&mut self, ended: Vec<Ended>) {
        if self.ended.is_empty() && ended.capacity() <= CALLS_MAX {
            self.ended = ended;
        }
    }

    /// The one way for a call to end that somebody waits for.
    fn end(&mut self, now: Time, call_id: CallId, outcome: Outcome) {
        let call = self.remove(call_id);
        if let (What::Command(_), Some(token), Some(session)) = (&call.what, call.token, &mut self.session)
            && session.holds(token)
        {
            session.end(token.serial, matches!(outcome, Outcome::Unknown(_) | Outcome::Panicked(..)));
        }
        let (began, took) = (call.began, now.since(call.began));
        if !call.only_opens {
            self.ended.push(Ended { call_id, outcome, began, took });
        }
    }

    fn remove(&mut self, call_id: CallId) -> ActiveCall {
        let call = self.calls.remove(call_id).expect("a call ends once");
        self.timers.forget_stale(&self.calls);
        for attempt in call.attempts() {
            self.attempts.remove(attempt);
        }
        self.waiting.remove(&call_id);
        if self.opener == Some(call_id) {
            self.opener = None;
        }
        call
    }

    fn call(&self, call_id: CallId) -> &ActiveCall {
        self.calls.get(call_id).expect("timers and attempts name calls under way alone")
    }

    fn call_mut(&mut self, call_id: CallId) -> &mut ActiveCall {
        self.calls.get_mut(call_id).expect("timers and attempts name calls under way alone")
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
