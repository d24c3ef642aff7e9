//! What JSON cannot hold: found on the caller's thread, in memory as well as with files, and the end of no node.

use raftlab::client::{Ask, Outcome, Pipeline, What};
use raftlab::cluster::{Builder, Cluster};
use raftlab::lab::{Lab, Life, NodeOrder};
use raftlab::payload::Payload;
use raftlab::protocol::ReadMode;
use raftlab::trace::What as Happened;
use raftlab::{Failure, Rejection};
use std::sync::mpsc::channel;

use serde::{Deserialize, Serialize};

use crate::odd_machine::{Answer, Command, Kept, Odd, Query, Wild, odd_cluster, pairs, total, unrepaired};
use crate::{PATIENCE, assert_safe, folder};

const NAMES: &str = "key must be a string";

fn all_run(cluster: &mut Cluster<Odd>) {
    for node in cluster.nodes() {
        assert_eq!(cluster.view(node).life, Life::Up, "{node}");
    }
    assert_safe(cluster);
}

/// In memory, and with files.
fn in_both(test: impl Fn(Cluster<Odd>)) {
    test(odd_cluster(&unrepaired(), Builder::memory).expect("a cluster starts"));
    let folder = folder();
    test(odd_cluster(&unrepaired(), |builder| builder.states(folder.path())).expect("a cluster starts"));
}

fn unwritable<T>(reason: &str) -> Result<T, Failure> {
    Err(Failure::Rejected(Rejection::Unwritable(reason.to_string())))
}

#[test]
fn a_command_or_question_that_json_cannot_hold_is_rejected_and_nothing_is_sent() {
    in_both(|mut cluster| {
        let client = cluster.client();
        assert_eq!(client.submit(Command::Pairs(pairs())), unwritable(NAMES));
        let not_a_number = "it holds the number NaN, which would become null";
        assert_eq!(client.submit(Command::Number(f64::NAN)), unwritable(not_a_number));
        assert_eq!(client.read(Query::Pairs(pairs())), unwritable(NAMES));
        assert_eq!(client.read_with(Query::Pairs(pairs()), ReadMode::Stale), unwritable(NAMES));
        let batch = vec![Command::Add(1), Command::Pairs(pairs())];
        assert_eq!(client.submit_batch(batch), unwritable(NAMES), "all of it or nothing");
        assert_eq!(client.in_flight(), 0);
        assert_eq!(total(&cluster), Answer::Total(0));
        assert_eq!(client.submit(Command::Number(0.1)).expect("it is a number").answer, Answer::Total(1));
        let said = client.submit(Command::Pairs(pairs())).expect_err("rejected").to_string();
        assert_eq!(said, "JSON cannot hold it: key must be a string");
        all_run(&mut cluster);
    });
}

#[test]
fn a_type_that_panics_while_it_is_written_does_so_in_its_callers_thread() {
    in_both(|mut cluster| {
        let client = cluster.client();
        let shared = client.clone();
        let wild = std::thread::spawn(move || shared.submit(Command::PanicInSerialize(Wild(true))));
        assert!(wild.join().is_err(), "the panic is the caller's");
        assert_eq!(client.submit(Command::Add(5)).expect("it still serves").answer, Answer::Total(5));
        all_run(&mut cluster);
    });
}

#[test]
fn in_a_pipeline_one_does_not_spoil_those_that_share_its_way() {
    in_both(|mut cluster| {
        let mut pipeline: Pipeline = cluster.client().into_pipeline();
        let ask = |command| Ask { what: What::commands([command]), at: None, timeout: PATIENCE };
        let commands = || vec![Command::Add(1), Command::Pairs(pairs()), Command::Add(10)];
        for (as_asks, sum) in [(true, 11), (false, 22)] {
            let names: Vec<_> = if as_asks {
                pipeline.send(commands().into_iter().map(ask).collect()).collect()
            } else {
                pipeline.send_commands(commands(), PATIENCE).collect()
            };
            let (mut all, mut ended) = (Vec::new(), Vec::new());
            while all.len() < 3 {
                pipeline.wait(pipeline.now() + PATIENCE, &mut ended);
                assert!(!ended.is_empty(), "each call ends");
                all.append(&mut ended);
            }
            all.sort_unstable_by_key(|ended| ended.call_id);
            assert!(all.iter().map(|ended| ended.call_id).eq(names));
            let rejected = Outcome::Rejected(Rejection::Unwritable(NAMES.to_string()));
            assert!(matches!(&all[0].outcome, Outcome::Answered(_)), "{:?}", all[0]);
            assert_eq!(all[1].outcome, rejected);
            assert!(matches!(&all[2].outcome, Outcome::Answered(_)), "{:?}", all[2]);
            assert_eq!(total(&cluster), Answer::Total(sum));
        }
        all_run(&mut cluster);
    });
}

#[test]
fn an_answer_that_json_cannot_hold_is_told_and_its_command_is_applied() {
    in_both(|mut cluster| {
        let client = cluster.client();
        let unreadable = Err(Failure::Unreadable(format!("JSON cannot hold the answer: {NAMES}")));
        assert_eq!(client.submit(Command::AnswerPairs(vec![((1, 2), 3)])), unreadable);
        let none = client.submit(Command::AnswerPairs(vec![])).expect("an empty map can be held");
        assert_eq!(none.answer, Answer::Pairs(crate::odd_machine::Pairs::new()));
        let rejected = Rejection::Invalid(format!("JSON cannot hold the answer: {NAMES}"));
        assert_eq!(client.read(Query::AnswerPairs), Err(Failure::Rejected(rejected)));
        assert_eq!(total(&cluster), Answer::Total(2), "both were applied, once");
        // A node that has applied nothing has nothing to save.
        let applied = |cluster: &Cluster<Odd>| {
            let applied = |node| cluster.status(node).is_some_and(|status| status.applied >= none.index);
            cluster.nodes().into_iter().all(applied).then_some(())
        };
        cluster.wait_for(PATIENCE, applied).expect("all apply it");
        for node in cluster.nodes() {
            cluster.order(node, NodeOrder::TakeSnapshot).expect("it runs");
        }
        let saved = |cluster: &Cluster<Odd>| {
            let saved = |node| cluster.status(node).is_some_and(|status| status.snapshot.last.index.0 > 0);
            cluster.nodes().into_iter().all(saved).then_some(())
        };
        cluster.wait_for(PATIENCE, saved).expect("the sessions' table is written, too");
        all_run(&mut cluster);
    });
}

#[test]
fn a_state_that_json_cannot_hold_makes_no_snapshot_and_ends_no_node() {
    for kept in [Kept::Pairs, Kept::NotANumber, Kept::PanicInSerialize] {
        let (sender, told) = channel();
        let (repaired, folder) = (unrepaired(), folder());
        let mut cluster = odd_cluster(&repaired, |builder| {
            let builder = builder.states(folder.path()).observer(move |event| {
                if let Happened::SnapshotUnwritable { .. } = event.what {
                    let _ = sender.send(event.to_string());
                }
            });
            builder.with(|settings| settings.raft.snapshot_entries = 20)
        })
        .expect("a cluster starts");
        let client = cluster.client();
        client.submit(Command::Keep(kept)).expect("answered");
        for number in 1..=60 {
            let answered = client.submit(Command::Add(1)).expect("answered");
            assert_eq!(answered.answer, Answer::Total(number));
        }
        let warning = told.recv_timeout(PATIENCE).expect("somebody says why");
        assert!(warning.contains("made no snapshot up to"), "{warning}");
        all_run(&mut cluster);
        drop(cluster);
        let cluster =
            odd_cluster(&repaired, |builder| builder.states(folder.path())).expect("it starts again");
        assert_eq!(total(&cluster), Answer::Total(60), "the log has it all");
    }
}

#[test]
fn what_json_cannot_hold_can_be_looked_at() {
    let what = What::commands([Command::Pairs(pairs())]);
    assert_eq!(format!("{what:?}"), format!("Command(<{NAMES}>)"));
    assert_eq!(Payload::new(pairs()).check(), Err(NAMES));
}

/// What comes back of a value: the sentences of `StateMachine` about what is not found.
fn back<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> Result<T, String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

#[test]
fn what_json_holds_as_something_else_is_as_the_documentation_says() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(untagged)]
    enum Untagged {
        Small(u8),
        Number(u64),
        Huge { number: u128 },
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(tag = "kind")]
    enum Tagged {
        Huge { number: u128 },
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Inner {
        number: u128,
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Flat {
        #[serde(flatten)]
        inner: Inner,
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Skipping {
        #[serde(skip)]
        skipped: u8,
    }
    let huge = u128::MAX;
    assert_eq!(back(&Some(())), Ok(None));
    assert_eq!(back(&Some(None::<u8>)), Ok(None));
    assert_eq!(back(&Untagged::Number(5)), Ok(Untagged::Small(5)));
    for refused in [
        back(&Untagged::Huge { number: huge }).err(),
        back(&Tagged::Huge { number: huge }).err(),
        back(&Flat { inner: Inner { number: huge } }).err(),
    ] {
        assert!(refused.is_some(), "128 bits do not come back there");
    }
    assert_eq!(back(&Skipping { skipped: 3 }), Ok(Skipping { skipped: 0 }));
    assert_eq!(back(&huge), Ok(huge));
    let bytes = serde_json::to_string(&vec![255_u8; 100]).expect("a list of numbers");
    assert!((300..=402).contains(&bytes.len()), "up to four times their length");
    // None of these is found: they are written without complaint.
    assert_eq!(Payload::new(Some(())).check(), Ok(()));
    assert_eq!(Payload::new(Untagged::Number(5)).check(), Ok(()));
    assert_eq!(Payload::new(Flat { inner: Inner { number: huge } }).check(), Ok(()));
}
