//! Figure 16 (9.3): how long a cluster is without a leader after its leader crashed, for ten ranges of election timeouts.
//!
//! As in the paper: five servers; the leader crashes at a random moment of its heartbeat interval, which is half of the
//! shortest election timeout; the servers' logs differ in length, so that some candidates cannot win; no pre-vote and no
//! check-quorum, which the paper does not have.
//!
//! The paper gives a broadcast time of roughly 15 ms, and not what of it is the network's and what the disks'. It cannot be
//! taken as it is: here a candidate's own vote is durable before it asks for others, and with two such writes one after the
//! other no election of the shortest range would end. What decides is how long after its timeout a candidate's request
//! reaches the others: one that runs out of patience in that time splits the vote. So one number is fitted: with a write
//! of 2 ms and links of 0.5 to 1 ms, the median of 150-155 ms comes near the paper's. All other numbers follow.
//!
//! A trial drives any [`Lab`](crate::lab::Lab); these delays are those of virtual time.

mod plot;
mod run;
mod table;
mod trial;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use plot::plot;
pub use run::{TrialPlan, run};
pub use table::table;
pub use trial::{TrialError, replace_leader};

use crate::cluster::Cluster;
use crate::config::RaftSettings;
use crate::interrupt::Interrupt;
use crate::lab::LabError;
use crate::sim::{Simulation, SimulationSettings};
use crate::types::Random;

pub const SERVERS: u8 = 5;

/// How many trials the paper has for each range; but for 150-150 ms, where it has 100.
pub const TRIALS: u64 = 1000;

/// How many trials there are on threads, where each takes its time.
pub const TRIALS_ON_THREADS: u64 = 20;

/// After this time without a leader a trial ends: the paper's longest are only said to be longer than 10 s.
pub const LIMIT: Duration = Duration::from_secs(15);

/// The delays of virtual time: the shortest of a message, the most that is drawn beyond it, and that of a write.
const LINK_DELAY: Duration = Duration::from_micros(500);
const LINK_JITTER: Duration = Duration::from_micros(500);
const DISK_DELAY: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub min: u16,
    pub max: u16,
    /// What section 9.3 says of it, in milliseconds.
    pub paper: &'static [(Measure, u16)],
}

/// What a number of the paper tells of the trials of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    Median,
    Mean,
    Max,
    /// Every trial took longer.
    AllAbove,
}

/// The paper's ranges, the top graph's before those that only the bottom graph has.
pub const RANGES: [Range; 10] = [
    range(150, 150, &[(Measure::AllAbove, 10_000)]),
    range(150, 151, &[]),
    range(150, 155, &[(Measure::Median, 287)]),
    range(150, 175, &[]),
    range(150, 200, &[(Measure::Max, 513)]),
    range(150, 300, &[]),
    range(12, 24, &[(Measure::Mean, 35), (Measure::Max, 152)]),
    range(25, 50, &[]),
    range(50, 100, &[]),
    range(100, 200, &[]),
];

const fn range(min: u16, max: u16, paper: &'static [(Measure, u16)]) -> Range {
    Range { min, max, paper }
}

/// The times without a leader that a range gave, one a trial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Curve {
    pub range: Range,
    /// In order; none is longer than [`LIMIT`].
    times: Vec<Duration>,
    /// Trials that ended without a leader.
    leaderless: usize,
}

impl Range {
    pub fn settings(&self) -> RaftSettings {
        let min = Duration::from_millis(self.min.into());
        RaftSettings {
            heartbeat: min / 2,
            election_min: min,
            election_max: Duration::from_millis(self.max.into()),
            pre_vote: false,
            check_quorum: false,
            ..RaftSettings::default()
        }
    }

    /// One trial in virtual time, which the seed decides: how long there was no leader; none if it was too long.
    ///
    /// # Errors
    /// The trial could not be prepared.
    pub fn simulate(&self, seed: u64) -> Result<Option<Duration>, TrialError> {
        let mut random = Random::new(seed);
        let mut settings = SimulationSettings::new(SERVERS, random.bits());
        settings.raft = self.settings();
        settings.link_delay = LINK_DELAY;
        settings.link_jitter = LINK_JITTER;
        settings.disk_delay = DISK_DELAY;
        let mut simulation = Simulation::new(settings, None);
        replace_leader(&mut simulation, self.settings().heartbeat, LIMIT, &mut random)
    }

    /// One trial on threads, in memory: with the network and the speed of this machine.
    ///
    /// # Errors
    /// The trial could not be prepared.
    pub fn on_threads(&self, seed: u64, interrupt: &Arc<Interrupt>) -> Result<Option<Duration>, TrialError> {
        let mut random = Random::new(seed);
        let builder = Cluster::builder().nodes(SERVERS).memory().seed(random.bits());
        let started = builder.with(|settings| settings.raft = self.settings()).start();
        let mut cluster = started.map_err(|error| TrialError::Rejected(LabError::new(error.to_string())))?;
        let raised = Arc::clone(interrupt);
        cluster.set_interrupt(move || raised.is_raised(), interrupt.receiver().clone());
        let result = replace_leader(&mut cluster, self.settings().heartbeat, LIMIT, &mut random);
        cluster.shutdown();
        result
    }
}

/// The ranges that threads can try: with equal timeouts for all, settings are refused.
pub fn ranges_of_threads() -> Vec<Range> {
    RANGES.into_iter().filter(|range| range.min < range.max).collect()
}

impl Curve {
    /// The curve of a range, from the results of its trials.
    pub fn new(range: Range, results: &[Option<Duration>]) -> Curve {
        let mut times: Vec<Duration> = results.iter().flatten().copied().collect();
        times.sort_unstable();
        Curve { range, leaderless: results.len() - times.len(), times }
    }

    pub fn trials(&self) -> usize {
        self.times.len() + self.leaderless
    }

    /// The time within which this part, in thousandths, of the trials had a leader; none if it was too long.
    pub fn within(&self, thousandths: usize) -> Option<Duration> {
        let rank = (self.trials() * thousandths).div_ceil(1000).max(1);
        self.times.get(rank - 1).copied()
    }

    /// The mean; none if a trial ended without a leader.
    pub fn mean(&self) -> Option<Duration> {
        let count =
            u32::try_from(self.times.len()).ok().filter(|count| *count > 0 && self.leaderless == 0)?;
        Some(self.times.iter().sum::<Duration>() / count)
    }

    /// Which part, in thousandths, of the trials took longer.
    pub fn longer_than(&self, time: Duration) -> usize {
        let within = self.times.partition_point(|each| *each <= time);
        (self.trials() - within) * 1000 / self.trials().max(1)
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Measure::Median => "median",
            Measure::Mean => "mean",
            Measure::Max => "max",
            Measure::AllAbove => "all >",
        })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{} ms", self.min, self.max))
    }
}

/// The seed of a trial: no two trials share one, in any range.
pub fn seed_of(seed: u64, range: Range, trial: u64) -> u64 {
    let place = u64::from(range.min) << 16 | u64::from(range.max);
    Random::new(seed ^ place << 32).bits() ^ trial
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(range: Range, trials: u64) -> Curve {
        let one = |trial| range.simulate(seed_of(1, range, trial)).expect("it can be prepared");
        let results: Vec<_> = (0..trials).map(one).collect();
        Curve::new(range, &results)
    }

    #[test]
    fn wider_ranges_split_fewer_votes_and_shorter_ones_find_a_leader_sooner() {
        let [same, narrow, wide, short] = [0, 2, 5, 6].map(|place| curve(RANGES[place], 20));
        assert_eq!(
            same.longer_than(Duration::from_secs(10)),
            1000,
            "with equal timeouts all votes are split"
        );
        let median = |curve: &Curve| curve.within(500).expect("a leader was found");
        assert!(median(&short) < median(&wide), "{short:?} {wide:?}");
        assert!(wide.within(1000) < narrow.within(1000), "{narrow:?} {wide:?}");
        for curve in [&narrow, &wide, &short] {
            // A timeout begins with a heartbeat, which the leader outlives by less than an interval.
            let shortest = Duration::from_millis((curve.range.min / 2).into());
            assert!(
                curve.times[0] >= shortest,
                "about half of the shortest timeout at least (9.3): {curve:?}"
            );
        }
    }

    #[test]
    fn a_seed_decides_a_trial() {
        let range = RANGES[4];
        let [one, again, other] = [7, 7, 8].map(|trial| range.simulate(seed_of(1, range, trial)));
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn numbers_are_counted_from_what_was_measured() {
        let millis = Duration::from_millis;
        let curve = Curve::new(RANGES[0], &[Some(millis(30)), None, Some(millis(10)), Some(millis(20))]);
        assert_eq!((curve.trials(), curve.mean()), (4, None));
        assert_eq!(
            [500, 750, 1000].map(|part| curve.within(part)),
            [Some(millis(20)), Some(millis(30)), None]
        );
        assert_eq!(curve.longer_than(millis(10)), 750);
        assert_eq!(Curve::new(RANGES[0], &[Some(millis(3)), Some(millis(5))]).mean(), Some(millis(4)));
        assert_eq!(Curve::new(RANGES[0], &[]).within(500), None);
    }
}
