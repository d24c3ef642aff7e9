//! What processes write down of their nodes' steps, so that the properties that no node can judge by itself are judged from
//! all records together, by the same checks as on threads.
//!
//! A node's records stand in the order in which it made its steps. Those of several nodes are put into an order in which they
//! may have been made by their logical clocks (Lamport 1978): a step is later than every step whose message it has seen. Any
//! such order will do, since no property of safety depends on time.

mod following;
mod form;
#[cfg(test)]
mod tests;

pub use self::following::Following;
pub use self::form::{Cause, Record, Run, Seen, StepSeen, decode, encode_standing, encode_step, is_noted};

use crate::types::NodeId;

/// The first bytes of a file of records, behind which its version and the place of its first record follow.
pub const MAGIC: [u8; 8] = *b"raftrec\n";

/// The version of records that this program writes, and the only one that it reads. Consoles are sent records as they are:
/// with a new version of these, the [frames](crate::wire::VERSIONS) have a new one.
pub const VERSION: u16 = 3;

/// The longest record: a start's, of a log of some millions of entries.
pub const RECORD_BYTES_MAX: usize = 256 << 20;

/// Bytes before each record: its length, the checksum of these four bytes, and that of its content.
pub const FRAME_BYTES: usize = 12;

/// Which node wrote these records.
///
/// # Errors
/// They are damaged, or begin in the middle of one.
pub fn node_of(bytes: &[u8]) -> Result<NodeId, String> {
    match unframe(bytes)?.map(|(content, _)| decode(content)).transpose()? {
        Some(Record { seen: Seen::Standing { standing, .. }, .. }) => Ok(standing.shown.member.node),
        _ => Err("they do not begin with how their node stood".to_string()),
    }
}

/// A record behind its length and its checksums, the lowest bytes first, appended by `put`.
pub fn frame(to: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend_from_slice(&[0; FRAME_BYTES]);
    put(to);
    let content = &to[start + FRAME_BYTES..];
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
    let head = [length, crc32fast::hash(&length).to_le_bytes(), crc32fast::hash(content).to_le_bytes()];
    to[start..start + FRAME_BYTES].copy_from_slice(head.as_flattened());
}

/// The first record of these bytes, and how many bytes it takes; none when it has not arrived as a whole.
///
/// # Errors
/// It is no record, or a damaged one.
pub fn unframe(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, String> {
    let Some((head, rest)) = bytes.split_first_chunk::<FRAME_BYTES>() else { return Ok(None) };
    let length = framed_length(head)?;
    let Some(content) = rest.get(..length) else { return Ok(None) };
    if crc32fast::hash(content).to_le_bytes() != head[8..] {
        return Err("a record does not match its checksum".to_string());
    }
    Ok(Some((content, FRAME_BYTES + length)))
}

/// The length of the content behind this head. It has its own checksum, since a record that is damaged here would look like
/// one that was cut off.
///
/// # Errors
/// It is damaged, or longer than any record.
pub fn framed_length(head: &[u8; FRAME_BYTES]) -> Result<usize, String> {
    let [length, crc, _] = head.as_chunks::<4>().0 else { unreachable!("three numbers") };
    if crc32fast::hash(length) != u32::from_le_bytes(*crc) {
        return Err("a record's length does not match its checksum".to_string());
    }
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > RECORD_BYTES_MAX {
        return Err(format!("a record of {length} bytes: at most {RECORD_BYTES_MAX} are read"));
    }
    Ok(length)
}
