//! The processes of a cluster's nodes, started and watched by one program.
//!
//! Each child has a process group of its own, so that Ctrl-C at a terminal reaches the supervisor alone, and a pipe as
//! standard input: when that ends, the child's supervisor has gone, and the child stops. An end that was not ordered is told,
//! and the process is not started again: a person watches.

mod child;
pub mod lines;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use crossbeam_channel::Receiver;
use derive_more::Debug;

pub use self::child::{Program, Tell};
pub use self::table::Table;

pub(crate) use self::child::{Child, STOP_PATIENCE};
pub(crate) use self::table::Condition;

use self::lines::{Begin, Said};
use self::table::Ended;
use crate::check::linearizability::Start;
use crate::cluster::{Residents, has_files, stored_in};
use crate::config::Settings;
use crate::faults::NetChange;
use crate::lab::{LabError, Life, NodeOrder, left_by_crash};
use crate::server::Status;
use crate::storage::glimpse::Glimpse;
use crate::storage::{ClusterId, Identity};
use crate::types::{Addresses, HostPort, Member, NodeId};

/// Is told where the nodes listen.
pub type OnAddresses = Box<dyn Fn(&Addresses)>;

/// What is started.
#[derive(Debug)]
pub struct Plan {
    pub program: Program,
    pub residents: Residents,
    /// What every connection shows.
    pub token: String,
    /// Unscaled, as each child takes them.
    pub settings: Settings,
    /// Called whenever that changes.
    #[debug(skip)]
    pub on_addresses: OnAddresses,
}

/// The processes of a cluster. Dropping it stops them.
#[derive(Debug)]
pub struct Supervisor {
    plan: Plan,
    #[debug(skip)]
    tell: Tell,
    table: Table,
    children: BTreeMap<NodeId, Child>,
}

/// A node that runs in a process of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Running {
    pub member: Member,
    pub address: HostPort,
    /// What its files held.
    pub loaded: String,
}

impl Supervisor {
    /// Starts a process for each node that has files. Those that cannot start are down, and `tell` says why.
    ///
    /// # Errors
    /// One line: a person did not want to wait, or no node can start, and why the first cannot.
    pub fn start(plan: Plan, tell: Tell, wake: &Receiver<()>) -> Result<Supervisor, String> {
        let mut supervisor = Supervisor { plan, tell, table: Table::default(), children: BTreeMap::new() };
        for (node, missing) in supervisor.plan.residents.nodes.clone() {
            match missing {
                Some(why) => supervisor.table.set(node, Condition::Ended(Ended { how: None, why })),
                None => supervisor.spawn(node, wake).map_err(|error| error.to_string())?,
            }
        }
        let addresses = supervisor.addresses();
        let started: Vec<NodeId> = supervisor.children.keys().copied().collect();
        for node in &started {
            supervisor.begin(*node, &addresses, &[], false);
        }
        let ran: Result<Vec<_>, LabError> = started.iter().map(|node| supervisor.runs(*node, wake)).collect();
        let ran = ran.map_err(|error| error.to_string())?;
        if !ran.is_empty() && ran.iter().all(Option::is_none) {
            return Err(supervisor.why_down(started[0]));
        }
        supervisor.tell_addresses();
        Ok(supervisor)
    }

    /// Which processes run.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// The nodes that have a process, or should have one.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.table.nodes()
    }

    pub fn cluster(&self) -> ClusterId {
        self.plan.residents.cluster
    }

    pub fn token(&self) -> &str {
        &self.plan.token
    }

    pub fn settings(&self) -> &Settings {
        &self.plan.settings
    }

    /// What the keys held when the processes were started.
    pub fn began_with(&self) -> Start {
        self.plan.residents.began_with
    }

    /// Where the files are of those nodes of this cluster that have no process, former members too.
    pub fn ended(&self) -> BTreeMap<NodeId, PathBuf> {
        let settings = &self.plan.settings;
        let folders = fs::read_dir(&settings.states).into_iter().flatten().flatten();
        let nodes = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<NodeId>().ok());
        let has_ended = |node: &NodeId| {
            let is_ours = |identity: Identity| identity.cluster == self.cluster();
            !matches!(self.table.get(*node), Some(Condition::Runs | Condition::Frozen(_)))
                && stored_in(settings, *node, 0).is_ok_and(|stored| stored.identity.is_some_and(is_ours))
        };
        nodes.filter(has_ended).map(|node| (node, settings.states.join(node.to_string()))).collect()
    }

    /// Where the nodes listen.
    pub fn addresses(&self) -> Addresses {
        let addresses = self.children.iter().filter_map(|(node, child)| Some((*node, child.address?)));
        addresses.map(|(node, address)| (node, address.into())).collect()
    }

    /// Ends a node's process at once. Says what that left of what the node knew.
    ///
    /// # Errors
    /// It has no process of this program's.
    pub fn kill(&mut self, node: NodeId, known: &Status) -> Result<String, LabError> {
        let child = match (self.table.get(node), self.children.get(&node)) {
            (Some(Condition::Runs | Condition::Frozen(_)), Some(child)) => child,
            (None, _) => return Err(LabError::no_process(node, &NodeOrder::Kill)),
            _ => return Err(self.is_down(node)),
        };
        child.kill();
        if !child.has_ended(Instant::now() + STOP_PATIENCE) {
            return Err(LabError::new(format!("{node}'s process was killed, and has not ended yet")));
        }
        Ok(match self.stored(node, 1) {
            Ok(stored) => left_by_crash(known, &stored),
            Err(error) => format!("its files cannot be read: {error}"),
        })
    }

    /// Lets a node's whole process make no step.
    ///
    /// # Errors
    /// It has no process of this program's that could be frozen.
    pub fn freeze(&mut self, node: NodeId) -> Result<String, LabError> {
        let child = match (self.table.get(node), self.children.get(&node)) {
            (Some(Condition::Runs), Some(child)) => child,
            (Some(Condition::Frozen(_)), _) => {
                return Err(LabError::new(format!("{node}'s process is frozen already")));
            }
            (None, _) => return Err(LabError::no_process(node, &NodeOrder::Freeze)),
            _ => return Err(self.is_down(node)),
        };
        freeze(child)
            .map_err(|error| LabError::new(format!("{node}'s process cannot be frozen: {error}")))?;
        self.table.set(node, Condition::Frozen(Instant::now()));
        Ok("no thread of it makes a step".to_string())
    }

    /// Lets a frozen process run again. Says how long it was frozen; none if it was not.
    pub fn thaw(&mut self, node: NodeId) -> Option<std::time::Duration> {
        let Some(Condition::Frozen(since)) = self.table.get(node) else { return None };
        let child = self.children.get(&node)?;
        self.table.set(node, Condition::Runs);
        thaw(child);
        Some(since.elapsed())
    }

    /// Starts a node's process again, or for the first time: on its files, or on new ones, which the cluster has to take in. It is
    /// told where other nodes listen that are no children, and the network's rules.
    ///
    /// # Errors
    /// It runs, or cannot start.
    pub fn start_node(
        &mut self,
        node: NodeId,
        wipe: bool,
        others: Addresses,
        rules: &[NetChange],
        wake: &Receiver<()>,
    ) -> Result<Running, LabError> {
        if matches!(self.table.get(node), Some(Condition::Runs | Condition::Frozen(_))) {
            return Err(LabError::running(node));
        }
        if !wipe && !self.has_files(node) {
            let advice = format!("'restart {node} --wipe' starts it empty");
            return Err(LabError::new(format!("{node} has no files")).advising(advice));
        }
        let before = self.table.get(node);
        let ran = self.spawn(node, wake).and_then(|()| {
            let mut addresses = others;
            addresses.extend(self.addresses());
            self.begin(node, &addresses, rules, wipe);
            self.runs(node, wake)
        });
        match ran {
            Ok(Some(running)) => {
                self.tell_addresses();
                Ok(running)
            }
            Ok(None) => Err(LabError::new(self.why_down(node))),
            Err(error) => {
                // One that a person did not wait for is as it was before.
                self.children.remove(&node);
                before.map_or_else(|| self.table.remove(node), |before| self.table.set(node, before));
                Err(error)
            }
        }
    }

    /// Stops a node's process, and forgets the node. Its files stay.
    pub fn remove(&mut self, node: NodeId) {
        if let Some(mut child) = self.children.remove(&node) {
            child.stop();
            if !child.has_ended(Instant::now() + STOP_PATIENCE) {
                child.kill();
                child.has_ended(Instant::now() + STOP_PATIENCE);
            }
        }
        self.table.remove(node);
        self.tell_addresses();
    }

    /// What a node's files hold, whether its process runs or not.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn stored(&self, node: NodeId, entries: usize) -> Result<Glimpse, LabError> {
        stored_in(&self.plan.settings, node, entries).map_err(|error| LabError::new(error.to_string()))
    }

    /// Whether there are files of this node, or what looks like them.
    pub fn has_files(&self, node: NodeId) -> bool {
        has_files(&self.plan.settings, node)
    }

    /// Stops all processes, as the end of the whole cluster: no node hands over.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.children.values_mut().for_each(Child::stop);
        let deadline = Instant::now() + STOP_PATIENCE;
        for child in self.children.values().filter(|child| !child.has_ended(deadline)) {
            child.kill();
            child.has_ended(Instant::now() + STOP_PATIENCE);
        }
        self.children.clear();
    }

    /// Starts a process that says where it listens, and waits.
    fn spawn(&mut self, node: NodeId, wake: &Receiver<()>) -> Result<(), LabError> {
        let bind = self.children.get(&node).and_then(|child| child.address);
        // It binds this address if it can, and waits.
        let bind = bind.map_or("127.0.0.1:0".to_string(), |address| address.to_string());
        let command = self.plan.program.command([&node.to_string(), "--supervised", "--bind", bind.as_str()]);
        let child = Child::spawn(command, node, &self.table, &self.tell);
        let mut child =
            child.map_err(|error| LabError::new(format!("{node}'s process cannot be started: {error}")))?;
        match child.hear(wake) {
            Ok(Some(Said::Listens(address))) => {
                child.address = Some(address);
                (self.tell)(&format!("[{node}] process {} listens on {address}", child.number()));
            }
            Ok(Some(Said::Runs { .. })) => {
                child.kill();
                return Err(LabError::new(format!("{node}'s process does not wait for its orders")));
            }
            // Why it has ended is in the table.
            Ok(None) => {}
            Err(()) => {
                child.kill();
                return Err(interrupted(node));
            }
        }
        self.children.insert(node, child);
        Ok(())
    }

    fn begin(&mut self, node: NodeId, addresses: &Addresses, rules: &[NetChange], wipe: bool) {
        let mut nodes = self.nodes();
        nodes.extend(addresses.keys().filter(|node| !self.table.nodes().contains(node)));
        let Residents { cluster, epoch, .. } = self.plan.residents;
        let begin = Begin {
            cluster,
            epoch,
            token: self.plan.token.clone(),
            settings: self.plan.settings.clone(),
            nodes,
            addresses: addresses.clone(),
            rules: rules.to_vec(),
            wipe,
        };
        if let Some(child) = self.children.get_mut(&node) {
            child.begin(&begin);
        }
    }

    /// Waits until the node runs; none when its process has ended instead.
    fn runs(&self, node: NodeId, wake: &Receiver<()>) -> Result<Option<Running>, LabError> {
        let Some(child) = self.children.get(&node) else { return Ok(None) };
        loop {
            match child.hear(wake) {
                Ok(Some(Said::Runs { member, loaded })) => {
                    child.watch();
                    let address = child.address.expect("it listened before it ran").into();
                    return Ok(Some(Running { member, address, loaded }));
                }
                Ok(Some(Said::Listens(_))) => {}
                Ok(None) => return Ok(None),
                Err(()) => {
                    child.kill();
                    return Err(interrupted(node));
                }
            }
        }
    }

    fn why_down(&self, node: NodeId) -> String {
        match (self.table.get(node), self.table.life(node)) {
            (Some(Condition::Ended(Ended { why, .. })), _) if !why.is_empty() => why,
            (_, Some(Life::Down(why))) => format!("{node}: {why}"),
            _ => format!("{node} has no process"),
        }
    }

    fn is_down(&self, node: NodeId) -> LabError {
        let why = match self.table.life(node) {
            Some(Life::Down(why)) => format!("{node} is down: {why}"),
            _ => format!("{node} is down"),
        };
        LabError::new(why)
    }

    fn tell_addresses(&self) {
        (self.plan.on_addresses)(&self.addresses());
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end();
    }
}

fn interrupted(node: NodeId) -> LabError {
    LabError::new(format!("interrupted before {node} ran"))
}

#[cfg(unix)]
fn freeze(child: &Child) -> io::Result<()> {
    child.signal(rustix::process::Signal::STOP)
}

#[cfg(not(unix))]
fn freeze(_: &Child) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system stops no processes; 'pause' pauses the node"))
}

#[cfg(unix)]
fn thaw(child: &Child) {
    // One that has ended meanwhile is heard of elsewhere.
    let _ = child.signal(rustix::process::Signal::CONT);
}

#[cfg(not(unix))]
fn thaw(_: &Child) {}
