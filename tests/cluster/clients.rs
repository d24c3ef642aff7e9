//! What clients are told, and what is told of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use raftlab::client::{self, Ask, CallId, Committed, Failure, Outcome, Rejection};
use raftlab::cluster::Cluster;
use raftlab::config::Settings;
use raftlab::lab::{Lab, NodeOrder};
use raftlab::payload::Batch;
use raftlab::protocol::ReadMode;
use raftlab::raft::event::Event;
use raftlab::state_machine::kv::{Answer, Command, Query};
use raftlab::trace::{TraceEvent, What};

use crate::{PATIENCE, assert_safe, converge, folder, leader, log_file, others, put, settings, start};

#[test]
fn a_first_command_of_an_open_session_is_unknown_without_an_answer() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    let first = leader(&cluster);
    let until = cluster.now() + PATIENCE;
    while !cluster.open_session() {
        assert!(cluster.now() < until, "a leader opens it, and no command has to wait for that");
        let soon = cluster.now() + Duration::from_millis(10);
        cluster.wait(soon);
    }
    for node in others(&cluster, first) {
        cluster.order(node, NodeOrder::Crash).unwrap();
    }
    let what = client::What::commands([Command::put("a", "1")]);
    let ended = cluster.ask(vec![Ask { what, at: None, timeout: Duration::from_millis(100) }]);
    assert!(matches!(ended[0].outcome, Outcome::Unknown(_)), "{:?}", ended[0]);
    for node in others(&cluster, first) {
        cluster.order(node, NodeOrder::Restart).unwrap();
    }
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn without_a_quorum_a_command_ends_as_unknown_or_refused_and_in_time() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    let first = leader(&cluster);
    for node in others(&cluster, first) {
        cluster.order(node, NodeOrder::Crash).unwrap();
    }
    let begun = Instant::now();
    let client = cluster.client();
    let ended = client.within(Duration::from_millis(400)).submit(Command::put("a", "1"));
    assert!(matches!(ended, Err(Failure::Unknown(_) | Failure::Rejected(_))), "{ended:?}");
    assert!(begun.elapsed() < PATIENCE);
    for node in others(&cluster, first) {
        cluster.order(node, NodeOrder::Restart).unwrap();
    }
    put(&cluster, "b");
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_client_of_a_cluster_that_has_ended_is_told_so_in_a_word_of_its_own() {
    for express in [false, true] {
        let builder = Cluster::builder().memory().client_timeout(PATIENCE);
        let mut cluster = builder.with(|settings| settings.express = express).start().unwrap();
        put(&cluster, "a");
        let client = cluster.client();
        client.submit(Command::put("b", "1")).unwrap();
        // Calls that are under way when it ends: nobody will answer.
        for node in cluster.nodes() {
            cluster.order(node, NodeOrder::Pause).unwrap();
        }
        let read = client.read_async(Query::Keys {});
        let write = client.submit_async(Command::put("c", "1"));
        cluster.shutdown();
        let closed = Failure::Rejected(Rejection::Closed);
        assert_eq!(read.wait().unwrap_err(), closed);
        let Err(Failure::Unknown(token)) = write.wait() else { panic!("it may have been applied") };
        assert_eq!(client.outcome(token).unwrap_err(), closed);
        assert_eq!(client.read(Query::Keys {}).unwrap_err(), closed);
        assert_eq!(client.submit(Command::put("d", "1")).unwrap_err(), closed);
        assert_eq!(client.in_flight(), 0);
    }
}

#[test]
fn events_are_told_and_logged() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let led = Arc::new(AtomicUsize::new(0));
    let sent = Arc::new(AtomicUsize::new(0));
    let (leads, messages) = (Arc::clone(&led), Arc::clone(&sent));
    let observer = move |event: &TraceEvent| match &event.what {
        What::Raft(Event::BecameLeader { .. }) => drop(leads.fetch_add(1, Ordering::SeqCst)),
        What::MessageSent { .. } => drop(messages.fetch_add(1, Ordering::SeqCst)),
        _ => {}
    };
    let cluster = Cluster::start(&settings, Some(Arc::new(observer))).unwrap();
    let first = leader(&cluster);
    assert!(led.load(Ordering::SeqCst) > 0 && sent.load(Ordering::SeqCst) == 0);
    cluster.watch_messages(true);
    put(&cluster, "a");
    assert!(sent.load(Ordering::SeqCst) > 0);
    cluster.shutdown();
    let log = std::fs::read_to_string(log_file(&settings.logs, first)).unwrap();
    for line in ["started with a new, empty state", "leads term ", "stopped"] {
        assert!(log.contains(line), "{line:?} is missing in:\n{log}");
    }
}

#[test]
fn reads_answer_at_any_node_and_commands_at_the_leader_alone() {
    let folder = folder();
    let mut settings = settings(&folder, 3);
    // Nobody else leads meanwhile, however slowly the test runs.
    settings.raft.election_min = Duration::from_secs(1);
    settings.raft.election_max = Duration::from_millis(1500);
    let mut cluster = start(&settings);
    put(&cluster, "a");
    converge(&mut cluster);
    let client = cluster.client();
    let leader = cluster.wait_until_leader(PATIENCE).unwrap();
    for node in cluster.nodes() {
        for mode in [ReadMode::Linearizable, ReadMode::Lease, ReadMode::Stale] {
            let query = Query::Read { key: "a".into() };
            let read = client.at(node).read_with(query, mode).unwrap();
            assert_eq!((read.answer, read.node), (Answer::Value("value of a".into()), node), "{mode:?}");
        }
        let done = client.within(PATIENCE).at(node).submit(Command::put("b", "1"));
        if node == leader {
            assert_eq!(done.unwrap().node, leader);
        } else {
            let refusal = Failure::Rejected(Rejection::NotLeader { leader: Some(leader) });
            assert_eq!(done.unwrap_err(), refusal);
        }
    }
    assert_safe(&mut cluster);
}

#[test]
fn a_value_over_the_limit_is_refused_and_one_in_the_log_outlives_a_lower_limit() {
    let folder = folder();
    let wide = Settings { value_bytes_max: 2 << 20, ..settings(&folder, 1) };
    let long = "v".repeat(2 << 20);
    let cluster = start(&wide);
    assert!(cluster.client().submit(Command::put("long", long.clone())).is_ok());
    cluster.shutdown();
    let cluster = start(&Settings { value_bytes_max: 3, ..wide });
    let client = cluster.client();
    let refused = client.submit(Command::put("x", "1234")).unwrap_err().to_string();
    assert_eq!(refused, "the value has 4 bytes: at most 3 are allowed (value_bytes_max)");
    client.submit(Command::put("x", "123")).unwrap();
    let read = client.read(Query::Read { key: "long".into() }).unwrap();
    assert_eq!(read.answer, Answer::Value(long.into()), "what was taken in stays");
}

#[test]
fn many_calls_at_once_are_applied_once_each_though_leaders_crash() {
    let mut cluster = Cluster::builder().memory().client_timeout(PATIENCE).start().unwrap();
    let client = cluster.client();
    let create = |number| client.submit_async(Command::create(format!("k{number}"), "1"));
    let mut tickets: Vec<_> = (0..300).map(create).collect();
    let first = leader(&cluster);
    cluster.order(first, NodeOrder::Crash).unwrap();
    tickets.extend((300..600).map(create));
    for ticket in tickets.into_iter().rev() {
        assert_eq!(ticket.wait().expect("in time").answer, Answer::Created, "never Exists");
    }
    assert_eq!(client.in_flight(), 0);
    cluster.order(first, NodeOrder::Restart).unwrap();
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn commands_that_leave_together_share_entries_and_each_ends_for_itself() {
    let settings =
        Settings { memory: true, value_bytes_max: 8, client_timeout: PATIENCE, ..Settings::default() };
    let mut cluster = start(&settings);
    leader(&cluster);
    let mut pipeline = cluster.client().into_pipeline();
    let value = |number: u64| if number == 7 { "too long a value".to_string() } else { number.to_string() };
    let create = |number: u64| Command::create(format!("k{}", number.min(99)), value(number));
    let commands: Vec<Command> = (0..101).map(create).collect();
    let calls: Vec<CallId> = pipeline.send_commands(commands, PATIENCE).collect();
    assert_eq!(calls, (1..=101).map(CallId).collect::<Vec<_>>());
    let (mut seen, mut ended) = (BTreeMap::new(), Vec::new());
    while seen.len() < calls.len() {
        pipeline.wait(pipeline.now() + PATIENCE, &mut ended);
        assert!(!ended.is_empty(), "each call ends");
        seen.extend(ended.drain(..).map(|ended| (ended.call_id.0 - 1, ended.outcome)));
    }
    let mut entries = BTreeSet::new();
    for (number, outcome) in seen {
        match outcome {
            Outcome::Answered(answered) => {
                let all = answered.answer.value::<Batch<Answer>>().expect("answers of the store");
                let expected = if number == 100 { Answer::Exists } else { Answer::Created };
                assert_eq!(answered.own(all), Some(&[expected][..]), "{number}");
                entries.insert(answered.index);
            }
            Outcome::Rejected(Rejection::Invalid(reason)) => {
                assert_eq!((number, reason.contains("value_bytes_max")), (7, true), "{reason}");
            }
            other => panic!("{number}: {other:?}"),
        }
    }
    // Those that left with the refused one were asked again, each by itself.
    assert!((2..100).contains(&entries.len()), "100 commands took {} entries", entries.len());
    converge(&mut cluster);
    for node in cluster.nodes() {
        assert_eq!(cluster.items(node).expect("it runs").len(), 99, "k0 to k99, less k7");
    }
    assert_safe(&mut cluster);
}

#[test]
fn threads_that_share_a_client_share_entries_and_one_that_is_refused_spoils_none() {
    let settings =
        Settings { memory: true, value_bytes_max: 8, client_timeout: PATIENCE, ..Settings::default() };
    let mut cluster = start(&settings);
    leader(&cluster);
    let client = cluster.client();
    let work = |thread: u64| {
        let client = client.clone();
        move || {
            let value = if thread == 7 { "too long a value" } else { "short" };
            (0..40).map(|call| client.submit(Command::create(format!("{thread}.{call}"), value))).collect()
        }
    };
    let threads: Vec<_> = (0..32).map(|thread| thread::spawn(work(thread))).collect();
    let ended: Vec<Vec<Result<Committed<Answer>, Failure>>> =
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect();
    for (thread, ended) in ended.iter().enumerate() {
        for each in ended {
            match each {
                Ok(created) => assert_eq!((created.answer.clone(), thread == 7), (Answer::Created, false)),
                Err(Failure::Rejected(Rejection::Invalid(reason))) => {
                    assert_eq!((thread, reason.contains("value_bytes_max")), (7, true), "{reason}");
                }
                other => panic!("{thread}: {other:?}"),
            }
        }
    }
    converge(&mut cluster);
    for node in cluster.nodes() {
        assert_eq!(cluster.items(node).expect("it runs").len(), 31 * 40);
    }
    assert_safe(&mut cluster);
}
