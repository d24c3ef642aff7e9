//! What people ask of the members, and why it is refused.

use std::borrow::Cow;
use std::sync::Arc;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use crate::text::nodes::spaced;
use crate::types::{Addresses, LogIndex, Member, NODES_MAX, NodeId};

/// A change of the members. People name a new node, the core names it with the files that were made for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change<New = Member> {
    /// Take a node in: as a learner that stays one, or to vote once it has caught up.
    Add { new: New, learner: bool },
    /// Leave a node out.
    Remove(NodeId),
    /// Take a node in, and leave another out in the same step.
    Replace { old: NodeId, new: New },
    /// Let a learner vote once it has caught up.
    Promote(NodeId),
    /// Make a voter a learner.
    Demote(NodeId),
    /// Say who is to lead, if it can.
    Prefer(Option<NodeId>),
    /// Take the change back that is under way.
    Cancel,
}

/// A change, and what it was made for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChangeRequest {
    pub change: Change,
    /// The index of the newest configuration that who asks has seen: a request that arrives again changes nothing.
    pub made_for: LogIndex,
    /// It continues although too few voters answer.
    pub force: bool,
    /// Where nodes that are processes are, as far as who asks knows.
    pub addresses: Addresses,
}

impl ChangeRequest {
    pub fn new(change: Change, made_for: LogIndex, force: bool) -> ChangeRequest {
        ChangeRequest { change, made_for, force, addresses: Addresses::new() }
    }
}

/// Why a change was refused. Nothing has changed then.
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChangeError {
    #[display("{}", match leader {
        Some(leader) => format!("{leader} leads"),
        None => "no leader is known".to_string(),
    })]
    NotLeader { leader: Option<NodeId> },
    #[display("the leader has only just been elected: try again")]
    TooSoon,
    #[display("the leader hands over: try again")]
    HandsOver,
    #[display("a change is under way: {_0}; wait for it, or 'cancel change'")]
    UnderWay(Arc<Configuration>),
    #[display("the members have changed since: they are {_0}")]
    OtherMembers(Arc<Configuration>),
    #[display("{_0} is a member already")]
    IsMember(NodeId),
    #[display("{_0} is no member: the members are {_1}")]
    NoMember(NodeId, Arc<Configuration>),
    #[display("{_0} is a voter already")]
    IsVoter(NodeId),
    #[display("{_0} is a learner, not a voter")]
    IsLearner(NodeId),
    #[display("{_0} is the last voter: add another first")]
    LastVoter(NodeId),
    #[display("a cluster has at most {NODES_MAX} members")]
    Full,
    /// These voters do not answer, and without them too few would be left.
    #[display("it would lose the quorum: {} not answer; 'restart' first, or say --force: nothing is committed then until enough of them are back", match &_0[..] {
        [one] => format!("{one} does"),
        many => format!("{} do", spaced(many, |node| node.to_string())),
    })]
    LosesQuorum(Vec<NodeId>),
    #[display("no change is under way")]
    NothingToCancel,
    #[display("it is too late to take the change back: {_0}")]
    TooLate(Cow<'static, str>),
}
