//! The file that a history is written to while it happens: a whole line for each operation.
//!
//! It holds keys and values, so only its owner may read it. [`check::history`](crate::check::history) reads it back.

use std::fs::File;
use std::io::{self, Write};
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

    fn append(&mut self, text: &str) -> Result<(), String> {
        // One write, so that a program that is killed leaves whole lines.
        match self.file.as_mut().map(|file| file.write_all(text.as_bytes())) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                self.file = None;
                let path = self.path.display();
                Err(format!("the history {path} ends here: {error}; what follows is not written"))
            }
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    format!("the history {} cannot be written: {error}", path.display())
}
