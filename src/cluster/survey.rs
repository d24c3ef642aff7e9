//! What the states folder holds, before anything in it is opened: which cluster, which nodes, and who began it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::entropy;
use super::start_error::StartError;
use crate::config::Settings;
use crate::storage::real::RealDisk;
use crate::storage::{ClusterId, Founders, json_store};
use crate::types::{Epoch, NodeId};

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
