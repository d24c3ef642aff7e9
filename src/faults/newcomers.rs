//! Nodes that come while rules are in force, and nodes that go.
//!
//! A rule that names a class of links, such as `all` or `nodes`, holds for a newcomer's links too. A newcomer is on the
//! side of a partition whose nodes were not named.

use super::link::{End, LinkScope};
use super::{Faults, Rules};
use crate::types::NodeId;

/// The rules of the links between nodes and of those of clients: a newcomer's links begin with them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClassRules {
    nodes: Rules,
    clients: Rules,
}

/// A partition that is whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Partition {
    /// Two nodes hear one another when a group holds both.
    pub groups: Vec<Vec<NodeId>>,
    /// Whether the last group is that of the nodes that were not named.
    has_rest: bool,
    /// Who came since it was made.
    newcomers: Vec<NodeId>,
}

impl ClassRules {
    /// Makes a change that covers a whole class; one on single links is nothing to a newcomer.
    pub fn change(&mut self, scope: LinkScope, mut set: impl FnMut(&mut Rules)) {
        if matches!(scope, LinkScope::All | LinkScope::Nodes) {
            set(&mut self.nodes);
        }
        if matches!(scope, LinkScope::All | LinkScope::Clients) {
            set(&mut self.clients);
        }
    }

    /// The rules of the class that this link belongs to.
    pub fn of(&self, from: End, to: End) -> Rules {
        if LinkScope::Clients.covers(from, to) { self.clients } else { self.nodes }
    }

    /// The classes with a value, those with the value of no fault left out.
    pub fn listed<V: Default + PartialEq>(&self, of: impl Fn(&Rules) -> V) -> Vec<(V, LinkScope)> {
        let (nodes, clients) = (of(&self.nodes), of(&self.clients));
        let mut list = if nodes == clients {
            vec![(nodes, LinkScope::All)]
        } else {
            vec![(nodes, LinkScope::Nodes), (clients, LinkScope::Clients)]
        };
        list.retain(|(value, _)| *value != V::default());
        list
    }
}

impl Partition {
    /// These groups, and one more of the nodes that none of them names.
    pub fn of(groups: &[Vec<NodeId>], nodes: impl Iterator<Item = NodeId>) -> Partition {
        let mut groups = groups.to_vec();
        groups.retain(|group| !group.is_empty());
        for group in &mut groups {
            group.sort_unstable();
            group.dedup();
        }
        let mut partition = Partition { groups, has_rest: false, newcomers: Vec::new() };
        let is_named = |node: &NodeId| partition.groups.iter().any(|group| group.contains(node));
        let rest: Vec<NodeId> = nodes.filter(|node| !is_named(node)).collect();
        for node in rest {
            partition.add(node);
        }
        partition
    }

    pub fn separates(&self, from: End, to: End) -> bool {
        match (from, to) {
            (End::Node(from), End::Node(to)) => {
                !self.groups.iter().any(|group| group.contains(&from) && group.contains(&to))
            }
            _ => false,
        }
    }

    /// Takes in a node that was not named.
    fn add(&mut self, node: NodeId) {
        match self.groups.last_mut() {
            Some(rest) if self.has_rest => {
                rest.push(node);
                rest.sort_unstable();
            }
            _ => self.groups.push(vec![node]),
        }
        self.has_rest = true;
    }

    /// Its groups as they were made, without those who came since.
    fn groups_without(&self, newcomers: &[NodeId]) -> Vec<Vec<NodeId>> {
        let left =
            |group: &Vec<NodeId>| group.iter().copied().filter(|node| !newcomers.contains(node)).collect();
        let groups = self.groups.iter().map(left);
        groups.filter(|group: &Vec<NodeId>| !group.is_empty()).collect()
    }

    fn remove(&mut self, node: NodeId) {
        self.newcomers.retain(|other| *other != node);
        for group in &mut self.groups {
            group.retain(|other| *other != node);
        }
        self.has_rest &= self.groups.last().is_some_and(|rest| !rest.is_empty());
        self.groups.retain(|group| !group.is_empty());
    }
}

impl Faults {
    /// Adds a node, with the rules of the classes that its links belong to, on the side of those that were not named.
    pub fn add_node(&mut self, node: NodeId) {
        if self.nodes().any(|known| known == node) {
            return;
        }
        self.links.add(node);
        if let Some(partition) = &mut self.partition {
            partition.add(node);
            partition.newcomers.push(node);
        }
        let is_own = |(from, to): &(End, End)| [*from, *to].contains(&End::Node(node));
        for (from, to) in self.links.links().into_iter().filter(is_own) {
            let partitioned = self.partition.as_ref().is_some_and(|partition| partition.separates(from, to));
            *self.links.get_mut(from, to).expect("added just now") =
                Rules { partitioned, ..self.classes.of(from, to) };
        }
        self.note_clear();
    }

    /// Removes a node and the rules of its links. A partition that separates no nodes any more ends.
    pub fn remove_node(&mut self, node: NodeId) {
        self.links.remove(node);
        self.isolated.retain(|isolated| *isolated != node);
        if let Some(partition) = &mut self.partition {
            partition.remove(node);
            let separates = |(from, to): (End, End)| partition.separates(from, to);
            if !self.links.links().into_iter().any(separates) {
                self.partition = None;
            }
        }
        self.note_clear();
    }

    /// The nodes in order, then the clients.
    pub fn ends(&self) -> &[End] {
        self.links.ends()
    }

    /// Listed rules name every node of a partition. If it is the one that was there before, who came since keeps the side
    /// of those that were not named, and so does who comes later.
    pub(super) fn keep_side_of_newcomers(&mut self, before: &Faults) {
        let (Some(partition), Some(before)) = (&self.partition, &before.partition) else { return };
        if partition.groups_without(&before.newcomers) != before.groups_without(&before.newcomers) {
            return;
        }
        let partition = before.clone();
        for (from, to) in self.links.links() {
            let rules = self.links.get_mut(from, to).expect("links are taken from the table");
            rules.partitioned = partition.separates(from, to);
        }
        self.partition = Some(partition);
    }
}
