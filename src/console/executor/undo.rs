//! `for 2s`: faults that end by themselves, and are said to.
//!
//! An undo is done between directives, while a directive waits, and while a person thinks at the prompt. What was
//! undone by hand in the meantime is left as it is.

use std::time::Duration;

use super::{Console, SESSION_EVERY};
use crate::faults::{LinkScope, NetChange};
use crate::lab::{DiskChange, Life, NodeOrder};
use crate::text::joined;
use crate::text::layout::duration_shown;
use crate::types::{NodeId, Time};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Undo {
    due: Time,
    /// How long it lasted when it is undone.
    lasting: Duration,
    work: Work,
    /// Chaos made it, and ends it when it is stopped.
    of_chaos: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// Start the nodes that are still down.
    Restart(Vec<NodeId>),
    Resume(Vec<NodeId>),
    /// Undo a change, with the rules that were in force before it.
    Network {
        /// The changes of one directive, as the rules show them.
        changes: Vec<NetChange>,
        before: Vec<NetChange>,
    },
    Clock(Vec<NodeId>),
    Disk(Vec<NodeId>, DiskChange),
}

/// What a person has ended by hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Undone {
    Separations,
    Everything,
}

impl Undo {
    pub(super) fn due(&self) -> Time {
        self.due
    }

    pub(super) fn is_of_chaos(&self) -> bool {
        self.of_chaos
    }
}

impl Console {
    /// Does this work after this time, if there is any of either.
    pub(super) fn undo_after(&mut self, lasting: Option<Duration>, work: Work) {
        let Some(lasting) = lasting else { return };
        let of_chaos = self.is_chaos_acting();
        self.undos.push(Undo { due: self.lab.now() + lasting, lasting, work, of_chaos });
    }

    /// Forgets the undos of faults that a person has ended.
    pub(super) fn forget_undos(&mut self, undone: Undone) {
        self.undos.retain(|undo| match &undo.work {
            Work::Restart(_) | Work::Resume(_) | Work::Clock(_) => true,
            Work::Network { changes, .. } => {
                let separates = |change: &NetChange| {
                    matches!(change, NetChange::Partition(_) | NetChange::Cut(_) | NetChange::Isolate(_))
                };
                undone == Undone::Separations && !changes.iter().any(separates)
            }
            Work::Disk(..) => undone == Undone::Separations,
        });
    }

    /// Does what is to be done by itself now, in order: ends faults, executes lines that waited, makes chaos, and works
    /// towards the session.
    pub fn undo_due(&mut self) {
        let now = self.lab.now();
        while let Some(due) = self.next_undo().filter(|due| *due <= now) {
            if self.session_due == Some(due) {
                self.session_due = (!self.lab.open_session()).then(|| now + SESSION_EVERY);
            } else if let Some(at) = self.undos.iter().position(|undo| undo.due == due) {
                let undo = self.undos.remove(at);
                self.undo(undo).iter().for_each(|said| self.tell(said));
            } else if !self.run_later(due) {
                self.act_chaos();
            }
        }
    }

    /// Ends a fault, at its time or before. Says what ended, and after which time.
    pub(super) fn undo(&mut self, undo: Undo) -> Vec<String> {
        let left = undo.due.since(self.lab.now());
        let after = &format!("after {}", duration_shown(undo.lasting.saturating_sub(left)));
        match undo.work {
            Work::Restart(nodes) => {
                let (done, is_down) =
                    (format!("restarts {after}"), |life: &Life| matches!(life, Life::Down(_)));
                self.order_all(nodes, NodeOrder::Restart, &done, is_down)
            }
            Work::Resume(nodes) => {
                let done = format!("resumes {after}");
                self.order_all(nodes, NodeOrder::Resume, &done, |life| *life == Life::Paused)
            }
            Work::Network { changes, before } => self.undo_network(&changes, &before, after),
            Work::Clock(nodes) => {
                let set_back = |node: NodeId| {
                    // It was set before, so it can be set.
                    let _ = self.lab.order(node, NodeOrder::SkewClock(Duration::ZERO));
                    format!("{after} {}", clock_set_back(node))
                };
                nodes.into_iter().map(set_back).collect()
            }
            Work::Disk(nodes, mended) => {
                for node in &nodes {
                    // A disk that is gone needs no mending.
                    let _ = self.lab.order(*node, NodeOrder::Disk(mended));
                }
                vec![format!("the disk of {} is repaired {after}", joined(&nodes, ", "))]
            }
        }
    }

    /// Gives the order to those of the nodes that are still so.
    fn order_all(
        &mut self,
        nodes: Vec<NodeId>,
        order: NodeOrder,
        done: &str,
        is_so: fn(&Life) -> bool,
    ) -> Vec<String> {
        let nodes: Vec<NodeId> = nodes.into_iter().filter(|node| is_so(&self.lab.view(*node).life)).collect();
        let said = nodes.into_iter().map(|node| match self.lab.order(node, order) {
            Ok(said) => format!("{node} {done} ({said})"),
            Err(error) => format!("{node} stays as it is: {}", error.with_advice()),
        });
        said.collect()
    }

    fn undo_network(&mut self, changes: &[NetChange], before: &[NetChange], after: &str) -> Vec<String> {
        let rules = self.lab.network_rules();
        let opposites = changes.iter().filter_map(|change| opposite(change, &rules));
        let mut opposites: Vec<NetChange> = opposites.collect();
        let (Some(first), false) = (changes.first(), opposites.is_empty()) else { return Vec::new() };
        // Healing takes more than the partition away, and a rule on all links more than its own: what was there
        // otherwise comes back.
        opposites.extend(match first {
            NetChange::Partition(_) => {
                let others = |rule: &&NetChange| matches!(rule, NetChange::Cut(_) | NetChange::Isolate(_));
                rules.iter().filter(others).cloned().collect::<Vec<_>>()
            }
            first => before.iter().filter(|rule| same_kind(rule, first)).cloned().collect(),
        });
        let failed = opposites.iter().find_map(|change| self.lab.change_network(change).err());
        let others = changes.iter().skip(1).filter_map(NetChange::scope);
        let shown: Vec<String> =
            std::iter::once(fault_named(first)).chain(others.map(|scope| scope.to_string())).collect();
        let shown = shown.join(", ");
        match failed {
            None => vec![format!("{shown} ends {after}")],
            Some(error) => vec![format!("{shown} cannot be undone: {}", error.with_advice())],
        }
    }
}

/// What undoes a change; none when it was undone by hand.
fn opposite(change: &NetChange, rules: &[NetChange]) -> Option<NetChange> {
    Some(match change {
        NetChange::Partition(_) | NetChange::Isolate(_) if !rules.contains(change) => return None,
        NetChange::Partition(_) => NetChange::Heal(LinkScope::All),
        NetChange::Isolate(node) => NetChange::Connect(*node),
        NetChange::Cut(scope) => NetChange::Heal(*scope),
        NetChange::Drop { scope, .. } => NetChange::Drop { per_million: 0, scope: *scope },
        NetChange::Duplicate { scope, .. } => NetChange::Duplicate { per_million: 0, scope: *scope },
        NetChange::Reorder { scope, .. } => NetChange::Reorder { per_million: 0, scope: *scope },
        NetChange::Delay { scope, .. } => {
            NetChange::Delay { delay: Duration::ZERO, jitter: Duration::ZERO, scope: *scope }
        }
        NetChange::Heal(_) | NetChange::Connect(_) | NetChange::Reset => return None,
    })
}

/// What a clock does that is no longer ahead: it never goes back.
pub(super) fn clock_set_back(node: NodeId) -> String {
    format!("{node}'s clock stands still until time catches up, then runs true")
}

/// `the partition n1 / n2,n3`.
fn fault_named(change: &NetChange) -> String {
    match change {
        NetChange::Partition(_) | NetChange::Cut(_) => format!("the {change}"),
        NetChange::Isolate(node) => format!("the isolation of {node}"),
        soft => soft.to_string(),
    }
}

fn same_kind(one: &NetChange, other: &NetChange) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other) && !matches!(one, NetChange::Isolate(_))
}
