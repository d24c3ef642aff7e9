//! A thousand random damages of a cluster's files: nothing that was answered is lost outside the named limit, no node
//! panics, and the cluster serves whenever a quorum of its nodes starts.
//!
//! Each damage falls on one node of three. The cluster then starts twice from the same files: once with all nodes, once
//! with one of the others away. ARCHITECTURE.md names the limit: entries behind the last record of how long the log was
//! durable, and an older copy of a node's files.

mod cluster;
mod damages;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raftlab::lab::{Lab, NodeOrder};
use raftlab::raft::event::Event;
use raftlab::raft::membership::MemberRole;
use raftlab::trace::{TraceEvent, What};
use raftlab::types::{LogIndex, NodeId, Random};

use cluster::{Base, End, started};
use damages::Damage;

/// How many damages `cargo test` tries.
const DAMAGES: u64 = 1_000;

/// How many clusters they fall on.
const BASES: u64 = 10;

/// What became of a damage.
#[derive(Default, Debug)]
struct Tally {
    /// The node refused to start.
    refused: u64,
    /// It started with all that it had.
    whole: u64,
    /// It started with less, and only what the limit names was missing.
    within_limit: u64,
    /// And an answered write was lost by that, since another node that held it was away.
    lost_within_limit: u64,
}

#[test]
fn damaged_files_lose_nothing_that_was_answered() {
    let mut tally = Tally::default();
    let bases: Vec<Base> = (1..=BASES).map(Base::make).collect();
    for seed in 1..=DAMAGES {
        let mut random = Random::new(seed);
        let base = &bases[usize::try_from(seed % BASES).expect("a small number")];
        let victim = *random.pick(&NodeId::first(3)).expect("three nodes");
        let damage = Damage::draw(base, victim, &mut random);
        let others: Vec<NodeId> = NodeId::first(3).into_iter().filter(|node| *node != victim).collect();
        let away = *random.pick(&others).expect("two others");
        for away in [None, Some(away)] {
            let context = format!("seed {seed}: {}, {victim}: {damage}, away: {away:?}", base.name);
            judge(base, victim, &damage, away, &context, &mut tally);
        }
    }
    assert!(tally.refused > DAMAGES / 2, "most damages are refused: {tally:?}");
    assert!(tally.whole > DAMAGES / 50, "some do no harm: {tally:?}");
    assert!(tally.within_limit > 0, "the limit is met too: {tally:?}");
}

/// A follower's log loses entries that it had acknowledged to the leader of the term, and nothing in its files shows it.
#[test]
fn a_leader_recognises_a_follower_that_lost_what_it_acknowledged() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (mut simulation, leader, follower) = cluster::at_work(&told);
    let before = simulation.view(follower).status.last.index;
    simulation.order(follower, NodeOrder::Crash).expect("it runs");
    assert_eq!(cluster::lose_last_entries(&mut simulation, follower, 2), before);
    simulation.order(follower, NodeOrder::Restart).expect("its files do not show it");
    cluster::wait(&mut simulation, Duration::from_secs(5));
    let told = told.lock();
    let place = |node: NodeId, wanted: &dyn Fn(&Event) -> bool| {
        let found = |event: &TraceEvent| matches!(&event.what, What::Raft(raft) if event.node == node && wanted(raft));
        told.iter().position(found).unwrap_or_else(|| panic!("{node} tells it"))
    };
    let (acknowledged, held) = (before, LogIndex(before.0 - 2));
    let lost = Event::AcknowledgedLost { node: follower, acknowledged, held, rejoins: true };
    let recognised = place(leader, &|event| *event == lost);
    let rejoining = place(follower, &|event| *event == Event::Rejoining);
    let taken_in = place(leader, &|event| matches!(event, Event::MembersCommitted { .. }));
    assert!(recognised < rejoining && rejoining < taken_in);
    let all: Vec<_> =
        NodeId::first(3).into_iter().map(|node| simulation.items(node).expect("it runs")).collect();
    assert!(all[0].len() == 5 && all.iter().all(|items| *items == all[0]), "{all:?}");
    assert!(
        NodeId::first(3).into_iter().all(|node| simulation.view(node).status.member == MemberRole::Voter)
    );
}

fn judge(
    base: &Base,
    victim: NodeId,
    damage: &Damage,
    away: Option<NodeId>,
    context: &str,
    tally: &mut Tally,
) {
    let end = started(base, victim, damage.files(), away);
    let End { refused, held, served, lost, stopped, broken } = &end;
    let less = *held < base.held(victim);
    let excused = !refused && (damage.is_older_copy() || less && *held >= base.floor(victim));
    match (refused, less || damage.is_older_copy()) {
        (true, _) => tally.refused += 1,
        (false, false) => tally.whole += 1,
        (false, true) => tally.within_limit += 1,
    }
    assert!(*refused || !less || excused, "{context}: it started with {held} of {}", base.held(victim));
    // A loss that no file shows may surprise a node that holds what was lost: it stops rather than forget it.
    let whole = stopped.is_empty() && broken.is_empty();
    assert!(excused || whole, "{context}: {stopped:?} {broken:?}");
    if !lost.is_empty() {
        assert!(excused, "{context}: lost {lost:?}");
        tally.lost_within_limit += 1;
    }
    let running = 3 - u64::from(*refused) - u64::from(away.is_some());
    assert_eq!(*served, running >= 2, "{context}: {running} of three run");
}
