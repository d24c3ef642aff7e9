//! The files in which a process writes down its node's steps: a ring of two, each of which begins with how the node stood.
//!
//! Nothing is synced: what a process wrote is there when it is killed, and the end may be lost when the power fails. They are
//! for checks alone: a node runs on when they cannot be written, and its next record says that there is a gap.

mod recorder;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

pub use self::recorder::{Page, Recorder};
use super::private;
use crate::check::records::{MAGIC, VERSION, unframe};

/// The names of the two files.
const NAMES: [&str; 2] = ["records-0.bin", "records-1.bin"];

/// Bytes of a file after which the other one is begun.
pub const FILE_BYTES: u64 = 32 << 20;

/// The magic, the version, the place of the first record, and a checksum of these.
const HEAD_BYTES: usize = 8 + 2 + 8 + 4;

/// A file of the ring, by the place of its first record among all records of the node.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Found {
    name: &'static str,
    base: u64,
    /// Bytes of its records, of which the last may be cut off.
    length: u64,
}

/// What the files hold of a node's records.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// The place of the first record.
    pub from: u64,
    pub bytes: Vec<u8>,
}

/// Reads all records in a node's folder. None when it holds none.
///
/// # Errors
/// They cannot be read, or are of another version.
pub fn read_all(folder: &Path) -> io::Result<Option<Stored>> {
    let mut files = find(folder)?;
    files.sort_by_key(|file| file.base);
    let Some(first) = files.first() else { return Ok(None) };
    let mut stored = Stored { from: first.base, bytes: Vec::new() };
    for file in &files {
        let end = stored.from + stored.bytes.len() as u64;
        if file.base != end {
            // The older file belongs to an earlier ring.
            stored = Stored { from: file.base, bytes: Vec::new() };
        }
        stored.bytes.extend(read_from(folder, file, 0, usize::MAX)?);
    }
    Ok(Some(stored))
}

/// The files that are there.
fn find(folder: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for name in NAMES {
        let path = folder.join(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        match base_in(&head) {
            Ok(Some(base)) => {
                found.push(Found { name, base, length: length.saturating_sub(HEAD_BYTES as u64) });
            }
            Ok(None) => {}
            Err(problem) => {
                return Err(io::Error::new(ErrorKind::InvalidData, format!("{}: {problem}", path.display())));
            }
        }
    }
    Ok(found)
}

fn head(base: u64) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&base.to_le_bytes());
    let crc = crc32fast::hash(&head);
    head.extend_from_slice(&crc.to_le_bytes());
    head
}

/// The place that a file begins at; none when its head was cut off.
fn base_in(found: &[u8]) -> Result<Option<u64>, String> {
    if found.len() < HEAD_BYTES && head(0).starts_with(&found[..found.len().min(MAGIC.len())]) {
        return Ok(None);
    }
    let Some((magic, rest)) = found.split_first_chunk::<8>() else {
        return Err("it holds no records".to_string());
    };
    if *magic != MAGIC {
        return Err("it holds no records".to_string());
    }
    let (version, rest) = rest.split_first_chunk::<2>().unwrap_or((&[0; 2], rest));
    let version = u16::from_le_bytes(*version);
    if version != VERSION {
        return Err(format!("its records are of version {version}, this program reads version {VERSION}"));
    }
    let base = rest.first_chunk::<8>().map_or(0, |base| u64::from_le_bytes(*base));
    if head(base) == found { Ok(Some(base)) } else { Err("its first bytes are damaged".to_string()) }
}

/// Up to this many bytes of a file's records.
fn read_from(folder: &Path, file: &Found, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut source = File::open(folder.join(file.name))?;
    source.seek(SeekFrom::Start(HEAD_BYTES as u64 + offset))?;
    let mut bytes = Vec::new();
    let left = file.length.saturating_sub(offset).min(most as u64);
    source.take(left).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The ring of a node that runs.
#[derive(Debug)]
struct Ring {
    folder: PathBuf,
    file_bytes: u64,
    /// The newest file; none before the first record.
    newest: Option<(File, Found)>,
    older: Option<Found>,
}

impl Ring {
    /// Opens what is there and cuts off what was not written to its end. Returns the last record too.
    fn open(folder: &Path, file_bytes: u64) -> io::Result<(Ring, Option<Vec<u8>>)> {
        let mut files = find(folder)?;
        files.sort_by_key(|file| file.base);
        let (newest, mut older) = (files.pop(), files.pop());
        let mut ring = Ring { folder: folder.to_path_buf(), file_bytes, newest: None, older: None };
        let Some(mut newest) = newest else { return Ok((ring, None)) };
        older = older.filter(|older| older.base + older.length == newest.base);
        let bytes = read_from(folder, &newest, 0, usize::MAX)?;
        let (mut whole, mut last) = (0, None);
        let invalid = |problem| io::Error::new(io::ErrorKind::InvalidData, problem);
        while let Some((content, length)) = unframe(&bytes[whole..]).map_err(invalid)? {
            last = Some(content.to_vec());
            whole += length;
        }
        newest.length = whole as u64;
        let mut file = private::options().write(true).open(folder.join(newest.name))?;
        file.set_len(HEAD_BYTES as u64 + newest.length)?;
        file.seek(SeekFrom::End(0))?;
        (ring.newest, ring.older) = (Some((file, newest)), older);
        Ok((ring, last))
    }

    fn end(&self) -> u64 {
        self.newest.as_ref().map_or(0, |(_, file)| file.base + file.length)
    }

    /// Whether the next record begins a file.
    fn is_full(&self) -> bool {
        self.newest.as_ref().is_none_or(|(_, file)| file.length >= self.file_bytes)
    }

    /// Begins the other file with this record.
    fn turn(&mut self, record: &[u8]) -> io::Result<()> {
        let name = match &self.newest {
            Some((_, file)) if file.name == NAMES[0] => NAMES[1],
            _ => NAMES[0],
        };
        let base = self.end();
        private::create_folders(&self.folder)?;
        let mut file = private::create(&self.folder.join(name))?;
        let mut bytes = head(base);
        bytes.extend_from_slice(record);
        file.write_all(&bytes)?;
        let found = Found { name, base, length: record.len() as u64 };
        self.older = self.newest.replace((file, found)).map(|(_, older)| older);
        Ok(())
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let Some((file, found)) = &mut self.newest else { return self.turn(records) };
        if let Err(error) = file.write_all(records) {
            // What was written of it is written over.
            let _ = file.seek(SeekFrom::Start(HEAD_BYTES as u64 + found.length));
            return Err(error);
        }
        found.length += records.len() as u64;
        Ok(())
    }

    fn files(&self) -> impl Iterator<Item = &Found> {
        self.older.iter().chain(self.newest.iter().map(|(_, newest)| newest))
    }

    /// The file that holds this place, or the oldest, and where to read in it.
    fn place_of(&self, from: u64) -> Option<(Found, u64)> {
        let holds = |file: &&Found| (file.base..=file.base + file.length).contains(&from);
        match self.files().filter(holds).last() {
            Some(file) => Some((file.clone(), from - file.base)),
            None => self.files().next().map(|oldest| (oldest.clone(), 0)),
        }
    }
}

/// Removes the files.
fn forget(folder: &Path) -> io::Result<()> {
    NAMES.iter().try_for_each(|name| match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
}
