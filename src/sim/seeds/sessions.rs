//! The family in which sessions meet snapshots: tables so small that answers are forgotten and sessions expire while
//! commands are repeated, snapshots every few entries, restarts from them and installs of them.

use std::time::Duration;

use super::draw::Scenario;
use super::ms;
use crate::state_machine::sessions::Bounds;
use crate::types::Random;

impl Scenario {
    /// Clients that behave badly, of whom little is remembered.
    pub(super) fn draw_sessions(&mut self, random: &mut Random) {
        self.draw_clients(random);
        self.faulty = Duration::from_secs(12);
        self.habits.timeout_max = self.habits.timeout_max.min(ms(400));
        self.habits.forgetful = true;
        self.settings.sessions = Bounds {
            answers: random.within(2, 8),
            bytes: usize::try_from(random.within(20, 200)).expect("a small number"),
        };
        let raft = &mut self.settings.raft;
        raft.sessions_max = random.within(2, 5);
        raft.snapshot_entries = random.within(4, 30);
        raft.trailing_entries = random.below(10);
        self.classes.crashes = true;
        self.classes.wipes = random.chance(300_000);
        self.pause_max = ms(500);
    }
}
