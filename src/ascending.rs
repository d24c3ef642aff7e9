//! A map whose keys come in ascending order, or nearly so, and whose oldest entries go first: numbers of entries, of
//! commands, of requests.
//!
//! It is a queue that stays sorted. Adding behind the last and taking the first cost no search, and neither does a key
//! below which none is missing: it stands as far behind the first as it is greater. Everything else is a binary search,
//! and at worst moves the shorter part of the queue. A tree would search, and split and join its nodes, for each of
//! them; a table of hashes would touch memory here and there, where this goes along it.

use std::cmp::Ordering;
use std::collections::VecDeque;

pub trait Number: Ord + Copy {
    fn number(self) -> u64;
}

impl Number for u64 {
    fn number(self) -> u64 {
        self
    }
}

#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Ascending<K, V>(VecDeque<(K, V)>);

impl<K, V> Default for Ascending<K, V> {
    fn default() -> Ascending<K, V> {
        Ascending(VecDeque::new())
    }
}

impl<K: Number, V> Ascending<K, V> {
    /// Adds a key or changes its value, and hands out the value that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(key) {
            Ok(place) => Some(std::mem::replace(&mut self.0[place].1, value)),
            Err(place) if place == self.0.len() => {
                self.0.push_back((key, value));
                None
            }
            Err(place) => {
                self.0.insert(place, (key, value));
                None
            }
        }
    }

    pub fn get(&self, key: K) -> Option<&V> {
        self.place(key).ok().map(|place| &self.0[place].1)
    }

    /// The value of this key, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.place(key).ok().map(|place| &mut self.0[place].1)
    }

    pub fn remove(&mut self, key: K) -> Option<V> {
        match self.place(key) {
            Ok(0) => self.pop_first().map(|(_, value)| value),
            Ok(place) => self.0.remove(place).map(|(_, value)| value),
            Err(_) => None,
        }
    }

    pub fn first_key(&self) -> Option<K> {
        self.0.front().map(|(key, _)| *key)
    }

    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let first = self.0.pop_front();
        if self.0.is_empty() {
            // The next one takes the place that a cache holds: without this it would go round all of the memory.
            self.0.clear();
        }
        first
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, from the lowest key.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    /// All of them, from the lowest key, the values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (*key, value))
    }

    /// Where the key stands, or where it would.
    #[inline]
    fn place(&self, key: K) -> Result<usize, usize> {
        let (Some((first, _)), Some((last, _))) = (self.0.front(), self.0.back()) else { return Err(0) };
        if *last < key {
            return Err(self.0.len());
        }
        if key < *first {
            return Err(0);
        }
        // Keys differ, so it stands no further behind the first than this.
        let most = key.number() - first.number();
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.0.len() - 1);
        match self.0[most].0.cmp(&key) {
            Ordering::Equal => Ok(most),
            Ordering::Less => Err(most + 1),
            Ordering::Greater => self.0.binary_search_by_key(&key, |(known, _)| *known),
        }
    }
}

impl<K, V> IntoIterator for Ascending<K, V> {
    type Item = (K, V);
    type IntoIter = std::collections::vec_deque::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Number, V> FromIterator<(K, V)> for Ascending<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Ascending<K, V> {
        let mut ascending = Ascending::default();
        for (key, value) in pairs {
            ascending.insert(key, value);
        }
        ascending
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_as_an_ordered_map(changes in prop::collection::vec((0..5_u8, 0..40_u64), 0..200)) {
            let (mut ascending, mut model) = (Ascending::default(), BTreeMap::new());
            for (at, (change, key)) in changes.into_iter().enumerate() {
                match change {
                    0 | 1 => prop_assert_eq!(ascending.insert(key, at), model.insert(key, at)),
                    2 => prop_assert_eq!(ascending.remove(key), model.remove(&key)),
                    3 => prop_assert_eq!(ascending.pop_first(), model.pop_first()),
                    _ => prop_assert_eq!(ascending.get_mut(key), model.get_mut(&key)),
                }
                prop_assert_eq!(ascending.get(key), model.get(&key));
                prop_assert_eq!(ascending.first_key(), model.keys().next().copied());
                prop_assert_eq!(ascending.len(), model.len());
            }
            prop_assert!(ascending.iter().eq(model.iter().map(|(key, value)| (*key, value))));
            prop_assert!(ascending.into_iter().eq(model));
        }
    }
}
