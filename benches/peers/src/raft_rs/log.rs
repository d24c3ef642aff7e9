//! A node's log for the crate `raft`: in memory, and cheap to trim at its front.

use std::collections::VecDeque;

use raft::prelude::{ConfState, Entry, HardState, Snapshot, Storage};
use raft::{Error, GetEntriesContext, RaftState, Result, StorageError};

/// What an entry weighs beside its data, about.
const ENTRY_OVERHEAD: usize = 16;

/// The entries behind those that were trimmed, and what else a node has to remember.
pub struct Log {
    hard_state: HardState,
    members: ConfState,
    /// Index and term of the entry before the first one.
    before: (u64, u64),
    entries: VecDeque<Entry>,
}

impl Log {
    /// An empty log of one of these nodes.
    pub fn new(members: Vec<u64>) -> Log {
        let members = ConfState::from((members, Vec::new()));
        Log { hard_state: HardState::default(), members, before: (0, 0), entries: VecDeque::new() }
    }

    /// Appends entries, in place of those that stand there.
    pub fn append(&mut self, entries: Vec<Entry>) {
        if let Some(first) = entries.first() {
            self.entries.truncate(self.place(first.index));
        }
        self.entries.extend(entries);
    }

    /// Remembers term, vote and commit index.
    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// Remembers the commit index.
    pub fn set_commit(&mut self, commit: u64) {
        self.hard_state.commit = commit;
    }

    /// The index of the first entry, or of the one that will be.
    pub fn first(&self) -> u64 {
        self.before.0 + 1
    }

    /// Forgets the entries before this index.
    pub fn trim(&mut self, keep_from: u64) {
        let place = self.place(keep_from);
        if let Some(last) = self.entries.drain(..place).next_back() {
            self.before = (last.index, last.term);
        }
    }

    fn place(&self, index: u64) -> usize {
        usize::try_from(index - self.first()).expect("an index within a log in memory")
    }

    fn last(&self) -> u64 {
        self.before.0 + self.entries.len() as u64
    }
}

impl Storage for Log {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.members.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low < self.first() {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.last() + 1, "only what is there is asked for");
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        let (mut bytes, mut found) = (0, Vec::new());
        for entry in self.entries.range(self.place(low)..self.place(high)) {
            bytes += (entry.data.len() + ENTRY_OVERHEAD) as u64;
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index == self.before.0 {
            return Ok(self.before.1);
        }
        if index < self.before.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let entry = self.entries.get(self.place(index));
        entry.map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, _: u64, _: u64) -> Result<Snapshot> {
        // Nobody falls behind so far: what is trimmed, all followers have.
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
