//! What others may read of a node: its driver, the checks and the console.

use std::collections::BTreeSet;

use super::Raft;
use super::log::Log;
use super::role::Role;
use crate::types::{LogIndex, NodeId, Term, Time};

impl Raft {
    pub fn id(&self) -> NodeId {
        self.id
    }

    pub fn members(&self) -> &BTreeSet<NodeId> {
        &self.members
    }

    /// The latest term this node has seen.
    pub fn current_term(&self) -> Term {
        self.current_term
    }

    /// Whom it voted for in that term.
    pub fn voted_for(&self) -> Option<NodeId> {
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

    pub fn durable_index(&self) -> LogIndex {
        self.durability.log_index()
    }

    /// When its election timer runs out; unused while it leads.
    pub fn election_due(&self) -> Time {
        self.election_due
    }
}
