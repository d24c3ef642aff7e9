//! Where a process has found the others, kept beside its node's files: after a start it looks there first, since `cluster.toml`
//! names only the nodes that began the cluster.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::types::NodeId;

const NAME: &str = "addresses.json";

/// The file, and what it holds.
#[derive(Debug)]
pub(super) struct Remembered {
    path: PathBuf,
    addresses: BTreeMap<NodeId, String>,
}

impl Remembered {
    /// Reads what the folder of a node holds. A file that cannot be read is as good as none: the others say where they are.
    pub fn open(folder: &Path) -> Remembered {
        let path = folder.join(NAME);
        let text = fs::read_to_string(&path).unwrap_or_default();
        Remembered { addresses: serde_json::from_str(&text).unwrap_or_default(), path }
    }

    pub fn addresses(&self) -> &BTreeMap<NodeId, String> {
        &self.addresses
    }

    /// Keeps these instead, if they are others.
    ///
    /// # Errors
    /// The file cannot be written. What is kept in memory is new all the same.
    pub fn keep(&mut self, addresses: BTreeMap<NodeId, String>) -> io::Result<()> {
        if self.addresses == addresses {
            return Ok(());
        }
        self.addresses = addresses;
        let text = serde_json::to_string(&self.addresses)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let new = self.path.with_extension("json.new");
        fs::write(&new, text)?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_there_at_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut remembered = Remembered::open(folder.path());
        assert!(remembered.addresses().is_empty());
        let addresses: BTreeMap<NodeId, String> = [(NodeId::new(4), "host:7004".to_string())].into();
        remembered.keep(addresses.clone()).expect("the folder can be written");
        assert_eq!(*Remembered::open(folder.path()).addresses(), addresses);
        fs::write(folder.path().join(NAME), "{").expect("the folder can be written");
        assert!(Remembered::open(folder.path()).addresses().is_empty());
    }
}
