//! The paper's safety properties (Figure 3) and what they rest on, checked over all nodes after every step.
//!
//! The driver reports each step before anything that the step produced can reach another node. Then a property that
//! is broken anywhere shows at the step that broke it. What each server holds and has promised is followed from its writes
//! and their completions, and the members from the entries that hold them: the core is judged by these, not by what it says
//! of itself, but for writes that are durable at once. A server is a name with its files: one that was wiped is another.

mod applying;
mod commits;
mod elections;
mod hash;
mod logs;
mod members;
mod promises;
mod promotions;
mod record;
mod step;
mod unseen;

use std::collections::{BTreeMap, BTreeSet};

use crate::ascending::Ascending;
use crate::raft::Raft;
use crate::raft::effects::HardState;
use crate::raft::membership::Configured;
use crate::raft::message::Message;
use crate::types::{EntryId, LogIndex, Member, NodeId, SessionId, StoreId, Term};

use self::applying::CarriedOut;
use self::members::named;
pub use self::promotions::answering;
use self::record::Record;
pub use self::step::{Appended, Pending, Rank, Shown, Standing, Step, Written};
use self::unseen::{Doubt, Sight};
use super::property::{Property, Verdict, Violation};
use super::window::Window;

/// What has been seen of a run so far.
#[derive(Clone, Debug, Default)]
pub struct Safety {
    sight: Sight,
    /// All files that there were. Those that are gone count still for who was told of them. A step takes
    /// one out, which is boxed for that, and puts it back.
    records: BTreeMap<Member, Box<Record>>,
    /// The files that each node has now.
    present: BTreeMap<NodeId, StoreId>,
    leaders: BTreeMap<Term, Member>,
    /// By voter and term.
    votes: BTreeMap<(Member, Term), Member>,
    /// Who would vote for a candidate, in a term that it asked of.
    pre_votes: BTreeMap<(Member, Term), BTreeSet<Member>>,
    /// The committed entries, by index from 1: their term and the hash of the chain up to them.
    committed: Window<(Term, u64)>,
    /// The last entry that was first committed in each term.
    committed_in: BTreeMap<Term, LogIndex>,
    /// The configurations among the committed entries. The first may be the founders', or a snapshot's.
    configurations: Vec<Configured>,
    /// A configuration was appended or committed in this step.
    members_moved: bool,
    changes_seen: u64,
    /// Hashes of the entries that were seen and are not in `committed`, by term and index.
    branches: BTreeMap<Term, Ascending<LogIndex, u64>>,
    /// Entries at which logs begin that were there before this run: what came before them was never seen, so each has
    /// a hash of its own, which is that of every log that holds it.
    anchors: BTreeMap<EntryId, u64>,
    /// Where each command that a client may still retry was applied.
    executed: BTreeMap<SessionId, CarriedOut>,
    /// Whether each entry, by index from 1, changed the state where it was applied first.
    effective: Window<bool>,
    snapshots_compared: u64,
    violations: Vec<Violation>,
    /// What the steps that are missing may explain.
    doubts: Vec<Doubt>,
}

impl Safety {
    /// Checks the steps of one node whose peers run elsewhere. What it takes more nodes to judge stays open.
    pub fn of_one_node() -> Safety {
        Safety { sight: Sight::OneNode, ..Safety::default() }
    }

    /// What was broken, in the order in which it was noticed.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Each property by name, with the first thing that broke it.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let first = |property| self.violations.iter().find(|violation| violation.property == property);
        // What was compared with nothing has not been checked.
        let checked = |(property, _): &(Property, _)| match property {
            Property::Snapshot => self.snapshots_compared > 0 || first(*property).is_some(),
            Property::QuorumsOverlap | Property::ChangesInOrder => self.changes_seen > 0,
            _ => true,
        };
        Property::ALL
            .into_iter()
            .filter(checked)
            .map(|(property, name)| Verdict {
                property: name.into(),
                violation: first(property).map(|violation| violation.detail.clone()),
                open: if self.is_open(property) {
                    Some("it takes the steps of more than one node to judge it".into())
                } else {
                    self.doubt_about(property).map(|doubt| doubt.to_string().into())
                },
            })
            .collect()
    }

    /// Whether what is reported says nothing about this property.
    fn is_open(&self, property: Property) -> bool {
        match self.sight {
            Sight::Whole => false,
            Sight::OneNode => !property.is_of_one_node(),
            Sight::Records { .. } => !property.is_recorded(),
        }
    }

    /// How many entries are known to be committed.
    pub fn committed(&self) -> LogIndex {
        self.committed.last()
    }

    /// The driver compared a snapshot with the replay of what it covers.
    pub fn snapshot_compared(&mut self, node: NodeId, result: Result<(), String>) {
        self.snapshots_compared += 1;
        if let Err(reason) = result {
            self.report(Property::Snapshot, format!("{node}'s snapshot: {reason}"));
        }
    }

    /// A violation that the driver noticed itself: a node's own assertion, say.
    pub fn report(&mut self, property: Property, detail: String) {
        if !self.is_open(property) {
            self.violations.push(Violation { property, detail });
        }
    }

    /// A node starts, with what its disk held.
    pub fn started(&mut self, raft: &Raft) {
        self.begin(&Standing::at_first(raft));
    }

    /// A node is seen from the middle of its life on. What it said, heard and held before is not known.
    pub fn begin_midway(&mut self, standing: &Standing) {
        self.begin(standing);
        let record = self.records.get_mut(&standing.shown.member).expect("begun above");
        record.unseen_until = Some(record.term);
        record.unseen_write = standing.pending.last().map(|write| write.id);
        // Another that was seen before may have answered this one, in the terms that this one was in.
        let newest = self.records.values().map(|record| record.term).max();
        for record in self.records.values_mut().filter(|record| record.unseen_until.is_some()) {
            record.unseen_until = newest;
        }
    }

    /// The same of a node whose earlier steps are lost, and their moments of the logical clock with them. They may belong before
    /// what others did long before this, or behind it.
    pub fn begin_unplaced(&mut self, standing: &Standing) {
        self.begin_midway(standing);
        let record = self.records.get_mut(&standing.shown.member).expect("begun above");
        record.unplaced_until = Some(record.term);
    }

    /// A node starts.
    pub fn begin(&mut self, standing: &Standing) {
        let (member, committed) = (standing.shown.member, standing.committed);
        for (_, record) in self.records.range_mut(servers_of(member.node)) {
            record.ended();
        }
        let before = self.records.remove(&member);
        let mut record = Record::of(standing);
        record.chain = self.chain_to(standing.base, before.is_none());
        for entry in &standing.entries {
            self.append(member, &mut record, entry);
        }
        let found = standing.configured.clone();
        let is_behind = before.is_none() || self.sight != Sight::Whole;
        if is_behind && committed.index > self.committed() {
            self.begin_behind(committed, standing.shown.term, &record.chain, found);
        } else if committed.index > LogIndex(0) {
            self.check_configured(member.node, committed.index, found.as_ref());
        } else if let Some(founders) = found {
            self.note_founders(member, founders);
        }
        if let Some(before) = before {
            record.unseen_until = before.unseen_until;
            record.unplaced_until = before.unplaced_until;
            self.check_recovered(member, &before, &record);
            self.members_moved = true;
        }
        if let (Sight::Records { .. }, HardState { current_term, voted_for: Some(candidate), .. }) =
            (&self.sight, standing.hard_state)
            && standing.pending.is_empty()
        {
            // The message with the vote may not have been seen. One that is not durable may not have been sent.
            self.votes.entry((member, current_term)).or_insert(candidate);
        }
        self.records.insert(member, Box::new(record));
        self.present.insert(member.node, member.store_id);
        if standing.shown.leads() {
            self.note_leader(standing.shown.term, member);
        }
    }

    /// The nodes that belong to the cluster, or have belonged to it, by the committed configurations that are known.
    pub fn members(&self) -> BTreeSet<NodeId> {
        self.servers().map(|member| member.node).collect()
    }

    /// The same with their files.
    fn servers(&self) -> impl Iterator<Item = Member> {
        self.configurations.iter().flat_map(|known| known.configuration.members())
    }

    /// How a node stands that was seen from its start.
    pub fn standing(&self, raft: &Raft) -> Option<Standing> {
        let record = self.records.get(&raft.member())?;
        let (commit, last) = (raft.commit_index(), raft.log().last().index);
        let entries = raft.log().range(commit.next(), last).map(Appended::of).collect();
        Some(record.standing(Shown::of(raft), entries))
    }

    /// What a snapshot covers was committed before this run, or out of sight, and is not checked. That was done in this term, or
    /// before it.
    fn begin_behind(
        &mut self,
        snapshot: EntryId,
        term: Term,
        chain: &Window<(Term, u64)>,
        found: Option<Configured>,
    ) {
        let entry = chain.get(snapshot.index).expect("its log continues where its snapshot ends");
        self.anchors.insert(snapshot, entry.1);
        self.committed = Window::beginning_at(snapshot.index, entry);
        self.committed_in.insert(term, snapshot.index);
        self.configurations = found.into_iter().collect();
        self.effective = Window::behind(snapshot.index);
    }

    /// What the cluster begins with stands before the first entry, the same on each disk that has it.
    fn note_founders(&mut self, member: Member, founders: Configured) {
        match self.configurations.first() {
            None => self.configurations.push(founders),
            Some(known) if known.index == founders.index && *known != founders => {
                let (known, found) = (named(&known.configuration), named(&founders.configuration));
                let detail = format!("{member} begins with the members {found}, another node with {known}");
                self.report(Property::LogMatching, detail);
            }
            Some(_) => {}
        }
    }

    /// A node made a step and is about to send these messages.
    pub fn observe<'a>(&mut self, step: &Step<'_>, sent: impl Iterator<Item = &'a Message>) {
        let shown = &step.shown;
        let member = self.server(shown.member);
        let mut record = self.records.remove(&member).unwrap_or_default();
        let moves = step.write.as_ref().is_some_and(Written::moves_members);
        let before = record.configuration().filter(|_| moves).cloned();
        record.note_answers(step.now, step.answering);
        if let Some(write) = &step.write {
            self.follow_log(step, &mut record, write);
        }
        if let Some(durable) = step.persisted {
            record.persist(durable);
            for (_, earlier) in self.records.range_mut(servers_of(member.node)) {
                earlier.persist(durable);
            }
        }
        self.check_leader(shown, &mut record);
        self.note_campaign(shown, &mut record);
        self.records.insert(member, record);
        for message in sent {
            self.check_message(shown, message);
        }
        self.check_commit(shown, before.as_ref());
        if let Some(write) = &step.write {
            self.check_retired(member, write);
        }
        if std::mem::take(&mut self.members_moved) {
            self.check_overlap();
        }
        let mut checked = 0;
        for &(before, adopted) in step.adopted {
            self.check_applied(member, &step.applied[checked..before]);
            checked = before;
            self.check_covered(member.node, adopted);
            self.records.get_mut(&member).expect("observed just now").applied = adopted.index;
        }
        self.check_applied(member, &step.applied[checked..]);
    }

    /// The server that made a step. Its leader may have told it that its files are another's from now on: what it holds is
    /// the same, and what the earlier files promised stays theirs.
    fn server(&mut self, member: Member) -> Member {
        let present = self.present.insert(member.node, member.store_id);
        if let Some(store_id) = present.filter(|store_id| *store_id != member.store_id) {
            let earlier = self.records.get(&Member { node: member.node, store_id }).cloned();
            self.records.entry(member).or_insert(earlier.unwrap_or_default());
        }
        member
    }
}

/// All servers that there were under a name.
fn servers_of(node: NodeId) -> std::ops::RangeInclusive<Member> {
    Member { node, store_id: 0 }..=Member { node, store_id: StoreId::MAX }
}

#[cfg(test)]
mod tests;
