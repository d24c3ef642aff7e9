//! A copy of a node's state apart from its cluster: made from a node's files or taken from a node that runs, and the beginning of
//! a new cluster.
//!
//! A backup is a snapshot's file under a name of its own, so that its checksum covers all of it. A cluster that is restored has
//! another number than the one that was saved: it could meet its own past otherwise. It keeps the state, the clients' sessions
//! and the place in the log; its only member is the node that it is restored for.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::error::StorageError;
use super::json_store::{JsonStore, SEGMENT_BYTES};
use super::real::RealDisk;
use super::snapshot_file::{self, HEAD_BYTES_MAX, LoadError};
use super::snapshots::{SnapshotFiles, Snapshots};
use super::{ClusterId, Identity, NewStore, RecoveredSnapshot, Storage, files, private, recovery};
use crate::raft::effects::{HardState, Write as LogWrite};
use crate::raft::log::Rebase;
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::state_machine::Machine;
use crate::state_machine::image::{Image, LoadImage};
use crate::types::{EntryId, Epoch, LogIndex, Member, NodeId};

/// What a folder gets until all that it is to hold is durable.
const UNFINISHED: &str = ".restoring";

/// A file that is a backup, as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backup {
    path: PathBuf,
    /// The cluster that was saved.
    pub cluster: ClusterId,
    /// The last entry that it holds.
    pub last: EntryId,
}

/// The bytes of a backup.
///
/// # Errors
/// JSON cannot hold the state, and why.
pub fn encode(
    cluster: ClusterId,
    last: EntryId,
    configured: &Configured,
    image: &dyn Image,
) -> Result<Vec<u8>, String> {
    image.check()?;
    let mut bytes = Vec::new();
    snapshot_file::write(&mut bytes, cluster, last, configured, image).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// What a node's files hold for certain, for a backup: the last entry that is known to be committed, and the bytes. The node
/// must not run. `machine` has applied nothing.
///
/// # Errors
/// The files are in use, missing or damaged, or hold nothing yet.
pub fn of_files(folder: &Path, mut machine: Box<dyn Machine>, load: LoadImage) -> Result<Vec<u8>, String> {
    let disk = RealDisk::new(folder);
    let state = recovery::read_state(&disk).map_err(|error| error.to_string())?;
    let state = state.ok_or_else(|| format!("{} holds no node's files", folder.display()))?;
    let identity = state.identity;
    // They are there: none are made.
    let unused = NewStore::founding([identity.node]);
    let opened = JsonStore::open(disk, &identity, SEGMENT_BYTES, &unused, load);
    let (_store, found) = opened.map_err(|error| error.to_string())?;
    let mut configured = found.configuration.clone();
    if let Some(snapshot) = found.snapshot {
        configured = Some(snapshot.configured);
        machine.adopt(snapshot.id, snapshot.image);
    }
    let applied = machine.applied().index;
    for entry in found.entries.iter().filter(|entry| entry.index > applied && entry.index <= state.commit) {
        configured = Configured::of(entry).or(configured);
        machine.apply(entry);
    }
    let last = machine.applied();
    let configured = configured.filter(|_| last > EntryId::ZERO);
    let configured =
        configured.ok_or_else(|| format!("{} holds nothing that is committed", folder.display()))?;
    encode(identity.cluster, last, &configured, &*machine.image())
}

/// Writes a backup, and reads it again.
///
/// # Errors
/// There is a file of this name, it cannot be written, or the bytes are no backup.
pub fn save(path: &Path, bytes: &[u8]) -> Result<Backup, String> {
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{} is there already: choose another name", path.display()),
        _ => format!("{}: {error}", path.display()),
    };
    let new = private::options().write(true).create_new(true).open(path);
    let mut file = new.map_err(told)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).map_err(told);
    let backup = written.and_then(|()| Backup::open(path));
    if backup.is_err() {
        // What is not whole must not be taken for a backup later.
        let _ = fs::remove_file(path);
    }
    backup
}

impl Backup {
    /// Looks at all of it.
    ///
    /// # Errors
    /// It cannot be read, is no backup, or is not as it was written.
    pub fn open(path: &Path) -> Result<Backup, String> {
        let shown = path.display();
        let (disk, name) = at(path)?;
        let start = disk.read_at(&name, 0, HEAD_BYTES_MAX).map_err(|error| format!("{shown}: {error}"))?;
        let no_backup = |what: String| format!("{shown} is no backup, or is damaged: {what}");
        let (last, _) = snapshot_file::covers(&start).map_err(no_backup)?;
        let cluster = snapshot_file::cluster_of(&start).map_err(no_backup)?;
        let checked = snapshot_file::check(&disk, &name, cluster, last.index, None);
        checked.map_err(|error| told(path, error))?;
        Ok(Backup { path: path.to_path_buf(), cluster, last })
    }

    /// Makes the files of the only member of a new cluster. They appear all at once.
    ///
    /// # Errors
    /// The folder holds files, is of the cluster that was saved, or cannot be written.
    pub fn restore(
        &self,
        folder: &Path,
        node: NodeId,
        cluster: ClusterId,
        load: LoadImage,
    ) -> Result<Member, String> {
        if cluster == self.cluster {
            return Err(format!(
                "cluster {cluster} is the one that was saved: a restored one needs a number of its own, which a new file has \
                 ('cluster 1 --write-config')"
            ));
        }
        let there = fs::read_dir(folder).is_ok_and(|mut found| found.next().is_some());
        if there {
            return Err(format!("{} holds files already: nothing was made", folder.display()));
        }
        let snapshot = self.load(load)?;
        let mut unfinished = folder.as_os_str().to_os_string();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let identity = Identity { cluster, epoch: Epoch::FIRST, node };
        let member = fill(&unfinished, &identity, &snapshot, load).map_err(|error| error.to_string())?;
        // An empty folder may be there.
        let _ = fs::remove_dir(folder);
        fs::rename(&unfinished, folder).map_err(failed)?;
        folder
            .parent()
            .map_or(Ok(()), |above| File::open(above).and_then(|above| above.sync_all()))
            .map_err(failed)?;
        Ok(member)
    }

    fn load(&self, load: LoadImage) -> Result<RecoveredSnapshot, String> {
        let (disk, name) = at(&self.path)?;
        let loaded = snapshot_file::load(&disk, &name, self.cluster, self.last.index, None, load);
        loaded.map_err(|error| told(&self.path, error))
    }
}

/// Fills an empty folder with what a node would hold that got the snapshot from a leader.
fn fill(
    folder: &Path,
    identity: &Identity,
    snapshot: &RecoveredSnapshot,
    load: LoadImage,
) -> Result<Member, StorageError> {
    let new = NewStore::founding([identity.node]);
    let (mut store, _) = JsonStore::open(RealDisk::new(folder), identity, SEGMENT_BYTES, &new, load)?;
    let alone = Configuration::founders([identity.node]);
    let configured = Configured { index: LogIndex(0), configuration: Arc::new(alone) };
    let hard_state =
        HardState { current_term: snapshot.id.term, store_id: new.store_id, ..HardState::default() };
    store.write(LogWrite { hard_state: Some(hard_state), ..LogWrite::default() })?;
    store.sync()?;
    let mut snapshots = Snapshots::new(RealDisk::new(folder), identity.cluster);
    snapshots.save(snapshot.id, &configured, &*snapshot.image, &|| true)?;
    store.write(LogWrite { rebase: Some(Rebase::Reset(snapshot.id)), ..LogWrite::default() })?;
    store.sync()?;
    store.note_commit(snapshot.id.index);
    store.save_floor()?;
    files::sync_folder(&mut RealDisk::new(folder))?;
    Ok(Member { node: identity.node, store_id: new.store_id })
}

/// The folder that a file is in, and its name there.
fn at(path: &Path) -> Result<(RealDisk, String), String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("{} names no file", path.display()))?;
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((RealDisk::new(above), name.to_string()))
}

fn told(path: &Path, error: LoadError) -> String {
    let shown = path.display();
    match error {
        LoadError::Unusable(unusable) => format!("{shown} cannot be used: {}", unusable.reason()),
        LoadError::Io(error) => format!("{shown}: {error}"),
    }
}
