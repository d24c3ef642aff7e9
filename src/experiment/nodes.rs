//! What the nodes of a run were: as the cluster tells when its messages are watched, else from its leaders and from a look
//! at the nodes now and then, which costs the run nothing.

use std::collections::BTreeMap;

use super::bench::Bench;
use crate::cluster::{LeadershipChange, LeadershipKind};
use crate::lab::Life;
use crate::raft::event::{Event, StepDownReason};
use crate::trace::{Recorded, Recording, TraceEvent, What};
use crate::types::{EntryId, NodeId, Term, Time};

pub(super) struct Nodes {
    recording: Recording,
    /// The cluster tells everything by itself.
    is_told: bool,
    /// What each node was when it was last looked at.
    lives: BTreeMap<NodeId, Life>,
}

impl Nodes {
    pub(super) fn new(recording: Recording, is_told: bool) -> Nodes {
        Nodes { recording, is_told, lives: BTreeMap::new() }
    }

    /// Notes which nodes went down, came back or were paused, came or went.
    pub(super) fn look(&mut self, cluster: &impl Bench) {
        if self.is_told {
            return;
        }
        let is_first_look = self.lives.is_empty();
        let here = cluster.nodes();
        let gone: Vec<NodeId> = self.lives.keys().copied().filter(|node| !here.contains(node)).collect();
        for node in gone {
            if !matches!(self.lives.remove(&node), Some(Life::Down(_))) {
                self.tell(cluster.now(), node, What::Stopped);
            }
        }
        for node in here {
            let life = match cluster.life(node) {
                None => continue,
                // A page knows one kind of pause.
                Some(Life::Frozen(_) | Life::Silent(_)) => Life::Paused,
                Some(life) => life,
            };
            let before = match self.lives.insert(node, life.clone()) {
                Some(before) => before,
                None if is_first_look => Life::Up,
                None => {
                    self.tell(cluster.now(), node, What::Added);
                    Life::Down(String::new())
                }
            };
            if before == life {
                continue;
            }
            let (term, last) = (Term(0), EntryId::ZERO);
            let started = What::Started { term, vote: None, last, fresh: false, repaired: None };
            let what = match (before, life) {
                (_, Life::Down(_)) => What::Crashed { power: false },
                (_, Life::Paused | Life::Frozen(_) | Life::Silent(_)) => What::Paused,
                (Life::Paused, Life::Up) => What::Resumed,
                (_, Life::Up) => started,
            };
            self.tell(cluster.now(), node, what);
        }
    }

    /// Notes a change of the leader.
    pub(super) fn note(&mut self, change: LeadershipChange) {
        let LeadershipChange { kind, node, term, time } = change;
        if self.is_told {
            return;
        }
        let reason = StepDownReason::NewerTerm(term);
        let stepped_down = || What::Raft(Event::SteppedDown { term, led: true, reason });
        match kind {
            LeadershipKind::Lost => self.tell(time, node, stepped_down()),
            LeadershipKind::Gained => self.tell(time, node, What::Raft(Event::BecameLeader { term })),
            LeadershipKind::Changed { before } => {
                if before != node {
                    self.tell(time, before, stepped_down());
                }
                self.tell(time, node, What::Raft(Event::BecameLeader { term }));
            }
        }
    }

    fn tell(&self, time: Time, node: NodeId, what: What) {
        self.recording.observe(&TraceEvent { time, node, what });
    }

    /// What was recorded, its times counted from this one.
    pub(super) fn recorded(&self, zero: Time) -> Recorded {
        self.recording.recorded().since(zero)
    }
}
