//! L1, L2, L7 to L10: nobody waits for ever, nobody is misled, and failures are seen.

use std::time::Duration;

use raftlab::client::{Ask, Outcome, Rejection, What};
use raftlab::client::{ClientCore, ClientSettings, WhenFull};
use raftlab::lab::{Lab, Life, NodeOrder};
use raftlab::payload::Payload;
use raftlab::protocol::{Address, Envelope, Packet, ReadMode, Reply, Response};
use raftlab::raft::effects::RejectReason;
use raftlab::raft::role::Progress;
use raftlab::state_machine::kv::Query;
use raftlab::storage::simulated::DiskFailure;
use raftlab::types::{ClientId, LogIndex, NodeId, Random, Term};

use crate::{START, create, followers, is_caught, leader, of_three, run_for};

#[test]
fn l1_a_late_refusal_never_leads_below_what_is_known_to_match() {
    let mut progress = Progress::new(1, LogIndex(6), START);
    progress.matched(LogIndex(5), 0);
    progress.sent(LogIndex(9), 100);
    assert!(progress.rejected(LogIndex(8), LogIndex(2)), "this rejection is news");
    assert!(!progress.rejected(LogIndex(8), LogIndex(2)), "the second one in flight is not");
    assert_eq!(progress.next_index, LogIndex(6), "just behind what matched, whatever the hints said");
    is_caught("stale-refusal-lowers-next");
}

#[test]
fn l2_a_node_whose_disk_failed_is_down_and_says_so() {
    let says_so = |defect| {
        let mut simulation = of_three(defect);
        let follower = followers(&mut simulation)[0];
        simulation.disk_of(follower).fail_always(DiskFailure::InputOutput);
        let outcomes = create(&mut simulation, None, 5, 1);
        let served = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Answered(_)));
        assert!(served, "two of three are enough");
        matches!(simulation.view(follower).life, Life::Down(reason) if reason.contains("disk failed"))
    };
    assert!(says_so(None), "the failure is seen");
    assert!(!says_so(Some("disk-failure-hidden")), "the defect shows");
}

#[test]
fn l7_nobody_is_sent_to_a_leader_that_is_gone() {
    let named = |defect| {
        let mut simulation = of_three(defect);
        // The client has its session before it is sent astray.
        create(&mut simulation, None, 1, 1);
        let survivor = followers(&mut simulation)[0];
        for victim in [leader(&mut simulation), followers(&mut simulation)[1]] {
            simulation.order(victim, NodeOrder::Crash).expect("it runs");
        }
        run_for(&mut simulation, Duration::from_secs(2));
        match create(&mut simulation, Some(survivor), 1, 1).remove(0) {
            Outcome::Rejected(Rejection::NotLeader { leader }) => leader,
            other => panic!("one of three cannot lead: {other:?}"),
        }
    };
    assert_eq!(named(None), None, "a leader that is doubted is not named");
    assert!(named(Some("dead-leader-named")).is_some(), "the defect shows");
}

#[test]
fn l8_a_client_that_is_sent_to_a_dead_node_looks_elsewhere() {
    // n1 names n2, which is down; n3 leads.
    let (dead, leading) = (NodeId::new(2), NodeId::new(3));
    let answer = |node: NodeId| match node {
        _ if node == dead => Response::Unreachable,
        _ if node == leading => {
            Response::Read { applied: LogIndex(1), staleness: None, answer: Payload::new("x") }
        }
        _ => Response::Rejected(RejectReason::NotLeader { leader: Some(dead) }),
    };
    for seed in 0..20 {
        let settings = ClientSettings::default();
        let mut client = ClientCore::new(ClientId(1), NodeId::first(3), settings, Random::new(seed));
        client.ask(START, read(Duration::from_secs(5)));
        let mut now = START;
        while !client.is_idle() {
            for envelope in client.take_outgoing() {
                let Address::Node(node) = envelope.to else { panic!("nodes are asked") };
                client.receive(now, answered(envelope, answer(node)));
            }
            now = client.deadline().min(now + Duration::from_secs(1));
            client.tick(now);
        }
        let outcome = client.take_ended().remove(0).outcome;
        assert!(matches!(outcome, Outcome::Answered(_)), "n3 answers in the end: {outcome:?}");
    }
    // The original's client connects to whomever it is sent to, and ends with the error of that connection.
    let follow = |node: NodeId| match answer(node) {
        Response::Rejected(RejectReason::NotLeader { leader: Some(leader) }) => match answer(leader) {
            Response::Unreachable => Err("connection refused"),
            _ => Ok(()),
        },
        _ => Ok(()),
    };
    assert!(follow(NodeId::new(1)).is_err(), "the defect shows");
}

#[test]
fn l10_each_of_many_failures_is_told_to_the_call_that_failed() {
    const CALLS: usize = 5;
    let mut client =
        ClientCore::new(ClientId(1), NodeId::first(3), ClientSettings::default(), Random::new(1));
    let asked: Vec<_> = (0..CALLS).map(|_| client.ask(START, read(Duration::from_secs(5)))).collect();
    // Each attempt is refused in the words of its own number; the last one first.
    let requests = client.take_outgoing();
    let reason = |number: usize| format!("command {number} is wrong");
    let failures = (0..CALLS).zip(requests).rev().collect::<Vec<_>>();
    for (number, envelope) in failures.clone() {
        client.receive(START, answered(envelope, Response::Invalid(reason(number))));
    }
    let mut told: Vec<_> =
        client.take_ended().into_iter().map(|ended| (ended.call_id, ended.outcome)).collect();
    told.sort_by_key(|(call_id, _)| *call_id);
    let rejected = |number| Outcome::Rejected(Rejection::Invalid(reason(number)));
    let expected: Vec<_> = asked.iter().copied().zip((0..CALLS).map(rejected)).collect();
    assert_eq!(told, expected);

    // The original keeps the command that runs in one place for all: whatever fails is told as the newest.
    let newest = asked.last().copied().expect("there are calls");
    let told: Vec<_> = failures.iter().map(|(number, _)| (newest, rejected(*number))).collect();
    assert_ne!(told, expected, "the defect shows");
}

/// A linearizable read that may take so long.
fn read(timeout: Duration) -> Ask {
    let what = What::Read { query: Payload::new(Query::Keys {}), mode: ReadMode::Linearizable };
    Ask { what, at: None, timeout }
}

#[test]
fn l9_a_client_that_finds_nobody_tries_at_a_bounded_rate() {
    const BOUND: usize = 100;
    let patient = ClientSettings {
        attempt_timeout: Duration::from_millis(400),
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(100),
        copies: 1,
        when_full: WhenFull::Wait,
    };
    let hasty = ClientSettings {
        backoff_min: Duration::from_micros(6),
        backoff_max: Duration::from_micros(6),
        ..patient
    };
    let tries = attempts_in_a_second(patient);
    assert!((4..BOUND).contains(&tries), "it keeps trying, with pauses: {tries}");
    assert!(attempts_in_a_second(hasty) > BOUND, "the defect shows");
}

/// How often a client asks within a second while every node is down.
fn attempts_in_a_second(settings: ClientSettings) -> usize {
    let mut client = ClientCore::new(ClientId(1), NodeId::first(3), settings, Random::new(1));
    let end = START + Duration::from_secs(1);
    client.ask(START, read(Duration::from_secs(5)));
    let mut attempts = 0;
    let mut now = START;
    while now < end {
        let outgoing = client.take_outgoing();
        if outgoing.is_empty() {
            now = client.deadline();
            client.tick(now);
        }
        for envelope in outgoing {
            attempts += 1;
            client.receive(now, answered(envelope, Response::Unreachable));
        }
    }
    attempts
}

/// The answer to a request, from the node that was asked.
fn answered(envelope: Envelope, response: Response) -> Envelope {
    let Packet::Request(request) = envelope.packet else { panic!("a client sends requests") };
    let Envelope { from, to, .. } = envelope;
    assert!(matches!((from, to), (Address::Client(_), Address::Node(_))), "from a client to a node");
    let reply = Reply { attempt: request.attempt, term: Term(0), response };
    Envelope::new(to, from, Packet::Reply(reply))
}
