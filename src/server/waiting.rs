//! The requests behind the entries that a leader appended, until each entry is applied or the leadership ends.
//!
//! A request that is repeated while its entry is pending waits for that entry and is not appended again. Otherwise clients
//! that retry on a slow cluster would fill its log with copies, and keep it slow.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde::{Serialize, Serializer};
use smallvec::{SmallVec, smallvec};

use crate::ascending::Ascending;
use crate::raft::effects::RequestId;
use crate::raft::entry::{Content, Entry};
use crate::types::{ClientId, LogIndex, Serial, SessionId, Term};

/// The most requests that wait for one entry.
const REQUESTS_MAX: usize = 8;

pub(crate) type Requests = SmallVec<[RequestId; 2]>;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct PendingEntry {
    pub term: Term,
    name: Option<Name>,
    pub requests: Requests,
}

/// It is written as the places alone: the names follow from them.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(from = "Ascending<LogIndex, PendingEntry>")]
pub struct Waiting {
    /// Each holds the term, too: another leader's entry at the same index is another entry.
    pub(crate) by_index: Ascending<LogIndex, PendingEntry>,
    /// The entries of requests that may be repeated, by their name. Hashed keys are only looked up, so no order depends on
    /// hashing.
    by_name: HashMap<Purpose, Ascending<Serial, LogIndex>, RandomState>,
}

/// Whether the entry of a request is pending already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    /// It is not: the request needs an entry of its own.
    None,
    /// It is, and the request waits for it. The oldest of too many is displaced: its client has asked again since.
    Entry { displaced: Option<RequestId> },
}

/// What makes a repeated request the same: its purpose, and the number of the command that it is about.
type Name = (Purpose, Serial);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
enum Purpose {
    /// To open a session, which has no number.
    Open(ClientId),
    Command(SessionId),
    Settle(SessionId),
}

impl From<Ascending<LogIndex, PendingEntry>> for Waiting {
    fn from(by_index: Ascending<LogIndex, PendingEntry>) -> Waiting {
        let mut by_name: HashMap<Purpose, Ascending<Serial, LogIndex>, RandomState> = HashMap::default();
        for (index, place) in by_index.iter() {
            if let Some((purpose, serial)) = place.name {
                by_name.entry(purpose).or_default().insert(serial, index);
            }
        }
        Waiting { by_index, by_name }
    }
}

impl Serialize for Waiting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_index.serialize(serializer)
    }
}

impl Waiting {
    /// Lets a request wait for the pending entry of the same request.
    pub fn join(&mut self, content: &Content, request: RequestId) -> Join {
        let index =
            name(content).and_then(|(purpose, serial)| self.by_name.get(&purpose)?.get(serial).copied());
        let Some(PendingEntry { requests, .. }) = index.and_then(|index| self.by_index.get_mut(index)) else {
            return Join::None;
        };
        let displaced = (requests.len() >= REQUESTS_MAX).then(|| requests.remove(0));
        requests.push(request);
        Join::Entry { displaced }
    }

    /// The leader has appended this entry for this request.
    pub fn begin(&mut self, entry: &Entry, request: RequestId) {
        let name = name(&entry.content);
        self.by_index
            .insert(entry.index, PendingEntry { term: entry.term, name, requests: smallvec![request] });
        if let Some((purpose, serial)) = name {
            self.by_name.entry(purpose).or_default().insert(serial, entry.index);
        }
    }

    /// Removes the requests that waited at this index, with the term of their entry.
    pub fn end(&mut self, index: LogIndex) -> Option<(Term, Requests)> {
        let PendingEntry { term, name, requests } = self.by_index.remove(index)?;
        if let Some((purpose, serial)) = name
            && let Some(places) = self.by_name.get_mut(&purpose)
            && places.get(serial) == Some(&index)
        {
            places.remove(serial);
            if places.is_empty() {
                self.by_name.remove(&purpose);
            }
        }
        Some((term, requests))
    }

    /// Removes all requests, in the order of their entries.
    pub fn end_all(&mut self) -> impl Iterator<Item = RequestId> + use<> {
        self.by_name.clear();
        std::mem::take(&mut self.by_index).into_iter().flat_map(|(_, place)| place.requests)
    }
}

fn name(content: &Content) -> Option<Name> {
    match content {
        Content::NoOp | Content::Members(_) => None,
        Content::Open { client, .. } => Some((Purpose::Open(*client), 0)),
        Content::Command { origin, .. } => Some((Purpose::Command(origin.session), origin.serial)),
        Content::Settle { origin } => Some((Purpose::Settle(origin.session), origin.serial)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Payload;
    use crate::raft::entry::Origin;

    fn command(index: u64, serial: Serial) -> Entry {
        let origin = Origin { session: SessionId(1), serial, acknowledged: 0 };
        let content = Content::Command { origin, command: Payload::from_text("[]") };
        Entry { index: LogIndex(index), term: Term(1), content }
    }

    #[test]
    fn a_repeated_request_waits_for_the_entry_that_is_on_its_way() {
        let mut waiting = Waiting::default();
        let entry = command(5, 1);
        assert_eq!(waiting.join(&entry.content, 1), Join::None, "nothing is on its way");
        waiting.begin(&entry, 1);
        assert_eq!(waiting.join(&entry.content, 2), Join::Entry { displaced: None });
        assert_eq!(waiting.join(&command(0, 2).content, 3), Join::None, "another command");
        let Content::Command { origin, .. } = entry.content else { panic!("a command") };
        assert_eq!(
            waiting.join(&Content::Settle { origin }, 4),
            Join::None,
            "a question about it is another request"
        );
        assert_eq!(waiting.end(entry.index), Some((Term(1), smallvec![1, 2])));
        assert_eq!(
            waiting.join(&entry.content, 5),
            Join::None,
            "it has been applied: asked again, it is looked up"
        );
    }

    #[test]
    fn when_a_leadership_ends_nothing_is_on_its_way() {
        let mut waiting = Waiting::default();
        waiting.begin(&command(5, 1), 1);
        waiting.begin(&command(6, 2), 2);
        assert_eq!(waiting.join(&command(0, 1).content, 3), Join::Entry { displaced: None });
        assert_eq!(waiting.end_all().collect::<Vec<_>>(), [1, 3, 2]);
        assert_eq!(waiting.join(&command(0, 1).content, 4), Join::None);
    }

    #[test]
    fn however_often_a_request_is_repeated_few_wait() {
        let mut waiting = Waiting::default();
        let entry = command(5, 1);
        waiting.begin(&entry, 0);
        let displaced = (1..100).filter_map(|request| match waiting.join(&entry.content, request) {
            Join::None => panic!("its entry is on its way"),
            Join::Entry { displaced } => displaced,
        });
        let displaced: Vec<_> = displaced.collect();
        assert_eq!(displaced, (0..92).collect::<Vec<_>>(), "the oldest first");
        assert_eq!(waiting.end(entry.index), Some((Term(1), (92..100).collect())));
    }
}
