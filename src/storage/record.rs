//! One entry as one line of JSON.
//!
//! ```text
//! {"index":6,"term":3,"open":9,"sessions_max":10000,"crc":"9b1e0c52"}
//! {"index":7,"term":3,"session":6,"serial":4,"acknowledged":2,"command":{"create":["x","1"]},"crc":"6c3a9f01"}
//! {"index":8,"term":4,"no_op":true,"crc":"0d4417be"}
//! {"index":9,"term":4,"session":6,"serial":5,"acknowledged":5,"settle":true,"crc":"51d0aa37"}
//! {"index":11,"term":4,"members":{"voters":{"n1":1,"n3":1,"n4":95},"outgoing":{"n1":1,"n3":1}},"crc":"0fd84c11"}
//! ```
//!
//! The checksum (CRC-32) covers every byte before its own member. The command's text is embedded as it is. A reader
//! accepts exactly what the writer writes, members in this order and no space between them, so that a changed byte
//! cannot pass, even where a lenient JSON reader would accept it.

use std::sync::Arc;

use crate::payload::Payload;
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::membership::configuration::Configuration;
use crate::types::{ClientId, LogIndex, SessionId, Term};

const CRC_MEMBER: &[u8] = b",\"crc\":\"";
const CRC_DIGITS: usize = 8;
const END: &[u8] = b"\"}";
const OPEN: &[u8] = b",\"open\":";
const SETTLE: &[u8] = b",\"settle\":true";
const MEMBERS: &[u8] = b",\"members\":";

pub fn encode(entry: &Entry, line: &mut Vec<u8>) {
    let start = line.len();
    push_number(line, b"{\"index\":", entry.index.0);
    push_number(line, b",\"term\":", entry.term.0);
    match &entry.content {
        Content::NoOp => line.extend_from_slice(b",\"no_op\":true"),
        Content::Open { client, sessions_max } => {
            push_number(line, OPEN, client.0);
            push_number(line, b",\"sessions_max\":", *sessions_max);
        }
        Content::Command { origin, command } => {
            push_origin(line, origin);
            line.extend_from_slice(b",\"command\":");
            line.extend_from_slice(command.line().as_bytes());
        }
        Content::Settle { origin } => {
            push_origin(line, origin);
            line.extend_from_slice(SETTLE);
        }
        Content::Members(configuration) => {
            line.extend_from_slice(MEMBERS);
            line.extend_from_slice(&configuration_text(configuration));
        }
    }
    seal(line, start);
}

/// Ends the object that begins at `start` with its checksum and a newline. Its closing brace is not yet written.
pub fn seal(line: &mut Vec<u8>, start: usize) {
    let checksum = crc32fast::hash(&line[start..]);
    push_seal(line, checksum);
}

/// How many bytes [`push_seal`] adds.
pub const SEAL_LENGTH: usize = CRC_MEMBER.len() + CRC_DIGITS + END.len() + 1;

/// Ends an object with the checksum of all of it so far, and a newline.
pub fn push_seal(line: &mut Vec<u8>, checksum: u32) {
    line.extend_from_slice(CRC_MEMBER);
    for shift in (0..CRC_DIGITS).rev() {
        let digit = (checksum >> (4 * shift)) & 0xf;
        line.push(b"0123456789abcdef"[digit as usize]);
    }
    line.extend_from_slice(END);
    line.push(b'\n');
}

/// The part of a line that its checksum covers, when the checksum is right. The line comes without its newline.
pub fn unseal(line: &[u8]) -> Result<&[u8], String> {
    let (covered, stored) = split_seal(line)?;
    check(crc32fast::hash(covered), stored)?;
    Ok(covered)
}

/// Holds the checksum that was computed against the one that was stored.
pub fn check(computed: u32, stored: u32) -> Result<(), String> {
    if stored == computed {
        Ok(())
    } else {
        Err(format!("its checksum is {stored:08x}, its content gives {computed:08x}"))
    }
}

/// What stands before the seal, and the checksum that the seal holds. The line comes without its newline.
pub fn split_seal(line: &[u8]) -> Result<(&[u8], u32), String> {
    const SHAPE: &str = "it does not end with a checksum";
    let sealed = line.strip_suffix(END).ok_or(SHAPE)?;
    let (before, digits) = sealed.split_at_checked(sealed.len().wrapping_sub(CRC_DIGITS)).ok_or(SHAPE)?;
    let covered = before.strip_suffix(CRC_MEMBER).ok_or(SHAPE)?;
    let mut stored = 0_u32;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return Err(SHAPE.to_string()),
        };
        stored = stored << 4 | u32::from(value);
    }
    Ok((covered, stored))
}

/// The entry of a line, which comes without its newline. An error says what is wrong with it.
pub fn decode(line: &[u8]) -> Result<Entry, String> {
    let mut rest = Rest(unseal(line)?);
    let index = LogIndex(rest.number(b"{\"index\":")?);
    let term = Term(rest.number(b",\"term\":")?);
    if rest.0 == b",\"no_op\":true" {
        return Ok(Entry { index, term, content: Content::NoOp });
    }
    if rest.0.starts_with(OPEN) {
        let client = ClientId(rest.number(OPEN)?);
        let content = Content::Open { client, sessions_max: rest.number(b",\"sessions_max\":")? };
        return rest.end(Entry { index, term, content });
    }
    if let Some(text) = rest.0.strip_prefix(MEMBERS) {
        let configuration = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if configuration_text(&configuration) != text {
            return Err("its members are not written as this program writes them".to_string());
        }
        return Ok(Entry { index, term, content: Content::Members(Arc::new(configuration)) });
    }
    let origin = Origin {
        session: SessionId(rest.number(b",\"session\":")?),
        serial: rest.number(b",\"serial\":")?,
        acknowledged: rest.number(b",\"acknowledged\":")?,
    };
    if rest.0 == SETTLE {
        return Ok(Entry { index, term, content: Content::Settle { origin } });
    }
    rest.expect(b",\"command\":")?;
    let text = std::str::from_utf8(rest.0).map_err(|_| "its command is not UTF-8 text")?;
    Ok(Entry { index, term, content: Content::Command { origin, command: Payload::from_text(text) } })
}

fn configuration_text(configuration: &Configuration) -> Vec<u8> {
    serde_json::to_vec(configuration).expect("numbers and names always serialize")
}

fn push_origin(line: &mut Vec<u8>, origin: &Origin) {
    push_number(line, b",\"session\":", origin.session.0);
    push_number(line, b",\"serial\":", origin.serial);
    push_number(line, b",\"acknowledged\":", origin.acknowledged);
}

fn push_number(line: &mut Vec<u8>, name: &[u8], number: u64) {
    line.extend_from_slice(name);
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// What of a line is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// The entry, if nothing is left.
    fn end(&self, entry: Entry) -> Result<Entry, String> {
        if self.0.is_empty() { Ok(entry) } else { Err("it holds more than its entry".to_string()) }
    }

    fn expect(&mut self, name: &'static [u8]) -> Result<(), String> {
        match self.0.strip_prefix(name) {
            Some(rest) => {
                self.0 = rest;
                Ok(())
            }
            None => Err(format!("it lacks {}", String::from_utf8_lossy(name).trim_matches(['{', ',', ':']))),
        }
    }

    fn number(&mut self, name: &'static [u8]) -> Result<u64, String> {
        self.expect(name)?;
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        let mut value = 0_u64;
        for digit in number {
            value = value
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(u64::from(digit - b'0')))
                .ok_or("it holds a number above 64 bits")?;
        }
        let canonical = digits == 1 || digits > 1 && number[0] != b'0';
        self.0 = rest;
        if canonical { Ok(value) } else { Err("it holds a malformed number".to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::membership::configuration::{Joins, Learner};
    use crate::types::NodeId;

    fn command(text: &str) -> Entry {
        entry(Content::Command { origin: origin(), command: Payload::from_text(text) })
    }

    fn origin() -> Origin {
        Origin { session: SessionId(9), serial: u64::MAX, acknowledged: 2 }
    }

    fn entry(content: Content) -> Entry {
        Entry { index: LogIndex(7), term: Term(3), content }
    }

    fn joint() -> Content {
        let founders = NodeId::first(3);
        let mut configuration = Configuration::founders(founders.clone());
        configuration.outgoing = Some(configuration.voters.clone());
        configuration.voters.insert(NodeId::new(2), u64::MAX);
        let joins = Some(Joins { instead_of: Some(founders[0]) });
        configuration.learners.insert(NodeId::new(4), Learner { store_id: 7, stays: false, joins });
        Content::Members(Arc::new(configuration))
    }

    fn line_of(entry: &Entry) -> Vec<u8> {
        let mut line = Vec::new();
        encode(entry, &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        line
    }

    #[test]
    fn an_entry_is_one_line_of_valid_json_and_reads_back() {
        let no_op = Entry { index: LogIndex(1), term: Term(10), content: Content::NoOp };
        let open = entry(Content::Open { client: ClientId(u64::MAX), sessions_max: 3 });
        let settle = entry(Content::Settle { origin: origin() });
        let members = entry(joint());
        for entry in [
            no_op,
            open,
            members,
            settle,
            command("{\"put\":[\"schl\u{fc}ssel\",\"a\\nb\"]}"),
            command("null"),
        ] {
            let line = line_of(&entry);
            let json: serde_json::Value = serde_json::from_slice(&line).expect("jq can read it");
            assert_eq!(json["index"], entry.index.0);
            assert_eq!(decode(&line), Ok(entry));
        }
    }

    #[test]
    fn no_changed_byte_and_no_shorter_line_passes() {
        let open = entry(Content::Open { client: ClientId(9), sessions_max: 3 });
        let settle = entry(Content::Settle { origin: origin() });
        let members = entry(joint());
        for line in [open, members, settle, command("{\"crc\":\"00000000\"}")].map(|entry| line_of(&entry)) {
            for length in 0..line.len() {
                assert!(decode(&line[..length]).is_err(), "cut to {length}");
            }
            for place in 0..line.len() {
                for mask in 1..=u8::MAX {
                    let mut changed = line.clone();
                    changed[place] ^= mask;
                    assert!(decode(&changed).is_err(), "byte {place} changed by {mask:#x}");
                }
            }
        }
    }

    #[test]
    fn a_newline_inside_a_command_does_not_split_its_line() {
        let line = line_of(&command("{\n\"a\":\n1}"));
        assert!(!line.contains(&b'\n'));
        assert_eq!(decode(&line), Ok(command("{ \"a\": 1}")));
    }

    #[test]
    fn a_right_checksum_does_not_excuse_a_wrong_shape() {
        let no_index = "{\"term\":1,\"no_op\":true";
        let leading_zero = "{\"index\":01,\"term\":1,\"no_op\":true";
        let above_64_bits = "{\"index\":99999999999999999999,\"term\":1,\"no_op\":true";
        for wrong in [no_index, leading_zero, above_64_bits] {
            let mut line = wrong.as_bytes().to_vec();
            seal(&mut line, 0);
            assert!(decode(&line[..line.len() - 1]).is_err(), "{wrong}");
        }
    }
}
