//! Runs of a store, and what a start may find after a crash at any point of them.

use raftlab::raft::effects::{HardState, Rebase, Write};
use raftlab::raft::entry::Entry;
use raftlab::storage::memory::{Files, MemoryDisk};
use raftlab::storage::snapshots::SnapshotFiles;
use raftlab::storage::{Recovered, Storage, StorageError};
use raftlab::types::{EntryId, FOUNDERS_STORE, LogIndex, Term};

use crate::image::{Table, load_table};
use crate::{appending, beside, entry, founders, opens_term, truncating, voting};

/// What a run asks of the store and of its snapshots.
pub enum Action {
    Write(Write),
    Sync,
    /// Makes a snapshot of the own state.
    Save(EntryId),
    /// Receives a leader's snapshot.
    Receive(EntryId),
    /// Removes older snapshots than this, but for one that may be being sent.
    RemoveBefore(LogIndex, Option<LogIndex>),
}

pub fn id(index: u64, term: u64) -> EntryId {
    EntryId::new(Term(term), LogIndex(index))
}

pub fn compacting(index: u64, term: u64) -> Write {
    Write { rebase: Some(Rebase::Compact(id(index, term))), ..Write::default() }
}

pub fn resetting(index: u64, term: u64) -> Write {
    Write { rebase: Some(Rebase::Reset(id(index, term))), ..Write::default() }
}

/// A run that does everything a log can be asked to: votes, appends over several segments, several writes under one
/// sync, truncations within a segment, over segments, in a term of its own or later, and of entries that were not yet
/// synced.
pub fn run_of_everything() -> Vec<Action> {
    let after_election = Write {
        truncate_from: Some(LogIndex(5)),
        entries: vec![opens_term(5, 2), entry(6, 2)],
        ..voting(2, 2)
    };
    let far_back =
        Write { truncate_from: Some(LogIndex(2)), entries: vec![opens_term(2, 4)], ..voting(4, 3) };
    vec![
        Action::Write(voting(1, 1)),
        Action::Sync,
        Action::Write(appending(&[opens_term(1, 1), entry(2, 1), entry(3, 1)])),
        Action::Sync,
        Action::Write(appending(&[entry(4, 1), entry(5, 1), entry(6, 1)])),
        Action::Write(appending(&[entry(7, 1)])),
        Action::Sync,
        Action::Write(after_election),
        Action::Sync,
        Action::Write(appending(&[entry(7, 2), entry(8, 2), entry(9, 2)])),
        Action::Write(voting(3, 3)),
        Action::Sync,
        Action::Write(far_back),
        Action::Sync,
        Action::Write(appending(&[entry(3, 4), entry(4, 4), entry(5, 4), entry(6, 4)])),
        Action::Write(truncating(5)),
        Action::Write(appending(&[entry(5, 4)])),
        Action::Sync,
        Action::Write(appending(&[entry(6, 4), entry(7, 4)])),
        Action::Sync,
        Action::Write(voting(5, 1)),
        Action::Write(truncating(7)),
        Action::Sync,
        Action::Write(appending(&[entry(7, 5), entry(8, 5), entry(9, 5)])),
        Action::Write(Write { truncate_from: Some(LogIndex(9)), ..voting(6, 1) }),
        Action::Write(appending(&[entry(9, 6)])),
    ]
}

/// A run with snapshots: of synced entries and of others, compactions, leaders' snapshots in place of a log of another
/// history, in the middle of one, and of one that is too short, and writing on after each.
pub fn run_with_snapshots() -> Vec<Action> {
    let after_install = Write { entries: vec![entry(13, 3), entry(14, 3), entry(15, 3)], ..resetting(12, 3) };
    let with_state = Write { hard_state: voting(5, 1).hard_state, ..resetting(33, 4) };
    vec![
        Action::Write(voting(1, 1)),
        Action::Write(appending(&[opens_term(1, 1), entry(2, 1), entry(3, 1), entry(4, 1)])),
        Action::Sync,
        Action::Save(id(2, 1)),
        Action::Write(compacting(2, 1)),
        Action::Write(appending(&[entry(5, 1), entry(6, 1), entry(7, 1)])),
        Action::Sync,
        Action::Save(id(6, 1)),
        Action::Write(compacting(6, 1)),
        Action::RemoveBefore(LogIndex(6), None),
        Action::Write(appending(&[entry(8, 1), entry(9, 1), entry(10, 1)])),
        Action::Save(id(10, 1)),
        Action::Write(compacting(9, 1)),
        Action::Sync,
        Action::Write(Write { entries: vec![entry(11, 2), entry(12, 2), entry(13, 2)], ..voting(2, 2) }),
        Action::Write(appending(&[entry(14, 2), entry(15, 2), entry(16, 2), entry(17, 2)])),
        Action::Write(voting(3, 3)),
        Action::Sync,
        Action::Write(appending(&[entry(18, 2)])),
        Action::Receive(id(12, 3)),
        Action::Write(after_install),
        Action::RemoveBefore(LogIndex(12), Some(LogIndex(10))),
        Action::Write(appending(&[entry(16, 3), entry(17, 3), entry(18, 3)])),
        Action::Sync,
        Action::Save(id(14, 3)),
        Action::Write(truncating(17)),
        Action::Write(appending(&[entry(17, 3)])),
        Action::Write(voting(4, 3)),
        Action::Sync,
        Action::Write(appending(&[entry(18, 4)])),
        Action::Receive(id(30, 4)),
        Action::Write(resetting(30, 4)),
        Action::Sync,
        Action::Write(appending(&[entry(31, 4), entry(32, 4), entry(33, 4), entry(34, 4), entry(35, 4)])),
        Action::Receive(id(33, 4)),
        Action::Write(with_state),
        Action::Sync,
        Action::Write(appending(&[entry(34, 5), entry(35, 5), entry(36, 5), entry(37, 5)])),
        Action::Sync,
        Action::Save(id(37, 5)),
        Action::Write(compacting(37, 5)),
        Action::RemoveBefore(LogIndex(37), None),
        Action::Write(appending(&[entry(38, 5)])),
        Action::Sync,
    ]
}

/// The log of one moment, from its beginning or from the entry that a reset put there.
#[derive(Clone, Debug)]
struct Log {
    base: EntryId,
    entries: Vec<Entry>,
}

impl Log {
    /// The entries behind this one, which a snapshot covers. A log that does not hold it has none that count.
    fn behind(&self, covered: EntryId) -> &[Entry] {
        if covered == self.base {
            return &self.entries;
        }
        let place = self.entries.iter().position(|entry| entry.id() == covered);
        place.map_or(&[], |place| &self.entries[place + 1..])
    }
}

/// Every state that a store may be in after a crash, in their order, and which of them the run has reached.
pub struct Model {
    states: Vec<(HardState, Log)>,
    /// Nothing before this one may be found any more.
    synced: usize,
    /// In the order of their making; the last one may be unfinished.
    snapshots: Vec<EntryId>,
    finished: usize,
    /// What the store has let go of, and is still there.
    stale: Vec<String>,
}

impl Model {
    pub fn new() -> Model {
        let nothing = Log { base: EntryId::ZERO, entries: Vec::new() };
        let snapshots = vec![EntryId::ZERO];
        Model {
            states: vec![(HardState { store_id: FOUNDERS_STORE, ..HardState::default() }, nothing)],
            synced: 0,
            snapshots,
            finished: 0,
            stale: Vec::new(),
        }
    }

    /// First term and vote change, then entries go one by one, then entries come one by one.
    fn begins(&mut self, write: &Write) {
        let (mut hard_state, mut log) = self.states.last().expect("never empty").clone();
        hard_state = write.hard_state.unwrap_or(hard_state);
        self.states.push((hard_state, log.clone()));
        if let Some(Rebase::Reset(base)) = write.rebase {
            log = Log { base, entries: Vec::new() };
            self.states.push((hard_state, log.clone()));
        }
        let goes = |last: &Entry| write.truncate_from.is_some_and(|from| last.index >= from);
        while log.entries.last().is_some_and(goes) {
            log.entries.pop();
            self.states.push((hard_state, log.clone()));
        }
        for entry in &write.entries {
            log.entries.push(entry.clone());
            self.states.push((hard_state, log.clone()));
        }
    }

    pub fn synced(&mut self) {
        self.synced = self.states.len() - 1;
    }

    /// Term and vote may be ahead of the log, never behind it. What is not in the log is in the snapshot.
    pub fn check(&self, recovered: &Recovered, context: &str) {
        let found: Vec<String> = recovered.entries.iter().map(|entry| entry.id().to_string()).collect();
        let found = format!("{context}: found {:?}", (recovered.hard_state, recovered.base, found));
        let covered = recovered.snapshot.as_ref().map_or(EntryId::ZERO, |snapshot| snapshot.id);
        let snapshots = &self.snapshots[self.finished..];
        assert!(snapshots.contains(&covered), "{found}: the snapshot is {covered}, not of {snapshots:?}");

        assert!(recovered.base.index <= covered.index, "{found}: a gap behind the snapshot {covered}");
        let known = [recovered.base].into_iter().chain(recovered.entries.iter().map(Entry::id));
        for (index, id) in (recovered.base.index.0..).zip(known) {
            assert_eq!(id.index.0, index, "{found}: a gap");
            assert!(id.index != covered.index || id == covered, "{found}: it does not belong to {covered}");
        }
        let last = recovered.base.index.0 + recovered.entries.len() as u64;
        assert!(last >= covered.index.0, "{found}: it ends before the snapshot {covered}");

        let (trailing, behind): (Vec<&Entry>, Vec<&Entry>) =
            recovered.entries.iter().partition(|entry| entry.index <= covered.index);
        let allowed = self.states[self.synced..].iter().enumerate().any(|(place, (_, log))| {
            let later = &self.states[self.synced + place..];
            log.behind(covered).iter().eq(behind.iter().copied())
                && trailing.iter().all(|entry| log.entries.contains(entry))
                && later.iter().any(|(state, _)| *state == recovered.hard_state)
        });
        assert!(allowed, "{found} with the snapshot {covered}");
    }
}

/// Carries the actions out until one fails. The store is poisoned then, if it was the one.
pub fn carry_out(
    store: &mut impl Storage,
    snapshots: &mut impl SnapshotFiles,
    actions: &[Action],
    model: &mut Model,
) -> Result<(), StorageError> {
    for action in actions {
        match action {
            Action::Write(write) => {
                model.begins(write);
                let result = store.write(write.clone());
                poisoned_unless_well(store, result)?;
            }
            Action::Sync => {
                let result = store.sync();
                poisoned_unless_well(store, result)?;
                model.synced();
            }
            Action::Save(id) => {
                model.snapshots.push(*id);
                snapshots.save(*id, &founders(), &Table::at(id.index.0), &|| true)?;
                model.finished = model.snapshots.len() - 1;
            }
            Action::Receive(id) => {
                model.snapshots.push(*id);
                receive(snapshots, *id)?.expect("nothing is wrong with it");
                model.finished = model.snapshots.len() - 1;
            }
            Action::RemoveBefore(index, kept) => snapshots.remove_before(*index, kept.as_slice())?,
        }
        model.stale.extend(store.take_stale());
        if !model.stale.is_empty() {
            // Neither the oldest first nor the newest.
            let file = model.stale.remove(model.stale.len() / 2);
            snapshots.remove_stale(&file)?;
        }
    }
    Ok(())
}

fn poisoned_unless_well(
    store: &mut impl Storage,
    result: Result<(), StorageError>,
) -> Result<(), StorageError> {
    if result.is_err() {
        assert!(matches!(store.sync(), Err(StorageError::Poisoned { .. })), "a failed fsync is not retried");
        let later = store.write(Write::default());
        assert!(matches!(later, Err(StorageError::Poisoned { .. })), "nothing more is written");
    }
    result
}

/// The file of a snapshot, as a leader would send it.
pub fn file_of(covered: EntryId) -> Vec<u8> {
    let disk = MemoryDisk::new("n2", Files::new());
    beside(disk.clone())
        .save(covered, &founders(), &Table::at(covered.index.0), &|| true)
        .expect("memory takes it");
    disk.files().into_values().next().expect("one file was made")
}

/// Receives a snapshot in parts, after a first attempt that got nowhere.
fn receive(snapshots: &mut impl SnapshotFiles, id: EntryId) -> Result<Result<(), String>, StorageError> {
    const PART_BYTES: usize = 150;
    snapshots.receive(id, 0, b"of a leader that was deposed")?;
    let mut offset = 0;
    for part in file_of(id).chunks(PART_BYTES) {
        snapshots.receive(id, offset, part)?;
        offset += part.len() as u64;
    }
    let finished = snapshots.finish(id, load_table)?;
    Ok(finished.map(|found| assert_eq!(Table::of(found.image), Table::at(id.index.0))))
}
