//! The words that every layer shares: node names, terms, indexes, time and seeded chance.
//!
//! Names follow Figure 2 of the Raft paper. Nothing here may read a clock, a file or the system's source of
//! randomness: time and seeds are always handed in, so that a run can be repeated.

mod random;

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::random::Random;

use crate::ascending::Number;
use crate::text::numbers::nanos;

/// The largest number of nodes in a cluster, and so the largest number in a node's name.
pub const NODES_MAX: u8 = 99;

/// A node's name: `n1` to `n99`. Shown, parsed and stored in that form.
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
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
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

/// Tells a node's files from those that were under its name before: later ones have larger numbers. Never zero.
pub type StoreId = u64;

/// The files of a node that was there when its cluster began.
pub const FOUNDERS_STORE: StoreId = 1;

/// A server as the others count it: a name with its files, shown as `n2#95`. A node that lost its files is another
/// server under the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Display, Serialize, Deserialize)]
#[display("{node}#{store_id}")]
pub struct Member {
    pub node: NodeId,
    pub store_id: StoreId,
}

impl Member {
    pub fn founder(node: NodeId) -> Member {
        Member { node, store_id: FOUNDERS_STORE }
    }
}

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
    /// A client's session, named by the place of the entry that opened it (D 6.3). No two sessions of a
    /// cluster ever share a name.
    SessionId
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

/// Which commands of an entry are one call's, when calls that left together share an entry. Shown as `4-6`, or `4`:
/// counted from one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Part {
    /// How many commands come before them.
    pub before: u32,
    /// How many there are.
    pub count: u32,
}

/// Names a command whose outcome is unknown, so that a client can ask later what became of it. Shown as `2.5`: the
/// fifth command of the session that entry 2 opened; or as `2.5:4`, the fourth of those that share its entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Display, Serialize, Deserialize)]
#[display("{session}.{serial}{}", part.map_or(String::new(), |part| format!(":{part}")))]
pub struct Token {
    pub session: SessionId,
    pub serial: Serial,
    /// Which part of what has this number, if it is not all of it.
    pub part: Option<Part>,
}

impl Part {
    /// These items of all.
    pub fn of<T>(self, all: &[T]) -> Option<&[T]> {
        let (before, count) = (usize::try_from(self.before).ok()?, usize::try_from(self.count).ok()?);
        all.get(before..before.checked_add(count)?)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = u64::from(self.before) + 1;
        match self.count {
            1 => write!(f, "{first}"),
            count => write!(f, "{first}-{}", u64::from(self.before) + u64::from(count)),
        }
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Token, String> {
        let number =
            |digits: &str| digits.parse().ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()));
        let part = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (u32::try_from(number(first)?).ok()?, u32::try_from(number(last)?).ok()?);
            let (before, more) = (first.checked_sub(1)?, last.checked_sub(first)?);
            Some(Part { before, count: more.checked_add(1)? })
        };
        let token = |text: &str| {
            let (name, part) = match text.split_once(':') {
                Some((name, shown)) => (name, Some(part(shown)?)),
                None => (text, None),
            };
            let (session, serial) = name.split_once('.')?;
            Some(Token { session: SessionId(number(session)?), serial: number(serial)?, part })
        };
        token(text).ok_or_else(|| format!("'{text}' is not a token: write it as it was shown, such as 2.5"))
    }
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
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
    fn a_token_is_read_as_it_is_shown() {
        let token = Token { session: SessionId(2), serial: 5, part: None };
        let part = |before, count| Token { part: Some(Part { before, count }), ..token };
        for (shown, token) in [("2.5", token), ("2.5:4", part(3, 1)), ("2.5:4-6", part(3, 3))] {
            assert_eq!(token.to_string(), shown);
            assert_eq!(shown.parse(), Ok(token));
        }
        for wrong in ["", "2", "2.", ".5", "2.5.1", "+2.5", "x.5", "2,5", "2.5:", "2.5:0", "2.5:4-3", "2:4"] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong:?} is no token");
        }
    }

    #[test]
    fn the_later_term_is_more_up_to_date_then_the_longer_log() {
        let entry = |term, index| EntryId::new(Term(term), LogIndex(index));
        assert!(entry(3, 1) > entry(2, 9), "5.4.1: the later term wins");
        assert!(entry(3, 2) > entry(3, 1), "5.4.1: in the same term, the longer log wins");
    }
}
