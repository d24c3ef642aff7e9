//! Where nodes can be reached.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::types::NodeId;

/// The addresses of nodes, as `host:port`. What a node said of itself in a handshake goes before what a file says.
#[derive(Debug, Default)]
pub struct AddressBook {
    addresses: Mutex<BTreeMap<NodeId, Known>>,
    /// Counts the changes.
    version: AtomicU64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    address: String,
    /// The node itself said so.
    told: bool,
}

impl AddressBook {
    pub fn new(written: &BTreeMap<NodeId, String>) -> AddressBook {
        let known =
            |(&node, address): (&NodeId, &String)| (node, Known { address: address.clone(), told: false });
        AddressBook { addresses: Mutex::new(written.iter().map(known).collect()), version: AtomicU64::new(1) }
    }

    pub fn get(&self, node: NodeId) -> Option<String> {
        self.addresses.lock().get(&node).map(|known| known.address.clone())
    }

    pub fn all(&self) -> BTreeMap<NodeId, String> {
        self.addresses.lock().iter().map(|(&node, known)| (node, known.address.clone())).collect()
    }

    /// A node said where it is.
    pub fn tell(&self, node: NodeId, address: String) {
        self.note(node, Known { address, told: true });
    }

    /// Somebody else says where a node is: that counts unless the node has spoken itself.
    pub fn hear(&self, node: NodeId, address: String) {
        self.note(node, Known { address, told: false });
    }

    /// What stands in it, if that has changed since this version, which becomes the newest.
    pub fn news(&self, seen: &mut u64) -> Option<BTreeMap<NodeId, String>> {
        let version = self.version.load(Ordering::Acquire);
        let before = std::mem::replace(seen, version);
        (before != version).then(|| self.all())
    }

    fn note(&self, node: NodeId, known: Known) {
        let mut addresses = self.addresses.lock();
        let before = addresses.get(&node);
        if before.is_some_and(|before| before.told && !known.told) || before == Some(&known) {
            return;
        }
        addresses.insert(node, known);
        self.version.fetch_add(1, Ordering::Release);
    }
}
