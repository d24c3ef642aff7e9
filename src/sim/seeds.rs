//! Random runs: one seed decides the cluster, its settings, the clients' work and every fault.
//!
//! A run has two phases. First faults of the classes that the seed chose come at any time, and only safety is asked
//! for. Then the faults end, for all nodes or for a majority alone, and the cluster must elect, commit and agree.

use std::time::Duration;

use super::node::{self, DISK_FAILED};
use super::tally::Tally;
use super::workload::{self, Habits, Workload};
use super::{Simulation, SimulationSettings};
use crate::check::history::Operation;
use crate::lab::Lab;
use crate::net::change::NetChange;
use crate::net::link::{End, LinkScope};
use crate::net::shapes;
use crate::storage::StorageError;
use crate::storage::simulated::Failure;
use crate::types::{NodeId, Random, Time};

/// How long the faulty phase lasts, in virtual time.
const FAULTY: Duration = Duration::from_secs(20);
/// How long a healed cluster may take until it serves and agrees: many election timeouts of the slowest clock.
const HEALING_MAX: Duration = Duration::from_secs(20);

/// What the runs of many seeds have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Family {
    /// A bit of everything, with clients that are patient.
    #[default]
    General,
    /// Clients that ask several nodes at once, lose answers alone, give up early, ask later what became of it, and
    /// share a table of sessions that is too small for them.
    Clients,
    /// A snapshot every few entries, sent in small parts; nodes that are wiped, disks that stall for seconds, state
    /// machines that are slow.
    Snapshots,
}

/// What came of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How many nodes it had.
    pub nodes: u8,
    /// What was broken; empty if all is well.
    pub violations: Vec<String>,
    /// What kinds of things happened.
    pub tally: Tally,
    /// Calls that were answered, that certainly had no effect, and whose outcome is unknown.
    pub calls: [u64; 3],
    /// Commands of unknown outcome that turned out as applied, as never applied, and of which nothing was known any
    /// more.
    pub fates: [u64; 3],
    /// When, in virtual time, a property was first broken; what only shows at the end is not in it.
    pub broken_at: Option<Duration>,
    /// How long it was in virtual time.
    pub length: Duration,
    /// Equal only for equal runs.
    pub digest: u64,
}

/// Which faults may happen in a run.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each class of faults is on or off by itself")]
struct Classes {
    crashes: bool,
    power_cuts: bool,
    pauses: bool,
    partitions: bool,
    one_way_cuts: bool,
    bad_links: bool,
    slow_disks: bool,
    failing_disks: bool,
    ordered_elections: bool,
    lost_replies: bool,
    wipes: bool,
    long_stalls: bool,
}

/// How the nodes' clocks run in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clocks {
    /// All at the true rate.
    True,
    /// At rates that differ by no more than `clock_drift_percent`: reads by lease are to be linearizable.
    WithinBound,
    /// Half as fast as they should up to twice: nothing but reads by lease may suffer.
    Wild,
}

impl Clocks {
    fn draw(random: &mut Random) -> Clocks {
        match random.below(10) {
            0..=2 => Clocks::Wild,
            3..=5 => Clocks::WithinBound,
            _ => Clocks::True,
        }
    }
}

struct Run<'a> {
    simulation: Simulation,
    workload: Workload,
    /// Who is told of operations as they end.
    record: &'a mut dyn FnMut(&[Operation]),
    random: Random,
    classes: Classes,
    names: Vec<NodeId>,
}

/// Runs this seed. The same seed gives the same report.
pub fn run(family: Family, seed: u64) -> Report {
    run_with(family, seed, |_| {})
}

/// Runs this seed on a simulation that was prepared: with a broken rule, say.
pub fn run_with(family: Family, seed: u64, prepare: impl FnOnce(&mut Simulation)) -> Report {
    run_recorded(family, seed, prepare, &mut |_| {})
}

/// Runs this seed with clocks of this kind and with reads by lease, whatever the clocks.
pub fn run_with_leases(seed: u64, clocks: Clocks) -> Report {
    run_as(Family::General, seed, Some((clocks, true)), |_| {}, &mut |_| {})
}

/// Runs this seed as [`run_with`] does, and tells also what the clients asked and were told: operations as they end, at
/// the end those that have not.
pub fn run_recorded(
    family: Family,
    seed: u64,
    prepare: impl FnOnce(&mut Simulation),
    record: &mut dyn FnMut(&[Operation]),
) -> Report {
    run_as(family, seed, None, prepare, record)
}

/// With `clocks`, the clocks run so, and whether reads may be by lease.
fn run_as(
    family: Family,
    seed: u64,
    clocks: Option<(Clocks, bool)>,
    prepare: impl FnOnce(&mut Simulation),
    record: &mut dyn FnMut(&[Operation]),
) -> Report {
    let mut random = Random::new(seed ^ 0x5eed_5eed_5eed_5eed);
    let mut settings = draw_settings(seed, &mut random);
    let mut clients = random.within(1, 4);
    let mut habits = Habits::default();
    let mut classes = Classes::draw(&mut random);
    if family == Family::Clients {
        clients = 4;
        habits = draw_habits(&mut settings, &mut random);
        classes.lost_replies = true;
    }
    if family == Family::Snapshots {
        draw_snapshots(&mut settings, &mut random);
        classes.wipes = random.chance(500_000);
        classes.long_stalls = random.chance(300_000);
    }
    let nodes = settings.nodes;
    let mut simulation = Simulation::new(settings, None);
    prepare(&mut simulation);
    let (clocks, leases) = clocks.unwrap_or_else(|| {
        let clocks = Clocks::draw(&mut random);
        (clocks, clocks != Clocks::Wild)
    });
    habits.leases = leases;
    let workload = Workload::new(&mut simulation, clients, habits, &mut random);
    let names = NodeId::first(nodes);
    let mut run = Run { simulation, workload, record, random, classes, names };
    run.set_clocks(clocks);
    run.break_things();
    // Once a property is broken, nothing that follows says more.
    let unhealed = if run.simulation.broken_at().is_some() { None } else { run.heal() };
    run.report(seed, nodes, unhealed)
}

fn draw_settings(seed: u64, random: &mut Random) -> SimulationSettings {
    let sizes = [1, 2, 3, 3, 3, 3, 4, 5, 5, 7];
    let nodes = *random.pick(&sizes).expect("there are sizes");
    let mut settings = SimulationSettings::new(nodes, seed);
    settings.link_delay = random.duration(Duration::from_micros(50), Duration::from_millis(5));
    settings.link_jitter = random.duration(Duration::ZERO, Duration::from_millis(10));
    settings.disk_delay = random.duration(Duration::from_micros(100), Duration::from_millis(10));
    if random.chance(500_000) {
        settings.lateness = random.duration(Duration::ZERO, Duration::from_millis(5));
    }
    let raft = &mut settings.raft;
    if random.chance(300_000) {
        raft.in_flight_messages_max = 2;
        raft.message_bytes_max = 300;
    }
    if random.chance(200_000) {
        raft.uncommitted_bytes_max = 2_000;
    }
    if random.chance(300_000) {
        raft.batch_window = Duration::from_millis(random.within(1, 25));
    }
    raft.pre_vote = random.chance(800_000);
    raft.check_quorum = random.chance(800_000);
    settings
}

/// Settings and habits of clients that trust nobody's patience.
fn draw_habits(settings: &mut SimulationSettings, random: &mut Random) -> Habits {
    let client = &mut settings.client;
    client.copies = usize::try_from(random.within(1, 3)).expect("a small number");
    client.attempt_timeout = random.duration(Duration::from_millis(10), Duration::from_millis(300));
    settings.raft.sessions_max = random.within(3, 8);
    Habits {
        timeout_min: Duration::from_millis(20),
        timeout_max: random.duration(Duration::from_millis(50), Duration::from_secs(2)),
        settles: true,
        leases: false,
    }
}

/// Snapshots so often that everything about them happens.
fn draw_snapshots(settings: &mut SimulationSettings, random: &mut Random) {
    let raft = &mut settings.raft;
    raft.snapshot_entries = random.within(5, 50);
    raft.trailing_entries = random.below(20);
    raft.snapshot_part_bytes = usize::try_from(random.within(400, 4_000)).expect("a small number");
    if random.chance(200_000) {
        raft.snapshot_bytes = 1_000;
    }
    if random.chance(300_000) {
        settings.machine_delay = random.duration(Duration::from_millis(1), Duration::from_millis(20));
    }
}

impl Classes {
    fn draw(random: &mut Random) -> Classes {
        let mut on = |per_million| random.chance(per_million);
        Classes {
            crashes: on(700_000),
            power_cuts: on(600_000),
            pauses: on(400_000),
            partitions: on(600_000),
            one_way_cuts: on(400_000),
            bad_links: on(600_000),
            slow_disks: on(400_000),
            failing_disks: on(300_000),
            ordered_elections: on(300_000),
            lost_replies: false,
            wipes: false,
            long_stalls: false,
        }
    }
}

impl Run<'_> {
    fn set_clocks(&mut self, clocks: Clocks) {
        let (slowest, fastest) = match clocks {
            Clocks::True => return,
            Clocks::WithinBound => (950_000, 1_045_000),
            Clocks::Wild => (500_000, 2_000_000),
        };
        for name in self.names.clone() {
            let rate = self.random.within(slowest, fastest);
            self.simulation.set_clock_rate(name, rate);
        }
    }

    /// The faulty phase.
    fn break_things(&mut self) {
        let end = self.simulation.now() + FAULTY;
        let pause = self.random.duration(Duration::from_millis(30), Duration::from_millis(1500));
        let mut next_fault = self.simulation.now() + pause;
        while self.simulation.now() < end && self.simulation.broken_at().is_none() {
            let until = next_fault.min(self.workload.next_call()).min(end);
            self.simulation.advance(until);
            self.work(true);
            if self.simulation.now() >= next_fault {
                self.fault();
                next_fault =
                    self.simulation.now() + self.random.duration(Duration::from_millis(1), pause * 2);
            }
        }
    }

    fn work(&mut self, calling: bool) {
        self.workload.work(&mut self.simulation, calling);
        (self.record)(self.workload.take_news());
    }

    /// One fault of a class that is on, or the end of one.
    fn fault(&mut self) {
        if self.classes.lost_replies && self.random.chance(300_000) {
            return self.lose_replies();
        }
        if self.classes.wipes && self.random.chance(60_000) {
            return self.wipe();
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
            11 if self.classes.ordered_elections => self.order_election(name),
            _ => self.change(&NetChange::Heal(LinkScope::All)),
        }
    }

    /// Requests arrive and answers do not, from some nodes or all, or clients are cut off from one node alone.
    fn lose_replies(&mut self) {
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

    fn crash(&mut self, name: NodeId) {
        let power = self.classes.power_cuts && self.random.chance(500_000);
        let all = self.random.chance(100_000);
        let victims = if all { self.names.clone() } else { vec![name] };
        for victim in victims {
            if self.simulation.node(victim).is_running() {
                self.simulation.end(victim, node::End::Crashed { power });
            }
        }
    }

    fn restart(&mut self, name: NodeId) {
        if !self.simulation.node(name).is_running() {
            self.revive(name);
        }
    }

    /// A node loses its files and starts again, unless another has done so and is not readmitted yet.
    fn wipe(&mut self) {
        let name = *self.random.pick(&self.names).expect("a cluster has nodes");
        if self.names.len() < 3 || self.joins() {
            return;
        }
        if self.simulation.node(name).is_running() {
            self.simulation.end(name, node::End::Crashed { power: false });
        }
        if let Err(error) = self.simulation.start(name, true) {
            self.workload.contradictions.push(format!("{name} cannot start afresh: {error}"));
        }
    }

    /// Whether a node has lost its files and is not readmitted.
    fn joins(&mut self) -> bool {
        self.names.clone().into_iter().any(|name| self.simulation.node(name).status.joining)
    }

    /// Starts a node that is down. A disk that had failed was taken out and put back: what was not synced is gone.
    fn revive(&mut self, name: NodeId) {
        let disk = self.simulation.node(name).disk.clone();
        let failed = self.simulation.node(name).down.starts_with(DISK_FAILED);
        if failed {
            disk.heal();
            let mut random = self.random.fork();
            disk.power_cut(&mut random);
        }
        match self.simulation.start(name, false) {
            Ok(_) => {}
            // The disk failed while it was read: the next start finds it well.
            Err(StorageError::Io { .. } | StorageError::NoSpace { .. }) => {
                self.simulation.node(name).down = DISK_FAILED.to_string();
            }
            Err(error) => self.workload.contradictions.push(format!("{name} cannot start again: {error}")),
        }
    }

    fn pause_or_resume(&mut self, name: NodeId) {
        // An error says that the node is down or as wanted already; both are fine here.
        if self.simulation.node(name).paused {
            let _ = self.simulation.resume(name);
        } else {
            let _ = Lab::pause(&mut self.simulation, name);
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
        let failures = [Failure::InputOutput, Failure::NoSpace, Failure::PagesLost, Failure::PowerCut];
        let failure = *self.random.pick(&failures).expect("there are failures");
        let after = self.random.within(1, 30);
        let node = self.simulation.node(name);
        if node.is_running() {
            node.disk.fail_at(node.disk.operations() + after, failure);
        }
    }

    fn order_election(&mut self, name: NodeId) {
        if self.random.chance(500_000) {
            let _ = self.simulation.campaign(name);
        } else {
            for name in self.names.clone() {
                let _ = self.simulation.set_election_timer(name, Duration::from_millis(50));
            }
        }
    }

    /// A change that these nodes cannot have, such as halves of one, is no fault.
    fn change(&mut self, change: &NetChange) {
        let _ = self.simulation.change(change);
    }

    /// The healing phase: ends the faults and says what is still wrong when time is up.
    fn heal(&mut self) -> Option<String> {
        self.change(&NetChange::Reset);
        let mut healed = self.names.clone();
        // A node that joins has no say: it and a majority of the others make no quorum.
        if self.random.chance(300_000) && !self.joins() {
            // The others stay as they are, for good: a majority must be enough.
            let majority = healed.len() / 2 + 1;
            while healed.len() > majority {
                let at = usize::try_from(self.random.below(healed.len() as u64)).expect("a small number");
                let name = healed.remove(at);
                if self.simulation.node(name).is_running() {
                    self.simulation.end(name, node::End::Crashed { power: false });
                }
            }
        }
        for &name in &healed {
            let node = self.simulation.node(name);
            node.slow = Duration::ZERO;
            node.stalled_until = Time::ZERO;
            node.disk.heal();
            if !node.is_running() {
                self.revive(name);
            }
            let _ = self.simulation.resume(name);
        }
        self.workload.become_patient();
        let begun = self.simulation.now();
        let answered_before = self.workload.answered;
        let deadline = begun + HEALING_MAX;
        let mut calling = true;
        while self.simulation.now() < deadline && self.simulation.broken_at().is_none() {
            let until = if calling { self.workload.next_call().min(deadline) } else { deadline };
            self.simulation.advance(until);
            self.work(calling);
            // Serve afresh for a while, then stop and let all catch up.
            let served = self.workload.answered >= answered_before + 20;
            calling = calling && !(served && self.simulation.now() > begun + Duration::from_secs(1));
            if !calling && self.workload.is_idle() && self.agrees(&healed) {
                return self.lost(&healed);
            }
        }
        if self.simulation.broken_at().is_some() {
            return None;
        }
        let answered = self.workload.answered - answered_before;
        Some(format!("not healed after {} s: {answered} calls answered", HEALING_MAX.as_secs()))
    }

    /// Whether one of these leads, and all of them have applied all of its log.
    fn agrees(&mut self, healed: &[NodeId]) -> bool {
        let statuses: Vec<_> = healed.iter().map(|&name| self.simulation.node(name).status).collect();
        let leader = statuses.iter().find(|status| status.role == crate::lab::RoleName::Leader);
        leader.is_some_and(|leader| statuses.iter().all(|status| status.applied == leader.last.index))
    }

    fn lost(&mut self, healed: &[NodeId]) -> Option<String> {
        let states: Vec<_> =
            healed.iter().map(|&name| self.simulation.items(name).unwrap_or_default()).collect();
        if states.iter().any(|state| *state != states[0]) {
            return Some("nodes that applied the same log hold different states".to_string());
        }
        self.workload.audit(&states[0], self.simulation.now());
        self.workload.lies(&states[0]).into_iter().next()
    }

    fn report(mut self, seed: u64, nodes: u8, unhealed: Option<String>) -> Report {
        let broken_at = self.simulation.broken_at();
        let calls = [self.workload.answered, self.workload.rejected, self.workload.unknown];
        let fates = self.workload.fates;
        let contradictions = std::mem::take(&mut self.workload.contradictions);
        (self.record)(self.workload.take_news());
        let told = self.workload.ended();
        let history = self.workload.into_history();
        (self.record)(&history[told..]);
        // A broken property explains whatever the clients saw.
        let disorder = if broken_at.is_some() { None } else { workload::contradiction(&history) };
        let safety = self.simulation.safety();
        let broken =
            safety.violations().iter().map(|broken| format!("{}: {}", broken.property.name(), broken.detail));
        let violations = broken.chain(contradictions).chain(disorder).chain(unhealed).collect();
        Report {
            seed,
            nodes,
            violations,
            tally: *self.simulation.tally(),
            calls,
            fates,
            broken_at: broken_at.map(|time| time.since(Time::ZERO)),
            length: self.simulation.now().since(Time::ZERO),
            digest: self.simulation.digest(),
        }
    }
}
