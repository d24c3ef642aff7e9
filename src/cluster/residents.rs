//! The nodes of a cluster whose files are in one folder, and are opened by a process each.

use std::collections::BTreeMap;

use super::notices::Notice;
use super::start_error::StartError;
use super::states::{files_missing, files_of};
use super::survey::Survey;
use crate::check::linearizability::Start;
use crate::config::Settings;
use crate::state_machine::{StateMachine, image};
use crate::storage::glimpse::{self, Glimpse};
use crate::storage::real::RealDisk;
use crate::storage::{ClusterId, NewStore, StorageError};
use crate::types::{EntryId, Epoch, LogIndex, NodeId, Term};

/// What a folder holds, or was made to hold.
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
                Some(glimpse) if is_member || glimpse.configured.is_some() => {
                    nodes.insert(node, left_behind(&glimpse, node, survey.epoch));
                }
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

/// What the files of a node in this folder hold, and this many of its last entries.
///
/// # Errors
/// They cannot be read.
pub fn stored_in(settings: &Settings, node: NodeId, entries: usize) -> Result<Glimpse, StorageError> {
    let disk = RealDisk::new(settings.states.join(node.to_string()));
    glimpse::look(&disk, entries).map(Option::unwrap_or_default)
}

/// Whether there are files of this node. Those that cannot be read are there, too.
pub fn has_files(settings: &Settings, node: NodeId) -> bool {
    files_of(settings, ClusterId(0), node).map_or(true, |files| files.exist().unwrap_or(true))
}

/// Why a node with these files cannot belong to its cluster any more.
fn left_behind(glimpse: &Glimpse, node: NodeId, epoch: Epoch) -> Option<String> {
    let found = glimpse.identity.map_or(epoch, |identity| identity.epoch);
    let file = format!("{node}'s state.json");
    if found != epoch {
        return Some(StorageError::OtherEpoch { file, node, found, expected: epoch }.to_string());
    }
    glimpse.is_retired().then(|| StorageError::Retired { node }.to_string())
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cluster::{Apart, Cluster, NewFiles, make_files};
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
        let cluster = Cluster::start(&settings, None).expect("threads start from the same files");
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
