//! Cluster membership changes (section 6; D 4): joint consensus.
//!
//! A configuration is an entry of the log. A node uses the newest one in its log, committed or not, from the moment at
//! which it is there; if the entry goes, so does the configuration. What changes the voters goes in two steps, `C_old,new`
//! and `C_new`, and while a configuration is joint each decision needs a majority of both. So at no moment can two sets of
//! voters decide without one another, no matter which node has heard of which.
//!
//! - `configuration`, `role`, `configured`: who belongs to the cluster, and the one way in which majorities are counted.
//! - `configurations`: those that a node knows, by the indexes of their entries.
//! - `request`, `changes`: what people ask for, and how a leader carries it through; `led`: what it remembers of that.
//! - `files`: a member's name with new files, or with files that lost what they held.
//! - `leaving`: members that are left out: how long they are told of it, and a leader that is one of them.
//!
//! **A server is a name with its files.** A node that lost its files does not know for whom it voted, nor what it
//! acknowledged. So it is another server under the same name, with a number of its own: nothing that the old files said
//! counts for the new ones, and they take the old ones' place by a change of the members like any other. Each message
//! names its sender's files, each answer also those that it answers.
//!
//! **A node answers leaders and candidates, members or not** (D 4.1): its log may not name them yet. Whether an answer counts
//! is decided by the node that asked, by its own configuration.

mod changes;
pub mod configuration;
mod configurations;
pub mod configured;
mod files;
mod leaving;
pub mod led;
pub mod request;
pub mod role;
#[cfg(test)]
mod tests;

use self::configuration::Configuration;
pub use self::configurations::Configurations;
pub use self::configured::Configured;
pub use self::role::MemberRole;
use super::effects::HardState;
use super::message::Body;
use super::role::{Leader, Progress, Role};
use super::{Few, Raft, Recovered};
use crate::types::{FOUNDERS_STORE, LogIndex, Member, NodeId, Time};

impl Recovered {
    /// The empty disk of a node that begins a cluster with these.
    pub fn founder(nodes: impl IntoIterator<Item = NodeId>) -> Recovered {
        let hard_state = HardState { store_id: FOUNDERS_STORE, ..HardState::default() };
        Recovered { hard_state, configuration: Some(Configured::founders(nodes)), ..Recovered::default() }
    }
}

impl Raft {
    /// This node's part in its cluster.
    pub fn member_role(&self) -> MemberRole {
        match self.configuration().role_of(self.member()) {
            _ if self.retired => MemberRole::Retired,
            MemberRole::Unknown if self.may_campaign() => MemberRole::Leaves,
            role => role,
        }
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

    /// Whether this node may seek election: its files vote in the newest configuration; or in the one before, as long as
    /// it does not know the newest to be committed. Then its log may be the only one with which a node can win.
    pub(super) fn may_campaign(&self) -> bool {
        let [before, newest] = self.configurations.newest_two();
        let settled = |newest: &Configured| newest.index <= self.commit_index;
        let before = before.filter(|_| !newest.is_some_and(settled));
        let votes = |one: &Configured| one.configuration.is_voter(self.member());
        !self.retired && [newest, before].into_iter().flatten().any(votes)
    }

    /// Whether this node decides alone.
    pub(super) fn is_alone(&self) -> bool {
        self.configuration().is_alone(self.member())
    }

    /// Sends this to every other voter.
    pub(super) fn send_to_voters(&mut self, body: &Body) {
        let configuration = self.configurations.effective();
        let mut voters: Few<NodeId> = configuration.halves().flatten().map(|(&node, _)| node).collect();
        voters.retain(|voter| *voter != self.id);
        voters.sort_unstable();
        voters.dedup();
        for voter in voters {
            self.send(voter, body.clone());
        }
    }

    /// Makes what this leader knows of others fit the configurations that matter: the committed one and all behind it.
    pub(super) fn fit_followers(&mut self, now: Time) {
        let next_index = self.log.last().index.next();
        let own = self.member();
        let known = self.configurations.from(self.commit_index);
        let Role::Leader(leader) = &mut self.role else { return };
        let wanted = |node: NodeId| known.iter().any(|one| one.configuration.contains(node));
        leader.followers.retain(|node, progress| wanted(*node) || progress.answers.leaves.is_some());
        // The newest first: of a name, the files that it names now.
        for configured in known.iter().rev() {
            for member in configured.configuration.members().filter(|member| member.node != own.node) {
                let begun = || Progress::new(member.store_id, next_index, now);
                let progress = leader.followers.entry(member.node).or_insert_with(begun);
                if progress.answers.store_id < member.store_id {
                    *progress = begun();
                }
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
    /// What is known of this member; none while other files have its name.
    pub(super) fn progress_of(&self, member: Member) -> Option<&Progress> {
        let progress = self.followers.get(&member.node);
        progress.filter(|progress| progress.answers.store_id == member.store_id)
    }

    /// The largest value that a quorum has reached: `own` is what this node has, `of` says what a follower has. What
    /// other files than those that the configuration names have reached counts for nothing.
    pub fn quorum_value<T: Copy + Ord + Default>(
        &self,
        configuration: &Configuration,
        own: (Member, T),
        of: impl Fn(&Progress) -> T,
    ) -> T {
        configuration.quorum_value(|member| {
            if member == own.0 { own.1 } else { self.progress_of(member).map_or_else(T::default, &of) }
        })
    }
}
