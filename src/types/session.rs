//! The name of a client's session.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Epoch, LogIndex};
use crate::ascending::Number;

/// Bits of a session's number that hold the index of the entry which opened it.
const INDEX_BITS: u32 = 48;

/// A client's session, named by the epoch and the place of the entry that opened it (D 6.3). No two sessions of a
/// cluster ever share a name: places are used again only in another epoch. Shown as `2`, and in the second epoch as `e2/2`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

impl Epoch {
    /// Whether a session can be named in it. What another process sends may be anything.
    pub fn is_valid(self) -> bool {
        (Epoch::FIRST..=SessionId(u64::MAX).epoch()).contains(&self)
    }
}

impl LogIndex {
    /// Whether a session can be named by it: no log becomes longer. What another process sends may be anything.
    pub fn is_valid(self) -> bool {
        self.0 >> INDEX_BITS == 0
    }
}

impl SessionId {
    /// That of the session which this entry opens.
    pub fn new(epoch: Epoch, index: LogIndex) -> SessionId {
        assert!(index.is_valid(), "a log of 2^48 entries takes centuries");
        SessionId(((epoch.0 - Epoch::FIRST.0) << INDEX_BITS) | index.0)
    }

    /// The entry that opened it.
    pub fn index(self) -> LogIndex {
        LogIndex(self.0 & ((1 << INDEX_BITS) - 1))
    }

    /// The epoch in which it was opened.
    pub fn epoch(self) -> Epoch {
        Epoch((self.0 >> INDEX_BITS) + Epoch::FIRST.0)
    }
}

impl Number for SessionId {
    fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch() > Epoch::FIRST {
            write!(f, "e{}/", self.epoch())?;
        }
        write!(f, "{}", self.index())
    }
}
