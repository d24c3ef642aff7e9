//! One call under way: the nodes that it has asked, and what their answers say about how it must end.
//!
//! One rule governs all of this: a command is only rejected when no attempt can have put it into a log. What cannot be
//! shown to be harmless counts as possibly applied.

use std::time::Duration;

use smallvec::SmallVec;

use super::session::origin;
use super::{Ask, Outcome, Rejection, Token, What};
use crate::ascending::Number;
use crate::protocol::{Attempt, Call};
use crate::raft::entry::Origin;
use crate::types::{NodeId, Serial, Term, Time};

/// The name of one call: they count up from 1 in the order of asking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

impl Number for CallId {
    fn number(self) -> u64 {
        self.0
    }
}

#[derive(Clone, Debug)]
pub(super) struct ActiveCall {
    pub what: What,
    /// The command that it is about: the name that makes a command's retries one command. A command has none before it
    /// is first sent; until then its client asks for a session.
    pub token: Option<Token>,
    pub at: Option<NodeId>,
    pub began: Time,
    pub deadline: Time,
    /// When it acts next if nothing arrives; never after the deadline.
    pub wake: Time,
    pub pauses: u32,
    sent: SmallVec<[SentAttempt; 2]>,
    /// Attempts before the present turn. In one turn each node is asked at most once.
    turn: usize,
    /// The newest term in which a node was named as leader.
    hint_term: Term,
    /// Attempts before the newest group, whose attempts left together.
    group: usize,
    /// An attempt of the newest group is still awaited; otherwise the call pauses.
    awaited: bool,
    /// It holds no command, and only asks for the session.
    pub only_opens: bool,
    /// The last rejection was by a leader that is busy.
    busy: bool,
    /// The nodes whose state machine panicked at this command, and the text of the first panic.
    panicked: SmallVec<[NodeId; 1]>,
    panic: String,
}

#[derive(Clone, Copy, Debug)]
struct SentAttempt {
    attempt: Attempt,
    node: NodeId,
    residue: Residue,
}

/// What an attempt may have left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Residue {
    Open,
    Nothing,
    /// An entry whose fate is open, in the log of a deposed leader. No later answer to the same attempt takes this back.
    Entry,
}

impl ActiveCall {
    /// A call without attempts.
    pub fn new(ask: Ask, now: Time) -> ActiveCall {
        let Ask { what, at, timeout } = ask;
        let deadline = now + timeout;
        let token = match &what {
            What::Settle(token) => Some(*token),
            What::Named { origin: Origin { session, serial, .. }, .. } => {
                Some(Token { session: *session, serial: *serial, part: None })
            }
            What::Command(_) | What::Read { .. } => None,
        };
        ActiveCall {
            what,
            token,
            at,
            began: now,
            deadline,
            wake: deadline,
            pauses: 0,
            sent: SmallVec::new(),
            turn: 0,
            hint_term: Term(0),
            group: 0,
            awaited: false,
            only_opens: false,
            busy: false,
            panicked: SmallVec::new(),
            panic: String::new(),
        }
    }

    /// A call that asks for the session and sends nothing in it.
    pub fn opening(now: Time, timeout: Duration) -> ActiveCall {
        let what = What::commands([(); 0]);
        ActiveCall { only_opens: true, ..ActiveCall::new(Ask { what, at: None, timeout }, now) }
    }

    /// What goes to a node, with the lowest serial whose answer the client still needs.
    pub fn request(&self, acknowledged: Serial) -> Call {
        let origin = self.token.map(|token| origin(token, acknowledged));
        match (&self.what, origin) {
            (What::Command(command), Some(origin)) => Call::Command { origin, command: command.clone() },
            (What::Named { origin, commands }, _) => {
                Call::Command { origin: *origin, command: commands.clone() }
            }
            (What::Settle(_), Some(origin)) => Call::Settle { origin },
            (What::Command(_) | What::Settle(_), None) => Call::Open,
            (What::Read { query, mode }, _) => {
                Call::Read { query: query.clone(), mode: *mode, here: self.at.is_some() }
            }
        }
    }

    /// The attempts that are noted from now on leave together.
    pub fn begin_group(&mut self) {
        self.group = self.sent.len();
    }

    pub fn note_sent(&mut self, attempt: Attempt, node: NodeId) {
        self.sent.push(SentAttempt { attempt, node, residue: Residue::Open });
        self.awaited = true;
    }

    /// Stops waiting for the newest attempts, whose late answers still count. Returns the nodes that stayed silent; none when
    /// the call was backing off.
    pub fn stop_waiting(&mut self) -> Vec<NodeId> {
        let awaited = std::mem::take(&mut self.awaited);
        let newest = self.sent[self.group..].iter().filter(|sent| awaited && sent.residue == Residue::Open);
        newest.map(|sent| sent.node).collect()
    }

    /// Whether all answers that it waits for are this node's.
    pub fn waits_only_for(&self, node: NodeId) -> bool {
        let mut open = self.sent[self.group..].iter().filter(|sent| sent.residue == Residue::Open).peekable();
        self.awaited && open.peek().is_some() && open.all(|sent| sent.node == node)
    }

    /// Begins a new turn, in which every node may be asked again.
    pub fn begin_turn(&mut self) {
        self.turn = self.sent.len();
    }

    /// A node named a leader of this term. That of a newer term may be one that did not lead when it was asked.
    pub fn note_hint(&mut self, term: Term) {
        if self.hint_term > Term(0) && term > self.hint_term {
            self.begin_turn();
        }
        self.hint_term = self.hint_term.max(term);
    }

    /// Whether this node was asked in the present turn.
    pub fn has_asked(&self, node: NodeId) -> bool {
        self.sent[self.turn..].iter().any(|sent| sent.node == node)
    }

    /// Notes that a node did not take this attempt in. True if the call waited only for this answer.
    pub fn note_refused(&mut self, attempt: Attempt, busy: bool) -> bool {
        let answers = self.answers(attempt, |residue| match residue {
            Residue::Entry => Residue::Entry,
            Residue::Open | Residue::Nothing => Residue::Nothing,
        });
        if answers {
            self.busy = busy;
        }
        answers
    }

    /// Notes that a node took this attempt in and then lost its leadership. True if the call waited only for this answer.
    pub fn note_lost(&mut self, attempt: Attempt) -> bool {
        self.answers(attempt, |_| Residue::Entry)
    }

    /// Notes that a node's state machine panicked at this command. Returns on how many nodes it has.
    pub fn note_panic(&mut self, node: NodeId, words: String) -> usize {
        if self.panicked.is_empty() {
            self.panic = words;
        }
        if !self.panicked.contains(&node) {
            self.panicked.push(node);
        }
        self.panicked.len()
    }

    /// Begins again without attempts, under this name or with none. Only for a command that can have left nothing behind.
    pub fn restart(&mut self, token: Option<Token>) {
        self.token = token;
        self.sent.clear();
        self.turn = 0;
        self.group = 0;
        self.awaited = false;
        self.busy = false;
    }

    /// Whether no attempt can have left anything behind.
    pub fn is_harmless(&self) -> bool {
        self.sent.iter().all(|sent| sent.residue == Residue::Nothing)
    }

    pub fn attempts(&self) -> impl Iterator<Item = Attempt> + '_ {
        self.sent.iter().map(|sent| sent.attempt)
    }

    /// How it ends when no answer came.
    pub fn unanswered(&self) -> Outcome {
        let rejection = match self.at {
            _ if self.busy => Rejection::Busy,
            Some(_) if !self.sent.is_empty() => Rejection::NotLeader { leader: None },
            _ => Rejection::NoLeader,
        };
        self.rejected(rejection)
    }

    /// How it ends when no answer will come for this reason: as a rejection only if that is certain.
    pub fn rejected(&self, rejection: Rejection) -> Outcome {
        match (&self.what, self.token) {
            _ if self.is_harmless() => Outcome::Rejected(rejection),
            (What::Command(_) | What::Named { .. }, Some(token)) if self.panicked.is_empty() => {
                Outcome::Unknown(token)
            }
            (What::Command(_) | What::Named { .. }, Some(token)) => {
                Outcome::Panicked(token, self.panic.clone())
            }
            // A command without a session was not sent, and the others change nothing.
            _ if rejection == Rejection::Closed => Outcome::Rejected(rejection),
            _ => Outcome::Rejected(Rejection::NoAnswer),
        }
    }

    /// Notes an answer to this attempt. True once for the newest group: when all of it is answered.
    fn answers(&mut self, attempt: Attempt, next: impl FnOnce(Residue) -> Residue) -> bool {
        // Most answers are to the newest attempts.
        let found = self.sent.iter().rposition(|sent| sent.attempt == attempt);
        let found = found.expect("a call is found by its own attempts alone");
        self.sent[found].residue = next(self.sent[found].residue);
        let newest = found >= self.group;
        let last = newest && self.sent[self.group..].iter().all(|sent| sent.residue != Residue::Open);
        last && std::mem::take(&mut self.awaited)
    }
}
