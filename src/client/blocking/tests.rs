//! The blocking client against a thread that plays a cluster.

use std::thread;
use std::time::Instant;

use crossbeam_channel::{Sender, bounded, unbounded};

use super::*;
use crate::client::{ClientSettings, WhenFull};
use crate::net::inbox::inbox;
use crate::protocol::{Address, Attempt, Call, Envelope, Packet, Reply, Request, Response};
use crate::raft::effects::RejectReason;
use crate::raft::entry::{Content, Entry};
use crate::state_machine::kv::{Answer, Command, KeyValue, Query};
use crate::state_machine::{Applied, Machine, Replica};
use crate::types::{EntryId, Random, SessionId};

const ID: ClientId = ClientId(7);
/// Every client here is in this session.
const SESSION: SessionId = SessionId(1);
/// No test takes so long: a call that would only end at this deadline hangs.
const HOUR: Duration = Duration::from_secs(3600);

/// Sends to the thread that plays the cluster.
struct Wire(Sender<Vec<Envelope>>);

impl Transport for Wire {
    fn send(&self, envelopes: &mut Vec<Envelope>) {
        let _ = self.0.send(std::mem::take(envelopes));
    }

    fn dropped_by_receiver(&self, _: &Envelope) {
        unreachable!("a client drops no message");
    }
}

fn hasty() -> ClientSettings {
    ClientSettings {
        attempt_timeout: Duration::from_millis(5),
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        copies: 1,
        when_full: WhenFull::Wait,
    }
}

/// A client in its session whose requests this function answers, on a thread of its own. When it returns none, the network ends.
fn client_of<F>(answer: F) -> Client<KeyValue>
where
    F: FnMut(NodeId, &Request) -> Option<Vec<Reply>> + Send + 'static,
{
    client_with(hasty(), answer)
}

fn client_with<F>(settings: ClientSettings, answer: F) -> Client<KeyValue>
where
    F: FnMut(NodeId, &Request) -> Option<Vec<Reply>> + Send + 'static,
{
    let core = ClientCore::new(ID, NodeId::first(3), settings, Random::new(1)).in_session(SESSION);
    client_from(core, answer)
}

fn client_from<F>(core: ClientCore, mut answer: F) -> Client<KeyValue>
where
    F: FnMut(NodeId, &Request) -> Option<Vec<Reply>> + Send + 'static,
{
    let (wire, requests) = unbounded::<Vec<Envelope>>();
    let (answers, inbox) = inbox(1 << 14, usize::MAX);
    thread::spawn(move || {
        for Envelope { to, packet, .. } in requests.into_iter().flatten() {
            let (Address::Node(node), Packet::Request(request)) = (to, packet) else {
                panic!("a client sends requests to nodes")
            };
            let Some(replies) = answer(node, &request) else { return };
            let envelope = |reply| Envelope::new(to, Address::Client(ID), Packet::Reply(reply));
            let _ = answers.try_send(replies.into_iter().map(envelope).collect());
        }
    });
    Client::new(core, Wire(wire), inbox, Clock::start()).with_timeout(HOUR)
}

fn reply(request: &Request, response: Response) -> Reply {
    Reply { attempt: request.attempt, term: Term(4), response }
}

fn token(serial: u64) -> Token {
    Token { session: SESSION, serial, part: None }
}

fn leader() -> NodeId {
    NodeId::new(2)
}

/// A cluster of which n2 leads and applies what it is asked. `loses` says which of its answers get lost.
fn cluster(loses: impl FnMut(Attempt) -> bool + Send + 'static) -> Client<KeyValue> {
    cluster_with(hasty(), loses)
}

/// The same for a client with these settings.
fn cluster_with(
    settings: ClientSettings,
    mut loses: impl FnMut(Attempt) -> bool + Send + 'static,
) -> Client<KeyValue> {
    let mut replica = Replica::new(KeyValue::default());
    let content = Content::Open { client: ID, sessions_max: 1 };
    replica.apply(&Entry { index: LogIndex(SESSION.0), term: Term(4), content });
    client_with(settings, move |node, request| {
        if node != leader() {
            let refusal = RejectReason::NotLeader { leader: Some(leader()) };
            return Some(vec![reply(request, Response::Rejected(refusal))]);
        }
        let response = carry_out(&mut replica, &request.call);
        Some(if loses(request.attempt) { vec![] } else { vec![reply(request, response)] })
    })
}

fn carry_out(replica: &mut Replica<KeyValue>, call: &Call) -> Response {
    let mut apply = |content| {
        let index = replica.applied().index.next();
        match replica.apply(&Entry { index, term: Term(4), content }) {
            applied @ (Applied::Answered { .. } | Applied::GivenUp | Applied::Forgotten) => {
                Response::Entry(applied)
            }
            other => panic!("a live command is applied: {other:?}"),
        }
    };
    match call {
        Call::Open => panic!("its session is open"),
        Call::Command { origin, command } => {
            apply(Content::Command { origin: *origin, command: command.clone() })
        }
        Call::Settle { origin } => apply(Content::Settle { origin: *origin }),
        Call::Read { query, .. } => {
            let answer = replica.query(query).expect("a query of this machine");
            Response::Read { applied: replica.applied().index, staleness: None, answer }
        }
    }
}

fn silent() -> Client<KeyValue> {
    client_of(|_, _| Some(vec![]))
}

fn ask(timeout: Duration) -> Ask {
    Ask { what: What::commands([Command::put("x", "1")]), at: None, timeout }
}

#[test]
fn commands_batches_and_reads_are_answered_with_their_types() {
    let client = cluster(|_| false);
    let created = client.submit(Command::create("x", "1"));
    let expected = Committed { answer: Answer::Created, node: leader(), term: Term(4), index: LogIndex(2) };
    assert_eq!(created, Ok(expected));
    let batch = client.submit_batch(vec![Command::create("x", "2"), Command::update("x", "3")]);
    let batch = batch.expect("answered");
    assert_eq!((batch.answer, batch.index), (vec![Answer::Exists, Answer::Updated], LogIndex(3)));
    for mode in [ReadMode::Linearizable, ReadMode::Stale] {
        let seen = client.read_with(Query::Read { key: "x".into() }, mode).expect("answered");
        assert_eq!((seen.answer, seen.index), (Answer::Value("3".into()), LogIndex(3)));
    }
    assert_eq!(client.leader(), Some(leader()));
}

#[test]
fn a_lost_answer_is_asked_for_again_and_the_command_applied_once() {
    let mut lost = 0;
    let client = cluster(move |_| {
        lost += 1;
        lost <= 3
    });
    let created = client.submit(Command::create("x", "1")).expect("answered in the end");
    assert_eq!((created.answer, created.index), (Answer::Created, LogIndex(2)), "not Exists");
}

#[test]
fn what_became_of_an_unknown_command_can_be_asked_later() {
    // Answers get lost until the second question; and one command does not even arrive.
    let mut replica = Replica::new(KeyValue::default());
    let content = Content::Open { client: ID, sessions_max: 1 };
    replica.apply(&Entry { index: LogIndex(SESSION.0), term: Term(4), content });
    let client = client_of(move |_, request| {
        let lost = matches!(&request.call, Call::Command { origin, .. } if origin.serial == 2);
        if lost {
            return Some(vec![]);
        }
        let response = carry_out(&mut replica, &request.call);
        let told = matches!(request.call, Call::Settle { .. });
        Some(if told { vec![reply(request, response)] } else { vec![] })
    });
    let timeout = Duration::from_millis(30);
    let unknown = |command| match client.within(timeout).submit(command) {
        Err(Failure::Unknown(token)) => token,
        other => panic!("no node answers: {other:?}"),
    };
    let (first, second) = (unknown(Command::create("x", "1")), unknown(Command::create("y", "1")));
    let Ok(Fate::Applied(committed)) = client.outcome(first) else { panic!("it was applied") };
    assert_eq!((committed.answer, committed.index), (vec![Answer::Created], LogIndex(2)));
    assert_eq!(client.outcome(second), Ok(Fate::NeverApplied));
    assert_eq!(client.outcome(second), Ok(Fate::Forgotten), "what was told need not be kept");
}

#[test]
fn a_call_that_no_one_answers_ends_at_its_deadline() {
    let client = silent();
    let timeout = Duration::from_millis(30);
    let start = Instant::now();
    assert_eq!(client.within(timeout).submit(Command::put("x", "1")), Err(Failure::Unknown(token(1))));
    assert!(start.elapsed() >= timeout);
    let read = client.within(timeout).read(Query::Keys {});
    assert_eq!(read, Err(Failure::Rejected(Rejection::NoAnswer)));
    let Ended { outcome, took, .. } = client.ask(ask(timeout));
    assert_eq!(outcome, Outcome::Unknown(token(2)));
    assert!(took >= timeout && took < HOUR / 60, "it took {took:?}");
}

#[test]
fn a_command_that_every_node_refuses_is_rejected() {
    let refusal = Response::Rejected(RejectReason::NotLeader { leader: None });
    let client = client_of(move |_, request| Some(vec![reply(request, refusal.clone())]));
    // Long enough that an attempt that is still open at the deadline is improbable, and tried until one is not.
    let ended = (0..100).map(|_| client.within(Duration::from_millis(20)).submit(Command::put("x", "1")));
    let rejected = Err(Failure::Rejected(Rejection::NoLeader));
    assert!(ended.into_iter().any(|ended| ended == rejected));
}

#[test]
fn calls_under_way_together_are_answered_in_the_order_of_asking() {
    const COUNT: u64 = 40;
    let mut waiting: Vec<Attempt> = Vec::new();
    let client = client_of(move |_, request| {
        waiting.push(request.attempt);
        let entry = |attempt| EntryId::new(Term(4), LogIndex(attempt));
        let applied = |attempt| Reply {
            attempt,
            term: Term(4),
            response: Response::Entry(Applied::Answered {
                entry: entry(attempt),
                answer: Payload::new(attempt),
            }),
        };
        // Nothing is answered before all is asked, and then the last first.
        let all = waiting.len() as u64 == COUNT;
        Some(if all { waiting.drain(..).rev().map(applied).collect() } else { vec![] })
    });
    let outcomes = client.ask_all((0..COUNT).map(|_| ask(HOUR)).collect());
    // The first attempts leave together, one for each call in their order, so an attempt's number names its call.
    let indexes = outcomes.into_iter().map(|ended| match ended.outcome {
        Outcome::Answered(answered) => answered.index.0,
        other => panic!("answered, not {other:?}"),
    });
    assert_eq!(indexes.collect::<Vec<_>>(), (1..=COUNT).collect::<Vec<_>>());
}

#[test]
fn nothing_asked_is_nothing_answered() {
    assert_eq!(silent().ask_all(vec![]), []);
}

#[test]
fn an_interruption_ends_the_calls_that_run() {
    let (interrupt, interrupted) = bounded(1);
    let client = client_of(move |_, _| {
        let _ = interrupt.try_send(());
        Some(vec![])
    });
    let client = client.with_interrupt(interrupted);
    let read = What::Read { query: Payload::new(Query::Keys {}), mode: ReadMode::Linearizable };
    let outcomes = client.ask_all(vec![ask(HOUR), Ask { what: read, at: None, timeout: HOUR }]);
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|ended| ended.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unknown(token(1)), Outcome::Rejected(Rejection::NoAnswer)]);
    // It can be interrupted again.
    assert_eq!(client.submit(Command::put("x", "1")), Err(Failure::Unknown(token(2))));
}

#[test]
fn an_interruption_that_came_before_a_call_does_not_end_it() {
    let (interrupt, interrupted) = bounded(1);
    interrupt.send(()).expect("there is room");
    let client = cluster(|_| false).with_interrupt(interrupted);
    assert!(client.submit(Command::put("x", "1")).is_ok());
}

#[test]
fn when_no_one_can_interrupt_any_more_nothing_is_asked() {
    let (interrupt, interrupted) = bounded(1);
    drop(interrupt);
    let client = cluster(|_| false).with_interrupt(interrupted);
    let rejected = Err(Failure::Rejected(Rejection::Closed));
    assert_eq!(client.submit(Command::put("x", "1")), rejected);
}

#[test]
fn the_end_of_the_network_ends_the_calls() {
    let client = client_of(|_, _| None);
    assert_eq!(client.submit(Command::put("x", "1")), Err(Failure::Unknown(token(1))));
    let rejected = Err(Failure::Rejected(Rejection::Closed));
    assert_eq!(client.submit(Command::put("x", "1")), rejected, "it is not even sent");
}

#[test]
fn when_the_network_has_ended_a_pipeline_without_calls_waits_for_nothing() {
    let mut pipeline = client_of(|_, _| None).into_pipeline();
    let (mut ended, far) = (Vec::new(), pipeline.now() + HOUR);
    assert_eq!(pipeline.send(vec![ask(HOUR)]).count(), 1);
    pipeline.wait(far, &mut ended);
    assert_eq!(ended.len(), 1);
    pipeline.wait(far, &mut ended);
    assert_eq!(ended.len(), 0, "and at once");
}

#[test]
fn an_answer_of_another_state_machine_is_said_to_be_unreadable() {
    let answer_with = |answer: Payload| {
        let client = client_of(move |_, request| {
            let entry = EntryId::new(Term(4), LogIndex(1));
            Some(vec![reply(request, Response::Entry(Applied::Answered { entry, answer: answer.clone() }))])
        });
        client.submit(Command::put("x", "1"))
    };
    for wrong in [Payload::new("put"), Payload::from_text("[]"), Payload::from_text("[1]")] {
        assert!(matches!(answer_with(wrong), Err(Failure::Unreadable(_))));
    }
    // The same text from another type is the same answer.
    assert!(answer_with(Payload::batch(["put"])).is_ok());
}

mod sharing;
