//! Where a snapshot is on its way to a follower (7).

use crate::raft::message::Round;
use crate::types::{EntryId, Time};

/// A snapshot on its way to a follower.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct SnapshotTransfer {
    pub last: EntryId,
    /// Where the part begins that the follower needs next.
    pub offset: u64,
    pub sending: Sending,
    pub failures: u32,
}

/// Where the part of a snapshot is that a follower needs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Sending {
    Read,
    Sent {
        /// The heartbeat round it was sent in.
        round: Round,
        /// It was sent before, and no answer asked for what follows.
        again: bool,
    },
    /// It was sent, and is being read to be sent again. The answer may still come.
    ReadAgain,
    /// What arrived was unusable: whether the leader's own file is whole is being checked.
    Checked {
        /// The snapshot is sent again at this moment, not sooner.
        until: Time,
    },
    /// The snapshot is to be sent from its beginning.
    Postponed {
        /// At this moment, not sooner.
        until: Time,
    },
}

impl SnapshotTransfer {
    /// The follower needs the part that begins here. False when the answer is old.
    pub fn advance_to(&mut self, next: u64) -> bool {
        // A follower that needs the first part has nothing: it crashed, or what it had received was damaged. One that is sent
        // a part twice and needs an earlier one has begun again, and an answer from before said otherwise.
        let again = matches!(self.sending, Sending::Sent { again: true, .. });
        let news = next > self.offset || next < self.offset && (next == 0 || again);
        let advances = news && self.was_sent();
        if advances {
            (self.offset, self.sending) = (next, Sending::Read);
        }
        advances
    }

    /// Whether an answer to the part may come.
    pub fn was_sent(&self) -> bool {
        matches!(self.sending, Sending::Sent { .. } | Sending::ReadAgain)
    }

    /// Begins again, not before this moment, with the newest snapshot: nothing of this one was used.
    pub fn postpone(&mut self, newest: EntryId, until: Time) {
        let last = if newest.index > self.last.index { newest } else { self.last };
        *self = SnapshotTransfer { last, offset: 0, sending: Sending::Postponed { until }, ..*self };
    }
}
