//! Random runs in virtual time: under all faults nothing is lost or done twice, and a healed cluster agrees.
//!
//! A failure names its seed; `cargo run --release --bin simulate -- --seed N` replays it.

mod families;
mod healthy;
mod sizes;

use std::thread;

use raftlab::check::history::{self, Operation};
use raftlab::sim::seeds::{self, Clocks, Family, RunReport};
use raftlab::sim::tally::Tally;

/// Runs these seeds on two threads; each must be safe and heal, and the history that it writes keeps the rule of clients.
fn run_seeds(family: Family, count: u64) -> Vec<RunReport> {
    let halves = [1..=count / 2, count / 2 + 1..=count];
    let run = move |seed| {
        let mut written = Vec::new();
        let mut record = |operations: &[Operation]| written.extend_from_slice(operations);
        let mut report = seeds::run_recorded(family, seed, |_| {}, &mut record);
        let broken = history::broken_rule(&written);
        report.violations.extend(broken.map(|broken| format!("the history that is written: {broken:?}")));
        report
    };
    let workers = halves.map(|seeds| thread::spawn(move || seeds.map(run).collect::<Vec<_>>()));
    let reports =
        workers.into_iter().flat_map(|worker| worker.join().expect("a run reports, it does not panic"));
    let reports: Vec<RunReport> = reports.collect();
    for RunReport { seed, violations, .. } in &reports {
        assert!(
            violations.is_empty(),
            "seed {seed}: {}\nreplay: cargo run --release --bin simulate -- --family {} --seed {seed}",
            violations.join("\n"),
            family.name()
        );
    }
    reports
}

#[test]
fn reads_by_lease_are_linearizable_while_clocks_keep_their_bound() {
    const SEEDS: u64 = 100;
    let mut seen = Tally::default();
    for seed in 1..=SEEDS {
        let report = seeds::run_with_leases(seed, Clocks::WithinBound);
        assert!(report.violations.is_empty(), "seed {seed}: {}", report.violations.join("\n"));
        seen += report.tally;
    }
    assert!(seen.lease_reads > 10 * SEEDS, "too few reads were answered by a lease: {}", seen.lease_reads);
    assert!(seen.promises_kept > 0, "no promise was ever put to the test");
}

#[test]
fn clocks_beyond_the_bound_harm_nothing_but_reads_by_lease() {
    const SEEDS: u64 = 100;
    for seed in 1..=SEEDS {
        let report = seeds::run_with_leases(seed, Clocks::Wild);
        for violation in &report.violations {
            let about_reads =
                violation.starts_with("linearizable: ") || violation.contains(" said its state at ");
            assert!(about_reads, "seed {seed}: clocks matter to reads by lease alone, but {violation}");
        }
    }
}

#[test]
fn seeds_that_failed_once_pass() {
    for (family, seed, _why) in [
        (
            Family::Joining,
            730,
            "a node loses its files, joins, and loses those too: what it held first still counts",
        ),
        (Family::Sessions, 346, "the same"),
        (
            Family::Joining,
            852,
            "a node that was paused takes that for its disk's time, and campaigns no more",
        ),
        (Family::Damage, 592, "files are lost that C_old of a joint change needs"),
        (Family::Damage, 152, "what took a node in was not durable, and a crash took it away again"),
        (Family::Reads, 130, "entries that are replaced in the step in which they came are acknowledged"),
        (Family::Reads, 1057, "answers to rounds of an earlier term confirm reads of this one"),
        (
            Family::Stalls,
            31,
            "two candidates give each other pre-votes while the third node's vote is on its way",
        ),
        (Family::Stalls, 635, "refusals tell a candidate as well as votes do how slow the voters' disks are"),
        (Family::Members, 152, "who holds the newest log campaigns, though its log ends in its removal"),
        (Family::Members, 230, "an earlier server of a learner's name is promoted in its place"),
        (
            Family::General,
            281,
            "new files under a member's name hand over, and the next leader lets go of them",
        ),
        (
            Family::Snapshots,
            376,
            "a part of another leader's snapshot is acknowledged to the one that begins again",
        ),
        (Family::Votes, 701, "who leads an earlier term late need not know what a later one committed"),
    ] {
        let violations = seeds::run(family, seed).violations;
        assert_eq!(violations, Vec::<String>::new(), "{} {seed}", family.name());
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for family in Family::ALL {
        let run = |seed| seeds::run(family, seed);
        for seed in [3, 17, 42, 65] {
            assert_eq!(run(seed), run(seed), "seed {seed}");
        }
        assert_ne!(run(3).digest, run(4).digest);
    }
}
