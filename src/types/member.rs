//! A node as the others count it: a name with its files (section 6).

use std::str::FromStr;

use derive_more::Display;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::NodeId;

/// Tells a node's files from those that were under its name before: later ones have larger numbers. Never zero.
pub type StoreId = u64;

/// The files of a node that was there when its cluster began.
pub const FOUNDERS_STORE: StoreId = 1;

/// A server as the others count it: a name with its files, shown as `n2#95`. A node that lost its files is another
/// server under the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Display)]
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

impl FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Member, String> {
        let member = |(node, store_id): (&str, &str)| {
            let digits = !store_id.is_empty() && store_id.bytes().all(|byte| byte.is_ascii_digit());
            let store_id = store_id.parse().ok().filter(|_| digits)?;
            Some(Member { node: node.parse().ok()?, store_id })
        };
        text.split_once('#')
            .and_then(member)
            .ok_or_else(|| format!("'{text}' is no member: write it as n2#95"))
    }
}

/// A text where people read it, and two numbers elsewhere.
impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        (self.node, self.store_id).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
        if !deserializer.is_human_readable() {
            let (node, store_id) = Deserialize::deserialize(deserializer)?;
            return Ok(Member { node, store_id });
        }
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_read_as_it_is_shown() {
        let member = Member { node: NodeId::new(2), store_id: 95 };
        assert_eq!(member.to_string(), "n2#95");
        assert_eq!("n2#95".parse(), Ok(member));
        for wrong in ["", "n2", "n2#", "#95", "n2#+5", "n2#x", "n0#1", "n2#1#2", "n2#99999999999999999999"] {
            assert!(wrong.parse::<Member>().is_err(), "{wrong:?} is no member");
        }
    }
}
