//! What a seed decides before anything runs: the cluster and its settings, the clients' habits, the kinds of faults.
//!
//! The order of the draws is part of what a seed means: a draw more or less, and each seed of the family is another run.

use std::time::Duration;

use super::{Family, changes_members, ms};
use crate::sim::SimulationSettings;
use crate::sim::workload::Habits;
use crate::types::Random;

pub(super) struct Scenario {
    pub(super) settings: SimulationSettings,
    pub(super) clients: u64,
    pub(super) habits: Habits,
    pub(super) classes: Classes,
    /// How the clocks run, and whether reads may be by lease; none to be drawn later.
    pub(super) clocks: Option<(Clocks, bool)>,
    pub(super) faulty: Duration,
    /// The longest first pause between two faults; later ones are at most twice as long.
    pub(super) pause_max: Duration,
}

/// How long the faulty phase lasts, in virtual time, unless the family says otherwise.
const FAULTY: Duration = Duration::from_secs(20);

/// The longest first pause between two faults, unless the family says otherwise.
const PAUSE_MAX: Duration = Duration::from_millis(1500);

/// Which faults may happen in a run.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each class of faults is on or off by itself")]
pub(super) struct Classes {
    pub(super) crashes: bool,
    pub(super) power_cuts: bool,
    pub(super) pauses: bool,
    pub(super) partitions: bool,
    pub(super) one_way_cuts: bool,
    pub(super) bad_links: bool,
    pub(super) slow_disks: bool,
    pub(super) failing_disks: bool,
    pub(super) requested_elections: bool,
    pub(super) lost_replies: bool,
    pub(super) wipes: bool,
    pub(super) long_stalls: bool,
    pub(super) late_entries: bool,
    pub(super) old_leaders: bool,
    pub(super) torn_elections: bool,
    pub(super) aimed_wipes: bool,
    pub(super) slow_for_good: bool,
    pub(super) leader_stalls: bool,
    pub(super) damages: bool,
    pub(super) transfers: bool,
    pub(super) members: bool,
    pub(super) old_disks: bool,
}

/// How the nodes' clocks run in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clocks {
    True,
    /// At rates that differ by no more than `clock_drift_percent`: reads by lease are to be linearizable.
    WithinBound,
    /// Half as fast as they should up to twice: nothing but reads by lease may suffer.
    Wild,
}

impl Clocks {
    pub(super) fn draw(random: &mut Random) -> Clocks {
        match random.below(10) {
            0..=2 => Clocks::Wild,
            3..=5 => Clocks::WithinBound,
            _ => Clocks::True,
        }
    }

    /// The slowest and the fastest rate, in parts of a million of the true one; none if all are true.
    pub(super) fn rates(self) -> Option<(u64, u64)> {
        match self {
            Clocks::True => None,
            Clocks::WithinBound => Some((950_000, 1_045_000)),
            Clocks::Wild => Some((500_000, 2_000_000)),
        }
    }
}

impl Scenario {
    pub(super) fn of(family: Family, seed: u64, random: &mut Random) -> Scenario {
        let settings = draw_settings(seed, random);
        let clients = random.within(1, 4);
        let (habits, classes) = (Habits::default(), Classes::draw(random));
        let (clocks, faulty, pause_max) = (None, FAULTY, PAUSE_MAX);
        let mut drawn = Scenario { settings, clients, habits, classes, clocks, faulty, pause_max };
        match family {
            Family::General => {}
            Family::Clients => drawn.draw_clients(random),
            Family::Snapshots => drawn.draw_snapshots(random),
            Family::Reads => drawn.draw_reads(random),
            Family::Votes => drawn.draw_votes(random),
            Family::Joining => drawn.draw_joining(random),
            Family::Sessions => drawn.draw_sessions(random),
            Family::Stalls => drawn.draw_stalls(random),
            Family::Damage => drawn.draw_damage(random),
            Family::Transfers => drawn.draw_transfers(random),
            Family::Members => drawn.draw_members(seed, random),
        }
        if matches!(family, Family::General | Family::Members | Family::Transfers) {
            drawn.draw_memory(random.clone().fork());
        }
        drawn.classes.members = changes_members(family, seed);
        drawn
    }

    /// In some runs a write is durable at once. Drawn from numbers of its own: all else of the seed stays as it is.
    fn draw_memory(&mut self, mut random: Random) {
        if random.chance(150_000) {
            self.settings.disk_delay = Duration::ZERO;
        }
    }

    /// Clients that mostly read two keys and wait for a short time. In this many of a million runs they read by lease too.
    pub(super) fn draw_readers(&mut self, leases: u32, random: &mut Random) {
        self.clients = random.within(2, 4);
        let clocks = if random.chance(500_000) { Clocks::WithinBound } else { Clocks::True };
        self.clocks = Some((clocks, random.chance(leases)));
        self.habits = Habits {
            timeout_min: ms(15),
            timeout_max: random.duration(ms(30), ms(300)),
            reads: true,
            ..Habits::default()
        };
        self.settings.client.attempt_timeout = ms(30);
        self.settings.raft.batch_window = Duration::ZERO;
        self.pause_max = ms(250);
    }

    /// Election timeouts so short that a run sees many elections. Disks and state machines are at most this slow.
    pub(super) fn draw_short_timeouts(&mut self, disk: Duration, machine: Duration, random: &mut Random) {
        let settings = &mut self.settings;
        settings.link_delay = random.duration(Duration::from_micros(50), ms(2));
        settings.link_jitter = random.duration(Duration::ZERO, ms(4));
        settings.disk_delay = random.duration(Duration::from_micros(100), disk);
        if random.chance(200_000) {
            settings.machine_delay = random.duration(ms(1), machine);
        }
        let raft = &mut settings.raft;
        raft.election_min = random.duration(ms(60), ms(150));
        raft.election_max = raft.election_min * 2;
        raft.heartbeat = raft.election_min / 4;
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
            requested_elections: on(300_000),
            ..Classes::default()
        }
    }
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
