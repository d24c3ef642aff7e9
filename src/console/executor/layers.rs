//! Which faults lie over one another: those that last, and those that end by themselves.
//!
//! What is in force is derived, never remembered. The network's rules are those that the changes still alive make, one
//! after the other; a dial of a node stands where the newest of its settings still alive put it. So what is left when a
//! fault ends is what the others alone would have made, in whichever order they began and end.

use std::collections::BTreeMap;

use crate::faults::{End, Faults, LinkScope, NetChange};
use crate::lab::{DiskChange, NodeOrder};
use crate::types::{NodeId, Random};

/// Names what ends a fault.
pub(super) type EndId = u64;

/// What ends a setting, and the order that made it.
type Setting = (Option<EndId>, NodeOrder);

#[derive(Debug, Default)]
pub(super) struct Layers {
    /// The rules in force before the first of the changes.
    base: Vec<NetChange>,
    /// The changes since then, in order, and what ends each; none while none of them ends by itself.
    changes: Vec<(Option<EndId>, NetChange)>,
    /// The settings of each dial, in order, and what ends each.
    dials: BTreeMap<(NodeId, Dial), Vec<Setting>>,
}

/// What of a node can be set, and be set back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Dial {
    Clock,
    SlowDisk,
    StalledDisk,
    FullDisk,
}

impl Dial {
    /// The dial that an order sets.
    pub fn of(order: NodeOrder) -> Option<Dial> {
        Some(match order {
            NodeOrder::SkewClock(_) => Dial::Clock,
            NodeOrder::Disk(DiskChange::Slow(_)) => Dial::SlowDisk,
            NodeOrder::Disk(DiskChange::Stall(_)) => Dial::StalledDisk,
            NodeOrder::Disk(DiskChange::Full(_)) => Dial::FullDisk,
            _ => return None,
        })
    }

    /// The order that sets it to no fault.
    pub fn mended(self) -> NodeOrder {
        let zero = std::time::Duration::ZERO;
        match self {
            Dial::Clock => NodeOrder::SkewClock(zero),
            Dial::SlowDisk => NodeOrder::Disk(DiskChange::Slow(zero)),
            Dial::StalledDisk => NodeOrder::Disk(DiskChange::Stall(zero)),
            Dial::FullDisk => NodeOrder::Disk(DiskChange::Full(false)),
        }
    }
}

impl Layers {
    /// Notes a change that was made, with the rules before it. One that lasts settles earlier ones for good.
    pub fn change(&mut self, before: Vec<NetChange>, change: &NetChange, end: Option<EndId>) {
        match end {
            Some(_) if self.changes.is_empty() => self.base = before,
            Some(_) => {}
            None => self.changes.retain(|(_, earlier)| !settles(change, earlier)),
        }
        self.changes.push((end, change.clone()));
        self.forget_past();
    }

    /// Ends changes; the rules that the others make.
    pub fn end_changes(&mut self, ended: EndId, nodes: &[NodeId]) -> Vec<NetChange> {
        self.changes.retain(|(end, _)| *end != Some(ended));
        let left = self.changes.iter().map(|(_, change)| change);
        let rules = rules_of(nodes, self.base.iter().chain(left));
        let lasting = self.changes.iter().take_while(|(end, _)| end.is_none()).count();
        let lasting: Vec<NetChange> = self.changes.drain(..lasting).map(|(_, change)| change).collect();
        self.base = rules_of(nodes, self.base.iter().chain(&lasting));
        rules
    }

    /// Notes an order that was executed. One that lasts settles earlier ones for good.
    pub fn set(&mut self, node: NodeId, order: NodeOrder, end: Option<EndId>) {
        if order == NodeOrder::Disk(DiskChange::Mend) {
            self.dials.retain(|(of, dial), _| *of != node || *dial == Dial::Clock);
        }
        let Some(dial) = Dial::of(order) else { return };
        let settings = self.dials.entry((node, dial)).or_default();
        if end.is_none() {
            settings.clear();
        }
        // A stall without an end of ours ends by itself: nothing may bring it back.
        if end.is_some() || dial != Dial::StalledDisk {
            settings.push((end, order));
        }
    }

    /// Ends a setting; the order that makes the dial as the others set it, unless it is so.
    pub fn end_setting(&mut self, ended: EndId, node: NodeId, dial: Dial) -> Option<NodeOrder> {
        let settings = self.dials.get_mut(&(node, dial))?;
        let was_newest = settings.last().is_some_and(|(end, _)| *end == Some(ended));
        settings.retain(|(end, _)| *end != Some(ended));
        was_newest.then(|| settings.last().map_or(dial.mended(), |(_, order)| *order))
    }

    /// Whether changes that this ends are still alive.
    pub fn has_change(&self, wanted: EndId) -> bool {
        self.changes.iter().any(|(end, _)| *end == Some(wanted))
    }

    /// Whether a setting that this ends is still alive.
    pub fn has_setting(&self, wanted: EndId, node: NodeId, dial: Dial) -> bool {
        let settings = self.dials.get(&(node, dial));
        settings.is_some_and(|settings| settings.iter().any(|(end, _)| *end == Some(wanted)))
    }

    fn forget_past(&mut self) {
        if self.changes.iter().all(|(end, _)| end.is_none()) {
            self.changes.clear();
        }
    }
}

/// The rules of a network on which these changes are made.
fn rules_of<'a>(nodes: &[NodeId], changes: impl Iterator<Item = &'a NetChange>) -> Vec<NetChange> {
    let changes: Vec<&NetChange> = changes.collect();
    // A change may name nodes that have gone since.
    let gone: Vec<NodeId> = changes.iter().flat_map(|change| named(change)).collect();
    let mut faults = Faults::new(&[nodes, &gone].concat(), Random::new(0));
    for change in changes {
        // What another change made possible, such as a connection, changes nothing without that one.
        let _ = faults.apply(change);
    }
    gone.iter().filter(|node| !nodes.contains(node)).for_each(|node| faults.remove_node(*node));
    faults.rules()
}

/// The nodes that a change names.
fn named(change: &NetChange) -> Vec<NodeId> {
    match change {
        NetChange::Partition(groups) => groups.concat(),
        NetChange::Isolate(node) | NetChange::Connect(node) => vec![*node],
        NetChange::Replace(rules) => rules.iter().flat_map(named).collect(),
        change => {
            let ends = change.scope().and_then(LinkScope::ends).map(|(one, other)| [one, other]);
            let nodes = ends.into_iter().flatten().filter_map(|end| match end {
                End::Node(node) => Some(node),
                End::Clients => None,
            });
            nodes.collect()
        }
    }
}

/// Whether nothing is left of an earlier change after a later one, with any changes between them.
fn settles(later: &NetChange, earlier: &NetChange) -> bool {
    use NetChange as Net;
    let covers = |scope: &LinkScope, other: &LinkScope| *scope == LinkScope::All || scope == other;
    match (later, earlier) {
        (Net::Reset, _) | (Net::Heal(LinkScope::All), Net::Partition(_) | Net::Cut(_) | Net::Isolate(_)) => {
            true
        }
        (Net::Isolate(node) | Net::Connect(node), Net::Isolate(other)) => node == other,
        (Net::Cut(scope) | Net::Heal(scope), Net::Cut(other))
        | (Net::Drop { scope, .. }, Net::Drop { scope: other, .. })
        | (Net::Delay { scope, .. }, Net::Delay { scope: other, .. })
        | (Net::Duplicate { scope, .. }, Net::Duplicate { scope: other, .. })
        | (Net::Reorder { scope, .. }, Net::Reorder { scope: other, .. }) => covers(scope, other),
        _ => false,
    }
}
