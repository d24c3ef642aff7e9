//! The family of disks that are slow for good, and of leaders whose disk stalls while the others' do not.
//!
//! Slow is no fault that ends: a cluster on slow disks must elect and commit nevertheless. So when the faults end, these
//! disks stay as they are.

use std::time::Duration;

use super::draw::{Clocks, Scenario};
use super::{Run, ms};
use crate::config::RaftSettings;
use crate::types::Random;

impl Scenario {
    /// All disks slow for good in half of the runs; in the others, leaders' disks that stall.
    pub(super) fn draw_stalls(&mut self, random: &mut Random) {
        self.faulty = Duration::from_secs(12);
        self.clients = random.within(2, 4);
        self.clocks = Some((Clocks::True, true));
        let settings = &mut self.settings;
        settings.nodes = *random.pick(&[1, 3, 3, 3, 5, 5]).expect("there are sizes");
        settings.link_delay = random.duration(Duration::from_micros(50), ms(2));
        settings.link_jitter = random.duration(Duration::ZERO, ms(2));
        // Small messages on slow disks take longer than a run does.
        let usual = RaftSettings::default();
        settings.raft.in_flight_messages_max = usual.in_flight_messages_max;
        settings.raft.message_bytes_max = usual.message_bytes_max;
        self.classes.slow_for_good = random.chance(500_000);
        self.classes.leader_stalls = !self.classes.slow_for_good || random.chance(300_000);
        self.classes.slow_disks = false;
        self.classes.failing_disks = false;
        self.pause_max = ms(800);
    }
}

impl Run<'_> {
    /// From now on every disk takes its time, each its own.
    pub(super) fn slow_all_disks(&mut self) {
        let slow = self.random.duration(ms(50), ms(700));
        let alike = self.random.chance(500_000);
        for name in self.names.clone() {
            let slow = if alike { slow } else { self.random.duration(ms(50), ms(700)) };
            self.simulation.node(name).slow = slow;
        }
    }

    /// The leader's disk does not answer for a while, or becomes slow; those of the others are as they were.
    pub(super) fn stall_leader(&mut self) {
        let Some(leader) = self.leader() else { return };
        let now = self.simulation.now();
        let by = self.random.duration(ms(200), ms(4_000));
        let node = self.simulation.node(leader);
        if self.random.chance(700_000) {
            node.stalled_until = now + by;
        } else {
            node.slow = by / 4;
        }
    }
}
