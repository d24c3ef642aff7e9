//! What is committed, by whom, and on whose disks (5.3, 5.4.2).

use std::cmp::Ordering;

use super::Safety;
use super::members::{is_quorum, is_taken_back, named};
use crate::check::property::Property;
use crate::raft::Raft;
use crate::raft::entry::Content;
use crate::raft::membership::Configured;
use crate::raft::role::Role;
use crate::types::{LogIndex, Member};

impl Safety {
    /// `before` is the configuration that the node used before its step.
    pub(super) fn check_commit(&mut self, raft: &Raft, member: Member, before: Option<&Configured>) {
        let commit = raft.commit_index();
        let record = self.records.get_mut(&member).expect("observed just now");
        let from = record.commit;
        match commit.cmp(&from) {
            Ordering::Equal => return,
            Ordering::Greater => record.learn_commit(member, commit),
            Ordering::Less => {
                record.commit = commit;
                let detail = format!("{member}'s commit index went back from {from} to {commit}");
                return self.report(Property::StateMachineSafety, detail);
            }
        }
        let known = commit.min(self.committed());
        if !self.committed.is_gone(known)
            && self.records[&member].chain.get(known) != self.committed_hash(known)
        {
            let detail =
                format!("{member} takes {} for committed, another entry is", raft.log().id_at(known));
            return self.report(Property::StateMachineSafety, detail);
        }
        if commit > self.committed() {
            self.check_new_commit(raft, member, commit, before);
        }
    }

    /// The first to commit this far: it must be a leader that has the right to.
    fn check_new_commit(
        &mut self,
        raft: &Raft,
        member: Member,
        commit: LogIndex,
        before: Option<&Configured>,
    ) {
        let term = raft.current_term();
        let entry = raft.log().id_at(commit);
        if !matches!(raft.role(), Role::Leader(_)) || entry.term != term {
            let detail =
                format!("{member} in term {term} committed {entry} first, not as the leader of that term");
            self.report(Property::CommitRule, detail);
        }
        let record = &self.records[&member];
        let hash = record.chain.get(commit);
        let holds = |voter: Member| self.records.get(&voter).is_some_and(|record| record.holds(commit, hash));
        // C_new is appended in the step in which C_old,new is committed, by both majorities; C_old may decide as soon as it
        // stands again.
        let taken_back = |after: &&Configured| {
            before.is_some_and(|before| is_taken_back(&before.configuration, &after.configuration))
        };
        let used = before.into_iter().chain(record.configuration().filter(taken_back));
        if !used.clone().any(|configured| is_quorum(&configured.configuration, holds)) {
            let held = self.records.keys().filter(|voter| holds(**voter)).map(ToString::to_string);
            let held = held.collect::<Vec<_>>().join(" ");
            let of = used.last().map_or("no members".to_string(), |used| named(&used.configuration));
            let detail = format!("{member} committed {entry}, durable on {held}: no quorum of {of}");
            self.report(Property::CommitRule, detail);
        }
        self.committed_in.insert(term, commit);
        self.extend_committed(raft, member, commit);
    }

    fn extend_committed(&mut self, raft: &Raft, member: Member, commit: LogIndex) {
        let chain = &self.records[&member].chain;
        for entry in raft.log().range(self.committed.last().next(), commit) {
            let hash = chain.get(entry.index).expect("it is new in this log");
            self.committed.push((entry.term, hash));
            if let Content::Members(configuration) = &entry.content {
                let configuration = configuration.clone();
                self.configurations.push(Configured { index: entry.index, configuration });
                self.members_moved = true;
            }
            if let Some(branch) = self.branches.get_mut(&entry.term) {
                branch.remove(entry.index);
                if branch.is_empty() {
                    self.branches.remove(&entry.term);
                }
            }
        }
    }
}
