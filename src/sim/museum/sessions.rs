//! Defects of the clients' sessions (section 8; 6.3 of the dissertation): what a table must not forget, on any replica.

use std::cmp::Reverse;
use std::sync::Arc;

use super::Hook::{Adopting, Applying, Saving};
use super::Specimen;
use crate::raft::entry::{Content, Entry, Origin};
use crate::sim::seeds::Family;
use crate::state_machine::kv::KeyValue;
use crate::state_machine::sessions::{Session, Sessions, Settled};
use crate::state_machine::{Applied, Machine, Replica};
use crate::types::{ClientId, LogIndex};

const SECTION: &str = "8; 6.3 of the dissertation";

/// What replicas that do not agree on a session come to, and clients that are served twice.
const TWICE: &[&str] =
    &["exactly once", "state machine safety", "snapshot", "linearizable", "only one client creates", "own."];

/// Catches a table that a restart or an install changed.
const RESTORED: &[&str] =
    &["exactly once", "state machine safety", "snapshot", "nodes that applied", "linearizable", "own."];

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("settle-forgotten", SECTION)
        .defect("a command that its client was told is given up is applied when a late copy arrives")
        .hook(Applying(forget_settled))
        .caught(Family::Sessions, 3, TWICE),
    Specimen::new("acknowledgment-goes-back", SECTION)
        .defect("a late command with an older acknowledgment lets acknowledged commands be applied again")
        .hook(Applying(acknowledge_less))
        .caught(Family::Sessions, 1, TWICE),
    Specimen::new("forgotten-answer-means-fresh", SECTION)
        .defect("a command whose answer fell out of its session's window is applied again")
        .hook(Applying(forget_without_mark))
        .caught(Family::Sessions, 1, TWICE),
    Specimen::new("newest-serial-alone", SECTION)
        .defect("a session knows only the newest command, and takes earlier ones of it for repetitions")
        .hook(Applying(know_newest))
        .caught(Family::Sessions, 1, TWICE),
    Specimen::new("expired-session-reopened", SECTION)
        .defect("a command of an expired session opens it again and is applied")
        .hook(Applying(reopen))
        .caught(Family::Sessions, 1, TWICE),
    Specimen::new("opening-replaces-session", SECTION)
        .defect("a late copy of the request for a session ends the session that its client uses")
        .hook(Applying(open_instead))
        .caught(Family::Sessions, 5, TWICE),
    Specimen::new("use-not-noted", SECTION)
        .defect("the session that was opened first expires, however lately it was used")
        .hook(Applying(note_no_use))
        .caught(Family::Sessions, 1, TWICE),
    Specimen::new("answers-not-saved", SECTION)
        .defect("a snapshot holds the sessions and not what became of their commands")
        .hook(Saving(forget_answers))
        .caught(Family::Sessions, 1, &["snapshot"]),
    Specimen::new("answers-not-restored", SECTION)
        .defect("a start from a snapshot restores the sessions and not what became of their commands")
        .hook(Adopting(forget_answers))
        .caught(Family::Sessions, 1, RESTORED),
    Specimen::new("given-up-not-restored", SECTION)
        .defect("a node that starts from a snapshot does not know which commands were given up")
        .hook(Adopting(forget_given_up))
        .caught(Family::Sessions, 3, RESTORED),
    Specimen::new("acknowledgments-not-restored", SECTION)
        .defect("a node that starts from a snapshot does not know which commands were acknowledged")
        .hook(Adopting(forget_acknowledgments))
        .caught(Family::Sessions, 1, RESTORED),
    Specimen::new("use-not-restored", SECTION)
        .defect("after a snapshot sessions expire in another order than on replicas that applied the log")
        .hook(Adopting(forget_use))
        .caught(Family::Sessions, 1, RESTORED),
];

fn named(entry: &Entry) -> Option<Origin> {
    match &entry.content {
        Content::Command { origin, .. } | Content::Settle { origin } => Some(*origin),
        Content::NoOp | Content::Open { .. } | Content::Members(_) => None,
    }
}

fn session(sessions: &mut Sessions, origin: Origin) -> Option<&mut Session> {
    sessions.by_id.get_mut(&origin.session).map(Arc::make_mut)
}

fn every(sessions: &mut Sessions) -> impl Iterator<Item = &mut Session> {
    sessions.by_id.values_mut().map(Arc::make_mut)
}

fn forget_settled(replica: &mut Replica<KeyValue>, entry: &Entry) -> Applied {
    let applied = replica.apply(entry);
    if let (Content::Settle { origin }, Applied::GivenUp) = (&entry.content, &applied)
        && let Some(session) = session(&mut replica.sessions, *origin)
    {
        session.settled.remove(origin.serial);
    }
    applied
}

fn acknowledge_less(replica: &mut Replica<KeyValue>, entry: &Entry) -> Applied {
    if let Some(origin) = named(entry)
        && let Some(session) = session(&mut replica.sessions, origin)
    {
        session.acknowledged = session.acknowledged.min(origin.acknowledged);
    }
    replica.apply(entry)
}

fn forget_without_mark(replica: &mut Replica<KeyValue>, entry: &Entry) -> Applied {
    let Some(origin) = named(entry) else { return replica.apply(entry) };
    let before = session(&mut replica.sessions, origin).map(|session| session.acknowledged);
    let applied = replica.apply(entry);
    if let (Some(before), Some(session)) = (before, session(&mut replica.sessions, origin)) {
        session.acknowledged = before.max(origin.acknowledged);
    }
    applied
}

fn know_newest(replica: &mut Replica<KeyValue>, entry: &Entry) -> Applied {
    let applied = replica.apply(entry);
    if let Some(session) = named(entry).and_then(|origin| session(&mut replica.sessions, origin)) {
        while session.settled.len() > 1 {
            let (oldest, settled) = session.settled.pop_first().expect("there are two");
            session.bytes -= settled.bytes();
            session.acknowledged = oldest + 1;
        }
    }
    applied
}

fn reopen(replica: &mut Replica<KeyValue>, entry: &Entry) -> Applied {
    if let (Content::Command { .. }, Some(origin)) = (&entry.content, named(entry))
        && replica.sessions.look_up(entry.index, origin) == Some(Applied::Expired)
        && origin.session.0 > 0
    {
        let opened = Session::new(ClientId(0), entry.index);
        replica.sessions.by_id.insert(origin.session, Arc::new(opened));
        replica.sessions.by_use.push(Reverse((entry.index, origin.session)));
    }
    replica.apply(entry)
}

fn open_instead(replica: &mut Replica<KeyValue>, entry: &Entry) -> Applied {
    if let Content::Open { client, .. } = &entry.content {
        let sessions = &mut replica.sessions;
        sessions.by_id.retain(|_, session| session.client != *client);
        let left = &sessions.by_id;
        sessions.by_use.retain(|Reverse((_, id))| left.contains_key(id));
    }
    replica.apply(entry)
}

fn note_no_use(replica: &mut Replica<KeyValue>, entry: &Entry) -> Applied {
    let applied = replica.apply(entry);
    if let Some(origin) = named(entry)
        && let Some(session) = session(&mut replica.sessions, origin)
    {
        session.used = LogIndex(origin.session.0);
    }
    applied
}

fn forget_answers(sessions: &mut Sessions) {
    for session in every(sessions) {
        while session.settled.pop_first().is_some() {}
        session.bytes = 0;
    }
}

fn forget_given_up(sessions: &mut Sessions) {
    for session in every(sessions) {
        let given_up = session.settled.iter().filter(|(_, settled)| **settled == Settled::GivenUp);
        let given_up: Vec<_> = given_up.map(|(serial, _)| serial).collect();
        for serial in given_up {
            session.settled.remove(serial);
        }
    }
}

fn forget_acknowledgments(sessions: &mut Sessions) {
    for session in every(sessions) {
        session.acknowledged = 0;
    }
}

fn forget_use(sessions: &mut Sessions) {
    let mut by_use = Vec::new();
    for (id, session) in &mut sessions.by_id {
        Arc::make_mut(session).used = LogIndex(id.0);
        by_use.push(Reverse((LogIndex(id.0), *id)));
    }
    sessions.by_use = by_use.into();
}
