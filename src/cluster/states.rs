//! The folders that nodes keep their state in: which cluster they hold, opening them, wiping them.
//!
//! What is there decides: a start joins the cluster that its folders hold or is refused. No node of a cluster that has
//! run ever starts empty under its old name, unless it is wiped on purpose.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use super::entropy;
use crate::config::{ConfigError, Settings};
use crate::node::{OpenSnapshots, Store};
use crate::panics::caught;
use crate::state_machine::image::LoadImage;
use crate::storage::disk::{Disk, LockError};
use crate::storage::error::files_advice;
use crate::storage::faults::{DiskFaults, FaultyDisk};
use crate::storage::json_store::{self, JsonStore};
use crate::storage::memory_store::MemoryContent;
use crate::storage::real::RealDisk;
use crate::storage::snapshots::Snapshots;
use crate::storage::{ClusterId, Identity, NewStore, Recovered, StorageError};
use crate::trace::LogsError;
use crate::types::NodeId;

/// Why a cluster does not start. Shown as one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings break a rule.
    #[error("{0}")]
    Settings(#[source] ConfigError),
    /// The states folder cannot be read.
    #[error(
        "the states folder {} cannot be used: {reason}; {}",
        .path.display(),
        files_advice(.reason).unwrap_or("choose another one with --states DIR")
    )]
    Folder {
        path: PathBuf,
        #[source]
        reason: io::Error,
    },
    /// The states folder holds a cluster of other nodes.
    #[error(
        "{} holds a cluster of {found}, not of {asked}: start it with {found}, choose another folder with --states \
         DIR, or start afresh with --fresh",
        .path.display()
    )]
    OtherNodes {
        path: PathBuf,
        /// How many nodes that cluster has.
        found: usize,
        asked: u8,
    },
    /// A node's files cannot be used.
    #[error("{}{}", .0, start_advice(.0))]
    Storage(#[from] StorageError),
    /// The log files cannot be written.
    #[error("{}; {}", .0, logs_advice(&.0.reason))]
    Logs(#[source] LogsError),
    /// A node's state machine panicked: when it was made, when it took over the state of a snapshot, or when that was read.
    #[error(
        "{node} cannot start, its state machine panicked: {reason}; nothing is lost: start with a state machine that can \
         continue from what is stored"
    )]
    Machine { node: NodeId, reason: String },
    /// The system gives no more threads.
    #[error("the system gives no more threads: {0}; start fewer nodes")]
    Thread(#[source] io::Error),
}

/// These errors end in what to do, and here it is known how.
fn start_advice(error: &StorageError) -> &'static str {
    match error {
        StorageError::OtherCluster { .. } | StorageError::OtherMembers { .. } => " with --fresh",
        StorageError::Damaged { .. } => ": remove its files, and once the others run, 'restart NODE --wipe'",
        _ => "",
    }
}

fn logs_advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on that disk, or choose another folder with --logs DIR"
        }
        _ => files_advice(reason).unwrap_or("choose another folder with --logs DIR"),
    }
}

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

pub(super) struct Opened {
    pub store: Store,
    pub open: OpenSnapshots,
    pub recovered: Recovered,
}

/// The nodes' states, as [`open_all`] finds them.
pub(super) type OpenedNodes = BTreeMap<NodeId, (Medium, Option<Opened>)>;

/// Where each node's state is kept, and what it holds; none for a node whose files are missing though the cluster has
/// run.
pub(super) fn open_all(
    settings: &Settings,
    members: &[NodeId],
    load: LoadImage,
) -> Result<OpenedNodes, StartError> {
    let founder = new_store(false);
    if settings.memory {
        let cluster = ClusterId(entropy());
        let in_memory = |&node: &NodeId| {
            let identity = Identity { cluster, node, members: members.to_vec() };
            let medium = Medium::Memory(MemoryContent::new(identity));
            let opened = medium.open(founder, load)?;
            Ok((node, (medium, Some(opened))))
        };
        return members.iter().map(in_memory).collect();
    }
    let cluster = survey(settings, members)?;
    let open = |node: NodeId| {
        let identity = Identity { cluster, node, members: members.to_vec() };
        let folder = settings.states.join(node.to_string());
        let (segment_bytes, faults) = (settings.segment_bytes, Arc::default());
        let files = Files { folder, identity, segment_bytes, faults };
        let open = || if files.exist()? { files.open(founder, load).map(Some) } else { Ok(None) };
        let opened = caught(open).map_err(|reason| StartError::Machine { node, reason })??;
        Ok((node, (Medium::Files(files), opened)))
    };
    // A long log takes its time to be read and checked: all nodes' are, side by side.
    let all: Result<BTreeMap<_, _>, StartError> = thread::scope(|scope| {
        let start = |&node: &NodeId| thread::Builder::new().spawn_scoped(scope, move || open(node));
        let threads: io::Result<Vec<_>> = members.iter().map(start).collect();
        let opened = threads.map_err(StartError::Thread)?.into_iter().map(thread::ScopedJoinHandle::join);
        opened.map(|opened| opened.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut all = all?;
    let has_run = all
        .values()
        .filter_map(|(_, opened)| opened.as_ref())
        .any(|opened| opened.recovered.hard_state.current_term.0 > 0 || !opened.recovered.entries.is_empty());
    if !has_run {
        for (medium, opened) in all.values_mut().filter(|(_, opened)| opened.is_none()) {
            *opened = Some(medium.open(founder, load)?);
        }
    }
    Ok(all)
}

/// Identity for a store created now; an existing store keeps its own.
pub(super) fn new_store(joining: bool) -> NewStore {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Later stores get a larger number as long as the system's clock does not go back.
    let store_id = u64::try_from(since.as_micros()).unwrap_or(u64::MAX).max(1);
    NewStore { store_id, joining }
}

/// The folders of nodes that hold files of ours, one line each: what [`wipe`] would remove.
pub fn states_found(states: &Path) -> Result<Vec<String>, StartError> {
    let mut lines = Vec::new();
    for folder in folders(states)?.into_values() {
        let disk = RealDisk::new(&folder);
        let shown = folder.display();
        match json_store::read_identity(&disk) {
            Ok(None) => {}
            Ok(Some(Identity { cluster, node, members })) => {
                lines.push(format!("{shown}: {node} of the {} nodes of cluster {cluster}", members.len()));
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

/// The number of the cluster that the folders hold, or a new one.
fn survey(settings: &Settings, members: &[NodeId]) -> Result<ClusterId, StartError> {
    let mut cluster = None;
    for folder in folders(&settings.states)?.into_values() {
        let Some(identity) = json_store::read_identity(&RealDisk::new(folder))? else { continue };
        if identity.members != members {
            let (path, found) = (settings.states.clone(), identity.members.len());
            return Err(StartError::OtherNodes { path, found, asked: settings.nodes });
        }
        // Should another folder hold another cluster, opening it says so.
        cluster = cluster.or(Some(identity.cluster));
    }
    Ok(cluster.unwrap_or_else(|| ClusterId(entropy())))
}

fn folders(states: &Path) -> Result<BTreeMap<NodeId, PathBuf>, StartError> {
    let failed = |reason| StartError::Folder { path: states.to_path_buf(), reason };
    let found = match fs::read_dir(states) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut folders = BTreeMap::new();
    for item in found {
        let path = item.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        if let Some(name) = name.filter(|_| path.is_dir()) {
            folders.insert(name, path);
        }
    }
    Ok(folders)
}

impl Medium {
    /// Opens it for a start of the node.
    pub fn open(&self, new_store: NewStore, load: LoadImage) -> Result<Opened, StorageError> {
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

    pub fn open(&self, new_store: NewStore, load: LoadImage) -> Result<Opened, StorageError> {
        let (store, recovered) =
            JsonStore::open(self.disk(), &self.identity, self.segment_bytes, new_store, load)?;
        let files = self.clone();
        let open: OpenSnapshots = Arc::new(move || Box::new(Snapshots::new(files.disk(), &files.identity)));
        Ok(Opened { store: Store::Threaded(Box::new(store), Arc::clone(&self.faults)), open, recovered })
    }

    fn disk(&self) -> FaultyDisk<RealDisk> {
        FaultyDisk::new(RealDisk::new(&self.folder), Arc::clone(&self.faults))
    }

    pub fn wipe(&self) -> Result<(), StorageError> {
        json_store::wipe(&mut self.disk())
    }
}
