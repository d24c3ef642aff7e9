//! The keys in order, for ranges: an index beside the table of values.
//!
//! A store that is never asked for a range has none. The first range sorts all keys; from then on each key that comes or goes
//! changes the index, and a change of a value does not. A snapshot does not hold it.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::OnceLock;

use super::Text;
use super::keys::Keys;
use super::values::Values;

#[derive(Clone, Debug, Default)]
pub(super) struct Order(OnceLock<BTreeSet<Key>>);

/// A key, found by bytes: the order of texts is that of their bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key(Text);

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Order {
    /// A key has come.
    pub fn add(&mut self, key: &Text) {
        if let Some(keys) = self.0.get_mut() {
            keys.insert(Key(key.clone()));
        }
    }

    /// A key has gone.
    pub fn remove(&mut self, key: &str) {
        if let Some(keys) = self.0.get_mut() {
            keys.remove(key.as_bytes());
        }
    }

    /// Those of these values' keys that are meant, in order.
    pub fn of<'a>(
        &'a self,
        values: &'a Values,
        keys: &Keys,
    ) -> Box<dyn DoubleEndedIterator<Item = &'a Text> + 'a> {
        let (first, end) = match keys {
            Keys::One(key) => return Box::new(values.pair(key).map(|(key, _)| key).into_iter()),
            Keys::From(first) => (first, Unbounded),
            // The order has no such range.
            Keys::Between(first, end) if first > end => return Box::new(std::iter::empty()),
            Keys::Between(first, end) => (first, Excluded(end.0.as_slice())),
        };
        let range = self.sorted(values).range::<[u8], _>((Included(first.0.as_slice()), end));
        Box::new(range.map(|key| &key.0))
    }

    /// How many of these values' keys are meant. Where these are not all, the index counts them one by one, without a look at values.
    pub fn count(&self, values: &Values, keys: &Keys) -> usize {
        if let Keys::One(_) = keys {
            return self.of(values, keys).count();
        }
        let sorted = self.sorted(values);
        let is_meant = |key: Option<&Key>| key.is_some_and(|key| keys.hold(&key.0));
        if is_meant(sorted.first()) && is_meant(sorted.last()) {
            return sorted.len();
        }
        self.of(values, keys).count()
    }

    fn sorted(&self, values: &Values) -> &BTreeSet<Key> {
        self.0.get_or_init(|| values.keys().cloned().map(Key).collect())
    }
}
