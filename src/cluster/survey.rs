//! What the states folder holds, before anything in it is opened: which cluster, which nodes, and who began it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entropy;
use super::notices::Notice;
use super::start_error::StartError;
use super::states::{Files, files_missing};
use crate::check::linearizability::Start;
use crate::config::Settings;
use crate::state_machine::{StateMachine, image};
use crate::storage::glimpse::{self, Glimpse};
use crate::storage::real::RealDisk;
use crate::storage::{ClusterId, Founders, Identity, NewStore, json_store};
use crate::types::{EntryId, Epoch, LogIndex, NodeId, Term};

/// The nodes of a cluster whose files are in one folder, and are opened by a process each.
#[derive(Clone, PartialEq, Debug)]
pub struct Residents {
    pub cluster: ClusterId,
    pub epoch: Epoch,
    /// Those that have files, and members that have none: why they cannot start.
    pub nodes: BTreeMap<NodeId, Option<String>>,
    /// Where the files hold something else than the settings ask for.
    pub notices: Vec<Notice>,
    /// What the keys hold.
    pub began_with: Start,
}

impl Residents {
    /// Looks at the files, and makes those of a new cluster. None is opened when this returns.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn of<M: StateMachine>(settings: &Settings) -> Result<Residents, StartError> {
        settings.validate().map_err(StartError::Settings)?;
        let survey = Survey::of(settings)?;
        let mut found: BTreeMap<NodeId, Option<Glimpse>> = BTreeMap::new();
        for &node in &survey.nodes {
            let files = survey.files(settings, node);
            let exist = files.exist()?;
            let look = || glimpse::look(&RealDisk::new(&files.folder), usize::MAX);
            found.insert(node, exist.then(look).transpose()?.map(Option::unwrap_or_default));
        }
        let has_run = found.values().flatten().any(has_run);
        let newest = found.values().flatten().filter(|_| has_run).max_by_key(|glimpse| last(glimpse));
        let newest = newest.and_then(|glimpse| glimpse.configured.clone());
        let configuration = newest.or_else(|| survey.founders.configured()).map(|known| known.configuration);
        let configuration = configuration.unwrap_or_default();
        let members = configuration.nodes();
        let notices = if survey.is_old { Notice::of(settings, &configuration) } else { Vec::new() };
        let mut nodes = BTreeMap::new();
        for (node, glimpse) in found {
            let is_member = members.contains(&node);
            match glimpse {
                Some(glimpse) if is_member || glimpse.configured.is_some() => drop(nodes.insert(node, None)),
                None if is_member && !has_run => {
                    let files = survey.files(settings, node);
                    files.open(&NewStore::founding(survey.founders.clone()), image::load::<M>)?;
                    nodes.insert(node, None);
                }
                _ => {}
            }
        }
        for node in members {
            nodes.entry(node).or_insert_with(|| Some(files_missing(node)));
        }
        let began_with = if has_run { Start::Unknown } else { Start::Absent };
        Ok(Residents { cluster: survey.cluster, epoch: survey.epoch, nodes, notices, began_with })
    }
}

/// The last entry that these files hold, as far as they can be read.
fn last(glimpse: &Glimpse) -> EntryId {
    let term = glimpse.terms.iter().rev().flatten().next().copied().unwrap_or_default();
    EntryId::new(term, glimpse.last()).max(glimpse.snapshot)
}

/// Whether the cluster of these files has run, as far as they tell: damaged ones may have.
fn has_run(glimpse: &Glimpse) -> bool {
    let term = glimpse.hard_state.map(|state| state.current_term);
    term.is_none_or(|term| term > Term(0)) || last(glimpse).index > LogIndex(0)
}

impl Founders {
    pub(super) fn of(settings: &Settings) -> Founders {
        Founders { nodes: NodeId::first(settings.nodes), preferred: settings.preferred }
    }
}

/// What the folders hold, by their `state.json`.
pub(super) struct Survey {
    pub cluster: ClusterId,
    pub epoch: Epoch,
    pub founders: Founders,
    /// The nodes that have a folder, and the founders.
    pub nodes: BTreeSet<NodeId>,
    /// Something was there.
    pub is_old: bool,
}

impl Survey {
    pub fn of(settings: &Settings) -> Result<Survey, StartError> {
        let folders = folders(&settings.states)?;
        let mut found = Vec::new();
        for folder in folders.values() {
            found.extend(json_store::read_state(&RealDisk::new(folder))?);
        }
        // Should another folder hold another cluster, opening it says so.
        let cluster = found.first().map_or_else(|| ClusterId(entropy()), |state| state.identity.cluster);
        let of_cluster = || found.iter().filter(|state| state.identity.cluster == cluster);
        let epoch = of_cluster().map(|state| state.identity.epoch).max().unwrap_or(Epoch::FIRST);
        let founders = of_cluster().map(|state| &state.founders).find(|founders| !founders.nodes.is_empty());
        let founders = match founders {
            Some(founders) => founders.clone(),
            None if found.is_empty() => Founders::of(settings),
            None => Founders::default(),
        };
        let nodes = folders.into_keys().chain(founders.nodes.iter().copied()).collect();
        Ok(Survey { cluster, epoch, founders, nodes, is_old: !found.is_empty() })
    }

    pub fn files(&self, settings: &Settings, node: NodeId) -> Files {
        Files {
            folder: settings.states.join(node.to_string()),
            identity: Identity { cluster: self.cluster, epoch: self.epoch, node },
            segment_bytes: settings.segment_bytes,
            faults: Arc::default(),
        }
    }
}

pub(super) fn folders(states: &Path) -> Result<BTreeMap<NodeId, PathBuf>, StartError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Apart, NewFiles, make_files};
    use crate::state_machine::kv::KeyValue;

    #[test]
    fn a_new_cluster_is_made_once_and_a_member_without_files_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings { states: folder.path().to_path_buf(), nodes: 3, ..Settings::default() };
        let residents = || Residents::of::<KeyValue>(&settings).expect("a good folder");
        let first = residents();
        assert_eq!(first.nodes, NodeId::first(3).into_iter().map(|node| (node, None)).collect());
        assert_eq!((first.began_with, &first.notices[..]), (Start::Absent, &[][..]));
        assert_eq!(residents(), first, "its files are there");
        // Another node has files that belong to no configuration: it is a stranger until a leader takes it in.
        let apart =
            Apart { cluster: first.cluster, node: NodeId::new(4), peers: Vec::new(), rules: Vec::new() };
        make_files::<KeyValue>(&settings, &apart, &NewFiles::Joining(first.epoch)).expect("a new folder");
        let asked = Settings { nodes: 5, ..settings.clone() };
        let found = Residents::of::<KeyValue>(&asked).expect("a good folder");
        assert_eq!((&found.nodes, found.notices.len()), (&first.nodes, 1), "the files decide");
        // Files of a cluster that has not run are made again.
        fs::remove_dir_all(folder.path().join("n2")).expect("it is there");
        assert_eq!(residents().nodes, first.nodes);
        let cluster = crate::Cluster::start(&settings, None).expect("threads start from the same files");
        let leader = cluster.wait_until_leader(std::time::Duration::from_secs(20));
        assert!(leader.is_some(), "a leader in time");
        cluster.shutdown();
        fs::remove_dir_all(folder.path().join("n2")).expect("it is there");
        let again = residents();
        let why = again.nodes[&NodeId::new(2)].as_deref().expect("it cannot start");
        assert!(why.starts_with("its files are missing"), "{why}");
        assert_eq!((again.cluster, again.began_with), (first.cluster, Start::Unknown));
    }
}
