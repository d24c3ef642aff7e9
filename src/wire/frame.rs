//! One frame: its kinds and their bytes.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::checks;
use super::error::WireError;
use super::handshake::{Hello, Welcome};
use crate::binary::put;
use crate::protocol::{Address, Envelope, Packet};
use crate::types::Addresses;

/// Bytes of the length before a frame.
pub(super) const LENGTH_BYTES: usize = 4;

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const REFUSED: u8 = 3;
const ENVELOPE: u8 = 4;
const RECEIVED: u8 = 5;
const TEXT: u8 = 6;
const NODES: u8 = 7;
const CLOCK: u8 = 8;

/// What travels as one piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// The first from the one that opened the connection.
    Hello(Hello),
    /// The first back.
    Welcome(Welcome),
    /// Instead of it: why not, in one sentence. Nothing follows.
    Refused(String),
    Envelope(Envelope),
    /// On the way back: how many frames have arrived so far.
    Received(u64),
    /// A console's question, or the answer: JSON.
    Text(String),
    /// Where a node now knows nodes to be, itself among them, as `host:port`.
    Nodes(Addresses),
    /// From a node: the logical clock of what follows.
    Clock(u64),
}

/// An envelope's parts. Its weight is counted by each process itself.
#[derive(Serialize, Deserialize)]
struct Parts<P> {
    from: Address,
    to: Address,
    flight: u64,
    packet: P,
}

/// Appends the frame with its length.
///
/// # Panics
/// If the frame has 4 GiB or more, or if JSON cannot hold a payload of it: see
/// [`Payload::check`](crate::payload::Payload::check).
pub fn encode(frame: &Frame, to: &mut Vec<u8>) {
    let start = to.len();
    to.extend_from_slice(&[0; LENGTH_BYTES]);
    match frame {
        Frame::Hello(hello) => push_json(HELLO, hello, to),
        Frame::Welcome(welcome) => push_json(WELCOME, welcome, to),
        Frame::Refused(reason) => push_text(REFUSED, reason, to),
        Frame::Text(text) => push_text(TEXT, text, to),
        Frame::Nodes(nodes) => push_json(NODES, nodes, to),
        Frame::Envelope(envelope) => {
            let flight = envelope.flight();
            let parts = Parts { from: envelope.from, to: envelope.to, flight, packet: &envelope.packet };
            push_numbers(ENVELOPE, &parts, to);
        }
        Frame::Received(count) => push_numbers(RECEIVED, count, to),
        Frame::Clock(moment) => push_numbers(CLOCK, moment, to),
    }
    let length = to.len() - start - LENGTH_BYTES;
    let length = u32::try_from(length).expect("a message is bounded far below 4 GiB");
    to[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

fn push_text(kind: u8, text: &str, to: &mut Vec<u8>) {
    to.push(kind);
    to.extend_from_slice(text.as_bytes());
}

fn push_json<T: Serialize>(kind: u8, value: &T, to: &mut Vec<u8>) {
    to.push(kind);
    serde_json::to_writer(to, value).expect("names and numbers always serialize");
}

fn push_numbers<T: Serialize>(kind: u8, value: &T, to: &mut Vec<u8>) {
    to.push(kind);
    put(to, value);
}

/// The frame that these bytes are: the kind and the content, without the length.
pub(super) fn decode(bytes: &[u8]) -> Result<Frame, WireError> {
    let (&kind, content) = bytes.split_first().ok_or(WireError::Empty)?;
    let (name, frame) = match kind {
        HELLO => ("hello", json(content).and_then(hello)),
        WELCOME => ("welcome", json(content).map(Frame::Welcome)),
        REFUSED => ("refusal", text(content).map(Frame::Refused)),
        ENVELOPE => ("envelope", numbers(content).and_then(envelope)),
        RECEIVED => ("count", numbers(content).map(Frame::Received)),
        TEXT => ("text", text(content).map(Frame::Text)),
        NODES => ("nodes", json(content).map(Frame::Nodes)),
        CLOCK => ("clock", numbers(content).and_then(clock)),
        _ => return Err(WireError::UnknownKind(kind)),
    };
    frame.map_err(|problem| WireError::Malformed { kind: name, problem })
}

fn hello(hello: Hello) -> Result<Frame, String> {
    hello.problem().map_or(Ok(Frame::Hello(hello)), Err)
}

fn envelope(Parts { from, to, flight, packet }: Parts<Packet>) -> Result<Frame, String> {
    checks::check(from, to, &packet)?;
    Ok(Frame::Envelope(Envelope::new(from, to, packet).numbered(flight)))
}

fn clock(moment: u64) -> Result<Frame, String> {
    checks::counted("clock", moment)?;
    Ok(Frame::Clock(moment))
}

fn text(content: &[u8]) -> Result<String, String> {
    str::from_utf8(content).map(str::to_string).map_err(|_| "it is not UTF-8 text".to_string())
}

fn json<T: DeserializeOwned>(content: &[u8]) -> Result<T, String> {
    serde_json::from_slice(content).map_err(|error| error.to_string())
}

fn numbers<T: DeserializeOwned>(content: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(content) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes follow it", rest.len())),
        Err(error) => Err(problem(&error).to_string()),
    }
}

/// The library's errors in the words of this one.
fn problem(error: &postcard::Error) -> &'static str {
    match error {
        postcard::Error::DeserializeUnexpectedEnd => "it ends too early",
        postcard::Error::DeserializeBadVarint => "it holds a number of more than 64 bits",
        postcard::Error::DeserializeBadUtf8 => "it holds a text that is not UTF-8",
        postcard::Error::SerdeDeCustom => {
            "it names a node or a kind of content that does not exist, or holds a payload that is not one line of JSON"
        }
        _ => "it holds what no encoder writes",
    }
}
