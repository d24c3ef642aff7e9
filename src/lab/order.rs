//! What can be done to one node and its disk.

use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use super::{LabError, Life};
use crate::raft::effects::ChangeRequest;
use crate::raft::membership::MemberRole;
use crate::text::units::duration_text;
use crate::types::NodeId;

/// What can be done to one node.
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NodeOrder {
    /// It ends at once: what it had not written is gone.
    #[display("crash")]
    Crash,
    /// It ends at once: what it had not synced is gone.
    #[display("crash --power")]
    PowerCut,
    /// It ends politely: everything it has is on disk.
    #[display("stop")]
    Stop,
    /// It starts, if it is down.
    #[display("restart")]
    Restart,
    /// It starts from an empty disk, if it is down.
    #[display("restart --wipe")]
    Wipe,
    /// It makes no step until it is resumed, and its inbox fills.
    #[display("pause")]
    Pause,
    /// It makes steps again, whichever way it was paused.
    #[display("resume")]
    Resume,
    /// Its process is killed: what it had written stays, synced or not.
    #[display("kill")]
    Kill,
    /// Its whole process makes no step until it is resumed.
    #[display("pause --process")]
    Freeze,
    /// It takes a snapshot of what it has applied since its last one. That is durable some time later.
    #[display("snapshot")]
    TakeSnapshot,
    /// It starts an election now, or as soon as it may.
    #[display("campaign")]
    Campaign,
    /// It hands its leadership over: to this node, or to any that fits.
    #[display("transfer{}", _0.map_or(String::new(), |node| format!(" {node}")))]
    Transfer(Option<NodeId>),
    /// If it leads, it begins this change of the members: [`changed`](crate::server::MembersView::changed) says what came of that.
    #[display("change the members")]
    Change(ChangeRequest),
    /// Its election timer runs out after this time.
    #[display("set its election timer to {}", duration_text(*_0))]
    SetElectionTimer(Duration),
    /// Its clock is ahead by this from now on. A clock that is set back stands still until it is true: time never goes
    /// back.
    #[display("skew-clock {}", duration_text(*_0))]
    SkewClock(Duration),
    /// Its disk breaks, or is mended.
    Disk(DiskChange),
}

/// What may be done to a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DiskChange {
    /// Each fsync takes this much longer; zero ends it.
    #[display("slow-disk {}", duration_text(*_0))]
    Slow(Duration),
    /// No fsync ends before this time has passed.
    #[display("stall-disk {}", duration_text(*_0))]
    Stall(Duration),
    /// Nothing more fits, or it does again.
    #[display("{}", if *_0 { "fill-disk" } else { "end fill-disk" })]
    Full(bool),
    /// It has none of these faults any more.
    #[display("repair the disk")]
    Mend,
}

impl NodeOrder {
    /// Whether a node can carry it out while it is up, paused or down.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn check(&self, node: NodeId, life: &Life, member: MemberRole) -> Result<(), LabError> {
        let refused = match (self, life) {
            (NodeOrder::Restart | NodeOrder::Wipe, Life::Down(_)) if member == MemberRole::Retired => {
                let advice = format!("'add {node}' takes it in again, with new files");
                return Err(LabError::new(format!("{node} was removed from the cluster")).advising(advice));
            }
            (NodeOrder::Disk(_) | NodeOrder::SkewClock(_) | NodeOrder::Kill | NodeOrder::Freeze, _)
            | (NodeOrder::Restart | NodeOrder::Wipe, Life::Down(_)) => return Ok(()),
            (NodeOrder::Crash | NodeOrder::PowerCut | NodeOrder::Stop, Life::Down(_)) => {
                format!("{node} is down already")
            }
            (_, Life::Down(_)) => return Err(LabError::down(node)),
            (NodeOrder::Restart | NodeOrder::Wipe, _) => format!("{node} is already running"),
            (NodeOrder::Pause, Life::Paused) => format!("{node} is paused already"),
            (NodeOrder::Resume, Life::Up) => format!("{node} is not paused"),
            (_, Life::Frozen(_)) => return Err(LabError::frozen(node)),
            (
                NodeOrder::Campaign
                | NodeOrder::Transfer(_)
                | NodeOrder::Change(_)
                | NodeOrder::TakeSnapshot
                | NodeOrder::SetElectionTimer(_),
                Life::Paused,
            ) => {
                let advice = format!("'resume {node}' first");
                return Err(LabError::new(format!("{node} is paused")).advising(advice));
            }
            _ => return Ok(()),
        };
        Err(LabError::new(refused))
    }
}
