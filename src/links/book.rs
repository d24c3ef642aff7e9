//! Where nodes can be reached.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::types::{Addresses, HostPort, NodeId};

/// The addresses of nodes, of each by who says where it is.
#[derive(Debug, Default)]
pub struct AddressBook {
    nodes: Mutex<BTreeMap<NodeId, BTreeMap<Source, HostPort>>>,
    /// Counts the changes.
    version: AtomicU64,
}

/// Who says where a node is. Those who know better come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// The node itself, or who has started it.
    Itself,
    /// Another node.
    Others,
    /// The newest configuration in the log.
    Members,
    /// `cluster.toml`.
    File,
}

impl AddressBook {
    pub fn new(written: &Addresses) -> AddressBook {
        let book = AddressBook { nodes: Mutex::default(), version: AtomicU64::new(1) };
        book.note_all(Source::File, written);
        book
    }

    /// Where the node may be: to be tried in this order.
    pub fn of(&self, node: NodeId) -> Vec<HostPort> {
        let nodes = self.nodes.lock();
        let mut addresses: Vec<HostPort> = Vec::new();
        for address in nodes.get(&node).into_iter().flat_map(BTreeMap::values) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses
    }

    /// The first address of each node.
    pub fn all(&self) -> Addresses {
        let nodes = self.nodes.lock();
        let first = |(node, known): (&NodeId, &BTreeMap<Source, HostPort>)| {
            Some((*node, known.values().next()?.clone()))
        };
        nodes.iter().filter_map(first).collect()
    }

    pub fn forget(&self, node: NodeId) {
        if self.nodes.lock().remove(&node).is_some() {
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    pub fn note(&self, source: Source, node: NodeId, address: HostPort) {
        let mut nodes = self.nodes.lock();
        let known = nodes.entry(node).or_default();
        if known.get(&source) != Some(&address) {
            known.insert(source, address);
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// A node says where it and others are.
    pub fn hear(&self, teller: NodeId, addresses: &Addresses) {
        for (node, address) in addresses {
            let source = if *node == teller { Source::Itself } else { Source::Others };
            self.note(source, *node, address.clone());
        }
    }

    pub fn note_all(&self, source: Source, addresses: &Addresses) {
        for (node, address) in addresses {
            self.note(source, *node, address.clone());
        }
    }

    /// What stands in it, if that has changed since this version, which becomes the newest.
    pub fn news(&self, seen: &mut u64) -> Option<Addresses> {
        let version = self.version.load(Ordering::Acquire);
        let before = std::mem::replace(seen, version);
        (before != version).then(|| self.all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> HostPort {
        text.parse().expect("an address")
    }

    #[test]
    fn what_a_node_says_of_itself_comes_before_what_others_and_files_say() {
        let n2 = NodeId::new(2);
        let of_n2 = |text| Addresses::from([(n2, address(text))]);
        let book = AddressBook::new(&of_n2("file:1"));
        let mut seen = 0;
        assert_eq!(book.news(&mut seen), Some(of_n2("file:1")));
        assert_eq!(book.news(&mut seen), None);
        book.note_all(Source::Members, &of_n2("members:1"));
        book.hear(NodeId::new(3), &of_n2("others:1"));
        book.hear(n2, &of_n2("itself:1"));
        let all = ["itself:1", "others:1", "members:1", "file:1"];
        assert_eq!(book.of(n2), all.map(address));
        assert_eq!(book.news(&mut seen), Some(of_n2("itself:1")));
        // An address is tried once, and what is known already is no news.
        book.hear(NodeId::new(3), &of_n2("itself:1"));
        assert_eq!(book.of(n2), ["itself:1", "members:1", "file:1"].map(address));
        assert!(book.news(&mut seen).is_some());
        book.hear(NodeId::new(3), &of_n2("itself:1"));
        assert_eq!(book.news(&mut seen), None);
    }
}
