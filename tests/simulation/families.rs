//! The families of random runs, each with what its runs must have seen: a run without hard cases shows nothing.

use raftlab::sim::seeds::{self, Family, RunReport};
use raftlab::sim::tally::Tally;

use crate::run_seeds;

/// A number of a run's report.
type Number = fn(&RunReport) -> u64;

const AT_ONCE: (&str, Number) = ("writes durable at once", |report| report.tally.at_once);

/// The runs of a family, none of which broke anything.
struct Runs {
    family: Family,
    /// Those in which members change only if the family is about that.
    own: Vec<RunReport>,
}

impl Runs {
    /// Runs these many seeds. In the other families, those whose members change must show that they did.
    fn of(family: Family, seeds: u64) -> Runs {
        let reports = run_seeds(family, seeds);
        if family == Family::Members {
            return Runs { family, own: reports };
        }
        let (changing, own): (Vec<_>, Vec<_>) =
            reports.into_iter().partition(|report| seeds::changes_members(family, report.seed));
        let changing = Runs { family, own: changing };
        changing.saw(
            changing.count(),
            &[
                ("changes that ended", |report| report.tally.members.changes_ended),
                ("joint configurations committed", |report| report.tally.members.joint_committed),
            ],
        );
        changing.saw(
            0,
            &[
                ("learners promoted", |report| report.tally.members.promotions),
                ("leaders left out", |report| report.tally.members.leaders_left_out),
                ("joint configurations inherited", |report| report.tally.members.joint_inherited),
            ],
        );
        Runs { family, own }
    }

    fn count(&self) -> u64 {
        self.own.len() as u64
    }

    /// The family's own runs saw each of these more often than that.
    fn saw(&self, more_than: u64, all: &[(&str, Number)]) {
        for (what, number) in all {
            self.saw_times(more_than, what, self.own.iter().map(number).sum());
        }
    }

    fn saw_times(&self, more_than: u64, what: &str, times: u64) {
        let (family, runs) = (self.family.name(), self.count());
        assert!(
            times > more_than,
            "{runs} runs of the family {family} saw {times} times: {what}; they show too little about it"
        );
    }

    /// More calls than that were answered in each run, on average.
    fn answered(&self, a_run: u64) {
        self.saw(a_run * self.count(), &[("calls that were answered", |report| report.calls.answered)]);
    }

    fn tally(&self) -> Tally {
        let mut seen = Tally::default();
        for report in &self.own {
            seen += report.tally;
        }
        seen
    }
}

#[test]
fn every_seed_is_safe_and_heals() {
    let runs = Runs::of(Family::General, 280);
    for (what, times) in runs.tally().rows() {
        runs.saw_times(0, what, times);
    }
    runs.saw(1_000, &[AT_ONCE]);
    runs.answered(100);
}

#[test]
fn clients_that_behave_badly_are_served_exactly_once() {
    let runs = Runs::of(Family::Clients, 300);
    runs.saw(
        10,
        &[
            ("commands repeated and not applied again", |report| report.tally.duplicates),
            ("calls without an answer", |report| report.calls.unknown),
            ("unknown commands that had been applied", |report| report.calls.fates[0]),
            ("unknown commands that were given up", |report| report.calls.fates[1]),
            ("unknown commands whose session had expired", |report| report.calls.fates[2]),
            ("commands that shared an entry", |report| report.calls.gathered[0]),
            ("unknown commands that shared an entry", |report| report.calls.gathered[1]),
            ("sessions that expired", |report| report.tally.expired),
        ],
    );
    runs.answered(50);
}

#[test]
fn snapshots_every_few_entries_lose_nothing() {
    let runs = Runs::of(Family::Snapshots, 240);
    runs.saw(
        0,
        &[
            ("snapshots taken", |report| report.tally.snapshots_saved),
            ("snapshots sent", |report| report.tally.snapshots_sent),
            ("snapshots installed in place of a log", |report| {
                report.tally.snapshots_installed - report.tally.logs_kept
            }),
            ("snapshots installed, with the rest of the log kept", |report| report.tally.logs_kept),
            ("configurations committed, for nodes that lost their files", |report| {
                report.tally.members_committed
            }),
            ("leaders that handed over as their disk did not answer", |report| report.tally.handed_over),
        ],
    );
}

#[test]
fn reads_at_old_leaders_are_linearizable() {
    let runs = Runs::of(Family::Reads, 200);
    runs.saw(
        runs.count(),
        &[
            ("reads answered by a lease", |report| report.tally.lease_reads),
            ("reads answered by followers", |report| report.tally.follower_reads),
            ("promises kept", |report| report.tally.promises_kept),
        ],
    );
}

#[test]
fn elections_without_pre_vote_lose_nothing() {
    let runs = Runs::of(Family::Votes, 200);
    runs.saw(
        runs.count(),
        &[
            ("elections", |report| report.tally.elections),
            ("elections lost", |report| report.tally.elections_lost),
            ("uncommitted tails", |report| report.tally.uncommitted_tails),
        ],
    );
}

#[test]
fn nodes_that_lose_their_files_cost_nothing() {
    let runs = Runs::of(Family::Joining, 150);
    runs.saw(
        runs.count(),
        &[
            ("joint changes begun", |report| report.tally.joint_proposed),
            ("configurations committed, for nodes that lost their files", |report| {
                report.tally.members_committed
            }),
            ("elections lost", |report| report.tally.elections_lost),
        ],
    );
    runs.saw(runs.count() / 2, &[("nodes sent a snapshot", |report| report.tally.snapshots_sent)]);
}

#[test]
fn sessions_are_the_same_on_replicas_that_start_from_snapshots() {
    let runs = Runs::of(Family::Sessions, 100);
    runs.saw(
        10,
        &[
            ("snapshots taken", |report| report.tally.snapshots_saved),
            ("snapshots installed", |report| report.tally.snapshots_installed),
            ("commands repeated and not applied again", |report| report.tally.duplicates),
            ("commands of sessions that had expired", |report| report.tally.expired),
            ("unknown commands that had been applied", |report| report.calls.fates[0]),
            ("unknown commands that were given up", |report| report.calls.fates[1]),
            ("unknown commands whose answer was forgotten", |report| report.calls.forgotten),
        ],
    );
}

#[test]
fn slow_disks_and_stalls_of_leaders_only_cost_time() {
    let runs = Runs::of(Family::Stalls, 220);
    runs.saw(runs.count() / 2, &[("leaders that handed over", |report| report.tally.handed_over)]);
    runs.saw(
        runs.count(),
        &[("elections lost while votes became durable", |report| report.tally.elections_lost)],
    );
    runs.answered(50);
}

#[test]
fn transfers_cost_no_answer_and_no_lease() {
    let runs = Runs::of(Family::Transfers, 150);
    runs.saw(100, &[AT_ONCE]);
    runs.saw(
        runs.count(),
        &[
            ("transfers", |report| report.tally.transfers),
            ("transfers that were given up", |report| report.tally.transfers_given_up),
            ("orders that came too late", |report| report.tally.orders_ignored),
            ("reads answered by a lease", |report| report.tally.lease_reads),
        ],
    );
}

#[test]
fn damaged_files_are_refused_or_repaired_without_loss() {
    let runs = Runs::of(Family::Damage, 150);
    runs.saw(
        runs.count(),
        &[
            ("starts that were refused", |report| report.tally.refused_starts),
            ("nodes that came back", |report| report.tally.members_committed),
        ],
    );
}

#[test]
fn members_change_under_faults_and_nothing_is_lost() {
    let runs = Runs::of(Family::Members, 200);
    runs.saw(100, &[AT_ONCE]);
    for (what, times) in runs.tally().members.rows() {
        runs.saw_times(10, what, times);
    }
    runs.saw(10, &[("orders that came too late", |report| report.tally.orders_ignored)]);
    runs.answered(50);
}
