//! The whole program is killed in the middle of its work, again and again: what was answered OK is there at the next
//! start.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Long enough for any answer on a busy machine; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `cluster 3` with piped input.
struct Running {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Running {
    fn start(folder: &Path) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cluster"))
            .args(["3", "--keep-going"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let input = child.stdin.take().expect("its input is piped");
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let (sender, lines) = channel();
        // Ends with the program's output.
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Running { child, input, lines }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the program reads its input");
    }

    fn answer(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("an answer in time")
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        self.lines.iter().collect()
    }
}

#[test]
fn a_killed_program_has_kept_every_write_that_it_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut answered: Vec<String> = Vec::new();
    for round in 0..6_usize {
        let mut program = Running::start(folder.path());
        program.say("wait leader");
        // In some rounds a node is down, and one comes back, while the writes go on.
        if round % 2 == 1 {
            program.say("crash followers");
            program.say("restart all");
            program.say("echo ready");
            while program.answer() != "ready" {}
        }
        for number in 0..200 {
            program.say(&format!("create r{round}.{number} v{number}"));
        }
        let mut seen: Vec<String> = (0..20 + 25 * round).map(|_| program.answer()).collect();
        seen.extend(program.kill());
        let keys = seen.iter().filter_map(|line| line.strip_prefix("OK created "));
        answered.extend(keys.filter_map(|rest| rest.split(' ').next()).map(str::to_string));
    }
    assert!(answered.len() > 200, "only {} writes were answered: too few to show anything", answered.len());

    let mut program = Running::start(folder.path());
    program.say("wait leader");
    for pair in &answered {
        let (key, value) = pair.split_once('=').expect("key=value");
        program.say(&format!("read {key}"));
        let answer = program.answer();
        assert!(answer.starts_with(&format!("OK {key}={value} ")), "{pair} was answered OK, now: {answer}");
    }
    program.say("check");
    program.say("quit");
    let verdicts: Vec<String> = program.lines.iter().collect();
    assert!(!verdicts.is_empty() && verdicts.iter().all(|line| line.starts_with("PASS ")), "{verdicts:?}");
    assert!(program.child.wait().expect("it ends").success());
}
