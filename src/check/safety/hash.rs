//! Hashes of entries, and of the chains that logs are.

use crate::raft::entry::{Content, Origin};

/// A hash of what an entry holds.
pub(super) fn digest(content: &Content) -> u64 {
    let named = |kind, Origin { session, serial, acknowledged }: Origin, command| {
        [kind, session.0, serial, acknowledged, command]
    };
    let parts = match content {
        Content::NoOp => [0; 5],
        Content::Open { client, sessions_max } => [1, client.0, *sessions_max, 0, 0],
        Content::Command { origin, command } => named(2, *origin, command.digest()),
        Content::Settle { origin } => named(3, *origin, 0),
        Content::Members(configuration) => {
            let text = serde_json::to_vec(configuration).expect("numbers and names always serialize");
            [4, crc32fast::hash(&text).into(), 0, 0, 0]
        }
    };
    parts.into_iter().fold(0, mixed)
}

/// The finalizer of `SplitMix64` spreads each part over all bits of a hash.
pub(super) fn mixed(hash: u64, part: u64) -> u64 {
    let mut mixed = (hash ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
