//! The family of clients that behave badly.

use std::time::Duration;

use super::Run;
use super::draw::Scenario;
use crate::faults::{End, LinkScope, NetChange};
use crate::sim::workload::Habits;
use crate::types::Random;

impl Scenario {
    /// Settings and habits of clients that behave badly.
    pub(super) fn draw_clients(&mut self, random: &mut Random) {
        self.clients = 4;
        self.classes.lost_replies = true;
        let client = &mut self.settings.client;
        client.copies = usize::try_from(random.within(1, 3)).expect("a small number");
        client.attempt_timeout = random.duration(Duration::from_millis(10), Duration::from_millis(300));
        self.settings.raft.sessions_max = random.within(3, 8);
        self.habits = Habits {
            timeout_min: Duration::from_millis(20),
            timeout_max: random.duration(Duration::from_millis(50), Duration::from_secs(2)),
            settles: true,
            gathers: true,
            ..Habits::default()
        };
    }
}

impl Run<'_> {
    /// Requests arrive and answers do not, from some nodes or all, or clients are cut off from one node.
    pub(super) fn lose_replies(&mut self) {
        let node = End::Node(*self.random.pick(&self.names).expect("a cluster has nodes"));
        match self.random.below(4) {
            0 => self.change(&NetChange::Cut(LinkScope::OneWay(node, End::Clients))),
            1 => self.change(&NetChange::Cut(LinkScope::OneWay(End::Clients, node))),
            2 => self.change(&NetChange::Heal(LinkScope::Clients)),
            _ => {
                let per_million = u32::try_from(self.random.below(800_000)).expect("below a million");
                for name in self.names.clone() {
                    let scope = LinkScope::OneWay(End::Node(name), End::Clients);
                    self.change(&NetChange::Drop { per_million, scope });
                }
            }
        }
    }
}
