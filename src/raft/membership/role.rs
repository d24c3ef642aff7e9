//! What a node is in a configuration.

use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use crate::types::Member;

/// A node's part in its cluster, by the configuration that it uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// None: it knows no configuration that names its files. A node that was added or wiped is one, until its log tells.
    #[default]
    Unknown,
    /// It votes.
    Voter,
    /// It is sent the log, and decides nothing.
    Learner,
    /// A learner that votes once it has caught up.
    Joins,
    /// It votes until the change that leaves it out is committed.
    Leaves,
    /// It knows that a committed configuration leaves it out.
    Retired,
}

impl MemberRole {
    /// Whether the node may have to vote for itself.
    pub fn votes(self) -> bool {
        matches!(self, MemberRole::Voter | MemberRole::Leaves)
    }

    /// The word for it; none for a voter, which is the usual.
    pub fn word(self) -> Option<&'static str> {
        match self {
            MemberRole::Voter => None,
            MemberRole::Unknown | MemberRole::Joins => Some("joining"),
            MemberRole::Learner => Some("learner"),
            MemberRole::Leaves => Some("leaving"),
            MemberRole::Retired => Some("retired"),
        }
    }
}

impl Configuration {
    /// What these files are in this configuration.
    pub fn role_of(&self, member: Member) -> MemberRole {
        let Member { node, store_id } = member;
        if self.voters.get(&node) == Some(&store_id) {
            MemberRole::Voter
        } else if self.is_voter(member) {
            MemberRole::Leaves
        } else {
            match self.learners.get(&node).filter(|learner| learner.store_id == store_id) {
                Some(learner) if learner.joins.is_some() => MemberRole::Joins,
                Some(_) => MemberRole::Learner,
                None => MemberRole::Unknown,
            }
        }
    }
}
