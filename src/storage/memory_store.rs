//! A store that lives in memory: as a disk to the node that restarts, gone when the process ends.
//!
//! It encodes nothing, so that speed without a disk can be measured. What is not yet synced is lost in a crash.

use std::sync::Arc;

use parking_lot::Mutex;

use super::error::StorageError;
use super::{Recovered, Storage};
use crate::raft::effects::{HardState, Write};
use crate::raft::log::Entry;
use crate::types::{EntryId, LogIndex};

/// What a node's [`MemoryStore`]s of successive lives share. Cloning shares it.
#[derive(Clone, Default, Debug)]
pub struct MemoryContent(Arc<Mutex<Content>>);

#[derive(Default, Debug)]
struct Content {
    hard_state: HardState,
    entries: Vec<Entry>,
    used: bool,
}

/// One life's store.
pub struct MemoryStore {
    content: MemoryContent,
    unsynced: Vec<Write>,
}

impl MemoryContent {
    /// Opens it for a life of the node, and says what earlier lives left.
    pub fn open(&self) -> (MemoryStore, Recovered) {
        let mut content = self.0.lock();
        let recovered = Recovered {
            hard_state: content.hard_state,
            base: EntryId::ZERO,
            entries: content.entries.clone(),
            repaired: Vec::new(),
            fresh: !content.used,
        };
        content.used = true;
        (MemoryStore { content: self.clone(), unsynced: Vec::new() }, recovered)
    }
}

impl Storage for MemoryStore {
    fn write(&mut self, write: &Write) -> Result<(), StorageError> {
        let Write { id, hard_state, rebase, truncate_from, entries, then: _ } = write;
        self.unsynced.push(Write {
            id: *id,
            hard_state: *hard_state,
            rebase: *rebase,
            truncate_from: *truncate_from,
            entries: entries.clone(),
            then: Vec::new(),
        });
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let mut content = self.content.0.lock();
        for write in self.unsynced.drain(..) {
            content.hard_state = write.hard_state.unwrap_or(content.hard_state);
            if let Some(LogIndex(from)) = write.truncate_from {
                let kept = usize::try_from(from - 1).expect("an index within a log in memory");
                content.entries.truncate(kept);
            }
            content.entries.extend(write.entries);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::log::Content;
    use crate::types::Term;

    fn appending(index: u64) -> Write {
        let entry = Entry { index: LogIndex(index), term: Term(1), content: Content::NoOp };
        Write { entries: vec![entry], ..Write::default() }
    }

    #[test]
    fn the_next_life_finds_what_was_synced() {
        let content = MemoryContent::default();
        let (mut store, recovered) = content.open();
        assert!(recovered.fresh);
        for write in [appending(1), appending(2), appending(3)] {
            store.write(&write).expect("memory takes it");
        }
        store.sync().expect("memory keeps it");
        let truncation = Write { truncate_from: Some(LogIndex(2)), ..Write::default() };
        store.write(&truncation).expect("memory takes it");
        store.sync().expect("memory keeps it");
        store.write(&appending(2)).expect("memory takes it, but it is never synced");
        drop(store);
        let (_, recovered) = content.open();
        assert_eq!((recovered.entries.len(), recovered.fresh), (1, false));
    }
}
