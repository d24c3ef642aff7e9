//! Frames there and back; and bytes that are none.

#[path = "../../fuzz/body.rs"]
mod body;
mod golden;
mod hostile;
mod specimens;
mod strategies;

use proptest::prelude::*;

use super::*;
use crate::config::VALUE_BYTES_MAX;
use crate::payload::Payload;
use crate::protocol::{Call, Envelope, Packet, Request};
use crate::state_machine::kv::Command;

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(frame, &mut bytes);
    bytes
}

/// The frames that these bytes are, when they arrive in pieces of up to this length; and the error that ends them.
fn read(bytes: &[u8], piece: usize) -> (Vec<Frame>, Option<WireError>) {
    let (mut reader, mut frames) = (FrameReader::new(PEER_BYTES_MAX), Vec::new());
    for mut piece in bytes.chunks(piece) {
        while reader.read_from(&mut piece).expect("memory can be read") > 0 {}
        loop {
            match reader.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => frames.push(frame),
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn frames_arrive_as_they_were_sent(
        frames in prop::collection::vec(strategies::frame(), 1..8),
        piece in 1..200_usize,
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(encoded).collect();
        prop_assert_eq!(read(&bytes, piece), (frames, None));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        body::read(&bytes);
    }

    #[test]
    fn changed_frames_are_read_without_harm(
        frame in strategies::frame(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encoded(&frame);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        body::read(&bytes);
    }
}

/// What the other side decodes is the text of a payload that this side made from a value.
#[test]
fn an_envelope_is_weighed_where_it_arrives() {
    let made = Payload::batch([Command::put("x", "\"".repeat(100).as_str())]);
    let (sent, text) = (specimens::command(made.clone()), made.text().to_string());
    let weight = sent.weight();
    let (frames, error) = read(&encoded(&Frame::Envelope(sent)), 7);
    assert_eq!(error, None);
    let [Frame::Envelope(arrived)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(arrived.weight(), 64 + text.len());
    assert!(weight < arrived.weight(), "the value weighs less than its text: {weight}");
}

#[test]
fn a_value_of_the_largest_size_fits_into_a_clients_frame() {
    let (key, value) = ("\u{1}".repeat(1 << 10), "\u{1}".repeat(VALUE_BYTES_MAX));
    let cas = Command::Cas { key: key.into(), expected: value.as_str().into(), value: value.into() };
    let bytes = encoded(&Frame::Envelope(specimens::command(Payload::batch([cas]))));
    assert!(bytes.len() < client_bytes_max(VALUE_BYTES_MAX), "{}", bytes.len());
    assert!(bytes.len() > 12 * VALUE_BYTES_MAX);
}

#[test]
fn line_breaks_between_the_tokens_of_a_payload_become_spaces() {
    let sent = specimens::command(Payload::from_text("[1,\n2]"));
    let (frames, _) = read(&encoded(&Frame::Envelope(sent)), 1);
    let [Frame::Envelope(Envelope { packet: Packet::Request(Request { call, .. }), .. })] = &frames[..]
    else {
        panic!("{frames:?}")
    };
    let Call::Command { command, .. } = call else { panic!("{call:?}") };
    assert_eq!(command.text(), "[1, 2]");
}

#[test]
fn the_magic_is_taken_once_it_has_arrived() {
    let mut reader = FrameReader::new(HANDSHAKE_BYTES_MAX);
    let mut push = |bytes: &[u8]| {
        let mut source = bytes;
        reader.read_from(&mut source).expect("memory can be read");
        reader.take_magic()
    };
    assert_eq!(push(&[]), Ok(false));
    for byte in &MAGIC[..7] {
        assert_eq!(push(&[*byte]), Ok(false));
    }
    assert_eq!(push(&MAGIC[7..]), Ok(true));
    assert_eq!(reader.next_frame(), Ok(None));
    for stranger in ["G", "r4", "raftlab\r", "GET / HTTP/1.1"] {
        let mut reader = FrameReader::new(HANDSHAKE_BYTES_MAX);
        reader.read_from(&mut stranger.as_bytes()).expect("memory can be read");
        assert_eq!(reader.take_magic(), Err(WireError::Stranger), "{stranger}");
    }
}

#[test]
fn the_newest_version_that_both_speak_holds() {
    for (mine, theirs, common) in
        [((1, 1), (1, 1), 1), ((1, 3), (2, 5), 3), ((2, 5), (1, 2), 2), ((1, 9), (4, 4), 4)]
    {
        assert_eq!(common_version(mine, theirs), Ok(common));
        assert_eq!(common_version(theirs, mine), Ok(common));
    }
    let refusal = common_version((1, 1), (2, 3)).expect_err("none is common");
    assert!(
        refusal.starts_with("it speaks versions 2 to 3 of the protocol, and this process version 1"),
        "{refusal}"
    );
    assert!(common_version(VERSIONS, VERSIONS).is_ok());
}

/// A later version may say more: what it adds is not read, and its versions are.
#[test]
fn the_hello_of_a_later_version_is_read() {
    let Frame::Hello(hello) = specimens::hello() else { panic!() };
    let text = serde_json::to_string(&hello).expect("a hello is JSON");
    let later = text.replace("\"versions\"", r#""added":[1],"versions""#);
    let later = later.replace("\"expects\"", r#""added":{},"expects""#);
    assert_eq!(later.matches("added").count(), 2);
    let frame = hostile::framed(1, later.as_bytes());
    assert_eq!(read(&frame, 50), (vec![Frame::Hello(hello)], None));
}
