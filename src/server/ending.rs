//! Why a node ended, in the same words on threads and in virtual time.

use std::fmt;

use crate::trace::What;
use crate::types::NodeId;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndReason {
    Crashed {
        power: bool,
    },
    Stopped,
    /// An assertion failed, or another defect showed.
    Panicked(String),
    MachineFailed(String),
    StorageFailed(String),
}

impl EndReason {
    /// How this end breaks a property of the run, if it does: a node must not stop itself.
    pub fn violation(&self, node: NodeId) -> Option<String> {
        match self {
            EndReason::Panicked(_) => Some(format!("{node} {self}")),
            EndReason::MachineFailed(_) => Some(format!("{node}: {self}")),
            EndReason::Crashed { .. } | EndReason::Stopped | EndReason::StorageFailed(_) => None,
        }
    }
}

impl From<EndReason> for What {
    fn from(why: EndReason) -> What {
        match why {
            EndReason::Crashed { power } => What::Crashed { power },
            EndReason::Stopped => What::Stopped,
            EndReason::Panicked(reason) => What::Panicked { reason },
            EndReason::MachineFailed(reason) => What::MachineFailed { reason },
            EndReason::StorageFailed(reason) => What::StorageFailed { reason },
        }
    }
}

impl fmt::Display for EndReason {
    /// As a status shows it: `crashed`, `its disk failed: the disk is full`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndReason::Crashed { .. } => f.write_str("crashed"),
            EndReason::Stopped => f.write_str("stopped"),
            EndReason::Panicked(reason) => write!(f, "stopped itself: {reason}"),
            EndReason::MachineFailed(reason) => f.write_str(reason),
            EndReason::StorageFailed(reason) => write!(f, "its disk failed: {reason}"),
        }
    }
}
