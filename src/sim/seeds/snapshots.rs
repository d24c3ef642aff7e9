//! The family with a snapshot every few entries.

use std::time::Duration;

use super::Run;
use super::draw::Scenario;
use crate::faults::{End, LinkScope, NetChange};
use crate::server::RoleName;
use crate::types::Random;

impl Scenario {
    /// Snapshots so often that everything about them happens.
    pub(super) fn draw_snapshots(&mut self, random: &mut Random) {
        let raft = &mut self.settings.raft;
        raft.snapshot_entries = random.within(5, 50);
        raft.trailing_entries = random.below(20);
        raft.snapshot_part_bytes = usize::try_from(random.within(400, 4_000)).expect("a small number");
        if random.chance(200_000) {
            raft.snapshot_bytes = 1_000;
        }
        if random.chance(300_000) {
            self.settings.machine_delay =
                random.duration(Duration::from_millis(1), Duration::from_millis(20));
        }
        self.classes.wipes = random.chance(500_000);
        self.classes.long_stalls = random.chance(300_000);
        self.classes.late_entries = random.chance(500_000);
        if self.classes.late_entries {
            self.draw_late_entries(random);
        }
    }

    /// What a leader sends takes long, parts and their answers longer than heartbeats, and its log is gone soon after: so
    /// entries arrive while a snapshot that covers some of them is on its way.
    fn draw_late_entries(&mut self, random: &mut Random) {
        self.clients = 4;
        self.settings.link_delay = random.duration(Duration::from_millis(5), Duration::from_millis(30));
        self.settings.link_jitter = Duration::ZERO;
        self.settings.disk_delay = random.duration(Duration::from_millis(5), Duration::from_millis(30));
        let raft = &mut self.settings.raft;
        raft.snapshot_part_bytes = usize::try_from(random.within(2_000, 20_000)).expect("a small number");
        raft.snapshot_entries = random.within(3, 8);
        raft.trailing_entries = 0;
        raft.pre_vote = true;
    }
}

impl Run<'_> {
    /// For a while, what the leader sends to one follower comes late; what it sends afterwards overtakes it.
    pub(super) fn delay_follower(&mut self) {
        let names = self.names.clone();
        let mut leaders = names.iter().filter(|name| {
            let node = self.simulation.node(**name);
            node.is_running() && node.status.role == RoleName::Leader
        });
        let Some(leader) = leaders.next().copied() else { return };
        let follower = *self.random.pick(&names).expect("a cluster has nodes");
        if follower == leader {
            return;
        }
        let delay = self.random.duration(Duration::from_millis(50), Duration::from_millis(250));
        let scope = LinkScope::OneWay(End::Node(leader), End::Node(follower));
        self.late = Some((scope, self.simulation.now() + self.random.duration(delay, delay * 2)));
        self.change(&NetChange::Delay { delay, jitter: Duration::ZERO, scope });
    }
}
