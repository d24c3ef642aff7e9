//! Nodes that come and go while the cluster runs.

use std::sync::Arc;

use super::footprint::Footprint;
use super::lives::{Slot, told};
use super::states::{Files, Medium, Opened, Wiped};
use super::{Cluster, Notice, StartError};
use crate::lab::{LabError, Life};
use crate::protocol::Address;
use crate::state_machine::{StateMachine, image};
use crate::storage::Identity;
use crate::trace::What;
use crate::types::{Member, NodeId};

impl<M: StateMachine> Cluster<M> {
    /// Starts a new node on new, empty files.
    pub(super) fn add_on_new_files(&mut self, name: NodeId) -> Result<Member, LabError> {
        let medium = self.medium_for(name)?;
        let print = Footprint::before(&self.settings, &[name], None);
        let added = self.add_on(medium, name);
        if added.is_err() {
            print.erase();
        }
        added
    }

    fn add_on(&mut self, medium: Medium, name: NodeId) -> Result<Member, LabError> {
        let opened = self.open_emptied(name, &medium)?;
        let member = Member { node: name, store_id: opened.recovered.hard_state.store_id };
        if let Some(logs) = &self.logs {
            logs.add(name).map_err(|error| told(StartError::Logs(error)))?;
        }
        self.network.add_node(name);
        let before = self.slots.insert(name, Slot::new(medium));
        let was_there = before.is_some();
        self.past_syncs += before.map_or(0, |slot| slot.syncs());
        self.note_nodes();
        self.context.reporter.tell(self.context.clock.now(), name, [What::Added]);
        match self.launch(name, opened) {
            Ok(_) => Ok(member),
            Err(error) => {
                if !was_there {
                    self.drop_node(name);
                }
                Err(told(error))
            }
        }
    }

    /// Where a new node of this name keeps its state: where the others do.
    fn medium_for(&mut self, name: NodeId) -> Result<Medium, LabError> {
        if self.slots.contains_key(&name) {
            let slot = self.existing(name)?;
            if slot.node.is_some() || !matches!(slot.life(), Life::Down(_)) {
                return Err(LabError::running(name));
            }
        }
        let (_, any) = self.slots.first_key_value().expect("a cluster has nodes");
        Ok(of_another(&any.medium, name))
    }

    /// Opens it for a new node: what was there before is wiped. The number of its files comes after theirs.
    fn open_emptied(&mut self, name: NodeId, medium: &Medium) -> Result<Opened, LabError> {
        let old = Slot::new(medium.clone()).store_id().max(self.slots.get(&name).map_or(0, Slot::store_id));
        let wiped = Wiped::Joins { after: old };
        match medium.clone() {
            Medium::Files(files) => self.open_patiently(name, files, Some(wiped)),
            medium @ Medium::Memory(_) => {
                medium.open(&wiped.new_store(name, 0), image::load::<M>).map_err(told)
            }
        }
    }
}

impl<M> Cluster<M> {
    /// Where its files held something else, when it started, than the settings ask for.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Whether a node that does not run has left anything under this name.
    pub(super) fn has_files_of_the_past(&mut self, name: NodeId) -> bool {
        let runs = self.slots.get(&name).is_some_and(|slot| !matches!(slot.life(), Life::Down(_)));
        let (_, any) = self.slots.first_key_value().expect("a cluster has nodes");
        match of_another(&any.medium, name) {
            _ if runs => false,
            // Files that cannot be read are there, too.
            Medium::Files(files) => files.exist().unwrap_or(true),
            Medium::Memory(_) => self.slots.contains_key(&name),
        }
    }

    /// Forgets a node that does not run: it is not one of the nodes any more. Its files stay.
    ///
    /// # Errors
    /// It runs, there is no such node, or no other.
    pub fn forget(&mut self, name: NodeId) -> Result<(), LabError> {
        let slot = self.existing(name)?;
        if slot.node.is_some() || !matches!(slot.life(), Life::Down(_)) {
            return Err(LabError::not_removed(name));
        }
        if self.slots.len() == 1 {
            return Err(LabError::only(name));
        }
        self.drop_node(name);
        Ok(())
    }

    fn drop_node(&mut self, name: NodeId) {
        self.past_syncs += self.slots.remove(&name).map_or(0, |slot| slot.syncs());
        self.network.unregister(Address::Node(name));
        self.network.remove_node(name);
        self.context.flight_recorder.forget(name);
        self.context.boards.remove(name);
        if let Some(logs) = &self.logs {
            logs.remove(name);
        }
        self.note_nodes();
        self.context.changes.announce();
    }

    /// The clients learn which nodes there are, and so do the logs that want messages of some.
    fn note_nodes(&self) {
        self.nodes.change(self.slots.keys().copied().collect());
        self.observe_network();
    }
}

/// Where another node of the cluster keeps its state: as this one does, under its own name.
fn of_another(medium: &Medium, node: NodeId) -> Medium {
    match medium {
        Medium::Memory(content) => Medium::Memory(content.of_another(node)),
        Medium::Files(files) => {
            let states = files.folder.parent().expect("a node's folder is in the states folder");
            Medium::Files(Files {
                folder: states.join(node.to_string()),
                identity: Identity { node, ..files.identity },
                segment_bytes: files.segment_bytes,
                faults: Arc::default(),
            })
        }
    }
}
