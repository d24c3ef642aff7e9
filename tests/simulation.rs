//! Random runs in virtual time: whatever the faults, nothing is lost or done twice, and a healed cluster agrees.
//!
//! A failure names its seed; `cargo run --release --bin simulate -- --seed N` replays it.

use std::thread;
use std::time::Duration;

use raftlab::check::history::{self, Operation};
use raftlab::lab::NodeOrder;
use raftlab::sim::seeds::{self, Clocks, Family, RunReport};
use raftlab::sim::tally::Tally;
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::types::{NodeId, Time};

/// How many seeds `cargo test` runs.
const SEEDS: u64 = 400;

/// How many seeds of clients that behave badly.
const CLIENT_SEEDS: u64 = 500;

/// How many seeds with many snapshots.
const SNAPSHOT_SEEDS: u64 = 400;

/// How many seeds with many reads at old leaders, and how many with many elections. They are short.
const READ_SEEDS: u64 = 300;
const VOTE_SEEDS: u64 = 300;

/// How many seeds with nodes that lose their files, and with files that are damaged. They are short.
const JOINING_SEEDS: u64 = 200;
const DAMAGE_SEEDS: u64 = 200;

/// How many seeds with small tables of sessions, and how many with slow disks.
const SESSION_SEEDS: u64 = 100;
const STALL_SEEDS: u64 = 220;

/// How many seeds with leaders that hand over. They are short.
const TRANSFER_SEEDS: u64 = 200;

/// How many seeds with members that change.
const MEMBER_SEEDS: u64 = 300;

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
fn every_seed_is_safe_and_heals() {
    let reports = run_seeds(Family::General, SEEDS);
    let mut seen = Tally::default();
    for report in &reports {
        seen += report.tally;
    }
    for (what, times) in seen.rows() {
        assert!(times > 0, "no seed of {SEEDS} saw: {what}; the runs show nothing about it");
    }
    let answered: u64 = reports.iter().map(|report| report.calls.answered).sum();
    assert!(answered > 100 * SEEDS, "too few calls were answered to show anything: {answered}");
}

#[test]
fn clients_that_behave_badly_are_served_exactly_once() {
    let reports = run_seeds(Family::Clients, CLIENT_SEEDS);
    let sum = |number: fn(&RunReport) -> u64| reports.iter().map(number).sum::<u64>();
    for (what, times) in [
        ("commands repeated and not carried out again", sum(|report| report.tally.duplicates)),
        ("calls without an answer", sum(|report| report.calls.unknown)),
        ("unknown commands that had been applied", sum(|report| report.calls.fates[0])),
        ("unknown commands that were given up", sum(|report| report.calls.fates[1])),
        ("unknown commands whose session had expired", sum(|report| report.calls.fates[2])),
        ("commands that shared an entry", sum(|report| report.calls.gathered[0])),
        ("unknown commands that shared an entry", sum(|report| report.calls.gathered[1])),
        ("sessions that expired", sum(|report| report.tally.expired)),
    ] {
        assert!(
            times > 10,
            "the {CLIENT_SEEDS} seeds saw {times} times: {what}; they show too little about it"
        );
    }
    let answered = sum(|report| report.calls.answered);
    assert!(answered > 50 * CLIENT_SEEDS, "too few calls were answered to show anything: {answered}");
}

#[test]
fn snapshots_every_few_entries_lose_nothing() {
    let reports = run_seeds(Family::Snapshots, SNAPSHOT_SEEDS);
    let sum = |number: fn(&RunReport) -> u64| reports.iter().map(number).sum::<u64>();
    for (what, times) in [
        ("snapshots taken", sum(|report| report.tally.snapshots_saved)),
        ("snapshots sent", sum(|report| report.tally.snapshots_sent)),
        (
            "snapshots installed in place of a log",
            sum(|report| report.tally.snapshots_installed - report.tally.logs_kept),
        ),
        ("snapshots installed, with the rest of the log kept", sum(|report| report.tally.logs_kept)),
        (
            "configurations committed, for nodes that lost their files",
            sum(|report| report.tally.members_committed),
        ),
        ("leaders that handed over as their disk did not answer", sum(|report| report.tally.handed_over)),
    ] {
        assert!(times > 0, "no seed of {SNAPSHOT_SEEDS} saw: {what}; the runs show nothing about it");
    }
}

#[test]
fn reads_at_old_leaders_are_linearizable() {
    let reports = run_seeds(Family::Reads, READ_SEEDS);
    let sum = |number: fn(&RunReport) -> u64| reports.iter().map(number).sum::<u64>();
    for (what, times) in [
        ("reads answered by a lease", sum(|report| report.tally.lease_reads)),
        ("reads answered by followers", sum(|report| report.tally.follower_reads)),
        ("promises kept", sum(|report| report.tally.promises_kept)),
    ] {
        assert!(times > READ_SEEDS, "the {READ_SEEDS} seeds saw {times} times: {what}; they show too little");
    }
}

#[test]
fn elections_without_pre_vote_lose_nothing() {
    let reports = run_seeds(Family::Votes, VOTE_SEEDS);
    let sum = |number: fn(&RunReport) -> u64| reports.iter().map(number).sum::<u64>();
    for (what, times) in [
        ("elections", sum(|report| report.tally.elections)),
        ("elections lost", sum(|report| report.tally.elections_lost)),
        ("uncommitted tails", sum(|report| report.tally.uncommitted_tails)),
    ] {
        assert!(times > VOTE_SEEDS, "the {VOTE_SEEDS} seeds saw {times} times: {what}; they show too little");
    }
}

#[test]
fn nodes_that_lose_their_files_cost_nothing() {
    let reports = run_seeds(Family::Joining, JOINING_SEEDS);
    let sum = |number: fn(&RunReport) -> u64| reports.iter().map(number).sum::<u64>();
    for (what, times) in [
        ("joint changes begun", sum(|report| report.tally.joint_proposed)),
        (
            "configurations committed, for nodes that lost their files",
            sum(|report| report.tally.members_committed),
        ),
        ("elections lost", sum(|report| report.tally.elections_lost)),
    ] {
        assert!(
            times > JOINING_SEEDS,
            "the {JOINING_SEEDS} seeds saw {times} times: {what}; they show too little"
        );
    }
    let sent = sum(|report| report.tally.snapshots_sent);
    assert!(sent > JOINING_SEEDS / 2, "too few nodes came back by a snapshot: {sent}");
}

#[test]
fn sessions_are_the_same_on_replicas_that_start_from_snapshots() {
    let reports = run_seeds(Family::Sessions, SESSION_SEEDS);
    let sum = |number: fn(&RunReport) -> u64| reports.iter().map(number).sum::<u64>();
    for (what, times) in [
        ("snapshots taken", sum(|report| report.tally.snapshots_saved)),
        ("snapshots installed", sum(|report| report.tally.snapshots_installed)),
        ("commands repeated and not carried out again", sum(|report| report.tally.duplicates)),
        ("commands of sessions that had expired", sum(|report| report.tally.expired)),
        ("unknown commands that had been applied", sum(|report| report.calls.fates[0])),
        ("unknown commands that were given up", sum(|report| report.calls.fates[1])),
        ("unknown commands whose answer was forgotten", sum(|report| report.calls.forgotten)),
    ] {
        assert!(times > 10, "the {SESSION_SEEDS} seeds saw {times} times: {what}; they show too little");
    }
}

#[test]
fn slow_disks_and_stalls_of_leaders_only_cost_time() {
    let reports = run_seeds(Family::Stalls, STALL_SEEDS);
    let sum = |number: fn(&RunReport) -> u64| reports.iter().map(number).sum::<u64>();
    let handed_over = sum(|report| report.tally.handed_over);
    assert!(handed_over > STALL_SEEDS / 2, "too few leaders handed over: {handed_over}");
    let lost = sum(|report| report.tally.elections_lost);
    assert!(lost > 200, "too few elections were lost while votes became durable: {lost}");
    let answered = sum(|report| report.calls.answered);
    assert!(answered > 50 * STALL_SEEDS, "too few calls were answered to show anything: {answered}");
}

#[test]
fn transfers_cost_no_answer_and_no_lease() {
    let reports = run_seeds(Family::Transfers, TRANSFER_SEEDS);
    let sum = |number: fn(&RunReport) -> u64| reports.iter().map(number).sum::<u64>();
    for (what, times) in [
        ("transfers", sum(|report| report.tally.transfers)),
        ("transfers that were given up", sum(|report| report.tally.transfers_given_up)),
        ("orders that came too late", sum(|report| report.tally.orders_ignored)),
        ("reads answered by a lease", sum(|report| report.tally.lease_reads)),
    ] {
        assert!(
            times > TRANSFER_SEEDS,
            "the {TRANSFER_SEEDS} seeds saw {times} times: {what}; they show too little"
        );
    }
}

#[test]
fn members_change_under_faults_and_nothing_is_lost() {
    let reports = run_seeds(Family::Members, MEMBER_SEEDS);
    let mut seen = Tally::default();
    for report in &reports {
        seen += report.tally;
    }
    let late = [("orders that came too late", seen.orders_ignored)];
    for (what, times) in seen.members.rows().into_iter().chain(late) {
        assert!(
            times > 10,
            "the {MEMBER_SEEDS} seeds saw {times} times: {what}; they show too little about it"
        );
    }
    let answered: u64 = reports.iter().map(|report| report.calls.answered).sum();
    assert!(answered > 50 * MEMBER_SEEDS, "too few calls were answered to show anything: {answered}");
}

#[test]
fn a_healthy_cluster_fails_no_call_while_it_hands_over() {
    use raftlab::kv::{Command, KeyValue, Query};
    use raftlab::simulation::{Request, SimulatedCluster};
    for seed in 1..=10 {
        let mut cluster = SimulatedCluster::new(SimulationSettings::new(3, seed), KeyValue::default);
        let clients = [cluster.add_client(), cluster.add_client(), cluster.add_client()];
        cluster.call(clients[0], Request::Command(Command::put("x", "0"))).expect("a new cluster answers");
        let mut old = None;
        for step in 0..200_u64 {
            for client in clients {
                cluster.begin(client, Request::Command(Command::put("x", step.to_string())));
                cluster.begin(client, Request::Query(Query::Read { key: "x".into() }));
            }
            if step % 20 == 10 {
                let leader = cluster.leader().expect("it is healthy");
                cluster.order(leader, NodeOrder::Transfer(None)).expect("it runs");
                old = Some(leader);
            }
            if step % 20 == 19 {
                assert_ne!(cluster.leader(), old, "seed {seed}: another node leads");
            }
            cluster.run_for(Duration::from_millis(5));
        }
        cluster.run_for(Duration::from_secs(1));
        let history = cluster.history();
        assert_eq!(history.len(), 1 + 200 * 6, "seed {seed}: no call was rejected");
        assert!(history.iter().all(|call| call.returned.is_some()), "seed {seed}: each was answered");
    }
}

#[test]
fn damaged_files_are_refused_or_repaired_without_loss() {
    let reports = run_seeds(Family::Damage, DAMAGE_SEEDS);
    let sum = |number: fn(&RunReport) -> u64| reports.iter().map(number).sum::<u64>();
    let refused = sum(|report| report.tally.refused_starts);
    assert!(refused > DAMAGE_SEEDS, "too few starts were refused to show anything: {refused}");
    let taken_in = sum(|report| report.tally.members_committed);
    assert!(taken_in > DAMAGE_SEEDS, "too few nodes came back: {taken_in}");
}

#[test]
fn reads_by_lease_are_linearizable_while_clocks_keep_their_bound() {
    const SEEDS: u64 = 150;
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
        for seed in [3, 17, 42] {
            assert_eq!(run(seed), run(seed), "seed {seed}");
        }
        assert_ne!(run(3).digest, run(4).digest);
    }
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
    use raftlab::faults::{LinkScope, NetChange};
    use raftlab::lab::Lab;
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
