//! A cluster of one node that grows as far as a cluster can, and shrinks to one again.

use std::time::Duration;

use raftlab::kv::{Command, KeyValue, Query};
use raftlab::lab::NodeOrder;
use raftlab::sim::SimulationSettings;
use raftlab::simulation::{Request, SimulatedCluster};
use raftlab::types::NodeId;

const LARGEST: u8 = 99;

/// Begins a write before each change; each tenth change meets a node that is down, which is back five changes later.
fn change_each(
    cluster: &mut SimulatedCluster<KeyValue>,
    numbers: impl Iterator<Item = u8>,
    down: impl Fn(u8) -> u8,
    change: impl Fn(&mut SimulatedCluster<KeyValue>, NodeId),
) {
    let client = cluster.add_client();
    let mut crashed = None;
    for number in numbers {
        cluster.begin(client, Request::Command(Command::put("x", number.to_string())));
        if let (0, None) = (number % 10, crashed) {
            let node = NodeId::new(down(number));
            cluster.order(node, NodeOrder::Crash).expect("it runs");
            crashed = Some(node);
        }
        change(cluster, NodeId::new(number));
        if let Some(node) = crashed.take_if(|_| number % 10 == 5) {
            cluster.order(node, NodeOrder::Restart).expect("it is down");
        }
    }
    cluster.run_for(Duration::from_secs(1));
}

#[test]
fn a_cluster_grows_from_1_to_99_and_shrinks_to_1_while_nodes_crash() {
    let mut cluster = SimulatedCluster::new(SimulationSettings::new(1, 7), KeyValue::default);
    let client = cluster.add_client();
    cluster.call(client, Request::Command(Command::put("first", "1"))).expect("a node alone answers");

    change_each(
        &mut cluster,
        2..=LARGEST,
        |number| number / 2,
        |cluster, node| {
            let done = cluster.add(node).expect("a majority answers");
            assert_eq!(done.configuration.voters.len(), usize::from(node.number()));
        },
    );
    let members = cluster.members().expect("a node leads");
    assert_eq!(members.voters(), NodeId::first(LARGEST));

    // The leader is one of them, and removed nodes run on.
    change_each(
        &mut cluster,
        1..LARGEST,
        |number| number + 9,
        |cluster, node| {
            let done = cluster.remove(node).expect("a majority answers");
            assert_eq!(done.configuration.voters.len(), usize::from(LARGEST - node.number()));
        },
    );
    let last = NodeId::new(LARGEST);
    assert_eq!(cluster.members().expect("it leads").voters(), [last]);

    let read = Request::Query(Query::Read { key: "first".into() });
    assert!(cluster.call(client, read).is_some(), "98 removed nodes keep no client from the last");
    let history = cluster.history();
    assert!(history.iter().all(|call| call.returned.is_some()), "each call was answered");
    assert_eq!(history.len(), 2 + 98 * 2, "and none was rejected");
    assert_eq!(cluster.violations(), Vec::<String>::new());
}
