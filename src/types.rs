//! The words that every layer shares: node names, terms, indexes, time and seeded chance.
//!
//! Names follow Figure 2 of the Raft paper. Nothing here may read a clock, a file or the system's source of
//! randomness: time and seeds are always handed in, so that a run can be repeated.

mod host_port;
mod member;
mod random;
mod role;
mod session;
mod token;

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::host_port::{Addresses, HostPort};
pub use self::member::{FOUNDERS_STORE, Member, StoreId};
pub use self::random::Random;
pub use self::role::RoleName;
pub use self::session::SessionId;
pub use self::token::{Part, Token};
use crate::ascending::Number;
use crate::text::numbers::nanos;

/// The largest number of nodes in a cluster, and so the largest number in a node's name.
pub const NODES_MAX: u8 = 99;

/// A node's name: `n1` to `n99`. Shown, parsed and stored in that form; between processes it is its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(u8);

impl NodeId {
    /// The node with this number.
    ///
    /// Panics when the number is not within 1 to 99; text from outside goes through [`FromStr`] instead.
    pub fn new(number: u8) -> NodeId {
        assert!((1..=NODES_MAX).contains(&number), "a node's number is 1 to 99");
        NodeId(number)
    }

    /// The number in the name: 2 for `n2`.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The names of a cluster of `count` nodes: n1, n2 and so on.
    pub fn first(count: u8) -> Vec<NodeId> {
        (1..=count).map(NodeId::new).collect()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("n{}", self.0))
    }
}

impl FromStr for NodeId {
    type Err = String;

    fn from_str(text: &str) -> Result<NodeId, String> {
        text.strip_prefix(['n', 'N'])
            .filter(|digits| !digits.starts_with(['0', '+']))
            .and_then(|digits| digits.parse::<u8>().ok())
            .filter(|number| (1..=NODES_MAX).contains(number))
            .map(NodeId)
            .ok_or_else(|| format!("'{text}' is not a node's name: n1 to n{NODES_MAX}"))
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
        if !deserializer.is_human_readable() {
            let number = u8::deserialize(deserializer)?;
            let known = (1..=NODES_MAX).contains(&number).then_some(NodeId(number));
            return known.ok_or_else(|| serde::de::Error::custom("a node's number is 1 to 99"));
        }
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A client's number, shown as `c7`. Unique in a cluster's lifetime: drawn at random from 48 bits, or small
/// and counted in the simulator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("c{}", self.0))
    }
}

/// A client's own count of its commands in a session, from 1. With the [`SessionId`] it names one command, and no other ever.
pub type Serial = u64;

/// A server's own number for a client's request that it handed to the core.
pub type RequestId = u64;

macro_rules! counter {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Display, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> $name {
                $name(self.0 + 1)
            }

            /// The one before this; none comes before zero.
            #[must_use]
            pub fn previous(self) -> $name {
                $name(self.0.checked_sub(1).expect("nothing comes before zero"))
            }
        }

        impl Number for $name {
            fn number(self) -> u64 {
                self.0
            }
        }

    };
}

counter! {
    /// A term: Raft's logical clock (5.1). Zero before the first election.
    Term
}

counter! {
    /// A position in the log, from 1. Zero stands before the first entry.
    LogIndex
}

counter! {
    /// One more than how often a cluster was recovered from what was left of it. Files and messages of another epoch are of
    /// another history.
    Epoch
}

impl Epoch {
    pub const FIRST: Epoch = Epoch(1);
}

/// Which command of which session an entry holds, so that a repeated one is recognised (section 8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    pub session: SessionId,
    /// The client's number for the command in it.
    pub serial: Serial,
    /// The client needs no answer to its serials below this one: they need not be kept any longer.
    pub acknowledged: Serial,
}

/// Which entry: two entries of the same index and term are the same (Log Matching, 5.3). The term comes
/// first, so that comparing two last entries is the up-to-date rule of 5.4.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct EntryId {
    /// The term of the leader that created the entry.
    pub term: Term,
    /// The entry's place in the log.
    pub index: LogIndex,
}

impl EntryId {
    /// The place before the first entry.
    pub const ZERO: EntryId = EntryId { term: Term(0), index: LogIndex(0) };

    /// The entry at this index, created in this term.
    pub fn new(term: Term, index: LogIndex) -> EntryId {
        EntryId { term, index }
    }
}

impl fmt::Display for EntryId {
    /// `7@3`: index 7, term 3.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}@{}", self.index, self.term))
    }
}

/// A moment, counted in nanoseconds from the start of the run. It never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Time(u64);

impl Time {
    /// The start of the run.
    pub const ZERO: Time = Time(0);
    /// Later than anything that happens.
    pub const NEVER: Time = Time(u64::MAX);

    /// The moment this many nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    /// Whole microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(nanos(duration)))
    }
}

impl fmt::Display for Time {
    /// Seconds with microseconds: `12.000450`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Time::NEVER {
            return f.pad("never");
        }
        let micros = self.0 / 1_000;
        f.pad(&format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        assert_eq!("n7".parse::<NodeId>().map(|node| node.to_string()), Ok("n7".to_string()));
        for wrong in ["", "n", "n0", "n100", "n07", "7", "n-1", "n+1", "x1", "n1 "] {
            assert!(wrong.parse::<NodeId>().is_err(), "{wrong} is no node");
        }
    }

    #[test]
    fn the_later_term_is_more_up_to_date_then_the_longer_log() {
        let entry = |term, index| EntryId::new(Term(term), LogIndex(index));
        assert!(entry(3, 1) > entry(2, 9), "5.4.1: the later term wins");
        assert!(entry(3, 2) > entry(3, 1), "5.4.1: in the same term, the longer log wins");
    }
}
