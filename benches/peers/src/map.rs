//! What the peers replicate: a map that commands put values into, and that counts them.

use std::collections::HashMap;

/// A command: this value under this key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Put {
    /// Few bytes.
    pub key: String,
    /// Sixteen bytes.
    pub value: String,
}

/// One node's state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Map {
    values: HashMap<Box<[u8]>, Box<[u8]>>,
    /// Commands that were applied.
    applied: u64,
}

impl Map {
    /// Applies a command. A value of the same length takes the old one's place.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.applied += 1;
        match self.values.get_mut(key) {
            Some(old) if old.len() == value.len() => old.copy_from_slice(value),
            Some(old) => *old = value.into(),
            None => drop(self.values.insert(key.into(), value.into())),
        }
    }

    /// Commands that were applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }
}

/// Whether all nodes have applied what was answered, and hold the same.
pub fn agree(answered: u64, maps: &[Map]) -> Result<(), String> {
    let applied: Vec<u64> = maps.iter().map(Map::applied).collect();
    if applied.iter().any(|applied| *applied != answered) {
        return Err(format!("{answered} commands were answered, and the nodes applied {applied:?}"));
    }
    if maps.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err("the nodes' maps differ".to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_found() {
        let mut one = Map::default();
        one.put(b"k", b"1");
        let mut other = one.clone();
        assert_eq!(agree(1, &[one.clone(), other.clone()]), Ok(()));
        assert!(agree(2, &[one.clone(), other.clone()]).is_err());
        other.put(b"k", b"2");
        one.put(b"k", b"3");
        assert!(agree(2, &[one, other]).is_err());
    }
}
