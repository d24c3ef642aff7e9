//! The client as a pure state machine, shared by the blocking client and the simulator.
//!
//! It finds the leader, follows hints, goes round past nodes that are down or silent, and backs off with jitter. A
//! repeated command keeps its serial, so that the sessions of the state machine carry it out once (section 8). It
//! never reads a clock: time is handed in.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Answered, Ask, Outcome, Rejection, What};
use crate::net::packet::{Address, Attempt, Call, Envelope, Packet, Reply, Request, Response};
use crate::raft::effects::Refusal;
use crate::types::{ClientId, NodeId, Random, Serial, Time};

/// Names one call of one client.
pub type Ticket = u64;

/// How patient a client is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientSettings {
    /// How long one node is given to answer before another is asked.
    pub attempt_timeout: Duration,
    /// The first pause before another try; each further one doubles.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
}

impl Default for ClientSettings {
    fn default() -> ClientSettings {
        ClientSettings {
            attempt_timeout: Duration::from_millis(400),
            backoff_min: Duration::from_millis(5),
            backoff_max: Duration::from_millis(100),
        }
    }
}

/// A client of a cluster.
#[derive(Clone, Debug)]
pub struct ClientCore {
    id: ClientId,
    nodes: Vec<NodeId>,
    settings: ClientSettings,
    random: Random,
    /// The node that is believed to lead, or that is tried next.
    target: NodeId,
    last_serial: Serial,
    last_attempt: Attempt,
    last_ticket: Ticket,
    running: BTreeMap<Ticket, Running>,
    /// Which call an attempt belongs to.
    attempts: BTreeMap<Attempt, Ticket>,
    outgoing: Vec<Envelope>,
    ended: Vec<(Ticket, Outcome)>,
}

/// A call that has not ended.
#[derive(Clone, Debug)]
struct Running {
    what: What,
    /// The only node to be asked, if one was named.
    at: Option<NodeId>,
    /// A command's number.
    serial: Option<Serial>,
    deadline: Time,
    /// The attempts under way: not refused, and not answered.
    open: Vec<Attempt>,
    /// The node of the newest attempt.
    asked: NodeId,
    /// Tries that ended without an answer since the last pause was reset; each doubles the pause.
    failures: u32,
    /// When to try again: after the attempt's time, or after a pause.
    retry: Time,
    /// Why the last try was refused.
    refused: Rejection,
}

impl ClientCore {
    /// A client that knows these nodes and nothing else.
    pub fn new(id: ClientId, nodes: Vec<NodeId>, settings: ClientSettings, mut random: Random) -> ClientCore {
        let target = *random.pick(&nodes).expect("a cluster has nodes");
        ClientCore {
            id,
            nodes,
            settings,
            random,
            target,
            last_serial: 0,
            last_attempt: 0,
            last_ticket: 0,
            running: BTreeMap::new(),
            attempts: BTreeMap::new(),
            outgoing: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// The client's number.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// Begins a call.
    pub fn ask(&mut self, now: Time, ask: Ask) -> Ticket {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let serial = matches!(ask.what, What::Command(_)).then(|| {
            self.last_serial += 1;
            self.last_serial
        });
        let running = Running {
            what: ask.what,
            at: ask.at,
            serial,
            deadline: now + ask.timeout,
            open: Vec::new(),
            asked: self.target,
            failures: 0,
            retry: now,
            refused: Rejection::NoLeader,
        };
        self.running.insert(ticket, running);
        self.attempt(now, ticket);
        ticket
    }

    /// Takes in a reply.
    pub fn receive(&mut self, now: Time, envelope: Envelope) {
        let (Address::Node(from), Packet::Reply(reply)) = (envelope.from, envelope.packet) else { return };
        let Reply { attempt, term, response } = reply;
        let Some(ticket) = self.attempts.remove(&attempt) else { return };
        let call = self.running.get_mut(&ticket).expect("an attempt of a running call");
        let newest = call.open.last() == Some(&attempt);
        call.open.retain(|open| *open != attempt);
        match response {
            Response::Applied { entry, answer } => {
                self.target = from;
                self.end(
                    ticket,
                    Outcome::Answered(Answered { answer, node: from, term, index: entry.index }),
                );
            }
            Response::Read { applied, answer } => {
                self.end(ticket, Outcome::Answered(Answered { answer, node: from, term, index: applied }));
            }
            Response::Invalid(reason) => self.end(ticket, Outcome::Rejected(Rejection::Invalid(reason))),
            // The table no longer holds the answer, though this client did not acknowledge it.
            Response::Forgotten => self.end(ticket, Outcome::Unknown),
            // It may have been appended and may still be committed: the attempt stays open for good.
            Response::LeadershipLost { leader } => {
                call.open.insert(0, attempt);
                self.refused(now, ticket, from, newest, leader, Rejection::NoLeader);
            }
            Response::Refused(Refusal::NotLeader { leader }) => {
                let hint = leader.filter(|leader| *leader != from);
                let refusal = match call.at {
                    Some(_) => Rejection::NotLeader { leader },
                    None => Rejection::NoLeader,
                };
                self.refused(now, ticket, from, newest, hint, refusal);
            }
            Response::Refused(Refusal::Busy) => {
                self.refused(now, ticket, from, newest, Some(from), Rejection::Busy)
            }
            Response::Unreachable => {
                let refusal = match call.at {
                    Some(_) => Rejection::Unreachable(from),
                    None => Rejection::NoLeader,
                };
                self.refused(now, ticket, from, newest, None, refusal);
            }
        }
    }

    /// Lets time pass: ends the calls whose time is up and tries again what is due.
    pub fn tick(&mut self, now: Time) {
        let due: Vec<Ticket> = self
            .running
            .iter()
            .filter(|(_, call)| now >= call.deadline.min(call.retry))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in due {
            let call = &self.running[&ticket];
            if now >= call.deadline {
                self.give_up(ticket);
                continue;
            }
            // A silent node is not asked again before the others were.
            let silent = call.open.last().is_some() && call.at.is_none();
            if silent && call.asked == self.target {
                self.rotate();
            }
            self.attempt(now, ticket);
        }
    }

    /// When to call [`ClientCore::tick`] though nothing arrives.
    pub fn deadline(&self) -> Time {
        self.running.values().map(|call| call.deadline.min(call.retry)).min().unwrap_or(Time::NEVER)
    }

    /// What is to be sent.
    pub fn take_outgoing(&mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.outgoing)
    }

    /// The calls that ended since the last question.
    pub fn take_ended(&mut self) -> Vec<(Ticket, Outcome)> {
        std::mem::take(&mut self.ended)
    }

    /// Ends every running call now.
    pub fn abandon(&mut self) {
        for ticket in self.running.keys().copied().collect::<Vec<_>>() {
            self.give_up(ticket);
        }
    }

    fn attempt(&mut self, now: Time, ticket: Ticket) {
        let acknowledged = self.acknowledged();
        self.last_attempt += 1;
        let attempt = self.last_attempt;
        let call = self.running.get_mut(&ticket).expect("a running call");
        let node = call.at.unwrap_or(self.target);
        call.asked = node;
        call.retry = now + self.settings.attempt_timeout;
        call.open.push(attempt);
        self.attempts.insert(attempt, ticket);
        let call = match (&call.what, call.serial) {
            (What::Command(command), Some(serial)) => {
                Call::Command { serial, acknowledged, command: command.clone() }
            }
            (What::Read { query, mode }, _) => Call::Read { query: query.clone(), mode: *mode },
            (What::Command(_), None) => unreachable!("a command has a serial"),
        };
        self.outgoing.push(Envelope {
            from: Address::Client(self.id),
            to: Address::Node(node),
            packet: Packet::Request(Request { attempt, call }),
        });
    }

    /// The lowest serial that has not ended: everything below needs no answer any more.
    fn acknowledged(&self) -> Serial {
        self.running.values().filter_map(|call| call.serial).min().unwrap_or(self.last_serial + 1)
    }

    /// A node said no. A call to this node alone ends; another looks elsewhere.
    fn refused(
        &mut self,
        now: Time,
        ticket: Ticket,
        from: NodeId,
        newest: bool,
        hint: Option<NodeId>,
        refusal: Rejection,
    ) {
        let nodes = u32::try_from(self.nodes.len()).expect("a cluster is small");
        let call = self.running.get_mut(&ticket).expect("a running call");
        let final_answer = matches!(refusal, Rejection::NotLeader { .. } | Rejection::Unreachable(_));
        call.refused = refusal;
        if call.at.is_some() && final_answer {
            let outcome = call.rejected_or_unknown();
            return self.end(ticket, outcome);
        }
        if !newest {
            return;
        }
        call.failures += 1;
        let failures = call.failures;
        let at_once = call.at.is_none() && failures < nodes && call.refused != Rejection::Busy;
        match hint {
            Some(leader) => self.target = leader,
            // Several calls may be told of the same dead end: only the first moves on.
            None if self.target == from => self.rotate(),
            None => {}
        }
        // The first turn goes round without waiting; then there is no leader now, and asking faster elects none.
        if at_once {
            return self.attempt(now, ticket);
        }
        let doublings = (failures.max(nodes) - nodes).min(16);
        let pause = (self.settings.backoff_min * (1 << doublings)).min(self.settings.backoff_max);
        let pause = self.random.duration(pause / 2, pause);
        self.running.get_mut(&ticket).expect("a running call").retry = now + pause;
    }

    fn rotate(&mut self) {
        let place = self.nodes.iter().position(|node| *node == self.target).unwrap_or_default();
        self.target = self.nodes[(place + 1) % self.nodes.len()];
    }

    fn give_up(&mut self, ticket: Ticket) {
        let outcome = self.running[&ticket].rejected_or_unknown();
        self.end(ticket, outcome);
    }

    fn end(&mut self, ticket: Ticket, outcome: Outcome) {
        self.running.remove(&ticket).expect("a call ends once");
        self.attempts.retain(|_, of| *of != ticket);
        self.ended.push((ticket, outcome));
    }
}

impl Running {
    /// How a call ends without an answer: certainly without effect only if every attempt was refused.
    fn rejected_or_unknown(&self) -> Outcome {
        match (self.open.is_empty(), self.serial) {
            (true, _) => Outcome::Rejected(self.refused.clone()),
            (false, None) => Outcome::Rejected(Rejection::NoAnswer),
            (false, Some(_)) => Outcome::Unknown,
        }
    }
}
