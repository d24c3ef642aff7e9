//! `client_load` on a real etcd. Where there is none, its tests say so and pass, unless `RAFTLAB_ETCD=required`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Folder, PATIENCE, Ran, Running};

/// How many runs a contradiction may take to show; one is enough on most machines.
const RUNS_MAX: usize = 20;

/// What the README's lines begin with.
const TYPED: &str = "cargo run --release --features etcd --bin client_load -- ";

/// Whether there is an etcd.
fn is_here() -> bool {
    let is_here = Command::new("etcd").arg("--version").stdout(Stdio::null()).status().is_ok();
    let required = std::env::var_os("RAFTLAB_ETCD").is_some_and(|value| value == "required");
    assert!(is_here || !required, "no etcd is on PATH, and RAFTLAB_ETCD=required");
    if !is_here {
        eprintln!("no etcd is on PATH: nothing was tried on one");
    }
    is_here
}

/// The options of the README's lines, in order.
fn typed() -> Vec<Vec<String>> {
    let readme = include_str!("../../README.md");
    let section = readme.split("## Moving on to etcd\n").nth(1).expect("a section");
    let section = section.split("\n## ").next().expect("it has a text");
    let lines = section.lines().filter_map(|line| line.strip_prefix(TYPED));
    // Words in quotes are one.
    let words = |line: &str| {
        let parts = line.split('"').enumerate();
        let words = parts.flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_string).collect(),
            _ => vec![part.to_string()],
        });
        words.collect()
    };
    lines.map(words).collect()
}

/// Runs a load whose own folder is in this one, and sees that it leaves neither a file nor a process.
fn run(folder: &Folder, options: &[String]) -> Ran {
    let scratch = folder.path("scratch");
    fs::create_dir_all(&scratch).expect("the folder can be written");
    let mut command = folder.command(env!("CARGO_BIN_EXE_client_load"), &[]);
    command.args(options).env("TMPDIR", &scratch);
    let output = assert_cmd::Command::from_std(command).timeout(3 * PATIENCE).output().expect("it starts");
    assert_eq!(crate::contents(&scratch), [], "its folder is gone");
    assert!(!has_processes(&scratch), "a member was left behind");
    Ran {
        code: output.status.code().expect("it ends by itself, in time"),
        out: String::from_utf8(output.stdout).expect("answers are UTF-8"),
        err: String::from_utf8(output.stderr).expect("warnings are UTF-8"),
    }
}

/// Whether a process has this folder in its command line; where there is no `/proc`, this cannot be seen.
fn has_processes(folder: &Path) -> bool {
    let name = folder.to_str().expect("a name of letters");
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut lines = all.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(name))
}

fn words(options: &str) -> Vec<String> {
    options.split_whitespace().map(str::to_string).collect()
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("one JSON object, not {}{}", ran.out, ran.err))
}

#[test]
fn reads_at_a_quorum_are_linearizable_though_the_leader_is_killed() {
    if !is_here() {
        return;
    }
    let folder = Folder::new();
    let [first, ..] = &typed()[..] else { panic!("the README has lines") };
    let ran = run(&folder, &[&first[..], &words("--json")].concat()).exits(0);
    let report = report(&ran);
    let faults = report["faults"].as_array().expect("faults");
    assert!(faults.len() == 2 && faults.iter().all(|fault| fault["ok"] == true), "{report}");
    assert!(faults[0]["answer"].as_str().is_some_and(|said| said.contains("it led term")), "{report}");
    let [line] = &report["verdict"]["lines"].as_array().expect("lines")[..] else { panic!("{report}") };
    assert!(line.as_str().is_some_and(|line| line.starts_with("PASS linearizable (")), "{report}");
}

#[test]
fn serializable_reads_are_found_not_linearizable_with_the_contradiction() {
    if !is_here() {
        return;
    }
    let folder = Folder::new();
    let [_, second, ..] = &typed()[..] else { panic!("the README has lines") };
    let found = (0..RUNS_MAX).map(|_| run(&folder, second)).find(|ran| ran.code == 1);
    let out = found.expect("a stale read in one of many runs").out;
    let line = out.lines().find(|line| line.starts_with("FAIL linearizable: ")).expect("a verdict");
    assert!(line.contains(" read k0, called at ") && line.contains("in any order, k0 can only"), "{line}");
}

#[test]
fn members_take_what_a_console_does_to_nodes() {
    if !is_here() {
        return;
    }
    let folder = Folder::new();
    let load = "--engine etcd:3 --clients 3 --keys 20 --reads 50% --duration 3s --timeout 500ms --json \
                --mix put=2,create=1,update=1,delete=1,cas=1";
    let faults = [
        ("300ms", "pause n1 for 100ms"),
        ("600ms", "pause n2"),
        ("800ms", "resume n2"),
        ("1s", "stop n3"),
        ("1500ms", "restart all"),
        ("2s", "kill n1 for 300ms"),
        ("2500ms", "transfer any"),
    ];
    let faults = faults.iter().flat_map(|(at, line)| ["--at", at, line].map(str::to_string));
    let ran = run(&folder, &words(load).into_iter().chain(faults).collect::<Vec<_>>());
    let report = report(&ran);
    assert_eq!(report["verdict"]["pass"], true, "{report}");
    let answers = report["faults"].as_array().expect("faults");
    let answers: Vec<&str> = answers.iter().map(|fault| fault["answer"].as_str().expect("a text")).collect();
    let expected =
        ["n1 paused", "n2 paused", "n2 resumed", "n3 stopped", "n3 restarts", "n1's process killed"];
    assert!(answers.len() >= expected.len(), "{answers:?}");
    assert!(answers.iter().zip(expected).all(|(answer, said)| answer.contains(said)), "{answers:?}");
}

#[test]
fn an_etcd_that_runs_is_put_under_load_and_left_as_it_is() {
    if !is_here() {
        return;
    }
    let folder = Folder::new();
    let [_, _, third, ..] = &typed()[..] else { panic!("the README has lines") };
    // A load of its own starts one and says where, in the command line of its member.
    let mut command = folder.command(env!("CARGO_BIN_EXE_client_load"), &[]);
    command.args(words("--engine etcd:1 --duration 10m")).env("TMPDIR", folder.0.path());
    let starter = Running::of(command);
    starter.answer("SEC");
    let deadline = Instant::now() + PATIENCE;
    let address = loop {
        assert!(Instant::now() < deadline, "it says where it listens");
        if let Some(address) = address_below(folder.0.path()) {
            break address;
        }
        thread::yield_now();
    };
    let at = |option: &String| option.replace("http://127.0.0.1:2379", &address);
    let short = third.iter().map(at).chain(words("--count 50 --json"));
    for _ in 0..2 {
        let ran = run(&folder, &short.clone().collect::<Vec<_>>()).exits(0);
        let report = report(&ran);
        assert_eq!(report["verdict"]["pass"], true, "{report}");
        assert!(report["setup"].as_str().is_some_and(|setup| setup.contains("run elsewhere")), "{report}");
    }
    // One that is killed takes its member with it.
    starter.signal("KILL");
    let deadline = Instant::now() + PATIENCE;
    while cfg!(target_os = "linux") && has_processes(folder.0.path()) {
        assert!(Instant::now() < deadline, "a member outlives its starter");
        thread::yield_now();
    }
}

/// Where a member with its files below this folder listens for clients.
fn address_below(folder: &Path) -> Option<String> {
    let name = folder.to_str().expect("a name of letters");
    let all = fs::read_dir("/proc").ok()?.flatten();
    let lines = all.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let line =
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).find(|line| line.contains(name))?;
    let mut words = line.split('\0').skip_while(|word| *word != "--listen-client-urls");
    words.nth(1).map(str::to_string)
}

#[test]
fn both_engines_stand_on_one_page() {
    if !is_here() {
        return;
    }
    let folder = Folder::new();
    let [.., last] = &typed()[..] else { panic!("the README has lines") };
    let ran = run(&folder, last).exits(0);
    let rows: Vec<&str> = ran.out.lines().filter(|line| line.trim_start().contains(":3 ")).collect();
    assert!(rows.len() == 2 && rows.iter().all(|row| row.ends_with("PASS")), "{}", ran.out);
    let page = folder.read("engines.html");
    assert!(page.contains("Throughput and latency by engine") && page.contains("with engine="), "a page");
}

/// A server that is no etcd: it answers every connection with these bytes, or with nothing.
fn stranger(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        let mut silent = Vec::new();
        for mut socket in listener.incoming().flatten() {
            match answer {
                Some(answer) => {
                    let _ = socket.read(&mut [0; 4096]);
                    let _ = socket.write_all(answer.as_bytes());
                }
                None => silent.push(socket),
            }
        }
    });
    format!("http://{address}")
}

#[test]
fn what_is_no_etcd_or_does_not_answer_is_said_in_a_line() {
    let folder = Folder::new();
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>";
    let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (address, code, said) in [
        (stranger(Some(page)), 1, "is not etcd's"),
        (stranger(Some(missing)), 1, "is no etcd of version 3.4 or later: it answers 404 Not Found"),
        (stranger(Some("\0\u{fe}garbage\n")), 1, "speaks no HTTP"),
        (stranger(None), 3, "no leader after 0.2 s: "),
        ("http://127.0.0.1:1".to_string(), 3, "Connection refused"),
    ] {
        let options = format!("--engine etcd={address} --leader-within 200ms");
        let ran = run(&folder, &words(&options)).exits(code);
        let last = ran.err.lines().last().expect("a line");
        assert!(last.starts_with("error: ") && last.contains(said), "{said}: {}", ran.err);
    }
}

/// An etcd that says who leads, and then answers no call.
fn standstill() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || tell_status(&mut BufReader::new(socket)));
        }
    });
    format!("http://{address}")
}

/// Answers each question about the member, and lets all others wait.
fn tell_status(connection: &mut BufReader<TcpStream>) -> Option<()> {
    let body = r#"{"header":{"member_id":"1","revision":"1","raft_term":"2"},"version":"3.5.0","leader":"1","raftTerm":"2"}"#;
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            connection.read_line(&mut line).ok().filter(|read| *read > 0)?;
            head += &line.to_ascii_lowercase();
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        connection.read_exact(&mut vec![0; length.parse().ok()?]).ok()?;
        if head.starts_with("post /v3/maintenance/status ") {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            connection.get_mut().write_all(answer.as_bytes()).ok()?;
        }
    }
}

#[test]
fn calls_to_an_etcd_that_stands_still_are_unknown_or_rejected_in_time() {
    let folder = Folder::new();
    let options = "--clients 2 --count 4 --reads 50% --timeout 300ms --json";
    let ran = run(&folder, &words(&format!("--engine etcd={} {options}", standstill()))).exits(3);
    let report = report(&ran);
    let count = |number: &Value| number.as_u64().expect("a number");
    let certain = report["rejected"].get("no answer").map_or(0, count);
    assert_eq!((count(&report["answered"]), count(&report["unknown"]) + certain), (0, 4), "{report}");
    let [line] = &report["verdict"]["lines"].as_array().expect("lines")[..] else { panic!("{report}") };
    assert!(line.as_str().is_some_and(|line| line.starts_with("UNDECIDED linearizable: ")), "{report}");
}

#[test]
fn what_an_etcd_cannot_take_is_refused_before_anything_starts() {
    let folder = Folder::new();
    let at = |line: &'static str| vec!["--at", "1s", line];
    for (options, said) in [
        (vec!["--batch", "4"], "etcd:3 cannot go with --batch"),
        (vec!["--gather", "2", "--pipeline", "4"], "--pipeline, --gather"),
        (vec!["--memory", "--express"], "--memory, --express"),
        (vec!["--states", "s"], "--states"),
        (vec!["--read-mode", "lease"], "--read-mode lease"),
        (vec!["--election", "1s..2s"], "--engine etcd:3 cannot go with --election"),
        (vec!["5"], "cannot go with the number of nodes"),
        (vec!["--config", "none.toml"], "cannot go with --config"),
        (vec!["--connect", "cluster.toml"], "cannot be used with"),
        (vec!["--report", "r.html", "--messages"], "--messages"),
        (vec!["--sweep", "batch=1,8"], "batch=8: etcd:3 cannot go with --batch"),
        (
            at("isolate n1"),
            "an etcd takes crash, kill, pause, restart, resume, stop, transfer, and nothing else",
        ),
        (at("crash leader --power"), "has no '--power'"),
        (at("restart n1 --wipe"), "has no '--wipe'"),
        (at("crash n4"), "there is no n4: the nodes are n1 to n3"),
    ] {
        let reason = folder.client_load(&[&["--engine", "etcd:3"], &options[..]].concat()).refusal();
        assert!(reason.contains(said), "{options:?}: {reason}");
    }
    let options = ["--engine", "etcd=http://127.0.0.1:1", "--at", "1s", "crash n1"];
    assert!(folder.client_load(&options).refusal().contains("this etcd runs elsewhere"));
    assert_eq!(crate::contents(folder.0.path()), [], "nothing was started");
    let mut command = folder.command(env!("CARGO_BIN_EXE_client_load"), &["--engine", "etcd:3"]);
    command.env("PATH", folder.0.path()).env("TMPDIR", folder.0.path());
    let ran =
        assert_cmd::Command::from_std(command).timeout(Duration::from_secs(20)).output().expect("it starts");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(1) && said.contains("Debian's etcd-server"), "{said}");
}
