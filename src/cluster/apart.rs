//! A node in a process of its own: to its process it is a cluster of one, whose peers the network brings.
//!
//! Such a process never makes files by itself: alone with an empty folder a node cannot know whether its cluster has run, and
//! a founder that makes its files a second time could vote a second time in one term.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::beginning::Origin;
use super::builder::Machine;
use super::lives::Slot;
use super::start_error::StartError;
use super::states::{Medium, Wiped, files_of};
use super::{Cluster, Observer, entropy};
use crate::client::SharedNodes;
use crate::config::Settings;
use crate::faults::NetChange;
use crate::lab::LabError;
use crate::net::router::RouterHandle;
use crate::panics::caught;
use crate::state_machine::{StateMachine, image};
use crate::storage::backup;
use crate::storage::records::Recorder;
use crate::storage::{ClusterId, Founders, Identity, NewStore};
use crate::trace::NodeLogs;
use crate::types::{Epoch, Member, NodeId};

/// Which node a process is, and of which cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Apart {
    pub cluster: ClusterId,
    pub node: NodeId,
    /// The other nodes that are known so far.
    pub peers: Vec<NodeId>,
    /// The network's rules that hold when it starts.
    pub rules: Vec<NetChange>,
}

/// Files that a person asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewFiles {
    /// Those of one of the nodes that begin the cluster.
    Founding(Vec<NodeId>),
    /// Those of a node that the cluster of this epoch takes in. What was there is wiped.
    Joining(Epoch),
}

impl<M: StateMachine> Cluster<M> {
    /// Starts the one node of this process, on the files that it has. Also says what they held.
    pub(super) fn open_apart(
        settings: &Settings,
        logs: Option<(&Path, Option<&str>)>,
        observer: Option<Observer>,
        machine: Machine<M>,
        apart: &Apart,
    ) -> Result<(Cluster<M>, String), StartError> {
        settings.validate().map_err(StartError::Settings)?;
        let (mut settings, time_scale) = (settings.scaled(), settings.time_scale);
        let node = apart.node;
        // Nodes that draw the same election timeouts would elect in vain.
        settings.seed = settings.seed.map(|seed| seed ^ u64::from(node.number()) << 56);
        // Links have threads of their own: the router's would be one more on the way.
        settings.express = true;
        let files = files_of(&settings, apart.cluster, node)?;
        if !files.exist()? {
            return Err(StartError::NoFiles { node });
        }
        let opened = caught(|| files.open_again(image::load::<M>));
        let opened = opened.map_err(|reason| StartError::Machine { node, reason })??;
        let logs = logs.map(|(folder, filter)| NodeLogs::open(folder, &[node], filter));
        let logs = logs.transpose().map_err(StartError::Logs)?.map(Arc::new);
        let mut founders: Vec<NodeId> = apart.peers.iter().copied().chain([node]).collect();
        founders.sort_unstable();
        let origin = Origin { settings, time_scale, founders, home: Some(node) };
        let mut cluster = Cluster::begin(origin, logs, observer, machine)?;
        // A rule about a node that is not known here concerns no link of this process.
        let _ = cluster.network.apply(NetChange::Replace(apart.rules.clone()));
        let recorder = Recorder::open(&files.folder, entropy());
        let unreadable = |reason| StartError::Folder { path: files.folder.clone(), reason };
        cluster.context.recorder = Some(recorder.map_err(unreadable)?);
        cluster.slots.insert(node, Slot::new(Medium::Files(files)));
        let loaded = cluster.launch(node, opened)?;
        Ok((cluster, loaded))
    }
}

/// Makes a node's files, and starts nothing.
///
/// # Errors
/// A founder has files already, or they cannot be made.
pub fn make_files<M: StateMachine>(
    settings: &Settings,
    apart: &Apart,
    new: &NewFiles,
) -> Result<Member, StartError> {
    let mut files = files_of(settings, apart.cluster, apart.node)?;
    let load = image::load::<M>;
    let opened = match new {
        NewFiles::Founding(nodes) => {
            if files.exist()? {
                let Identity { cluster, .. } = files.identity;
                return Err(StartError::HasFiles { node: apart.node, cluster });
            }
            let founders = Founders { nodes: nodes.clone(), preferred: settings.preferred };
            files.open(&NewStore::founding(founders), load)?
        }
        NewFiles::Joining(epoch) => {
            files.identity.epoch = files.identity.epoch.max(*epoch);
            files.renew(Wiped::Joins { after: 0 }, load)?
        }
    };
    Ok(Member { node: apart.node, store_id: opened.recovered.hard_state.store_id })
}

/// The nodes that a process knows: of its peers it hears as they come.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    nodes: SharedNodes,
    network: RouterHandle,
}

impl Known {
    pub fn nodes(&self) -> Vec<NodeId> {
        self.nodes.now()
    }

    /// The network has heard of this node: rules and numbers hold for its links. False when it had before.
    pub fn hear_of(&self, node: NodeId) -> bool {
        let mut known = self.nodes.now();
        if known.contains(&node) {
            return false;
        }
        known.push(node);
        known.sort_unstable();
        self.network.add_node(node);
        self.nodes.change(known);
        true
    }

    /// The network knows nothing of this node any more.
    pub fn forget(&self, node: NodeId) {
        let mut known = self.nodes.now();
        known.retain(|other| *other != node);
        self.network.remove_node(node);
        self.nodes.change(known);
    }
}

impl<M> Cluster<M> {
    /// The network of this process, for what connects it with others.
    pub(crate) fn network(&self) -> RouterHandle {
        self.network.clone()
    }

    /// Wakes up whenever something may have changed.
    pub(crate) fn listen(&self) -> Receiver<()> {
        self.context.changes.listen()
    }

    /// The state of this process's node as it is now, as the text of a backup.
    ///
    /// # Errors
    /// It does not run, has applied nothing, or holds what JSON cannot hold.
    pub(crate) fn backup(&mut self, cluster: ClusterId) -> Result<String, LabError> {
        let node = *self.slots.keys().next().expect("a process has a node");
        let running = self.running(node)?;
        let taken = running.look(|machine| (machine.applied(), machine.image()));
        let (last, image) = taken.ok_or_else(|| LabError::down(node))?;
        let configured = running.inspect(move |server| server.raft().configuration_at(last.index)).flatten();
        let configured =
            configured.ok_or_else(|| LabError::new(format!("{node} has applied nothing so far")))?;
        let bytes = backup::encode(cluster, last, &configured, &*image).map_err(LabError::new)?;
        Ok(String::from_utf8(bytes).expect("JSON is text"))
    }

    /// What writes down the steps of this process's node.
    pub(crate) fn recorder(&self) -> Option<Recorder> {
        self.context.recorder.clone()
    }

    /// The settings that it runs with.
    pub(crate) fn settings_in_force(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn known(&self) -> Known {
        Known { nodes: self.nodes.clone(), network: self.network.clone() }
    }

    /// The node of this process with the number of its files, and the epoch that they are of.
    pub(crate) fn own_files(&self) -> Option<(Member, Epoch)> {
        let (&node, slot) = self.slots.first_key_value()?;
        let Medium::Files(files) = &slot.medium else { return None };
        Some((Member { node, store_id: slot.store_id() }, files.identity.epoch))
    }
}
