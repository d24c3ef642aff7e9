//! `cluster --processes`: nodes as child processes of one program, which is their console, too.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::MutexGuard;
use std::time::Instant;

use raftlab::NodeId;
use raftlab::config::cluster_file::ClusterFile;
use raftlab::protocol::{Address, Envelope, Packet};
use raftlab::raft::message::{Body, Files, Message};
use raftlab::types::{Epoch, Member, Term};
use raftlab::wire::{Caller, Frame, Hello, MAGIC, VERSIONS, encode};

use crate::processes::Processes;
use crate::{Folder, PATIENCE, Running};

/// Long enough for transfers and changes on a busy machine.
const ELECTION: [&str; 2] = ["--election", "800ms..1600ms"];

/// A supervisor with its children.
struct Supervised {
    folder: Folder,
    running: Running,
    /// The processes of n1, n2 and n3.
    children: Vec<u32>,
    _turn: MutexGuard<'static, ()>,
}

impl Supervised {
    fn start(options: &[&str]) -> Supervised {
        let turn = Processes::turn();
        let folder = Folder::new();
        let options = [&["3", "--processes"], &ELECTION[..], options].concat();
        let running = folder.start(&options);
        let number = |node: NodeId| {
            let said = running.warning(&format!("[{node}] process "));
            said.split_whitespace().nth(2).and_then(|word| word.parse().ok()).expect("its number")
        };
        let children = NodeId::first(3).into_iter().map(number).collect();
        Supervised { folder, running, children, _turn: turn }
    }

    /// Runs these lines, and waits until they are done.
    fn run(&mut self, lines: &str) {
        self.running.say(&format!("{lines}\necho these lines are done\n"));
        self.running.answer("these lines are done");
    }

    fn file(&self) -> ClusterFile {
        ClusterFile::read(&self.folder.read("states/cluster.toml")).expect("a good file")
    }

    fn quit(mut self) {
        self.running.say("quit\n");
        let (status, said) = self.running.end();
        assert_eq!(status.code(), Some(0), "{said:?}");
        for child in self.children {
            assert!(has_ended(child), "process {child}");
        }
    }
}

/// Whether no such process runs. One that its parent has not asked after is a zombie, and runs no more.
fn has_ended(process: u32) -> bool {
    let asked = Command::new("ps").args(["-o", "stat=", "-p", &process.to_string()]).output().expect("ps");
    let state = String::from_utf8_lossy(&asked.stdout);
    state.trim().is_empty() || state.trim().starts_with('Z')
}

#[track_caller]
fn await_end(process: u32) {
    let deadline = Instant::now() + PATIENCE;
    while !has_ended(process) {
        assert!(Instant::now() < deadline, "process {process} runs on without its supervisor");
    }
}

#[test]
fn processes_are_frozen_killed_and_replaced_under_load_and_nothing_answered_is_lost() {
    let mut supervised = Supervised::start(&[]);
    supervised.run("wait leader 20s");
    let mut load = supervised.folder.start_load("states/cluster.toml", "90s");
    supervised.run("pause leader --process\nwait leader 20s\nresume all\nwait up all 20s");
    for node in NodeId::first(3) {
        supervised.run(&format!("kill {node}\nwait leader 20s\nrestart {node}\nwait up all 20s"));
    }
    for (old, new) in NodeId::first(3).into_iter().zip([4, 5, 6].map(NodeId::new)) {
        supervised.run(&format!("replace {old} with {new}\nwait leader 20s\nstop {old}"));
    }
    supervised.run("wait members n4 n5 n6 20s");
    load.served_all_until_now();
    supervised.run("wait converged 20s");
    // The supervisor reads what those that were replaced have left behind.
    supervised.running.say("check\n");
    for property in ["election safety", "leader completeness", "commit rule", "linearizable"] {
        supervised.running.answer(&format!("PASS {property}"));
    }
    supervised.quit();
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_child_and_nothing_answered_is_lost() {
    let mut supervised = Supervised::start(&["--history", "history.jsonl"]);
    // Elsewhere a frozen process is not told that its supervisor has gone.
    let frozen = if cfg!(target_os = "linux") { "pause n2 --process\n" } else { "" };
    supervised.run(&format!("wait leader 20s\nput k0 v0\nput k1 v1\n{frozen}put k0 v2 --timeout 15s"));
    supervised.running.child.kill().expect("it runs");
    supervised.running.child.wait().expect("its parent may wait");
    for child in &supervised.children {
        await_end(*child);
    }
    let folder = &supervised.folder;
    folder.run(env!("CARGO_BIN_EXE_check_history"), &["history.jsonl"], "").exits(0);
    let lines = "wait leader 20s\nread k0\nexpect ok v2\nread k1\nexpect ok v1\n";
    let again = folder.cluster(&[&["5", "--processes"], &ELECTION[..]].concat(), lines).exits(0);
    assert!(again.err.contains("the number 5 counts only for a new cluster"), "{}", again.err);
    assert!(!folder.path("states/cluster.toml").exists(), "no node listens any more");
}

#[test]
fn files_of_threads_start_as_processes_and_the_other_way_round() {
    let _turn = Processes::turn();
    let folder = Folder::new();
    let long = &ELECTION[..];
    folder.cluster(&[&["3"], long].concat(), "wait leader 20s\nput x 1\nkill n1\n").exits(1);
    let lines = "wait leader 20s\nread x\nexpect ok x=1\nkill n1\nexpect ok process killed\nwait leader 20s\nput x 2\n\
                 restart n1\nwait converged 20s\npause n1\nresume n1\nexpect ok waited\npause n2 --process\nstatus\n\
                 expect ok frozen\nresume n2\nadd n4\nwait converged 20s\n";
    folder.cluster(&[&["3", "--processes"], long].concat(), lines).exits(0);
    let ran = folder.cluster(long, "wait leader 20s\nread x\nexpect ok x=2\nexpect members n1 n2 n3 n4\n");
    ran.exits(0);
    let refused = folder.cluster(&["--processes", "--memory"], "").refusal();
    assert!(refused.contains("cannot be used with '--memory'"), "{refused}");
}

/// What a process that was killed had taken was not lost, and what it had sent still counts, as far as the other end of a link
/// lived on.
#[test]
fn messages_of_processes_that_were_killed_are_counted() {
    let _turn = Processes::turn();
    let folder = Folder::new();
    let lines = "wait leader 20s\nload --duration 500ms --rate 400\nwait converged 20s\nkill n2\nnet n2\nrestart n2\n\
                 wait converged 20s\nkill n3\nwait leader 20s\nrestart n3\nwait converged 20s\necho now\nnet\n";
    let ran = folder.cluster(&[&["3", "--processes"], &ELECTION[..]].concat(), lines).exits(0);
    let counted = |text: &str| -> Vec<(String, u64, u64)> {
        let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let rows = rows.filter(|row| row.len() == 7 && row[0].contains(">n") && row[0].starts_with('n'));
        let number = |text: &str| text.replace(',', "").parse::<u64>().expect("a number");
        rows.map(|row| (row[0].to_string(), number(row[1]), number(row[2]) + number(row[3]))).collect()
    };
    let (before, after) = ran.out.split_once("now\n").expect("it came so far");
    let (killed, restarted) = (counted(before), counted(after));
    assert!(killed.len() >= 2 && restarted.len() >= 4, "{}", ran.out);
    // Some were on a connection when it broke.
    for (link, sent, known) in killed.iter().chain(&restarted) {
        assert!(known + 20 >= *sent, "{link} has lost too many: {}", ran.out);
    }
    let busy = |all: &[(String, u64, u64)]| all.iter().filter(|(_, sent, _)| *sent >= 150).count();
    assert!(busy(&killed) >= 1 && busy(&restarted) >= 2, "{}", ran.out);
}

/// A killed process has written down all that it did before its messages left: what follows from the steps of several nodes
/// is judged without it.
#[test]
fn what_killed_and_removed_processes_wrote_down_is_judged() {
    let _turn = Processes::turn();
    let folder = Folder::new();
    let judged = |out: &str| {
        for property in
            ["election safety", "log matching", "leader completeness", "commit rule", "committed is durable"]
        {
            assert!(out.contains(&format!("PASS {property}\n")), "{property}: {out}");
        }
    };
    let options = [&["3", "--processes"], &ELECTION[..]].concat();
    let lines = "wait leader 20s\nput x 1\ncheck\nkill leader\nwait leader 20s\nput x 2\ncheck\n";
    let ran = folder.cluster(&options, lines);
    judged(ran.out.rsplit_once("put x=2").expect("a new leader answers").1);
    // One that was removed has left its records behind, for a later run too.
    let lines = "wait leader 20s\nwait converged 20s\nremove n1\nkill n1\ncheck\n";
    let ran = folder.cluster(&options, lines);
    judged(ran.out.rsplit_once("and forgotten").expect("n1 is gone").1);
    let ran = folder.cluster(&options, "wait leader 20s\ncheck\n");
    judged(&ran.out);
}

#[test]
fn an_end_that_was_not_ordered_is_told_and_other_consoles_kill_nothing() {
    let mut supervised = Supervised::start(&[]);
    supervised.run("wait leader 20s");
    let client = |lines: &str| {
        let options = ["--config", "states/cluster.toml", "--keep-going"];
        supervised.folder.run(env!("CARGO_BIN_EXE_client"), &options, lines)
    };
    let refused = client("wait leader 20s\nput x 1\nkill n1\npause n1 --process\n").exits(1);
    assert_eq!(refused.out.matches("no process that this program has started").count(), 2, "{}", refused.out);
    let second = supervised.folder.cluster(&["--processes"], "").exits(2);
    assert!(second.err.contains("is in use by process"), "{}", second.err);
    let killed = Command::new("kill").args(["-9", &supervised.children[1].to_string()]).status();
    assert!(killed.expect("kill").success());
    supervised.running.warning("n2's process was killed by signal 9: 'restart n2' starts it again");
    supervised.run("wait down n2 20s");
    // Its port is another's meanwhile: it takes a new one, and the others find it there.
    let _taken = TcpListener::bind(&*supervised.file().addresses[&NodeId::new(2)]).expect("it is free");
    supervised.run("restart n2\nwait leader 20s\nwait converged 20s\nread x @n2\nexpect ok x=1");
    supervised.quit();
}

/// The bytes that begin a connection.
fn hello(file: &ClusterFile, token: &str, caller: Caller) -> Vec<u8> {
    let cluster = file.cluster.parse().expect("a number");
    let mut bytes = MAGIC.to_vec();
    let hello = Hello { versions: VERSIONS, cluster, epoch: Epoch::FIRST, token: token.to_string(), caller };
    encode(&Frame::Hello(hello), &mut bytes);
    bytes
}

/// Sends this, and reads until the other end closes the connection.
fn send(address: &str, bytes: &[u8]) {
    let mut stranger = TcpStream::connect(address).expect("it listens");
    stranger.set_read_timeout(Some(PATIENCE)).expect("a time above zero");
    // It may close the connection before all is sent.
    let _ = stranger.write_all(bytes);
    let _ = stranger.shutdown(Shutdown::Write);
    let _ = stranger.read_to_end(&mut Vec::new());
}

#[test]
fn u13_no_stranger_raises_the_term_of_a_process() {
    let mut supervised = Supervised::start(&[]);
    supervised.run("wait leader 20s");
    let file = supervised.file();
    let (n1, n2) = (NodeId::new(1), NodeId::new(2));
    let body = Body::VoteReply { granted: false };
    let message = Message { from: n2, to: n1, term: Term(1_000_000), files: Files::FOUNDERS, body };
    let (from, to) = (Address::Node(n2), Address::Node(n1));
    let mut forged = Vec::new();
    encode(&Frame::Envelope(Envelope::new(from, to, Packet::Raft(message))), &mut forged);
    let as_node = |token: &str| {
        let member = Member::founder(n2);
        let address = file.addresses[&n2].clone();
        let caller = Caller::Node { member, life: 7, address, expects: n1, connection: 0 };
        hello(&file, token, caller)
    };
    for begin in [
        Vec::new(),
        MAGIC.to_vec(),
        // Without the token; as a second process of n2; and as a client, who may send requests only.
        as_node("another"),
        as_node(&file.token),
        hello(&file, &file.token, Caller::Client { expects: n1 }),
    ] {
        send(&file.addresses[&n1], &[begin, forged.clone()].concat());
    }
    supervised.running.say("status n1\n");
    let row = supervised.running.answer("n1 ");
    let term = row.split_whitespace().find_map(|word| word.parse::<u64>().ok()).expect("a term");
    assert!(term < 1_000_000, "{row}");
    supervised.quit();
}

#[cfg(target_os = "linux")]
#[test]
fn l11_and_l15_a_frozen_peer_and_lengths_of_4_gib_cost_a_process_nothing() {
    let mut supervised = Supervised::start(&[]);
    supervised.run("wait leader 20s");
    let process = supervised.children[0];
    let descriptors = || std::fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count();
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory").to_string();
        line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).expect("kB")
    };
    let (open, used) = (descriptors(), memory());
    // Longer than a link waits for a word of its other end, so that it is dialed again, more than once.
    supervised.run("pause n3 --process\nwait leader 20s\nload --clients 4 --duration 5s");
    assert!(descriptors() < open + 20, "{open} descriptors before, {} now", descriptors());
    let file = supervised.file();
    let liars: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut liar = TcpStream::connect(&*file.addresses[&NodeId::new(1)]).expect("it listens");
            let _ = liar.write_all(&[&MAGIC[..], &u32::MAX.to_le_bytes(), &[1]].concat());
            liar
        })
        .collect();
    supervised.run("resume n3\nwait leader 20s\nwait converged 20s\nput x 1");
    let grown = memory().saturating_sub(used);
    assert!(grown < 1 << 20, "{grown} kB more than before");
    drop(liars);
    supervised.quit();
}

#[test]
fn u4_a_process_that_cannot_listen_says_so() {
    let folder = Folder::new();
    folder.cluster(&["1", "--write-config", "cluster.toml"], "").exits(0);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it listens").to_string();
    folder.write("cluster.toml", &folder.read("cluster.toml").replace("127.0.0.1:7001", &address));
    let node = |options: &[&str]| folder.run(env!("CARGO_BIN_EXE_node"), options, "");
    node(&["n1", "--init"]).exits(0);
    let refused = node(&["n1"]).exits(1);
    assert!(
        refused.err.contains(&format!("{address} is in use: stop what listens there")),
        "{}",
        refused.err
    );
}
