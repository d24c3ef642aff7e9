//! What a recording came to.

use serde::{Deserialize, Serialize};

/// What a recording holds that has ended.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Recorded {
    pub nodes: usize,
    pub bytes: u64,
    /// Why it ended before it was to, if it did.
    pub trouble: Option<String>,
}
