//! What others may read of a node: its driver, the checks and the console.

use super::Raft;
use super::effects::WriteId;
use super::entry::Content;
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

    /// The leader of the current term, if this node knows one and its election timer has not run out since.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader(_) => Some(self.id),
            Role::Follower(follower) => follower.leader.map(|(leader, _)| leader.node),
            Role::PreCandidate { .. } | Role::Candidate(_) => None,
        }
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What its entries hold, and the commands that wait to become entries.
    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        let gathered = match &self.role {
            Role::Leader(leader) => leader.gathered.as_slice(),
            _ => &[],
        };
        self.log
            .entries
            .iter()
            .map(|entry| &entry.content)
            .chain(gathered.iter().map(|proposal| &proposal.content))
    }

    /// The same, for a node that is read back.
    pub(crate) fn contents_mut(&mut self) -> impl Iterator<Item = &mut Content> {
        let gathered = match &mut self.role {
            Role::Leader(leader) => leader.gathered.as_mut_slice(),
            _ => &mut [],
        };
        self.log
            .entries
            .iter_mut()
            .map(|entry| &mut entry.content)
            .chain(gathered.iter_mut().map(|proposal| &mut proposal.content))
    }

    /// Whether parts of a leader's snapshot have arrived, and others are still to come.
    pub fn receives_snapshot(&self) -> bool {
        self.receiving.is_some()
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

    /// The writes that are not known to be durable, in their order, each with the log's last index once it is.
    pub fn pending_writes(&self) -> impl DoubleEndedIterator<Item = (WriteId, LogIndex)> {
        self.durability.outstanding.iter().map(|write| (write.id, write.log_index))
    }

    pub fn durable_index(&self) -> LogIndex {
        self.durability.log_index()
    }

    /// When its election timer runs out.
    pub fn election_due(&self) -> Time {
        self.election_due
    }
}
