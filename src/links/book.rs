//! Where nodes can be reached.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::types::NodeId;

/// The addresses of nodes, as `host:port`. What a node said of itself in a handshake goes before what a file says.
#[derive(Debug, Default)]
pub struct AddressBook {
    addresses: Mutex<BTreeMap<NodeId, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    address: String,
    /// The node itself said so.
    told: bool,
}

impl AddressBook {
    pub fn new(written: &BTreeMap<NodeId, String>) -> AddressBook {
        let known =
            |(&node, address): (&NodeId, &String)| (node, Known { address: address.clone(), told: false });
        AddressBook { addresses: Mutex::new(written.iter().map(known).collect()) }
    }

    pub fn get(&self, node: NodeId) -> Option<String> {
        self.addresses.lock().get(&node).map(|known| known.address.clone())
    }

    pub fn all(&self) -> BTreeMap<NodeId, String> {
        self.addresses.lock().iter().map(|(&node, known)| (node, known.address.clone())).collect()
    }

    /// A node said where it is.
    pub fn tell(&self, node: NodeId, address: String) {
        self.addresses.lock().insert(node, Known { address, told: true });
    }

    /// Somebody else says where a node is: that counts unless the node has spoken itself.
    pub fn hear(&self, node: NodeId, address: String) {
        let mut addresses = self.addresses.lock();
        if !addresses.get(&node).is_some_and(|known| known.told) {
            addresses.insert(node, Known { address, told: false });
        }
    }
}
