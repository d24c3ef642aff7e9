//! The folders that nodes keep their state in: which cluster they hold, opening them, wiping them.
//!
//! What is there decides: a start joins the cluster that its folders hold or is refused. No node of a cluster that has
//! run ever starts empty under its old name, unless it is wiped on purpose.

use std::collections::BTreeMap;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use super::entropy;
use super::notices::Notice;
use super::start_error::StartError;
use super::survey::{Survey, folders};
use crate::config::Settings;
use crate::node::{OpenSnapshots, Store};
use crate::panics::caught;
use crate::state_machine::image::LoadImage;
use crate::storage::disk::{Disk, LockError};
use crate::storage::faults::{DiskFaults, FaultyDisk};
use crate::storage::json_store::{self, JsonStore};
use crate::storage::memory_store::MemoryContent;
use crate::storage::real::RealDisk;
use crate::storage::snapshots::Snapshots;
use crate::storage::{ClusterId, Founders, Identity, NewStore, Recovered, StorageError};
use crate::types::{EntryId, Epoch, FOUNDERS_STORE, NodeId, StoreId};

/// Where a node's state is kept between its starts.
#[derive(Clone, Debug)]
pub(super) enum Medium {
    Memory(MemoryContent),
    Files(Files),
}

/// A node's folder and the faults of its disk.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub folder: PathBuf,
    pub identity: Identity,
    pub segment_bytes: u64,
    pub faults: Arc<DiskFaults>,
}

#[cfg(feature = "cli")]
impl Medium {
    /// The cluster that it holds a node of.
    pub fn cluster(&self) -> ClusterId {
        match self {
            Medium::Memory(content) => content.cluster(),
            Medium::Files(files) => files.identity.cluster,
        }
    }
}

pub(super) struct Opened {
    pub store: Store,
    pub open: OpenSnapshots,
    pub recovered: Recovered,
}

/// What a start makes of a node.
pub(super) enum Found {
    Open(Box<Opened>),
    /// It stays down, for this reason.
    Down(String),
}

/// What a start finds of a cluster.
pub(super) struct States {
    /// Its members, and the nodes that have files.
    pub nodes: BTreeMap<NodeId, (Medium, Found)>,
    pub notices: Vec<Notice>,
}

/// Where each node's state is kept, and what it holds. Who belongs to a cluster that has run is in its files: the number of
/// nodes counts only for a new one.
pub(super) fn open_all(settings: &Settings, load: LoadImage) -> Result<States, StartError> {
    if settings.memory {
        return open_in_memory(settings, load);
    }
    let survey = Survey::of(settings)?;
    let founding = NewStore::founding(survey.founders.clone());
    let open = |node: NodeId| {
        let files = survey.files(settings, node);
        let open = || if files.exist()? { files.open(&founding, load).map(Some) } else { Ok(None) };
        let opened = match caught(open).map_err(|reason| StartError::Machine { node, reason })? {
            Ok(opened) => opened.map(|opened| Found::Open(Box::new(opened))),
            Err(left_behind @ (StorageError::OtherEpoch { .. } | StorageError::Retired { .. })) => {
                Some(Found::Down(left_behind.to_string()))
            }
            Err(error) => return Err(error.into()),
        };
        Ok((node, (files, opened)))
    };
    // A long log takes its time to be read and checked: all nodes' are, side by side.
    let all: Result<BTreeMap<_, _>, StartError> = thread::scope(|scope| {
        let start = |&node: &NodeId| thread::Builder::new().spawn_scoped(scope, move || open(node));
        let threads: io::Result<Vec<_>> = survey.nodes.iter().map(start).collect();
        let opened = threads.map_err(StartError::Thread)?.into_iter().map(thread::ScopedJoinHandle::join);
        opened.map(|opened| opened.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let all = all?;
    let found = || all.values().filter_map(|(_, found)| found.as_ref());
    let has_run = found().any(Found::has_run);
    let newest = found().filter_map(Found::recovered).max_by_key(|recovered| recovered.last());
    let newest = newest.filter(|_| has_run).and_then(Recovered::configured);
    let configuration = newest.or_else(|| survey.founders.configured()).map(|known| known.configuration);
    let configuration = configuration.unwrap_or_default();
    let members = configuration.nodes();
    let notices = if survey.is_old { Notice::of(settings, &configuration) } else { Vec::new() };
    let mut nodes = BTreeMap::new();
    for (node, (files, found)) in all {
        let is_member = members.contains(&node);
        let found = match found {
            Some(found) if !is_member && found.is_stranger() => continue,
            Some(found) => found,
            None if !is_member => continue,
            None if has_run => Found::missing(node),
            None => Found::Open(Box::new(files.open(&founding, load)?)),
        };
        nodes.insert(node, (Medium::Files(files), found));
    }
    for node in members {
        let missing = || (Medium::Files(survey.files(settings, node)), Found::missing(node));
        nodes.entry(node).or_insert_with(missing);
    }
    Ok(States { nodes, notices })
}

fn open_in_memory(settings: &Settings, load: LoadImage) -> Result<States, StartError> {
    let cluster = ClusterId(entropy());
    let founders = Founders::of(settings);
    let founding = NewStore::founding(founders.clone());
    let open = |&node: &NodeId| {
        let medium = Medium::Memory(MemoryContent::new(Identity { cluster, epoch: Epoch::FIRST, node }));
        let opened = medium.open(&founding, load)?;
        Ok((node, (medium, Found::Open(Box::new(opened)))))
    };
    let nodes: Result<_, StartError> = founders.nodes.iter().map(open).collect();
    Ok(States { nodes: nodes?, notices: Vec::new() })
}

impl Found {
    fn missing(node: NodeId) -> Found {
        Found::Down(files_missing(node))
    }

    fn recovered(&self) -> Option<&Recovered> {
        match self {
            Found::Open(opened) => Some(&opened.recovered),
            Found::Down(_) => None,
        }
    }

    /// Whether it knows of no members: no leader has sent it anything so far.
    fn is_stranger(&self) -> bool {
        self.recovered().is_some_and(|recovered| recovered.configured().is_none())
    }

    /// Whether its cluster has run before.
    fn has_run(&self) -> bool {
        self.recovered().is_none_or(|recovered| {
            recovered.hard_state.current_term.0 > 0 || recovered.last() != EntryId::ZERO
        })
    }
}

pub(super) fn files_missing(node: NodeId) -> String {
    format!("its files are missing: put them back, or 'restart {node} --wipe' starts it empty")
}

impl Survey {
    /// Where a node of this cluster keeps its state.
    pub(super) fn files(&self, settings: &Settings, node: NodeId) -> Files {
        Files {
            folder: settings.states.join(node.to_string()),
            identity: Identity { cluster: self.cluster, epoch: self.epoch, node },
            segment_bytes: settings.segment_bytes,
            faults: Arc::default(),
        }
    }
}

/// How a node begins that loses its files on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wiped {
    /// No other node could bring it up to date: its cluster begins again.
    Alone,
    /// The cluster takes it in. Its files get a number after this one, and after that of the files which go.
    Joins { after: StoreId },
}

impl Wiped {
    pub fn new_store(self, node: NodeId, before: StoreId) -> NewStore {
        let Wiped::Joins { after } = self else { return NewStore::founding([node]) };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        // A clock that was set back gives no smaller number.
        let next = before.max(after).max(FOUNDERS_STORE).saturating_add(1);
        NewStore::joining(now.max(next))
    }
}

/// The folders of nodes that hold files of ours, one line each: what [`wipe`] would remove.
pub fn states_found(states: &Path) -> Result<Vec<String>, StartError> {
    let mut lines = Vec::new();
    for folder in folders(states)?.into_values() {
        let disk = RealDisk::new(&folder);
        let shown = folder.display();
        match json_store::read_identity(&disk) {
            Ok(None) => {}
            Ok(Some(Identity { cluster, node, .. })) => {
                lines.push(format!("{shown}: {node} of cluster {cluster}"));
            }
            Err(error) => lines.push(format!("{shown}: {error}")),
        }
    }
    Ok(lines)
}

/// Removes the nodes' files, and no others, and says which folders are empty now. Refused while one is in use.
pub fn wipe(states: &Path) -> Result<Vec<String>, StartError> {
    let folders = folders(states)?;
    for folder in folders.values() {
        // All are free, or nothing is removed.
        match RealDisk::new(folder).lock() {
            Ok(lock) => drop(lock),
            Err(LockError::InUse(holder)) => {
                let folder = folder.display().to_string();
                return Err(StartError::Storage(StorageError::InUse { folder, holder }));
            }
            Err(LockError::Io(reason)) => return Err(StartError::Folder { path: folder.clone(), reason }),
        }
    }
    let mut lines = Vec::new();
    for folder in folders.values() {
        json_store::wipe(&mut RealDisk::new(folder))?;
        lines.push(format!("{} wiped", folder.display()));
    }
    Ok(lines)
}

/// The folder of one node of this cluster, with the epoch that its files have.
pub(super) fn files_of(settings: &Settings, cluster: ClusterId, node: NodeId) -> Result<Files, StartError> {
    let folder = settings.states.join(node.to_string());
    let state = json_store::read_state(&RealDisk::new(&folder))?;
    let epoch = state.map_or(Epoch::FIRST, |state| state.identity.epoch);
    let identity = Identity { cluster, epoch, node };
    Ok(Files { folder, identity, segment_bytes: settings.segment_bytes, faults: Arc::default() })
}

impl Medium {
    /// Opens it for a start of the node.
    pub fn open(&self, new_store: &NewStore, load: LoadImage) -> Result<Opened, StorageError> {
        match self {
            Medium::Memory(content) => {
                let (store, recovered) = content.open(new_store, load)?;
                let content = content.clone();
                let open: OpenSnapshots = Arc::new(move || Box::new(content.snapshots()));
                Ok(Opened { store: Store::Inline(Box::new(store)), open, recovered })
            }
            Medium::Files(files) => files.open(new_store, load),
        }
    }
}

impl Files {
    /// Whether the folder holds anything of a node's.
    pub fn exist(&self) -> Result<bool, StorageError> {
        let disk = RealDisk::new(&self.folder);
        let has_log = disk.list().is_ok_and(|names| names.iter().any(|name| name.starts_with("log-")));
        // A log without its state is damage, and opening it says so.
        Ok(json_store::read_identity(&disk)?.is_some() || has_log)
    }

    pub fn open(&self, new_store: &NewStore, load: LoadImage) -> Result<Opened, StorageError> {
        let (store, recovered) =
            JsonStore::open(self.disk(), &self.identity, self.segment_bytes, new_store, load)?;
        let files = self.clone();
        let open: OpenSnapshots =
            Arc::new(move || Box::new(Snapshots::new(files.disk(), files.identity.cluster)));
        Ok(Opened { store: Store::Threaded(Box::new(store), Arc::clone(&self.faults)), open, recovered })
    }

    fn disk(&self) -> FaultyDisk<RealDisk> {
        FaultyDisk::new(RealDisk::new(&self.folder), Arc::clone(&self.faults))
    }

    /// Opens files that are there.
    pub fn open_again(&self, load: LoadImage) -> Result<Opened, StorageError> {
        // Should they be gone in this moment, new ones belong to no cluster that has run.
        self.open(&Wiped::Joins { after: 0 }.new_store(self.identity.node, 0), load)
    }

    /// Removes what the folder holds of the node's, and makes it new files.
    pub fn renew(&self, wiped: Wiped, load: LoadImage) -> Result<Opened, StorageError> {
        let before = json_store::wipe(&mut self.disk())?;
        self.open(&wiped.new_store(self.identity.node, before), load)
    }
}
