//! The family that is about transfers: leaders hand over while clients call, and what belongs to a transfer comes late.
//!
//! A transfer frees votes that were withheld for a leader's lease. That must show where it is wrong: a leader that still
//! answers by a lease, another one that was elected meanwhile, and clients that ask the first. So the leader is hidden
//! from the others when the election comes that it ordered itself, and is asked right then.

use std::time::Duration;

use super::agenda::Act;
use super::draw::Scenario;
use super::{Run, ms};
use crate::faults::{End, LinkScope, NetChange};
use crate::types::{NodeId, Random};

impl Scenario {
    /// Many reads, links and disks quick enough for a change of leaders within a lease.
    pub(super) fn draw_transfers(&mut self, random: &mut Random) {
        self.faulty = Duration::from_secs(10);
        self.draw_readers(800_000, random);
        let settings = &mut self.settings;
        settings.nodes = *random.pick(&[3, 3, 3, 5]).expect("there are sizes");
        settings.link_delay = random.duration(Duration::from_micros(50), ms(2));
        settings.link_jitter = random.duration(Duration::ZERO, ms(3));
        settings.disk_delay = random.duration(Duration::from_micros(100), ms(3));
        self.classes.transfers = true;
    }
}

impl Run<'_> {
    /// The leader of the moment hands over, in one of several ways.
    pub(super) fn hand_over(&mut self) {
        let Some(old) = self.leader() else { return };
        let others: Vec<NodeId> = self.names.iter().copied().filter(|name| *name != old).collect();
        let Some(&heir) = self.random.pick(&others) else { return };
        match self.random.below(5) {
            0 => self.hand_over_twice(old, heir),
            1 => self.hand_over_and_end(old, heir),
            2 => self.hide_who_hands_over(old, heir, &others),
            3 => self.delay_order(old, heir, &others),
            _ => self.delay_votes(old, heir, &others),
        }
    }

    /// Undisturbed; the next leader perhaps hands over in turn.
    fn hand_over_twice(&mut self, old: NodeId, heir: NodeId) {
        let target = self.random.chance(500_000).then_some(heir);
        self.later(Duration::ZERO, Act::Transfer(old, target));
        let after = self.random.duration(Duration::ZERO, ms(40));
        self.later(after, Act::Transfer(heir, None));
    }

    /// One of the two crashes meanwhile, and comes back.
    fn hand_over_and_end(&mut self, old: NodeId, heir: NodeId) {
        self.later(Duration::ZERO, Act::Transfer(old, Some(heir)));
        let (name, power) =
            (if self.random.chance(500_000) { old } else { heir }, self.random.chance(500_000));
        let after = self.random.duration(Duration::ZERO, ms(20));
        self.later(after, Act::Restart { name, power });
    }

    /// The old leader hears nothing once its order has left, and is asked.
    fn hide_who_hands_over(&mut self, old: NodeId, heir: NodeId, others: &[NodeId]) {
        self.later(Duration::ZERO, Act::Transfer(old, Some(heir)));
        let after = self.random.duration(Duration::ZERO, ms(4));
        self.ask_hidden(old, others, after);
    }

    /// The order is so late that the leader has given up, and claims a lease again, before it comes.
    fn delay_order(&mut self, old: NodeId, heir: NodeId, others: &[NodeId]) {
        let late = self.random.duration(ms(155), ms(400));
        let scope = LinkScope::OneWay(End::Node(old), End::Node(heir));
        self.delay_for(late, self.give_up_after(), &[scope]);
        self.later(Duration::ZERO, Act::Transfer(old, Some(heir)));
        self.later(self.give_up_after(), Act::AskAt(Some(old)));
        self.ask_hidden(old, others, late);
    }

    /// The requests of the heir, which campaigns at once, are as late, and the leader does not get any. Nothing is written
    /// meanwhile: the heir's log is still as new as the others'.
    fn delay_votes(&mut self, old: NodeId, heir: NodeId, others: &[NodeId]) {
        let late = self.random.duration(ms(155), ms(260));
        let voters = others.iter().filter(|other| **other != heir);
        let scopes: Vec<LinkScope> =
            voters.map(|voter| LinkScope::OneWay(End::Node(heir), End::Node(*voter))).collect();
        self.later(Duration::ZERO, Act::ReadOnly(true));
        self.change(&NetChange::Cut(LinkScope::OneWay(End::Node(heir), End::Node(old))));
        self.delay_for(late, ms(20), &scopes);
        self.later(Duration::ZERO, Act::Transfer(old, Some(heir)));
        self.later(self.give_up_after(), Act::AskAt(Some(old)));
        self.ask_hidden(old, others, late);
        self.later(late, Act::ReadOnly(false));
    }

    /// What leaves on these links within a time is late by another.
    fn delay_for(&mut self, late: Duration, span: Duration, scopes: &[LinkScope]) {
        for &scope in scopes {
            self.change(&NetChange::Delay { delay: late, jitter: Duration::ZERO, scope });
            let ends = NetChange::Delay { delay: Duration::ZERO, jitter: Duration::ZERO, scope };
            self.later(span, Act::Change(ends));
        }
    }

    /// From about then on this leader hears nothing of the others, and clients ask it first.
    fn ask_hidden(&mut self, old: NodeId, others: &[NodeId], at: Duration) {
        let around = self.random.duration(Duration::ZERO, ms(4));
        let at = at.saturating_sub(around);
        for &other in others {
            let both_ways = LinkScope::Both(End::Node(old), End::Node(other));
            self.later(at, Act::Change(NetChange::Cut(both_ways)));
        }
        self.later(at, Act::AskAt(Some(old)));
        let end = at + self.random.duration(ms(50), ms(250));
        self.later(end, Act::Change(NetChange::Reset));
        self.later(end + ms(50), Act::AskAt(None));
    }

    fn give_up_after(&self) -> Duration {
        self.simulation.raft.now.election_min + ms(1)
    }
}
