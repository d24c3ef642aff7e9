//! Nodes that come and go while a cluster runs. No leader takes them in here: they are there, and belong to no one.

use raftlab::cluster::Cluster;
use raftlab::config::Settings;
use raftlab::faults::{End, NetChange};
use raftlab::lab::{Lab, Life, NodeOrder};
use raftlab::state_machine::kv::Command;
use raftlab::types::NodeId;

use crate::{assert_read, assert_safe, folder, leader, log_file, node, put, settings, start};

#[test]
fn a_node_is_added_on_new_files() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let mut cluster = start(&settings);
    put(&cluster, "a");
    let member = cluster.add_node(node(7)).expect("n7 is new");
    assert_eq!(member.node, node(7));
    assert!(member.store_id > 1, "later files than a founder's: {member}");
    assert_eq!(cluster.nodes(), [1, 2, 3, 7].map(node));
    assert_eq!(cluster.members().expect("a node leads").voters(), NodeId::first(3));
    let view = cluster.view(node(7));
    assert_eq!((view.life, view.status.last.index.0), (Life::Up, 0));
    let again = cluster.add_node(node(7)).expect_err("it runs");
    assert_eq!(again.to_string(), "n7 is already running");
    let log = std::fs::read_to_string(log_file(&settings.logs, node(7))).expect("it has a log");
    assert!(log.contains("is added, with new and empty files"), "{log}");
    put(&cluster, "b");
    cluster.order(node(7), NodeOrder::Crash).expect("it runs");
    cluster.order(node(7), NodeOrder::Restart).expect("it is down");
    assert_safe(&mut cluster);
    cluster.shutdown();
    let mut cluster = start(&settings);
    assert_eq!(cluster.nodes(), NodeId::first(3), "no log names n7, and n7 knows no member");
    assert!(cluster.has_old_files(node(7)));
    assert_read(&cluster, "b");
    assert_safe(&mut cluster);
}

#[test]
fn a_removed_node_leaves_its_files_and_a_later_one_of_its_name_begins_without_them() {
    for memory in [false, true] {
        let folder = folder();
        let settings = Settings { memory, ..settings(&folder, 3) };
        let mut cluster = start(&settings);
        put(&cluster, "a");
        let first = cluster.add_node(node(4)).expect("n4 is new");
        let runs = cluster.remove_node(node(4)).expect_err("it runs");
        assert_eq!(runs.to_string(), "n4 runs");
        assert!(!cluster.has_old_files(node(4)), "they are those of a node that runs");
        cluster.order(node(4), NodeOrder::Crash).expect("it runs");
        assert!(cluster.has_old_files(node(4)));
        cluster.remove_node(node(4)).expect("it is down");
        assert_eq!(cluster.nodes(), NodeId::first(3));
        let gone = cluster.order(node(4), NodeOrder::Restart).expect_err("it is gone");
        assert_eq!(gone.to_string(), "there is no n4: the nodes are n1 to n3");
        assert_eq!(settings.states.join("n4").exists(), !memory, "its files stay");
        assert_eq!(cluster.has_old_files(node(4)), !memory);
        let second = cluster.add_node(node(4)).expect("the name is free");
        assert!(second.store_id > first.store_id, "{second} comes after {first}");
        assert_eq!(cluster.view(node(4)).status.term.0, 0, "it has nothing of the first");
        put(&cluster, "b");
        assert_safe(&mut cluster);
    }
}

#[test]
fn the_last_node_stays() {
    let mut cluster = Cluster::builder().nodes(1).memory().start().expect("one node in memory");
    cluster.order(node(1), NodeOrder::Crash).expect("it runs");
    assert_eq!(cluster.remove_node(node(1)).expect_err("the last").to_string(), "n1 is the only node");
    assert_eq!(cluster.nodes(), [node(1)]);
}

#[test]
fn the_network_knows_who_comes_and_goes() {
    for express in [false, true] {
        let folder = folder();
        let mut cluster = start(&Settings { express, memory: true, ..settings(&folder, 3) });
        let first = leader(&cluster);
        Lab::change_network(&mut cluster, &NetChange::Partition(vec![vec![first]])).expect("two sides");
        cluster.add_node(node(9)).expect("n9 is new");
        let side: Vec<NodeId> = cluster.nodes().into_iter().filter(|other| *other != first).collect();
        assert_eq!(cluster.network_rules(), [NetChange::Partition(vec![vec![first], side])]);
        Lab::change_network(&mut cluster, &NetChange::Isolate(node(9))).expect("n9 is there");
        cluster.order(node(9), NodeOrder::Crash).expect("it runs");
        cluster.remove_node(node(9)).expect("it is down");
        let counted = cluster.network_counts();
        let is_gone = |end: End| end == End::Node(node(9));
        assert!(!counted.iter().any(|(from, to, _)| is_gone(*from) || is_gone(*to)), "{counted:?}");
        let unknown =
            Lab::change_network(&mut cluster, &NetChange::Isolate(node(9))).expect_err("it is gone");
        assert_eq!(unknown.to_string(), "there is no n9: the nodes are n1 to n3");
        cluster.heal();
        put(&cluster, "a");
        assert_safe(&mut cluster);
    }
}

#[test]
fn a_client_from_before_asks_a_node_that_came_later() {
    let mut cluster = Cluster::builder().nodes(1).memory().start().expect("one node in memory");
    let client = cluster.client();
    put(&cluster, "a");
    cluster.add_node(node(2)).expect("n2 is new");
    cluster.order(node(1), NodeOrder::Crash).expect("it runs");
    let ticket = client.within(std::time::Duration::from_secs(1));
    let failed = ticket.submit(Command::put("b", "2")).expect_err("nobody leads");
    let asked = cluster.network_counts().into_iter();
    let asked = asked.filter(|(from, to, _)| (*from, *to) == (End::Clients, End::Node(node(2))));
    assert!(asked.map(|(_, _, counts)| counts.delivered).sum::<u64>() > 0, "n2 was asked: {failed}");
    cluster.order(node(1), NodeOrder::Restart).expect("it is down");
    put(&cluster, "b");
    assert_safe(&mut cluster);
}

#[test]
fn a_node_that_cannot_be_added_leaves_everything_as_it_was() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let mut cluster = start(&settings);
    // A file is where the folder of n4 belongs, a folder where the log of n5 does.
    std::fs::write(settings.states.join("n4"), "not a folder").expect("a writable folder");
    std::fs::create_dir(log_file(&settings.logs, node(5))).expect("a writable folder");
    for (name, reason) in [(4, "n4"), (5, "n5.log")] {
        let refused = cluster.add_node(node(name)).expect_err("its files cannot be made").to_string();
        assert!(refused.contains(reason) && !refused.contains('\n'), "{refused}");
    }
    assert_eq!(cluster.nodes(), NodeId::first(3));
    assert!(!settings.states.join("n5").exists(), "what was made is removed");
    cluster.add_node(node(6)).expect("n6 is new");
    put(&cluster, "a");
    assert_safe(&mut cluster);
}
