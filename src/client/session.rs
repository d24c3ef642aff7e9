//! A client's side of its session (D 6.3): the numbers of its commands, and what it acknowledges.
//!
//! The servers keep the answers to a window of commands. So at most half a window is under way at once, and a command of
//! unknown outcome can be asked about until the client has begun half a window more: then newer answers take its place.

use std::collections::{BTreeSet, VecDeque};

use crate::raft::entry::Origin;
use crate::state_machine::sessions::WINDOW;
use crate::types::{Serial, SessionId, Token};

/// Commands that a client has under way in its session at most; more wait until others have ended.
pub const UNDER_WAY_MAX: u64 = WINDOW / 2;

#[derive(Clone, Debug)]
pub(super) struct Session {
    id: SessionId,
    last_serial: Serial,
    /// Whether each command still runs, from the oldest that does up to the last.
    running: VecDeque<bool>,
    /// Commands that ended with an unknown outcome, and may still be asked about.
    unsettled: BTreeSet<Serial>,
}

impl Session {
    /// A session that the servers have just opened.
    pub fn new(id: SessionId) -> Session {
        Session { id, last_serial: 0, running: VecDeque::new(), unsettled: BTreeSet::new() }
    }

    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whether the token names a command of this session.
    pub fn holds(&self, token: Token) -> bool {
        self.id == token.session
    }

    pub fn has_room(&self) -> bool {
        (self.running.len() as u64) < UNDER_WAY_MAX
    }

    pub fn begin(&mut self) -> Token {
        assert!(self.has_room(), "a client stays within the servers' window");
        self.last_serial += 1;
        self.running.push_back(true);
        let kept = self.last_serial.saturating_sub(UNDER_WAY_MAX);
        while self.unsettled.first().is_some_and(|oldest| *oldest < kept) {
            self.unsettled.pop_first();
        }
        Token { session: self.id, serial: self.last_serial, part: None }
    }

    /// A command has ended; with `unknown`, it may be asked about later.
    pub fn end(&mut self, serial: Serial, unknown: bool) {
        let ended = serial.checked_sub(self.oldest()).and_then(|place| usize::try_from(place).ok());
        if let Some(runs) = ended.and_then(|place| self.running.get_mut(place)) {
            *runs = false;
        }
        while self.running.pop_front_if(|runs| !*runs).is_some() {}
        if unknown {
            self.unsettled.insert(serial);
        }
    }

    /// The outcome of a command is known. If it shared its name with others, the servers keep that name's answer for them.
    pub fn settled(&mut self, token: Token) {
        if token.part.is_none() {
            self.unsettled.remove(&token.serial);
        }
    }

    /// The lowest serial whose answer is still needed: those below need not be kept.
    pub fn acknowledged(&self) -> Serial {
        self.unsettled.first().map_or(self.oldest(), |unsettled| self.oldest().min(*unsettled))
    }

    /// The oldest command that has not ended; the next one if all have.
    fn oldest(&self) -> Serial {
        self.last_serial + 1 - self.running.len() as u64
    }
}

/// What a request about a command says of it.
pub(super) fn origin(token: Token, acknowledged: Serial) -> Origin {
    Origin { session: token.session, serial: token.serial, acknowledged }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Part;

    #[test]
    fn what_is_acknowledged_stays_below_all_that_may_be_asked_for() {
        let mut session = Session::new(SessionId(2));
        assert_eq!(session.acknowledged(), 1);
        let tokens: Vec<Token> = (0..4).map(|_| session.begin()).collect();
        assert_eq!(session.acknowledged(), 1);
        session.end(2, false);
        session.end(1, true);
        assert_eq!(session.acknowledged(), 1, "1 may be asked about");
        let shared = Token { part: Some(Part { before: 0, count: 1 }), ..tokens[0] };
        session.settled(shared);
        assert_eq!(session.acknowledged(), 1, "those that left with it may be asked about");
        session.settled(tokens[0]);
        assert_eq!(session.acknowledged(), 3);
        session.end(3, false);
        session.end(4, false);
        assert_eq!(session.acknowledged(), 5);
        assert_eq!(origin(tokens[3], 5), Origin { session: SessionId(2), serial: 4, acknowledged: 5 });
    }

    #[test]
    fn a_client_stays_within_the_servers_window() {
        let mut session = Session::new(SessionId(2));
        session.begin();
        session.end(1, true);
        session.begin();
        while session.has_room() {
            session.begin();
        }
        assert_eq!(session.last_serial, UNDER_WAY_MAX + 1, "2 is the oldest that runs");
        assert!(session.last_serial - session.acknowledged() < WINDOW);
        session.end(2, false);
        session.begin();
        assert_eq!(session.acknowledged(), 3, "1 was unknown for too long");
    }
}
