//! The family that is about reads: deposed leaders are asked while others have written, and promises meet restarts.
//!
//! A read is stale only if three things come together: a leader that does not know that it is deposed, another one that
//! has answered a write since, and a client that asks the first. So they are brought about together: the leader of the
//! moment is cut off or paused, an election is ordered, and clients ask the old leader right then.

use std::time::Duration;

use super::agenda::Act;
use super::draw::Scenario;
use super::{Run, ms};
use crate::faults::{End, LinkScope, NetChange};
use crate::types::{NodeId, Random};

impl Scenario {
    /// Two keys, many reads, links and disks quick enough for a change of leaders within a lease.
    pub(super) fn draw_reads(&mut self, random: &mut Random) {
        self.faulty = Duration::from_secs(10);
        // Without leases no node withholds its vote, and elections come at once.
        self.draw_readers(600_000, random);
        let settings = &mut self.settings;
        settings.nodes = *random.pick(&[3, 3, 5]).expect("there are sizes");
        settings.link_delay = random.duration(Duration::from_micros(50), ms(3));
        settings.link_jitter = random.duration(Duration::ZERO, ms(4));
        settings.disk_delay = random.duration(Duration::from_micros(100), ms(3));
        settings.raft.check_quorum = random.chance(667_000);
        self.classes.requested_elections = true;
        self.classes.old_leaders = true;
    }
}

impl Run<'_> {
    /// The leader of the moment hears nothing of what follows, another one is elected, and clients ask the old one.
    pub(super) fn depose(&mut self) {
        let Some(old) = self.leader() else { return };
        let others: Vec<NodeId> = self.names.iter().copied().filter(|name| *name != old).collect();
        let Some(&heir) = self.random.pick(&others) else { return };
        // A follower that has heard of no lease for a while is bound by none: only the others are.
        let free = if self.random.chance(500_000) { self.random.pick(&others).copied() } else { None };
        // One that stays with the old leader, where there are enough without it.
        let companion = others.iter().copied().find(|name| *name != heir && Some(*name) != free);
        let companion = companion.filter(|_| others.len() > 3 && self.random.chance(500_000));
        let mut at = Duration::ZERO;
        if let Some(free) = free {
            self.change(&NetChange::Cut(LinkScope::Both(End::Node(old), End::Node(free))));
            at = self.random.duration(ms(100), ms(400));
        }
        if self.random.chance(400_000) {
            self.restart_followers(&others, free, at);
        }
        let hidden: Vec<NodeId> = others.into_iter().filter(|name| Some(*name) != companion).collect();
        for old in companion.into_iter().chain([old]) {
            self.hide(old, &hidden, at);
        }
        let longest = if self.random.chance(700_000) { ms(3) } else { ms(100) };
        at += self.random.duration(Duration::ZERO, longest);
        let asked = companion.filter(|_| self.random.chance(500_000)).unwrap_or(old);
        self.later(at, Act::AskAt(Some(asked)));
        for _ in 0..self.random.within(1, 3) {
            self.later(at, Act::Campaign(heir));
            at += self.random.duration(ms(1), ms(120));
        }
        at += self.random.duration(ms(50), ms(250));
        self.later(at, Act::Change(NetChange::Reset));
        self.later(at, Act::Resume(old));
        self.later(at + ms(50), Act::AskAt(None));
    }

    /// Followers start again, right after they have answered the leader's rounds: they may have promised something.
    fn restart_followers(&mut self, others: &[NodeId], free: Option<NodeId>, at: Duration) {
        for &name in others.iter().filter(|name| Some(**name) != free) {
            let power = self.random.chance(500_000);
            let after = at + self.random.duration(Duration::ZERO, ms(2));
            self.later(after, Act::Restart { name, power });
        }
    }

    /// From then on the leader does not hear of another one: it is cut off, both ways or one way, what it is told comes
    /// late, or it is paused.
    fn hide(&mut self, old: NodeId, others: &[NodeId], at: Duration) {
        let way = self.random.below(5);
        let delay = self.random.duration(ms(30), ms(300));
        for &other in others {
            let (old, other) = (End::Node(old), End::Node(other));
            let change = match way {
                0 | 1 => NetChange::Cut(LinkScope::Both(old, other)),
                2 => NetChange::Cut(LinkScope::OneWay(other, old)),
                3 => NetChange::Delay { delay, jitter: Duration::ZERO, scope: LinkScope::OneWay(other, old) },
                _ => break,
            };
            self.later(at, Act::Change(change));
        }
        if way == 4 {
            // What reaches it meanwhile waits in its inbox, clients' reads included.
            self.later(at, Act::Pause(old));
            let until = at + self.random.duration(ms(20), ms(400));
            self.later(until, Act::Resume(old));
        }
    }

    /// The leader of the highest term that runs.
    pub(super) fn leader(&mut self) -> Option<NodeId> {
        let names = self.names.clone();
        let mut leads = |name: &NodeId| {
            let node = self.simulation.node(*name);
            node.status.led().filter(|_| node.is_running())
        };
        names.into_iter().filter_map(|name| Some((leads(&name)?, name))).max().map(|(_, name)| name)
    }
}
