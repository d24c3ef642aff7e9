//! The seam between the store and the files: one flat folder of named files.
//!
//! A disk promises what POSIX promises and no more. Bytes are durable after [`Disk::sync`] of their file; a file
//! that was created, renamed or removed is so for good after [`Disk::sync_folder`]. Until then a power failure may
//! undo each of them by itself. A rename replaces its target in one step.

use std::io;

use derive_more::From;

/// A folder of files. Every name is a plain file name, without a path.
pub trait Disk: Send {
    /// Makes the folder, and those above it, unless they are there.
    fn create_folder(&mut self) -> io::Result<()>;

    /// The names of all files, in order. A folder that is missing holds none.
    fn list(&self) -> io::Result<Vec<String>>;

    fn read(&self, file: &str) -> io::Result<Vec<u8>>;

    /// At most `length` bytes of a file from this offset on; fewer at its end, none behind it.
    fn read_at(&self, file: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    fn length(&self, file: &str) -> io::Result<u64>;

    /// Makes an empty file; one of that name is emptied.
    fn create(&mut self, file: &str) -> io::Result<()>;

    /// Adds bytes to the end of a file that exists.
    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()>;

    /// Writes these bytes over the beginning of a file, in the room that they have already, and makes them durable. Only for
    /// bytes that the file shows there: a power failure meanwhile leaves them as they are.
    ///
    /// Not every disk can, and one that cannot says so.
    fn overwrite(&mut self, _file: &str, _bytes: &[u8]) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    fn truncate(&mut self, file: &str, length: u64) -> io::Result<()>;

    /// Makes a file's content and length durable.
    fn sync(&mut self, file: &str) -> io::Result<()>;

    /// Gives a file another name; a file that has that name is replaced.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    fn remove(&mut self, file: &str) -> io::Result<()>;

    fn sync_folder(&mut self) -> io::Result<()>;

    /// Locks the folder for this holder until the lock is dropped.
    fn lock(&mut self) -> Result<Lock, LockError>;

    /// How a person names the file, for messages: `states/n1/state.json`. The empty name stands for the folder.
    fn describe(&self, file: &str) -> String;
}

/// Holds a folder until it is dropped.
pub type Lock = Box<dyn Send>;

/// Why a folder could not be locked.
#[derive(Debug, From)]
pub enum LockError {
    /// Another holds it: the process of this number, when it is known.
    InUse(Option<u32>),
    #[from]
    Io(io::Error),
}

/// The part of a whole content that [`Disk::read_at`] gives.
pub(super) fn part(content: &[u8], offset: u64, length: usize) -> Vec<u8> {
    let start = usize::try_from(offset).map_or(content.len(), |offset| offset.min(content.len()));
    let end = start.saturating_add(length).min(content.len());
    content[start..end].to_vec()
}

pub(super) fn missing(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {file}"))
}

pub(super) fn described(folder: &str, file: &str) -> String {
    if file.is_empty() { folder.to_string() } else { format!("{folder}/{file}") }
}
