//! What is committed, by whom, and on whose disks (5.3, 5.4.2).

use std::cmp::Ordering;
use std::sync::Arc;

use super::Safety;
use super::members::{is_quorum, is_taken_back, named};
use super::step::Shown;
use super::unseen::{Doubt, Matter};
use crate::check::property::Property;
use crate::raft::membership::Configured;
use crate::types::{LogIndex, Member};

impl Safety {
    /// `before` is the configuration that the node used before its step, if that was another.
    pub(super) fn check_commit(&mut self, shown: &Shown, before: Option<&Configured>) {
        let Shown { member, commit, .. } = *shown;
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
        let record = &self.records[&member];
        let compared = !self.committed.is_gone(known) && !record.chain.is_gone(known);
        if compared && record.chain.get(known) != self.committed.get(known) {
            let detail = format!("{member} takes {} for committed, another entry is", record.id_at(known));
            return self.report(Property::StateMachineSafety, detail);
        }
        if commit > self.committed() {
            self.check_new_commit(shown, before);
        }
        self.records.get_mut(&member).expect("observed just now").forget_settled();
    }

    /// The first to commit this far: it must be a leader that has the right to.
    fn check_new_commit(&mut self, shown: &Shown, before: Option<&Configured>) {
        let Shown { member, term, commit, .. } = *shown;
        let record = &self.records[&member];
        let id = record.id_at(commit);
        let entry = record.chain.get(commit);
        let before = before.or(record.configuration());
        let has_right = shown.leads() && id.term == term;
        let holds =
            |voter: Member| self.records.get(&voter).is_some_and(|record| record.holds(commit, entry));
        // C_new is appended in the step in which C_old,new is committed, by both majorities; C_old may decide as soon as it
        // stands again.
        let taken_back = |after: &&Configured| {
            before.is_some_and(|before| is_taken_back(&before.configuration, &after.configuration))
        };
        let used = before.into_iter().chain(record.configuration().filter(taken_back));
        let without_quorum = (!used.clone().any(|used| is_quorum(&used.configuration, holds))).then(|| {
            let held = self.records.keys().filter(|voter| holds(**voter)).map(ToString::to_string);
            let held = held.collect::<Vec<_>>().join(" ");
            let of = used.clone().last().map_or("no members".to_string(), |used| named(&used.configuration));
            Doubt {
                matter: Matter::Committed { index: commit, entry },
                used: used.map(|configured| Arc::clone(&configured.configuration)).collect(),
                detail: format!("{member} committed {id}, durable on {held}: no quorum of {of}"),
            }
        });
        if !has_right {
            let detail =
                format!("{member} in term {term} committed {id} first, not as the leader of that term");
            self.doubt(Doubt {
                matter: Matter::Leader { term: id.term, index: commit, member },
                used: Vec::new(),
                detail,
            });
        }
        if let Some(doubt) = without_quorum {
            self.doubt(doubt);
        }
        self.committed_in.insert(term, commit);
        self.extend_committed(member, commit);
    }

    fn extend_committed(&mut self, member: Member, commit: LogIndex) {
        let record = &self.records[&member];
        let from = self.committed.last();
        let (mut index, last) = (from.next(), commit.min(record.chain.last()));
        while index <= last {
            let Some((term, hash)) = record.chain.get(index) else { break };
            self.committed.push((term, hash));
            if let Some(branch) = self.branches.get_mut(&term) {
                branch.remove(index);
                if branch.is_empty() {
                    self.branches.remove(&term);
                }
            }
            index = index.next();
        }
        let newly = |configured: &&Configured| configured.index > from && configured.index <= last;
        let known = self.configurations.len();
        self.configurations.extend(record.configurations.iter().filter(newly).cloned());
        self.members_moved |= self.configurations.len() > known;
    }
}
