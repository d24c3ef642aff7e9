//! The router on its thread: both ways to a destination, delays, losses and its end.

use std::time::Instant;

use crossbeam_channel::RecvTimeoutError;

use super::*;
use crate::faults::{End, LinkScope, NetChange, NetError};
use crate::net::Transport;
use crate::net::counts::LinkCounts;
use crate::payload::Payload;
use crate::protocol::{Call, Packet, ReadMode, Reply, Request, Response};
use crate::raft::message::{Body, Files, Message};
use crate::types::{ClientId, Term};

const PATIENCE: Duration = Duration::from_secs(20);
const CLIENT: Address = Address::Client(ClientId(1));

/// The bound of what is bounded in bytes here, and a message's size: nine fit.
const BYTES_MAX: usize = 100_000;
const LARGE: usize = 10_000;
const LARGE_FIT: usize = 9;

fn router(express: bool) -> (Router, RouterHandle) {
    router_with(&RouterSettings { express, ..RouterSettings::default() })
}

fn router_with(settings: &RouterSettings) -> (Router, RouterHandle) {
    let router = Router::start(&NodeId::first(3), settings, Clock::start(), Random::new(1))
        .expect("a thread can be started");
    let handle = router.handle();
    (router, handle)
}

fn listen(handle: &RouterHandle, address: Address, groups: usize) -> InboxReceiver {
    let (sender, receiver) = inbox(groups, usize::MAX);
    handle.register(address, sender);
    receiver
}

fn at(number: u8) -> Address {
    Address::Node(NodeId::new(number))
}

fn end(number: u8) -> End {
    End::Node(NodeId::new(number))
}

/// A vote whose term tells it from others.
fn vote(from: u8, to: u8, term: u64) -> Envelope {
    let (from, to) = (NodeId::new(from), NodeId::new(to));
    let message = Message {
        from,
        to,
        term: Term(term),
        files: Files::FOUNDERS,
        body: Body::VoteReply { granted: true },
    };
    Envelope::new(from.into(), to.into(), Packet::Raft(message))
}

fn request(to: u8) -> Envelope {
    request_of(to, "{}")
}

/// A request with a text of [`LARGE`] bytes.
fn large(to: u8) -> Envelope {
    request_of(to, &"x".repeat(LARGE))
}

fn request_of(to: u8, query: &str) -> Envelope {
    let call = Call::Read { query: Payload::from_text(query), mode: ReadMode::Stale, here: true };
    Envelope::new(CLIENT, at(to), Packet::Request(Request { attempt: 9, call }))
}

fn refused(envelope: &Envelope) -> bool {
    matches!(&envelope.packet, Packet::Reply(Reply { attempt: 9, response: Response::Unreachable, .. }))
}

fn receive(inbox: &InboxReceiver, count: usize) -> Vec<Envelope> {
    let deadline = Instant::now() + PATIENCE;
    let mut received = Vec::new();
    while received.len() < count {
        received.extend(inbox.recv_deadline(deadline).expect("the messages arrive in time"));
    }
    received
}

/// Waits until the link's numbers are as wanted.
fn wait(handle: &RouterHandle, from: End, to: End, wanted: impl Fn(LinkCounts) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let is_link = |link: &(End, End, LinkCounts)| link.0 == from && link.1 == to && wanted(link.2);
    while !handle.counts().iter().any(is_link) {
        assert!(Instant::now() < deadline, "in time; now {:?}", handle.counts());
        thread::yield_now();
    }
}

#[test]
fn a_hundred_thousand_messages_pass_in_order() {
    for express in [false, true] {
        let (_router, handle) = router(express);
        let inbox = listen(&handle, at(2), 4096);
        for group in 0..1_000 {
            handle.send(&mut (0..100).map(|number| vote(1, 2, group * 100 + number)).collect());
        }
        let expected: Vec<Envelope> = (0..100_000).map(|number| vote(1, 2, number)).collect();
        assert!(receive(&inbox, 100_000) == expected, "one link keeps its order");
        let counts = LinkCounts { sent: 100_000, delivered: 100_000, ..LinkCounts::default() };
        assert_eq!(handle.counts(), [(end(1), end(2), counts)]);
    }
}

#[test]
fn both_lanes_count_alike_while_rules_come_and_go() {
    let cut = LinkScope::OneWay(end(1), end(2));
    let counts = [false, true].map(|express| {
        let (_router, handle) = router(express);
        let inboxes = [2, 3].map(|number| listen(&handle, at(number), 4096));
        let send = |term: u64| {
            handle.send(&mut vec![vote(1, 2, term), vote(1, 3, term), vote(1, 2, term)]);
            wait(&handle, end(1), end(2), |counts| counts.sent == 2 * term);
        };
        send(1);
        handle.apply(NetChange::Cut(cut)).expect("a change");
        send(2);
        handle.apply(NetChange::Heal(cut)).expect("a change");
        handle.apply(NetChange::Duplicate { per_million: 1_000_000, scope: cut }).expect("a change");
        send(3);
        handle.apply(NetChange::Reset).expect("a change");
        send(4);
        assert_eq!(receive(&inboxes[0], 8).len(), 8, "2 once, 2 twice, 2 once");
        assert_eq!(receive(&inboxes[1], 4).len(), 4);
        handle.counts()
    });
    assert_eq!(counts[0], counts[1]);
    let cut_link = LinkCounts { sent: 8, delivered: 8, dropped: 2, duplicated: 2, ..LinkCounts::default() };
    assert_eq!(counts[0][0], (end(1), end(2), cut_link));
}

#[test]
fn what_a_receiver_drops_is_counted_as_dropped_until_its_link_is_counted_from_zero() {
    for express in [false, true] {
        let (_router, handle) = router(express);
        let inbox = listen(&handle, at(2), 16);
        handle.send(&mut vec![vote(1, 2, 1), vote(1, 2, 2), vote(1, 2, 3)]);
        let received = receive(&inbox, 3);
        handle.dropped_by_receiver(&received[0]);
        let counts = LinkCounts { sent: 3, delivered: 2, dropped: 1, ..LinkCounts::default() };
        assert_eq!(handle.counts(), [(end(1), end(2), counts)]);
        handle.remove_node(NodeId::new(1));
        handle.add_node(NodeId::new(1));
        handle.dropped_by_receiver(&received[1]);
        assert_eq!(handle.counts(), [], "it was delivered before");
    }
}

#[test]
fn a_delayed_message_comes_late_and_a_link_keeps_its_order() {
    let (_router, handle) = router(true);
    let inbox = listen(&handle, at(2), 16);
    let delay = Duration::from_millis(100);
    let scope = LinkScope::OneWay(end(1), end(2));
    handle.apply(NetChange::Delay { delay, jitter: Duration::ZERO, scope }).expect("a change");
    let start = Instant::now();
    handle.send(&mut (1..=10).map(|term| vote(1, 2, term)).collect());
    handle.send(&mut vec![vote(3, 2, 99)]);
    let received = receive(&inbox, 11);
    assert!(start.elapsed() >= delay, "never too early");
    assert_eq!(received[0], vote(3, 2, 99), "the link without a rule is not slowed");
    assert_eq!(received[1..], (1..=10).map(|term| vote(1, 2, term)).collect::<Vec<_>>());
}

#[test]
fn a_full_inbox_is_a_counted_loss() {
    for express in [false, true] {
        let (_router, handle) = router(express);
        let inbox = listen(&handle, at(2), 1);
        handle.send(&mut vec![vote(1, 2, 1)]);
        wait(&handle, end(1), end(2), |counts| counts.delivered == 1);
        handle.send(&mut vec![vote(1, 2, 2), vote(1, 2, 3)]);
        wait(&handle, end(1), end(2), |counts| counts.dropped == 2 && counts.delivered == 1);
        assert_eq!(receive(&inbox, 1), [vote(1, 2, 1)]);
    }
}

#[test]
fn requests_to_a_node_that_is_down_are_refused_at_once() {
    for express in [false, true] {
        let (_router, handle) = router(express);
        let client = listen(&handle, CLIENT, 16);
        let node = listen(&handle, at(2), 16);
        handle.send(&mut vec![request(2)]);
        assert_eq!(receive(&node, 1), [request(2)]);
        handle.unregister(at(2));
        handle.send(&mut vec![request(2)]);
        assert!(refused(&receive(&client, 1)[0]), "no client is registered");
        drop(listen(&handle, at(2), 16));
        handle.send(&mut vec![request(2)]);
        assert!(refused(&receive(&client, 1)[0]), "its thread ended without a word");
    }
}

#[test]
fn requests_to_an_isolated_node_meet_silence() {
    let (_router, handle) = router(true);
    let client = listen(&handle, CLIENT, 16);
    let node = listen(&handle, at(2), 16);
    handle.apply(NetChange::Isolate(NodeId::new(2))).expect("a change");
    handle.send(&mut vec![request(2)]);
    wait(&handle, End::Clients, end(2), |counts| counts.dropped == 1);
    assert!(client.is_empty() && node.is_empty());
}

#[test]
fn a_message_held_back_reaches_the_node_after_its_restart() {
    let (_router, handle) = router(false);
    let before = listen(&handle, at(2), 16);
    let delay = Duration::from_millis(300);
    let change = NetChange::Delay { delay, jitter: Duration::ZERO, scope: LinkScope::All };
    handle.apply(change).expect("a change");
    handle.send(&mut vec![vote(1, 2, 7)]);
    wait(&handle, end(1), end(2), |counts| counts.in_flight == 1);
    handle.unregister(at(2));
    let after = listen(&handle, at(2), 16);
    assert_eq!(receive(&after, 1), [vote(1, 2, 7)]);
    assert!(before.is_empty());
}

#[test]
fn an_observer_sees_every_message_even_where_lanes_were_open() {
    let (_router, handle) = router(true);
    let inbox = listen(&handle, at(2), 16);
    let (seen_sender, seen) = unbounded();
    handle.observe(Some(Box::new(move |envelope, fate| {
        let _ = seen_sender.send((envelope.clone(), *fate));
    })));
    handle.send(&mut vec![vote(1, 2, 1), vote(1, 3, 1)]);
    assert_eq!(receive(&inbox, 1), [vote(1, 2, 1)]);
    handle.observe(None);
    let fates: Vec<(Envelope, Fate)> = seen.iter().collect();
    let down = Fate::Dropped(DropReason::Down);
    let expected = [(vote(1, 2, 1), Fate::AT_ONCE), (vote(1, 3, 1), Fate::AT_ONCE), (vote(1, 3, 1), down)];
    assert_eq!(fates, expected);
}

#[test]
fn after_its_end_the_router_is_a_network_that_loses_everything() {
    let (router, handle) = router(false);
    let inbox = listen(&handle, at(2), 16);
    handle.send(&mut vec![vote(1, 2, 1)]);
    router.stop();
    assert_eq!(receive(&inbox, 1), [vote(1, 2, 1)], "what was sent before is handed on");
    handle.send(&mut vec![vote(1, 2, 2)]);
    handle.unregister(at(2));
    assert_eq!(handle.apply(NetChange::Reset), Err(NetError::Stopped));
    let end = inbox.recv_deadline(Instant::now() + PATIENCE);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected), "the router let go of the inbox");
}

#[test]
fn a_node_that_does_not_read_costs_bounded_bytes_and_goes_on_when_it_reads_again() {
    for express in [false, true] {
        let (_router, handle) = router(express);
        let (sender, frozen) = inbox(4096, BYTES_MAX);
        handle.register(at(2), sender);
        for _ in 0..100 {
            handle.send(&mut vec![large(2)]);
        }
        let fit = LARGE_FIT as u64;
        wait(&handle, End::Clients, end(2), |counts| counts.sent == 100 && counts.delivered == fit);
        wait(&handle, End::Clients, end(2), |counts| counts.dropped == 100 - fit);
        assert!(frozen.weight() <= BYTES_MAX && frozen.weight() > LARGE_FIT * LARGE);
        assert_eq!(receive(&frozen, LARGE_FIT).len(), LARGE_FIT);
        assert_eq!(frozen.weight(), 0);
        handle.send(&mut vec![large(2), request(2)]);
        assert_eq!(receive(&frozen, 2), [large(2), request(2)]);
    }
}

#[test]
fn what_a_long_delay_holds_back_is_bounded_in_bytes() {
    let (_router, handle) =
        router_with(&RouterSettings { held_back_bytes_max: BYTES_MAX, ..RouterSettings::default() });
    let node = listen(&handle, at(2), 16);
    let scope = LinkScope::OneWay(End::Clients, end(2));
    let delay = Duration::from_secs(60);
    handle.apply(NetChange::Delay { delay, jitter: Duration::ZERO, scope }).expect("a change");
    for _ in 0..10 {
        handle.send(&mut (0..10).map(|_| large(2)).collect());
    }
    let fit = LARGE_FIT as u64;
    wait(&handle, End::Clients, end(2), |counts| counts.in_flight == fit && counts.dropped == 100 - fit);
    handle.send(&mut vec![vote(1, 2, 1)]);
    assert_eq!(receive(&node, 1), [vote(1, 2, 1)], "other links are as before");
    handle.apply(NetChange::Reset).expect("a change");
    handle.send(&mut vec![large(2)]);
    assert_eq!(receive(&node, 1), [large(2)], "and so is this one without the rule");
}

#[test]
fn the_routers_own_inbox_is_bounded_in_bytes() {
    let (_router, handle) =
        router_with(&RouterSettings { inbox_bytes_max: BYTES_MAX, ..RouterSettings::default() });
    let node = listen(&handle, at(2), 4096);
    let (seen_sender, seen) = unbounded();
    let (gate, opened) = unbounded::<()>();
    handle.observe(Some(Box::new(move |_, _| {
        let _ = seen_sender.send(());
        let _ = opened.recv();
    })));
    handle.send(&mut vec![vote(1, 2, 1)]);
    seen.recv_timeout(PATIENCE).expect("the router is busy with it, until the gate is gone");
    for _ in 0..100 {
        handle.send(&mut vec![large(2)]);
    }
    assert_eq!(handle.inbox.len(), LARGE_FIT);
    drop(gate);
    assert_eq!(receive(&node, 1 + LARGE_FIT).len(), 1 + LARGE_FIT);
    let fit = LARGE_FIT as u64;
    wait(&handle, End::Clients, end(2), |counts| counts.delivered == fit && counts.dropped == 100 - fit);
}

#[test]
fn a_group_for_several_destinations_weighs_at_each_what_reaches_it() {
    let (_router, handle) = router(false);
    let [one, other] = [2, 3].map(|number| listen(&handle, at(number), 16));
    handle.send(&mut vec![large(2), request(3), large(2), vote(1, 3, 1)]);
    wait(&handle, end(1), end(3), |counts| counts.delivered == 1);
    wait(&handle, End::Clients, end(2), |counts| counts.delivered == 2);
    let until = Instant::now() + PATIENCE;
    while one.is_empty() || other.is_empty() {
        assert!(Instant::now() < until, "in time");
        thread::yield_now();
    }
    assert_eq!(one.weight(), 2 * large(2).weight());
    assert_eq!(other.weight(), request(3).weight() + vote(1, 3, 1).weight());
}

#[test]
fn a_link_of_a_later_node_counts_what_still_arrives_and_nothing_before() {
    let (_router, handle) = router(false);
    let scope = LinkScope::OneWay(end(1), end(2));
    let delay = Duration::from_millis(200);
    handle.send(&mut vec![vote(1, 2, 1), vote(1, 3, 1)]);
    wait(&handle, end(1), end(2), |counts| counts.dropped == 1);
    handle.apply(NetChange::Delay { delay, jitter: Duration::ZERO, scope }).expect("a change");
    handle.send(&mut vec![vote(1, 2, 2)]);
    wait(&handle, end(1), end(2), |counts| counts.in_flight == 1);
    handle.remove_node(NodeId::new(2));
    let links = handle.counts();
    assert!(!links.iter().any(|(from, to, _)| [*from, *to].contains(&end(2))), "{links:?}");
    handle.add_node(NodeId::new(2));
    assert!(handle.rules().is_empty(), "the rule was that of the earlier node");
    let inbox = listen(&handle, at(2), 16);
    handle.send(&mut vec![vote(1, 2, 3)]);
    assert_eq!(receive(&inbox, 2), [vote(1, 2, 3), vote(1, 2, 2)]);
    wait(&handle, end(1), end(2), |counts| {
        counts == LinkCounts { sent: 2, delivered: 2, delayed: 1, ..LinkCounts::default() }
    });
    assert_eq!(handle.ever_sent(), 4, "with what the earlier node was sent");
}

#[test]
fn a_panic_in_what_it_carries_or_calls_loses_messages_and_not_the_network() {
    for express in [false, true] {
        let (_router, handle) = router(express);
        let inbox = listen(&handle, at(2), 4096);
        handle.observe(Some(Box::new(|_, _| panic!("seen too much"))));
        handle.send(&mut vec![vote(1, 2, 1)]);
        handle.observe(None);
        handle.send(&mut vec![vote(1, 2, 2)]);
        assert_eq!(receive(&inbox, 1), [vote(1, 2, 2)], "the router still runs");
    }
}

#[test]
fn when_it_has_ended_no_one_waits_at_an_inbox_any_more() {
    for express in [false, true] {
        let (router, handle) = router(express);
        let inbox = listen(&handle, CLIENT, 4096);
        router.stop();
        assert_eq!(inbox.recv_deadline(Instant::now() + PATIENCE), Err(RecvTimeoutError::Disconnected));
        drop(handle);
    }
}
