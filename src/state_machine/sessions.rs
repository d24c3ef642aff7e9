//! Clients' sessions: a command that arrives twice is carried out once (section 8; dissertation 6.3).
//!
//! A client opens a session with an entry of its own, numbers its commands in it and repeats one, under its number,
//! until it is answered. The table keeps each answer until the client says that it needs it no more. Numbers may come
//! out of order and with gaps, because a client may have many commands under way at once.
//!
//! The table is part of the replicated state: it changes only by applied entries and never by a clock, so every
//! replica holds the same. It is bounded. Of a session it keeps the answers to a window of commands; and when more
//! sessions are opened than the log allows, the one that was used least recently expires. A command of an expired
//! session is never carried out: nobody can tell any more whether it was before.

use std::collections::BTreeMap;

use crate::payload::Payload;
use crate::raft::log::Origin;
use crate::types::{ClientId, EntryId, LogIndex, Serial, SessionId};

/// How many answers a session keeps: a client has no more commands than this unanswered or unsettled. Of one that
/// has, the oldest answers are forgotten.
pub const WINDOW: u64 = 4_096;

/// All clients' sessions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sessions {
    by_id: BTreeMap<SessionId, Session>,
}

/// Where a command stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It was not carried out yet.
    Fresh,
    /// It was carried out.
    Answered {
        /// The entry that carried it out.
        entry: EntryId,
        /// The answer it got then.
        answer: Payload,
    },
    /// The client asked what had become of it when nothing had: it must not be carried out any more.
    GivenUp,
    /// The client needs its answer no more, which is no longer kept: it must not be carried out again.
    Forgotten,
    /// Its session is not there, any more or at all.
    Expired,
}

/// One client's session.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Session {
    client: ClientId,
    /// The entry that used it last.
    used: LogIndex,
    /// The client needs no answer below this serial. It never goes back, however late an older mark arrives.
    acknowledged: Serial,
    /// What is known of the commands from `acknowledged` on.
    settled: BTreeMap<Serial, Settled>,
}

/// What became of a command, once and for all.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Settled {
    /// This entry carried it out, with this answer.
    Answered(EntryId, Payload),
    /// It will not be carried out.
    GivenUp,
}

impl Sessions {
    /// Opens a session for this client, named by the entry that asks for it. Of more than `sessions_max`, those that
    /// were used least recently expire.
    pub fn open(&mut self, index: LogIndex, client: ClientId, sessions_max: u64) -> SessionId {
        let id = SessionId(index.0);
        let session = Session { client, used: index, acknowledged: 0, settled: BTreeMap::new() };
        let before = self.by_id.insert(id, session);
        assert!(before.is_none(), "an entry opens one session (6.3)");
        // The one that was opened just now is never the least recent.
        while self.by_id.len() as u64 > sessions_max.max(1) {
            let least = self.by_id.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id);
            self.by_id.remove(&least.expect("there are too many, so there is one"));
        }
        id
    }

    /// An entry at this index names a command: takes in what its client acknowledges with it, then tells where the
    /// command stands.
    pub fn look_up(&mut self, index: LogIndex, origin: Origin) -> Standing {
        let Some(session) = self.by_id.get_mut(&origin.session) else { return Standing::Expired };
        session.used = index;
        session.acknowledge(origin.acknowledged);
        if origin.serial < session.acknowledged {
            return Standing::Forgotten;
        }
        match session.settled.get(&origin.serial) {
            Some(Settled::Answered(entry, answer)) => {
                Standing::Answered { entry: *entry, answer: answer.clone() }
            }
            Some(Settled::GivenUp) => Standing::GivenUp,
            None => Standing::Fresh,
        }
    }

    /// Keeps the answer to a command that was fresh and has just been carried out by this entry.
    pub fn record(&mut self, origin: Origin, entry: EntryId, answer: Payload) {
        self.settle(origin, Settled::Answered(entry, answer));
    }

    /// Notes that a command that was fresh will not be carried out.
    pub fn give_up(&mut self, origin: Origin) {
        self.settle(origin, Settled::GivenUp);
    }

    /// How many sessions are open.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// How many answers are kept, over all clients.
    pub fn answers(&self) -> usize {
        self.by_id.values().map(|session| session.settled.len()).sum()
    }

    fn settle(&mut self, origin: Origin, settled: Settled) {
        let session = self.by_id.get_mut(&origin.session).expect("a command that is fresh has its session");
        assert!(origin.serial >= session.acknowledged, "an acknowledged command is never carried out again");
        let before = session.settled.insert(origin.serial, settled);
        assert!(before.is_none(), "a command is carried out once (section 8)");
        if session.settled.len() as u64 > WINDOW
            && let Some((oldest, _)) = session.settled.pop_first()
        {
            session.acknowledged = oldest + 1;
        }
    }
}

impl Session {
    fn acknowledge(&mut self, mark: Serial) {
        if mark > self.acknowledged {
            self.acknowledged = mark;
            while let Some(oldest) = self.settled.first_entry()
                && *oldest.key() < mark
            {
                oldest.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Term;

    const SESSION: SessionId = SessionId(1);

    fn origin(serial: Serial, acknowledged: Serial) -> Origin {
        Origin { session: SESSION, serial, acknowledged }
    }

    fn id(index: u64) -> EntryId {
        EntryId::new(Term(1), LogIndex(index))
    }

    /// One session, opened by the first entry.
    fn opened() -> Sessions {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.open(LogIndex(1), ClientId(7), 10), SESSION);
        sessions
    }

    fn carry_out(sessions: &mut Sessions, index: u64, origin: Origin) {
        assert_eq!(sessions.look_up(LogIndex(index), origin), Standing::Fresh);
        sessions.record(origin, id(index), Payload::new(index));
    }

    fn answered(index: u64) -> Standing {
        Standing::Answered { entry: id(index), answer: Payload::new(index) }
    }

    #[test]
    fn serials_may_come_out_of_order_and_with_gaps() {
        let mut sessions = opened();
        carry_out(&mut sessions, 2, origin(5, 1));
        carry_out(&mut sessions, 3, origin(2, 1));
        carry_out(&mut sessions, 4, origin(9, 1));
        assert_eq!(sessions.look_up(LogIndex(5), origin(5, 1)), answered(2));
        assert_eq!(sessions.look_up(LogIndex(6), origin(2, 1)), answered(3));
        assert_eq!(sessions.look_up(LogIndex(7), origin(3, 1)), Standing::Fresh, "a gap is no repetition");
    }

    #[test]
    fn an_acknowledgment_drops_the_answers_below_it() {
        let mut sessions = opened();
        for serial in 1..=4 {
            carry_out(&mut sessions, serial + 1, origin(serial, 1));
        }
        carry_out(&mut sessions, 6, origin(5, 4));
        assert_eq!(sessions.answers(), 2, "4 and 5 are left");
        assert_eq!(sessions.look_up(LogIndex(7), origin(3, 1)), Standing::Forgotten);
        assert_eq!(sessions.look_up(LogIndex(8), origin(4, 1)), answered(5));
    }

    #[test]
    fn an_older_mark_brings_nothing_back() {
        let mut sessions = opened();
        carry_out(&mut sessions, 2, origin(8, 8));
        assert_eq!(sessions.look_up(LogIndex(3), origin(7, 1)), Standing::Forgotten, "the mark stays at 8");
    }

    #[test]
    fn a_command_below_its_own_mark_is_not_carried_out() {
        assert_eq!(opened().look_up(LogIndex(2), origin(3, 5)), Standing::Forgotten);
    }

    #[test]
    fn each_session_has_its_own_numbers() {
        let mut sessions = opened();
        carry_out(&mut sessions, 2, origin(1, 1));
        let session = sessions.open(LogIndex(3), ClientId(7), 10);
        let other = Origin { session, ..origin(1, 1) };
        assert_eq!(sessions.look_up(LogIndex(4), other), Standing::Fresh, "though its client is the same");
        assert_eq!(sessions.count(), 2);
    }

    #[test]
    fn a_command_that_was_given_up_is_never_carried_out() {
        let mut sessions = opened();
        assert_eq!(sessions.look_up(LogIndex(2), origin(1, 1)), Standing::Fresh);
        sessions.give_up(origin(1, 1));
        assert_eq!(sessions.look_up(LogIndex(3), origin(1, 1)), Standing::GivenUp);
    }

    #[test]
    fn the_session_that_was_used_least_recently_expires() {
        let mut sessions = opened();
        let second = sessions.open(LogIndex(2), ClientId(8), 2);
        carry_out(&mut sessions, 3, origin(1, 1));
        sessions.open(LogIndex(4), ClientId(9), 2);
        assert_eq!(sessions.look_up(LogIndex(5), origin(1, 1)), answered(3), "it was used at 3");
        let other = Origin { session: second, ..origin(1, 1) };
        assert_eq!(sessions.look_up(LogIndex(6), other), Standing::Expired, "it was not used since 2");
        assert_eq!(sessions.count(), 2);
    }

    #[test]
    fn a_session_that_was_never_opened_carries_nothing_out() {
        assert_eq!(Sessions::default().look_up(LogIndex(1), origin(1, 1)), Standing::Expired);
    }

    #[test]
    fn the_answers_kept_are_bounded_whatever_the_client_acknowledges() {
        let mut sessions = opened();
        for serial in 1..=WINDOW + 3 {
            carry_out(&mut sessions, serial + 1, origin(serial, 1));
        }
        assert_eq!(sessions.answers() as u64, WINDOW);
        assert_eq!(sessions.look_up(LogIndex(9_000), origin(3, 1)), Standing::Forgotten);
        assert_eq!(sessions.look_up(LogIndex(9_001), origin(4, 1)), answered(5));
    }
}
