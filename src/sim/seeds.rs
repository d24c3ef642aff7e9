//! Random runs: one seed decides the cluster, its settings, the clients' work and every fault.
//!
//! A run has two phases. First, faults of the classes that the seed chose come at any time, and only safety is checked.
//! Then the faults end, for all nodes or only for a majority, and the cluster must elect, commit and agree.
//!
//! In every family the members change in some of the runs: see [`changes_members`].

mod agenda;
mod clients;
mod damage;
mod draw;
mod faults;
mod healing;
mod joining;
mod members;
mod reads;
mod sessions;
mod snapshots;
mod stalls;
mod transfers;
mod votes;

use std::time::Duration;

pub use draw::Clocks;

use self::agenda::Agenda;
use self::draw::{Classes, Scenario};
use self::members::Changes;
use super::Simulation;
use super::tally::Tally;
use super::workload::{self, CallCounts, Workload};
use crate::check::history::Operation;
use crate::faults::{LinkScope, NetChange};
use crate::types::{NodeId, Random, Time};

/// What the runs of many seeds have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Family {
    /// A bit of everything, with clients that are patient.
    #[default]
    General,
    /// Clients that ask several nodes at once, lose answers but not requests, give up early, ask later what became of it, and
    /// share a table of sessions that is too small for them.
    Clients,
    /// A snapshot every few entries, sent in small parts; nodes that are wiped, disks that stall for seconds, state
    /// machines that are slow.
    Snapshots,
    /// Leaders that are cut off or paused while others take over, and are asked right then, in every way; promises
    /// that a restart comes upon.
    Reads,
    /// Elections without pre-vote, ordered, several in one term, among logs of unequal length; crashes with votes under
    /// way.
    Votes,
    /// Nodes that lose their files when that matters, and are disturbed until they are taken in, as are the leaders that
    /// do it.
    Joining,
    /// Tables of sessions so small that answers are forgotten and sessions expire, among snapshots, installs and restarts.
    Sessions,
    /// Disks that are slow for good, under all nodes at once, and leaders whose disk stalls.
    Stalls,
    /// Files that are damaged between a node's end and its next start.
    Damage,
    /// Leaders that hand over while clients call, and whose orders, or the votes that they ask for, come late.
    Transfers,
    /// Members that change all the time, under names that are used again.
    Members,
}

impl Family {
    pub const ALL: [Family; 11] = [
        Family::General,
        Family::Clients,
        Family::Snapshots,
        Family::Reads,
        Family::Votes,
        Family::Joining,
        Family::Sessions,
        Family::Stalls,
        Family::Damage,
        Family::Transfers,
        Family::Members,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Family::General => "general",
            Family::Clients => "clients",
            Family::Snapshots => "snapshots",
            Family::Reads => "reads",
            Family::Votes => "votes",
            Family::Joining => "joining",
            Family::Sessions => "sessions",
            Family::Stalls => "stalls",
            Family::Damage => "damage",
            Family::Transfers => "transfers",
            Family::Members => "members",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunReport {
    pub seed: u64,
    pub nodes: u8,
    /// What was broken; empty if all is well.
    pub violations: Vec<String>,
    pub tally: Tally,
    pub calls: CallCounts,
    /// When, in virtual time, a property was first broken; what only shows at the end is not in it.
    pub broken_at: Option<Duration>,
    /// How long it was in virtual time.
    pub length: Duration,
    pub digest: u64,
}

/// A run in progress: what drives it is here, its faults and its healing in files of their own.
struct Run<'a> {
    simulation: Simulation,
    workload: Workload,
    /// Called with operations as they end.
    record: &'a mut dyn FnMut(&[Operation]),
    random: Random,
    classes: Classes,
    names: Vec<NodeId>,
    /// The link on which a leader's messages are late, and until when.
    late: Option<(LinkScope, Time)>,
    /// What is to happen at a time of its own.
    agenda: Agenda,
    /// How long the faulty phase lasts, in virtual time.
    faulty: Duration,
    /// The longest first pause between two faults.
    pause_max: Duration,
    pre_vote: bool,
    /// How many joint changes leaders had begun when one was last looked at.
    joint_begun: u64,
    changes: Changes,
}

/// Whether members change in this run: in all of the family that is about them, and in those seeds of every other one
/// whose last two digits are 60 to 89. The other seeds are the runs that they would be without changes.
pub fn changes_members(family: Family, seed: u64) -> bool {
    family == Family::Members || (60..90).contains(&(seed % 100))
}

/// Runs this seed. The same seed gives the same report.
pub fn run(family: Family, seed: u64) -> RunReport {
    run_with(family, seed, |_| {})
}

/// Runs this seed on a simulation that was prepared: with a broken rule, say.
pub fn run_with(family: Family, seed: u64, prepare: impl FnOnce(&mut Simulation)) -> RunReport {
    run_recorded(family, seed, prepare, &mut |_| {})
}

/// Runs this seed with clocks of this kind and with reads by lease.
pub fn run_with_leases(seed: u64, clocks: Clocks) -> RunReport {
    run_as(Family::General, seed, Some((clocks, true)), |_| {}, &mut |_| {})
}

/// Runs this seed as [`run_with`] does, and tells also what the clients asked and were told: operations as they end, at
/// the end those that have not.
pub fn run_recorded(
    family: Family,
    seed: u64,
    prepare: impl FnOnce(&mut Simulation),
    record: &mut dyn FnMut(&[Operation]),
) -> RunReport {
    run_as(family, seed, None, prepare, record)
}

/// With `clocks`, the clocks run so, and whether reads may be by lease.
fn run_as(
    family: Family,
    seed: u64,
    clocks: Option<(Clocks, bool)>,
    prepare: impl FnOnce(&mut Simulation),
    record: &mut dyn FnMut(&[Operation]),
) -> RunReport {
    let mut random = Random::new(seed ^ 0x5eed_5eed_5eed_5eed);
    let Scenario { settings, clients, mut habits, classes, clocks: drawn, faulty, pause_max } =
        Scenario::of(family, seed, &mut random);
    let (nodes, pre_vote) = (settings.nodes, settings.raft.pre_vote);
    let mut simulation = Simulation::new(settings, None);
    prepare(&mut simulation);
    let (clocks, leases) = clocks.or(drawn).unwrap_or_else(|| {
        let clocks = Clocks::draw(&mut random);
        (clocks, clocks != Clocks::Wild)
    });
    habits.leases = leases;
    let workload = Workload::new(&mut simulation, clients, habits, &mut random);
    let names = NodeId::first(nodes);
    let (late, agenda) = (None, Agenda::default());
    let mut run = Run {
        simulation,
        workload,
        record,
        random,
        classes,
        names,
        late,
        agenda,
        faulty,
        pause_max,
        pre_vote,
        joint_begun: 0,
        changes: Changes::of(family),
    };
    run.set_clocks(clocks);
    run.break_things();
    // After a property is broken, the rest of the run adds nothing.
    let unhealed = if run.simulation.broken_at().is_some() { None } else { run.heal() };
    run.report(seed, nodes, unhealed)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Run<'_> {
    fn set_clocks(&mut self, clocks: Clocks) {
        let Some((slowest, fastest)) = clocks.rates() else { return };
        for name in self.names.clone() {
            let rate = self.random.within(slowest, fastest);
            self.simulation.set_clock_rate(name, rate);
        }
    }

    fn work(&mut self, calling: bool) {
        self.workload.work(&mut self.simulation, calling);
        (self.record)(self.workload.take_news());
    }

    /// A change that these nodes cannot have, such as halves of one, is no fault.
    fn change(&mut self, change: &NetChange) {
        let _ = self.simulation.change(change);
    }

    fn report(mut self, seed: u64, nodes: u8, unhealed: Option<String>) -> RunReport {
        let broken_at = self.simulation.broken_at();
        let calls = self.workload.counts;
        let contradictions = std::mem::take(&mut self.workload.contradictions);
        (self.record)(self.workload.take_news());
        let told = self.workload.ended();
        let history = self.workload.into_history();
        (self.record)(&history[told..]);
        // A broken property explains all that the clients saw.
        let disorder = if broken_at.is_some() { None } else { workload::contradiction(&history) };
        let safety = self.simulation.safety();
        let broken =
            safety.violations().iter().map(|broken| format!("{}: {}", broken.property.name(), broken.detail));
        let violations = broken.chain(contradictions).chain(disorder).chain(unhealed).collect();
        RunReport {
            seed,
            nodes,
            violations,
            tally: *self.simulation.tally(),
            calls,
            broken_at: broken_at.map(|time| time.since(Time::ZERO)),
            length: self.simulation.now().since(Time::ZERO),
            digest: self.simulation.digest(),
        }
    }
}
