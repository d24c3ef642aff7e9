//! What may be wrong with a node's files. Each message is one line that names the file and says what to do.

use std::io;

use super::ClusterId;
use crate::types::{Epoch, NodeId};

/// Why a node's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another process, or another node of this one, uses the folder.
    #[error(
        "{folder} is in use{}: stop that one first, or choose another folder with --states DIR",
        .holder.map_or(String::new(), |process| format!(" by process {process}"))
    )]
    InUse { folder: String, holder: Option<u32> },
    #[error(
        "{file} belongs to cluster {found}, not to {expected}: choose another folder with --states DIR, or start afresh"
    )]
    OtherCluster {
        file: String,
        found: ClusterId,
        /// The cluster that was to be opened.
        expected: ClusterId,
    },
    #[error("{file} belongs to {found}, not to {expected}: put each node's files back under its own name")]
    OtherNode {
        file: String,
        found: NodeId,
        /// The node that was to be opened.
        expected: NodeId,
    },
    /// The files are from before the cluster was recovered from what was left of it, or from after that.
    #[error(
        "{file} is of epoch {found}, and the cluster is in epoch {expected}: what it holds is of another history; 'add {node}' \
         takes {node} in again with new files"
    )]
    OtherEpoch { file: String, node: NodeId, found: Epoch, expected: Epoch },
    /// The node learned that its cluster removed it.
    #[error("{node} was removed from the cluster: 'add {node}' takes it in again with new files")]
    Retired { node: NodeId },
    /// Another version of the program wrote the files.
    #[error(
        "{file} has format {found}, and this program reads format {known}: use {}, choose another folder with --states DIR, or start afresh",
        if .found > .known { "a newer program" } else { "the program that wrote it" }
    )]
    OtherFormat { file: String, found: u64, known: u64 },
    /// A file is not as it was written.
    #[error(
        "{file}{} is damaged: {what}; restore this node's files from a copy, or wipe the node",
        .line.map_or(String::new(), |line| format!(" line {line}"))
    )]
    Damaged {
        file: String,
        /// The line in it, from 1, where that is known.
        line: Option<usize>,
        what: String,
    },
    #[error("cannot write {file}: the disk is full; make room, then restart the node")]
    NoSpace {
        /// The file that was to be written.
        file: String,
    },
    /// The disk is too full to start from.
    #[error(
        "cannot write {file}: the disk is full, and a start needs {bytes} bytes of it for a moment, for term and vote; \
         nothing is lost: make room, then start again"
    )]
    NoRoom {
        /// The file that has to be written.
        file: String,
        bytes: usize,
    },
    #[error("cannot {action} {file}: {error}; {}", advice(.error))]
    Io {
        /// What was to be done: "write", "read".
        action: &'static str,
        file: String,
        #[source]
        error: io::Error,
    },
    /// The writing of a snapshot was given up, since it is not wanted any more.
    #[error("{file} was given up before it was whole: nothing is lost, the node was stopped")]
    GivenUp {
        /// The file that is not made.
        file: String,
    },
    /// An earlier error left it open what the disk holds.
    #[error("nothing more is written after an earlier error ({first}): restart the node")]
    Poisoned { first: String },
}

impl StorageError {
    pub(super) fn io(action: &'static str, file: String, error: io::Error) -> StorageError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::NoSpace { file },
            _ => StorageError::Io { action, file, error },
        }
    }
}

/// What to do when this process may open no more files; none if that is not the trouble.
pub(crate) fn files_advice(error: &io::Error) -> Option<&'static str> {
    // ENFILE and EMFILE, on every Unix.
    let is_limit = cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24));
    is_limit.then_some(
        "raise the limit of open files (ulimit -n): a cluster needs up to 8 for each node, and 16 beside",
    )
}

fn advice(error: &io::Error) -> &'static str {
    if let Some(advice) = files_advice(error) {
        return advice;
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "give this user the right to write there, or choose another folder with --states DIR"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file is in the way: remove it, or choose another folder with --states DIR"
        }
        _ => "check the disk, then restart the node",
    }
}
