//! What is left of a cluster when a majority of its nodes is gone for good, and what each survivor would cost.
//!
//! **What is certain.** An entry is committed when the files of some node say so: a snapshot covers it, or `state.json` has
//! a commit index at or behind it. Another node that has the same entry, index and term, has the same log up to there
//! (Log Matching, 5.3), so what is certain of its log ends at the last such entry.
//!
//! **What is not.** Behind that an entry may have been committed, and answered, by the nodes that are gone: if they,
//! together with the survivors that hold it, are a majority of a configuration that may have decided. Such a configuration
//! is the last one that is certain, or a later one that stands in some log. Where the nodes that are gone are a majority by
//! themselves, they may have committed what no file here tells of.
//!
//! Logs of different survivors are never merged: an entry that one holds behind its certain part may stand where another
//! entry was committed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ClusterId;
use super::remains::Remains;
use crate::raft::membership::Configured;
use crate::types::{EntryId, Epoch, LogIndex, Member, NodeId};

/// The nodes of one cluster whose files were given.
#[derive(Debug)]
pub struct Survivors {
    pub cluster: ClusterId,
    /// The newest among them.
    pub epoch: Epoch,
    nodes: BTreeMap<NodeId, Remains>,
}

/// Why files cannot be judged together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Mixture {
    #[error("no folder holds a node's files")]
    Nothing,
    #[error("{one} is of cluster {first} and {other} of cluster {second}: name the folders of one cluster")]
    Clusters { one: String, first: ClusterId, other: String, second: ClusterId },
    #[error("{one} and {other} both hold files of {node}: name the folder that counts")]
    Twice { node: NodeId, one: String, other: String },
}

/// Entries from one index to another, both included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Range {
    pub from: LogIndex,
    pub to: LogIndex,
}

/// What it would mean to continue with one survivor alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Choice {
    pub node: NodeId,
    /// Entries up to here are certain: they were committed, and it holds them.
    pub certain: LogIndex,
    /// Entries behind that are kept, though others may have been committed in their places.
    pub kept: Option<Range>,
    /// Entries that were committed and that it does not hold.
    pub lost: Option<Range>,
    /// Entries that other survivors hold, and that may have been committed.
    pub open: Option<Range>,
}

impl Survivors {
    pub fn of(found: Vec<Remains>) -> Result<Survivors, Mixture> {
        let mut nodes: BTreeMap<NodeId, Remains> = BTreeMap::new();
        let mut cluster = None;
        for remains in found {
            let Some(identity) = remains.files.identity else { continue };
            let (first, one) = cluster.get_or_insert_with(|| (identity.cluster, remains.place.clone()));
            if *first != identity.cluster {
                let (one, first, second) = (one.clone(), *first, identity.cluster);
                return Err(Mixture::Clusters { one, first, other: remains.place, second });
            }
            if let Some(before) = nodes.get(&identity.node) {
                let (one, other) = (before.place.clone(), remains.place);
                return Err(Mixture::Twice { node: identity.node, one, other });
            }
            nodes.insert(identity.node, remains);
        }
        let (cluster, _) = cluster.ok_or(Mixture::Nothing)?;
        let epochs = nodes.values().filter_map(|remains| remains.files.identity);
        let epoch = epochs.map(|identity| identity.epoch).max().unwrap_or(Epoch::FIRST);
        Ok(Survivors { cluster, epoch, nodes })
    }

    /// All whose files were given, in order.
    pub fn all(&self) -> impl Iterator<Item = (NodeId, &Remains)> {
        self.nodes.iter().map(|(node, remains)| (*node, remains))
    }

    pub fn get(&self, node: NodeId) -> Option<&Remains> {
        self.nodes.get(&node)
    }

    /// Those whose files are of the newest history.
    fn current(&self) -> impl Iterator<Item = (NodeId, &Remains)> {
        let of_epoch =
            |remains: &Remains| remains.files.identity.is_some_and(|identity| identity.epoch == self.epoch);
        self.all().filter(move |(_, remains)| of_epoch(remains))
    }

    /// Whether this node could continue alone: its files are of the newest history and as they were written.
    pub fn can_continue(&self, node: NodeId) -> bool {
        self.current().any(|(name, remains)| name == node && remains.is_sound())
    }

    /// Up to here the log was committed, for certain.
    pub fn committed(&self) -> LogIndex {
        self.current().map(|(_, remains)| remains.committed()).max().unwrap_or_default()
    }

    /// Up to here what this survivor holds is certain to have been committed.
    fn certain(&self, survivor: &Remains) -> LogIndex {
        let is_committed = |id: EntryId| {
            self.current()
                .any(|(_, other)| other.committed() >= id.index && other.id_at(id.index) == Some(id))
        };
        let (own, end) = (survivor.committed(), self.committed().min(survivor.last().index));
        let shared = (own.0..=end.0).rev().map(LogIndex);
        let shared = shared.filter_map(|index| survivor.id_at(index)).find(|id| is_committed(*id));
        shared.map_or(own, |id| id.index.max(own))
    }

    /// The configuration that is certain, and those that may have taken its place since.
    pub fn configurations(&self) -> Vec<Configured> {
        let certain_in = |remains: &Remains| {
            let certain = self.certain(remains);
            let changes = remains.files.changes.iter().rev().find(|change| change.index <= certain).cloned();
            changes.into_iter().chain(remains.base_configuration()).max_by_key(|found| found.index)
        };
        let last = self.current().filter_map(|(_, remains)| certain_in(remains));
        let last = last.max_by_key(|found| found.index);
        let after = self.committed();
        let changes = self.current().flat_map(|(_, remains)| &remains.files.changes);
        // One before that which is not certain stands where another entry was committed.
        let mut all: Vec<Configured> = changes.filter(|change| change.index > after).cloned().collect();
        all.extend(last);
        all.sort_by_key(|found| found.index);
        all.dedup();
        all
    }

    /// Whether these files are here and could be started.
    pub fn is_here(&self, member: Member) -> bool {
        self.current().any(|(_, remains)| remains.is_sound() && remains.member() == Some(member))
    }

    /// The configuration that a start would use: that of the most up-to-date log (5.4.1).
    pub fn effective(&self) -> Option<Configured> {
        let newest = self.current().filter(|(_, remains)| remains.is_sound());
        newest.max_by_key(|(_, remains)| remains.last()).and_then(|(_, remains)| remains.configured())
    }

    /// Whether what is here elects a leader.
    pub fn has_quorum(&self) -> bool {
        self.effective().is_some_and(|found| found.configuration.reached(|member| self.is_here(member)))
    }

    /// Entries behind what is certain that some survivor holds, and that may have been committed.
    pub fn open(&self) -> Option<Range> {
        let open: Vec<Range> =
            self.current().filter_map(|(_, other)| self.open_in(other, |_| true)).collect();
        spanning(&open)
    }

    /// Whether the nodes that are gone may have committed entries that no file here tells of.
    pub fn may_hide_entries(&self) -> bool {
        self.may_have_decided(|_| false)
    }

    /// Whether the nodes that are gone and these survivors may have been a majority.
    fn may_have_decided(&self, holds: impl Fn(Member) -> bool) -> bool {
        let configurations = self.configurations();
        let decides =
            |found: &Configured| found.configuration.reached(|member| !self.is_here(member) || holds(member));
        configurations.is_empty() || configurations.iter().any(decides)
    }

    fn may_be_committed(&self, id: EntryId) -> bool {
        self.may_have_decided(|member| {
            self.current()
                .any(|(_, other)| other.member() == Some(member) && other.id_at(id.index) == Some(id))
        })
    }

    /// What each survivor that can continue would keep and lose, the best one first.
    pub fn choices(&self) -> Vec<Choice> {
        let able = self.current().filter(|(_, remains)| remains.is_sound());
        let mut choices: Vec<(EntryId, Choice)> =
            able.map(|(node, remains)| (remains.last(), self.choice(node, remains))).collect();
        choices.sort_by_key(|(last, choice)| std::cmp::Reverse((choice.certain, *last)));
        choices.into_iter().map(|(_, choice)| choice).collect()
    }

    fn choice(&self, node: NodeId, remains: &Remains) -> Choice {
        let certain = self.certain(remains);
        let (last, committed) = (remains.last().index, self.committed());
        let others = self.current().filter(|(name, _)| *name != node);
        let lacks = |id: &EntryId| remains.id_at(id.index) != Some(*id);
        let open: Vec<Range> = others.filter_map(|(_, other)| self.open_in(other, lacks)).collect();
        Choice {
            node,
            certain,
            kept: Range::of(certain.next(), last),
            lost: Range::of(certain.next(), committed),
            open: spanning(&open),
        }
    }

    /// What this one holds behind all that is certain, that may have been committed, and that is wanted.
    fn open_in(&self, remains: &Remains, wanted: impl Fn(&EntryId) -> bool) -> Option<Range> {
        let indexes = self.committed().0 + 1..=remains.last().index.0;
        let wanted = indexes.map(LogIndex).filter_map(|index| remains.id_at(index)).filter(wanted);
        // Who holds an entry holds all before it: once one cannot be committed, none behind it can.
        let open: Vec<EntryId> = wanted.take_while(|id| self.may_be_committed(*id)).collect();
        Some(Range { from: open.first()?.index, to: open.last()?.index })
    }
}

/// From the beginning of the first to the end of the last.
fn spanning(ranges: &[Range]) -> Option<Range> {
    let from = ranges.iter().map(|range| range.from).min()?;
    let to = ranges.iter().map(|range| range.to).max()?;
    Some(Range { from, to })
}

impl Choice {
    /// The first entry that nothing proves committed, or that is lost for certain.
    pub fn bound(&self) -> LogIndex {
        self.certain.next()
    }
}

impl Range {
    fn of(from: LogIndex, to: LogIndex) -> Option<Range> {
        (from <= to).then_some(Range { from, to })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Range { from, to } = self;
        if from == to { write!(f, "entry {from}") } else { write!(f, "entries {from} to {to}") }
    }
}

#[cfg(test)]
mod tests;
