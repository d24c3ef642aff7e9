//! The family that is about votes: many elections in which the rules of the vote itself decide.
//!
//! Pre-vote asks first and hides what a wrong vote would do; a node that hears its leader refuses, no matter what the logs say.
//! So elections are ordered, or timed without pre-vote; candidates lack what was committed, or hold what never was; and
//! nodes crash with votes under way.

use std::time::Duration;

use super::agenda::Act;
use super::draw::Scenario;
use super::{Run, ms};
use crate::faults::{End, LinkScope, NetChange};
use crate::types::{NodeId, Random};

impl Scenario {
    pub(super) fn draw_votes(&mut self, random: &mut Random) {
        self.faulty = Duration::from_secs(10);
        self.clients = random.within(2, 4);
        let settings = &mut self.settings;
        settings.nodes = *random.pick(&[3, 3, 4, 5, 5]).expect("there are sizes");
        settings.link_delay = random.duration(Duration::from_micros(50), ms(2));
        settings.link_jitter = random.duration(Duration::ZERO, ms(4));
        settings.disk_delay = random.duration(Duration::from_micros(100), ms(4));
        let raft = &mut settings.raft;
        raft.election_min = random.duration(ms(60), ms(150));
        raft.election_max = raft.election_min * 2;
        raft.heartbeat = raft.election_min / 4;
        raft.batch_window = Duration::ZERO;
        raft.pre_vote = random.chance(150_000);
        raft.check_quorum = random.chance(500_000);
        self.classes.crashes = true;
        self.classes.requested_elections = true;
        self.classes.torn_elections = true;
        self.pause_max = ms(250);
    }
}

impl Run<'_> {
    /// An election that only the rules of the vote decide rightly.
    pub(super) fn tear_election(&mut self) {
        let leader = self.leader();
        let name = *self.random.pick(&self.names).expect("a cluster has nodes");
        match (self.random.below(4), leader) {
            (0, Some(leader)) if leader != name => self.fall_behind(name, leader),
            (1, Some(leader)) => self.write_in_vain(leader),
            (2, _) => self.ask_again_late(name),
            _ => self.set_rivals(),
        }
    }

    /// A node misses what is committed meanwhile, and is ordered to campaign as soon as it is back.
    fn fall_behind(&mut self, name: NodeId, leader: NodeId) {
        self.change(&NetChange::Isolate(name));
        let back = self.random.duration(ms(30), ms(400));
        if self.random.chance(300_000) {
            // Its term is higher then, its log still shorter.
            self.later(back / 2, Act::Campaign(name));
        }
        self.later(back, Act::Change(NetChange::Connect(name)));
        self.later(back, Act::Campaign(name));
        if self.random.chance(500_000) {
            let power = self.random.chance(500_000);
            self.later(back, Act::Restart { name: leader, power });
        }
    }

    /// A leader that is cut off takes in what it cannot commit; when it is back it has the longest log, and campaigns.
    fn write_in_vain(&mut self, leader: NodeId) {
        let others: Vec<NodeId> = self.names.iter().copied().filter(|name| *name != leader).collect();
        for &other in &others {
            self.change(&NetChange::Cut(LinkScope::Both(End::Node(leader), End::Node(other))));
        }
        self.workload.ask_at(Some(leader));
        let elected = self.random.duration(ms(5), ms(100));
        if let Some(&heir) = self.random.pick(&others) {
            self.later(elected, Act::Campaign(heir));
        }
        self.later(elected, Act::AskAt(None));
        let back = elected + self.random.duration(ms(20), ms(200));
        self.later(back, Act::Change(NetChange::Heal(LinkScope::All)));
        self.later(back, Act::Campaign(leader));
    }

    /// A candidate's requests are late, and it asks again in the next term before they are answered.
    fn ask_again_late(&mut self, name: NodeId) {
        let delay = self.random.duration(ms(10), ms(100));
        let answers = self.random.chance(500_000);
        for other in self.names.clone().into_iter().filter(|other| *other != name) {
            let (name, other) = (End::Node(name), End::Node(other));
            let (from, to) = if answers { (other, name) } else { (name, other) };
            self.change(&NetChange::Delay { delay, jitter: delay, scope: LinkScope::OneWay(from, to) });
        }
        let mut at = Duration::ZERO;
        for _ in 0..self.random.within(1, 3) {
            self.later(at, Act::Campaign(name));
            at += self.random.duration(ms(5), ms(80));
        }
        let scope = LinkScope::Nodes;
        self.later(
            at,
            Act::Change(NetChange::Delay { delay: Duration::ZERO, jitter: Duration::ZERO, scope }),
        );
    }

    /// Several campaign at once, and some crash with their votes, or others' votes, under way.
    fn set_rivals(&mut self) {
        for name in self.names.clone() {
            let after = self.random.duration(Duration::ZERO, ms(3));
            if self.random.chance(500_000) {
                self.later(after, Act::Campaign(name));
            }
            if self.random.chance(400_000) {
                let (power, more) =
                    (self.random.chance(500_000), self.random.duration(Duration::ZERO, ms(12)));
                self.later(after + more, Act::Restart { name, power });
            }
        }
    }
}
