//! Cluster membership changes (section 6; D 4): joint consensus.
//!
//! A configuration is an entry of the log. A node uses the newest one in its log, committed or not, from the moment at
//! which it is there; if the entry goes, so does the configuration. What changes the voters goes in two steps, C_old,new
//! and C_new, and while a configuration is joint each decision needs a majority of both. So at no moment can two sets of
//! voters decide without one another, whoever has heard of which.
//!
//! - `configuration`: who belongs to the cluster, and the one way in which majorities are counted.
//! - `configurations`: those that a node knows, by the indexes of their entries.
//! - `changes`: what people ask for, and how a leader carries it through.
//! - `files`: a member's name with new files, or with files that lost what they held.
//! - `leaving`: members that are left out: how long they are told of it, and a leader that is one of them.
//!
//! **A server is a name with its files.** A node that lost its files does not know for whom it voted, nor what it
//! acknowledged. So it is another server under the same name, with a number of its own: nothing that the old files said
//! counts for the new ones, and they take the old ones' place by a change of the members like any other. Each message
//! names its sender's files, each answer also those that it answers.
//!
//! **Messages of anyone are answered** (D 4.1): a node may hear of a leader or a candidate before its log tells it that
//! this is a member. Who is asked does not judge that; who counts the answers does, by its own configuration.

pub mod changes;
pub mod configuration;
mod configurations;
mod files;
mod leaving;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::configuration::Configuration;
pub use self::configurations::Configurations;
use super::Raft;
use super::entry::{Content, Entry};
use super::role::{Leader, Progress, Role};
use crate::types::{LogIndex, Member, NodeId, Time};

/// A configuration and the index of the entry that holds it; that of the founders stands at index 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configured {
    pub index: LogIndex,
    pub configuration: Arc<Configuration>,
}

impl Configured {
    /// That of this entry, if it holds one.
    pub fn of(entry: &Entry) -> Option<Configured> {
        match &entry.content {
            Content::Members(configuration) => {
                Some(Configured { index: entry.index, configuration: Arc::clone(configuration) })
            }
            _ => None,
        }
    }

    /// What a cluster begins with, before its first entry.
    pub fn founders(nodes: impl IntoIterator<Item = NodeId>) -> Configured {
        Configured { index: LogIndex(0), configuration: Arc::new(Configuration::founders(nodes)) }
    }
}

/// A node's part in its cluster, by the configuration that it uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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
    /// It votes, until the joint configuration has ended.
    Leaves,
    /// It knows that a committed configuration leaves it out.
    Retired,
}

impl MemberRole {
    /// Whether the node counts in majorities.
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

impl Raft {
    /// This node's part in its cluster.
    pub fn member_role(&self) -> MemberRole {
        if self.retired { MemberRole::Retired } else { self.configuration().role_of(self.member()) }
    }

    /// This node with its files, as others count it.
    pub fn member(&self) -> Member {
        Member { node: self.id, store_id: self.store_id }
    }

    /// The configuration that this node uses: the newest one in its log, committed or not. Empty while it knows none.
    pub fn configuration(&self) -> &Configuration {
        self.configurations.effective()
    }

    /// The configurations that this node knows, from the one where its snapshot ends.
    pub fn configurations(&self) -> &Configurations {
        &self.configurations
    }

    /// The newest configuration that this node knows to be committed, and its index; none while it knows none.
    pub fn committed_configuration(&self) -> Option<&Configured> {
        self.configurations.at(self.commit_index)
    }

    /// The configuration that is effective at this index, if it is known.
    pub fn configuration_at(&self, index: LogIndex) -> Option<Configured> {
        self.configurations.at(index).cloned()
    }

    /// Whether this node may seek election: its files vote in the newest configuration or in the committed one, which
    /// the newest may not replace yet.
    pub(super) fn may_campaign(&self) -> bool {
        let member = self.member();
        let committed = self.committed_configuration();
        !self.retired
            && (self.configuration().is_voter(member)
                || committed.is_some_and(|committed| committed.configuration.is_voter(member)))
    }

    /// Whether this node decides alone.
    pub(super) fn is_alone(&self) -> bool {
        self.configuration().is_alone(self.member())
    }

    /// Appends an entry to the log. A configuration is used from now on.
    pub(super) fn append(&mut self, entry: Entry) {
        if let Some(configured) = Configured::of(&entry) {
            self.note_configuration(configured);
        }
        self.log.append(entry);
    }

    /// Makes what this leader knows of others fit the configurations that matter: the committed one and all behind it.
    pub(super) fn fit_followers(&mut self, now: Time) {
        let next_index = self.log.last().index.next();
        let own = self.member();
        let known = self.configurations.from(self.commit_index);
        let Role::Leader(leader) = &mut self.role else { return };
        let wanted = |node: NodeId| known.iter().any(|one| one.configuration.contains(node));
        leader.followers.retain(|node, progress| wanted(*node) || progress.answers.leaves.is_some());
        for configured in known {
            for member in configured.configuration.members().filter(|member| member.node != own.node) {
                leader
                    .followers
                    .entry(member.node)
                    .or_insert_with(|| Progress::new(member.store_id, next_index, now));
            }
        }
        for (node, progress) in &mut leader.followers {
            if wanted(*node) {
                progress.answers.leaves = None;
            }
        }
    }
}

impl Leader {
    /// The largest value that a quorum has reached: `own` is what this node has, `of` says what a follower has. What
    /// other files than those that the configuration names have reached counts for nothing.
    pub fn quorum_value<T: Copy + Ord + Default>(
        &self,
        configuration: &Configuration,
        own: (Member, T),
        of: impl Fn(&Progress) -> T,
    ) -> T {
        configuration.quorum_value(|member| {
            if member == own.0 {
                return own.1;
            }
            let progress = self.followers.get(&member.node);
            let progress = progress.filter(|progress| progress.answers.store_id == member.store_id);
            progress.map_or_else(T::default, &of)
        })
    }
}
