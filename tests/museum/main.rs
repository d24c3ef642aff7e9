//! The museum of broken rules: each defect, put into the nodes of a random run, is caught by a property, and the same
//! run without it is clean.
//!
//! `simulate museum` prints which seed caught which defect and when; its table is what is judged here. Specimens that need a
//! scenario of their own have it in `tests/original_defects`, or in `scenarios`.

mod ballot;
mod catalogue;
mod leases;
mod members;
mod orders;
mod scenarios;
mod table;

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;

use raftlab::sim::museum::{self, Caught, Specimen};
use raftlab::sim::seeds::{self, Family};

/// The table as `simulate museum` prints it, in lines.
fn printed() -> Vec<String> {
    let ran =
        Command::new(env!("CARGO_BIN_EXE_simulate")).arg("museum").output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
    let (out, err) = (text(ran.stdout), text(ran.stderr));
    assert!(ran.status.success(), "a specimen is not caught any more:\n{out}{err}");
    assert_eq!(err, "", "what a broken node says of itself is no news here");
    out.lines().map(str::to_string).collect()
}

/// The family and the seed that caught a specimen, from its row; none if it needs a scenario.
fn caught_by(specimen: &Specimen, row: &str) -> Option<(&'static str, u64)> {
    let words: Vec<&str> = row.split_whitespace().collect();
    let [name, .., by, seed, seconds] = words[..] else { panic!("no row: {row}") };
    assert_eq!(name, specimen.name, "each specimen has its row, in order");
    let Caught::BySeeds { family, .. } = specimen.caught else {
        assert!(row.contains(" a scenario ") && [by, seed, seconds] == ["-"; 3], "{row}");
        return None;
    };
    assert!(by == family.name() && seconds.parse::<f64>().is_ok_and(|seconds| seconds > 0.0), "{row}");
    Some((family.name(), seed.parse().expect("a seed")))
}

#[test]
fn each_broken_rule_is_caught_and_the_same_runs_without_it_are_clean() {
    let lines = printed();
    let too_long = lines.iter().find(|line| line.chars().count() > 100);
    assert_eq!(too_long, None, "a line has 100 columns");
    let (head, rows) = lines.split_first().expect("a head");
    assert!(head.starts_with("specimen ") && head.ends_with(" seconds"), "{head}");
    assert_eq!(rows.len(), 2 * museum::specimens().count(), "a specimen has a row and its defect");
    let texts = rows.iter().step_by(2);
    let given = texts.clone().find(|row| row.starts_with("vote-given-twice ")).expect("it is on show");
    let words: Vec<&str> = given.split_whitespace().collect();
    assert_eq!(words[1..7], ["5.2", "one", "vote", "a", "term", "general"], "{given}");
    let caught: Vec<_> =
        museum::specimens().zip(texts).filter_map(|(one, text)| caught_by(one, text)).collect();
    assert!(museum::specimens().count() >= 90 && caught.len() >= 75, "{} by seeds", caught.len());
    // Many are caught by the same runs.
    let runs: BTreeSet<(&str, u64)> = caught.into_iter().collect();
    let broken = on_two_threads(runs.into_iter().collect(), |(name, seed)| {
        let family = Family::ALL.into_iter().find(|family| family.name() == name);
        (name, seed, seeds::run(family.expect("it has just been run"), seed).violations)
    });
    let broken: Vec<_> = broken.into_iter().filter(|(_, _, violations)| !violations.is_empty()).collect();
    assert!(broken.is_empty(), "these complain without a defect too: {broken:#?}");
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
