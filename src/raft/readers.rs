//! What others may read of a node: its driver, the checks and the console.

use super::Raft;
use super::log::Log;
use super::role::Role;
use crate::types::{LogIndex, Member, NodeId, RoleName, StoreId, Term, Time};

impl Raft {
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Tells this node's files from others that were under its name.
    pub fn store_id(&self) -> StoreId {
        self.store_id
    }

    /// Whether it knows that a committed configuration leaves its files out.
    pub fn is_retired(&self) -> bool {
        self.retired
    }

    /// The latest term this node has seen.
    pub fn current_term(&self) -> Term {
        self.current_term
    }

    /// Whom it voted for in that term.
    pub fn voted_for(&self) -> Option<Member> {
        self.voted_for
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn commit_index(&self) -> LogIndex {
        self.commit_index
    }

    pub fn role(&self) -> &Role {
        &self.role
    }

    pub fn role_name(&self) -> RoleName {
        match &self.role {
            Role::Follower(_) => RoleName::Follower,
            Role::PreCandidate { .. } => RoleName::PreCandidate,
            Role::Candidate(_) => RoleName::Candidate,
            Role::Leader(_) => RoleName::Leader,
        }
    }

    pub fn durable_index(&self) -> LogIndex {
        self.durability.log_index()
    }

    /// When its election timer runs out.
    pub fn election_due(&self) -> Time {
        self.election_due
    }
}
