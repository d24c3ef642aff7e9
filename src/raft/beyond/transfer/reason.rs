//! Why a leader hands over, why it does not, and why TimeoutNow is ignored: the words of events and of the console.

use std::fmt;
use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use crate::text::layout::duration_shown;
use crate::types::{EntryId, NodeId};

/// Why a leader hands over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
pub enum TransferReason {
    /// A person asked for it.
    #[display("on request")]
    Request,
    /// Its own disk does not answer, and other disks do.
    #[display("its own disk does not answer")]
    DiskStalled,
    /// The configuration prefers the target.
    #[display("it is preferred")]
    Preferred,
    /// A committed configuration leaves it out (section 6).
    #[display("it is left out of the members")]
    LeftOut,
}

/// Why a leader does not hand over. It leads on, and has lost nothing.
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TransferError {
    #[display("{}", match leader {
        Some(leader) => format!("{leader} leads"),
        None => "no leader is known".to_string(),
    })]
    NotLeader { leader: Option<NodeId> },
    #[display("{_0} leads already")]
    LeadsAlready(NodeId),
    #[display("it hands over to {_0} already")]
    UnderWay(NodeId),
    #[display("there is no other voter")]
    Alone,
    /// This node, or none of these, could lead.
    #[display("{}", listed(_0))]
    Unfit(Vec<(NodeId, Unfit)>),
    /// The target did not lead within the shortest election timeout.
    #[display("{target} did not lead within {}: it {reason}", duration_shown(*after))]
    GivenUp { target: NodeId, after: Duration, reason: Unfit },
}

/// Why a node cannot take over the leadership.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Unfit {
    #[display("is no member")]
    NoMember,
    #[display("is a learner")]
    Learner,
    /// A change that is under way leaves it out.
    #[display("leaves")]
    Leaves,
    #[display("has new files, which have no vote yet")]
    NewFiles,
    #[display("has not answered for {}", duration_shown(*_0))]
    Silent(Duration),
    /// It lacks this many of the leader's entries.
    #[display("trails by {_0}")]
    Trails(u64),
    /// It holds all entries and answers.
    #[display("started no election, or lost it")]
    NotElected,
}

/// Why a node does not start the election for which its leader sent TimeoutNow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TimeoutNowIgnored {
    #[display("it has heard a later round")]
    LaterRound,
    #[display("its log ends at {ours}, not at {theirs}")]
    OtherLast { theirs: EntryId, ours: EntryId },
    #[display("it has no vote")]
    NoVote,
    #[display("its disk owes its term and vote, or does not answer")]
    DiskOwes,
    #[display("it withholds its vote until the leader's lease ends")]
    Withheld,
}

/// `n2 has not answered for 300 ms, n3 trails by 812`.
fn listed(nodes: &[(NodeId, Unfit)]) -> Listed<'_> {
    Listed(nodes)
}

struct Listed<'a>(&'a [(NodeId, Unfit)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (node, reason)) in self.0.iter().enumerate() {
            write!(f, "{}{node} {reason}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
