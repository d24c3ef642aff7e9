//! Why a node takes no client's request.

use serde::{Deserialize, Serialize};

use crate::types::NodeId;

/// Why a command or a read was not taken in. It has certainly not been applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RejectReason {
    /// This node does not lead; perhaps that one does.
    NotLeader {
        /// The leader that this node follows, if it follows one and has no doubt of it.
        leader: Option<NodeId>,
    },
    /// The node holds as many uncommitted bytes, or as many reads, as it may: try again later.
    Busy,
    /// This node was removed, and has heard of no leader since.
    Retired {
        /// One of the members that were left.
        member: Option<NodeId>,
    },
}

impl RejectReason {
    /// In words, behind "rejects a read:".
    pub fn of_read(self) -> String {
        match self {
            RejectReason::Busy => "too many reads are waiting".to_string(),
            other => other.of_command(),
        }
    }

    /// In words, behind "rejects a request:".
    pub fn of_command(self) -> String {
        match self {
            RejectReason::Busy => "too many bytes are uncommitted".to_string(),
            RejectReason::NotLeader { leader: Some(leader) } => format!("{leader} leads"),
            RejectReason::NotLeader { leader: None } => "no leader is known".to_string(),
            RejectReason::Retired { .. } => "this node was removed".to_string(),
        }
    }
}
