//! Bytes that are no frames, and frames that no process of this program sends.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::specimens::{self, CLIENT, LAST, entries, node};
use super::{encoded, read};
use crate::payload::Payload;
use crate::protocol::{Address, Call, Envelope, Packet, Response};
use crate::raft::entry::{Content, Origin};
use crate::raft::membership::configuration::Configuration;
use crate::raft::message::{AppendResult, Body, Extra};
use crate::types::{EntryId, Epoch, LogIndex, SessionId, Term};
use crate::wire::{Frame, FrameReader, HANDSHAKE_BYTES_MAX, PEER_BYTES_MAX, WireError};

/// A kind and a content with their length.
pub fn framed(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 1).expect("a short frame");
    [&length.to_le_bytes(), &[kind][..], content].concat()
}

/// What is said about these bytes.
#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    let (frames, error) = read(bytes, bytes.len());
    assert_eq!(frames, []);
    let said = error.expect("they are refused").to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}

#[track_caller]
fn refused(envelope: Envelope, why: &str) {
    let said = refusal(&encoded(&Frame::Envelope(envelope)));
    assert_eq!(said, format!("a frame that is no envelope: {why}"));
}

#[test]
fn half_a_frame_is_none_wherever_it_is_cut() {
    for (name, frame) in specimens::all() {
        let bytes = encoded(&frame);
        for cut in 0..bytes.len() {
            let (first, rest) = bytes.split_at(cut);
            let mut reader = FrameReader::new(PEER_BYTES_MAX);
            reader.read_from(&mut &first[..]).expect("memory can be read");
            assert_eq!(reader.next_frame(), Ok(None), "{name} cut at {cut}");
            reader.read_from(&mut &rest[..]).expect("memory can be read");
            assert_eq!(reader.next_frame().as_ref(), Ok(&Some(frame.clone())), "{name} cut at {cut}");
        }
    }
}

/// The length is right, and the content ends within a value.
#[test]
fn a_content_that_ends_too_early_is_refused_wherever_it_is_cut() {
    for (name, frame) in specimens::all() {
        let bytes = encoded(&frame);
        let (kind, content) = (bytes[4], &bytes[5..]);
        // Of a text each part is one.
        if matches!(frame, Frame::Refused(_) | Frame::Text(_)) {
            continue;
        }
        for cut in 0..content.len() {
            let (frames, error) = read(&framed(kind, &content[..cut]), 1_000);
            assert!(frames.is_empty() && error.is_some(), "{name} cut at {cut}: {frames:?}");
        }
        if ![1, 2, 7].contains(&kind) {
            assert!(
                refusal(&framed(kind, &[content, &[0]].concat())).ends_with("1 bytes follow it"),
                "{name}"
            );
        }
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_anything_is_kept() {
    let mut reader = FrameReader::new(HANDSHAKE_BYTES_MAX);
    reader.read_from(&mut &[0xff; 4][..]).expect("memory can be read");
    let error = WireError::TooLong { length: u32::MAX, limit: HANDSHAKE_BYTES_MAX };
    let refused = Err(error.clone());
    assert_eq!(reader.next_frame(), refused);
    assert_eq!(reader.next_frame(), refused, "nothing comes after it");
    assert_eq!(reader.capacity(), 64 << 10, "one read");
    assert_eq!(error.to_string(), "a frame of 4294967295 bytes: at most 4096 are taken");
    reader.set_limit(PEER_BYTES_MAX);
    assert!(reader.next_frame().is_err());
}

#[test]
fn memory_follows_the_bytes_that_came() {
    const ONE_READ: usize = 64 << 10;
    let mut reader = FrameReader::new(PEER_BYTES_MAX);
    let claimed: u32 = 100 << 20;
    reader.read_from(&mut &claimed.to_le_bytes()[..]).expect("memory can be read");
    let mut came = 4;
    for _ in 0..1_000 {
        reader.read_from(&mut &[4_u8][..]).expect("memory can be read");
        came += 1;
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.capacity() <= 2 * ONE_READ, "{}", reader.capacity());
    }
    while came < 3 << 20 {
        came += reader.read_from(&mut &[4_u8; 10_000][..]).expect("memory can be read");
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.capacity() <= 2 * (came + ONE_READ), "{} for {came}", reader.capacity());
    }
}

#[test]
fn the_memory_of_a_large_frame_is_given_back() {
    let frame = Frame::Text("x".repeat(3 << 20));
    let bytes = encoded(&frame);
    let mut reader = FrameReader::new(PEER_BYTES_MAX);
    let mut source = &bytes[..];
    while reader.read_from(&mut source).expect("memory can be read") > 0 {}
    assert_eq!(reader.next_frame(), Ok(Some(frame)));
    reader.read_from(&mut source).expect("memory can be read");
    assert_eq!(reader.capacity(), 64 << 10);
}

#[test]
fn kinds_that_do_not_exist_are_refused_by_number() {
    assert_eq!(refusal(&[0, 0, 0, 0]), "a frame of no bytes: the first names its kind");
    for kind in [0].into_iter().chain(9..=u8::MAX) {
        let said = refusal(&framed(kind, b"{}"));
        assert_eq!(said, format!("a frame of kind {kind}, which this program does not know"));
    }
}

#[test]
fn the_kinds_within_an_envelope_are_checked_as_well() {
    let bytes = encoded(&Frame::Envelope(specimens::request(Call::Open)));
    // Kind and number of the sender and of the receiver, flight, kind of the packet, attempt, kind of the call.
    assert_eq!(bytes[5..], [1, 7, 0, 2, 0, 1, 5, 0]);
    for (place, wrong) in [(5, 2), (7, 9), (8, 0), (8, 100), (8, 255), (10, 3), (12, 4)] {
        let mut bytes = bytes.clone();
        bytes[place] = wrong;
        let said = refusal(&bytes);
        assert!(said.contains("it names a node or a kind of content that does not exist"), "{place}: {said}");
    }
    let long = [&bytes[..5], &[1], &[0xff; 10][..]].concat();
    assert!(refusal(&framed(4, &long[5..])).ends_with("it holds a number of more than 64 bits"));
}

#[test]
fn numbers_that_no_node_counts_are_refused() {
    const HUGE: u64 = 1 << 63;
    let id = |term, index| EntryId::new(Term(term), LogIndex(index));
    let matched = |index| AppendResult::Matched(LogIndex(index));
    let answer =
        |result| specimens::message(Body::AppendReply { result, ack: crate::raft::message::Ack::default() });
    refused(answer(matched(HUGE)), "index 9223372036854775808 is out of range");
    refused(answer(matched(1 << 48)), "index 281474976710656 is out of range");
    refused(specimens::append(id(HUGE, 1), Vec::new()), "term 9223372036854775808 is out of range");
    refused(specimens::append(id(1, u64::MAX), Vec::new()), "index 18446744073709551615 is out of range");
    refused(
        specimens::message(Body::Extra(Extra::Rejoin { store_id: HUGE })),
        "files 9223372036854775808 is out of range",
    );
    let origin = Origin { session: SessionId(6), serial: u64::MAX, acknowledged: 0 };
    refused(specimens::request(Call::Settle { origin }), "serial 18446744073709551615 is out of range");
    refused(
        specimens::reply(Response::Read {
            applied: LogIndex(HUGE),
            staleness: None,
            answer: Payload::from_text("1"),
        }),
        "index 9223372036854775808 is out of range",
    );
    for epoch in [0, (1 << 16) + 1] {
        let members = Configuration { epoch: Some(Epoch(epoch)), ..specimens::joint() };
        let entries = entries([Content::Members(Arc::new(members))]);
        refused(specimens::append(LAST, entries), &format!("epoch {epoch} is out of range"));
    }
    let members = Configuration { voters: BTreeMap::from([(node(1), HUGE)]), ..Configuration::default() };
    let entries = entries([Content::Members(Arc::new(members))]);
    refused(specimens::append(LAST, entries), "files 9223372036854775808 is out of range");
}

#[test]
fn entries_that_no_log_holds_are_refused() {
    let row = || entries([Content::NoOp, Content::NoOp]);
    let mut gap = row();
    gap[1].index = LogIndex(303);
    refused(specimens::append(LAST, gap), "entry 303@3 does not follow 301@3 in a log of term 4");
    let mut back = row();
    back[0].term = Term(2);
    refused(specimens::append(LAST, back), "entry 301@2 does not follow 300@3 in a log of term 4");
    let mut ahead = row();
    ahead[1].term = Term(5);
    refused(specimens::append(LAST, ahead), "entry 302@5 does not follow 301@3 in a log of term 4");
    refused(specimens::append(EntryId::ZERO, row()), "entry 301@3 does not follow 0@0 in a log of term 4");
}

#[test]
fn what_goes_from_one_to_another_is_what_these_may_say() {
    let (one, two) = (Address::Node(node(1)), Address::Node(node(2)));
    let message = specimens::message(Body::VoteReply { granted: true }).packet;
    let request = specimens::request(Call::Open).packet;
    let reply = specimens::reply(Response::Unreachable).packet;
    for (from, to, packet) in [
        (CLIENT, one, &message),
        (one, two, &message),
        (one, two, &request),
        (two, CLIENT, &request),
        (CLIENT, CLIENT, &request),
        (CLIENT, two, &reply),
        (two, one, &reply),
    ] {
        let why = format!("its content does not go from {from} to {to}");
        refused(Envelope::new(from, to, Packet::clone(packet)), &why);
    }
}

#[test]
fn a_payload_is_one_line_of_json() {
    let bytes = |text: &str| {
        let sent = encoded(&Frame::Envelope(specimens::command(Payload::from_text("_".repeat(text.len())))));
        let start = sent.len() - text.len();
        [&sent[..start], text.as_bytes()].concat()
    };
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for text in ["1", "[1, 2]", "\"\\n\"", " {} ", &deep] {
        assert_eq!(read(&bytes(text), 10_000).1, None, "{text:.20}");
    }
    for text in ["", "[1,\n2]", "1 2", "[", "x", "\"\u{1}\"", "{\"a\":}", "\u{feff}1"] {
        let said = refusal(&bytes(text));
        assert!(said.ends_with("holds a payload that is not one line of JSON"), "{text:?}: {said}");
    }
    let mut broken = bytes("\"é\"");
    *broken.iter_mut().rev().nth(1).expect("a byte") = b'x';
    assert!(refusal(&broken).ends_with("it holds a text that is not UTF-8"));
    assert!(refusal(&framed(6, &[0xff])).ends_with("no text: it is not UTF-8 text"));
}

#[test]
fn more_is_promised_than_came() {
    let mut bytes = encoded(&Frame::Envelope(specimens::append(LAST, entries([Content::NoOp]))));
    // The index and the term of the only entry, behind the number of entries.
    let entry = bytes.windows(3).position(|window| *window == [0xad, 0x02, 3]).expect("the entry");
    assert_eq!(bytes[entry - 1], 1);
    for promised in [2, 0x7f] {
        bytes[entry - 1] = promised;
        let said = refusal(&bytes);
        assert!(said.starts_with("a frame that is no envelope: it "), "{said}");
    }
}

#[test]
fn a_handshake_of_garbage_is_told_where_it_breaks() {
    let deep = "[".repeat(4_000);
    for (content, why) in [
        ("", "EOF while parsing"),
        ("{", "EOF while parsing"),
        (&deep, "invalid type"),
        (r#"{"version":70000}"#, "expected u16"),
        (r#"{"version":1,"member":"n0#1","life":1}"#, "'n0#1' is no member"),
        (r#"{"version":1,"member":"n100#1","life":1}"#, "'n100#1' is no member"),
    ] {
        let said = refusal(&framed(2, content.as_bytes()));
        assert!(said.starts_with("a frame that is no welcome: ") && said.contains(why), "{said}");
    }
    let Frame::Hello(hello) = specimens::hello() else { panic!() };
    let text = serde_json::to_string(&hello).expect("a hello is JSON");
    for (from, to, why) in [
        ("[6,6]", "[7,6]", "its versions are 7 to 6"),
        (r#""epoch":1"#, r#""epoch":0"#, "epoch 0 is out of range"),
    ] {
        let wrong = text.replace(from, to);
        assert_ne!(wrong, text);
        assert_eq!(refusal(&framed(1, wrong.as_bytes())), format!("a frame that is no hello: {why}"));
    }
}
