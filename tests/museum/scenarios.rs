//! Broken rules that random runs seldom provoke, each with a scenario that does.

use std::time::Duration;

use raftlab::config::RaftSettings;
use raftlab::faults::{End, LinkScope, NetChange};
use raftlab::lab::{Lab, NodeOrder};
use raftlab::payload::Payload;
use raftlab::raft::effects::{Effects, Input, Proposal};
use raftlab::raft::entry::{Content, Entry, Origin};
use raftlab::raft::message::{Ack, AppendResult, Beat, Body, Files, Message};
use raftlab::raft::{Raft, Recovered};
use raftlab::server::RoleName;
use raftlab::sim::{Simulation, SimulationSettings, museum};
use raftlab::types::{EntryId, LogIndex, NodeId, Random, Term, Time};

#[test]
fn a_vote_of_an_earlier_term_elects_nobody() {
    // Everyone votes for `late` in one term; the answers of two are held back until it has asked for the next term,
    // in which the others elect another.
    let violations = |defect| {
        let mut simulation = cluster(SimulationSettings::new(5, 1), defect);
        let names = NodeId::first(5);
        let leader = leader(&mut simulation).expect("a healthy cluster has a leader");
        let others: Vec<NodeId> = names.into_iter().filter(|name| *name != leader).collect();
        let (late, rival) = (others[0], others[1]);
        for (number, voter) in [leader, others[2], others[3], rival].into_iter().enumerate() {
            let scope = LinkScope::OneWay(End::Node(voter), End::Node(late));
            let held_back = NetChange::Delay { delay: ms(130), jitter: Duration::ZERO, scope };
            change(&mut simulation, &if number < 2 { held_back } else { NetChange::Cut(scope) });
        }
        simulation.order(late, NodeOrder::Campaign).expect("it runs");
        run_for(&mut simulation, ms(100));
        for voter in simulation.nodes().into_iter().filter(|name| *name != late) {
            let scope = LinkScope::OneWay(End::Node(late), End::Node(voter));
            change(&mut simulation, &NetChange::Cut(scope));
        }
        simulation.order(late, NodeOrder::Campaign).expect("it runs");
        simulation.order(rival, NodeOrder::Campaign).expect("it runs");
        run_for(&mut simulation, ms(60));
        assert_eq!(simulation.view(rival).status.role, RoleName::Leader, "the rival is elected, rightly");
        simulation.safety().violations().to_vec()
    };
    assert_eq!(violations(None), []);
    let found = violations(Some("vote-replies-without-term"));
    assert!(found.iter().any(|violation| violation.property.name() == "election safety"), "{found:?}");
}

#[test]
fn an_acknowledgement_of_an_earlier_term_commits_nothing() {
    let (n1, n2, n3) = (NodeId::new(1), NodeId::new(2), NodeId::new(3));
    let commit_after = |late_term| {
        let settings = RaftSettings::default();
        let mut raft =
            Raft::new(n1, settings, Recovered::founder(NodeId::first(3)), Random::new(1), Time::ZERO);
        // n1 leads term 1 and sends four entries to n2, which holds them.
        lead(&mut raft, n2, 1, 3);
        // n3 leads term 2 and replaces them, at n1 and later at n2.
        let entry = Entry { index: LogIndex(1), term: Term(2), content: Content::NoOp };
        let body = Body::AppendEntries {
            prev: EntryId::ZERO,
            entries: vec![entry],
            commit: LogIndex(0),
            beat: Beat { round: 1, ..Beat::default() },
        };
        step(
            &mut raft,
            Input::Message(Message { from: n3, to: n1, term: Term(2), files: Files::FOUNDERS, body }),
        );
        // n1 leads term 3 and has four entries again. Now n2's old answer arrives.
        lead(&mut raft, n3, 3, 2);
        let body = Body::AppendReply {
            ack: Ack { round: 1, ..Ack::default() },
            result: AppendResult::Matched(LogIndex(4)),
        };
        step(
            &mut raft,
            Input::Message(Message { from: n2, to: n1, term: Term(late_term), files: Files::FOUNDERS, body }),
        );
        raft.commit_index()
    };
    assert_eq!(commit_after(1), LogIndex(0), "n2 acknowledged other entries");
    assert_eq!(commit_after(3), LogIndex(4), "taken for an answer of this term, it would commit");
}

#[test]
fn a_refused_pre_vote_tells_the_newer_term() {
    // `outdated` has a short log and a high term; the other survivor a long log and a low term.
    let elected = |defect| {
        let mut simulation = cluster(SimulationSettings::new(3, 1), defect);
        let old = leader(&mut simulation).expect("a healthy cluster has a leader");
        let followers: Vec<NodeId> = simulation.nodes().into_iter().filter(|name| *name != old).collect();
        let (outdated, victim) = (followers[0], followers[1]);
        change(&mut simulation, &NetChange::Isolate(outdated));
        create(&mut simulation);
        simulation.order(outdated, NodeOrder::Campaign).expect("it runs");
        simulation.order(outdated, NodeOrder::Campaign).expect("it runs");
        simulation.order(victim, NodeOrder::Crash).expect("it runs");
        run_for(&mut simulation, ms(2_000));
        change(&mut simulation, &NetChange::Connect(outdated));
        run_for(&mut simulation, ms(10_000));
        leader(&mut simulation)
    };
    assert!(elected(None).is_some(), "the one with the long log learns the term and wins (9.6)");
    assert_eq!(elected(Some("refused-pre-vote-without-term")), None);
}

#[test]
fn a_leader_that_one_node_hears_does_not_freeze_the_rest() {
    // Only the bridge hears the old leader, and only it can complete a majority without that leader.
    let serves = |check_quorum, defect| {
        let mut settings = SimulationSettings::new(5, 1);
        settings.raft.check_quorum = check_quorum;
        let mut simulation = cluster(settings, defect);
        let old = leader(&mut simulation).expect("a healthy cluster has a leader");
        let others: Vec<NodeId> = simulation.nodes().into_iter().filter(|name| *name != old).collect();
        let (bridge, lost) = (others[0], others[3]);
        let groups = vec![vec![old, bridge], vec![bridge, others[1], others[2]], vec![lost]];
        change(&mut simulation, &NetChange::Partition(groups));
        run_for(&mut simulation, ms(10_000));
        let leads = |name: &NodeId| simulation.view(*name).status.role == RoleName::Leader;
        [bridge, others[1], others[2]].iter().any(leads)
    };
    assert!(serves(true, None), "the old leader steps down, and its one follower votes (6.2)");
    assert!(serves(false, None), "without check-quorum nobody is loyal to a leader");
    assert!(!serves(false, Some("loyal-without-check-quorum")));
}

#[test]
fn a_lease_does_not_freeze_the_rest_when_check_quorum_is_off() {
    // As above; but the bridge is bound by leases that its leader claims, as its clients read by lease.
    let serves = |defect| {
        let mut settings = SimulationSettings::new(5, 1);
        settings.raft.check_quorum = false;
        let mut simulation = cluster(settings, defect);
        let old = leader(&mut simulation).expect("a healthy cluster has a leader");
        let others: Vec<NodeId> = simulation.nodes().into_iter().filter(|name| *name != old).collect();
        let (bridge, lost) = (others[0], others[3]);
        read_by_lease(&mut simulation, old);
        let groups = vec![vec![old, bridge], vec![bridge, others[1], others[2]], vec![lost]];
        change(&mut simulation, &NetChange::Partition(groups));
        for _ in 0..20 {
            run_for(&mut simulation, ms(300));
            read_by_lease(&mut simulation, old);
        }
        let leads = |name: &NodeId| simulation.view(*name).status.role == RoleName::Leader;
        [bridge, others[1], others[2]].iter().any(leads)
    };
    assert!(serves(None), "a leader that no quorum answers claims no lease (6.4.1)");
    assert!(!serves(Some("lease-without-quorum")));
}

#[test]
fn an_idle_leader_whose_log_is_all_in_its_snapshot_brings_an_empty_node_up() {
    // No entry waits for anybody, and the leader's log is empty: there is nothing but the snapshot to send.
    let catches_up = |defect| {
        let mut settings = SimulationSettings::new(3, 1);
        settings.raft.trailing_entries = 0;
        let mut simulation = cluster(settings, defect);
        create(&mut simulation);
        run_for(&mut simulation, ms(1_000));
        let leader = leader(&mut simulation).expect("a healthy cluster has a leader");
        let empty = simulation.nodes().into_iter().find(|name| *name != leader).expect("two of three follow");
        simulation.order(empty, NodeOrder::Crash).expect("it runs");
        simulation.order(leader, NodeOrder::TakeSnapshot).expect("it runs");
        run_for(&mut simulation, ms(1_000));
        let log = simulation.log(leader).expect("it runs");
        assert!(log.terms.is_empty() && log.base.index > LogIndex(0), "all is in the snapshot: {log:?}");
        simulation.order(empty, NodeOrder::Wipe).expect("it starts from nothing");
        run_for(&mut simulation, ms(10_000));
        assert_eq!(simulation.safety().violations(), []);
        simulation.items(empty).expect("it runs") == simulation.items(leader).expect("it runs")
    };
    assert!(catches_up(None), "it sends its snapshot (7)");
    assert!(!catches_up(Some("idle-tip-not-sent")));
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn cluster(settings: SimulationSettings, defect: Option<&str>) -> Simulation {
    let mut simulation = Simulation::new(settings, None);
    if let Some(name) = defect {
        simulation.break_rule(museum::specimen(name).expect("a specimen of this name").mutation());
    }
    run_for(&mut simulation, ms(2_000));
    simulation
}

fn run_for(simulation: &mut Simulation, span: Duration) {
    let until = simulation.now() + span;
    simulation.run_until(until);
}

fn change(simulation: &mut Simulation, change: &NetChange) {
    simulation.change(change).expect("the cluster can have it");
}

fn leader(simulation: &mut Simulation) -> Option<NodeId> {
    simulation.nodes().into_iter().find(|name| simulation.view(*name).status.role == RoleName::Leader)
}

fn create(simulation: &mut Simulation) {
    use raftlab::client::{Ask, What};
    use raftlab::state_machine::kv::Command;
    let what = What::commands([Command::create("x", "1")]);
    simulation.ask(vec![Ask { what, at: None, timeout: ms(1_000) }]);
}

fn read_by_lease(simulation: &mut Simulation, at: NodeId) {
    use raftlab::client::{Ask, What};
    use raftlab::protocol::ReadMode;
    use raftlab::state_machine::kv::Query;
    let what = What::Read { query: Payload::new(Query::Keys {}), mode: ReadMode::Lease };
    simulation.ask(vec![Ask { what, at: Some(at), timeout: ms(100) }]);
}

/// One step, and the end of its write at once.
fn step(raft: &mut Raft, input: Input) -> Effects {
    let effects = raft.step(Time::ZERO, &mut vec![input]);
    if let Some(write) = &effects.write {
        raft.step(Time::ZERO, &mut vec![Input::Persisted(write.id)]);
    }
    effects
}

/// Lets n1 win this term by this voter's vote, and append these many commands behind its no-op.
fn lead(raft: &mut Raft, voter: NodeId, term: u64, commands: u64) {
    step(raft, Input::Campaign);
    assert_eq!(raft.current_term(), Term(term), "the term in which it is a candidate");
    let body = Body::VoteReply { granted: true };
    step(
        raft,
        Input::Message(Message {
            from: voter,
            to: raft.id(),
            term: Term(term),
            files: Files::FOUNDERS,
            body,
        }),
    );
    for serial in 1..=commands {
        let origin = Origin { serial, ..Origin::default() };
        let command = Payload::from_text("[]");
        let content = Content::Command { origin, command };
        step(raft, Input::Propose(Proposal { id: serial, content }));
    }
    assert_eq!(raft.log().last(), EntryId::new(Term(term), raft.log().last().index), "it leads and appends");
}
