//! What a leader remembers of a change of the members.

use crate::raft::message::Round;
use crate::types::{LogIndex, Time};

/// How a leader's change continues.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct LeaderChange {
    /// The joint entry that continues although its new voters do not answer.
    pub forced: Option<LogIndex>,
    /// Since when a joint entry of this leader has waited.
    pub joint_since: Time,
}

/// A follower that a committed configuration leaves out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Departure {
    /// An answer to this round, or a later one, shows that it knows the commit index.
    pub round: Round,
    /// It holds the configuration's entry then.
    pub index: LogIndex,
    /// It is sent nothing from this moment on.
    pub until: Time,
}

impl Departure {
    /// Whether an answer to this round, of a log that matches up to here, shows that it knows.
    pub fn knows(self, round: Round, matched: LogIndex) -> bool {
        round >= self.round && matched >= self.index
    }
}
