//! One client in many hands: threads that share it, tickets, and the limit of calls in flight.

use std::collections::BTreeSet;

use super::*;
use crate::client::{CALLS_MAX, Ticket};

fn put(number: usize) -> Command {
    Command::put(format!("k{number}"), "v")
}

/// A cluster that keeps requests until enough have come, and then answers all of them, the last first.
fn gathering(count: usize) -> Client<KeyValue> {
    let mut kept = Vec::new();
    client_with(patient(), move |_, request| {
        kept.push(request.clone());
        if kept.len() < count {
            return Some(vec![]);
        }
        let applied = |request: &Request| {
            let entry = EntryId::new(Term(4), LogIndex(request.attempt));
            reply(
                request,
                Response::Entry(Applied::Answered { entry, answer: Payload::batch([Answer::Put]) }),
            )
        };
        Some(std::mem::take(&mut kept).iter().rev().map(applied).collect())
    })
}

/// Settings that never ask twice.
fn patient() -> ClientSettings {
    ClientSettings { attempt_timeout: 2 * HOUR, ..hasty() }
}

/// A client, a call of it in another thread that no node answers and that carries the messages for all, and what ends
/// that call.
fn driven_by_another_thread() -> (Client<KeyValue>, Sender<()>, thread::JoinHandle<Failure>) {
    let (asked, requests) = bounded(8);
    let client = client_with(patient(), move |_, _| {
        // The test listens for the first alone: it must not end the network that nothing answers later.
        let _ = asked.try_send(());
        Some(vec![])
    });
    let (interrupt, interrupted) = bounded(1);
    let client = client.with_interrupt(interrupted);
    let long = client.clone();
    let driver = thread::spawn(move || long.submit(put(1)).expect_err("no node answers"));
    requests.recv().expect("the driver has asked");
    (client, interrupt, driver)
}

fn is_shareable(_: &(impl Send + Sync + Clone)) {}

#[test]
fn threads_share_one_client_and_each_gets_its_own_answer() {
    const THREADS: usize = 8;
    const CALLS: usize = 100;
    // On a busy machine a hasty client would ask twice, and each attempt would take an index.
    let client = cluster_with(patient(), |_| false);
    is_shareable(&client);
    let work = |thread: usize| {
        let client = client.clone();
        move || {
            let mine = |call| Command::put(format!("{thread}"), format!("{call}"));
            let submit = |call| client.submit(mine(call)).expect("answered").index.0;
            let indexes: Vec<u64> = (0..CALLS).map(submit).collect();
            let read = client.read(Query::Read { key: format!("{thread}").into() }).expect("answered");
            assert_eq!(read.answer, Answer::Value(format!("{}", CALLS - 1).into()));
            indexes
        }
    };
    let threads: Vec<_> = (0..THREADS).map(|thread| thread::spawn(work(thread))).collect();
    let ended = threads.into_iter().flat_map(|thread| thread.join().expect("no call fails"));
    let mut indexes: Vec<u64> = ended.collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (2..=(THREADS * CALLS) as u64 + 1).collect::<Vec<_>>(), "each applied once");
    assert_eq!((client.in_flight(), client.shared.held()), (0, 0));
}

#[test]
fn tickets_end_in_any_order_and_in_any_thread() {
    let client = gathering(3);
    let mut first = client.submit_async(put(1));
    let batch = client.submit_batch_async(vec![put(2)]);
    assert_eq!((first.try_wait(), first.wait_timeout(Duration::from_millis(5))), (None, None));
    assert_eq!(client.in_flight(), 2);
    let third = client.submit_async(put(3));
    let elsewhere = thread::spawn(move || third.wait().expect("answered").index);
    assert_eq!(batch.wait().expect("answered").answer, [Answer::Put]);
    assert_eq!(elsewhere.join().expect("answered"), LogIndex(3));
    let ended = first.wait_timeout(HOUR);
    assert_eq!(ended.clone().expect("ended").expect("answered").index, LogIndex(1));
    assert_eq!((first.try_wait(), first.wait_timeout(Duration::ZERO)), (ended.clone(), ended));
    assert_eq!(client.shared.held(), 0);
}

#[test]
fn a_dropped_ticket_takes_nothing_back_and_leaves_nothing() {
    let client = gathering(2);
    drop(client.submit_async(put(1)));
    assert_eq!((client.in_flight(), client.shared.held()), (1, 0), "the call continues");
    let second = client.submit(put(2)).expect("answered with the first");
    assert_eq!(second.index, LogIndex(2));
    assert_eq!((client.in_flight(), client.shared.held()), (0, 0));
}

#[test]
fn a_ticket_that_no_one_waits_for_ends_by_its_deadline() {
    let client = silent();
    let mut ticket = client.within(Duration::from_millis(20)).submit_async(put(1));
    // Any use of the client sees to all calls, and that of a second is over later.
    assert_eq!(client.within(Duration::from_millis(25)).submit(put(2)), Err(Failure::Unknown(token(2))));
    assert_eq!(ticket.try_wait(), Some(Err(Failure::Unknown(token(1)))));
}

#[test]
fn a_short_call_ends_in_time_though_another_thread_drives() {
    let (client, interrupt, driver) = driven_by_another_thread();
    let start = Instant::now();
    let timeout = Duration::from_millis(30);
    assert_eq!(client.within(timeout).submit(put(2)), Err(Failure::Unknown(token(2))));
    assert!(start.elapsed() >= timeout && start.elapsed() < HOUR / 60, "it took {:?}", start.elapsed());
    interrupt.send(()).expect("there is room");
    assert_eq!(driver.join().expect("it ends"), Failure::Unknown(token(1)));
}

#[test]
fn a_driver_who_leaves_hands_its_place_on() {
    let (asked, requests) = bounded(8);
    let mut waiting = Vec::new();
    let client = client_with(patient(), move |_, request| {
        asked.send(()).expect("the test listens");
        waiting.push(request.clone());
        // Each request is answered when the next one comes.
        let done = (waiting.len() > 1).then(|| waiting.remove(0));
        let answer = |request: &Request| {
            let entry = EntryId::new(Term(4), LogIndex(request.attempt));
            reply(
                request,
                Response::Entry(Applied::Answered { entry, answer: Payload::batch([Answer::Put]) }),
            )
        };
        Some(done.iter().map(answer).collect())
    });
    let submit = |number| {
        let client = client.clone();
        let thread = thread::spawn(move || client.submit(put(number)).expect("answered").index);
        requests.recv().expect("it has asked");
        thread
    };
    let (first, second) = (submit(1), submit(2));
    assert_eq!(first.join().expect("it ends"), LogIndex(1));
    drop(client.submit_async(put(3)));
    assert_eq!(second.join().expect("it drives now"), LogIndex(2));
}

#[test]
fn a_session_that_another_thread_takes_in_is_seen_by_the_one_that_waits_for_it() {
    let (asked, requests) = bounded(8);
    let core = ClientCore::new(ID, NodeId::first(3), patient(), Random::new(1));
    let client = client_from(core, move |_, request| {
        if request.call != Call::Open {
            let _ = asked.try_send(());
            return Some(vec![]);
        }
        // Both threads are asleep when it comes.
        thread::park_timeout(Duration::from_millis(20));
        let opened = Response::Entry(Applied::Opened { session: SESSION });
        Some(vec![reply(request, opened)])
    });
    let (interrupt, interrupted) = bounded(1);
    let client = client.with_interrupt(interrupted);
    let reader = client.clone();
    let driver =
        thread::spawn(move || reader.read(Query::Read { key: "x".into() }).expect_err("no node answers"));
    requests.recv().expect("the driver has asked");
    assert_eq!(client.new_session(), Some(SESSION));
    interrupt.send(()).expect("the client listens");
    assert_eq!(driver.join().expect("it ends"), Failure::Rejected(Rejection::NoAnswer));
}

#[test]
fn a_full_client_waits_for_room_or_rejects_as_it_was_told() {
    let client = gathering(CALLS_MAX);
    let fill = |count| (0..count).map(|number| client.submit_async(put(number))).collect::<Vec<_>>();
    let tickets = fill(CALLS_MAX - 1);
    assert_eq!(client.in_flight(), CALLS_MAX - 1);
    let last = client.submit_async(put(CALLS_MAX));
    // It waits until the answers make room.
    let beyond = client.submit_async(put(CALLS_MAX + 1));
    assert_eq!(client.in_flight(), 1);
    assert!(last.wait().is_ok() && tickets.into_iter().all(|ticket| ticket.wait().is_ok()));
    drop(beyond);

    let client = silent();
    let calls: Vec<_> = (0..CALLS_MAX).map(|number| client.submit_async(put(number))).collect();
    let too_many = Err(Failure::Rejected(Rejection::Full));
    let start = Instant::now();
    assert_eq!(client.within(Duration::from_millis(20)).submit(put(0)), too_many, "no room in time");
    assert!(start.elapsed() >= Duration::from_millis(20));
    let client = client.with_when_full(WhenFull::Reject);
    assert_eq!(client.submit_async(put(0)).try_wait(), Some(too_many));
    assert_eq!(client.in_flight(), CALLS_MAX, "what was refused was not begun");
    drop(calls);
}

#[test]
fn a_ticket_looked_at_after_its_deadline_has_ended_though_another_thread_drives() {
    let (client, interrupt, driver) = driven_by_another_thread();
    // The driver does not know of this call, whose time is over as soon as it began.
    let mut ticket = client.within(Duration::ZERO).submit_async(put(2));
    assert!(ticket.try_wait().is_some(), "its deadline has come");
    interrupt.send(()).expect("there is room");
    assert_eq!(driver.join().expect("it ends"), Failure::Unknown(token(1)));
}

/// Calls under way, as many as a client lets leave by themselves.
fn busy(client: &Client<KeyValue>) -> Vec<Ticket<Committed<Answer>>> {
    (1..=8).map(|number| client.submit_async(put(number))).collect()
}

#[test]
fn commands_of_many_threads_share_entries_and_each_gets_its_own_answer() {
    const THREADS: usize = 64;
    const CALLS: usize = 50;
    let client = cluster_with(patient(), |_| false);
    let work = |thread: usize| {
        let client = client.clone();
        move || {
            let create = |call| client.submit(Command::create(format!("{thread}.{call}"), "v"));
            let answers = (0..CALLS).map(|call| create(call).expect("answered"));
            answers
                .inspect(|created| assert_eq!(created.answer, Answer::Created))
                .map(|created| created.index)
                .collect::<Vec<_>>()
        }
    };
    let threads: Vec<_> = (0..THREADS).map(|thread| thread::spawn(work(thread))).collect();
    let ended = threads.into_iter().flat_map(|thread| thread.join().expect("no call fails"));
    let entries: BTreeSet<LogIndex> = ended.collect();
    assert!(entries.len() < THREADS * CALLS, "{} entries", entries.len());
    assert_eq!((client.in_flight(), client.shared.held()), (0, 0));
}

#[test]
fn a_call_that_waits_for_others_leaves_and_ends_in_time() {
    let (asked, requests) = unbounded();
    let client = client_with(patient(), move |_, _| {
        let _ = asked.send(());
        Some(vec![])
    });
    let tickets = busy(&client);
    let other = client.clone();
    let waits = thread::spawn(move || other.within(Duration::from_millis(200)).submit(put(9)));
    (0..9).for_each(|_| requests.recv().expect("all of them leave"));
    let (start, timeout) = (Instant::now(), Duration::from_millis(20));
    assert_eq!(client.within(timeout).submit(put(10)), Err(Failure::Unknown(token(10))), "it has left");
    assert!(start.elapsed() < HOUR / 60, "it took {:?}", start.elapsed());
    assert!(client.within(Duration::ZERO).submit(put(11)).is_err(), "it has no time to wait");
    assert_eq!(waits.join().expect("it ends"), Err(Failure::Unknown(token(9))));
    drop(tickets);
}

#[test]
fn what_ends_all_calls_ends_those_that_have_not_left() {
    let (asked, requests) = bounded(8);
    let mut heard = 0;
    let client = client_with(patient(), move |_, _| {
        heard += 1;
        let _ = asked.try_send(());
        // The network ends in the middle of them.
        (heard < 12).then(Vec::new)
    });
    let (interrupt, interrupted) = bounded(1);
    let client = client.with_interrupt(interrupted);
    let tickets = busy(&client);
    (0..8).for_each(|_| requests.recv().expect("they have left"));
    let submit = |number| {
        let client = client.clone();
        thread::spawn(move || client.submit(put(number)))
    };
    let threads: Vec<_> = (0..16).map(submit).collect();
    // The sender is gone: every call ends, and each later one at once.
    drop(interrupt);
    for thread in threads {
        let ended = thread.join().expect("it ends").expect_err("no node answers");
        let closed = Failure::Rejected(Rejection::Closed);
        assert!(ended == closed || matches!(ended, Failure::Unknown(_)), "{ended}");
    }
    drop(tickets);
    assert_eq!((client.in_flight(), client.shared.held()), (0, 0));
}

#[test]
fn room_that_a_pipeline_leaves_is_given_to_the_thread_that_waits_for_it() {
    let (asked, requests) = unbounded();
    let (go, gone) = bounded::<()>(1);
    let mut kept: Vec<Request> = Vec::new();
    let client = client_with(patient(), move |_, request| {
        kept.push(request.clone());
        let _ = asked.send(());
        let answered = match kept.len() {
            // All of the pipeline's, and not the one that a thread waits for.
            CALLS_MAX => {
                gone.recv().ok()?;
                CALLS_MAX - 1
            }
            2 => 2 * usize::from(kept[0].attempt == CALLS_MAX as u64),
            _ => 0,
        };
        let answer = |request: Request| {
            let entry = EntryId::new(Term(4), LogIndex(request.attempt));
            let answered = Applied::Answered { entry, answer: Payload::batch([Answer::Put]) };
            reply(&request, Response::Entry(answered))
        };
        Some(kept.drain(..answered).map(answer).collect())
    });
    let mut pipeline = client.clone().into_pipeline().gathering(1);
    let asks = (1..CALLS_MAX).map(|_| ask(HOUR)).collect();
    assert_eq!(pipeline.send(asks).count(), CALLS_MAX - 1);
    let submit = |number| {
        let client = client.clone();
        thread::spawn(move || client.submit(put(number)).expect("answered").index)
    };
    let drives = submit(1);
    (0..CALLS_MAX).for_each(|_| requests.recv().expect("all leave"));
    let queued = submit(2);
    while client.shared.queued() == 0 {
        thread::yield_now();
    }
    go.send(()).expect("the cluster listens");
    assert_eq!(queued.join().expect("it got room"), LogIndex(CALLS_MAX as u64 + 1));
    assert_eq!(drives.join().expect("it was answered"), LogIndex(CALLS_MAX as u64));
    drop(pipeline);
}
