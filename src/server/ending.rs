//! Why a node ended, in the same words on threads and in virtual time.

use derive_more::Display;

use crate::trace::What;
use crate::types::NodeId;

/// Shown as in a status: `crashed`, `its disk failed: the disk is full`.
#[derive(Clone, PartialEq, Eq, Debug, Display, serde::Serialize, serde::Deserialize)]
pub enum EndReason {
    #[display("crashed")]
    Crashed { power: bool },
    #[display("stopped")]
    Stopped,
    /// An assertion failed, or another defect showed.
    #[display("stopped itself: {_0}")]
    Panicked(String),
    #[display("{_0}")]
    MachineFailed(String),
    #[display("its disk failed: {_0}")]
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
