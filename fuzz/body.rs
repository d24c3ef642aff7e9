//! What a fuzzer, and a test of the crate, does with bytes that may be anything.

use raftlab::wire::{FrameReader, HANDSHAKE_BYTES_MAX, PEER_BYTES_MAX, encode};

/// Reads them as a connection's, in one piece and byte by byte. Both find the same; memory follows what arrived; and what
/// was taken for a frame is written in a form that is read again as the same frame.
pub fn read(bytes: &[u8]) {
    let whole = frames(bytes, bytes.len().max(1), PEER_BYTES_MAX);
    assert_eq!(whole, frames(bytes, 1, PEER_BYTES_MAX));
    frames(bytes, 7, HANDSHAKE_BYTES_MAX);
    for frame in whole {
        let mut written = Vec::new();
        encode(&frame, &mut written);
        assert_eq!(frames(&written, written.len(), PEER_BYTES_MAX), [frame]);
    }
}

fn frames(bytes: &[u8], piece: usize, limit: usize) -> Vec<raftlab::wire::Frame> {
    const ONE_READ: usize = 64 << 10;
    let (mut reader, mut frames) = (FrameReader::new(limit), Vec::new());
    for mut piece in bytes.chunks(piece) {
        while reader.read_from(&mut piece).expect("memory can be read") > 0 {}
        assert!(reader.capacity() <= 2 * (bytes.len() + ONE_READ), "{} bytes", reader.capacity());
        while let Ok(Some(frame)) = reader.next_frame() {
            frames.push(frame);
        }
    }
    frames
}
