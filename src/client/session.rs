//! A client's side of its session (dissertation 6.3): the numbers of its commands, and what it acknowledges.
//!
//! The servers keep the answers to a window of commands. So no more than half a window is under way at once, and a
//! command of unknown outcome can be asked about until the client is half a window further: then its answer is given
//! up for the sake of newer ones.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::raft::log::Origin;
use crate::state_machine::sessions::WINDOW;
use crate::types::{Serial, SessionId};

/// Commands that a client has under way at most; more wait until others have ended.
pub const UNDER_WAY_MAX: u64 = WINDOW / 2;

/// Names a command whose outcome is unknown, so that a client can ask later what became of it. Shown as `2.5`: the
/// fifth command of the session that entry 2 opened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Token {
    /// The session.
    pub session: SessionId,
    /// The command's number in it.
    pub serial: Serial,
}

/// An open session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    id: SessionId,
    last_serial: Serial,
    /// Commands that have not ended.
    running: BTreeSet<Serial>,
    /// Commands that ended with an unknown outcome, and may still be asked about.
    unsettled: BTreeSet<Serial>,
}

impl Session {
    /// A session that the servers have just opened.
    pub fn new(id: SessionId) -> Session {
        Session { id, last_serial: 0, running: BTreeSet::new(), unsettled: BTreeSet::new() }
    }

    /// Whether the token names a command of this session.
    pub fn holds(&self, token: Token) -> bool {
        self.id == token.session
    }

    /// Whether one more command may begin.
    pub fn has_room(&self) -> bool {
        let next = self.last_serial + 1;
        self.running.first().is_none_or(|oldest| next - oldest < UNDER_WAY_MAX)
    }

    /// Begins a command.
    pub fn begin(&mut self) -> Token {
        assert!(self.has_room(), "a client stays within the servers' window");
        self.last_serial += 1;
        self.running.insert(self.last_serial);
        let kept = self.last_serial.saturating_sub(UNDER_WAY_MAX);
        self.unsettled = self.unsettled.split_off(&kept);
        Token { session: self.id, serial: self.last_serial }
    }

    /// A command has ended; with `unknown`, it may be asked about later.
    pub fn end(&mut self, serial: Serial, unknown: bool) {
        self.running.remove(&serial);
        if unknown {
            self.unsettled.insert(serial);
        }
    }

    /// It is known what became of a command.
    pub fn settled(&mut self, serial: Serial) {
        self.unsettled.remove(&serial);
    }

    /// The lowest serial whose answer is still needed: those below need not be kept.
    pub fn acknowledged(&self) -> Serial {
        let oldest = self.running.first().into_iter().chain(self.unsettled.first()).min();
        oldest.copied().unwrap_or(self.last_serial + 1)
    }
}

impl Token {
    /// What a request about this command says of its origin.
    pub(super) fn origin(self, acknowledged: Serial) -> Origin {
        Origin { session: self.session, serial: self.serial, acknowledged }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.session, self.serial)
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Token, String> {
        let number =
            |digits: &str| digits.parse().ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()));
        text.split_once('.')
            .and_then(|(session, serial)| Some((number(session)?, number(serial)?)))
            .map(|(session, serial)| Token { session: SessionId(session), serial })
            .ok_or_else(|| {
                format!("'{text}' is not a token: it was shown as 2.5 when the outcome was unknown")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_stays_below_all_that_may_be_asked_for() {
        let mut session = Session::new(SessionId(2));
        assert_eq!(session.acknowledged(), 1);
        let tokens: Vec<Token> = (0..4).map(|_| session.begin()).collect();
        assert_eq!(session.acknowledged(), 1);
        session.end(2, false);
        session.end(1, true);
        assert_eq!(session.acknowledged(), 1, "1 may be asked about");
        session.settled(1);
        assert_eq!(session.acknowledged(), 3);
        session.end(3, false);
        session.end(4, false);
        assert_eq!(session.acknowledged(), 5);
        assert_eq!(tokens[3].origin(5), Origin { session: SessionId(2), serial: 4, acknowledged: 5 });
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

    #[test]
    fn a_token_is_read_as_it_is_shown() {
        let token = Token { session: SessionId(2), serial: 5 };
        assert_eq!(token.to_string(), "2.5");
        assert_eq!("2.5".parse(), Ok(token));
        for wrong in ["", "2", "2.", ".5", "2.5.1", "+2.5", "x.5", "2,5"] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong:?} is no token");
        }
    }
}
