//! Frames there and back.

use super::*;
use crate::payload::Payload;
use crate::protocol::{Address, Call, Envelope, Packet, ReadMode, Request};
use crate::types::{ClientId, NodeId};

fn question() -> Frame {
    let call = Call::Read { query: Payload::from_text("[1,\n2]"), mode: ReadMode::Lease, here: true };
    let packet = Packet::Request(Request { attempt: 300, call });
    Frame::Envelope(Envelope::new(Address::Client(ClientId(7)), Address::Node(NodeId::new(2)), packet))
}

/// What comes out of these bytes when they come all at once.
fn read(bytes: &[u8], limit: usize) -> Result<Vec<Frame>, WireError> {
    let mut reader = FrameReader::new(limit);
    let (mut source, mut frames) = (bytes, Vec::new());
    while reader.read_from(&mut source).expect("memory is read") > 0 {
        while let Some(frame) = reader.next_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

#[test]
fn a_question_arrives() {
    let mut bytes = Vec::new();
    encode(&question(), &mut bytes);
    let frames = read(&bytes, PEER_BYTES_MAX).expect("a frame");
    let [Frame::Envelope(arrived)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(arrived.weight(), 64 + 6);
    let Packet::Request(Request { call: Call::Read { query, .. }, .. }) = &arrived.packet else { panic!() };
    assert_eq!(query.text(), "[1, 2]");
}
