//! Which keys a range, a comparison or a deletion means.

use serde::{Deserialize, Serialize};

use super::Text;
use super::bytes::Bytes;

/// Which keys are meant. As JSON: `{"one":"x"}`, `{"from":"a"}`, `{"between":["a","b"]}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// This key.
    One(Text),
    /// This key and all behind it.
    From(Bytes),
    /// From the first up to the last, without the last.
    Between(Bytes, Bytes),
}

impl Keys {
    /// Whether this key is meant.
    pub fn hold(&self, key: &str) -> bool {
        let key = key.as_bytes();
        match self {
            Keys::One(one) => one.as_bytes() == key,
            Keys::From(first) => key >= first.0.as_slice(),
            Keys::Between(first, end) => key >= first.0.as_slice() && key < end.0.as_slice(),
        }
    }
}
