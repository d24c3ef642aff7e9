//! The links of the network, the names of sets of links, and a table with a cell for each link.
//!
//! A link leads one way. Clients come and go, so all of them count as one end.

use std::fmt;

use derive_more::From;
use serde::{Deserialize, Serialize};

use crate::protocol::Address;
use crate::types::NodeId;

/// One end of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, From, Serialize, Deserialize)]
pub enum End {
    #[from]
    Node(NodeId),
    /// The clients, all of them.
    Clients,
}

impl End {
    /// The node that it is; none for the clients.
    pub fn node(self) -> Option<NodeId> {
        match self {
            End::Node(node) => Some(node),
            End::Clients => None,
        }
    }

    /// A place in a table: a node's number, and zero for the clients.
    pub(crate) fn place(self) -> usize {
        match self {
            End::Clients => 0,
            End::Node(node) => usize::from(node.number()),
        }
    }
}

impl From<Address> for End {
    fn from(address: Address) -> End {
        match address {
            Address::Node(node) => End::Node(node),
            Address::Client(_) => End::Clients,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Node(node) => node.fmt(f),
            End::Clients => f.pad("clients"),
        }
    }
}

/// A set of links, as a person names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum LinkScope {
    /// Every link, the clients' included.
    All,
    /// Every link between two nodes.
    Nodes,
    /// Every link between a client and a node, both ways.
    Clients,
    /// From the first end to the second.
    OneWay(End, End),
    /// Between the two ends, both ways.
    Both(End, End),
}

impl LinkScope {
    /// Whether the link is in the set.
    pub fn covers(self, from: End, to: End) -> bool {
        match self {
            LinkScope::All => true,
            LinkScope::Nodes => from != End::Clients && to != End::Clients,
            LinkScope::Clients => from == End::Clients || to == End::Clients,
            LinkScope::OneWay(start, end) => (from, to) == (start, end),
            LinkScope::Both(one, other) => (from, to) == (one, other) || (from, to) == (other, one),
        }
    }

    /// The two ends, when the set names them.
    pub fn ends(self) -> Option<(End, End)> {
        match self {
            LinkScope::OneWay(one, other) | LinkScope::Both(one, other) => Some((one, other)),
            LinkScope::All | LinkScope::Nodes | LinkScope::Clients => None,
        }
    }
}

impl fmt::Display for LinkScope {
    /// As the console reads it: `n1>n3`, `n1<>n3`, `clients`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkScope::All => f.pad("all"),
            LinkScope::Nodes => f.pad("nodes"),
            LinkScope::Clients => f.pad("clients"),
            LinkScope::OneWay(from, to) => f.pad(&format!("{from}>{to}")),
            LinkScope::Both(one, other) => f.pad(&format!("{one}<>{other}")),
        }
    }
}

/// A cell for each link of a cluster, found by arithmetic.
#[derive(Clone, Debug)]
pub(crate) struct LinkTable<T> {
    ends: Vec<End>,
    width: usize,
    cells: Vec<T>,
}

impl<T> LinkTable<T> {
    /// The links among these nodes and the clients, each with what `cell` makes.
    pub fn new(nodes: &[NodeId], mut cell: impl FnMut() -> T) -> LinkTable<T> {
        let mut ends: Vec<End> = nodes.iter().copied().map(End::Node).collect();
        ends.sort_unstable();
        ends.dedup();
        ends.push(End::Clients);
        let width = 1 + nodes.iter().map(|node| usize::from(node.number())).max().unwrap_or(0);
        let cells = (0..width * width).map(|_| cell()).collect();
        LinkTable { ends, width, cells }
    }

    /// The same links as another table, each with what `cell` makes.
    pub fn like<U>(other: &LinkTable<U>, cell: impl FnMut() -> T) -> LinkTable<T> {
        let cells = std::iter::repeat_with(cell).take(other.cells.len()).collect();
        LinkTable { ends: other.ends.clone(), width: other.width, cells }
    }

    /// Every end: the nodes in order, then the clients.
    pub fn ends(&self) -> &[End] {
        &self.ends
    }

    /// Every link, sorted.
    pub fn links(&self) -> Vec<(End, End)> {
        let others = |from: End| self.ends.iter().filter(move |to| **to != from).map(move |to| (from, *to));
        self.ends.iter().flat_map(|from| others(*from)).collect()
    }

    /// The link's cell; none when an end is not in the table.
    pub fn get(&self, from: End, to: End) -> Option<&T> {
        self.place(from, to).and_then(|place| self.cells.get(place))
    }

    pub fn get_mut(&mut self, from: End, to: End) -> Option<&mut T> {
        self.place(from, to).and_then(|place| self.cells.get_mut(place))
    }

    fn place(&self, from: End, to: End) -> Option<usize> {
        let (row, column) = (from.place(), to.place());
        (row < self.width && column < self.width).then_some(row * self.width + column)
    }
}

impl<T: Default> LinkTable<T> {
    /// Adds the links between a node and every end. What a removed node of this name had is gone.
    pub fn add(&mut self, node: NodeId) {
        let end = End::Node(node);
        let Err(at) = self.ends.binary_search(&end) else { return };
        self.ends.insert(at, end);
        if end.place() >= self.width {
            self.widen(end.place() + 1);
        }
        for other in self.ends.clone() {
            for (from, to) in [(end, other), (other, end)] {
                *self.get_mut(from, to).expect("the table is as wide as its ends need") = T::default();
            }
        }
    }

    /// Removes the links between a node and every end.
    pub fn remove(&mut self, node: NodeId) {
        self.ends.retain(|end| *end != End::Node(node));
    }

    fn widen(&mut self, width: usize) {
        let before = std::mem::replace(&mut self.width, width);
        let mut cells = std::mem::take(&mut self.cells).into_iter();
        let is_old = |place: usize| place / width < before && place % width < before;
        let cell = |place| if is_old(place) { cells.next() } else { None };
        self.cells = (0..width * width).map(cell).map(Option::unwrap_or_default).collect();
    }
}

/// Names a set of links, which is sorted, in few words: `n1<>n2` for both ways.
pub(super) fn scopes(links: &[(End, End)]) -> Vec<LinkScope> {
    links
        .iter()
        .filter_map(|&(from, to)| match links.binary_search(&(to, from)).is_ok() {
            true if from < to => Some(LinkScope::Both(from, to)),
            true => None,
            false => Some(LinkScope::OneWay(from, to)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_each_link_once_and_no_link_to_oneself() {
        let table = LinkTable::new(&NodeId::first(3), || 0);
        assert_eq!(table.links().len(), 12, "four ends, three others each");
        assert!(table.get(End::Clients, NodeId::new(3).into()).is_some());
        assert!(table.get(NodeId::new(1).into(), NodeId::new(4).into()).is_none(), "n4 is not in the table");
    }

    #[test]
    fn a_table_keeps_its_cells_when_nodes_come_and_go() {
        let [n2, n3, n7] = [2, 3, 7].map(|number| End::Node(NodeId::new(number)));
        let mut table = LinkTable::new(&NodeId::first(3), || 0);
        *table.get_mut(n2, End::Clients).expect("a link") = 5;
        *table.get_mut(n2, n3).expect("a link") = 6;
        table.add(NodeId::new(7));
        assert_eq!(table.links().len(), 20, "five ends, four others each");
        assert_eq!(
            [(n2, End::Clients), (n2, n3), (n2, n7)].map(|(from, to)| table.get(from, to)),
            [Some(&5), Some(&6), Some(&0)]
        );
        table.remove(NodeId::new(2));
        assert_eq!(table.links().len(), 12);
        table.add(NodeId::new(2));
        assert_eq!(table.get(n2, n3), Some(&0), "a newcomer has nothing of an earlier node of its name");
    }

    #[test]
    fn a_set_of_links_is_named_briefly() {
        let [n1, n2, n3] = [1, 2, 3].map(|number| End::Node(NodeId::new(number)));
        let named = scopes(&[(n1, n2), (n1, n3), (n2, n1), (n3, End::Clients)]);
        let words: Vec<String> = named.iter().map(LinkScope::to_string).collect();
        assert_eq!(words, ["n1<>n2", "n1>n3", "n3>clients"]);
    }
}
