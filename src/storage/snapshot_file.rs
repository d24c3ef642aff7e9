//! A snapshot's file: what a snapshot covers, then the state itself, as one legible value of JSON (section 7).
//!
//! ```text
//! {"format":3,"cluster":"51e9a7d2c04b3f86","index":40,"term":3,"configured":12,"members":{"voters":{"n1":1,"n2":1,"n4":95}},"content":
//! {"keys":{"x":"1"}},"crc":"4ee235e0"}
//! ```
//!
//! The first line is the head; the image's own JSON follows, and the checksum (CRC-32) of every byte before it. The head
//! holds the configuration that was effective at the last entry, committed or not, joint or not, and the index of the
//! entry that it stood in: the log that told it is gone. The file does not say whose it is: it travels from one node to
//! another as it is. In every format, present and later, `format` is the first member.
//!
//! A state may be larger than what is to spare of memory, so nothing here holds a file as a whole: it is written and
//! read in pieces.

use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use crc32fast::Hasher;
use derive_more::From;
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::error::StorageError;
use super::record::{self, SEAL_LENGTH};
use super::{ClusterId, RecoveredSnapshot};
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::state_machine::image::{Image, LoadImage};
use crate::types::{EntryId, LogIndex, Term};

/// The format that this program writes and reads.
const FORMAT: u64 = 3;

/// Bytes that are read or written at once.
pub const PIECE_BYTES: usize = 256 << 10;

/// More than the largest configuration takes: 99 voters before and 99 after a change, each with the largest number, and as
/// many learners.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
const CONTENT: &[u8] = b",\"content\":";

/// The name of the snapshot that covers the log up to this index.
pub fn name(index: LogIndex) -> String {
    format!("snapshot-{:020}.json", index.0)
}

/// The index in a snapshot's name; none when it is another file's.
pub fn named(file: &str) -> Option<LogIndex> {
    let digits = file.strip_prefix("snapshot-")?.strip_suffix(".json")?;
    let index = LogIndex(digits.parse().ok()?);
    Some(index).filter(|index| name(*index) == file)
}

/// The first line, which the content follows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u64,
    cluster: ClusterId,
    index: LogIndex,
    term: Term,
    /// The index of the entry that holds `members`; zero for the founders.
    configured: LogIndex,
    members: Configuration,
}

/// Why a file is not the snapshot that it was taken for.
#[derive(Debug)]
pub enum Unusable {
    OtherFormat(u64),
    OtherCluster(ClusterId),
    Damaged(String),
}

/// Why a snapshot could not be loaded.
#[derive(Debug, From)]
pub enum LoadError {
    Unusable(Unusable),
    Io(io::Error),
}

impl LoadError {
    /// The error for a node that finds it in its own folder.
    pub fn in_own_folder(self, file: String, own: ClusterId) -> StorageError {
        match self {
            LoadError::Unusable(unusable) => unusable.in_own_folder(file, own),
            LoadError::Io(error) => StorageError::io("read", file, error),
        }
    }
}

impl Unusable {
    /// In words, for the leader that sent it.
    pub fn reason(&self) -> String {
        match self {
            Unusable::OtherFormat(found) => {
                format!("it has format {found}, and this program reads format {FORMAT}")
            }
            Unusable::OtherCluster(found) => format!("it is of cluster {found}"),
            Unusable::Damaged(what) => format!("it is damaged: {what}"),
        }
    }

    fn in_own_folder(self, file: String, own: ClusterId) -> StorageError {
        match self {
            Unusable::OtherFormat(found) => StorageError::OtherFormat { file, found, known: FORMAT },
            Unusable::OtherCluster(found) => StorageError::OtherCluster { file, found, expected: own },
            Unusable::Damaged(what) => StorageError::Damaged { file, line: None, what },
        }
    }
}

fn damaged(what: impl Into<String>) -> LoadError {
    Unusable::Damaged(what.into()).into()
}

/// Writes the whole of a snapshot's file, in pieces.
pub fn write(
    out: &mut impl Write,
    cluster: ClusterId,
    id: EntryId,
    configured: &Configured,
    image: &dyn Image,
) -> io::Result<()> {
    let line = first_line(cluster, id, configured);
    let mut pieces = BufWriter::with_capacity(PIECE_BYTES, Summing { out, hasher: Hasher::new() });
    pieces.write_all(&line)?;
    image.write(&mut pieces)?;
    let Summing { out, hasher } = pieces.into_inner()?;
    let mut seal = Vec::with_capacity(SEAL_LENGTH);
    record::push_seal(&mut seal, hasher.finalize());
    out.write_all(&seal)
}

fn first_line(cluster: ClusterId, id: EntryId, configured: &Configured) -> Vec<u8> {
    let members = (*configured.configuration).clone();
    let EntryId { term, index } = id;
    let head = Head { format: FORMAT, cluster, index, term, configured: configured.index, members };
    let mut line = serde_json::to_vec(&head).expect("numbers and names always serialize");
    line.pop();
    line.extend_from_slice(CONTENT);
    line.push(b'\n');
    line
}

/// Passes bytes on and computes their checksum.
struct Summing<'a, W> {
    out: &'a mut W,
    hasher: Hasher,
}

impl<W: Write> Write for Summing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads a file that is to be the snapshot of this cluster up to this index, and of this term when that is known. All
/// of it is held against its checksum before any of it is decoded.
pub fn load(
    disk: &impl Disk,
    file: &str,
    cluster: ClusterId,
    index: LogIndex,
    term: Option<Term>,
    load: LoadImage,
) -> Result<RecoveredSnapshot, LoadError> {
    let Checked { id, bytes, configured, content } = check(disk, file, cluster, index, term)?;
    let mut content = Pieces::new(disk, file, content.start, content.end);
    match load(&mut content) {
        Ok(image) => Ok(RecoveredSnapshot { id, bytes, configured, image }),
        Err(what) => Err(content.failed.map_or_else(|| damaged(what), LoadError::Io)),
    }
}

/// A file that is as it was written.
pub struct Checked {
    pub id: EntryId,
    bytes: u64,
    pub configured: Configured,
    content: Range<u64>,
}

/// The same without its state, which is not decoded.
pub fn check(
    disk: &impl Disk,
    file: &str,
    cluster: ClusterId,
    index: LogIndex,
    term: Option<Term>,
) -> Result<Checked, LoadError> {
    let start = disk.read_at(file, 0, HEAD_BYTES_MAX)?;
    // The format comes before the checksum: a newer program may compute that in another way.
    if let Some(format) = format_of(&start).filter(|format| *format != FORMAT && *format > 0) {
        return Err(Unusable::OtherFormat(format).into());
    }
    let bytes = disk.length(file)?;
    let content_end = check_seal(disk, file, bytes)?;
    let (head, content_start) = decode_head(&start).map_err(Unusable::Damaged)?;
    if head.cluster != cluster {
        return Err(Unusable::OtherCluster(head.cluster).into());
    }
    let (id, configured) = head.covers();
    if id.index != index || term.is_some_and(|term| term != id.term) {
        let expected = term.map_or_else(|| index.to_string(), |term| EntryId::new(term, index).to_string());
        return Err(damaged(format!("it is the snapshot up to {id}, not up to {expected}")));
    }
    Ok(Checked { id, bytes, configured, content: content_start..content_end })
}

fn format_of(start: &[u8]) -> Option<u64> {
    let rest = start.strip_prefix(b"{\"format\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&rest[..digits]).ok()?;
    number.parse().ok().filter(|_| matches!(rest.get(digits), Some(b',' | b'}')))
}

/// The last entry that a snapshot covers, and the configuration there, from its file's first line: the checksum is not
/// verified.
pub fn covers(start: &[u8]) -> Result<(EntryId, Configured), String> {
    if let Some(format) = format_of(start).filter(|format| *format != FORMAT && *format > 0) {
        return Err(Unusable::OtherFormat(format).reason());
    }
    decode_head(start).map(|(head, _)| head.covers())
}

/// The cluster that it is of, in the same way.
pub fn cluster_of(start: &[u8]) -> Result<ClusterId, String> {
    decode_head(start).map(|(head, _)| head.cluster)
}

impl Head {
    fn covers(self) -> (EntryId, Configured) {
        let configured = Configured { index: self.configured, configuration: Arc::new(self.members) };
        (EntryId::new(self.term, self.index), configured)
    }
}

/// Where the content ends, once the checksum of all before the seal is right.
fn check_seal(disk: &impl Disk, file: &str, bytes: u64) -> Result<u64, LoadError> {
    let Some(end) = bytes.checked_sub(SEAL_LENGTH as u64) else {
        return Err(damaged(if bytes == 0 { "it is empty" } else { "its end is missing" }));
    };
    let seal = disk.read_at(file, end, SEAL_LENGTH)?;
    let line = seal.strip_suffix(b"\n").ok_or_else(|| damaged("its end is missing"))?;
    let (_, stored) = record::split_seal(line).map_err(Unusable::Damaged)?;
    let mut hasher = Hasher::new();
    let mut pieces = Pieces::new(disk, file, 0, end);
    while pieces.fill()? {
        hasher.update(&pieces.piece);
        pieces.used = pieces.piece.len();
    }
    record::check(hasher.finalize(), stored).map_err(Unusable::Damaged)?;
    Ok(end)
}

/// The head, and where the content behind it begins.
fn decode_head(start: &[u8]) -> Result<(Head, u64), String> {
    let length = start.iter().position(|byte| *byte == b'\n').ok_or("its first line is too long")?;
    let line = start[..length].strip_suffix(CONTENT).ok_or("its first line is not a snapshot's")?;
    let head: Head = serde_json::from_slice(&[line, b"}"].concat()).map_err(|error| error.to_string())?;
    if head.format != FORMAT {
        return Err(format!("no program ever wrote format {}", head.format));
    }
    if head.configured > head.index {
        return Err(format!("its configuration is of entry {}, behind its end", head.configured));
    }
    Ok((head, length as u64 + 1))
}

/// Reads a range of a file, a piece at a time.
struct Pieces<'a, D> {
    disk: &'a D,
    file: &'a str,
    offset: u64,
    end: u64,
    piece: Vec<u8>,
    /// How many bytes of the piece have been handed on.
    used: usize,
    /// The disk's error: a `Read` can report it only in words.
    failed: Option<io::Error>,
}

impl<'a, D: Disk> Pieces<'a, D> {
    fn new(disk: &'a D, file: &'a str, offset: u64, end: u64) -> Pieces<'a, D> {
        Pieces { disk, file, offset, end, piece: Vec::new(), used: 0, failed: None }
    }

    /// Makes sure that there are bytes to hand on. Says false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.used < self.piece.len() {
            return Ok(true);
        }
        let left = usize::try_from(self.end - self.offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        if left == 0 {
            return Ok(false);
        }
        self.piece = self.disk.read_at(self.file, self.offset, left)?;
        self.used = 0;
        self.offset += self.piece.len() as u64;
        if self.piece.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        Ok(true)
    }
}

impl<D: Disk> Read for Pieces<'_, D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Err(error) = self.fill() {
            let told = io::Error::new(error.kind(), error.to_string());
            self.failed = Some(error);
            return Err(told);
        }
        let left = &self.piece[self.used..];
        let taken = left.len().min(out.len());
        out[..taken].copy_from_slice(&left[..taken]);
        self.used += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::membership::configuration::{Joins, Learner, Voters};
    use crate::types::{Epoch, HostPort, NODES_MAX, NodeId, StoreId};

    #[test]
    fn only_the_exact_name_is_a_snapshot() {
        let file = name(LogIndex(40));
        assert_eq!(file, "snapshot-00000000000000000040.json");
        assert_eq!(named(&file), Some(LogIndex(40)));
        for other in [
            "snapshot-40.json",
            "snapshot-00000000000000000040.json.new",
            "snapshot-.json",
            "log-00000000000000000040.jsonl",
            "snapshot-+0000000000000000040.json",
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn the_largest_configuration_fits_into_the_head() {
        let all = || NodeId::first(NODES_MAX).into_iter();
        let voters: Voters = all().map(|node| (node, StoreId::MAX)).collect();
        let joins = Some(Joins { instead_of: Some(NodeId::new(NODES_MAX)) });
        let learner = Learner { store_id: StoreId::MAX, stays: false, joins };
        let longest: HostPort =
            format!("{}:7001", "n".repeat(HostPort::BYTES_MAX - 5)).parse().expect("an address");
        let largest = Configuration {
            voters: voters.clone(),
            outgoing: Some(voters),
            learners: all().map(|node| (node, learner)).collect(),
            preferred: Some(NodeId::new(NODES_MAX)),
            epoch: Some(Epoch(u64::MAX)),
            addresses: all().map(|node| (node, longest.clone())).collect(),
        };
        let configured = Configured { index: LogIndex(u64::MAX), configuration: Arc::new(largest) };
        let id = EntryId::new(Term(u64::MAX), LogIndex(u64::MAX));
        let line = first_line(ClusterId(u64::MAX), id, &configured);
        assert!(line.len() <= HEAD_BYTES_MAX, "{} bytes", line.len());
        assert_eq!(covers(&line), Ok((id, configured)));
    }

    #[test]
    fn the_format_is_read_from_any_file_that_names_one() {
        assert_eq!(format_of(b"{\"format\":27,\"other\":1"), Some(27));
        assert_eq!(format_of(b"{\"format\":3}"), Some(3));
        for other in ["", "{\"format\":", "{\"format\":x,", "{\"format\":1", "{\"cluster\":1,\"format\":2,"] {
            assert_eq!(format_of(other.as_bytes()), None, "{other}");
        }
    }
}
