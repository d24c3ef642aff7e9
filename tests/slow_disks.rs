//! Disks that are slow for good, under all nodes, a majority or the leader: service goes on, and elections end, although
//! an fsync takes longer than any election timeout (5.6).

use std::time::Duration;

use raftlab::client::{Ask, Outcome, What};
use raftlab::lab::{DiskChange, Lab, NodeOrder};
use raftlab::server::RoleName;
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::state_machine::kv::Command;
use raftlab::types::{ClientId, NodeId, Random, Time};

/// How long clients send commands.
const LOAD: Duration = Duration::from_secs(6);

/// When the leader crashes, if it does, at the latest.
const CRASHED_BY: Duration = Duration::from_secs(4);

/// Whose disks are slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slow {
    All,
    Majority,
    Leader,
    /// All, and the leader's four times as much: as if it had to sync a few files more just then.
    Uneven,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    nodes: u8,
    slow: Slow,
    /// What an fsync takes longer.
    fsync: Duration,
    crash: bool,
    pre_vote: bool,
    seed: u64,
}

/// What came of a run.
#[derive(Debug)]
struct Seen {
    /// Terms that began after the disks became slow.
    terms: u64,
    /// The longest time that a command took.
    longest: Duration,
    /// Commands that were not answered.
    unanswered: usize,
}

/// The cases of one kind of slowness, over all sizes, times of an fsync, and seeds.
fn cases(slow: Slow, crash: bool, pre_vote: bool, seeds: u64) -> impl Iterator<Item = Case> {
    let kinds = [3, 5].into_iter().flat_map(|nodes| [50, 200, 600, 2_000].map(|millis| (nodes, millis)));
    kinds.flat_map(move |(nodes, millis)| {
        let fsync = Duration::from_millis(millis);
        (1..=seeds).map(move |seed| Case { nodes, slow, fsync, crash, pre_vote, seed })
    })
}

fn run(case: &Case) -> Seen {
    let mut settings = SimulationSettings::new(case.nodes, case.seed);
    settings.raft.pre_vote = case.pre_vote;
    let mut random = Random::new(case.seed);
    settings.link_jitter = random.duration(Duration::ZERO, Duration::from_millis(3));
    let mut simulation = Simulation::new(settings, None);
    simulation.run_until(Time::ZERO + Duration::from_secs(2));
    let leader = leader(&mut simulation).expect("a healthy cluster has a leader");
    let before = term(&mut simulation);
    for node in slow_nodes(case, leader, &mut random) {
        let times = if case.slow == Slow::Uneven && node == leader { 4 } else { 1 };
        simulation
            .order(node, NodeOrder::Disk(DiskChange::Slow(case.fsync * times)))
            .expect("a disk can be slow");
    }
    let client = ClientId(1);
    simulation.add_client(client);
    let begin = simulation.now();
    let crash_at = begin + random.duration(Duration::ZERO, CRASHED_BY);
    let mut crashes = case.crash;
    let mut asked = 0;
    while simulation.now() < begin + LOAD {
        let command = Command::put(format!("key {asked}"), "1");
        let timeout = Duration::from_secs(600);
        simulation.call(client, Ask { what: What::commands([command]), at: None, timeout });
        asked += 1;
        let next = simulation.now() + random.duration(Duration::ZERO, Duration::from_millis(100));
        simulation.run_until(next);
        if crashes && simulation.now() >= crash_at {
            crashes = false;
            simulation.order(leader, NodeOrder::Crash).expect("it runs");
        }
    }
    let mut ended = simulation.take_ended(client);
    let deadline = simulation.now() + Duration::from_secs(120);
    while ended.len() < asked && simulation.now() < deadline {
        simulation.advance(deadline);
        ended.extend(simulation.take_ended(client));
    }
    assert_eq!(simulation.safety().violations(), [], "{case:?}");
    let answered = ended.iter().filter(|end| matches!(end.outcome, Outcome::Answered(_)));
    Seen {
        terms: term(&mut simulation) - before,
        longest: ended.iter().map(|end| end.took).max().unwrap_or_default(),
        unanswered: asked - answered.count(),
    }
}

fn slow_nodes(case: &Case, leader: NodeId, random: &mut Random) -> Vec<NodeId> {
    let mut nodes = NodeId::first(case.nodes);
    match case.slow {
        Slow::All | Slow::Uneven => nodes,
        Slow::Leader => vec![leader],
        Slow::Majority => {
            while nodes.len() > usize::from(case.nodes) / 2 + 1 {
                let at = usize::try_from(random.below(nodes.len() as u64)).expect("a small number");
                nodes.remove(at);
            }
            nodes
        }
    }
}

fn leader(simulation: &mut Simulation) -> Option<NodeId> {
    let nodes = simulation.nodes();
    nodes.into_iter().find(|node| simulation.view(*node).status.role == RoleName::Leader)
}

/// The newest term that any node has seen.
fn term(simulation: &mut Simulation) -> u64 {
    let nodes = simulation.nodes();
    nodes.into_iter().map(|node| simulation.view(node).status.term.0).max().expect("there are nodes")
}

/// Runs the cases: each command is answered, within so many times of an fsync, and so many terms begin at most.
fn check(cases: impl Iterator<Item = Case>, fsyncs: u32, terms: u64) {
    for case in cases {
        let seen = run(&case);
        // Beside the disks: two elections among quick ones, and the clients' back-offs.
        let longest = case.fsync * fsyncs + Duration::from_secs(1);
        assert_eq!(seen.unanswered, 0, "{case:?}: {seen:?}");
        assert!(seen.terms <= terms, "{case:?}: {seen:?}, {terms} terms are enough");
        assert!(seen.longest <= longest, "{case:?}: {seen:?}, {longest:?} are enough");
    }
}

#[test]
fn a_leader_stays_where_no_other_disk_is_better() {
    check(cases(Slow::All, false, true, 5), 3, 0);
    check(cases(Slow::Majority, false, true, 5), 3, 0);
    check(cases(Slow::Uneven, false, true, 3), 3, 0);
}

#[test]
fn a_leader_whose_disk_alone_is_slow_holds_up_nobody() {
    // It hands over once; a message that overtakes another may cost one more term.
    check(cases(Slow::Leader, false, true, 5), 1, 2);
}

#[test]
fn elections_end_although_disks_are_slow() {
    check(cases(Slow::All, true, true, 8), 12, 3);
    check(cases(Slow::Majority, true, true, 8), 12, 3);
    check(cases(Slow::Leader, true, true, 5), 1, 2);
}

#[test]
fn elections_without_pre_votes_end_too() {
    check(cases(Slow::All, true, false, 6), 40, 8);
    check(cases(Slow::Majority, true, false, 6), 40, 30);
}
