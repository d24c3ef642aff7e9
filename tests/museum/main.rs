//! The museum of broken rules: each defect, put into the nodes of a random run, is caught by a property, and the same
//! run without it is clean.
//!
//! `cargo test --release --test museum -- --nocapture` prints which seed caught which defect, when and how. Specimens
//! that need a scenario of their own have it in `tests/original_defects`, or in `scenarios`.

mod catalogue;
mod leases;
mod scenarios;

use std::thread;

use raftlab::sim::museum::{self, Caught, Specimen};
use raftlab::sim::seeds;

/// How many seeds a defect may need until it is caught.
const SEEDS: u64 = 400;

#[test]
fn each_broken_rule_is_caught_and_the_same_runs_without_it_are_clean() {
    let by_seeds = museum::specimens().filter(|specimen| matches!(specimen.caught, Caught::BySeeds { .. }));
    let (even, odd): (Vec<_>, Vec<_>) = by_seeds.enumerate().partition(|(number, _)| number % 2 == 0);
    let workers = [even, odd].map(|specimens| {
        thread::spawn(move || specimens.into_iter().filter_map(|(_, each)| escaped(each)).collect())
    });
    let escaped: Vec<Vec<String>> =
        workers.into_iter().map(|worker| worker.join().expect("a hunt reports, it does not panic")).collect();
    assert!(escaped.iter().all(Vec::is_empty), "{}", escaped.concat().join("\n"));
}

/// Why a specimen was not caught as it should be; none if it was.
#[allow(clippy::print_stdout, reason = "the catalogue is for people to read")]
fn escaped(specimen: &Specimen) -> Option<String> {
    let name = specimen.name;
    let Some(catch) = museum::hunt(specimen, SEEDS) else {
        return Some(format!(
            "{name}: no seed of {SEEDS} notices that {} ({:?})",
            specimen.defect, specimen.caught
        ));
    };
    let (seed, seconds) = (catch.seed, catch.after.as_secs_f64());
    println!("{name:<34} seed {seed:>3} {seconds:>8.3} s  {}", catch.complaint);
    let Caught::BySeeds { family, .. } = specimen.caught else { panic!("it was caught by a seed") };
    let clean = seeds::run(family, seed).violations;
    (!clean.is_empty()).then(|| format!("{name}: seed {seed} complains without the defect too: {clean:?}"))
}
