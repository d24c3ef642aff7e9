//! The end of a run whose members changed: who runs then, and what must come of the changes.

use std::collections::BTreeSet;

use super::Run;
use crate::lab::Lab;
use crate::raft::effects::Change;
use crate::raft::effects::ChangeRequest;
use crate::server::EndReason;
use crate::types::{Member, NodeId};

impl Run<'_> {
    /// The nodes that run from now on: all, or so few that a majority is left of each configuration in their logs. The others
    /// end.
    pub(in crate::sim::seeds) fn choose_survivors(&mut self) -> Vec<NodeId> {
        let mut left = self.all_members();
        if !self.suffice(&left) {
            self.workload.contradictions.push("the run left too few servers with their files".to_string());
        }
        if self.random.chance(400_000) {
            for name in self.shuffled() {
                let without: BTreeSet<Member> = left.iter().copied().filter(|one| one.node != name).collect();
                if self.random.chance(800_000) && self.suffice(&without) {
                    left = without;
                    if self.simulation.node(name).is_running() {
                        self.simulation.end(name, EndReason::Crashed { power: false });
                    }
                }
            }
        }
        left.into_iter().map(|member| member.node).collect()
    }

    fn shuffled(&mut self) -> Vec<NodeId> {
        let mut names = self.names.clone();
        let mut shuffled = Vec::new();
        while !names.is_empty() {
            let at = usize::try_from(self.random.below(names.len() as u64)).expect("a small number");
            shuffled.push(names.remove(at));
        }
        shuffled
    }

    /// Of these nodes, those that the leader's configuration names with the files that they have.
    pub(in crate::sim::seeds) fn named(&mut self, healed: &[NodeId]) -> Vec<NodeId> {
        let configuration = self.simulation.members.configuration.clone();
        healed.iter().copied().filter(|name| configuration.names(self.member(*name))).collect()
    }

    /// What of the members is not in order; none when no change is under way and every member that runs counts. What waits
    /// for a node that does not run is taken back.
    pub(in crate::sim::seeds) fn unsettled_members(&mut self, healed: &[NodeId]) -> Option<String> {
        let leader = self.leader()?;
        let view = self.simulation.members_view(leader).ok()?;
        let newest = view.newest?;
        let configuration = &newest.configuration;
        if configuration.is_joint() || !view.committed {
            return Some(format!("{configuration} is not complete"));
        }
        let waits = configuration.learners.iter().find(|(_, learner)| learner.joins.is_some());
        if let Some((&node, learner)) = waits {
            let files = learner.store_id;
            if !healed.contains(&node) || self.member(node).store_id < files {
                let request = ChangeRequest::new(Change::Cancel, newest.index, false);
                self.begin_change(leader, &request);
            }
            return Some(format!("{node} waits to vote"));
        }
        let mut counted = configuration.members().filter(|member| healed.contains(&member.node));
        let newer = counted.find(|member| self.member(member.node).store_id > member.store_id);
        newer.map(|member| format!("{} has newer files than {member}", member.node))
    }

    /// Whether too few changes have ended yet.
    pub(in crate::sim::seeds) fn lacks_changes(&self) -> bool {
        self.classes.members && self.simulation.tally().members.changes_ended < self.changes.least
    }

    /// What a run whose members changed must have come to.
    pub(in crate::sim::seeds) fn wrong_with_changes(&mut self) -> Option<String> {
        let unended = self.unended_changes();
        let ended = self.simulation.tally().members.changes_ended;
        unended.or_else(|| self.lacks_changes().then(|| format!("only {ended} changes ended")))
    }
}
