//! One entry of a log, for those who ask what it is.

use serde::{Deserialize, Serialize};

use super::Server;
use crate::raft::entry::{Content, Entry};
use crate::types::{ClientId, EntryId, LogIndex, Serial, SessionId};

/// Which entry is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum WhichEntry {
    At(LogIndex),
    /// The first that holds this command of a session.
    Of(SessionId, Serial),
}

/// An entry, without what its command does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EntryView {
    pub id: EntryId,
    pub kind: EntryKind,
}

/// What an entry is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EntryKind {
    NoOp,
    Open(ClientId),
    Command(SessionId, Serial),
    Settle(SessionId, Serial),
    Members,
}

impl Server {
    /// The entry, if the log has it.
    pub fn entry_view(&self, which: WhichEntry) -> Option<EntryView> {
        let log = self.raft.log();
        let entry = match which {
            WhichEntry::At(index) => log.get(index),
            WhichEntry::Of(session, serial) => {
                let holds = |entry: &&Entry| match &entry.content {
                    Content::Command { origin, .. } => (origin.session, origin.serial) == (session, serial),
                    _ => false,
                };
                log.range(log.base().index.next(), log.last().index).find(holds)
            }
        }?;
        let kind = match &entry.content {
            Content::NoOp => EntryKind::NoOp,
            Content::Open { client, .. } => EntryKind::Open(*client),
            Content::Command { origin, .. } => EntryKind::Command(origin.session, origin.serial),
            Content::Settle { origin } => EntryKind::Settle(origin.session, origin.serial),
            Content::Members(_) => EntryKind::Members,
        };
        Some(EntryView { id: entry.id(), kind })
    }
}
