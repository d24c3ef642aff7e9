//! A node's log and state machine for `openraft`, in memory.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, TryStreamExt};
use openraft::alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, IOFlushed, LogState, RaftLogStorage, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftLogReader, RaftSnapshotBuilder};

use super::Types;
use crate::map::Map;

/// A node's log. Clones are the same log.
#[derive(Clone, Debug, Default)]
pub struct Store {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Log {
    vote: Option<VoteOf<Types>>,
    /// The last entry that was removed from the front.
    purged: Option<LogIdOf<Types>>,
    entries: VecDeque<EntryOf<Types>>,
}

/// A node's state.
#[derive(Debug, Default)]
pub struct Machine {
    map: Map,
    applied: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
    newest: Newest,
}

type Newest = Arc<Mutex<Option<SnapshotOf<Types, Arc<Map>>>>>;

/// The state at one moment, to be made a snapshot.
#[derive(Debug)]
pub struct Image {
    snapshot: SnapshotOf<Types, Arc<Map>>,
    newest: Newest,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    fn first(&self) -> u64 {
        self.entries.front().map_or(self.purged.map_or(0, |id| id.index() + 1), RaftEntry::index)
    }

    /// How many entries lie before this index.
    fn before(&self, index: u64) -> usize {
        let place = usize::try_from(index.saturating_sub(self.first())).expect("a log in memory");
        place.min(self.entries.len())
    }
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<EntryOf<Types>>, io::Error> {
        let log = lock(&self.log);
        let from = match range.start_bound() {
            Bound::Included(from) => log.before(*from),
            Bound::Excluded(from) => log.before(from + 1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(to) => log.before(to + 1),
            Bound::Excluded(to) => log.before(*to),
            Bound::Unbounded => log.entries.len(),
        };
        Ok(log.entries.range(from..to.max(from)).cloned().collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(lock(&self.log).vote)
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let log = lock(&self.log);
        let last_log_id = log.entries.back().map(RaftEntry::log_id).or(log.purged);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        lock(&self.log).vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        lock(&self.log).entries.extend(entries);
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        let mut log = lock(&self.log);
        let kept = last.map_or(0, |last| log.before(last.index() + 1));
        log.entries.truncate(kept);
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> Result<(), io::Error> {
        let mut log = lock(&self.log);
        let gone = log.before(upto.index() + 1);
        log.entries.drain(..gone);
        log.purged = Some(upto);
        Ok(())
    }
}

impl Machine {
    /// What it holds.
    pub fn map(&self) -> &Map {
        &self.map
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Arc<Map>;
    type SnapshotBuilder = Image;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let id = entry.log_id();
            self.applied = Some(id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(command) => {
                    self.map.put(command.0.key.as_bytes(), command.0.value.as_bytes());
                }
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembershipOf::<Types>::new(Some(id), membership);
                }
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Image {
        let meta =
            SnapshotMetaOf::<Types> { last_log_id: self.applied, last_membership: self.membership.clone() };
        let snapshot = SnapshotOf::<Types, Arc<Map>> { meta, snapshot: Arc::new(self.map.clone()) };
        Image { snapshot, newest: Arc::clone(&self.newest) }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Types>,
        map: Arc<Map>,
    ) -> Result<(), io::Error> {
        self.map = Map::clone(&map);
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        *lock(&self.newest) = Some(SnapshotOf::<Types, Arc<Map>> { meta: meta.clone(), snapshot: map });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, Arc<Map>>>, io::Error> {
        Ok(lock(&self.newest).clone())
    }
}

impl RaftSnapshotBuilder<Types> for Image {
    type SnapshotData = Arc<Map>;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, Arc<Map>>, io::Error> {
        *lock(&self.newest) = Some(self.snapshot.clone());
        Ok(self.snapshot.clone())
    }
}
