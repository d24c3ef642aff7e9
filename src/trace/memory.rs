//! Memory: what is kept of a run so that it can be explained later.
//!
//! For each node its elections and faults are kept longest, and of the entries' ways the newest. A lock a node, so that no node
//! waits for another.

use std::collections::{BTreeMap, VecDeque};

use log::Level;
use parking_lot::Mutex;

use super::{TraceEvent, What};
use crate::protocol::Call;
use crate::raft::event::Event;
use crate::types::{ClientId, LogIndex, NODES_MAX, NodeId, Serial, SessionId, Time};

/// Elections, faults and the like that are kept of a node.
const TURNS_MAX: usize = 2_000;

/// Events about entries that are kept of a node, and requests of clients.
const ENTRIES_MAX: usize = 4_096;

/// Keeps what explains a run.
#[derive(Debug)]
pub struct Memory(Vec<Mutex<Kept>>);

/// What is kept of one node.
#[derive(Debug, Default)]
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    pub event: TraceEvent,
    /// Which leader the node had last heard, and when.
    pub heard: Option<(NodeId, Time)>,
}

/// A client's command that reached a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    pub time: Time,
    pub node: NodeId,
    pub client: ClientId,
    pub session: SessionId,
    pub serial: Serial,
}

/// What is remembered of all nodes, in the order of time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remembered {
    pub moments: Vec<Moment>,
    pub requests: Vec<Asked>,
    /// Of what happened to entries before this, something is forgotten.
    pub since: Time,
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
            What::State(_) | What::Raft(Event::AppendSent { count: 0, .. }) => {}
            What::RequestReceived { client, call: Call::Command { origin, .. } } => {
                let (time, node) = (event.time, event.node);
                let (session, serial) = (origin.session, origin.serial);
                kept.lock().ask(Asked { time, node, client: *client, session, serial });
            }
            what if what.message().is_some() => {}
            What::Raft(Event::AppendReceived { from, count: 0, .. }) => {
                kept.lock().heard = Some((*from, event.time));
            }
            _ if event.level() <= Level::Info => kept.lock().turn(event),
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
        all.moments.sort_by_key(|moment| moment.event.time);
        all.requests.sort_by_key(|asked| asked.time);
        all
    }
}

impl Kept {
    fn turn(&mut self, event: &TraceEvent) {
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
