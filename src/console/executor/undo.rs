//! `for 2s`: faults that end by themselves, and are said to.
//!
//! An undo is done between directives, while a directive waits, and while a person thinks at the prompt. It leaves what
//! the other faults alone would have made (`src/faults/layers.rs`). A node is started or resumed only if no directive has
//! started, ended, paused or resumed it since.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{Console, SESSION_EVERY};
use crate::faults::{EndId, NetChange};
use crate::lab::dials::Dial;
use crate::lab::{DiskChange, LabError, Lasting, Life, NodeOrder};
use crate::text::joined;
use crate::text::layout::duration_shown;
use crate::types::{NodeId, Time};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Undo {
    due: Time,
    end: Ending,
    work: Work,
    /// Chaos made it, and ends it when it is stopped.
    of_chaos: bool,
}

/// When a fault ends, by a name of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ending {
    pub id: EndId,
    lasting: Duration,
    /// The node ends it by its own clock.
    by_node: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// Start the nodes that are still down.
    Restart(Vec<NodeId>),
    Resume(Vec<NodeId>),
    /// End the changes of one directive, as the rules show them.
    Network(Vec<NetChange>),
    Dial(Vec<NodeId>, Dial),
}

impl Ending {
    /// The same, but the console ends it: the node cannot.
    pub(super) fn by_console(self) -> Ending {
        Ending { by_node: false, ..self }
    }

    fn lasting(self) -> Lasting {
        Lasting { end: self.id, time: self.lasting }
    }
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
    /// The end of a fault that lasts so long; none if another one has to end it.
    pub(super) fn end_after(&mut self, lasting: Option<Duration>) -> Option<Ending> {
        let lasting = lasting?;
        self.course.undo_count += 1;
        Some(Ending { id: self.course.undo_count - 1, lasting, by_node: self.lab.ends_faults() })
    }

    /// Does this work then, if there is any of either.
    pub(super) fn undo_after(&mut self, end: Option<Ending>, work: Work) {
        let Some(end) = end else { return };
        self.course.undos.push(Undo { due: self.lab.now() + end.lasting, end, work, of_chaos: false });
        self.forget_undone();
    }

    /// Lets chaos end what began with this end or a later one.
    pub(super) fn give_to_chaos(&mut self, first: EndId) {
        self.course.undos.iter_mut().for_each(|undo| undo.of_chaos |= undo.end.id >= first);
    }

    /// Gives an order, and notes when what it did ends.
    pub(super) fn order(
        &mut self,
        node: NodeId,
        order: &NodeOrder,
        end: Option<Ending>,
    ) -> Result<String, LabError> {
        let mut said = match end {
            Some(end) => self.lab.order_for(node, order.clone(), end.lasting()),
            None => self.lab.order(node, order.clone()),
        }?;
        self.course.dials.set(node, order, end.map(|end| end.id));
        let lives = matches!(
            order,
            NodeOrder::Crash
                | NodeOrder::PowerCut
                | NodeOrder::Stop
                | NodeOrder::Restart
                | NodeOrder::Wipe
                | NodeOrder::Pause
                | NodeOrder::Resume
                | NodeOrder::Kill
                | NodeOrder::Freeze
        );
        for undo in &mut self.course.undos {
            if let Work::Restart(nodes) | Work::Resume(nodes) = &mut undo.work {
                nodes.retain(|other| !lives || *other != node);
            }
        }
        self.forget_undone();
        if matches!(order, NodeOrder::Crash | NodeOrder::PowerCut | NodeOrder::Stop | NodeOrder::Kill)
            && self.forget_retired(node)
        {
            said.push_str("; it is no member any more, and forgotten");
        }
        Ok(said)
    }

    /// Forgets a node that has ended, if it knew that it is left out of the members.
    fn forget_retired(&mut self, node: NodeId) -> bool {
        let is_retired = self.lab.stored(node, 0).is_ok_and(|stored| stored.is_retired());
        is_retired && self.lab.remove_node(node).is_ok()
    }

    /// Changes the network, and notes when that ends.
    pub(super) fn change_network(
        &mut self,
        change: &NetChange,
        end: Option<Ending>,
    ) -> Result<String, LabError> {
        let before = self.lab.network_rules();
        let mut said = match end {
            Some(end) => self.lab.change_network_for(change, end.lasting()),
            None => self.lab.change_network(change),
        }?;
        if matches!(change, NetChange::Partition(_)) {
            said = format!("{said}; {}", self.majority_sides());
        }
        self.course.layers.change(before, change, end.map(|end| end.id));
        self.forget_undone();
        Ok(said)
    }

    /// Forgets the undos with no work left.
    fn forget_undone(&mut self) {
        let (layers, dials) = (&self.course.layers, &self.course.dials);
        self.course.undos.retain_mut(|Undo { end, work, .. }| match work {
            Work::Restart(nodes) | Work::Resume(nodes) => !nodes.is_empty(),
            Work::Network(_) => layers.has(end.id),
            Work::Dial(nodes, dial) => {
                nodes.retain(|node| dials.has(end.id, *node, *dial));
                !nodes.is_empty()
            }
        });
    }

    /// Does what is to be done by itself now, in order: ends faults, executes lines that waited, makes chaos, and works
    /// towards the session.
    pub fn undo_due(&mut self) {
        self.attend_window();
        // A past stays as it was.
        if self.later.is_some() {
            return;
        }
        self.lab.attend();
        let now = self.lab.now();
        while let Some(due) = self.next_undo().filter(|due| *due <= now) {
            if self.session_due == Some(due) {
                self.session_due = (!self.lab.open_session()).then(|| now + SESSION_EVERY);
            } else if let Some(at) = self.course.undos.iter().position(|undo| undo.due == due) {
                let undo = self.course.undos.remove(at);
                self.undo(undo).iter().for_each(|said| self.tell(said));
            } else if !self.run_later(due) {
                self.act_chaos();
            }
        }
        self.tell_changes();
    }

    /// Ends a fault, at its time or before. Says what ended, and after which time.
    pub(super) fn undo(&mut self, undo: Undo) -> Vec<String> {
        let left = undo.due.since(self.lab.now());
        if undo.end.by_node && left.is_zero() && !matches!(undo.work, Work::Network(_)) {
            // The node has ended it, and tells that it has.
            return Vec::new();
        }
        let after = &format!("after {}", duration_shown(undo.end.lasting.saturating_sub(left)));
        match undo.work {
            Work::Restart(nodes) => {
                let (done, is_down) =
                    (format!("restarts {after}"), |life: &Life| matches!(life, Life::Down(_)));
                self.order_all(nodes, &NodeOrder::Restart, &done, is_down)
            }
            Work::Resume(nodes) => {
                let done = format!("resumes {after}");
                self.order_all(nodes, &NodeOrder::Resume, &done, |life| {
                    matches!(life, Life::Paused | Life::Frozen(_))
                })
            }
            Work::Network(changes) => self.end_changes(undo.end.id, &changes, after),
            Work::Dial(nodes, dial) => self.end_settings(undo.end.id, nodes, dial, after),
        }
    }

    /// Gives the order to those of the nodes that are still so.
    fn order_all(
        &mut self,
        nodes: Vec<NodeId>,
        order: &NodeOrder,
        done: &str,
        is_so: fn(&Life) -> bool,
    ) -> Vec<String> {
        let here = self.lab.nodes();
        let is_so = |node: &NodeId| here.contains(node) && is_so(&self.lab.view(*node).life);
        let nodes: Vec<NodeId> = nodes.into_iter().filter(is_so).collect();
        let said = nodes.into_iter().map(|node| match self.lab.order(node, order.clone()) {
            Ok(said) => format!("{node} {done} ({said})"),
            Err(error) => format!("{node} stays as it is: {}", error.with_advice()),
        });
        said.collect()
    }

    fn end_changes(&mut self, ended: EndId, changes: &[NetChange], after: &str) -> Vec<String> {
        let rules = self.course.layers.end(ended, &self.lab.nodes());
        let is_ended = if self.lab.ends_faults() {
            self.lab.end_change(ended)
        } else if rules == self.lab.network_rules() {
            Ok(false)
        } else {
            self.lab.change_network(&NetChange::Replace(rules)).map(|_| true)
        };
        let Some(first) = changes.first().filter(|_| is_ended != Ok(false)) else { return Vec::new() };
        let others = changes.iter().skip(1).filter_map(NetChange::scope);
        let shown: Vec<String> =
            std::iter::once(fault_named(first)).chain(others.map(|scope| scope.to_string())).collect();
        let shown = shown.join(", ");
        match is_ended {
            Ok(_) => vec![format!("{shown} ends {after}")],
            Err(error) => vec![format!("{shown} cannot be undone: {}", error.with_advice())],
        }
    }

    fn end_settings(&mut self, ended: EndId, nodes: Vec<NodeId>, dial: Dial, after: &str) -> Vec<String> {
        let (mut said, mut repaired) = (Vec::new(), Vec::new());
        for node in nodes {
            let Some(order) = self.course.dials.end(ended, node, dial) else { continue };
            // It was set before, so it can be set.
            let _ = self.lab.order(node, order.clone());
            if dial != Dial::Clock && order == dial.mended() {
                repaired.push(node);
            } else {
                said.push(format!("{after} {}", dial_stands(node, &order)));
            }
        }
        if !repaired.is_empty() {
            said.push(format!("the disk of {} is repaired {after}", joined(&repaired, ", ")));
        }
        said
    }
}

/// What an order that sets a dial has done. A clock that is no longer ahead never goes back.
pub(super) fn dial_stands(node: NodeId, order: &NodeOrder) -> String {
    match *order {
        NodeOrder::SkewClock(Duration::ZERO) => {
            format!("{node}'s clock stands still until time catches up, then runs true")
        }
        NodeOrder::SkewClock(ahead) => format!("{node}'s clock is {} ahead", duration_shown(ahead)),
        NodeOrder::Disk(DiskChange::Slow(Duration::ZERO)) => {
            format!("the disk of {node} is as fast as before")
        }
        NodeOrder::Disk(DiskChange::Slow(delay)) => {
            format!("the disk of {node} takes {} longer for each write", duration_shown(delay))
        }
        NodeOrder::Disk(DiskChange::Stall(duration)) => {
            format!("the disk of {node} completes nothing for {}", duration_shown(duration))
        }
        NodeOrder::Disk(DiskChange::Full(true)) => format!("the disk of {node} is full: every write fails"),
        _ => format!("the disk of {node} is repaired"),
    }
}

/// `the partition n1 / n2,n3`.
fn fault_named(change: &NetChange) -> String {
    match change {
        NetChange::Partition(_) | NetChange::Cut(_) => format!("the {change}"),
        NetChange::Isolate(node) => format!("the isolation of {node}"),
        soft => soft.to_string(),
    }
}
