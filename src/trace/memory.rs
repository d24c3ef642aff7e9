//! Memory: what is kept of a run so that it can be explained later.
//!
//! For each node its elections and faults are kept longest, and of the entries' ways the newest. A lock a node, so that no node
//! waits for another.

mod subject;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use log::Level;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use self::subject::Subject;
use super::{TraceEvent, What};
use crate::protocol::Call;
use crate::raft::event::Event;
use crate::types::{ClientId, LogIndex, NODES_MAX, NodeId, Serial, SessionId, Time};

/// Elections, faults and the like that are kept of a node.
const TURNS_MAX: usize = 2_000;

/// Events about entries that are kept of a node, and requests of clients.
const ENTRIES_MAX: usize = 4_096;

/// By how much the same event of another process may have two times here.
const OWN_TIME_SLACK: Duration = Duration::from_millis(100);

/// Keeps what explains a run.
#[derive(Debug)]
pub struct Memory(Vec<Mutex<Kept>>);

/// What is kept of one node.
#[derive(Clone, Debug, Default)]
struct Kept {
    turns: VecDeque<Moment>,
    entries: VecDeque<Moment>,
    requests: VecDeque<Asked>,
    heard: Option<(NodeId, Time)>,
    matched: BTreeMap<NodeId, LogIndex>,
    /// All that explains entries is kept from here on.
    since: Time,
}

/// An event, and what only its time knew.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Moment {
    pub event: TraceEvent,
    /// Which leader the node had last heard, and when.
    pub heard: Option<(NodeId, Time)>,
}

/// A client's command that reached a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub time: Time,
    pub node: NodeId,
    pub client: ClientId,
    pub session: SessionId,
    pub serial: Serial,
}

/// What is remembered of all nodes, in the order of time.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Remembered {
    pub moments: Vec<Moment>,
    pub requests: Vec<Asked>,
    /// Of what happened to entries before this, something is forgotten.
    pub since: Time,
    /// When the time of the run began, by these times.
    #[serde(skip)]
    pub began: Time,
}

impl Clone for Memory {
    fn clone(&self) -> Memory {
        Memory(self.0.iter().map(|kept| Mutex::new(kept.lock().clone())).collect())
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory((0..=NODES_MAX).map(|_| Mutex::default()).collect())
    }
}

impl Memory {
    /// Keeps an event if it explains something.
    pub fn observe(&self, event: &TraceEvent) {
        let kept = &self.0[usize::from(event.node.number())];
        match &event.what {
            What::State(_)
            | What::Replied { .. }
            | What::RequestLost { .. }
            | What::ReplyLost { .. }
            | What::Raft(Event::AppendSent { count: 0, .. }) => {}
            What::RequestReceived { client, call: Call::Command { origin, .. }, .. } => {
                let (time, node) = (event.time, event.node);
                let (session, serial) = (origin.session, origin.serial);
                kept.lock().ask(Asked { time, node, client: *client, session, serial });
            }
            what if what.message().is_some() => {}
            What::Raft(Event::AppendReceived { from, count: 0, .. }) => {
                kept.lock().heard = Some((*from, event.time));
            }
            _ if is_turn(event) => kept.lock().turn(event),
            _ => kept.lock().entry(event),
        }
    }

    /// Keeps what another memory has, which takes what this one had.
    pub fn exchange(&self, other: &Memory) {
        for (own, other) in self.0.iter().zip(&other.0) {
            std::mem::swap(&mut *own.lock(), &mut *other.lock());
        }
    }

    /// All that is kept.
    pub fn remembered(&self) -> Remembered {
        let mut all = Remembered::default();
        for kept in &self.0 {
            let kept = kept.lock();
            all.moments.extend(kept.turns.iter().chain(&kept.entries).cloned());
            all.requests.extend(&kept.requests);
            all.since = all.since.max(kept.since);
        }
        all.sort();
        all
    }
}

impl Moment {
    /// Whether it is an election, a fault or the like.
    pub fn is_turn(&self) -> bool {
        is_turn(&self.event)
    }
}

fn is_turn(event: &TraceEvent) -> bool {
    event.level() <= Level::Info
}

impl Remembered {
    fn sort(&mut self) {
        self.moments.sort_by_key(|moment| moment.event.time);
        self.requests.sort_by_key(|asked| asked.time);
    }

    /// What a node's process has kept takes the place of what was heard of the node since that process began.
    pub fn replace(&mut self, node: NodeId, own: Remembered) {
        let Some(first) = own.moments.first() else { return };
        let began = first.event.time - OWN_TIME_SLACK;
        self.moments.retain(|moment| moment.event.node != node || moment.event.time < began);
        self.requests.retain(|asked| asked.node != node || asked.time < began);
        self.moments.extend(own.moments);
        self.requests.extend(own.requests);
        self.since = self.since.max(own.since);
        self.sort();
    }

    /// The same by another clock.
    #[must_use]
    pub fn by_clock(mut self, moved: impl Fn(Time) -> Time) -> Remembered {
        for moment in &mut self.moments {
            moment.event.time = moved(moment.event.time);
            moment.heard = moment.heard.map(|(leader, at)| (leader, moved(at)));
        }
        for asked in &mut self.requests {
            asked.time = moved(asked.time);
        }
        if self.since > Time::ZERO {
            self.since = moved(self.since);
        }
        self
    }
}

impl Kept {
    fn turn(&mut self, event: &TraceEvent) {
        if let What::Raft(Event::BecameLeader { .. }) = &event.what {
            // A new leader knows of no copy: the first answer of each follower tells it.
            self.matched.clear();
            // It hears itself from here on.
            self.heard = None;
        }
        if self.turns.len() == TURNS_MAX {
            self.turns.pop_front();
        }
        self.turns.push_back(Moment { event: event.clone(), heard: self.heard });
    }

    fn entry(&mut self, event: &TraceEvent) {
        if let What::Raft(Event::AppendReceived { from, .. }) = &event.what {
            self.heard = Some((*from, event.time));
        }
        if let What::Raft(Event::AppendSucceeded { from, matched }) = &event.what
            && self.matched.insert(*from, *matched) == Some(*matched)
        {
            // An answer that holds no more than the last one explains nothing.
            return;
        }
        if self.entries.len() == ENTRIES_MAX {
            self.since = self.entries.pop_front().map_or(self.since, |moment| moment.event.time);
        }
        self.entries.push_back(Moment { event: event.clone(), heard: None });
    }

    fn ask(&mut self, asked: Asked) {
        if self.requests.len() == ENTRIES_MAX {
            self.requests.pop_front();
        }
        self.requests.push_back(asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{EntryId, Term};

    fn told(memory: &Memory, millis: u64, event: Event) {
        let time = Time::from_nanos(millis * 1_000_000);
        memory.observe(&TraceEvent { time, node: NodeId::new(1), what: What::Raft(event) });
    }

    fn holds(matched: u64) -> Event {
        Event::AppendSucceeded { from: NodeId::new(2), matched: LogIndex(matched) }
    }

    fn kept(memory: &Memory) -> Vec<String> {
        memory.remembered().moments.iter().map(|moment| moment.event.to_string()).collect()
    }

    #[test]
    fn an_acknowledgement_that_repeats_is_kept_once_in_each_leadership() {
        let memory = Memory::default();
        for (millis, term) in [(1, 1), (10, 3)] {
            told(&memory, millis, Event::BecameLeader { term: Term(term) });
            told(&memory, millis + 1, holds(5));
            told(&memory, millis + 2, holds(5));
        }
        assert_eq!(
            kept(&memory),
            [
                "0.001000 n1 leads term 1",
                "0.002000 n1: n2 holds the log up to 5",
                "0.010000 n1 leads term 3",
                "0.011000 n1: n2 holds the log up to 5",
            ]
        );
    }

    #[test]
    fn elections_are_kept_when_entries_are_forgotten_and_it_is_said_from_when_all_is_there() {
        let memory = Memory::default();
        told(&memory, 0, Event::BecameLeader { term: Term(1) });
        for index in 1..=2 * ENTRIES_MAX as u64 {
            told(&memory, index, Event::CommitAdvanced { from: LogIndex(index - 1), to: LogIndex(index) });
        }
        let Remembered { moments, since, .. } = memory.remembered();
        assert_eq!(moments.len(), 1 + ENTRIES_MAX);
        assert_eq!(moments[0].event.what, What::Raft(Event::BecameLeader { term: Term(1) }));
        assert!(since > Time::ZERO && since < moments[1].event.time);
    }

    #[test]
    fn what_a_process_kept_replaces_what_was_heard_of_its_node() {
        let (console, process) = (Memory::default(), Memory::default());
        told(&console, 10, Event::BecameLeader { term: Term(1) });
        told(&console, 5_000, Event::BecameLeader { term: Term(3) });
        // Its clock began 4 s later.
        told(&process, 1_010, Event::BecameLeader { term: Term(3) });
        told(&process, 1_020, holds(5));
        let mut known = console.remembered();
        let own = process.remembered().by_clock(|time| time + Duration::from_secs(4));
        known.replace(NodeId::new(1), own);
        let sentences: Vec<String> = known.moments.iter().map(|moment| moment.event.to_string()).collect();
        assert_eq!(
            sentences,
            ["0.010000 n1 leads term 1", "5.010000 n1 leads term 3", "5.020000 n1: n2 holds the log up to 5"]
        );
    }

    #[test]
    fn who_was_heard_last_stands_with_the_question_for_votes() {
        let memory = Memory::default();
        let outcome = crate::raft::event::AppendOutcome::Heartbeat;
        let heartbeat =
            Event::AppendReceived { from: NodeId::new(3), prev: EntryId::ZERO, count: 0, outcome };
        told(&memory, 5, heartbeat);
        told(&memory, 300, Event::PreVoteStarted { next_term: Term(2) });
        let Remembered { moments, .. } = memory.remembered();
        assert_eq!(moments[0].heard, Some((NodeId::new(3), Time::from_nanos(5_000_000))));
    }
}
