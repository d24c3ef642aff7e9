//! What a node measures of itself, from its start on: numbers that only grow, and how long things took.
//!
//! The node's threads count without a lock, each of them its own numbers; others read them at any time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::server::Status;
use crate::types::{LogIndex, NodeId, Term};

/// The classes of durations: 0.1 ms, and each of the others twice the one before; the last ends at 6.6 s.
const CLASSES: usize = 17;

/// The end of the first class.
const FIRST_CLASS: Duration = Duration::from_micros(100);

/// Steps of a leader whose entries are followed until they are committed. Entries of further ones are not measured.
const FOLLOWED_MAX: usize = 4_096;

/// The numbers of a node at a moment.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Measures {
    /// How often the node heard of a leader of a newer term, or of the first one; itself included.
    pub leader_changes: u64,
    /// Snapshots of its own that are durable.
    pub snapshots_made: u64,
    /// Snapshots of a leader whose state replaced its own.
    pub snapshots_installed: u64,
    /// How long each sync of the log took. A state in memory has none.
    pub syncs: Durations,
    /// While it leads: from the step that appends an entry to the step that knows it to be committed, each by its begin.
    pub commits: Durations,
}

/// Durations of one kind, counted in classes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Durations {
    /// How many took no longer than the end of each class and longer than that of the one before. The last are all that took
    /// longer.
    pub counts: Vec<u64>,
    /// All together.
    pub sum: Duration,
}

/// What the threads of a node count.
#[derive(Debug, Default)]
pub(super) struct Meters {
    leader_changes: AtomicU64,
    snapshots_made: AtomicU64,
    snapshots_installed: AtomicU64,
    pub syncs: DurationMeter,
    commits: DurationMeter,
}

#[derive(Debug, Default)]
pub(super) struct DurationMeter {
    counts: [AtomicU64; CLASSES + 1],
    nanos: AtomicU64,
}

/// What a node's thread remembers to measure its steps.
#[derive(Debug, Default)]
pub(super) struct StepMeter {
    /// The newest leader that it heard of.
    leader: Option<(Term, NodeId)>,
    /// The term that it leads.
    led: Option<Term>,
    last: LogIndex,
    /// The entries that it appended as this leader and that are not known to be committed, step by step.
    followed: VecDeque<StepEntries>,
}

/// The entries that a leader appended in one step.
#[derive(Debug)]
struct StepEntries {
    first: LogIndex,
    last: LogIndex,
    at: Instant,
}

impl Durations {
    /// The end of each class.
    pub fn ends() -> impl Iterator<Item = Duration> {
        (0..CLASSES).map(|class| FIRST_CLASS * (1 << class))
    }
}

impl DurationMeter {
    pub fn note(&self, took: Duration) {
        self.note_each(1, took);
    }

    /// Each of this many took this long.
    fn note_each(&self, count: u64, took: Duration) {
        let multiple = u64::try_from(took.as_nanos().div_ceil(FIRST_CLASS.as_nanos())).unwrap_or(u64::MAX);
        let class = multiple.max(1).checked_next_power_of_two().map_or(CLASSES, |next| next.ilog2() as usize);
        self.counts[class.min(CLASSES)].fetch_add(count, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).saturating_mul(count);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn read(&self) -> Durations {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Durations { counts, sum: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)) }
    }
}

impl Meters {
    pub fn read(&self) -> Measures {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Measures {
            leader_changes: read(&self.leader_changes),
            snapshots_made: read(&self.snapshots_made),
            snapshots_installed: read(&self.snapshots_installed),
            syncs: self.syncs.read(),
            commits: self.commits.read(),
        }
    }

    pub fn note_snapshots(&self, made: usize, installed: usize) {
        for (number, count) in [(&self.snapshots_made, made), (&self.snapshots_installed, installed)] {
            if count > 0 {
                number.fetch_add(count as u64, Ordering::Relaxed);
            }
        }
    }
}

impl StepMeter {
    /// For a node whose log ends there.
    pub fn new(last: LogIndex) -> StepMeter {
        StepMeter { last, ..StepMeter::default() }
    }

    /// A step that began then left the node in this state.
    pub fn note(&mut self, status: &Status, began: Instant, meters: &Meters) {
        if let Some(leader) = status.leader.map(|leader| (status.term, leader))
            && self.leader != Some(leader)
        {
            self.leader = Some(leader);
            meters.leader_changes.fetch_add(1, Ordering::Relaxed);
        }
        let led = status.led();
        if led != self.led {
            self.followed.clear();
            self.led = led;
        }
        let last = status.last.index;
        if led.is_some() {
            if last > self.last && self.followed.len() < FOLLOWED_MAX {
                self.followed.push_back(StepEntries { first: self.last.next(), last, at: began });
            }
            self.note_commits(status.commit, began, &meters.commits);
        }
        self.last = last;
    }

    fn note_commits(&mut self, commit: LogIndex, began: Instant, meter: &DurationMeter) {
        while let Some(appended) = self.followed.front_mut().filter(|appended| appended.first <= commit) {
            let committed = appended.last.min(commit);
            meter.note_each(committed.0 + 1 - appended.first.0, began - appended.at);
            if committed < appended.last {
                appended.first = committed.next();
                return;
            }
            self.followed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{EntryId, RoleName};

    #[test]
    fn each_duration_is_in_its_class() {
        let meter = DurationMeter::default();
        for micros in [0, 99, 100, 101, 200, 201, 6_553_600, 6_553_601, 3_600_000_000] {
            meter.note(Duration::from_micros(micros));
        }
        let read = meter.read();
        let of_class = |class: usize| read.counts[class];
        assert_eq!([0, 1, 2, CLASSES - 1, CLASSES].map(of_class), [3, 2, 1, 1, 2]);
        assert_eq!(read.counts.iter().sum::<u64>(), 9);
        assert_eq!(Durations::ends().last(), Some(Duration::from_micros(6_553_600)));
        meter.note(Duration::MAX);
        assert_eq!(meter.read().counts[CLASSES], 3);
    }

    #[test]
    fn entries_are_measured_by_the_leader_that_appended_them_once_they_are_committed() {
        let (meters, mut steps) = (Meters::default(), StepMeter::default());
        let mut step = |role, term, last: u64, commit| {
            let status = Status {
                role,
                term: Term(term),
                leader: Some(NodeId::new(if role == RoleName::Leader { 1 } else { 2 })),
                last: EntryId::new(Term(term), LogIndex(last)),
                commit: LogIndex(commit),
                ..Status::default()
            };
            steps.note(&status, Instant::now(), &meters);
            let read = meters.read();
            (read.leader_changes, read.commits.counts.iter().sum::<u64>())
        };
        assert_eq!(step(RoleName::Follower, 1, 5, 3), (1, 0), "another's entries");
        assert_eq!(step(RoleName::Leader, 2, 6, 3), (2, 0));
        assert_eq!(step(RoleName::Leader, 2, 9, 5), (2, 0), "it appended none of these");
        assert_eq!(step(RoleName::Leader, 2, 9, 7), (2, 2), "6, and 7 of three");
        assert_eq!(step(RoleName::Leader, 2, 9, 9), (2, 4));
        assert_eq!(step(RoleName::Leader, 2, 12, 9), (2, 4));
        assert_eq!(step(RoleName::Follower, 3, 12, 12), (3, 4), "it leads no more");
        assert_eq!(step(RoleName::Leader, 4, 13, 13), (4, 5), "none from before");
    }
}
