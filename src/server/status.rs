//! What a server tells those who show and compare nodes: facts, copied out of it.

use std::fmt;

use crate::types::{EntryId, LogIndex, NodeId, Term, Time};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Its role in its term.
    pub role: RoleName,
    /// The latest term that it has seen.
    pub term: Term,
    /// The leader it knows of and does not doubt.
    pub leader: Option<NodeId>,
    /// Since when it has led, or followed that leader.
    pub since: Time,
    /// To whom it hands its leadership over at the moment.
    pub hands_over_to: Option<NodeId>,
    /// Whom it voted for in its term.
    pub voted_for: Option<NodeId>,
    /// The last entry of its log.
    pub last: EntryId,
    /// The last entry that its log does not keep; zero while it keeps all.
    pub base: EntryId,
    /// Its newest durable snapshot.
    pub snapshot: SnapshotInfo,
    /// It lost its files and is not readmitted yet: it does not vote, and its copies of entries do not count.
    pub joining: bool,
    /// The highest index that it knows to be committed.
    pub commit: LogIndex,
    /// The highest index that its state machine has applied.
    pub applied: LogIndex,
    /// How many items its state machine holds.
    pub size: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SnapshotInfo {
    /// The last entry that it covers; zero without one.
    pub last: EntryId,
    pub bytes: u64,
    pub size: usize,
}

/// A node's role in its term, without what it knows in it: see [`Role`](crate::raft::role::Role).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum RoleName {
    #[default]
    Follower,
    PreCandidate,
    Candidate,
    Leader,
}

/// A log as the matrix shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogView {
    /// The last entry that is not kept; zero while all are.
    pub base: EntryId,
    /// The last entry that a snapshot covers; zero without one.
    pub snapshot: EntryId,
    /// The terms of the entries behind it, in order.
    pub terms: Vec<Term>,
    pub commit: LogIndex,
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RoleName::Follower => "follower",
            RoleName::PreCandidate => "pre-candidate",
            RoleName::Candidate => "candidate",
            RoleName::Leader => "leader",
        })
    }
}
