//! Changes of the members: what is asked of a leader, and when it has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Run, VOTERS_MAX};
use crate::lab::Lab;
use crate::raft::effects::Change;
use crate::raft::effects::ChangeRequest;
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::server::Arrival;
use crate::sim::seeds::Family;
use crate::storage::simulated::SimulatedDisk;
use crate::types::{LogIndex, Member, NodeId, StoreId, Time};

/// A leader takes a server for one that answers so long after it lost its files: meanwhile it is asked for nothing.
const ANSWERS_COUNT: Duration = Duration::from_millis(400);

/// Changes that were asked for, and the disks of nodes that had others since.
pub(in crate::sim::seeds) struct Changes {
    /// How many end in each run at least.
    pub(in crate::sim::seeds) least: u64,
    /// How many of a million faults are changes, or matter to them.
    pub(in crate::sim::seeds) per_million: u32,
    /// They began, and have not ended.
    under_way: Vec<Begun>,
    /// When files were last lost.
    pub(super) lost_at: Time,
    pub(super) old_disks: BTreeMap<NodeId, BTreeMap<StoreId, SimulatedDisk>>,
}

/// A change whose first entry a leader has appended.
struct Begun {
    index: LogIndex,
    /// It continues until this learner votes.
    newcomer: Option<NodeId>,
}

impl Changes {
    pub(in crate::sim::seeds) fn of(family: Family) -> Changes {
        let (least, per_million) = if family == Family::Members { (20, 600_000) } else { (0, 300_000) };
        let (under_way, lost_at, old_disks) = (Vec::new(), Time::ZERO, BTreeMap::new());
        Changes { least, per_million, under_way, lost_at, old_disks }
    }
}

impl Run<'_> {
    /// Asks the leader for a change, now and then another node, and does not wait for it.
    pub(super) fn ask_for_change(&mut self) {
        if self.simulation.now() < self.changes.lost_at + ANSWERS_COUNT {
            return;
        }
        let Some(leader) = self.leader() else { return };
        let asked =
            if self.random.chance(950_000) { Some(leader) } else { self.random.pick(&self.names).copied() };
        let Some(asked) = asked.filter(|asked| !self.simulation.node(*asked).paused) else { return };
        let view = self.simulation.members_view(asked).ok();
        let Some(Configured { index, configuration }) = view.and_then(|view| view.newest) else { return };
        let Some(change) = self.draw_change(asked, &configuration) else { return };
        let force = self.random.chance(150_000) && self.all_have_their_files();
        let made_for = if self.random.chance(950_000) { index } else { LogIndex(index.0.saturating_sub(1)) };
        self.begin_change(asked, &ChangeRequest::new(change, made_for, force));
    }

    pub(super) fn begin_change(&mut self, asked: NodeId, request: &ChangeRequest) {
        self.simulation.arrive_at(asked, Arrival::Change(request.clone()));
        let told = self.simulation.members_view(asked).ok().and_then(|view| view.changed);
        let tally = &mut self.simulation.tally.members;
        match told {
            Some(Ok(index)) => {
                let newcomer = match request.change {
                    Change::Add { new, learner: false } | Change::Replace { new, .. } => Some(new.node),
                    Change::Promote(node) => Some(node),
                    _ => None,
                };
                self.changes.under_way.push(Begun { index, newcomer });
            }
            Some(Err(_)) => tally.changes_ended += 1,
            // The node ended in this step.
            None => {}
        }
    }

    fn draw_change(&mut self, leader: NodeId, now: &Configuration) -> Option<Change> {
        let members = now.nodes();
        let full = now.voters.len() >= VOTERS_MAX;
        let member = *self.random.pick(&members)?;
        let member = if self.random.chance(200_000) { leader } else { member };
        // Now and then what cannot be done.
        let any = self.random.chance(50_000);
        let name = self.pick_name(|name| !any && now.contains(name));
        let learners: Vec<NodeId> = now.learners.keys().copied().collect();
        Some(match self.random.below(20) {
            0..=6 if !full => {
                Change::Add { new: self.newcomer(name?, now)?, learner: self.random.chance(250_000) }
            }
            7..=10 => Change::Remove(member),
            11..=13 => Change::Replace { old: member, new: self.newcomer(name?, now)? },
            14 | 15 => Change::Promote(self.random.pick(&learners).copied().unwrap_or(member)),
            16 => Change::Demote(member),
            17 => Change::Prefer(self.random.chance(500_000).then_some(member)),
            18 => Change::Cancel,
            _ => Change::Remove(leader),
        })
    }

    /// A new node of this name, with new files. One that is a member is not made again: the request names it as it is.
    fn newcomer(&mut self, name: NodeId, now: &Configuration) -> Option<Member> {
        if now.contains(name) {
            return self.names.contains(&name).then(|| self.member(name));
        }
        if !self.may_be_lost(name) {
            return None;
        }
        self.put_aside(name);
        let made = self.simulation.add_node(name);
        self.names = self.simulation.nodes();
        match made {
            Ok(member) => Some(member),
            Err(error) => {
                self.workload.contradictions.push(format!("{name} cannot be added: {error}"));
                None
            }
        }
    }

    /// Counts the changes that have ended.
    pub(in crate::sim::seeds) fn note_ended_changes(&mut self) {
        let committed = self.simulation.safety().committed();
        let members = &self.simulation.members.configuration;
        let joins = |node: NodeId| members.learners.get(&node).is_some_and(|learner| learner.joins.is_some());
        let before = self.changes.under_way.len();
        self.changes.under_way.retain(|begun| {
            members.is_joint() || committed < begun.index || begun.newcomer.is_some_and(joins)
        });
        let ended = before - self.changes.under_way.len();
        self.simulation.tally.members.changes_ended += ended as u64;
    }

    /// What of the changes has not ended.
    pub(super) fn unended_changes(&mut self) -> Option<String> {
        self.note_ended_changes();
        let begun = self.changes.under_way.first()?;
        Some(format!("the change that began at {} has not ended", begun.index))
    }
}
