//! The defects of the original (S: safety, L: liveness and resources, U: interface), each as a test named after it.
//!
//! Each test shows that the property holds here, and that the same scenario with the defect put in is noticed: a test
//! that could not fail would show nothing. Defects come as specimens of the simulator's museum, as settings, or as a
//! small stand-in for the part that had the defect; nothing in the shipped code can switch them on.

mod elections;
mod files;
mod interface;
mod liveness;
mod load;
mod reads;
mod resources;
mod safety;
mod snapshots;

use std::sync::Arc;
use std::time::Duration;

use raftlab::client::{Ask, Outcome, What};
use raftlab::lab::{Lab, Life, NodeView};
use raftlab::server::RoleName;
use raftlab::sim::museum::{self, Caught};
use raftlab::sim::seeds;
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::state_machine::kv::Command;
use raftlab::types::{NodeId, Time};

/// Random runs notice the defect of this name, and the same run without it is clean.
fn is_caught(name: &str) {
    const SEEDS: u64 = 400;
    let specimen = museum::specimen(name).expect("a specimen of this name");
    let catch = museum::hunt(specimen, SEEDS);
    let catch = catch.unwrap_or_else(|| panic!("no seed notices that {}", specimen.defect));
    let Caught::BySeeds { family, .. } = specimen.caught else { panic!("it was caught by a seed") };
    assert!(
        seeds::run(family, catch.seed).violations.is_empty(),
        "seed {} is clean without the defect",
        catch.seed
    );
}

/// A healthy cluster that has elected a leader, with or without a defect.
fn cluster(settings: SimulationSettings, defect: Option<&str>) -> Simulation {
    let mut simulation = Simulation::new(settings, None);
    if let Some(name) = defect {
        let specimen = museum::specimen(name).expect("a specimen of this name");
        simulation.break_rule(specimen.mutation());
    }
    run_for(&mut simulation, Duration::from_secs(2));
    simulation
}

fn of_three(defect: Option<&str>) -> Simulation {
    cluster(SimulationSettings::new(3, 1), defect)
}

fn run_for(simulation: &mut Simulation, span: Duration) {
    let until = simulation.now() + span;
    simulation.run_until(until);
}

/// The running nodes that lead, with their views.
fn leaders(simulation: &mut Simulation) -> Vec<(NodeId, NodeView)> {
    let views: Vec<_> =
        Lab::nodes(simulation).into_iter().map(|name| (name, simulation.view(name))).collect();
    let leads =
        |(_, view): &(NodeId, NodeView)| view.life == Life::Up && view.status.role == RoleName::Leader;
    views.into_iter().filter(leads).collect()
}

fn leader(simulation: &mut Simulation) -> NodeId {
    leaders(simulation).first().expect("a healthy cluster has a leader").0
}

fn followers(simulation: &mut Simulation) -> Vec<NodeId> {
    let leader = leader(simulation);
    Lab::nodes(simulation).into_iter().filter(|name| *name != leader).collect()
}

/// Creates these many keys at once, each with a value of so many bytes.
fn create(simulation: &mut Simulation, at: Option<NodeId>, count: usize, bytes: usize) -> Vec<Outcome> {
    let started = simulation.now().as_nanos();
    let ask = |number: usize| {
        let command = Command::create(format!("{started}.{number}"), "v".repeat(bytes));
        Ask { what: What::commands([command]), at, timeout: Duration::from_secs(1) }
    };
    let ended = simulation.ask((0..count).map(ask).collect());
    ended.into_iter().map(|ended| ended.outcome).collect()
}

/// Counts what passes by, from another place.
#[derive(Clone, Default)]
struct Counter(Arc<std::sync::atomic::AtomicU64>);

impl Counter {
    fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, std::sync::atomic::Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// The start of each run that drives the core by hand.
const START: Time = Time::ZERO;
