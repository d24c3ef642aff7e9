//! Clocks that break their bound: the one thing that makes a read by lease stale, and that nothing else minds.

use std::time::Duration;

use raftlab::client::{Ask, Outcome, What};
use raftlab::faults::{End, LinkScope, NetChange};
use raftlab::lab::Lab;
use raftlab::payload::Payload;
use raftlab::protocol::ReadMode;
use raftlab::server::RoleName;
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::state_machine::kv::{Answer, Command, Query};
use raftlab::types::{NodeId, Random};

/// Parts of a million of the true rate.
const TRUE_RATE: u64 = 1_000_000;

#[test]
fn a_read_by_lease_is_stale_only_when_clocks_break_their_bound() {
    const SEEDS: u64 = 60;
    let stale = |slowest, fastest| (1..=SEEDS).map(|seed| stale_reads(seed, slowest, fastest)).sum::<u64>();
    assert_eq!(stale(TRUE_RATE, TRUE_RATE), 0, "the same rate everywhere");
    assert_eq!(stale(950_000, 1_045_000), 0, "a tenth apart, as is allowed");
    let wild = stale(500_000, 2_000_000);
    assert!(wild > 0, "four times apart: no stale read was seen, so that the two lines above show nothing");
}

/// Cuts the leader off from the other nodes, again and again, while a client reads from it by lease and another writes
/// wherever it can. How many reads miss what was written before they began.
fn stale_reads(seed: u64, slowest: u64, fastest: u64) -> u64 {
    let mut simulation = Simulation::new(SimulationSettings::new(3, seed), None);
    let mut random = Random::new(seed);
    for name in simulation.nodes() {
        let rate = random.within(slowest, fastest);
        simulation.set_clock_rate(name, rate);
    }
    let mut written = 0;
    let mut stale = 0;
    for _ in 0..5 {
        run_for(&mut simulation, 2_000);
        let old = leaders(&mut simulation)[0];
        write(&mut simulation, &mut written, old);
        assert_eq!(read_by_lease(&mut simulation, old), Some(written), "a leader at rest answers");
        let others: Vec<NodeId> = simulation.nodes().into_iter().filter(|name| *name != old).collect();
        for other in others {
            let both_ways = LinkScope::Both(End::Node(old), End::Node(other));
            simulation.change(&NetChange::Cut(both_ways)).expect("a link can be cut");
        }
        for _ in 0..40 {
            run_for(&mut simulation, 5);
            if let Some(heir) = leaders(&mut simulation).into_iter().find(|name| *name != old) {
                write(&mut simulation, &mut written, heir);
            }
            let expected = written;
            stale += u64::from(read_by_lease(&mut simulation, old).is_some_and(|seen| seen < expected));
        }
        simulation.change(&NetChange::Heal(LinkScope::All)).expect("links can be healed");
    }
    assert!(simulation.safety().violations().is_empty(), "seed {seed}: clocks break no property of Figure 3");
    stale
}

fn run_for(simulation: &mut Simulation, millis: u64) {
    let until = simulation.now() + Duration::from_millis(millis);
    simulation.run_until(until);
}

fn leaders(simulation: &mut Simulation) -> Vec<NodeId> {
    let names = simulation.nodes();
    names.into_iter().filter(|name| simulation.view(*name).status.role == RoleName::Leader).collect()
}

/// Writes the next number, and counts it when it was answered.
fn write(simulation: &mut Simulation, written: &mut u64, at: NodeId) {
    let next = *written + 1;
    let what = What::commands([Command::put("x", next.to_string())]);
    if let Outcome::Answered(_) = ask(simulation, what, at) {
        *written = next;
    }
}

fn read_by_lease(simulation: &mut Simulation, at: NodeId) -> Option<u64> {
    let query = Payload::new(Query::Read { key: "x".into() });
    let Outcome::Answered(answered) = ask(simulation, What::Read { query, mode: ReadMode::Lease }, at) else {
        return None;
    };
    match answered.answer.value::<Answer>() {
        Ok(Answer::Value(value)) => value.parse().ok(),
        other => panic!("x was put: {other:?}"),
    }
}

fn ask(simulation: &mut Simulation, what: What, at: NodeId) -> Outcome {
    let timeout = Duration::from_millis(12);
    simulation.ask(vec![Ask { what, at: Some(at), timeout }]).pop().expect("one outcome to one call").outcome
}
