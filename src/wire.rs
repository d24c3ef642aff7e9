//! What processes say to one another over a connection: frames, and the handshake that comes before all else.
//!
//! A connection begins with [`MAGIC`], both ways. Then come frames: the length of what follows as four bytes, the lowest
//! first; one byte for the kind; the content.
//!
//! ```text
//! 05 00 00 00  05  ac 02 ..          Received(300)
//! ```
//!
//! The handshake's frames are JSON, so that each version can read what a later one adds. An envelope is in `postcard`'s
//! form: numbers take as many bytes as they need, and a payload's text is copied as it is. What arrives is checked before
//! anything else sees it: no number, text or length of a stranger reaches the core unseen, and memory grows with the bytes
//! that came, never with those that were promised.
//!
//! There is no checksum: on the loopback none is needed, and TLS has its own.

mod checks;
mod error;
mod frame;
mod handshake;
mod reader;
#[cfg(test)]
mod tests;

pub use self::error::WireError;
pub use self::frame::{Frame, encode};
pub use self::handshake::{Caller, Hello, VERSIONS, Welcome, common_version};
pub use self::reader::FrameReader;

use crate::config::BYTES_LIMIT;

/// The first bytes of a connection, both ways.
pub const MAGIC: [u8; 8] = *b"raftlab\n";

/// The longest frame before the handshake has ended.
pub const HANDSHAKE_BYTES_MAX: usize = 4 << 10;

/// The longest frame between nodes: room for the longest entry that a client may send, under any settings.
pub const PEER_BYTES_MAX: usize = 1 << 30;

/// The longest frame of a client, when values may have this many bytes: a command may hold two, the expected one and the
/// new one, and JSON writes a byte as six at most.
pub fn client_bytes_max(value_bytes_max: usize) -> usize {
    const ALL_ELSE: usize = 64 << 10;
    const { assert!(12 * BYTES_LIMIT + ALL_ELSE < PEER_BYTES_MAX, "nodes can pass on what they take in") };
    value_bytes_max.saturating_mul(12).saturating_add(ALL_ELSE)
}
