//! The first phase: faults at any time, of the classes that the seed chose. Only safety is asked for.

use std::time::Duration;

use super::Run;
use crate::faults::{End, LinkScope, NetChange, shapes};
use crate::lab::{Lab, NodeOrder};
use crate::server::{Arrival, EndReason};
use crate::sim::lives::Begin;
use crate::storage::StorageError;
use crate::storage::simulated::DiskFailure;
use crate::types::{Member, NodeId, Time};

impl Run<'_> {
    pub(super) fn break_things(&mut self) {
        let end = self.simulation.now() + self.faulty;
        let latest = end + self.faulty;
        let pause = self.random.duration(Duration::from_millis(30), self.pause_max);
        let mut next_fault = self.simulation.now() + pause;
        while (self.simulation.now() < end || self.lacks_changes() && self.simulation.now() < latest)
            && self.simulation.broken_at().is_none()
        {
            let in_time = self.late.map_or(Time::NEVER, |(_, until)| until);
            let bound = if self.simulation.now() < end { end } else { latest };
            let until =
                next_fault.min(self.workload.next_call()).min(bound).min(in_time).min(self.agenda.next());
            self.simulation.advance(until);
            self.work(true);
            self.attend();
            self.mind_joint_change();
            self.mind_joint();
            if let Some((scope, _)) = self.late.take_if(|(_, until)| *until <= self.simulation.now()) {
                self.change(&NetChange::Delay { delay: Duration::ZERO, jitter: Duration::ZERO, scope });
            }
            if self.simulation.now() >= next_fault {
                self.check_snapshot_count();
                self.note_ended_changes();
                if self.simulation.now() < end {
                    self.fault();
                } else {
                    self.change_in_peace();
                }
                next_fault =
                    self.simulation.now() + self.random.duration(Duration::from_millis(1), pause * 2);
            }
        }
    }

    /// Even while followers do not answer, a node keeps few snapshots: the newest, those that it sends, and one that it has
    /// just saved.
    fn check_snapshot_count(&mut self) {
        let most = self.names.len() + 1;
        for &name in &self.names {
            let node = self.simulation.node(name);
            // One that is down removes nothing; its next start does.
            let kept = if node.is_running() { node.snapshots_kept() } else { 0 };
            if kept > most {
                self.workload.contradictions.push(format!("{name} keeps {kept} snapshots on its disk"));
            }
        }
    }

    /// One fault of a class that is on, or the end of one.
    fn fault(&mut self) {
        if self.classes.lost_replies && self.random.chance(300_000) {
            return self.lose_replies();
        }
        if self.classes.wipes && self.random.chance(60_000) {
            let name = *self.random.pick(&self.names).expect("a cluster has nodes");
            return self.wipe(name);
        }
        if self.classes.late_entries && self.late.is_none() && self.random.chance(500_000) {
            return self.delay_follower();
        }
        if self.classes.old_leaders && self.agenda.is_empty() && self.random.chance(700_000) {
            return self.depose();
        }
        if self.classes.torn_elections && self.agenda.is_empty() && self.random.chance(600_000) {
            return self.tear_election();
        }
        if self.classes.aimed_wipes && self.agenda.is_empty() && self.random.chance(600_000) {
            return self.aim_wipe();
        }
        if self.classes.damages && self.random.chance(300_000) {
            return self.damage();
        }
        if self.classes.members && self.random.chance(self.changes.per_million) {
            return self.move_members();
        }
        if self.classes.transfers && self.agenda.is_empty() && self.random.chance(700_000) {
            return self.hand_over();
        }
        if self.classes.slow_for_good && self.random.chance(200_000) {
            return self.slow_all_disks();
        }
        if self.classes.leader_stalls && self.random.chance(300_000) {
            return self.stall_leader();
        }
        let name = *self.random.pick(&self.names).expect("a cluster has nodes");
        match self.random.below(12) {
            0 | 1 if self.classes.crashes => self.crash(name),
            2 | 3 => self.restart(name),
            4 if self.classes.pauses => self.pause_or_resume(name),
            5 | 6 if self.classes.partitions => self.partition(name),
            7 if self.classes.one_way_cuts => self.cut(name),
            8 if self.classes.bad_links => self.spoil_links(),
            9 if self.classes.slow_disks => self.slow_disk(name),
            10 if self.classes.failing_disks => self.failing_disk(name),
            11 if self.classes.requested_elections => self.request_election(name),
            _ => self.change(&NetChange::Heal(LinkScope::All)),
        }
    }

    fn crash(&mut self, name: NodeId) {
        let power = self.classes.power_cuts && self.random.chance(500_000);
        let all = self.random.chance(100_000);
        let victims = if all { self.names.clone() } else { vec![name] };
        for victim in victims {
            if self.simulation.node(victim).is_running() {
                self.simulation.end(victim, EndReason::Crashed { power });
            }
        }
    }

    pub(super) fn restart(&mut self, name: NodeId) {
        if !self.simulation.node(name).is_running() {
            self.revive(name);
        }
    }

    /// A node loses its files and starts again, unless another has done so and is not taken in yet.
    pub(super) fn wipe(&mut self, name: NodeId) {
        if self.classes.members {
            return self.lose_files(name);
        }
        let mut others = self.names.iter().filter(|other| **other != name);
        let joins = others.any(|other| self.lost_files(*other));
        if self.names.len() < 3 || joins || !self.may_be_lost(name) {
            return;
        }
        if self.simulation.node(name).is_running() {
            self.simulation.end(name, EndReason::Crashed { power: false });
        }
        self.start_afresh(name);
    }

    /// Whether a node has lost its files, and those that it has now are not taken in.
    pub(super) fn joins(&mut self) -> bool {
        self.names.iter().any(|name| self.lost_files(*name))
    }

    pub(super) fn lost_files(&self, name: NodeId) -> bool {
        let member = Member { node: name, store_id: self.simulation.nodes[&name].store_id };
        !self.simulation.members.configuration.names(member)
    }

    /// Starts a node that is down. A disk that had failed was taken out and put back: what was not synced is gone.
    pub(super) fn revive(&mut self, name: NodeId) {
        let disk = self.simulation.node(name).disk.clone();
        let failed = self.simulation.node(name).has_failed_disk();
        if failed {
            disk.heal();
            let mut random = self.random.fork();
            disk.power_cut(&mut random);
        }
        match self.simulation.start(name, Begin::Again) {
            Ok(_) | Err(StorageError::Retired { .. }) => {}
            // The disk failed while it was read: the next start finds it well.
            Err(error @ (StorageError::Io { .. } | StorageError::NoSpace { .. })) => {
                self.simulation.node(name).down = Some(EndReason::StorageFailed(error.to_string()));
            }
            // The others do without it.
            Err(error) => self.workload.contradictions.push(format!("{name} cannot start again: {error}")),
        }
    }

    fn pause_or_resume(&mut self, name: NodeId) {
        // An error says that the node is down or already in that state: both are fine here.
        if self.simulation.node(name).paused {
            let _ = self.simulation.order(name, NodeOrder::Resume);
        } else {
            let _ = self.simulation.order(name, NodeOrder::Pause);
        }
    }

    fn partition(&mut self, name: NodeId) {
        let groups = match self.random.below(4) {
            0 => shapes::halves(&self.names),
            1 => shapes::minority(&self.names, name),
            2 => shapes::bridge(&self.names, name),
            _ => return self.change(&NetChange::Isolate(name)),
        };
        self.change(&NetChange::Partition(groups));
    }

    fn cut(&mut self, from: NodeId) {
        let to = *self.random.pick(&self.names).expect("a cluster has nodes");
        if from != to {
            self.change(&NetChange::Cut(LinkScope::OneWay(End::Node(from), End::Node(to))));
        }
    }

    fn spoil_links(&mut self) {
        let scope = match self.random.below(3) {
            0 => LinkScope::Clients,
            1 => LinkScope::Nodes,
            _ => LinkScope::All,
        };
        let per_million = u32::try_from(self.random.below(300_000)).expect("below a million");
        let delay = self.random.duration(Duration::ZERO, Duration::from_millis(40));
        // Now and then a link holds messages for so long that they arrive in another world.
        let jitter = if self.random.chance(100_000) { Duration::from_secs(3) } else { delay * 2 };
        match self.random.below(5) {
            0 => self.change(&NetChange::Drop { per_million, scope }),
            1 => self.change(&NetChange::Duplicate { per_million, scope }),
            2 => self.change(&NetChange::Reorder { per_million, scope }),
            3 => self.change(&NetChange::Delay { delay, jitter, scope }),
            _ => self.change(&NetChange::Reset),
        }
    }

    fn slow_disk(&mut self, name: NodeId) {
        let now = self.simulation.now();
        let longest = if self.classes.long_stalls { 5_000 } else { 600 };
        let by = self.random.duration(Duration::ZERO, Duration::from_millis(longest));
        let node = self.simulation.node(name);
        if self.random.chance(500_000) {
            node.slow = by / 10;
        } else {
            node.stalled_until = now + by;
        }
    }

    fn failing_disk(&mut self, name: NodeId) {
        let failures =
            [DiskFailure::InputOutput, DiskFailure::NoSpace, DiskFailure::PagesLost, DiskFailure::PowerCut];
        let failure = *self.random.pick(&failures).expect("there are failures");
        let after = self.random.within(1, 30);
        let node = self.simulation.node(name);
        if node.is_running() {
            node.disk.fail_at(node.disk.operations() + after, failure);
        }
    }

    fn request_election(&mut self, name: NodeId) {
        if self.random.chance(500_000) {
            self.simulation.arrive_at(name, Arrival::Campaign);
        } else {
            for name in self.names.clone() {
                let soon = Arrival::SetElectionTimer(Duration::from_millis(50));
                self.simulation.arrive_at(name, soon);
            }
        }
    }
}
