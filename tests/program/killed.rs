//! Killed without warning in the middle of a stream of writes: whatever was answered OK is there afterwards.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;

use serde_json::Value;

use crate::{Folder, PATIENCE};

/// How many answers are awaited before each kill.
const ROUNDS: &[usize] = &[1, 40, 7, 120, 260];

/// A life of the program: it creates keys until it is killed, and nodes crash in between when asked. The pairs that
/// were answered OK, read to the last byte that it wrote.
fn killed_after(answers: usize, folder: &Folder, round: usize, crashes: bool) -> BTreeMap<String, String> {
    let mut running = folder.start(&["3", "--keep-going"]);
    let mut input = running.input.take().expect("the input is open");
    let writer = thread::spawn(move || {
        let mut lines = vec!["wait leader".to_string()];
        for at in 0_usize.. {
            lines.push(format!("create k{round}.{at} v{at}"));
            match at % 40 {
                _ if !crashes => {}
                5 => lines.push("crash leader --power".to_string()),
                15 => lines.push("restart all".to_string()),
                25 => lines.push("crash n2".to_string()),
                35 => lines.push("restart n2".to_string()),
                _ => {}
            }
            let written = lines.drain(..).try_for_each(|line| writeln!(input, "{line}"));
            if written.is_err() {
                return;
            }
        }
    });
    let mut acknowledged = BTreeMap::new();
    let mut killed = false;
    loop {
        match running.out.recv_timeout(PATIENCE) {
            Ok(line) => acknowledged.extend(created(&line)),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("it answers nothing any more"),
        }
        if acknowledged.len() >= answers && !killed {
            running.child.kill().expect("it runs");
            killed = true;
        }
    }
    assert!(killed, "it ended before it was killed: {:?}", running.end().1);
    writer.join().expect("the writer ends with its reader");
    acknowledged
}

/// The pair of `OK created k=v [n2 term 4 index 17] 3.1 ms`. A line that was cut off is no answer.
fn created(line: &str) -> Option<(String, String)> {
    let (pair, _) = line.strip_prefix("OK created ").filter(|_| line.ends_with('s'))?.split_once(' ')?;
    pair.split_once('=').map(|(key, value)| (key.to_string(), value.to_string()))
}

/// What a new life of the program holds at each node.
fn held(folder: &Folder) -> Vec<BTreeMap<String, String>> {
    let ran = folder.cluster(&["3", "--json"], "wait leader\nwait converged\ndump\ncheck\n").exits(0);
    let dump: Value = serde_json::from_str(ran.out.lines().nth(2).expect("three answers")).expect("JSON");
    let nodes = dump["nodes"].as_array().expect("the nodes");
    nodes.iter().map(|node| serde_json::from_value(node["items"].clone()).expect("keys and values")).collect()
}

#[track_caller]
fn loses_nothing(crashes: bool) {
    let folder = Folder::new();
    let mut acknowledged = BTreeMap::new();
    for (round, answers) in ROUNDS.iter().enumerate() {
        acknowledged.extend(killed_after(*answers, &folder, round, crashes));
        let nodes = held(&folder);
        assert_eq!(nodes.len(), 3);
        for (key, value) in &acknowledged {
            for items in &nodes {
                assert_eq!(items.get(key), Some(value), "{key} was answered OK, in round {round} or before");
            }
        }
    }
    assert!(acknowledged.len() >= ROUNDS.iter().sum());
}

#[test]
fn a_killed_program_has_lost_nothing_that_was_answered() {
    loses_nothing(false);
}

#[test]
fn a_killed_program_whose_nodes_crashed_before_has_lost_nothing_that_was_answered() {
    loses_nothing(true);
}
