//! Files that are lost or put back, and nodes that are made again or forgotten. None of it may leave too few servers for a
//! configuration that could be used.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Run;
use crate::lab::Lab;
use crate::raft::membership::configuration::Configuration;
use crate::server::EndReason;
use crate::types::{Member, NodeId, Time};

impl Run<'_> {
    /// A node with the files that it has now.
    pub(super) fn member(&self, name: NodeId) -> Member {
        Member { node: name, store_id: self.simulation.nodes[&name].store_id }
    }

    pub(super) fn all_members(&self) -> BTreeSet<Member> {
        self.names.iter().map(|name| self.member(*name)).collect()
    }

    /// Whether these servers can decide by every configuration that one of them could use, or that is on its way to them, and
    /// by those that follow when learners become voters that have their files now.
    pub(super) fn suffice(&self, servers: &BTreeSet<Member>) -> bool {
        let heard = self.simulation.senders_of_configurations();
        let counted = |member: Member| servers.contains(&member) || heard.contains(&member);
        let used = self.simulation.safety().in_use(counted);
        let has_files = |node, store_id| self.names.contains(&node) && self.member(node).store_id == store_id;
        used.iter().all(|one| {
            let learners = one.configuration.learners.iter();
            let promoted = learners.filter_map(|(&node, learner)| {
                let joins = learner.joins.filter(|_| has_files(node, learner.store_id))?;
                let mut next = Configuration::clone(&one.configuration);
                next.voters.insert(node, learner.store_id);
                if let Some(old) = joins.instead_of {
                    next.voters.remove(&old);
                }
                Some(next)
            });
            let mut all = [Configuration::clone(&one.configuration)].into_iter().chain(promoted);
            all.all(|one| one.reached(|member| servers.contains(&member)))
        })
    }

    /// Whether every member has the files that the configurations name.
    pub(super) fn all_have_their_files(&self) -> bool {
        let present = self.all_members();
        let used = self.simulation.safety().in_use(|member| present.contains(&member));
        used.iter().all(|one| one.configuration.members().all(|member| present.contains(&member)))
    }

    /// Whether a node's files are needed by no configuration.
    pub(in crate::sim::seeds) fn may_be_lost(&self, name: NodeId) -> bool {
        if !self.names.contains(&name) {
            return true;
        }
        let mut rest = self.all_members();
        rest.remove(&self.member(name));
        self.suffice(&rest)
    }

    /// A node ends, for other files to come under its name. Its disk is kept, perhaps.
    pub(in crate::sim::seeds) fn put_aside(&mut self, name: NodeId) {
        if !self.names.contains(&name) {
            return;
        }
        self.note_loss(name);
        if self.simulation.node(name).is_running() {
            self.simulation.end(name, EndReason::Crashed { power: false });
        }
        if self.classes.old_disks && !self.simulation.node(name).has_failed_disk() {
            let node = self.simulation.node(name);
            let (store_id, disk) = (node.store_id, node.disk.clone());
            self.changes.old_disks.entry(name).or_default().insert(store_id, disk);
        }
    }

    fn note_loss(&mut self, name: NodeId) {
        let present = self.all_members();
        let used = self.simulation.safety().in_use(|member| present.contains(&member));
        let named = used.iter().any(|one| one.configuration.names(self.member(name)));
        if named {
            self.changes.lost_at = self.simulation.now();
        }
        let joint = named && used.iter().any(|one| one.configuration.is_joint());
        self.simulation.tally.members.lost_while_joint += u64::from(joint);
    }

    /// A node loses its files and starts again, if it may.
    pub(in crate::sim::seeds) fn lose_files(&mut self, name: NodeId) {
        if self.may_be_lost(name) {
            self.put_aside(name);
            self.start_afresh(name);
        }
    }

    /// A node that is no member any more ends, and is not one of the nodes.
    pub(super) fn forget_one(&mut self) {
        let named = |name: &NodeId| self.simulation.members.configuration.contains(*name);
        let others: Vec<NodeId> = self.names.iter().copied().filter(|name| !named(name)).collect();
        let Some(&name) = self.random.pick(&others) else { return };
        if !self.agenda.is_empty() || !self.may_be_lost(name) {
            return;
        }
        self.put_aside(name);
        if self.simulation.remove_node(name).is_ok() {
            self.names = self.simulation.nodes();
        }
    }

    /// A disk that was under a node's name comes back, in place of what is there now.
    pub(super) fn put_old_disk_back(&mut self) {
        let names: Vec<NodeId> =
            self.changes.old_disks.keys().copied().filter(|name| self.names.contains(name)).collect();
        let Some(&name) = self.random.pick(&names) else { return };
        let stores: Vec<u64> = self.changes.old_disks[&name].keys().copied().collect();
        let Some(&store_id) = self.random.pick(&stores) else { return };
        let mut present = self.all_members();
        present.remove(&self.member(name));
        present.insert(Member { node: name, store_id });
        if self.suffice(&present) {
            self.put_in(Member { node: name, store_id });
        }
    }

    /// Starts a node from a disk that was put aside.
    pub(super) fn put_in(&mut self, member: Member) {
        let name = member.node;
        self.put_aside(name);
        let disks = self.changes.old_disks.entry(name).or_default();
        let Some(disk) = disks.remove(&member.store_id) else { return };
        let node = self.simulation.node(name);
        (node.disk, node.store_id) = (disk, member.store_id);
        node.down = None;
        node.slow = Duration::ZERO;
        node.stalled_until = Time::ZERO;
        self.simulation.tally.members.old_disks += 1;
        self.revive(name);
    }
}
