//! Frames out of bytes that arrive in pieces of any size.

use std::io::{self, Read};

use super::MAGIC;
use super::error::WireError;
use super::frame::{Frame, LENGTH_BYTES, decode};

/// How much is read at once, at least.
const CHUNK: usize = 64 << 10;

/// An empty buffer of more than this is given back.
const KEPT_MAX: usize = 1 << 20;

/// The bytes of one direction of a connection.
///
/// It takes memory for what arrived and for one read more, at most twice over; what a length only promises costs nothing.
#[derive(Debug)]
pub struct FrameReader {
    /// All of it is room. What has arrived and was not taken yet lies from `start` to `end`.
    room: Vec<u8>,
    start: usize,
    end: usize,
    limit: usize,
}

impl FrameReader {
    /// Takes frames of up to this many bytes.
    pub fn new(limit: usize) -> FrameReader {
        FrameReader { room: Vec::new(), start: 0, end: 0, limit }
    }

    /// Takes longer or shorter ones from here on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Reads once from the source. Returns how many bytes came; zero at its end.
    ///
    /// # Errors
    /// The source's own. What arrived before stays.
    pub fn read_from(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.make_room();
        let count = source.read(&mut self.room[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Takes [`MAGIC`], which comes before the first frame. False when it has not arrived as a whole.
    ///
    /// # Errors
    /// Other bytes arrived.
    pub fn take_magic(&mut self) -> Result<bool, WireError> {
        let arrived = self.arrived();
        let whole = arrived.len() >= MAGIC.len();
        let first = &arrived[..arrived.len().min(MAGIC.len())];
        if !MAGIC.starts_with(first) {
            // A handshake or an alert of TLS.
            let is_tls = matches!(first, [0x15 | 0x16, 3, ..]);
            return Err(if is_tls { WireError::Encrypted } else { WireError::Stranger });
        }
        self.start += if whole { MAGIC.len() } else { 0 };
        Ok(whole)
    }

    /// The next frame; none when it has not arrived as a whole.
    ///
    /// # Errors
    /// What is wrong with it. No frame comes after that: asking again finds the same.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        let Some((length, rest)) = self.arrived().split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length);
        let count = usize::try_from(length).unwrap_or(usize::MAX);
        if count > self.limit {
            return Err(WireError::TooLong { length, limit: self.limit });
        }
        let Some(bytes) = rest.get(..count) else { return Ok(None) };
        let frame = decode(bytes)?;
        self.start += LENGTH_BYTES + count;
        Ok(Some(frame))
    }

    /// Bytes of memory that it holds.
    pub fn capacity(&self) -> usize {
        self.room.capacity()
    }

    fn arrived(&self) -> &[u8] {
        &self.room[self.start..self.end]
    }

    /// Makes sure that a read finds room: behind what has arrived, by moving that to the front, or by doubling the
    /// room.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.room.len() > KEPT_MAX {
                self.room = Vec::new();
            }
        }
        if self.room.len() - self.end >= CHUNK {
            return;
        }
        if self.start > 0 {
            self.room.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.room.len() - self.end < CHUNK {
            let length = (2 * self.room.len()).max(CHUNK);
            self.room.reserve_exact(length - self.room.len());
            self.room.resize(length, 0);
        }
    }
}
