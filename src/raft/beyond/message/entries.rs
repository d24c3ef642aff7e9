//! The entries of a message from another process. One takes many times the memory of its bytes, and a stranger may send
//! more of them than a leader ever would.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::BYTES_LIMIT;
use crate::raft::entry::Entry;

/// The most entries in a message: each weighs 64 bytes at least, and a leader's settings limit their weight.
pub const ENTRIES_MAX: usize = BYTES_LIMIT / 64;

/// Memory is taken for at most this many before they come.
const AHEAD_MAX: usize = 1_000;

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    if deserializer.is_human_readable() {
        return Vec::deserialize(deserializer);
    }
    deserializer.deserialize_seq(Entries)
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {ENTRIES_MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Vec<Entry>, A::Error> {
        let promised = source.size_hint().unwrap_or_default();
        let mut entries = Vec::with_capacity(promised.min(AHEAD_MAX));
        while let Some(entry) = source.next_element()? {
            if entries.len() == ENTRIES_MAX {
                return Err(Error::invalid_length(ENTRIES_MAX + 1, &self));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}
