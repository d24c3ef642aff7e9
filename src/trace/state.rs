//! All that a node is, for those who follow each step of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::raft::Raft;
use crate::raft::membership::MemberRole;
use crate::raft::role::{Role, Votes};
use crate::types::{EntryId, LogIndex, NodeId, RoleName, Term};

/// Entries whose terms are told at most: the newest.
const ENTRIES_MAX: u64 = 200;

/// What a node is, without what its log's entries hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NodeState {
    pub role: RoleName,
    pub term: Term,
    pub vote: Option<NodeId>,
    pub leader: Option<NodeId>,
    pub member: MemberRole,
    pub last: EntryId,
    /// The last entry that its log does not keep.
    pub base: EntryId,
    /// The last entry that its newest snapshot covers.
    pub snapshot: EntryId,
    pub commit: LogIndex,
    pub applied: LogIndex,
    pub durable: LogIndex,
    /// When its election timer runs out, in microseconds of its own clock; none for a leader.
    pub due: Option<u64>,
    /// Whose votes or pre-votes it holds, as a candidate.
    pub votes: Vec<NodeId>,
    /// What it knows of the others, as a leader.
    pub followers: Option<BTreeMap<NodeId, FollowerState>>,
    /// The terms of its newest entries, at most 200, in order.
    pub terms: Vec<TermRun>,
}

/// What a leader knows of another node (Figure 2, `nextIndex` and `matchIndex`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FollowerState {
    pub next: LogIndex,
    pub matched: LogIndex,
}

/// Neighbours in a log that are of one term.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TermRun {
    pub term: Term,
    pub first: LogIndex,
    pub last: LogIndex,
}

impl NodeState {
    pub fn of(raft: &Raft, applied: LogIndex) -> NodeState {
        let named = |votes: &Votes| votes.granted.iter().map(|voter| voter.node).collect();
        let (votes, followers) = match raft.role() {
            Role::Follower(_) => (Vec::new(), None),
            Role::PreCandidate { pre_votes, .. } => (named(pre_votes), None),
            Role::Candidate(votes) => (named(votes), None),
            Role::Leader(leader) => {
                let known = leader.followers.iter().map(|(node, progress)| {
                    let (next, matched) = (progress.next_index, progress.match_index);
                    (*node, FollowerState { next, matched })
                });
                (Vec::new(), Some(known.collect()))
            }
        };
        NodeState {
            role: raft.role_name(),
            term: raft.current_term(),
            vote: raft.voted_for().map(|candidate| candidate.node),
            leader: raft.leader(),
            member: raft.member_role(),
            last: raft.log().last(),
            base: raft.log().base(),
            snapshot: raft.snapshot(),
            commit: raft.commit_index(),
            applied,
            durable: raft.durable_index(),
            due: (!matches!(raft.role(), Role::Leader(_))).then(|| raft.election_due().as_micros()),
            votes,
            followers,
            terms: term_runs(raft),
        }
    }
}

/// The runs of equal terms among a log's newest entries.
fn term_runs(raft: &Raft) -> Vec<TermRun> {
    let (base, last) = (raft.log().base().index, raft.log().last().index);
    let first = base.next().max(LogIndex(last.0.saturating_sub(ENTRIES_MAX - 1)));
    let mut runs: Vec<TermRun> = Vec::new();
    for entry in raft.log().range(first, last) {
        match runs.last_mut() {
            Some(run) if run.term == entry.term => run.last = entry.index,
            _ => runs.push(TermRun { term: entry.term, first: entry.index, last: entry.index }),
        }
    }
    runs
}
