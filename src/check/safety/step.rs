//! What the checks see of a node: what it began with, and each of its steps.
//!
//! Made where the step is made. On threads and in virtual time it is checked at once; a process also writes it down, and a
//! console reads it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hash::digest;
use crate::raft::Raft;
use crate::raft::effects::{HardState, Rebase, Write, WriteId};
use crate::raft::entry::{Content, Entry};
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::raft::role::Role;
use crate::state_machine::AppliedEntry;
use crate::types::{EntryId, LogIndex, Member, Term, Time};

/// What a node starts with; or, in the middle of its life, what it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    pub shown: Shown,
    /// What its log begins behind.
    pub base: EntryId,
    pub entries: Vec<Appended>,
    /// Everything up to here is committed.
    pub committed: EntryId,
    /// The configuration that is effective there.
    pub configured: Option<Configured>,
    /// What its disk holds.
    pub hard_state: HardState,
    pub durable_index: LogIndex,
    pub persisted: WriteId,
    /// What is on its way to the disk.
    pub pending: Vec<Pending>,
    pub applied: LogIndex,
}

/// A write that is not known to be durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pending {
    pub id: WriteId,
    pub hard_state: Option<HardState>,
    /// The log's length once it is durable; lowered when entries are removed meanwhile.
    pub length: LogIndex,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step<'a> {
    pub shown: Shown,
    /// What the node's clock shows.
    pub now: Time,
    /// Those whose answers the step was given ([`answering`](super::answering)).
    pub answering: &'a [Member],
    /// The shortest election timeout.
    pub election_min: Duration,
    /// The newest write whose completion the step was told of, or that is durable at once.
    pub persisted: Option<WriteId>,
    /// The write that the step handed out.
    pub write: Option<Written>,
    /// The snapshots whose state it installed, each with how many of `applied` came before it.
    pub adopted: &'a [(usize, EntryId)],
    pub applied: &'a [AppliedEntry],
}

/// How a node stands behind a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shown {
    pub member: Member,
    pub term: Term,
    pub role: Rank,
    pub commit: LogIndex,
    /// Whether it asks for pre-votes.
    pub pre_vote: bool,
}

/// A role, as far as it makes a difference here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Rank {
    /// Or a pre-candidate.
    Follower,
    Candidate,
    Leader,
}

/// A [`Write`], with what is compared of its entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Written {
    pub id: WriteId,
    pub hard_state: Option<HardState>,
    /// The log starts again behind a durable snapshot up to this entry, with this configuration.
    pub reset: Option<(EntryId, Option<Configured>)>,
    pub truncate_from: Option<LogIndex>,
    pub entries: Vec<Appended>,
}

/// What is compared of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    pub id: EntryId,
    /// A hash of its content.
    pub digest: u64,
    pub members: Option<Arc<Configuration>>,
}

impl Standing {
    /// That of a node that starts, or that is seen for the first time: then its own account is all there is. A term and a
    /// vote that are on their way to its disk count as durable, since no one knows which ones the disk holds.
    pub fn at_first(raft: &Raft) -> Standing {
        let (base, committed) = (raft.log().base(), raft.snapshot());
        let pending = |(id, length)| Pending { id, hard_state: None, length };
        Standing {
            shown: Shown::of(raft),
            base,
            entries: raft.log().range(base.index.next(), raft.log().last().index).map(Appended::of).collect(),
            committed,
            configured: raft.configuration_at(committed.index),
            hard_state: raft.hard_state(),
            durable_index: raft.durable_index(),
            persisted: 0,
            pending: raft.pending_writes().map(pending).collect(),
            applied: raft.commit_index(),
        }
    }
}

impl Step<'_> {
    /// A step in which nothing happened.
    pub fn idle(raft: &Raft, now: Time) -> Step<'static> {
        Step { now, election_min: raft.settings.election_min, ..Step::showing(Shown::of(raft)) }
    }

    /// A step of which nothing else is known.
    pub(crate) fn showing(shown: Shown) -> Step<'static> {
        Step {
            shown,
            now: Time::ZERO,
            answering: &[],
            election_min: Duration::ZERO,
            persisted: None,
            write: None,
            adopted: &[],
            applied: &[],
        }
    }
}

impl Shown {
    pub(super) fn of(raft: &Raft) -> Shown {
        Shown {
            member: raft.member(),
            term: raft.current_term(),
            role: match raft.role() {
                Role::Leader(_) => Rank::Leader,
                Role::Candidate(_) => Rank::Candidate,
                Role::Follower(_) | Role::PreCandidate { .. } => Rank::Follower,
            },
            commit: raft.commit_index(),
            pre_vote: raft.settings.pre_vote,
        }
    }

    pub fn leads(&self) -> bool {
        self.role == Rank::Leader
    }
}

impl Written {
    /// Whether another configuration may be the newest of the log behind it.
    pub(super) fn moves_members(&self) -> bool {
        self.reset.is_some()
            || self.truncate_from.is_some()
            || self.entries.iter().any(|entry| entry.members.is_some())
    }

    pub fn of(raft: &Raft, write: &Write) -> Written {
        let reset = match write.rebase {
            Some(Rebase::Reset(base)) => Some((base, raft.configuration_at(base.index))),
            _ => None,
        };
        Written {
            id: write.id,
            hard_state: write.hard_state,
            reset,
            truncate_from: write.truncate_from,
            entries: write.entries.iter().map(Appended::of).collect(),
        }
    }
}

impl Appended {
    pub fn of(entry: &Entry) -> Appended {
        let members = match &entry.content {
            Content::Members(configuration) => Some(Arc::clone(configuration)),
            _ => None,
        };
        Appended { id: entry.id(), digest: digest(&entry.content), members }
    }
}
