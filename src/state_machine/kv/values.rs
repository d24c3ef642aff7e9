//! The pairs of the key-value store: a map that is copied in microseconds, however much it holds.
//!
//! The pairs are spread over a fixed number of shards. A copy of the map shares all of them, and whichever of the two
//! is changed first copies the one shard that the change concerns. So a copy can be taken between two commands, and
//! what it costs later commands comes in small pieces.
//!
//! The shard of a key is told by its hash. Nothing that can be seen depends on it: what is listed or written is in the
//! order of the keys. Keys that were chosen to meet in one shard cost only the copies of that shard: within it they
//! are told apart by another hash, which nobody knows.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Text;

/// How many shards there are: 244 keys in each of a million, so that no command copies much for a snapshot.
const SHARDS: usize = 4_096;

/// Keys with their values, text both. As JSON: an object in the order of the keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Values {
    /// A shard is there when it holds something, so equal maps have equal shards.
    shards: Box<[Option<Arc<Shard>>]>,
    len: usize,
}

/// Short texts lie in the table itself: finding a key and changing its value touches no other memory. Longer ones are
/// shared by the copies.
type Shard = HashMap<Text, Text, RandomState>;

impl Values {
    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&Text> {
        let shard = self.shards[self.place(key)].as_ref()?;
        shard.get(key)
    }

    /// Adds or changes a key.
    pub fn put(&mut self, key: &Text, value: &Text) {
        let place = self.place(key);
        let shard = Arc::make_mut(self.shards[place].get_or_insert_default());
        if let Some(present) = shard.get_mut(key.as_str()) {
            present.clone_from(value);
        } else {
            shard.insert(key.clone(), value.clone());
            self.len += 1;
        }
    }

    /// Removes a key and says whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        // A key that is absent must not cost a copy of its shard.
        if self.get(key).is_none() {
            return false;
        }
        let place = self.place(key);
        let kept = &mut self.shards[place];
        let shard = Arc::make_mut(kept.as_mut().expect("the key was found in this shard"));
        shard.remove(key);
        if shard.is_empty() {
            *kept = None;
        }
        self.len -= 1;
        true
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All pairs in the order of their keys: gathered and sorted, so by far the dearest thing to ask for.
    pub fn ordered(&self) -> Vec<(&str, &str)> {
        let pairs = self.shards.iter().flatten().flat_map(|shard| shard.iter());
        let mut pairs: Vec<(&str, &str)> = pairs.map(|(key, value)| (key.as_str(), value.as_str())).collect();
        // No two keys are equal, so the values decide nothing.
        pairs.sort_unstable();
        pairs
    }

    fn with_shards(shards: usize) -> Values {
        Values { shards: vec![None; shards].into_boxed_slice(), len: 0 }
    }

    /// The number of the shard that holds this key.
    fn place(&self, key: &str) -> usize {
        let hash = FixedState::default().hash_one(key);
        usize::try_from(hash % self.shards.len() as u64).expect("a place in memory")
    }
}

impl Default for Values {
    fn default() -> Values {
        Values::with_shards(SHARDS)
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.ordered()).finish()
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.ordered())
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Values, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

/// Takes in pairs one by one, in any order.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of keys and their values, text both")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let mut values = Values::default();
        while let Some((key, value)) = map.next_entry::<Text, Text>()? {
            if values.get(&key).is_some() {
                return Err(Error::custom(format_args!("the key {key:?} stands twice")));
            }
            values.put(&key, &value);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Change {
        Put(u16, u8),
        Remove(u16),
        /// From here on the changes go to a copy, and the map stays as it is.
        Copy,
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let one = prop_oneof![
            6 => (0..60_u16, 0..4_u8).prop_map(|(key, value)| Change::Put(key, value)),
            3 => (0..60_u16).prop_map(Change::Remove),
            1 => Just(Change::Copy),
        ];
        prop::collection::vec(one, 0..200)
    }

    proptest! {
        #[test]
        fn it_behaves_as_an_ordered_map_and_so_does_each_copy(changes in changes()) {
            // Few shards, so that keys meet in them.
            let (mut values, mut model) = (Values::with_shards(8), BTreeMap::new());
            let mut kept = Vec::new();
            for change in changes {
                match change {
                    Change::Put(key, value) => {
                        let (key, value) = (format!("k{key}"), value.to_string());
                        values.put(&key.as_str().into(), &value.as_str().into());
                        model.insert(key, value);
                    }
                    Change::Remove(key) => {
                        let key = format!("k{key}");
                        prop_assert_eq!(values.remove(&key), model.remove(&key).is_some());
                    }
                    Change::Copy => kept.push((values.clone(), model.clone())),
                }
            }
            kept.push((values, model));
            for (values, model) in kept {
                let expected: Vec<_> = model.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                prop_assert_eq!(values.ordered(), expected);
                prop_assert_eq!((values.len(), values.is_empty()), (model.len(), model.is_empty()));
                for key in (0..60).map(|key| format!("k{key}")) {
                    prop_assert_eq!(values.get(&key).map(Text::as_str), model.get(&key).map(String::as_str));
                }
                let text = serde_json::to_string(&values).expect("serializes");
                prop_assert_eq!(&text, &serde_json::to_string(&model).expect("serializes"));
                let read = serde_json::from_str::<Values>(&text).expect("reads back");
                prop_assert_eq!(read.ordered(), values.ordered());
            }
        }
    }

    #[test]
    fn maps_that_hold_the_same_are_equal_however_they_came_to_it() {
        let mut values = Values::default();
        values.put(&"x".into(), &"1".into());
        values.remove("x");
        assert_eq!(values, Values::default());
    }

    #[test]
    fn many_keys_spread_evenly() {
        let (values, mut counts) = (Values::default(), vec![0; SHARDS]);
        (0..SHARDS * 100).for_each(|key| counts[values.place(&format!("user:{key}:name"))] += 1);
        // As many as chance puts there: 100, and hardly ever five standard deviations (10 each) away from it.
        assert!(counts.iter().all(|count| (50..=150).contains(count)), "about 100 in each");
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let refused = serde_json::from_str::<Values>(r#"{"x":"1","x":"2"}"#).expect_err("which one is it?");
        assert!(refused.to_string().contains(r#"the key "x" stands twice"#), "{refused}");
    }
}
