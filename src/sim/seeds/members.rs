//! The family that is about the members: they change all the time, under faults, and names are used again.
//!
//! Changes are asked of the node that leads and not waited for, so that everything else comes upon them half done: the
//! end of the leader, of its power, of the files of a new voter, a partition that cuts the old voters from the new.
//! In every second seed old disks are put back under their names. In some runs of the other families members change as
//! well, less often.
//!
//! What no operator may do the family does not do either: the servers that have their files stay enough for every
//! configuration that could be used. Those beyond that number may lose them at any time.

mod changes;
mod disks;
mod healing;

use std::time::Duration;

pub(super) use self::changes::Changes;
use super::agenda::Act;
use super::draw::Scenario;
use super::{Run, ms};
use crate::faults::NetChange;
use crate::lab::{Lab, NodeOrder};
use crate::raft::membership::configuration::Configuration;
use crate::server::Arrival;
use crate::types::{NodeId, Random};

/// How many names the nodes have in turn.
const NAMES: u8 = 9;

/// The most voters that are asked for.
const VOTERS_MAX: usize = 7;

impl Scenario {
    /// Short timeouts; tiny snapshots in half of the runs.
    pub(super) fn draw_members(&mut self, seed: u64, random: &mut Random) {
        self.faulty = Duration::from_secs(12);
        self.clients = random.within(1, 3);
        self.habits.reads = random.chance(250_000);
        self.settings.nodes = *random.pick(&[1, 2, 3, 3, 3, 4, 5, 5, 7]).expect("there are sizes");
        self.draw_short_timeouts(ms(6), ms(10), random);
        let raft = &mut self.settings.raft;
        if random.chance(500_000) {
            raft.snapshot_entries = random.within(3, 30);
            raft.trailing_entries = random.below(8);
            raft.snapshot_part_bytes = usize::try_from(random.within(300, 2_000)).expect("a small number");
        }
        self.classes.crashes = true;
        self.classes.partitions = true;
        self.classes.old_disks = seed.is_multiple_of(2);
        self.pause_max = ms(150);
    }
}

impl Run<'_> {
    /// Something that changes the members, or matters while they change.
    pub(super) fn move_members(&mut self) {
        match self.random.below(20) {
            0..=11 => self.ask_for_change(),
            12 => {
                if let Some(leader) = self.leader() {
                    let target = self.random.pick(&self.names).copied().filter(|name| *name != leader);
                    self.later(Duration::ZERO, Act::Transfer(leader, target));
                }
            }
            13 => self.cut_old_from_new(),
            14 => {
                let name = *self.random.pick(&self.names).expect("a cluster has nodes");
                self.lose_files(name);
            }
            15 => self.forget_one(),
            16 | 17 => self.repair(),
            18 if self.classes.old_disks => self.put_old_disk_back(),
            _ => {
                let name = *self.random.pick(&self.names).expect("a cluster has nodes");
                self.simulation.arrive_at(name, Arrival::TakeSnapshot);
            }
        }
    }

    /// Without faults, for the changes that a run still lacks.
    pub(super) fn change_in_peace(&mut self) {
        if self.random.chance(300_000) { self.repair() } else { self.ask_for_change() }
    }

    /// All nodes that can run do, and hear each other: changes must end now and then.
    fn repair(&mut self) {
        self.change(&NetChange::Reset);
        for name in self.names.clone() {
            self.restart(name);
            // An error says that it is not paused.
            let _ = self.simulation.order(name, NodeOrder::Resume);
        }
    }

    /// A leader has just appended a joint configuration, which no other node may know of yet: something happens now.
    pub(super) fn mind_joint(&mut self) {
        let proposed = self.simulation.tally().joint_proposed;
        if proposed == self.joint_begun || !self.classes.members {
            return;
        }
        self.joint_begun = proposed;
        let Some(leader) = self.leader() else { return };
        if !self.agenda.is_empty() || self.random.chance(400_000) {
            return;
        }
        let after = self.random.duration(Duration::ZERO, ms(12));
        let back = after + self.random.duration(ms(50), ms(400));
        let name = *self.random.pick(&self.names).expect("a cluster has nodes");
        match self.random.below(7) {
            0 => {
                let power = self.random.chance(500_000);
                self.later(after, Act::Restart { name: leader, power });
            }
            1 | 2 => {
                self.take_away(leader, after);
                self.later(after + ms(5), Act::Campaign(name));
                self.bring_back(leader, back);
            }
            3 => {
                self.cut_old_from_new();
                self.later(back, Act::Change(NetChange::Reset));
            }
            4 => self.later(after, Act::Wipe(name)),
            5 => self.later(after, Act::Transfer(leader, None)),
            _ => {
                let power = self.random.chance(500_000);
                self.later(after, Act::TakeSnapshot(name));
                self.later(back, Act::Restart { name, power });
            }
        }
    }

    /// A partition between those whom only the old voters name and those whom only the new ones do; members of both, and
    /// nodes of neither, are on either side. Without a change under way it is between the voters and the others.
    fn cut_old_from_new(&mut self) {
        let Some(configuration) = self.configuration_of_leader() else { return };
        let Configuration { voters, outgoing, .. } = configuration;
        let old = outgoing.as_ref().unwrap_or(&voters);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for name in self.names.clone() {
            let first = match (old.contains_key(&name), voters.contains_key(&name)) {
                (true, false) => true,
                (false, true) => false,
                (false, false) if outgoing.is_none() => false,
                _ => self.random.chance(500_000),
            };
            if first { one.push(name) } else { other.push(name) }
        }
        self.change(&NetChange::Partition(vec![one, other]));
    }

    fn configuration_of_leader(&mut self) -> Option<Configuration> {
        let leader = self.leader()?;
        let view = self.simulation.members_view(leader).ok()?;
        view.newest.map(|newest| Configuration::clone(&newest.configuration))
    }

    /// A name that no node has in these, or any.
    fn pick_name(&mut self, taken: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let free: Vec<NodeId> = NodeId::first(NAMES).into_iter().filter(|name| !taken(*name)).collect();
        self.random.pick(&free).copied()
    }
}
