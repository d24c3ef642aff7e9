//! What a node can be in a term.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A node's role in its term, without what it knows in it: see [`Role`](crate::raft::role::Role).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    #[default]
    Follower,
    PreCandidate,
    Candidate,
    Leader,
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
