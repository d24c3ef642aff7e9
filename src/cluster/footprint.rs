//! What a start makes before it has succeeded, so that a failed start can remove it.
//!
//! It removes only what was not there before, and only folders of nodes that had no state: those hold nothing but what this
//! start has made. What cannot be removed stays; the error of the start is reported.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::storage::json_store;
use crate::storage::real::RealDisk;
use crate::trace::log_files;
use crate::types::NodeId;

/// What was not there before a start.
#[derive(Debug, Default)]
pub(super) struct Footprint {
    nodes: Vec<PathBuf>,
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Footprint {
    /// Notes what a start of these nodes with these settings would make.
    pub fn before(settings: &Settings, nodes: &[NodeId], logs: Option<&Path>) -> Footprint {
        let mut print = Footprint::default();
        if let Some(folder) = logs {
            print.files = log_files(folder, nodes).filter(|file| !file.exists()).collect();
            print.folders.extend(missing(folder));
        }
        if !settings.memory {
            let folders = nodes.iter().map(|node| settings.states.join(node.to_string()));
            let is_blank = |folder: &PathBuf| !folder.exists();
            print.nodes = folders.filter(is_blank).collect();
            print.folders.extend(missing(&settings.states));
        }
        print
    }

    /// Removes what the start has made. All its files must be closed.
    pub fn erase(self) {
        for folder in self.nodes.iter().filter(|folder| folder.is_dir()) {
            let mut disk = RealDisk::new(folder);
            if json_store::wipe(&mut disk).is_ok() {
                let _ = disk.remove_empty();
            }
        }
        for file in self.files.iter().filter(|file| file.metadata().is_ok_and(|found| found.len() == 0)) {
            let _ = fs::remove_file(file);
        }
        for folder in self.folders {
            // Only an empty one can be removed.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// This folder and those above it, as far as they are missing, the innermost first.
fn missing(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let above = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
    above.map(Path::to_path_buf).collect::<Vec<_>>().into_iter()
}
