//! The museum of broken rules: each defect, put into the nodes of a random run, is caught by a property, and the same
//! run without it is clean.
//!
//! `cargo test --release --test museum -- --nocapture` prints which seed caught which defect, when and how. Specimens
//! that need a scenario of their own have it in `tests/original_defects`, or in `scenarios`.

mod ballot;
mod catalogue;
mod leases;
mod members;
mod orders;
mod scenarios;
mod table;

use std::collections::BTreeSet;
use std::thread;

use raftlab::sim::museum::{self, Caught, Specimen};
use raftlab::sim::seeds::{self, Family};

/// How many seeds a defect may need until it is caught. Each has a first one, which should be enough.
const SEEDS: u64 = 400;

#[test]
fn each_broken_rule_is_caught_and_the_same_runs_without_it_are_clean() {
    let by_seeds = museum::specimens().filter(|specimen| matches!(specimen.caught, Caught::BySeeds { .. }));
    let by_seeds: Vec<_> = by_seeds.collect();
    assert!(museum::specimens().count() >= 90 && by_seeds.len() >= 75, "{} by seeds", by_seeds.len());
    let caught = on_two_threads(by_seeds, caught_by);
    let escaped: Vec<&String> = caught.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(escaped.is_empty(), "{escaped:#?}");
    // Many are caught by the same runs.
    let runs: BTreeSet<(&str, u64)> = caught.into_iter().flatten().collect();
    let broken = on_two_threads(runs.into_iter().collect(), |(name, seed)| {
        let family = Family::ALL.into_iter().find(|family| family.name() == name);
        (name, seed, seeds::run(family.expect("it has just been run"), seed).violations)
    });
    let broken: Vec<_> = broken.into_iter().filter(|(_, _, violations)| !violations.is_empty()).collect();
    assert!(broken.is_empty(), "these complain without a defect too: {broken:#?}");
}

/// The family and the seed that catch a specimen, or why it was not caught as it should be.
#[allow(clippy::print_stdout, reason = "the catalogue is for people to read")]
fn caught_by(specimen: &Specimen) -> Result<(&'static str, u64), String> {
    let name = specimen.name;
    let (Some(catch), Caught::BySeeds { family, .. }) = (museum::hunt(specimen, SEEDS), specimen.caught)
    else {
        let Specimen { defect, caught, .. } = specimen;
        return Err(format!("{name}: no seed of {SEEDS} notices that {defect} ({caught:?})"));
    };
    let (seed, seconds) = (catch.seed, catch.after.as_secs_f64());
    println!("{name:<34} seed {seed:>3} {seconds:>8.3} s  {}", catch.complaint);
    Ok((family.name(), seed))
}

fn on_two_threads<T: Send + 'static, R: Send + 'static>(
    all: Vec<T>,
    work: impl Fn(T) -> R + Copy + Send + 'static,
) -> Vec<R> {
    let (even, odd): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(number, _)| number % 2 == 0);
    let workers = [even, odd]
        .map(|half| thread::spawn(move || half.into_iter().map(|(_, each)| work(each)).collect::<Vec<R>>()));
    workers.into_iter().flat_map(|worker| worker.join().expect("a run reports, it does not panic")).collect()
}
