//! One call on its way: whom it has asked so far, and what that says about how it must end.
//!
//! The rule that everything here serves: a command is only rejected when no attempt can have put it into a log. What
//! cannot be shown to be harmless counts as possibly applied.

use std::time::Duration;

use super::{Outcome, Rejection, What};
use crate::net::packet::{Attempt, Call, ReadMode};
use crate::payload::Payload;
use crate::types::{NodeId, Serial, Time};

/// A call that has not ended.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// What is asked.
    pub question: Question,
    /// Ask this node and no other.
    pub at: Option<NodeId>,
    /// When it began.
    pub began: Time,
    /// When it must have ended.
    pub deadline: Time,
    /// When to look at it again though nothing arrives; never after the deadline.
    pub wake: Time,
    /// How often it has backed off.
    pub pauses: u32,
    /// Its attempts, in order.
    sent: Vec<Sent>,
    /// How many attempts were made before the present turn. In one turn each node is asked once.
    turn: usize,
    /// The newest attempt is still awaited; otherwise the call pauses.
    awaited: bool,
    /// The last refusal was the leader's, who is busy.
    busy: bool,
}

/// What is asked, with the number that makes a command's retries one command.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// Apply this batch, once.
    Command { serial: Serial, command: Payload },
    /// Answer this, from a state that is as true as this.
    Read { query: Payload, mode: ReadMode },
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
struct Sent {
    attempt: Attempt,
    node: NodeId,
    trace: Trace,
}

/// What an attempt may have left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trace {
    /// No answer yet: anything.
    Open,
    /// Nothing: it was refused.
    Nothing,
    /// An entry whose fate is open, in the log of a leader that was deposed. No later word about the same attempt
    /// takes this back.
    Entry,
}

impl Question {
    /// The question of an ask; only a command takes a serial.
    pub fn new(what: What, serial: impl FnOnce() -> Serial) -> Question {
        match what {
            What::Command(command) => Question::Command { serial: serial(), command },
            What::Read { query, mode } => Question::Read { query, mode },
        }
    }

    /// What goes to a node; `here` says that no other will be asked.
    pub fn call(&self, acknowledged: Serial, here: bool) -> Call {
        match self {
            Question::Command { serial, command } => {
                Call::Command { serial: *serial, acknowledged, command: command.clone() }
            }
            Question::Read { query, mode } => Call::Read { query: query.clone(), mode: *mode, here },
        }
    }

    /// Its serial, if it is a command.
    pub fn serial(&self) -> Option<Serial> {
        match self {
            Question::Command { serial, .. } => Some(*serial),
            Question::Read { .. } => None,
        }
    }
}

impl Running {
    /// A call that has asked nobody yet.
    pub fn new(question: Question, at: Option<NodeId>, now: Time, timeout: Duration) -> Running {
        let deadline = now + timeout;
        Running {
            question,
            at,
            began: now,
            deadline,
            wake: deadline,
            pauses: 0,
            sent: Vec::new(),
            turn: 0,
            awaited: false,
            busy: false,
        }
    }

    /// Notes an attempt that leaves now.
    pub fn note_sent(&mut self, attempt: Attempt, node: NodeId) {
        self.sent.push(Sent { attempt, node, trace: Trace::Open });
        self.awaited = true;
    }

    /// Stops waiting for the newest attempt; its answer is still welcome when it comes late. Returns the node that
    /// stayed silent, or none when the call was not waiting but backing off.
    pub fn stop_waiting(&mut self) -> Option<NodeId> {
        let awaited = std::mem::take(&mut self.awaited);
        self.sent.last().filter(|_| awaited).map(|sent| sent.node)
    }

    /// Begins a new turn, in which every node may be asked again.
    pub fn begin_turn(&mut self) {
        self.turn = self.sent.len();
    }

    /// Whether this node was asked in the present turn.
    pub fn has_asked(&self, node: NodeId) -> bool {
        self.sent[self.turn..].iter().any(|sent| sent.node == node)
    }

    /// Notes that a node did not take this attempt in. Says whether the call was waiting for just this answer.
    pub fn note_refused(&mut self, attempt: Attempt, busy: bool) -> bool {
        let answers = self.answers(attempt, |trace| match trace {
            Trace::Entry => Trace::Entry,
            Trace::Open | Trace::Nothing => Trace::Nothing,
        });
        if answers {
            self.busy = busy;
        }
        answers
    }

    /// Notes that a node took this attempt in and lost its leadership over it. Says whether the call was waiting for
    /// just this answer.
    pub fn note_lost(&mut self, attempt: Attempt) -> bool {
        self.answers(attempt, |_| Trace::Entry)
    }

    /// The attempts made.
    pub fn attempts(&self) -> impl Iterator<Item = Attempt> + '_ {
        self.sent.iter().map(|sent| sent.attempt)
    }

    /// How it ends when no answer came.
    pub fn unanswered(&self) -> Outcome {
        let rejection = if self.busy { Rejection::Busy } else { Rejection::NoLeader };
        self.rejected(rejection)
    }

    /// How it ends when this is why no answer will come: as a rejection only if that is certain.
    pub fn rejected(&self, rejection: Rejection) -> Outcome {
        let harmless = self.sent.iter().all(|sent| sent.trace == Trace::Nothing);
        match self.question {
            _ if harmless => Outcome::Rejected(rejection),
            Question::Command { .. } => Outcome::Unknown,
            // A read changes nothing, whatever became of it.
            Question::Read { .. } => Outcome::Rejected(Rejection::NoAnswer),
        }
    }

    /// Notes an answer to this attempt. True the first time that the awaited one is answered.
    fn answers(&mut self, attempt: Attempt, next: impl FnOnce(Trace) -> Trace) -> bool {
        // Most answers are to the newest attempt.
        let found = self.sent.iter_mut().rev().find(|sent| sent.attempt == attempt);
        let sent = found.expect("a call is found by its own attempts alone");
        sent.trace = next(sent.trace);
        let newest = self.sent.last().is_some_and(|newest| newest.attempt == attempt);
        newest && std::mem::take(&mut self.awaited)
    }
}
