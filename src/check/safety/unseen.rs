//! What was not seen breaks nothing: a property that a node's missing steps may explain is in doubt until they are seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Safety;
use super::members::is_quorum;
use super::record::Record;
use crate::check::property::{Property, Violation};
use crate::raft::membership::configuration::Configuration;
use crate::types::{LogIndex, Member, NodeId, Term};

/// Doubts that are kept. Of more, the oldest is dropped: the newest commit of a term stands for those before it.
const DOUBTS_MAX: usize = 1_000;

/// Whose steps are reported.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Sight {
    /// Every node's, in the order in which they were made.
    #[default]
    Whole,
    /// One node's. What it takes more nodes to judge stays open.
    OneNode,
    /// What processes wrote down, in an order in which they may have been made. The steps of these nodes are missing.
    Records { unseen: BTreeSet<NodeId> },
}

/// Something that would break a property, had nothing happened but what was seen.
#[derive(Clone, Debug)]
pub struct Doubt {
    pub matter: Matter,
    /// The configurations of which one may have decided.
    pub used: Vec<Arc<Configuration>>,
    pub detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Matter {
    /// The votes for a leader.
    Elected { term: Term, member: Member },
    /// The copies of an entry that was committed.
    Committed { index: LogIndex, entry: Option<(Term, u64)> },
    /// That a leader committed an entry of this term before this node knew of it.
    Leader { term: Term, index: LogIndex, member: Member },
}

impl Matter {
    fn property(self) -> Property {
        match self {
            Matter::Elected { .. } => Property::ElectionSafety,
            Matter::Committed { .. } | Matter::Leader { .. } => Property::CommitRule,
        }
    }

    /// Whether the answer to a later one answers this one: a copy of an entry has all before it.
    fn is_within(self, later: Matter) -> bool {
        match (self, later) {
            (
                Matter::Committed { entry: Some((term, _)), .. },
                Matter::Committed { entry: Some((later, _)), .. },
            ) => term == later,
            (one, later) => one == later,
        }
    }
}

impl Safety {
    /// Checks what processes wrote down.
    pub fn of_records() -> Safety {
        Safety { sight: Sight::Records { unseen: BTreeSet::new() }, ..Safety::default() }
    }

    /// The steps of these nodes are missing from here on.
    pub fn lose_sight(&mut self, nodes: BTreeSet<NodeId>) {
        self.sight = Sight::Records { unseen: nodes };
    }

    pub(super) fn is_unseen(&self, member: Member) -> bool {
        match &self.sight {
            Sight::Whole | Sight::OneNode => false,
            Sight::Records { unseen } => unseen.contains(&member.node) || self.has_no_record(member),
        }
    }

    /// Whether nothing was seen of these files. A node that is to give its files this number has done nothing in its name.
    fn has_no_record(&self, member: Member) -> bool {
        let is_to_come = self.present.get(&member.node).is_some_and(|present| *present < member.store_id);
        !is_to_come && !self.records.contains_key(&member)
    }

    /// A member of which nothing was seen although its node was, under later files.
    pub fn lost_files(&self) -> Option<Member> {
        let is_lost =
            |member: &Member| self.present.contains_key(&member.node) && self.has_no_record(*member);
        self.servers().find(is_lost)
    }

    /// Whether steps of it that are missing may belong anywhere.
    pub(super) fn is_unplaced(&self, member: Member) -> bool {
        self.records.get(&member).is_some_and(|record| record.unplaced_until.is_some())
    }

    /// Whether it may have said something in this term that was not seen.
    pub(super) fn may_have_said(&self, member: Member, term: Term) -> bool {
        self.is_unseen(member) || self.records.get(&member).is_some_and(|record| record.is_unseen_in(term))
    }

    /// Whether a node that may have decided something in this term, or in a later one, is out of sight.
    pub(super) fn has_unseen(&self, term: Term) -> bool {
        match &self.sight {
            Sight::Whole | Sight::OneNode => false,
            Sight::Records { unseen } => {
                !unseen.is_empty()
                    || self.servers().any(|member| self.has_no_record(member))
                    || self.records.values().any(|record| record.is_unplaced_in(term))
            }
        }
    }

    /// This breaks a property, unless what was not seen explains it.
    pub(super) fn doubt(&mut self, doubt: Doubt) {
        let explained = self.answer(&doubt);
        if explained == Some(false) {
            return self.report(doubt.matter.property(), doubt.detail);
        }
        self.doubts.retain(|earlier| !earlier.matter.is_within(doubt.matter));
        if explained.is_none() {
            let excess = (self.doubts.len() + 1).saturating_sub(DOUBTS_MAX);
            self.doubts.drain(..excess);
            self.doubts.push(doubt);
        }
    }

    /// Looks again at what was in doubt, with all that was seen since.
    pub fn settle(&mut self) {
        for doubt in std::mem::take(&mut self.doubts) {
            match self.answer(&doubt) {
                Some(true) => {}
                Some(false) => {
                    let (property, detail) = (doubt.matter.property(), doubt.detail);
                    self.violations.push(Violation { property, detail });
                }
                None => self.doubts.push(doubt),
            }
        }
    }

    /// What came before was not seen, and is not asked for any more.
    pub fn forget_doubts(&mut self) {
        self.doubts.clear();
    }

    /// Why a property is in doubt.
    pub(super) fn doubt_about(&self, property: Property) -> Option<&str> {
        let found = self.doubts.iter().find(|doubt| doubt.matter.property() == property)?;
        Some(&found.detail)
    }

    /// Whether it is explained; none while it may be.
    fn answer(&self, doubt: &Doubt) -> Option<bool> {
        let by_quorum = |agrees: &dyn Fn(Member) -> Option<bool>| {
            let any = |wanted: &dyn Fn(Member) -> bool| doubt.used.iter().any(|used| is_quorum(used, wanted));
            if any(&|voter| agrees(voter) == Some(true)) {
                Some(true)
            } else {
                let possible = any(&|voter| agrees(voter) != Some(false));
                let is_unknown = possible || doubt.used.is_empty() && self.has_unseen(Term(0));
                (!is_unknown).then_some(false)
            }
        };
        let unless_unseen = |member: Member, agrees: bool| {
            if agrees { Some(true) } else { (!self.is_unseen(member)).then_some(false) }
        };
        match doubt.matter {
            Matter::Elected { term, member } => by_quorum(&|voter| {
                let voted = voter == member || self.votes.get(&(voter, term)) == Some(&member);
                if voted { Some(true) } else { (!self.may_have_said(voter, term)).then_some(false) }
            }),
            Matter::Committed { index, entry } => by_quorum(&|voter| {
                let record = self.records.get(&voter).map(|record| &**record);
                let gone = |record: &Record| self.sight != Sight::Whole && record.chain.is_gone(index);
                let gone = record.is_some_and(gone);
                let holds = record.is_some_and(|record| record.holds(index, entry));
                unless_unseen(voter, holds).filter(|holds| *holds || !gone)
            }),
            Matter::Leader { term, index, member } => {
                let mut leaders = self.leaders.range(term..).map(|(_, leader)| leader);
                let committed = |leader: &Member| {
                    *leader != member && self.records.get(leader).is_some_and(|record| record.commit >= index)
                };
                if leaders.any(committed) { Some(true) } else { (!self.has_unseen(term)).then_some(false) }
            }
        }
    }
}
