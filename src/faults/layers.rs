//! Changes of the network that lie over one another: those that last, and those that end by themselves.
//!
//! What is in force is derived, never remembered: the rules are those that the changes still alive make, one after the
//! other. So what is left when one ends is what the others alone would have made, in whichever order they began and end.

use serde::{Deserialize, Serialize};

use super::{End, Faults, LinkScope, NetChange};
use crate::types::{NodeId, Random};

/// Names what ends a fault.
pub type EndId = u64;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Layers {
    /// The rules in force before the first of the changes.
    base: Vec<NetChange>,
    /// The changes since then, in order, and what ends each; none while none of them ends by itself.
    changes: Vec<(Option<EndId>, NetChange)>,
}

impl Layers {
    /// Notes a change that was made, with the rules before it. One that lasts settles earlier ones for good.
    pub fn change(&mut self, before: Vec<NetChange>, change: &NetChange, end: Option<EndId>) {
        if end.is_none() {
            self.changes.retain(|(_, earlier)| !settles(change, earlier));
        }
        if self.changes.is_empty() {
            self.base = before;
        }
        if end.is_none() && self.changes.iter().all(|(end, _)| end.is_none()) {
            self.base.extend(self.changes.drain(..).map(|(_, earlier)| earlier));
            self.base.push(change.clone());
        } else {
            self.changes.push((end, change.clone()));
        }
    }

    /// Ends changes; the rules that the others make.
    pub fn end(&mut self, ended: EndId, nodes: &[NodeId]) -> Vec<NetChange> {
        self.changes.retain(|(end, _)| *end != Some(ended));
        let rules = self.rules(nodes);
        let lasting = self.changes.iter().take_while(|(end, _)| end.is_none()).count();
        let lasting: Vec<NetChange> = self.changes.drain(..lasting).map(|(_, change)| change).collect();
        self.base = rules_of(nodes, self.base.iter().chain(&lasting));
        rules
    }

    /// The rules that all of them make.
    pub fn rules(&self, nodes: &[NodeId]) -> Vec<NetChange> {
        rules_of(nodes, self.base.iter().chain(self.changes.iter().map(|(_, change)| change)))
    }

    /// Whether changes that this ends are still alive.
    pub fn has(&self, wanted: EndId) -> bool {
        self.changes.iter().any(|(end, _)| *end == Some(wanted))
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
            ends.into_iter().flatten().filter_map(End::node).collect()
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
