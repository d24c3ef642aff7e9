//! What the router is ordered to do: rules, receivers, nodes that come and go.

use super::{Destination, Routing};
use crate::faults::{LinkTable, NetChange, NetError};
use crate::net::handle::Control;
use crate::net::inbox::Inbox;
use crate::protocol::Address;

impl Routing {
    /// Carries out an order. Ignores a caller that has gone away.
    pub(super) fn obey(&mut self, request: Control) {
        match request {
            Control::Apply(change, answer) => {
                let _ = answer.send(self.apply(&change));
            }
            Control::Rules(answer) => {
                let _ = answer.send(self.faults.rules());
            }
            Control::Counts(answer) => {
                let _ = answer.send(self.routes.counts.snapshot(self.faults.ends()));
            }
            Control::AddNode(node, answer) => {
                self.faults.add_node(node);
                self.routes.counts.restart(node);
                self.set_lanes();
                let _ = answer.send(());
            }
            Control::RemoveNode(node, answer) => {
                self.faults.remove_node(node);
                self.forget(node.into());
                self.set_lanes();
                let _ = answer.send(());
            }
            Control::Register(address, inbox, answer) => {
                self.register(address, inbox);
                let _ = answer.send(());
            }
            Control::Unregister(address, answer) => {
                self.forget(address);
                let _ = answer.send(());
            }
            Control::Observe(observer, answer) => {
                self.observer = observer;
                self.set_lanes();
                let _ = answer.send(());
            }
            Control::Stop => {}
        }
    }

    fn apply(&mut self, change: &NetChange) -> Result<String, NetError> {
        let answer = self.faults.apply(change);
        self.set_lanes();
        answer
    }

    /// Opens the express lanes of links without rules or observer, and closes the others.
    fn set_lanes(&self) {
        let Some(lanes) = &self.routes.lanes else { return };
        let clear = self.faults.clear_links();
        let open = if self.observer.is_none() { clear } else { LinkTable::like(&clear, || false) };
        lanes.write().open = open;
    }

    fn register(&mut self, address: Address, inbox: Inbox) {
        if let Some(lanes) = &self.routes.lanes {
            lanes.write().inboxes.insert(address, inbox.clone());
        }
        self.destinations.insert(address, Destination { inbox, gathered: Vec::new() });
    }

    pub(super) fn forget(&mut self, address: Address) {
        if let Some(lanes) = &self.routes.lanes {
            lanes.write().inboxes.remove(&address);
        }
        self.destinations.remove(&address);
    }
}
