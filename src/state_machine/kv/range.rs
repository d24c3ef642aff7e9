//! Reads of many keys, with what each knows of its changes, as etcd has them.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::order::Order;
use super::values::{Item, Values};
use super::{Answer, Text};

/// The most bytes of pairs in the answer to a range.
pub const RANGE_BYTES_MAX: usize = 32 << 20;

/// What a pair counts beside its key and value: about what its other fields take, in memory and as text.
pub const PAIR_BYTES: usize = 64;

/// A question about keys in order. As JSON: `{"keys":{"from":"a"},"limit":10}`; what is not asked for is left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub keys: Keys,
    /// At most this many pairs; zero for all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limit: u64,
    /// None for the order of the keys, or, with another target, for ascending.
    #[serde(default, skip_serializing_if = "is_default")]
    pub direction: Option<Direction>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub sort_by: SortBy,
    #[serde(default, skip_serializing_if = "is_default")]
    pub without_values: bool,
    /// Only says how many there are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub only_count: bool,
    /// Only pairs that were changed last in these revisions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub modified: Revisions,
    /// Only pairs that were created in these revisions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub created: Revisions,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Ascending,
    Descending,
}

/// By what pairs are sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    #[default]
    Key,
    Version,
    Created,
    Modified,
    Value,
}

/// The first and the last revision; zero where there is no bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Revisions {
    pub first: i64,
    pub last: i64,
}

/// A key with its value and what is known of its changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pair {
    pub key: Text,
    pub value: Text,
    /// The revision in which the key came.
    pub created: u64,
    /// The revision of its last change.
    pub modified: u64,
    /// How often it was changed since it came, itself included.
    pub version: u64,
}

impl Pair {
    /// What it counts in an answer whose bytes are bounded.
    pub(super) fn weight(&self) -> usize {
        PAIR_BYTES + self.key.len() + self.value.len()
    }
}

/// The answer to a range.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ranged {
    /// That of the store when it was asked.
    pub revision: u64,
    pub pairs: Vec<Pair>,
    /// Whether the limit left out pairs.
    pub more: bool,
    /// How many keys are in the range, whether they were wanted or not.
    pub count: u64,
}

/// Whether a field is left out of the text.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Range {
    /// All that is known of these keys.
    pub fn of(keys: Keys) -> Range {
        Range {
            keys,
            limit: 0,
            direction: None,
            sort_by: SortBy::default(),
            without_values: false,
            only_count: false,
            modified: Revisions::default(),
            created: Revisions::default(),
        }
    }

    /// The answer. In the order of the keys and without bounds of revisions it looks at the pairs that it tells, and one more.
    ///
    /// # Errors
    /// The pairs have more bytes than this.
    pub(super) fn answer(&self, values: &Values, order: &Order, bytes_max: usize) -> Result<Ranged, Answer> {
        let too_large = || Answer::TooLarge { bytes_max: bytes_max as u64 };
        let (revision, count) = (values.revision(), order.count(values, &self.keys));
        let limit =
            if self.limit == 0 { usize::MAX } else { usize::try_from(self.limit).unwrap_or(usize::MAX) };
        if self.only_count {
            return Ok(Ranged { revision, pairs: Vec::new(), more: false, count: count as u64 });
        }
        // Without keys and values they are too many already.
        if !self.filters() && count.min(limit) > bytes_max / PAIR_BYTES {
            return Err(too_large());
        }
        let mut found = self.found(values, order, limit.saturating_add(1));
        let more = found.len() > limit;
        if more {
            found.select_nth_unstable_by(limit, |one, other| self.compare(*one, *other));
            found.truncate(limit);
        }
        found.sort_unstable_by(|one, other| self.compare(*one, *other));
        let value_bytes = |item: &Item| if self.without_values { 0 } else { item.value.len() };
        let bytes = found.iter().map(|(key, item)| PAIR_BYTES + key.len() + value_bytes(item));
        if bytes.sum::<usize>() > bytes_max {
            return Err(too_large());
        }
        let pairs = found.into_iter().map(|(key, item)| self.shown(item.pair(key)));
        Ok(Ranged { revision, pairs: pairs.collect(), more, count: count as u64 })
    }

    /// The pairs that are wanted; where the order of the keys decides which are told, not more than this many.
    fn found<'a>(&self, values: &'a Values, order: &'a Order, most: usize) -> Vec<(&'a Text, &'a Item)> {
        let keys = order.of(values, &self.keys);
        let backward = self.sort_by == SortBy::Key && self.direction == Some(Direction::Descending);
        let keys: Box<dyn Iterator<Item = _>> = if backward { Box::new(keys.rev()) } else { keys };
        let pairs = keys.filter_map(|key| values.pair(key));
        let wanted =
            pairs.filter(|(_, item)| self.modified.hold(item.modified) && self.created.hold(item.created));
        // As in etcd, a range that is not sorted in a direction is cut before it is sorted.
        let is_cut_first = self.direction.is_none() && !self.filters();
        let by_keys = is_cut_first || self.sort_by == SortBy::Key;
        wanted.take(if by_keys { most } else { usize::MAX }).collect()
    }

    fn filters(&self) -> bool {
        !is_default(&self.modified) || !is_default(&self.created)
    }

    /// Which is told first. Where this leaves two equal, their keys decide.
    fn compare(&self, one: (&Text, &Item), other: (&Text, &Item)) -> Ordering {
        let by_key = || one.0.cmp(other.0);
        let ascending = match self.sort_by {
            SortBy::Key => by_key(),
            SortBy::Version => one.1.version.cmp(&other.1.version),
            SortBy::Created => one.1.created.cmp(&other.1.created),
            SortBy::Modified => one.1.modified.cmp(&other.1.modified),
            SortBy::Value => one.1.value.cmp(&other.1.value),
        };
        let directed = match self.direction {
            None | Some(Direction::Ascending) => ascending,
            Some(Direction::Descending) => ascending.reverse(),
        };
        directed.then_with(by_key)
    }

    fn shown(&self, pair: Pair) -> Pair {
        let value = if self.without_values { Text::default() } else { pair.value };
        Pair { value, ..pair }
    }
}

impl Revisions {
    fn hold(self, revision: u64) -> bool {
        let revision = i64::try_from(revision).unwrap_or(i64::MAX);
        (self.first == 0 || revision >= self.first) && (self.last == 0 || revision <= self.last)
    }
}

impl Item {
    /// The item of this key as a pair.
    pub(super) fn pair(&self, key: &Text) -> Pair {
        let Item { value, created, modified, version } = self.clone();
        Pair { key: key.clone(), value, created, modified, version }
    }
}
