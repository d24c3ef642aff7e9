//! What a node's files prove, for a cluster that elects no leader any more, since too much of it is lost.
//!
//! Read from outside, without a change. Damage is told and hides no more than it must: what else the files say may be the
//! only proof that is left.

use super::disk::Disk;
use super::error::StorageError;
use super::glimpse::{Glimpse, look};
use super::snapshot_file;
use crate::raft::membership::Configured;
use crate::types::{EntryId, LogIndex, Member, NodeId, Term};

/// A node's files as a reader finds them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remains {
    /// Where they are.
    pub place: String,
    /// All of the log. What cannot belong to the snapshot is left out, as a start would do.
    pub files: Glimpse,
}

/// Reads all that a folder holds.
///
/// # Errors
/// The folder or a file cannot be read. Damage is no error: it is among the troubles.
pub fn examine(disk: &impl Disk) -> Result<Remains, StorageError> {
    let place = disk.describe("");
    let Some(files) = look(disk, usize::MAX)? else {
        let troubles = vec![format!("{place}: it changes faster than it can be read: stop the node")];
        return Ok(Remains { place, files: Glimpse { troubles, ..Glimpse::default() } });
    };
    let mut remains = Remains { place, files };
    remains.check_snapshot(disk);
    remains.connect();
    remains.check_log();
    Ok(remains)
}

impl Remains {
    /// The node with the files that count, as far as `state.json` tells.
    pub fn member(&self) -> Option<Member> {
        let (identity, state) = (self.files.identity?, self.files.hard_state?);
        Some(Member { node: identity.node, store_id: state.store_id })
    }

    pub fn node(&self) -> Option<NodeId> {
        self.files.identity.map(|identity| identity.node)
    }

    /// Whether a node could start from them.
    pub fn is_sound(&self) -> bool {
        self.files.troubles.is_empty() && self.files.hard_state.is_some()
    }

    /// The last entry that it holds or that its snapshot covers.
    pub fn last(&self) -> EntryId {
        let last = self.files.last();
        self.id_at(last).filter(|id| id.index >= self.files.snapshot.index).unwrap_or(self.files.snapshot)
    }

    /// The entry at this index; none where it is not there, not readable, or covered by the snapshot.
    pub fn id_at(&self, index: LogIndex) -> Option<EntryId> {
        let files = &self.files;
        if index == files.snapshot.index {
            return Some(files.snapshot);
        }
        let place = index.0.checked_sub(files.before.0 + 1)?;
        let term = files.terms.get(usize::try_from(place).ok()?)?;
        term.map(|term| EntryId::new(term, index))
    }

    /// Up to here these files alone prove that the log was committed.
    pub fn committed(&self) -> LogIndex {
        self.files.snapshot.index.max(self.files.commit)
    }

    /// The configuration that holds before those in the log.
    pub fn base_configuration(&self) -> Option<Configured> {
        let known = self.files.base.clone();
        known.or_else(|| self.files.founders.configured())
    }

    /// The configuration that the node would start with.
    pub fn configured(&self) -> Option<Configured> {
        let base = self.base_configuration();
        self.files.changes.last().cloned().into_iter().chain(base).max_by_key(|found| found.index)
    }

    fn trouble(&mut self, file: &str, what: &str) {
        let place = &self.place;
        self.files.troubles.push(format!("{place}/{file}: {what}"));
    }

    /// Its first line has been read; now all of it is held against its checksum.
    fn check_snapshot(&mut self, disk: &impl Disk) {
        let (id, Some(identity)) = (self.files.snapshot, self.files.identity) else { return };
        if id == EntryId::ZERO {
            return;
        }
        let name = snapshot_file::name(id.index);
        if let Err(error) = snapshot_file::check(disk, &name, identity.cluster, id.index, Some(id.term)) {
            self.files.troubles.push(error.in_own_folder(disk.describe(&name), identity.cluster).to_string());
        }
    }

    /// A log that has another entry where the snapshot ends, or ends before, is not the one that the snapshot covers.
    fn connect(&mut self) {
        let files = &mut self.files;
        let (covered, last) = (files.snapshot, files.last());
        if covered == EntryId::ZERO || files.before == covered.index {
            return;
        }
        let place =
            covered.index.0.checked_sub(files.before.0 + 1).and_then(|place| usize::try_from(place).ok());
        let found = place.and_then(|place| files.terms.get(place).copied());
        let other = matches!(found, Some(Some(term)) if term != covered.term);
        if other || last < covered.index {
            (files.first, files.before) = (covered.index.next(), covered.index);
            files.terms.clear();
            files.changes.clear();
        }
    }

    fn check_log(&mut self) {
        let (covered, floor) = (self.files.snapshot.index, self.files.floor);
        let (first, last) = (self.files.first, self.files.last().max(covered));
        let Some(state) = self.files.hard_state else { return };
        if first > covered.next() {
            let what = format!("entries {} to {} are missing", covered.next(), first.previous());
            self.trouble("log-*.jsonl", &what);
        }
        if last < floor.index {
            let what = format!("the log ends with index {last} but was durable up to {}", floor.index);
            self.trouble("log-*.jsonl", &what);
        } else if let Some(found) = self.id_at(floor.index).filter(|found| found.term != floor.term) {
            let what = format!("entry {} is of term {} but was of {}", floor.index, found.term, floor.term);
            self.trouble("log-*.jsonl", &what);
        }
        let highest = self.files.terms.iter().flatten().copied().max().unwrap_or(Term(0));
        if highest > state.current_term {
            let what = format!("it knows term {}, and the log is of term {highest}", state.current_term);
            self.trouble("state.json", &what);
        }
    }
}

#[cfg(test)]
mod tests;
