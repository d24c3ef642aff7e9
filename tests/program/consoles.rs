//! Consoles of processes: several at once, and such as are gone before what they ordered has ended.

use std::thread;
use std::time::Instant;

use raftlab::NodeId;

use super::processes::Processes;
use crate::{PATIENCE, Ran, Running};

fn client(processes: &Processes, lines: &str) -> Ran {
    processes.folder.run(env!("CARGO_BIN_EXE_client"), &["--echo"], lines)
}

/// A console that stays.
fn attached(processes: &Processes) -> Running {
    let mut console = Running::of(processes.folder.command(env!("CARGO_BIN_EXE_client"), &["--keep-going"]));
    console.say("wait leader\necho attached\n");
    console.answer("attached");
    console
}

/// Waits until a node's log file holds these words.
#[track_caller]
fn await_log(processes: &Processes, node: &str, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    let path = format!("logs/{node}.log");
    while !processes.folder.read(&path).contains(words) {
        assert!(Instant::now() < deadline, "no {words:?} in\n{}", processes.folder.read(&path));
        thread::yield_now();
    }
}

#[test]
fn what_lasts_a_time_ends_without_its_console() {
    let mut processes = Processes::patient();
    processes.start_all();
    let mut console = attached(&processes);
    console
        .say("cut n1>n3 for 2s\nslow-disk n1 20ms for 1s\npause n3 for 1s\ncrash n2 for 1s\necho ordered\n");
    console.answer("ordered");
    console.child.kill().expect("it runs");
    let ran = client(&processes, "wait up all 20s\nwait converged 20s\ncheck\n").exits(0);
    assert!(ran.out.contains("PASS exactly once"), "{}", ran.out);
    await_log(&processes, "n1", "cut n1>n3 for 2s (rules 1)");
    await_log(&processes, "n1", "its disk is repaired after 1 s");
    await_log(&processes, "n3", "resumes after 1 s");
    await_log(&processes, "n2", "restarts after 1 s");
    let until = Instant::now() + PATIENCE;
    while !client(&processes, "net\n").exits(0).out.contains("no rules") {
        assert!(Instant::now() < until, "the cut ends");
    }
}

#[test]
fn why_is_told_of_an_entry_that_no_console_saw() {
    let mut processes = Processes::patient();
    processes.start_all();
    let created = client(&processes, "wait leader\ncreate x 1\nwait converged\n").exits(0);
    let (_, answer) = created.out.split_once("OK created x=1 [").expect("it was answered");
    let (_, index) = answer.split_once(" index ").expect("with its index");
    let index: String = index.chars().take_while(char::is_ascii_digit).collect();
    let ran = client(&processes, &format!("why {index}\n")).exits(0);
    for words in [
        format!(" appends a command at {index} "),
        format!(" holds its log durably up to {index} "),
        " appended it: n".to_string(),
        " it, a majority (5.3)\n".to_string(),
        "what took longest: ".to_string(),
        " before this console began\n".to_string(),
    ] {
        assert!(ran.out.contains(&words), "{words:?} in {}", ran.out);
    }
}

#[test]
fn two_consoles_that_change_rules_at_once_keep_each_others_changes() {
    let mut processes = Processes::patient();
    processes.start_all();
    let [one, other] = ["n1>n2", "n2>n3"].map(|link| {
        let mut console = attached(&processes);
        console.say(&format!("{}cut {link}\necho done\n", format!("cut {link}\nheal {link}\n").repeat(10)));
        console
    });
    one.answer("done");
    other.answer("done");
    let net = client(&processes, "net\n").exits(0);
    assert!(
        net.out.contains("rule  cut n1>n2 n2>n3") || net.out.contains("rule  cut n2>n3\n"),
        "{}",
        net.out
    );
    assert!(net.out.contains("cut n1>n2"), "{}", net.out);
    for node in ["n1", "n2", "n3"] {
        await_log(&processes, node, "(rules 42)");
    }
}

#[cfg(unix)]
#[test]
fn an_order_that_is_not_answered_is_unknown_and_a_frozen_node_hears_of_a_reset() {
    let mut processes = Processes::patient();
    processes.start_all();
    let mut console = attached(&processes);
    console.say("drop 10%\nset heartbeat 40ms\necho dropping\n");
    console.answer("dropping");
    let n3 = NodeId::new(3);
    processes.running[&n3].signal("STOP");
    console.say("slow-disk n3 1ms\nreset\nset heartbeat 45ms\necho reset\n");
    console.answer("UNKNOWN");
    let reset = console.answer("removed drop 10%");
    assert!(!reset.contains("ERR"), "{reset}");
    console.answer("heartbeat 45ms on every node");
    processes.running[&n3].signal("CONT");
    await_log(&processes, "n3", "rules 2: none");
    await_log(&processes, "n3", "settings 2");
    // A process that starts has neither: it is told both.
    processes.kill(n3);
    processes.start(n3);
    console.say("wait up n3 20s\ncut n1>n3\necho cut\n");
    console.answer("cut n1>n3");
    await_log(&processes, "n3", "(rules 3)");
}

#[test]
fn a_console_sees_each_message_once_and_the_logs_of_processes_merge() {
    let mut processes = Processes::patient();
    processes.start_all();
    let script = "timeout n1\nwait leader\nwait converged\nevents all\ncreate x 1\nsleep 200ms\nevents off\n\
                  events client\nread x\nlogs --last 100\nkeys\n";
    let ran = client(&processes, script).exits(0);
    let all = format!("{}{}", ran.out, ran.err);
    let sent: Vec<&str> =
        all.lines().filter(|line| line.contains(" -> ") && line.contains("entries=")).collect();
    let mut unlike = sent.clone();
    unlike.sort_unstable();
    unlike.dedup();
    assert_eq!(sent.len(), unlike.len(), "{sent:#?}");
    assert!(all.contains(" receives a read of "), "the read is told to who asks for clients: {all}");
    assert!(ran.out.contains(" n1 INFO  leads term "), "{}", ran.out);
    let logs = |options: &[&str]| processes.folder.run(env!("CARGO_BIN_EXE_logs"), options, "").exits(0).out;
    assert!(logs(&[]).contains(" leads term "));
    assert!(logs(&["matrix"]).contains("\nn3 "), "{}", logs(&["matrix"]));
}

/// The first narrated line that holds each of these words, in any order: nodes tell what happens to them on links of their own.
#[track_caller]
fn narrated<const N: usize>(console: &Running, words: [&str; N]) -> [String; N] {
    let mut found = [const { None }; N];
    while found.iter().any(Option::is_none) {
        let line = console.warning("");
        let held = words.iter().zip(&mut found).filter(|(words, _)| line.contains(**words));
        for (_, found) in held {
            found.get_or_insert_with(|| line.clone());
        }
    }
    found.map(|line| line.expect("each was found"))
}

/// `command 2 of c7, 36 bytes`.
fn command_of(received: &str) -> &str {
    received.split_once(" receives ").expect("a node receives it").1
}

#[test]
fn a_console_sees_how_a_client_is_sent_on_and_asks_again() {
    let mut processes = Processes::patient();
    processes.start_all();
    let mut console = attached(&processes);
    console
        .say("transfer n1\nwait leader n1 20s\nput x 1\ntransfer n2\nwait leader n2 20s\nwait stable 20s\n");
    // The console's client takes n1 for the leader still.
    console.say("events client\nput x 2\n");
    let words = ["n1 receives command 2 of ", "n2 receives command 2 of ", "n1 rejects a request: n2 leads"];
    let [first, second, _] = narrated(&console, words);
    assert_eq!(command_of(&first), command_of(&second), "the same is asked");
    console.answer("OK put x=2 [n2 ");
    console.say("cut n2>clients\nput x 3 --timeout 20s\n");
    let asked = console.warning("n2 receives command 3 of ");
    console.warning(", which does not get the answer (link cut)");
    client(&processes, "heal n2>clients\n").exits(0);
    console.warning(&format!("n2 receives {}", command_of(&asked)));
    console.answer("OK put x=3 [n2 ");
}

#[test]
fn l15_a_process_is_sent_a_snapshot_in_bounded_parts_and_not_again_and_again() {
    const PART: usize = 100;
    let mut processes = Processes::patient();
    processes.set(&format!("snapshot_part_bytes = {PART}\ntrailing_entries = 0"));
    processes.start_all();
    let script = "wait leader\ntransfer n1\nwait leader n1 20s\ncrash n3\nput a 1\nput b 2\nsnapshot n1\nevents net\n\
                  restart n3\nwait converged 20s\nevents off\n";
    let ran = client(&processes, script).exits(0);
    let (_, size) = ran.out.split_once(" keys, ").expect("a snapshot was made");
    let size: usize = size.split(' ').next().and_then(|size| size.parse().ok()).expect("its bytes");
    let parts = ran.err.lines().filter(|line| line.contains(" -> n3 InstallSnapshot "));
    let bytes = parts.filter_map(|line| line.split("bytes=").nth(1)?.split(' ').next()?.parse().ok());
    let bytes: Vec<usize> = bytes.collect();
    let sent: usize = bytes.iter().sum();
    // A part whose answer is late is sent again.
    assert!(sent >= size && sent < 2 * size, "{size} bytes, sent as {bytes:?}");
    assert!(bytes.iter().all(|bytes| *bytes <= PART), "{bytes:?}");
}
