//! What the nodes wrote down of their steps is judged together, while processes die and after all have.

use std::fs;
use std::time::Duration;

use raftlab::NodeId;
use raftlab::check::records::{Record, Seen, StepSeen, decode, encode_step, frame, unframe};
use raftlab::check::safety::{Rank, Shown, Standing, Step};
use raftlab::types::{LogIndex, Term, Time};

use super::processes::Processes;

const ACROSS: [&str; 7] = [
    "election safety",
    "log matching",
    "leader completeness",
    "state machine safety",
    "one vote a term",
    "commit rule",
    "committed is durable",
];

impl Processes {
    /// What a console says to these lines.
    fn checks(&self, lines: &str) -> String {
        self.folder.run(env!("CARGO_BIN_EXE_client"), &[], lines).exits(0).out
    }

    /// What is said of the folders when none of the processes runs.
    fn judged(&self, code: i32) -> String {
        let options = ["--records", "states"];
        self.folder.run(env!("CARGO_BIN_EXE_check_history"), &options, "").exits(code).out
    }

    /// Adds a step to what this node wrote down.
    fn forge(&self, node: NodeId, step: impl Fn(u64, Shown, &mut Vec<u8>)) {
        let path = self.folder.path(&format!("states/{node}/records-0.bin"));
        let mut bytes = fs::read(&path).expect("it has written");
        let mut rest = &bytes[HEAD_BYTES..];
        let mut last = None;
        while let Some((content, length)) = unframe(rest).expect("whole records") {
            let Record { clock, seen } = decode(content).expect("a record");
            let (Seen::Standing { standing: Standing { shown, .. }, .. }
            | Seen::Step(StepSeen { shown, .. })) = seen;
            last = Some((clock, shown));
            rest = &rest[length..];
        }
        let (clock, shown) = last.expect("it has written");
        step(clock + 1, shown, &mut bytes);
        fs::write(&path, bytes).expect("the folder can be written");
    }
}

/// What stands before the first record of a file.
const HEAD_BYTES: usize = 22;

/// A step that shows the node like this.
fn forged(clock: u64, shown: Shown, to: &mut Vec<u8>) {
    let step = Step {
        shown,
        now: Time::ZERO,
        answering: &[],
        election_min: Duration::ZERO,
        persisted: None,
        write: None,
        adopted: &[],
        applied: &[],
    };
    frame(to, |to| encode_step(clock, &step, Vec::new(), to).expect("a small step"));
}

#[test]
fn records_are_judged_together_while_processes_die_and_after() {
    let mut processes = Processes::patient();
    processes.start_all();
    let out = processes.checks("wait leader\nput x 1\ncheck\n");
    let passes = |out: &str| {
        for property in ACROSS {
            assert!(out.contains(&format!("PASS {property}\n")), "{property}: {out}");
        }
    };
    passes(&out);
    let (_, answer) = out.split_once("OK put x=1 [").expect("it was answered");
    let leader: NodeId = answer[..2].parse().expect("by a node");
    processes.kill(leader);
    let out = processes.checks("wait leader\nput x 3\ncheck\n");
    let open =
        format!("UNDECIDED log matching: not all records of {leader} were read: {leader} does not answer");
    assert!(out.contains(&open) && !out.contains("FAIL"), "{out}");
    processes.start(leader);
    passes(&processes.checks("wait leader\nput x 4\nwait converged\ncheck\n"));
    for node in NodeId::first(3) {
        processes.kill(node);
    }
    passes(&processes.judged(0));
    let follower = NodeId::first(3).into_iter().find(|node| *node != leader).expect("two of three");
    let honest =
        fs::read(processes.folder.path(&format!("states/{follower}/records-0.bin"))).expect("it wrote");
    // It says that it led the first term too.
    processes.forge(follower, |clock, shown, to| {
        forged(clock, Shown { role: Rank::Leader, term: Term(1), ..shown }, to);
    });
    let out = processes.judged(1);
    assert!(out.contains("FAIL election safety: "), "{out}");
    fs::write(processes.folder.path(&format!("states/{follower}/records-0.bin")), honest).expect("it can be");
    processes.forge(follower, |clock, shown, to| {
        forged(clock, Shown { commit: LogIndex(shown.commit.0 - 1), ..shown }, to);
    });
    assert!(processes.judged(1).contains("FAIL state machine safety: "), "its commit index goes back");
}

#[test]
fn what_lost_records_held_is_undecided_and_no_console_says_that_all_was_judged() {
    let mut processes = Processes::patient();
    processes.start_all();
    let out = processes.checks("wait leader\ncreate x 1\nwait converged\ncheck\n");
    assert!(out.contains("PASS commit rule\n") && !out.contains("NOTE "), "its records reach back: {out}");
    let (_, answer) = out.split_once("OK created x=1 [").expect("it was answered");
    let leader: NodeId = answer[..2].parse().expect("by a node");
    processes.kill(leader);
    let path = processes.folder.path(&format!("states/{leader}/records-0.bin"));
    let mut bytes = fs::read(&path).expect("it has written");
    for byte in &mut bytes[40..42] {
        *byte ^= 0xff;
    }
    fs::write(&path, bytes).expect("the folder can be written");
    processes.start(leader);
    let why = format!("{leader}'s records begin in term ");
    let open = |out: &str| {
        assert!(!out.contains("FAIL"), "{out}");
        for property in ACROSS {
            assert!(out.contains(&format!("UNDECIDED {property}: {why}")), "{property}: {out}");
        }
    };
    let out = processes.checks("wait leader\nput x 2\nwait converged\ncheck\n");
    open(&out);
    assert!(out.contains("NOTE the nodes' records begin later than the cluster: "), "{out}");
    let options = ["--connect", "cluster.toml", "--count", "100", "--warm-up", "0s"];
    let load = processes.folder.run(env!("CARGO_BIN_EXE_client_load"), &options, "");
    assert!(load.out.contains("UNDECIDED safety: ") && load.out.contains(&why), "{}{}", load.out, load.err);
    assert!(!load.out.contains("PASS safety"), "{}", load.out);
    for node in NodeId::first(3) {
        processes.kill(node);
    }
    let ran = processes.folder.run(env!("CARGO_BIN_EXE_check_history"), &["--records", "states"], "");
    open(&ran.out);
    fs::remove_dir_all(processes.folder.path(&format!("states/{leader}"))).expect("it is there");
    for node in NodeId::first(3) {
        let options: &[&str] = if node == leader { &["--wipe"] } else { &[] };
        processes.start_with(node, options);
    }
    let out = processes.checks("wait leader\nput x 3\nwait up all\ncheck\n");
    assert!(out.contains(&format!("what it did with those of {leader}#1")) && !out.contains("FAIL"), "{out}");
}
