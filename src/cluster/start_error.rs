//! Why a cluster does not start, in words that say what to do.

use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::storage::error::files_advice;
use crate::storage::{ClusterId, StorageError};
use crate::trace::LogsError;
use crate::types::NodeId;

/// Why a cluster does not start. Shown as one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The folder of a recording cannot be used.
    #[error("{_0}")]
    Record(String),
    /// The settings break a rule.
    #[error("{0}")]
    Settings(#[source] ConfigError),
    /// The states folder cannot be read.
    #[error(
        "the states folder {} cannot be used: {reason}; {}",
        .path.display(),
        files_advice(.reason).unwrap_or("choose another one with --states DIR")
    )]
    Folder {
        path: PathBuf,
        #[source]
        reason: io::Error,
    },
    /// A node's files cannot be used.
    #[error("{}{}", .0, start_advice(.0))]
    Storage(#[from] StorageError),
    /// A process of its own makes no files by itself: with new ones it could vote a second time.
    #[error(
        "{node}'s files are missing: put them back, or start it once with --init (a founder) or --wipe (it joins)"
    )]
    NoFiles { node: NodeId },
    /// Files would be made where there are some.
    #[error("{node} has files already, of cluster {cluster}: start it without --init")]
    HasFiles { node: NodeId, cluster: ClusterId },
    /// The log files cannot be written.
    #[error("{}; {}", .0, logs_advice(&.0.reason))]
    Logs(#[source] LogsError),
    /// A node's state machine panicked: when it was made, when it took over the state of a snapshot, or when that was read.
    #[error(
        "{node} cannot start, its state machine panicked: {reason}; nothing is lost: start with a state machine that can \
         continue from what is stored"
    )]
    Machine { node: NodeId, reason: String },
    /// The system gives no more threads.
    #[error("the system gives no more threads: {0}; start fewer nodes")]
    Thread(#[source] io::Error),
}

/// These errors end in what to do, and here it is known how.
fn start_advice(error: &StorageError) -> &'static str {
    match error {
        StorageError::OtherCluster { .. } => " with --fresh",
        StorageError::Damaged { .. } => ": remove its files, and once the others run, 'restart NODE --wipe'",
        _ => "",
    }
}

fn logs_advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on that disk, or choose another folder with --logs DIR"
        }
        _ => files_advice(reason).unwrap_or("choose another folder with --logs DIR"),
    }
}
