//! What a seed decides before anything runs: the cluster and its settings, the clients' habits, the kinds of faults.
//!
//! The order of the draws is part of what a seed means: a draw more or less, and each seed of the family is another run.

use std::time::Duration;

use super::Family;
use crate::sim::SimulationSettings;
use crate::sim::workload::Habits;
use crate::types::Random;

/// All of it.
pub(super) struct Drawn {
    pub(super) settings: SimulationSettings,
    /// How many clients.
    pub(super) clients: u64,
    pub(super) habits: Habits,
    pub(super) classes: Classes,
}

/// Which faults may happen in a run.
#[derive(Clone, Copy, Debug)]
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
    pub(super) ordered_elections: bool,
    pub(super) lost_replies: bool,
    pub(super) wipes: bool,
    pub(super) long_stalls: bool,
    pub(super) late_entries: bool,
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

impl Drawn {
    /// What this seed of the family decides.
    pub(super) fn of(family: Family, seed: u64, random: &mut Random) -> Drawn {
        let settings = draw_settings(seed, random);
        let clients = random.within(1, 4);
        let (habits, classes) = (Habits::default(), Classes::draw(random));
        let mut drawn = Drawn { settings, clients, habits, classes };
        match family {
            Family::General => {}
            Family::Clients => drawn.draw_clients(random),
            Family::Snapshots => drawn.draw_snapshots(random),
        }
        drawn
    }

    /// Settings and habits of clients that trust nobody's patience.
    fn draw_clients(&mut self, random: &mut Random) {
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
            leases: false,
            gathers: true,
        };
    }

    /// Snapshots so often that everything about them happens.
    fn draw_snapshots(&mut self, random: &mut Random) {
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
            late_entries: false,
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
