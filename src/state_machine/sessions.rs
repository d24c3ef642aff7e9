//! Clients' sessions: a command that arrives twice is carried out once (section 8; dissertation 6.3).
//!
//! A client numbers its commands and repeats one, under its number, until it is answered. The table keeps each answer
//! until the client says that it has it. Numbers may come out of order and with gaps, because a client may have many
//! commands under way at once.
//!
//! The table is part of the replicated state: it changes only by applied entries and never by a clock, so every
//! replica holds the same. It does not shrink by clients that go silent; sessions do not expire yet. When they do, the
//! log must decide that, as it decides everything here.

use std::collections::BTreeMap;

use crate::payload::Payload;
use crate::raft::log::Origin;
use crate::types::{ClientId, EntryId, Serial};

/// All clients' sessions.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    by_client: BTreeMap<ClientId, Session>,
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
    /// The client has acknowledged its answer, which is no longer kept: it must not be carried out again.
    Forgotten,
}

/// One client's session.
#[derive(Clone, Debug, Default)]
struct Session {
    /// The client has every answer below this serial. It never goes back, however late an older mark arrives.
    acknowledged: Serial,
    /// The answers from `acknowledged` on, with the entry that gave each.
    answers: BTreeMap<Serial, (EntryId, Payload)>,
}

impl Sessions {
    /// Takes in what the client acknowledges with this command, then tells where the command stands.
    pub fn look_up(&mut self, origin: Origin) -> Standing {
        let session = self.by_client.entry(origin.client).or_default();
        session.acknowledge(origin.acknowledged);
        if origin.serial < session.acknowledged {
            return Standing::Forgotten;
        }
        match session.answers.get(&origin.serial) {
            Some((entry, answer)) => Standing::Answered { entry: *entry, answer: answer.clone() },
            None => Standing::Fresh,
        }
    }

    /// Keeps the answer to a command that was fresh and has just been carried out by this entry.
    pub fn record(&mut self, origin: Origin, entry: EntryId, answer: Payload) {
        let session = self.by_client.entry(origin.client).or_default();
        assert!(origin.serial >= session.acknowledged, "an acknowledged command is never carried out again");
        let before = session.answers.insert(origin.serial, (entry, answer));
        assert!(before.is_none(), "a command is carried out once (section 8)");
    }

    /// How many clients have a session.
    pub fn clients(&self) -> usize {
        self.by_client.len()
    }

    /// How many answers are kept, over all clients.
    pub fn answers(&self) -> usize {
        self.by_client.values().map(|session| session.answers.len()).sum()
    }
}

impl Session {
    fn acknowledge(&mut self, mark: Serial) {
        if mark > self.acknowledged {
            self.acknowledged = mark;
            self.answers = self.answers.split_off(&mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LogIndex, Term};

    fn origin(serial: Serial, acknowledged: Serial) -> Origin {
        Origin { client: ClientId(7), serial, acknowledged }
    }

    fn id(index: u64) -> EntryId {
        EntryId::new(Term(1), LogIndex(index))
    }

    fn carry_out(sessions: &mut Sessions, index: u64, origin: Origin) {
        assert_eq!(sessions.look_up(origin), Standing::Fresh);
        sessions.record(origin, id(index), Payload::new(index));
    }

    fn answered(index: u64) -> Standing {
        Standing::Answered { entry: id(index), answer: Payload::new(index) }
    }

    #[test]
    fn serials_may_come_out_of_order_and_with_gaps() {
        let mut sessions = Sessions::default();
        carry_out(&mut sessions, 1, origin(5, 1));
        carry_out(&mut sessions, 2, origin(2, 1));
        carry_out(&mut sessions, 3, origin(9, 1));
        assert_eq!(sessions.look_up(origin(5, 1)), answered(1));
        assert_eq!(sessions.look_up(origin(2, 1)), answered(2));
        assert_eq!(sessions.look_up(origin(3, 1)), Standing::Fresh, "a gap is no repetition");
    }

    #[test]
    fn an_acknowledgment_drops_the_answers_below_it() {
        let mut sessions = Sessions::default();
        for serial in 1..=4 {
            carry_out(&mut sessions, serial, origin(serial, 1));
        }
        carry_out(&mut sessions, 5, origin(5, 4));
        assert_eq!(sessions.answers(), 2, "4 and 5 are left");
        assert_eq!(sessions.look_up(origin(3, 1)), Standing::Forgotten);
        assert_eq!(sessions.look_up(origin(4, 1)), answered(4));
    }

    #[test]
    fn an_older_mark_brings_nothing_back() {
        let mut sessions = Sessions::default();
        carry_out(&mut sessions, 1, origin(8, 8));
        assert_eq!(sessions.look_up(origin(7, 1)), Standing::Forgotten, "the mark stays at 8");
    }

    #[test]
    fn a_command_below_its_own_mark_is_not_carried_out() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.look_up(origin(3, 5)), Standing::Forgotten);
    }

    #[test]
    fn each_client_has_its_own_numbers() {
        let mut sessions = Sessions::default();
        carry_out(&mut sessions, 1, origin(1, 1));
        let other = Origin { client: ClientId(8), serial: 1, acknowledged: 1 };
        assert_eq!(sessions.look_up(other), Standing::Fresh);
        assert_eq!(sessions.clients(), 2);
    }
}
