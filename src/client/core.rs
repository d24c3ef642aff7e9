//! The client's rules as a pure state machine: finding the leader, repeating what was not answered, and ending each
//! call in time (section 8).
//!
//! The blocking client and the simulator drive this same core, so what the checks see is what users run. It must
//! never read a clock, draw chance from elsewhere, or block: time, chance and envelopes are handed in.
//!
//! - Commands are sent within a session, which the first of them asks for (dissertation 6.3). A command keeps its name
//!   there, its [`Token`], through all its attempts, so that the servers apply it once. It also carries the lowest serial
//!   whose answer is still needed: answers below that need not be kept.
//! - A session that was not used for long may expire. A command that certainly was not applied in it is sent again in a
//!   new one; any other ends as unknown.
//! - Asking goes by *turns*: in one turn each node is asked once at most, the believed leader first, then by hint or in
//!   rotation. When a turn is over the call backs off, twice as long each time and with jitter. So neither dead nodes
//!   nor nodes that point at each other make a hot loop.
//! - A call ends by its deadline. A command that may have been taken in by any node ends as [`Outcome::Unknown`], never
//!   as a rejection. This relies on an attempt reaching its node once at most, as over a connection: of two copies one
//!   may be taken in and the other refused, and the client hears of the refusal alone.
//!
//! Calls that are under way at the same time may take effect in any order.

use std::collections::BTreeSet;
use std::time::Duration;
use std::vec::Drain;

use smallvec::SmallVec;

use super::call::{Question, Running};
use super::session::Session;
use super::settings::{ClientSettings, WhenFull};
use super::timers::Timers;
use super::{Answered, Ask, Fate, Outcome, Rejection, Token};
use crate::ascending::{Ascending, Number};
use crate::net::packet::{Address, Attempt, Envelope, Packet, ReadMode, Reply, Request, Response};
use crate::raft::effects::Refusal;
use crate::types::{ClientId, NodeId, Random, SessionId, Time};

/// The name of one call: they count up from 1 in the order of asking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

impl Number for CallId {
    fn number(self) -> u64 {
        self.0
    }
}

/// A call that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Which call.
    pub call_id: CallId,
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
    calls: Ascending<CallId, Running>,
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
    last_call: u64,
    last_attempt: Attempt,
    outgoing: Vec<Envelope>,
    ended: Vec<Ended>,
}

impl Ended {
    /// When it ended.
    pub fn returned(&self) -> Time {
        self.began + self.took
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
        // Clients that start at the same moment do not all start at the same node.
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

    /// Who this client is.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// The node that it believes to lead.
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

    /// Begins a call.
    pub fn ask(&mut self, now: Time, ask: Ask) -> CallId {
        self.last_call += 1;
        let call_id = CallId(self.last_call);
        let call = Running::new(Question::new(ask.what), ask.at, now, ask.timeout);
        let is_command = matches!(call.question, Question::Command { .. });
        self.calls.insert(call_id, call);
        if !is_command {
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

    /// Takes in what the network delivered. What is no answer to a call under way is ignored.
    pub fn receive(&mut self, now: Time, envelope: Envelope) {
        let Envelope { from: Address::Node(node), to, packet: Packet::Reply(reply) } = envelope else {
            return;
        };
        if to != Address::Client(self.id) {
            return;
        }
        if let Some(&call_id) = self.attempts.get(reply.attempt) {
            self.take_in(now, call_id, node, reply);
            self.begin_waiting(now);
        }
    }

    /// Takes in an answer to this call.
    fn take_in(&mut self, now: Time, call_id: CallId, node: NodeId, reply: Reply) {
        let Reply { attempt, term, response } = reply;
        let question = &self.call(call_id).question;
        match (response, question) {
            (Response::Applied { entry, answer }, Question::Command { .. } | Question::Settle(_)) => {
                self.leader = Some(node);
                self.answered(now, call_id, Answered { answer, node, term, index: entry.index, age: None });
            }
            (Response::Read { applied, age, answer }, Question::Read { mode, .. }) => {
                // Whom the client asked for its own answer may be anybody; otherwise only a leader answers.
                if *mode != ReadMode::Stale && self.call(call_id).at.is_none() {
                    self.leader = Some(node);
                }
                self.answered(now, call_id, Answered { answer, node, term, index: applied, age });
            }
            (Response::Opened { session }, Question::Command { token: None, .. }) => {
                self.leader = Some(node);
                self.opened(call_id, session);
            }
            (Response::Invalid(reason), _) => self.invalid(now, call_id, attempt, reason),
            (Response::GivenUp, Question::Settle(_)) => self.settled(now, call_id, Fate::NeverApplied),
            (Response::Forgotten, Question::Settle(_)) => self.settled(now, call_id, Fate::Forgotten),
            (Response::Expired, Question::Settle(_)) => self.settled(now, call_id, Fate::Expired),
            (Response::GivenUp, Question::Command { .. }) => {
                self.end(now, call_id, Outcome::Rejected(Rejection::GivenUp));
            }
            // A session forgets what its client has ended, and this call has not: nobody can tell any more.
            (Response::Forgotten, Question::Command { token: Some(token), .. }) => {
                let token = *token;
                self.end(now, call_id, Outcome::Unknown(token));
            }
            (Response::Expired, Question::Command { token: Some(token), .. }) => {
                let token = *token;
                self.expired(now, call_id, attempt, token);
            }
            (Response::Refused(Refusal::Busy), _) => self.busy(now, call_id, attempt),
            (Response::Unreachable, _) => self.unreachable(now, call_id, attempt, node),
            (Response::Refused(Refusal::NotLeader { leader }), _)
            | (Response::LeadershipLost { leader }, Question::Read { .. }) => {
                if self.call_mut(call_id).note_refused(attempt, false) {
                    self.redirected(now, call_id, node, leader);
                }
            }
            (Response::LeadershipLost { leader }, Question::Command { .. } | Question::Settle(_)) => {
                if self.call_mut(call_id).note_lost(attempt) {
                    self.redirected(now, call_id, node, leader);
                }
            }
            // An answer to what was not asked is as good as none.
            (
                Response::Applied { .. }
                | Response::Opened { .. }
                | Response::GivenUp
                | Response::Forgotten
                | Response::Expired,
                Question::Read { .. },
            )
            | (Response::Read { .. }, Question::Command { .. } | Question::Settle(_))
            | (Response::Opened { .. }, Question::Command { token: Some(_), .. } | Question::Settle(_))
            | (Response::Forgotten | Response::Expired, Question::Command { token: None, .. }) => {}
        }
    }

    /// Does what is due: gives up on nodes that stay silent, ends back-offs, ends calls at their deadline.
    pub fn tick(&mut self, now: Time) {
        while let Some(call_id) = self.timers.take_due(now, &self.calls) {
            let call = self.call_mut(call_id);
            // Also at the deadline of a call that was less patient than an attempt: else a client of such calls would
            // ask the same silent node for ever.
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

    /// Whether no call is under way.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// How many calls are under way.
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Ends every call now, as its deadline would. What was not taken from [`ClientCore::take_outgoing`] yet is not
    /// sent.
    pub fn give_up(&mut self, now: Time) {
        self.outgoing.clear();
        self.waiting.clear();
        let calls: Vec<CallId> = self.calls.iter().map(|(call_id, _)| call_id).collect();
        for call_id in calls {
            let outcome = self.call(call_id).unanswered();
            self.end(now, call_id, outcome);
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

    /// The same; the memory that they lie in stays here.
    pub(super) fn drain_ended(&mut self) -> Drain<'_, Ended> {
        self.ended.drain(..)
    }

    /// Lets commands begin that wait, as far as they may: in the session, or by asking for one.
    fn begin_waiting(&mut self, now: Time) {
        while !self.waiting.is_empty() && self.may_begin() {
            let call_id = self.waiting.pop_first().expect("seen just now");
            self.begin(now, call_id);
        }
    }

    /// Whether one more command may begin, or ask for the session.
    fn may_begin(&self) -> bool {
        self.session.as_ref().map_or(self.opener.is_none(), Session::has_room)
    }

    fn begin(&mut self, now: Time, call_id: CallId) {
        match &mut self.session {
            Some(session) => {
                let token = session.begin();
                self.call_mut(call_id).restart(Some(token));
            }
            None => self.opener = Some(call_id),
        }
        self.ask_next(now, call_id);
    }

    /// The session is open. Whoever asked for it waits like the others to send its command in it.
    fn opened(&mut self, call_id: CallId, session: SessionId) {
        self.forget_attempts(call_id);
        self.session = Some(Session::new(session));
        self.opener = None;
        self.waiting.insert(call_id);
    }

    /// The session has expired. What can have left nothing behind is asked again in a new one.
    fn expired(&mut self, now: Time, call_id: CallId, attempt: Attempt, token: Token) {
        if self.session.as_ref().is_some_and(|session| session.holds(token)) {
            self.session = None;
        }
        let call = self.call_mut(call_id);
        call.note_refused(attempt, false);
        if call.is_harmless() {
            call.restart(None);
            self.forget_attempts(call_id);
            // Where more clients are at work than sessions may be open, each new one costs another its own: not at once.
            self.back_off(now, call_id);
        } else {
            self.end(now, call_id, Outcome::Unknown(token));
        }
    }

    /// Whether this is a command without a name that does not ask for a session itself.
    fn awaits_session(&self, call_id: CallId) -> bool {
        let unnamed = matches!(self.call(call_id).question, Question::Command { token: None, .. });
        unnamed && self.opener != Some(call_id)
    }

    /// It is known what became of the command that this call asks about.
    fn settled(&mut self, now: Time, call_id: CallId, fate: Fate<Answered>) {
        let token = self.call(call_id).question.token().expect("it asks about a command");
        if let Some(session) = self.session.as_mut().filter(|session| session.holds(token)) {
            session.settled(token.serial);
        }
        self.end(now, call_id, Outcome::Settled(fate));
    }

    /// Answers to what was asked so far no longer concern this call.
    fn forget_attempts(&mut self, call_id: CallId) {
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

    /// Asks the next node of the call's turn, or backs off when all have been asked.
    fn ask_next(&mut self, now: Time, call_id: CallId) {
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

    /// Asks these nodes together.
    fn send_to(&mut self, now: Time, call_id: CallId, nodes: &[NodeId]) {
        self.call_mut(call_id).begin_group();
        for node in nodes {
            self.send(now, call_id, *node);
        }
    }

    fn send(&mut self, now: Time, call_id: CallId, node: NodeId) {
        self.last_attempt += 1;
        let attempt = self.last_attempt;
        let token = self.call(call_id).question.token();
        let session = self.session.as_ref().filter(|session| token.is_some_and(|token| session.holds(token)));
        let acknowledged = session.map_or(0, Session::acknowledged);
        let call = self.call_mut(call_id);
        call.note_sent(attempt, node);
        let request = Request { attempt, call: call.question.call(acknowledged, call.at.is_some()) };
        let (from, to) = (Address::Client(self.id), Address::Node(node));
        self.outgoing.push(Envelope { from, to, packet: Packet::Request(request) });
        self.attempts.insert(attempt, call_id);
        self.wake_at(call_id, now + self.settings.attempt_timeout);
    }

    fn back_off(&mut self, now: Time, call_id: CallId) {
        let call = self.call_mut(call_id);
        let pauses = call.pauses;
        call.pauses += 1;
        call.begin_turn();
        let longest = self.settings.backoff(pauses);
        let pause = self.random.duration(longest / 2, longest);
        self.wake_at(call_id, now + pause);
    }

    fn wake_at(&mut self, call_id: CallId, time: Time) {
        let call = self.calls.get_mut(call_id).expect("a call has a timer until it ends");
        call.wake = time.min(call.deadline);
        self.timers.add(call.wake, call_id);
        self.timers.forget_stale(&self.calls);
    }

    /// One node finds the call not valid. Another may have found otherwise, by other limits, and taken it in.
    fn invalid(&mut self, now: Time, call_id: CallId, attempt: Attempt, reason: String) {
        let last = self.call_mut(call_id).note_refused(attempt, false);
        let call = self.call(call_id);
        if last || call.is_harmless() {
            let outcome = call.rejected(Rejection::Invalid(reason));
            self.end(now, call_id, outcome);
        }
    }

    /// The leader holds too much; it is still the one to ask.
    fn busy(&mut self, now: Time, call_id: CallId, attempt: Attempt) {
        if !self.call_mut(call_id).note_refused(attempt, true) {
            return;
        }
        let rejected = self.call(call_id).rejected(Rejection::Busy);
        let certain = matches!(rejected, Outcome::Rejected(_));
        match self.settings.when_full {
            WhenFull::Reject if certain => self.end(now, call_id, rejected),
            WhenFull::Reject | WhenFull::Wait => self.back_off(now, call_id),
        }
    }

    fn unreachable(&mut self, now: Time, call_id: CallId, attempt: Attempt, node: NodeId) {
        if !self.call_mut(call_id).note_refused(attempt, false) {
            return;
        }
        self.doubt(node);
        let call = self.call(call_id);
        if call.at.is_some() {
            let outcome = call.rejected(Rejection::Unreachable(node));
            self.end(now, call_id, outcome);
        } else {
            self.ask_next(now, call_id);
        }
    }

    /// This node does not lead, or no longer; perhaps that one does.
    fn redirected(&mut self, now: Time, call_id: CallId, node: NodeId, leader: Option<NodeId>) {
        self.doubt(node);
        let call = self.call(call_id);
        if call.at.is_some() {
            let outcome = call.rejected(Rejection::NotLeader { leader });
            return self.end(now, call_id, outcome);
        }
        // Whom this turn has asked already does not answer as a leader: a hint at it is old, or early.
        let news = leader.filter(|leader| self.nodes.contains(leader) && !call.has_asked(*leader));
        match news {
            Some(_) => {
                self.leader = news;
                self.ask_next(now, call_id);
            }
            None => self.back_off(now, call_id),
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

    fn answered(&mut self, now: Time, call_id: CallId, answered: Answered) {
        match self.call(call_id).question {
            Question::Settle(_) => self.settled(now, call_id, Fate::Applied(answered)),
            Question::Command { .. } | Question::Read { .. } => {
                self.end(now, call_id, Outcome::Answered(answered));
            }
        }
    }

    /// The one way for a call to end.
    fn end(&mut self, now: Time, call_id: CallId, outcome: Outcome) {
        let call = self.calls.remove(call_id).expect("a call ends once");
        self.timers.forget_stale(&self.calls);
        for attempt in call.attempts() {
            self.attempts.remove(attempt);
        }
        self.waiting.remove(&call_id);
        if self.opener == Some(call_id) {
            self.opener = None;
        }
        if let (Question::Command { token: Some(token), .. }, Some(session)) =
            (&call.question, &mut self.session)
            && session.holds(*token)
        {
            session.end(token.serial, matches!(outcome, Outcome::Unknown(_)));
        }
        let (began, took) = (call.began, now.since(call.began));
        self.ended.push(Ended { call_id, outcome, began, took });
    }

    fn call(&self, call_id: CallId) -> &Running {
        self.calls.get(call_id).expect("timers and attempts name calls under way alone")
    }

    fn call_mut(&mut self, call_id: CallId) -> &mut Running {
        self.calls.get_mut(call_id).expect("timers and attempts name calls under way alone")
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
