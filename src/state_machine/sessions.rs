//! Clients' sessions: a command that arrives twice is applied once (section 8; D 6.3).
//!
//! A client opens a session with an entry of its own, numbers its commands in it and repeats each, under its number, until
//! it is answered. The table keeps each answer until the client acknowledges it. Numbers may come out of order and with
//! gaps, because a client may have many commands under way at once.
//!
//! The table is part of the replicated state: it changes only by applied entries and never by a clock, so every
//! replica holds the same. It is bounded. For each session it keeps the answers to a window of commands, up to a number of
//! bytes; and when more sessions are opened than the log allows, the least recently used one expires. A command of an
//! expired session is never applied: it is no longer known whether it was before.
//!
//! A copy of the table shares the sessions, and the first change of either table copies the one session that it concerns:
//! so an image of the table is cheap, and does not change.

#[cfg(test)]
mod tests;
mod text;

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::text::StoredAnswer;
use super::Applied;
use crate::ascending::Ascending;
use crate::payload::Payload;
use crate::raft::entry::Origin;
use crate::types::{ClientId, EntryId, Epoch, LogIndex, Serial, SessionId};

/// How many answers a session keeps: a client has at most this many commands unanswered or unsettled. Of more, the oldest
/// answers are forgotten.
pub const WINDOW: u64 = 4_096;

/// The most bytes of text that the answers of a session have together. Of more, the oldest are forgotten; the answer to the
/// newest command is always kept.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The bounds of what a session keeps. All replicas of a cluster must have the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    pub answers: u64,
    /// How many bytes of text they have together.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { answers: WINDOW, bytes: ANSWER_BYTES_MAX }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Sessions {
    bounds: Bounds,
    /// None in the first.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) by_id: BTreeMap<SessionId, Arc<Session>>,
    /// Each session once, the one with the smallest index first. The index is an entry that used it, not always the
    /// last one: it is updated when a session must expire, so that a command costs nothing here.
    pub(crate) by_use: BinaryHeap<Reverse<(LogIndex, SessionId)>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    pub(crate) client: ClientId,
    pub(crate) used: LogIndex,
    /// The client needs no answer below this serial. It never decreases, even if an older mark arrives late.
    pub(crate) acknowledged: Serial,
    /// What is known of the commands from `acknowledged` on.
    pub(crate) settled: Ascending<Serial, Settled>,
    /// How many bytes of text these answers have together.
    pub(crate) bytes: usize,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Settled {
    /// This entry carried it out, with this answer.
    Answered {
        entry: EntryId,
        answer: StoredAnswer,
    },
    GivenUp,
}

impl Sessions {
    /// No session, with these bounds for each. Only the simulator has other bounds than the default.
    pub fn new(bounds: Bounds) -> Sessions {
        Sessions { bounds, ..Sessions::default() }
    }

    /// These sessions, with the bounds of the table that they replace.
    #[must_use]
    pub fn in_place_of(self, before: &Sessions) -> Sessions {
        Sessions { bounds: before.bounds, ..self }
    }

    /// A configuration of this epoch was applied. With a later one than before all sessions end: entries that their clients
    /// were told of may be lost, and others may have their places.
    pub fn enter(&mut self, epoch: Option<Epoch>) {
        if epoch > self.epoch {
            *self = Sessions { epoch, bounds: self.bounds, ..Sessions::default() };
        }
    }

    /// Opens a session for this client, named by the entry that asks for it. Of more than `sessions_max`, those that
    /// were used least recently expire.
    pub fn open(&mut self, index: LogIndex, client: ClientId, sessions_max: u64) -> SessionId {
        let id = SessionId::new(self.epoch.unwrap_or(Epoch::FIRST), index);
        let before = self.by_id.insert(id, Arc::new(Session::new(client, index)));
        assert!(before.is_none(), "an entry opens one session (D 6.3)");
        self.by_use.push(Reverse((index, id)));
        // The newest session is never the least recently used.
        while self.by_id.len() as u64 > sessions_max.max(1) {
            self.expire_least_recent();
        }
        id
    }

    /// An entry at this index names a command: takes in what its client acknowledges with it, then returns what became of the
    /// command; none if it is to be applied now.
    pub fn look_up(&mut self, index: LogIndex, origin: Origin) -> Option<Applied> {
        let Some(session) = self.by_id.get_mut(&origin.session) else {
            let lost = self.epoch.filter(|epoch| origin.session.epoch() < *epoch);
            return Some(lost.map_or(Applied::Expired, |epoch| Applied::Lost { epoch }));
        };
        let session = Arc::make_mut(session);
        session.used = index;
        session.acknowledge(origin.acknowledged);
        if origin.serial < session.acknowledged {
            return Some(Applied::Forgotten);
        }
        session.settled.get(origin.serial).map(|settled| match settled {
            Settled::Answered { entry, answer } => {
                Applied::Answered { entry: *entry, answer: answer.payload.clone() }
            }
            Settled::GivenUp => Applied::GivenUp,
        })
    }

    /// Keeps the answer to a command that this entry has just applied. `bytes` is the length of the answer's text.
    ///
    /// The caller, which has the answer as a value, counts it in a few nanoseconds without making the text. It must be the
    /// exact length: a replica that starts from an image has only the text, and must forget what the others forget.
    pub fn record(&mut self, origin: Origin, entry: EntryId, answer: Payload, bytes: usize) {
        self.settle(origin, Settled::Answered { entry, answer: StoredAnswer { payload: answer, bytes } });
    }

    /// Notes that a command will never be applied.
    pub fn give_up(&mut self, origin: Origin) {
        self.settle(origin, Settled::GivenUp);
    }

    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// How many answers are kept, over all clients.
    pub fn answers(&self) -> usize {
        self.by_id.values().map(|session| session.settled.len()).sum()
    }

    /// The entry that used any of them last; zero when there is none.
    pub fn last_used(&self) -> LogIndex {
        self.by_id.values().map(|session| session.used).max().unwrap_or_default()
    }

    fn settle(&mut self, origin: Origin, settled: Settled) {
        let session = self.by_id.get_mut(&origin.session).expect("a command that is fresh has its session");
        Arc::make_mut(session).settle(origin.serial, settled, self.bounds);
    }

    fn expire_least_recent(&mut self) {
        loop {
            let mut least = self.by_use.peek_mut().expect("each session stands in the order of use");
            let Reverse((noted, id)) = &mut *least;
            let used = self.by_id[id].used;
            if *noted == used {
                self.by_id.remove(id);
                PeekMut::pop(least);
                return;
            }
            // It was used since: it takes its true place. All others were used no earlier than noted.
            *noted = used;
        }
    }
}

/// The order of use is updated at different times on different replicas, so it does not count.
impl PartialEq for Sessions {
    fn eq(&self, other: &Sessions) -> bool {
        self.by_id == other.by_id
    }
}

impl Eq for Sessions {}

impl Session {
    pub(crate) fn new(client: ClientId, opened: LogIndex) -> Session {
        Session { client, used: opened, acknowledged: 0, settled: Ascending::default(), bytes: 0 }
    }

    fn acknowledge(&mut self, mark: Serial) {
        if mark > self.acknowledged {
            self.acknowledged = mark;
            while self.settled.first_key().is_some_and(|oldest| oldest < mark) {
                self.forget_oldest();
            }
        }
    }

    fn settle(&mut self, serial: Serial, settled: Settled, bounds: Bounds) {
        assert!(serial >= self.acknowledged, "an acknowledged command is never applied again");
        self.bytes += settled.bytes();
        let before = self.settled.insert(serial, settled);
        assert!(before.is_none(), "a command is applied once (section 8)");
        while self.settled.len() as u64 > bounds.answers
            || (self.bytes > bounds.bytes && self.settled.len() > 1)
        {
            self.acknowledged = self.forget_oldest() + 1;
        }
    }

    /// Forgets the outcome of the oldest command that has one, and returns its serial.
    fn forget_oldest(&mut self) -> Serial {
        let (oldest, settled) = self.settled.pop_first().expect("the caller has seen that there is one");
        self.bytes -= settled.bytes();
        oldest
    }
}

impl Settled {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Settled::Answered { answer, .. } => answer.bytes,
            Settled::GivenUp => 0,
        }
    }
}
