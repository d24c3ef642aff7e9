//! Random runs in virtual time: whatever the faults, nothing is lost or done twice, and a healed cluster agrees.
//!
//! A failure names its seed; `cargo run --release --bin simulate -- --seed N` replays it.

use std::thread;
use std::time::Duration;

use raftlab::sim::seeds::{self, Clocks, Report};
use raftlab::sim::tally::Tally;
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::types::{NodeId, Time};

/// How many seeds `cargo test` runs.
const SEEDS: u64 = 400;

/// Runs these seeds on two threads.
fn run_seeds(first: u64, count: u64) -> Vec<Report> {
    let halves = [first..first + count / 2, first + count / 2..first + count];
    let workers = halves.map(|seeds| thread::spawn(move || seeds.map(seeds::run).collect::<Vec<_>>()));
    workers.into_iter().flat_map(|worker| worker.join().expect("a run reports, it does not panic")).collect()
}

#[test]
fn every_seed_is_safe_and_heals() {
    let reports = run_seeds(1, SEEDS);
    let mut seen = Tally::default();
    for report in &reports {
        let Report { seed, violations, tally, .. } = report;
        assert!(
            violations.is_empty(),
            "seed {seed}: {}\nreplay: cargo run --release --bin simulate -- --seed {seed}",
            violations.join("\n")
        );
        seen.add(tally);
    }
    for (what, times) in seen.rows() {
        assert!(times > 0, "no seed of {SEEDS} saw: {what}; the runs show nothing about it");
    }
    let answered: u64 = reports.iter().map(|report| report.calls[0]).sum();
    assert!(answered > 100 * SEEDS, "too few calls were answered to show anything: {answered}");
}

#[test]
fn reads_by_lease_are_linearizable_while_clocks_keep_their_bound() {
    const SEEDS: u64 = 150;
    let mut seen = Tally::default();
    for seed in 1..=SEEDS {
        let report = seeds::run_with_leases(seed, Clocks::WithinBound);
        assert!(report.violations.is_empty(), "seed {seed}: {}", report.violations.join("\n"));
        seen.add(&report.tally);
    }
    assert!(seen.lease_reads > 10 * SEEDS, "too few reads were answered by a lease: {}", seen.lease_reads);
    assert!(seen.promises_kept > 0, "no promise was ever put to the test");
}

#[test]
fn clocks_beyond_the_bound_harm_nothing_but_reads_by_lease() {
    const SEEDS: u64 = 150;
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
fn the_same_seed_is_the_same_run() {
    for seed in [3, 17, 42] {
        assert_eq!(seeds::run(seed), seeds::run(seed), "seed {seed}");
    }
    assert_ne!(seeds::run(3).digest, seeds::run(4).digest);
}

#[test]
fn a_healthy_cluster_keeps_its_leader_and_its_term() {
    for seed in 1..=20 {
        for nodes in [1, 2, 3, 5] {
            let mut simulation = Simulation::new(SimulationSettings::new(nodes, seed), None);
            simulation.run_until(Time::ZERO + Duration::from_secs(2));
            let tally = *simulation.tally();
            assert!(tally.leaders > 0, "seed {seed}: {nodes} nodes elect a leader within 2 s");
            simulation.run_until(Time::ZERO + Duration::from_secs(60));
            assert_eq!(
                simulation.tally().elections,
                tally.elections,
                "seed {seed}: no election in a healthy minute"
            );
        }
    }
}

#[test]
fn a_cut_off_node_raises_nobodys_term() {
    use raftlab::lab::Lab;
    use raftlab::net::change::NetChange;
    use raftlab::net::link::LinkScope;
    for seed in 1..=20 {
        let mut simulation = Simulation::new(SimulationSettings::new(3, seed), None);
        simulation.run_until(Time::ZERO + Duration::from_secs(2));
        let term = simulation.view(NodeId::new(1)).status.term;
        let follower = NodeId::first(3)
            .into_iter()
            .find(|&name| simulation.view(name).status.leader != Some(name))
            .expect("two of three follow");
        simulation.change(&NetChange::Isolate(follower)).expect("a node can be isolated");
        simulation.run_until(Time::ZERO + Duration::from_secs(20));
        simulation.change(&NetChange::Heal(LinkScope::All)).expect("links can be healed");
        simulation.run_until(Time::ZERO + Duration::from_secs(30));
        for name in NodeId::first(3) {
            assert_eq!(simulation.view(name).status.term, term, "seed {seed}: {name} (9.6: pre-vote)");
        }
    }
}
