//! What a server tells those who show and compare nodes: facts, copied out of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Server;
use crate::raft::effects::ChangeError;
use crate::raft::membership::{Configured, MemberRole};
use crate::raft::role::{Progress, Role};
use crate::types::{EntryId, LogIndex, Member, NodeId, RoleName, StoreId, Term, Time};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
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
    /// The number of its files.
    pub store_id: StoreId,
    /// Its part in the cluster, by the configuration that it uses.
    pub member: MemberRole,
    /// The highest index that it knows to be committed.
    pub commit: LogIndex,
    /// The highest index that its state machine has applied.
    pub applied: LogIndex,
    /// How many items its state machine holds.
    pub size: usize,
}

/// The members as one node knows them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MembersView {
    /// The node itself, with its files.
    pub own: Member,
    /// The newest configuration in its log; none while it knows none.
    pub newest: Option<Configured>,
    /// Whether it knows that one to be committed.
    pub committed: bool,
    /// The last index of its log.
    pub last: LogIndex,
    /// What it knows of the others, if it leads.
    pub followers: BTreeMap<NodeId, FollowerView>,
    /// What became of the newest change of the members that it was asked for: the index of the entry that holds it, or
    /// why it was refused.
    pub changed: Option<Result<LogIndex, ChangeError>>,
}

/// What a leader knows of another node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FollowerView {
    /// The files that answered last.
    pub store_id: StoreId,
    /// Up to here it holds the leader's log.
    pub matched: LogIndex,
    /// When it last answered in this term, by the leader's clock; none before.
    pub answered: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// The last entry that it covers; zero without one.
    pub last: EntryId,
    pub bytes: u64,
    pub size: usize,
}

/// A log as the matrix shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogView {
    /// The last entry that is not kept; zero while all are.
    pub base: EntryId,
    /// The last entry that a snapshot covers; zero without one.
    pub snapshot: EntryId,
    /// The terms of the entries behind it, in order.
    pub terms: Vec<Term>,
    /// Those of the entries that hold configurations.
    pub members: Vec<LogIndex>,
    pub commit: LogIndex,
}

impl Status {
    /// The term that it leads.
    pub fn led(&self) -> Option<Term> {
        (self.role == RoleName::Leader).then_some(self.term)
    }
}

impl LogView {
    /// The same with the newest entries, up to this number.
    pub(crate) fn newest(mut self, entries: usize) -> LogView {
        let left_out = self.terms.len().saturating_sub(entries);
        if let Some(last) = left_out.checked_sub(1) {
            self.base = EntryId::new(self.terms[last], LogIndex(self.base.index.0 + left_out as u64));
            self.terms.drain(..left_out);
            self.members.retain(|index| *index > self.base.index);
        }
        self
    }
}

impl Server {
    pub fn status(&self) -> Status {
        let raft = &self.raft;
        Status {
            role: raft.role_name(),
            term: raft.current_term(),
            leader: raft.leader(),
            since: self.ledger.leader_since,
            hands_over_to: raft.hands_over_to(),
            voted_for: raft.voted_for().map(|candidate| candidate.node),
            last: raft.log().last(),
            base: raft.log().base(),
            commit: raft.commit_index(),
            applied: self.ledger.applied.index,
            snapshot: self.ledger.schedule.newest,
            store_id: raft.store_id(),
            member: raft.member_role(),
            size: self.ledger.size,
        }
    }

    /// The members as this node knows them.
    pub fn members_view(&self) -> MembersView {
        let raft = &self.raft;
        let newest = raft.configurations().newest().cloned();
        let progress = |(node, progress): (&NodeId, &Progress)| {
            (
                *node,
                FollowerView {
                    store_id: progress.answers.store_id,
                    matched: progress.match_index,
                    answered: progress.answers.answered,
                },
            )
        };
        let followers = match raft.role() {
            Role::Leader(leader) => leader.followers.iter().map(progress).collect(),
            _ => BTreeMap::new(),
        };
        MembersView {
            own: raft.member(),
            committed: newest.as_ref().is_some_and(|newest| newest.index <= raft.commit_index()),
            newest,
            last: raft.log().last().index,
            followers,
            changed: self.ledger.changed.clone(),
        }
    }

    /// The log as the console's matrix shows it.
    pub fn log_view(&self) -> LogView {
        let log = self.raft.log();
        let terms = log.range(log.base().index.next(), log.last().index).map(|entry| entry.term).collect();
        let kept = self.raft.configurations().from(log.base().index).iter().map(|one| one.index);
        let members = kept.filter(|index| *index > log.base().index).collect();
        let (snapshot, commit) = (self.raft.snapshot(), self.raft.commit_index());
        LogView { base: log.base(), snapshot, terms, members, commit }
    }
}
