//! The file that a history is written to while it happens: a whole line for each operation.
//!
//! It holds keys and values, so only its owner may read it. [`check::history`](crate::check::history) reads it back.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::check::history::{Operation, START_UNKNOWN, warm_up_line};
use crate::check::linearizability::Start;
use crate::storage::private;
use crate::types::Time;

#[derive(Debug)]
pub struct HistoryFile {
    path: PathBuf,
    /// None after an error: what follows a gap would be judged wrongly.
    file: Option<File>,
}

impl HistoryFile {
    /// A new file, in place of an existing one: `warn` is told when that held a history.
    ///
    /// # Errors
    /// One line that names the file and says why it cannot be written.
    pub fn create(path: &Path, warn: impl Fn(&str)) -> Result<HistoryFile, String> {
        let replaces = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
        let file = private::create(path).map_err(|error| unwritable(path, &error))?;
        if replaces {
            warn(&format!("{} held an older history, which this one replaces", path.display()));
        }
        Ok(HistoryFile { path: path.to_path_buf(), file: Some(file) })
    }

    /// Finds out whether the file can be written, and leaves all as it was.
    ///
    /// # Errors
    /// As [`HistoryFile::create`].
    pub fn probe(path: &Path) -> Result<(), String> {
        private::probe(path).map_err(|error| unwritable(path, &error))
    }

    /// Notes at the file's head what the keys held when the run began, if that is not known.
    ///
    /// # Errors
    /// As [`HistoryFile::write`].
    pub fn begin(&mut self, start: Start) -> Result<(), String> {
        match start {
            Start::Absent => Ok(()),
            Start::Unknown => self.append(&format!("{START_UNKNOWN}\n")),
        }
    }

    /// Marks when a load's warm-up ends.
    ///
    /// # Errors
    /// As [`HistoryFile::write`].
    pub fn mark_warm_up(&mut self, ends: Time) -> Result<(), String> {
        self.append(&format!("{}\n", warm_up_line(ends)))
    }

    /// Adds operations that have ended, or whose outcome stays unknown.
    ///
    /// # Errors
    /// One line, the first time that something cannot be written; from then on nothing is.
    pub fn write(&mut self, operations: &[Operation]) -> Result<(), String> {
        self.append(&operations.iter().map(|operation| operation.to_line() + "\n").collect::<String>())
    }

    /// Whether what was written can be taken back: not from a pipe, nor from a file that ended at an error.
    pub fn can_take_back(&self) -> bool {
        let metadata = self.file.as_ref().and_then(|file| file.metadata().ok());
        metadata.is_some_and(|metadata| metadata.is_file())
    }

    /// Takes back what was written from the first operation on that is not one of these, and adds those that are missing. For a
    /// file without a head.
    ///
    /// # Errors
    /// As [`HistoryFile::write`].
    pub fn rewrite(&mut self, operations: &[Operation]) -> Result<(), String> {
        let written = fs::read(&self.path).unwrap_or_default();
        let (mut shared, mut missing) = (0, operations);
        while let Some((first, rest)) = missing.split_first() {
            let line = first.to_line() + "\n";
            if !written[shared..].starts_with(line.as_bytes()) {
                break;
            }
            (shared, missing) = (shared + line.len(), rest);
        }
        let shorten = |file: &mut File| {
            file.set_len(shared as u64)?;
            file.seek(SeekFrom::End(0)).map(drop)
        };
        let done = self.file.as_mut().map_or(Ok(()), shorten);
        self.checked(done)?;
        self.write(missing)
    }

    fn append(&mut self, text: &str) -> Result<(), String> {
        // One write, so that a program that is killed leaves whole lines.
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(text.as_bytes()));
        self.checked(written)
    }

    fn checked(&mut self, done: io::Result<()>) -> Result<(), String> {
        done.map_err(|error| {
            self.file = None;
            let path = self.path.display();
            format!("the history {path} ends here: {error}; what follows is not written")
        })
    }
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    format!("the history {} cannot be written: {error}", path.display())
}
