//! `state.json`: whose files these are, the term and the vote. One line of JSON with a checksum.
//!
//! In every format, present and later, `format` is the first member.

use serde::{Deserialize, Serialize};

use super::record::{seal, unseal};
use super::{ClusterId, Founders, Identity};
use crate::raft::effects::{HardState, StoreId};
use crate::types::{EntryId, Epoch, LogIndex, Member, NodeId, Term};

pub const NAME: &str = "state.json";

/// The format that this program writes and reads.
pub const FORMAT: u64 = 5;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateFile {
    pub identity: Identity,
    /// None in the files of a node that joined its cluster later.
    pub founders: Founders,
    pub hard_state: HardState,
    /// When the file was written, the log was durable up to this entry. A log that does not hold it was cut, emptied
    /// or replaced by someone, not by a power failure. By Log Matching (5.3) a log that holds it holds all before it.
    pub log_floor: EntryId,
    /// Up to here the log was known to be committed when the file was written; never beyond `log_floor`.
    pub commit: LogIndex,
}

#[derive(PartialEq, Eq, Debug)]
pub enum Unreadable {
    Other(u64),
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: u64,
    cluster: ClusterId,
    epoch: Epoch,
    node: NodeId,
    /// Left out in files that joined a cluster which had run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    founders: Vec<NodeId>,
    /// Left out when they began without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferred: Option<NodeId>,
    incarnation: StoreId,
    term: Term,
    vote: Option<Member>,
    /// Left out while it is false, as in a cluster that never read by lease.
    #[serde(default, skip_serializing_if = "is_false")]
    promised: bool,
    /// Left out while it is false, as in a node that is a member.
    #[serde(default, skip_serializing_if = "is_false")]
    retired: bool,
    log_floor: LogIndex,
    log_floor_term: Term,
    commit: LogIndex,
}

/// The only member that every format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

impl StateFile {
    pub fn encode(&self) -> Vec<u8> {
        let line = Line {
            format: FORMAT,
            cluster: self.identity.cluster,
            node: self.identity.node,
            epoch: self.identity.epoch,
            founders: self.founders.nodes.clone(),
            preferred: self.founders.preferred,
            incarnation: self.hard_state.store_id,
            term: self.hard_state.current_term,
            vote: self.hard_state.voted_for,
            promised: self.hard_state.withheld_votes,
            retired: self.hard_state.retired,
            log_floor: self.log_floor.index,
            log_floor_term: self.log_floor.term,
            commit: self.commit,
        };
        let mut bytes = serde_json::to_vec(&line).expect("numbers and names always serialize");
        bytes.pop();
        seal(&mut bytes, 0);
        bytes
    }

    /// Reads the file's content. It is always whole, since it is replaced in one step: anything wrong with it
    /// is damage.
    pub fn decode(bytes: &[u8]) -> Result<StateFile, Unreadable> {
        // The format comes before the checksum: a newer program may compute that in another way.
        if let Ok(AnyFormat { format }) = serde_json::from_slice(bytes)
            && format != FORMAT
            && format > 0
        {
            return Err(Unreadable::Other(format));
        }
        let line = bytes.strip_suffix(b"\n").ok_or_else(|| {
            let what = if bytes.is_empty() { "it is empty" } else { "its end is missing" };
            Unreadable::Damaged(what.to_string())
        })?;
        let mut covered = unseal(line).map_err(Unreadable::Damaged)?.to_vec();
        covered.push(b'}');
        let line: Line =
            serde_json::from_slice(&covered).map_err(|error| Unreadable::Damaged(error.to_string()))?;
        if line.format != FORMAT {
            return Err(Unreadable::Damaged(format!("no program ever wrote format {}", line.format)));
        }
        if line.commit > line.log_floor {
            return Err(Unreadable::Damaged("it commits more than the log held".to_string()));
        }
        let identity = Identity { cluster: line.cluster, epoch: line.epoch, node: line.node };
        let hard_state = HardState {
            current_term: line.term,
            voted_for: line.vote,
            withheld_votes: line.promised,
            retired: line.retired,
            store_id: line.incarnation,
        };
        let log_floor = EntryId::new(line.log_floor_term, line.log_floor);
        let founders = Founders { nodes: line.founders, preferred: line.preferred };
        Ok(StateFile { identity, founders, hard_state, log_floor, commit: line.commit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> StateFile {
        StateFile {
            identity: Identity { cluster: ClusterId(0xab), epoch: Epoch::FIRST, node: NodeId::new(2) },
            founders: NodeId::first(3).into(),
            hard_state: HardState {
                current_term: Term(7),
                voted_for: Some(Member::founder(NodeId::new(1))),
                withheld_votes: false,
                retired: false,
                store_id: 71,
            },
            log_floor: EntryId::new(Term(6), LogIndex(12)),
            commit: LogIndex(11),
        }
    }

    #[test]
    fn it_is_legible_and_reads_back() {
        let bytes = state().encode();
        let text = String::from_utf8(bytes.clone()).expect("JSON is text");
        let expected = r#"{"format":5,"cluster":"00000000000000ab","epoch":1,"node":"n2","founders":["n1","n2","n3"],"incarnation":71,"term":7,"vote":"n1#1","log_floor":12,"log_floor_term":6,"commit":11,"crc":""#;
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(StateFile::decode(&bytes), Ok(state()));
        for (withheld_votes, retired) in [(true, false), (false, true), (true, true)] {
            let hard_state = HardState { withheld_votes, retired, ..state().hard_state };
            let said = StateFile { hard_state, ..state() };
            assert_eq!(StateFile::decode(&said.encode()), Ok(said));
        }
        let preferring = Founders { preferred: Some(NodeId::new(3)), ..state().founders };
        let preferring = StateFile { founders: preferring, ..state() };
        assert_eq!(StateFile::decode(&preferring.encode()), Ok(preferring));
        let joined = StateFile { founders: Founders::default(), ..state() };
        assert!(!String::from_utf8_lossy(&joined.encode()).contains("founders"));
        assert_eq!(StateFile::decode(&joined.encode()), Ok(joined));
        let beyond = StateFile { commit: LogIndex(13), ..state() };
        assert!(matches!(StateFile::decode(&beyond.encode()), Err(Unreadable::Damaged(_))));
    }

    #[test]
    fn no_changed_byte_and_no_shorter_file_passes() {
        let bytes = state().encode();
        for length in 0..bytes.len() {
            assert!(StateFile::decode(&bytes[..length]).is_err(), "cut to {length}");
        }
        for place in 0..bytes.len() {
            for mask in 1..=u8::MAX {
                let mut changed = bytes.clone();
                changed[place] ^= mask;
                assert!(StateFile::decode(&changed).is_err(), "byte {place} changed by {mask:#x}");
            }
        }
    }

    #[test]
    fn another_format_is_told_apart_from_damage() {
        for format in (1..FORMAT).chain([FORMAT + 1]) {
            let text = format!(r#"{{"format":{format},"other":[1,2],"crc":"other"}}"#);
            assert_eq!(StateFile::decode(text.as_bytes()), Err(Unreadable::Other(format)));
        }
    }
}
