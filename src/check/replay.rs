//! A snapshot must equal the replay of everything it covers, sessions included (section 7).
//!
//! The committed entries are kept as they are first applied, and replayed into a replica of its own for each snapshot
//! that is compared. A replica that was compared before is kept, and continues: nodes take their snapshots one after the
//! other, so a run with many snapshots replays its log about once a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::raft::entry::{Content, Entry};
use crate::state_machine::Machine;
use crate::state_machine::image::Image;
use crate::types::{EntryId, LogIndex, Token};

/// Replicas that are kept to continue from.
const KEPT_MAX: usize = 8;

/// The committed entries of a run, and what they make of a state machine. A copy keeps no replica: it replays from the
/// beginning.
pub struct Replay {
    /// Makes a replica that has applied nothing.
    blank: Arc<dyn Fn() -> Box<dyn Machine>>,
    /// By index from 1.
    entries: Vec<Entry>,
    /// By the last index that each applied.
    kept: BTreeMap<LogIndex, Box<dyn Machine>>,
    compared: u64,
}

impl Replay {
    /// Of a cluster whose replicas begin as `blank` makes them.
    pub fn new(blank: impl Fn() -> Box<dyn Machine> + 'static) -> Replay {
        Replay { blank: Arc::new(blank), entries: Vec::new(), kept: BTreeMap::new(), compared: 0 }
    }

    /// An entry was applied somewhere. Only the next one is news.
    pub fn note_applied(&mut self, entry: &Entry) {
        if entry.index.0 == self.entries.len() as u64 + 1 {
            self.entries.push(entry.clone());
        }
    }

    /// The next entry that has not been applied anywhere yet.
    pub fn next(&self) -> LogIndex {
        LogIndex(self.entries.len() as u64 + 1)
    }

    /// Where this command was first applied; none if it was not yet.
    pub fn place_of(&self, token: Token) -> Option<LogIndex> {
        let is_it = |entry: &&Entry| match &entry.content {
            Content::Command { origin, .. } => {
                (origin.session, origin.serial) == (token.session, token.serial)
            }
            _ => false,
        };
        self.entries.iter().find(is_it).map(|entry| entry.index)
    }

    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Compares an image of the state after this entry with the replay. Says what is wrong.
    ///
    /// # Errors
    /// One line: how they differ.
    pub fn compare(&mut self, last: EntryId, image: &dyn Image) -> Result<(), String> {
        self.compared += 1;
        let known = self.entries.get(as_length(last.index) - 1).map(Entry::id);
        if known != Some(last) {
            return Err(format!("it claims to cover {last}, but what is committed there is {known:?}"));
        }
        let near = self.kept.range(..=last.index).next_back().map(|(index, _)| *index);
        let mut replica = near.and_then(|index| self.kept.remove(&index)).unwrap_or_else(&*self.blank);
        for entry in &self.entries[as_length(replica.applied().index)..as_length(last.index)] {
            replica.apply(entry);
        }
        let (expected, found) = (written(&*replica.image()), written(image));
        self.kept.insert(last.index, replica);
        if self.kept.len() > KEPT_MAX {
            self.kept.pop_first();
        }
        if expected == found { Ok(()) } else { Err(format!("a replay gives {expected}, it holds {found}")) }
    }
}

impl Clone for Replay {
    fn clone(&self) -> Replay {
        Replay {
            blank: Arc::clone(&self.blank),
            entries: self.entries.clone(),
            kept: BTreeMap::new(),
            compared: self.compared,
        }
    }
}

fn written(image: &dyn Image) -> String {
    let mut text = Vec::new();
    image.write(&mut text).expect("memory takes it");
    String::from_utf8(text).expect("JSON is text").split_whitespace().collect()
}

fn as_length(index: LogIndex) -> usize {
    usize::try_from(index.0).expect("a log fits in memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_machine::Replica;
    use crate::state_machine::kv::KeyValue;
    use crate::types::{ClientId, Term};

    fn open(index: u64, client: u64) -> Entry {
        let content = Content::Open { client: ClientId(client), sessions_max: 10 };
        Entry { index: LogIndex(index), term: Term(1), content }
    }

    #[test]
    fn a_snapshot_of_another_history_is_refused() {
        let mut replay = Replay::new(|| Box::new(Replica::new(KeyValue::default())));
        let (mut right, mut wrong) = (Replica::new(KeyValue::default()), Replica::new(KeyValue::default()));
        for index in 1..=3 {
            replay.note_applied(&open(index, index));
            right.apply(&open(index, index));
            wrong.apply(&open(index, index + 1));
        }
        let at = |index| EntryId::new(Term(1), LogIndex(index));
        assert_eq!(replay.compare(at(3), &*right.image()), Ok(()));
        assert!(replay.compare(at(3), &*wrong.image()).is_err());
        assert!(replay.compare(at(2), &*right.image()).is_err(), "it holds more than it covers");
        assert!(replay.compare(at(4), &*right.image()).is_err(), "that has not happened yet");
        assert_eq!(replay.compared(), 4);
    }
}
