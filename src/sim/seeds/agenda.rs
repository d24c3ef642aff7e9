//! What a run has decided to do later: the parts of a fault that follow its beginning, each at a time of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Run;
use crate::faults::NetChange;
use crate::lab::{Lab, NodeOrder};
use crate::server::{Arrival, EndReason};
use crate::types::{NodeId, Time};

/// What is to be done, by time, and in the order of the decisions where times are equal.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    acts: BTreeMap<(Time, u64), Act>,
    decided: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// This node crashes, with its power or without, and starts again at once.
    Restart {
        name: NodeId,
        power: bool,
    },
    Crash(NodeId),
    /// This node starts, if it is down.
    Start(NodeId),
    /// This node loses its files and starts again, unless another one has and is not taken in yet.
    Wipe(NodeId),
    Campaign(NodeId),
    /// The first node, if it leads, hands over: to the second one, or to any.
    Transfer(NodeId, Option<NodeId>),
    TakeSnapshot(NodeId),
    Pause(NodeId),
    Resume(NodeId),
    Change(NetChange),
    /// Clients ask this node first; with none, any.
    AskAt(Option<NodeId>),
    /// Whether clients only read.
    ReadOnly(bool),
}

impl Agenda {
    /// When something is to be done next.
    pub(super) fn next(&self) -> Time {
        self.acts.keys().next().map_or(Time::NEVER, |(time, _)| *time)
    }

    /// Whether nothing is to be done any more.
    pub(super) fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }

    fn take_due(&mut self, now: Time) -> Option<Act> {
        let entry = self.acts.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

impl Run<'_> {
    /// Decides to do this after a while.
    pub(super) fn later(&mut self, after: Duration, act: Act) {
        self.agenda.decided += 1;
        self.agenda.acts.insert((self.simulation.now() + after, self.agenda.decided), act);
    }

    pub(super) fn attend(&mut self) {
        while let Some(act) = self.agenda.take_due(self.simulation.now()) {
            match act {
                Act::Restart { name, power } => {
                    if self.simulation.node(name).is_running() {
                        self.simulation.end(name, EndReason::Crashed { power });
                        self.revive(name);
                    }
                }
                Act::Crash(name) => {
                    if self.simulation.node(name).is_running() {
                        self.simulation.end(name, EndReason::Crashed { power: false });
                    }
                }
                Act::Start(name) => self.restart(name),
                Act::Wipe(name) => self.wipe(name),
                // An error says that the node is down or already in that state: both are fine here.
                Act::Campaign(name) => self.simulation.arrive_at(name, Arrival::Campaign),
                Act::Transfer(name, target) => {
                    self.simulation.arrive_at(name, Arrival::Transfer(target));
                }
                Act::TakeSnapshot(name) => self.simulation.arrive_at(name, Arrival::TakeSnapshot),
                Act::Pause(name) => drop(self.simulation.order(name, NodeOrder::Pause)),
                Act::Resume(name) => drop(self.simulation.order(name, NodeOrder::Resume)),
                Act::Change(change) => self.change(&change),
                Act::AskAt(name) => self.workload.ask_at(name),
                Act::ReadOnly(only) => self.workload.read_only(only),
            }
        }
    }
}
