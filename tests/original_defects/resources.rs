//! L11, L12, L13, L16: what an idle, slow or lost node may cost the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raftlab::clock::Clock;
use raftlab::faults::NetChange;
use raftlab::net::Transport;
use raftlab::net::inbox::{Inbox, InboxReceiver, inbox};
use raftlab::net::router::{Router, RouterSettings};
use raftlab::protocol::{Address, Envelope, Packet};
use raftlab::raft::message::{Body, Files, Message};
use raftlab::server::{Arrival, Server};
use raftlab::sim::SimulationSettings;
use raftlab::sim::mutation::Mutation;
use raftlab::storage::simulated::SimulatedDisk;
use raftlab::trace::{TraceEvent, What};
use raftlab::types::{NodeId, Random, Term, Time};

use crate::{Counter, cluster, create, followers, leader, of_three, run_for};

#[test]
fn l11_a_peer_that_hangs_costs_bounded_memory_and_nobody_else_anything() {
    const MESSAGES: usize = 2_000;
    const INBOX: usize = 16;
    // How many messages wait at the node that hangs, once the other has received all of its own.
    let waiting = |(sender, hanging): (Inbox, InboxReceiver)| {
        let router =
            Router::start(&NodeId::first(3), &RouterSettings::default(), Clock::start(), Random::new(1))
                .expect("a thread can be started");
        let handle = router.handle();
        let (other, reading) = inbox(MESSAGES, usize::MAX);
        handle.register(Address::Node(NodeId::new(2)), sender);
        handle.register(Address::Node(NodeId::new(3)), other);
        let deadline = Instant::now() + Duration::from_secs(20);
        for _ in 0..MESSAGES {
            handle.send(&mut vec![message(2)]);
            handle.send(&mut vec![message(3)]);
            reading.recv_deadline(deadline).expect("the node that works hears everything, at once");
        }
        router.stop();
        hanging.len()
    };
    assert!(waiting(inbox(INBOX, usize::MAX)) <= INBOX, "what does not fit is lost, as a network loses it");
    assert!(waiting(inbox(MESSAGES, INBOX * message(2).weight())) <= INBOX, "the same, counted in bytes");
    assert!(waiting(inbox(MESSAGES, usize::MAX)) > INBOX, "the defect shows");
}

fn message(to: u8) -> Envelope {
    let (from, to) = (NodeId::new(1), NodeId::new(to));
    let message =
        Message { from, to, term: Term(1), files: Files::FOUNDERS, body: Body::VoteReply { granted: true } };
    Envelope::new(from.into(), to.into(), Packet::Raft(message))
}

#[test]
fn l12_a_follower_that_is_cut_off_is_sent_little() {
    const BYTES_MAX: u64 = 200_000;
    let sent = |defect| {
        let mut simulation = of_three(defect);
        let follower = followers(&mut simulation)[0];
        simulation.change(&NetChange::Isolate(follower)).expect("a node can be isolated");
        for _ in 0..20 {
            create(&mut simulation, None, 1, 1_000);
        }
        let bytes = Counter::default();
        let counter = bytes.clone();
        simulation.set_observer(Some(Arc::new(move |event: &TraceEvent| match &event.what {
            What::MessageSent { flight, .. } | What::MessageDropped { flight, .. }
                if flight.message.to == follower =>
            {
                counter.add(flight.message.body.weight());
            }
            _ => {}
        })));
        run_for(&mut simulation, Duration::from_secs(1));
        bytes.get()
    };
    assert!(sent(None) < BYTES_MAX, "20,000 bytes wait for it, and are not sent without end");
    assert!(sent(Some("whole-tail-each-step")) > BYTES_MAX, "the defect shows");
}

#[test]
fn l13_an_idle_minute_costs_the_disk_nothing() {
    let operations = |defect| {
        let mut simulation = of_three(defect);
        let disks: Vec<_> = NodeId::first(3).into_iter().map(|name| simulation.disk_of(name)).collect();
        let count = || disks.iter().map(SimulatedDisk::operations).sum::<u64>();
        let before = count();
        run_for(&mut simulation, Duration::from_secs(60));
        count() - before
    };
    assert_eq!(operations(None), 0, "heartbeats change nothing that is kept");
    assert!(operations(Some("state-written-each-step")) > 1_000, "the defect shows");
}

/// Counts the steps of all nodes.
struct CountsSteps(Counter);

impl Mutation for CountsSteps {
    fn before(&mut self, _now: Time, _server: &mut Server, _arrivals: &mut Vec<Arrival>) {
        self.0.add(1);
    }
}

#[test]
fn l16_an_idle_cluster_wakes_up_only_for_its_heartbeats() {
    // For each heartbeat of 50 ms: the leader's step, two followers', and two for their answers.
    const STEPS_MAX: u64 = 10 * 20 * 5 * 11 / 10;
    let steps = |heartbeat| {
        let mut settings = SimulationSettings::new(3, 1);
        settings.raft.heartbeat = heartbeat;
        let mut simulation = cluster(settings, None);
        let steps = Counter::default();
        simulation.break_rule(Box::new(CountsSteps(steps.clone())));
        leader(&mut simulation);
        run_for(&mut simulation, Duration::from_secs(10));
        steps.get()
    };
    assert!(steps(Duration::from_millis(50)) <= STEPS_MAX, "nothing polls");
    assert!(steps(Duration::from_micros(500)) > STEPS_MAX, "the defect shows: a clock of half a millisecond");
}
