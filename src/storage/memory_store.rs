//! A store that lives in memory: as a disk to the node that restarts, gone when the process ends.
//!
//! It encodes nothing but snapshots, so that speed without a disk can be measured. What is not yet synced is lost in a
//! crash; a snapshot is there as soon as it is finished.

use std::collections::VecDeque;
use std::sync::Arc;

use derive_more::Debug;
use parking_lot::Mutex;

use super::error::StorageError;
use super::glimpse::{self, Glimpse};
use super::memory::{Files, MemoryDisk};
use super::snapshot_file;
use super::snapshots::Snapshots;
use super::{
    ClusterId, Founders, Identity, NewStore, Recovered, RecoveredSnapshot, Storage, files, recovery,
};
use crate::raft::effects::{HardState, Rebase, Write};
use crate::raft::entry::Entry;
use crate::raft::membership::Configured;
use crate::state_machine::image::LoadImage;
use crate::types::{EntryId, LogIndex, NodeId, StoreId, Term};

/// What a node's [`MemoryStore`]s of successive lives share. Cloning shares it.
#[derive(Clone, Debug)]
#[debug("the state of {} in memory", identity.node)]
pub struct MemoryContent {
    identity: Identity,
    content: Arc<Mutex<Content>>,
    snapshots: MemoryDisk,
}

#[derive(Default)]
struct Content {
    hard_state: HardState,
    base: EntryId,
    entries: VecDeque<Entry>,
    founders: Founders,
    used: bool,
}

pub struct MemoryStore {
    content: MemoryContent,
    unsynced: Vec<Write>,
}

impl MemoryContent {
    /// The cluster that it holds a node of.
    pub fn cluster(&self) -> ClusterId {
        self.identity.cluster
    }

    /// What a node has that never ran.
    pub fn new(identity: Identity) -> MemoryContent {
        let snapshots = MemoryDisk::new(&format!("memory of {}", identity.node), Files::new());
        MemoryContent { identity, content: Arc::default(), snapshots }
    }

    /// What another node of the cluster has that never ran.
    #[must_use]
    pub fn of_another(&self, node: NodeId) -> MemoryContent {
        MemoryContent::new(Identity { node, ..self.identity })
    }

    /// Tells it from others under the node's name.
    pub fn store_id(&self) -> StoreId {
        self.content.lock().hard_state.store_id
    }

    /// What the same node has when it is wiped.
    #[must_use]
    pub fn wiped(&self) -> MemoryContent {
        MemoryContent::new(self.identity)
    }

    /// Opens it for a life of the node, and says what earlier lives left.
    ///
    /// # Errors
    /// A snapshot that `load` refuses.
    pub fn open(
        &self,
        new_store: &NewStore,
        load: LoadImage,
    ) -> Result<(MemoryStore, Recovered), StorageError> {
        let mut content = self.content.lock();
        if !content.used {
            content.hard_state = new_store.hard_state();
            content.founders.clone_from(&new_store.founders);
        }
        if content.hard_state.retired {
            return Err(StorageError::Retired { node: self.identity.node });
        }
        let snapshot = self.open_snapshots(content.hard_state.current_term, load)?;
        let repaired = snapshot.as_ref().and_then(|snapshot| content.connect(snapshot.id));
        let known = snapshot.as_ref().map(|snapshot| snapshot.configured.clone());
        let configuration = known.or_else(|| content.founders.configured());
        let recovered = Recovered {
            hard_state: content.hard_state,
            snapshot,
            base: content.base,
            entries: content.entries.iter().cloned().collect(),
            configuration,
            repaired: repaired.into_iter().collect(),
            fresh: !content.used,
        };
        content.used = true;
        Ok((MemoryStore { content: self.clone(), unsynced: Vec::new() }, recovered))
    }

    /// What it holds now, with this many of the last entries.
    ///
    /// # Errors
    /// Its snapshot cannot be read.
    pub fn look(&self, entries: usize) -> Result<Glimpse, StorageError> {
        let Glimpse { snapshot, configured, .. } = glimpse::look(&self.snapshots, 1)?.unwrap_or_default();
        let content = self.content.lock();
        let skipped = content.entries.len().saturating_sub(entries);
        let newest = content.entries.iter().skip(skipped).rev().find_map(Configured::of);
        let configured = newest.or(configured).or_else(|| content.founders.configured());
        Ok(Glimpse {
            identity: Some(self.identity),
            founders: content.founders.clone(),
            hard_state: Some(content.hard_state),
            snapshot,
            configured,
            first: content.base.index.next(),
            before: LogIndex(content.base.index.0 + skipped as u64),
            terms: content.entries.iter().skip(skipped).map(|entry| Some(entry.term)).collect(),
            ..Glimpse::default()
        })
    }

    /// The node's snapshots, for a life of it that is open.
    pub fn snapshots(&self) -> Snapshots<MemoryDisk> {
        Snapshots::new(self.snapshots.clone(), self.identity.cluster)
    }

    /// Loads the newest snapshot and removes all else.
    fn open_snapshots(
        &self,
        current_term: Term,
        load: LoadImage,
    ) -> Result<Option<RecoveredSnapshot>, StorageError> {
        let mut disk = self.snapshots.clone();
        let names = files::list(&disk)?;
        let mut finished: Vec<LogIndex> =
            names.iter().filter_map(|name| snapshot_file::named(name)).collect();
        let newest = finished.pop();
        let load = |index| recovery::load_snapshot(&disk, self.identity.cluster, index, current_term, load);
        let snapshot = newest.map(load).transpose()?;
        files::remove_leftovers(&mut disk, &names)?;
        for old in finished {
            files::remove(&mut disk, &snapshot_file::name(old))?;
        }
        Ok(snapshot)
    }
}

impl Content {
    fn last(&self) -> LogIndex {
        LogIndex(self.base.index.0 + self.entries.len() as u64)
    }

    fn term_at(&self, index: LogIndex) -> Option<Term> {
        let behind = index.0.checked_sub(self.base.index.0)?;
        let Some(place) = behind.checked_sub(1) else { return Some(self.base.term) };
        self.entries.get(usize::try_from(place).ok()?).map(|entry| entry.term)
    }

    /// Starts again behind the snapshot if the log does not belong to it, and reports that. That is so when a snapshot was
    /// finished before the write that follows from it was synced.
    fn connect(&mut self, snapshot: EntryId) -> Option<String> {
        if self.term_at(snapshot.index) == Some(snapshot.term) {
            return None;
        }
        let (first, last) = (self.base.index.next(), self.last());
        self.reset(snapshot);
        (first <= last).then(|| {
            format!("discarded the log's entries {first} to {last}, which do not belong to the snapshot")
        })
    }

    fn reset(&mut self, base: EntryId) {
        self.entries.clear();
        self.base = base;
    }

    /// The cost is that of what goes.
    fn compact(&mut self, covered: EntryId) {
        while self.entries.front().is_some_and(|entry| entry.index <= covered.index) {
            let gone = self.entries.pop_front().expect("seen just now");
            self.base = gone.id();
        }
    }

    fn take(&mut self, write: Write) {
        self.hard_state = write.hard_state.unwrap_or(self.hard_state);
        match write.rebase {
            None => {}
            Some(Rebase::Compact(covered)) => self.compact(covered),
            Some(Rebase::Reset(base)) => self.reset(base),
        }
        if let Some(from) = write.truncate_from {
            let kept = from.previous().0.checked_sub(self.base.index.0);
            let kept = kept.expect("what is before the log's start is never truncated");
            self.entries.truncate(usize::try_from(kept).expect("an index within a log in memory"));
        }
        for entry in write.entries {
            assert_eq!(entry.index, self.last().next(), "the log has no gap (5.3)");
            self.entries.push_back(entry);
        }
    }
}

impl Storage for MemoryStore {
    fn write(&mut self, write: Write) -> Result<(), StorageError> {
        self.unsynced.push(write);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let mut content = self.content.content.lock();
        for write in self.unsynced.drain(..) {
            content.take(write);
        }
        Ok(())
    }

    /// Nothing can be cut off unseen here.
    fn save_floor(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::entry::Content;
    use crate::raft::membership::configuration::Configuration;
    use crate::state_machine::image::Image;
    use crate::storage::snapshots::SnapshotFiles;
    use crate::storage::{ClusterId, no_image};
    use crate::types::Epoch;

    use std::any::Any;
    use std::io;

    struct Nothing;

    impl Image for Nothing {
        fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
            out.write_all(b"null")
        }

        fn size(&self) -> usize {
            0
        }

        fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
            self
        }
    }

    fn load_nothing(text: &mut dyn io::Read) -> Result<Box<dyn Image>, String> {
        io::read_to_string(text).map_err(|error| error.to_string())?;
        Ok(Box::new(Nothing))
    }

    fn identity() -> Identity {
        Identity { cluster: ClusterId(1), epoch: Epoch::FIRST, node: NodeId::new(1) }
    }

    fn founding() -> NewStore {
        NewStore::founding(NodeId::first(3))
    }

    fn founders() -> Configured {
        Configured::founders(NodeId::first(3))
    }

    fn at(index: u64) -> EntryId {
        EntryId::new(Term(1), LogIndex(index))
    }

    fn appending(index: u64) -> Write {
        let entry = Entry { index: LogIndex(index), term: Term(1), content: Content::NoOp };
        let hard_state = Some(HardState { current_term: Term(1), store_id: 71, ..HardState::default() });
        Write { hard_state, entries: vec![entry], ..Write::default() }
    }

    fn opened(content: &MemoryContent) -> (MemoryStore, Recovered) {
        content.open(&founding(), load_nothing).expect("memory does not fail")
    }

    /// What a store of three entries holds after these writes.
    fn after(content: &MemoryContent, writes: &[Write]) -> Recovered {
        let (mut store, _) = opened(content);
        for write in [1, 2, 3].map(appending).iter().chain(writes).cloned() {
            store.write(write).expect("memory takes it");
        }
        store.sync().expect("memory keeps it");
        drop(store);
        opened(content).1
    }

    #[test]
    fn the_next_life_finds_what_was_synced() {
        let content = MemoryContent::new(identity());
        let (mut store, recovered) = content.open(&NewStore::joining(71), no_image).expect("no snapshot");
        assert_eq!((recovered.fresh, recovered.configuration), (true, None), "it knows no member");
        for write in [appending(1), appending(2), appending(3)] {
            store.write(write).expect("memory takes it");
        }
        store.sync().expect("memory keeps it");
        let truncation = Write { truncate_from: Some(LogIndex(2)), ..Write::default() };
        store.write(truncation).expect("memory takes it");
        store.sync().expect("memory keeps it");
        store.write(appending(2)).expect("memory takes it, but it is never synced");
        drop(store);
        let (_, recovered) = opened(&content);
        assert_eq!((recovered.entries.len(), recovered.fresh), (1, false));
        assert_eq!(recovered.hard_state.store_id, 71, "a node keeps the store_id that it began with");
    }

    #[test]
    fn a_compaction_drops_what_the_snapshot_covers() {
        let compaction = Write { rebase: Some(Rebase::Compact(at(2))), ..Write::default() };
        let truncation = Write { truncate_from: Some(LogIndex(3)), ..appending(3) };
        let recovered = after(&MemoryContent::new(identity()), &[compaction, truncation, appending(4)]);
        assert_eq!((recovered.base, recovered.entries.len()), (at(2), 2));
        assert_eq!(recovered.entries[0].id(), at(3));
    }

    #[test]
    fn a_reset_starts_the_log_again() {
        let reset = Write { rebase: Some(Rebase::Reset(at(40))), ..appending(41) };
        let recovered = after(&MemoryContent::new(identity()), &[reset]);
        assert_eq!((recovered.base, recovered.entries.len()), (at(40), 1));
    }

    #[test]
    fn a_snapshot_outlives_the_life_that_made_it_and_a_log_that_ends_before_it_is_discarded() {
        let content = MemoryContent::new(identity());
        assert_eq!(after(&content, &[]).entries.len(), 3);
        let mut snapshots = content.snapshots();
        snapshots.save(at(2), &founders(), &Nothing, &|| true).expect("memory takes it");
        let (_, recovered) = opened(&content);
        assert_eq!(recovered.snapshot.expect("it is there").id, at(2));
        assert_eq!((recovered.base, recovered.entries.len()), (EntryId::ZERO, 3), "the log belongs to it");
        let alone = Arc::new(Configuration::founders([NodeId::new(1)]));
        let configured = Configured { index: LogIndex(31), configuration: alone };
        snapshots.save(at(40), &configured, &Nothing, &|| true).expect("memory takes it");
        let (_, recovered) = opened(&content);
        assert_eq!(recovered.configuration, Some(configured));
        assert_eq!((recovered.base, recovered.entries.len()), (at(40), 0));
        assert_eq!(recovered.repaired.len(), 1);
        assert_eq!(content.snapshots.files().len(), 1, "the older one is gone");
    }
}
