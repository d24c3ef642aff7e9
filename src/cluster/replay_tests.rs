//! A replay that is made to differ says where.

use super::Cluster;
use crate::lab::Lab;
use crate::recording::Recording;
use crate::server::applier::Task;
use crate::server::shape::Shaper;
use crate::server::{Outbox, RoleName};
use crate::sim::{Simulation, SimulationSettings};
use crate::state_machine::kv::Command;
use crate::types::{NodeId, Time};

#[test]
fn a_planted_difference_is_named_by_node_step_and_field() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let record = folder.path().join("record");
    let cluster = Cluster::builder().memory().record(&record).start().expect("a cluster starts");
    let client = cluster.client();
    for count in 0..20 {
        client.submit(Command::put("x", count.to_string())).expect("a leader answers");
    }
    drop(cluster);

    let recording = Recording::open(&record, false).expect("a recording");
    let mut replay = Simulation::following(recording, None).expect("it can be read");
    let leading = |replay: &mut Simulation| {
        NodeId::first(3).into_iter().find(|node| replay.view(*node).status.role == RoleName::Leader)
    };
    let leader = loop {
        assert!(replay.advance(Time::NEVER), "a node led");
        if let Some(leader) = leading(&mut replay) {
            break leader;
        }
    };
    assert_eq!(replay.replay_report().expect("it follows").differences, []);
    let planted = replay.now();
    replay.server_mut(leader).raft_mut().settings.in_flight_messages_max = 0;
    while replay.advance(Time::from_nanos(u64::MAX - 1)) {}
    let report = replay.replay_report().expect("it follows");
    let first = report.differences.first().expect("it sends no entries");
    assert_eq!((first.node, first.field.as_str()), (leader, "its messages"), "{first}");
    assert!(first.step > 0 && first.time >= planted, "{first}");
    assert!(first.to_string().contains("its messages differ from the recording"), "{first}");
}

/// A caller's look may be left to the state machine's thread, behind entries that were left off; a recording has none of it.
#[test]
fn a_look_at_the_state_is_no_part_of_a_shape() {
    let mut simulation = Simulation::new(SimulationSettings::new(1, 1), None);
    let server = simulation.server_mut(NodeId::new(1));
    let shape = |tasks| Shaper::default().shape(server, &Outbox { tasks, ..Outbox::default() });
    let look = || Task::Look(Box::new(|_| ()));
    assert_eq!(shape(vec![look()]), shape(Vec::new()));
    assert_eq!(shape(vec![Task::Image, look()]).differs_in(&shape(Vec::new())), Some("what it applied"));
}
