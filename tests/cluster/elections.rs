//! Who leads, and what a majority decides.

use std::thread;
use std::time::{Duration, Instant};

use raftlab::RaftSettings;
use raftlab::cluster::{Cluster, LeadershipKind};
use raftlab::faults::{LinkScope, NetChange};
use raftlab::lab::{Lab, Life, NodeOrder};
use raftlab::server::RoleName;
use raftlab::state_machine::kv::{Answer, Command, Query};

use crate::{
    PATIENCE, assert_read, assert_safe, converge, folder, leader, others, put, settings, start, wait_until,
};

#[test]
fn a_leader_appears_within_a_second_and_serves() {
    let folder = folder();
    let begun = Instant::now();
    let mut cluster = start(&settings(&folder, 3));
    leader(&cluster);
    assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
    let client = cluster.client();
    let batch = vec![Command::create("x", "1"), Command::create("x", "2"), Command::update("x", "3")];
    let answers = client.submit_batch(batch).unwrap().answer;
    assert_eq!(answers, [Answer::Created, Answer::Exists, Answer::Updated]);
    let read = client.read(Query::Read { key: "x".into() }).unwrap();
    assert_eq!(read.answer, Answer::Value("3".into()));
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_minority_commits_nothing_and_heals() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let old = leader(&cluster);
    let rest = others(&cluster, old);
    cluster.change_network(&NetChange::Partition(vec![vec![old], rest.clone()])).unwrap();
    wait_until(&mut cluster, "the majority elects", |cluster| {
        rest.iter().any(|node| cluster.view(*node).status.role == RoleName::Leader)
    });
    wait_until(&mut cluster, "the old leader steps down", |cluster| {
        cluster.view(old).status.role != RoleName::Leader
    });
    let before = cluster.view(old).status.commit;
    put(&cluster, "b");
    assert_eq!(cluster.view(old).status.commit, before, "a minority commits nothing");
    assert_eq!(cluster.items(old).unwrap().len(), 1);
    cluster.change_network(&NetChange::Heal(LinkScope::All)).unwrap();
    converge(&mut cluster);
    assert_eq!(cluster.items(old).unwrap().len(), 2);
    assert_safe(&mut cluster);
}

#[test]
fn settings_change_on_nodes_that_run_that_are_frozen_and_that_start_later() {
    let folder = folder();
    let short = settings(&folder, 3);
    let mut long = short.clone();
    (long.raft.election_min, long.raft.election_max) = (Duration::from_mins(10), Duration::from_mins(20));
    let mut cluster = start(&long);
    let [frozen, down, _] = cluster.nodes()[..] else { panic!("three nodes") };
    cluster.order(frozen, NodeOrder::Pause).unwrap();
    cluster.order(down, NodeOrder::Crash).unwrap();
    cluster.configure(short.raft.clone()).unwrap();
    assert_eq!(cluster.settings().now, short.raft);
    cluster.order(frozen, NodeOrder::Resume).unwrap();
    let first = leader(&cluster);
    cluster.order(down, NodeOrder::Restart).unwrap();
    cluster.order(first, NodeOrder::Crash).unwrap();
    leader(&cluster);
    let heartbeat = short.raft.election_max;
    let refused = cluster.configure(RaftSettings { heartbeat, ..short.raft }).unwrap_err().to_string();
    assert!(refused.starts_with("heartbeat: ") && refused.contains("half of election_min"), "{refused}");
    assert_safe(&mut cluster);
}

#[test]
fn one_node_is_a_cluster() {
    let folder = folder();
    let settings = settings(&folder, 1);
    let mut cluster = start(&settings);
    let n1 = leader(&cluster);
    put(&cluster, "a");
    assert_eq!(cluster.order(n1, NodeOrder::Stop).unwrap(), "all it had is on its disk");
    assert_eq!(cluster.view(n1).life, Life::Down("stopped".to_string()));
    cluster.order(n1, NodeOrder::Restart).unwrap();
    assert_read(&cluster, "a");
    assert_safe(&mut cluster);
}

#[test]
fn four_nodes_need_three() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 4));
    put(&cluster, "a");
    let first = leader(&cluster);
    let rest = others(&cluster, first);
    cluster.order(rest[0], NodeOrder::Crash).unwrap();
    put(&cluster, "b");
    cluster.order(rest[1], NodeOrder::Crash).unwrap();
    wait_until(&mut cluster, "two of four do not lead", |cluster| cluster.leader().is_none());
    let commit = |cluster: &mut Cluster| cluster.view(rest[2]).status.commit;
    let before = commit(&mut cluster);
    let ended = cluster.client().within(Duration::from_millis(500)).submit(Command::put("c", "1"));
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(commit(&mut cluster), before);
    cluster.order(rest[0], NodeOrder::Restart).unwrap();
    put(&cluster, "d");
    cluster.order(rest[1], NodeOrder::Restart).unwrap();
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_frozen_leader_is_replaced_and_follows_when_it_goes_on() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let frozen = leader(&cluster);
    cluster.order(frozen, NodeOrder::Pause).unwrap();
    assert_eq!(
        cluster.order(frozen, NodeOrder::Pause).unwrap_err().to_string(),
        format!("{frozen} is paused already")
    );
    assert!(cluster.order(frozen, NodeOrder::Campaign).unwrap_err().to_string().contains("is paused"));
    let seen = cluster.view(frozen);
    assert_eq!((seen.life, seen.status.role), (Life::Paused, RoleName::Leader));
    put(&cluster, "b");
    assert_ne!(cluster.leader(), Some(frozen));
    assert_eq!(cluster.view(frozen).status, seen.status, "it makes no step");
    let said = cluster.order(frozen, NodeOrder::Resume).unwrap();
    assert!(said.ends_with("waited in its inbox") && !said.starts_with("0 "), "{said}");
    converge(&mut cluster);
    cluster.order(frozen, NodeOrder::Pause).unwrap();
    assert_eq!(cluster.order(frozen, NodeOrder::Stop).unwrap(), "all it had is on its disk");
    assert_safe(&mut cluster);
}

#[test]
fn a_node_campaigns_when_it_is_told_to() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    // Whoever lacks an entry that the others hold gets no votes (5.4.1).
    converge(&mut cluster);
    let next = others(&cluster, leader(&cluster))[0];
    cluster.order(next, NodeOrder::Campaign).unwrap();
    wait_until(&mut cluster, "it wins", |cluster| cluster.leader() == Some(next));
    assert_read(&cluster, "a");
    assert_safe(&mut cluster);
}

#[test]
fn each_change_of_the_leader_is_told() {
    let mut cluster = Cluster::builder().memory().client_timeout(PATIENCE).start().unwrap();
    let mut changes = cluster.leadership();
    let gained = changes.next().expect("a leader");
    assert_eq!(gained.kind, LeadershipKind::Gained);
    cluster.order(gained.node, NodeOrder::Crash).unwrap();
    let lost = changes.next().expect("it crashed");
    assert_eq!((lost.kind, lost.node, lost.term), (LeadershipKind::Lost, gained.node, gained.term));
    let next = changes.next().expect("another leads");
    assert!(next.node != gained.node && next.term > gained.term && next.time >= lost.time, "{next:?}");
    cluster.change_network(&NetChange::Isolate(next.node)).unwrap();
    cluster.order(gained.node, NodeOrder::Restart).unwrap();
    let third = changes.find(|change| change.term > next.term).expect("a leader that others hear");
    assert_ne!(third.node, next.node);
    drop(cluster);
    assert_eq!(changes.find(|change| change.term < third.term), None, "it ends with the cluster");
}

#[test]
fn no_call_fails_while_leaders_hand_over_or_are_stopped() {
    let folder = folder();
    let mut settings = settings(&folder, 3);
    // No election timer runs out, and no client asks again: what is lost is missed.
    (settings.raft.election_min, settings.raft.election_max) =
        (Duration::from_mins(10), Duration::from_mins(20));
    let mut cluster = start(&settings);
    let first = cluster.nodes()[0];
    cluster.order(first, NodeOrder::Campaign).unwrap();
    leader(&cluster);
    let client = cluster.client().with_timeout(PATIENCE);
    let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
    let writer = thread::spawn(move || {
        let mut written = 0_u64;
        while stopped.try_recv() != Err(crossbeam_channel::TryRecvError::Disconnected) {
            client.submit(Command::put("x", written.to_string())).expect("answered");
            written += 1;
        }
        written
    });
    let mut led = leader(&cluster);
    for _ in 0..10 {
        let new = cluster.transfer(None).expect("it is healthy");
        assert_ne!(new, led);
        led = new;
    }
    let back = cluster.transfer(Some(first)).expect("it is healthy");
    assert_eq!(back, first);
    cluster.stop(first).unwrap();
    assert!(others(&cluster, first).contains(&leader(&cluster)), "it handed over before it ended");
    put(&cluster, "y");
    cluster.restart(first).unwrap();
    drop(stop);
    assert!(writer.join().unwrap() > 0);
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_leader_that_cannot_hand_over_says_why_and_leads_on() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    let old = leader(&cluster);
    let [one, other] = others(&cluster, old)[..] else { panic!("three nodes") };
    cluster.order(one, NodeOrder::Pause).unwrap();
    put(&cluster, "x");
    let refused = cluster.transfer(Some(one)).expect_err("it is frozen").to_string();
    assert!(refused.starts_with(&format!("{old} leads on: {one} ")), "{refused}");
    assert_eq!(leader(&cluster), old);
    cluster.order(one, NodeOrder::Resume).unwrap();
    assert_eq!(cluster.transfer(Some(other)).map_err(|error| error.to_string()), Ok(other));
    converge(&mut cluster);
    assert_safe(&mut cluster);
}
