//! The family of nodes that lose their files: new files that take the old ones' place, brought about on purpose.
//!
//! A wipe does harm only together with other things: the node held the second copy of what is committed, or had voted
//! for the leader of the moment; and those that lack the one, or were deposed by the other, are all that it can reach when
//! it comes back. So they are brought about together. And the leader that takes it in is disturbed right then.

use std::time::Duration;

use super::agenda::Act;
use super::draw::{Clocks, Scenario};
use super::{Run, ms};
use crate::faults::{End, LinkScope, NetChange};
use crate::types::{NodeId, Random};

impl Scenario {
    /// Short timeouts; nodes that catch up slowly; snapshots in some runs.
    pub(super) fn draw_joining(&mut self, random: &mut Random) {
        self.faulty = Duration::from_secs(10);
        self.clients = random.within(2, 4);
        self.clocks = Some((Clocks::True, true));
        self.habits.reads = random.chance(250_000);
        self.settings.nodes = *random.pick(&[3, 3, 3, 4, 5, 5]).expect("there are sizes");
        self.draw_short_timeouts(ms(10), ms(20), random);
        let raft = &mut self.settings.raft;
        raft.pre_vote = random.chance(400_000);
        raft.check_quorum = random.chance(600_000);
        if random.chance(400_000) {
            raft.in_flight_messages_max = 1;
            raft.message_bytes_max = 300;
        }
        if random.chance(400_000) {
            raft.snapshot_entries = random.within(5, 40);
            raft.trailing_entries = random.below(10);
            raft.snapshot_part_bytes = usize::try_from(random.within(300, 2_000)).expect("a small number");
        }
        self.classes.crashes = true;
        self.classes.requested_elections = true;
        self.classes.aimed_wipes = true;
        self.pause_max = ms(250);
    }
}

impl Run<'_> {
    /// A node loses its files when that matters.
    pub(super) fn aim_wipe(&mut self) {
        let Some(leader) = self.leader() else { return };
        let others: Vec<NodeId> = self.names.iter().copied().filter(|name| *name != leader).collect();
        let Some(&lost) = self.random.pick(&others) else { return };
        match self.random.below(5) {
            0 | 1 => self.lose_second_copy(leader, lost),
            2 | 3 => self.lose_voter(leader, lost),
            _ => self.lose_often(lost),
        }
    }

    /// The leader and as few others as it needs hold what the rest lacks; one of these loses its files, the leader is
    /// gone for a while, and the rest campaigns.
    fn lose_second_copy(&mut self, leader: NodeId, lost: NodeId) {
        let others = self.names.iter().copied().filter(|name| *name != leader && *name != lost);
        let rest: Vec<NodeId> = others.take(self.names.len().div_ceil(2) - 1).collect();
        for &name in &rest {
            self.cut_both(Duration::ZERO, leader, name);
            self.cut_both(Duration::ZERO, lost, name);
        }
        let at = self.random.duration(ms(20), ms(200));
        self.take_away(leader, at);
        let wiped = at + self.random.duration(Duration::ZERO, ms(5));
        self.later(wiped, Act::Wipe(lost));
        for &name in &rest {
            self.later(wiped, Act::Change(NetChange::Heal(link(lost, name))));
        }
        let end = wiped + self.random.duration(ms(100), ms(600));
        self.disturb(lost, wiped, end);
        for _ in 0..self.random.within(1, 3) {
            let (Some(&name), at) = (self.random.pick(&rest), self.random.duration(wiped, end)) else {
                break;
            };
            self.later(at, Act::Campaign(name));
        }
        self.bring_back(leader, end);
    }

    /// The leader is cut off, and a node that helps to elect the next one loses its files; then it hears only the old one,
    /// which clients ask.
    fn lose_voter(&mut self, leader: NodeId, lost: NodeId) {
        let others: Vec<NodeId> =
            self.names.iter().copied().filter(|name| *name != leader && *name != lost).collect();
        let Some(&heir) = self.random.pick(&others) else { return };
        // Those who stay with the old leader are, with the one that loses its files, as many as it needs.
        let stay = self.names.len() / 2 - 1;
        let loyal: Vec<NodeId> = others.iter().copied().filter(|name| *name != heir).take(stay).collect();
        for &name in others.iter().filter(|name| !loyal.contains(name)) {
            for &old in loyal.iter().chain([&leader]) {
                self.cut_both(Duration::ZERO, old, name);
            }
        }
        // What it says of the files that it has now may come when it has others.
        if self.random.chance(300_000) {
            let delay = self.random.duration(ms(50), ms(400));
            let scope = LinkScope::OneWay(End::Node(lost), End::Node(leader));
            self.change(&NetChange::Delay { delay, jitter: delay, scope });
        } else {
            self.cut_both(Duration::ZERO, leader, lost);
        }
        let mut at = Duration::ZERO;
        for _ in 0..self.random.within(1, 3) {
            self.later(at, Act::Campaign(heir));
            at += self.random.duration(ms(5), ms(60));
        }
        at += self.random.duration(ms(20), ms(150));
        for &name in others.iter().filter(|name| !loyal.contains(name)) {
            self.cut_both(at, lost, name);
        }
        self.later(at, Act::Wipe(lost));
        for &old in loyal.iter().chain([&leader]) {
            self.later(at, Act::Change(NetChange::Heal(link(lost, old))));
        }
        self.later(at, Act::AskAt(Some(leader)));
        let end = at + self.random.duration(ms(100), ms(600));
        self.disturb(lost, at, end);
        self.bring_back(leader, end);
    }

    /// It loses its files, is slow, and loses them again.
    fn lose_often(&mut self, lost: NodeId) {
        let mut at = Duration::ZERO;
        // What it said of files that are gone may come after what it says of the next ones.
        if self.random.chance(500_000) {
            let delay = self.random.duration(ms(20), ms(150));
            for other in self.names.clone().into_iter().filter(|name| *name != lost) {
                let scope = LinkScope::OneWay(End::Node(lost), End::Node(other));
                self.later(at, Act::Change(NetChange::Delay { delay, jitter: delay * 2, scope }));
            }
            at += self.random.duration(ms(10), ms(200));
        }
        for _ in 0..self.random.within(1, 3) {
            self.later(at, Act::Wipe(lost));
            let next = at + self.random.duration(ms(20), ms(800));
            self.disturb(lost, at, next);
            at = next;
        }
        self.later(at, Act::Change(NetChange::Reset));
    }

    /// What may come upon a node that joins, between these two times.
    fn disturb(&mut self, lost: NodeId, from: Duration, to: Duration) {
        for _ in 0..self.random.below(3) {
            let (at, power) = (self.random.duration(from, to), self.random.chance(500_000));
            self.later(at, Act::Restart { name: lost, power });
        }
        if self.random.chance(200_000) {
            let drop = NetChange::Drop { per_million: 300_000, scope: LinkScope::Nodes };
            self.later(from, Act::Change(drop));
        }
        if self.random.chance(300_000) {
            let at = self.random.duration(from, to);
            self.later(at, Act::Campaign(lost));
        }
        let slow =
            if self.random.chance(200_000) { self.random.duration(ms(1), ms(60)) } else { Duration::ZERO };
        self.simulation.node(lost).slow = slow;
    }

    /// The leader is gone from this time on: cut off, paused or crashed.
    pub(super) fn take_away(&mut self, leader: NodeId, at: Duration) {
        match self.random.below(3) {
            0 => self.later(at, Act::Change(NetChange::Isolate(leader))),
            1 => self.later(at, Act::Pause(leader)),
            _ => self.later(at, Act::Crash(leader)),
        }
    }

    /// It is back, and so are all links.
    pub(super) fn bring_back(&mut self, leader: NodeId, at: Duration) {
        self.later(at, Act::Change(NetChange::Reset));
        self.later(at, Act::Resume(leader));
        self.later(at, Act::Start(leader));
        self.later(at, Act::AskAt(None));
    }

    fn cut_both(&mut self, at: Duration, one: NodeId, other: NodeId) {
        self.later(at, Act::Change(NetChange::Cut(link(one, other))));
    }

    /// A leader has just appended a joint configuration, which no other node may know of yet: it, or the node, is disturbed now.
    pub(super) fn mind_joint_change(&mut self) {
        let begun = self.simulation.tally().joint_proposed;
        if !self.classes.aimed_wipes || begun == self.joint_begun {
            return;
        }
        self.joint_begun = begun;
        let Some(leader) = self.leader() else { return };
        let joining = self.names.iter().copied().find(|name| self.lost_files(*name));
        let (Some(joining), true) = (joining, self.random.chance(600_000)) else { return };
        let after = self.random.duration(Duration::ZERO, ms(12));
        let back = after + self.random.duration(ms(50), ms(400));
        match self.random.below(4) {
            0 => {
                let power = self.random.chance(500_000);
                self.later(after, Act::Restart { name: joining, power });
            }
            1 => self.later(after, Act::Wipe(joining)),
            _ => {
                self.take_away(leader, after);
                self.bring_back(leader, back);
                if let Some(&name) = self.random.pick(&self.names) {
                    self.later(after + ms(5), Act::Campaign(name));
                }
            }
        }
    }
}

fn link(one: NodeId, other: NodeId) -> LinkScope {
    LinkScope::Both(End::Node(one), End::Node(other))
}
