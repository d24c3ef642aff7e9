//! The programs as a person or another program meets them: real processes in a folder of their own, what they print,
//! how they exit, and what is on disk afterwards.
//!
//! Nothing here looks inside; a test that needs a moment waits for a line or for the end of the process.

mod bad_input;
mod consoles;
mod demos;
mod doctor;
#[cfg(feature = "etcd")]
mod etcd;
mod figure16;
mod history;
mod interface;
mod killed;
mod lessons;
#[cfg(unix)]
mod limits;
mod load;
mod logs;
mod museum;
mod processes;
mod recordings;
mod records;
mod report;
mod scripts_on_processes;
mod signals;
mod starting;
#[cfg(unix)]
mod supervised;
#[cfg(unix)]
mod terminal;
mod viewers;
mod whole;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder to start programs in.
struct Folder(TempDir);

/// What a program left behind.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// A program that runs while the test does something.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    /// One in memory, where the system has such: the disks of busy machines stall for seconds.
    fn in_memory() -> Folder {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Folder(folder.expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the folder can be written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the file is there")
    }

    /// Carries out these lines on a cluster of three.
    fn cluster(&self, options: &[&str], lines: &str) -> Ran {
        self.run(env!("CARGO_BIN_EXE_cluster"), options, lines)
    }

    fn simulate(&self, options: &[&str], lines: &str) -> Ran {
        self.run(env!("CARGO_BIN_EXE_simulate"), options, lines)
    }

    fn client_load(&self, options: &[&str]) -> Ran {
        self.run(env!("CARGO_BIN_EXE_client_load"), options, "")
    }

    fn run(&self, program: &str, options: &[&str], lines: impl Into<Vec<u8>>) -> Ran {
        self.run_within(PATIENCE, program, options, lines)
    }

    fn run_within(
        &self,
        patience: Duration,
        program: &str,
        options: &[&str],
        lines: impl Into<Vec<u8>>,
    ) -> Ran {
        let output = assert_cmd::Command::from_std(self.command(program, options))
            .write_stdin(lines)
            .timeout(patience)
            .output()
            .expect("the program starts");
        Ran {
            code: output.status.code().expect("the program ends by itself, in time"),
            out: String::from_utf8(output.stdout).expect("answers are UTF-8"),
            err: String::from_utf8(output.stderr).expect("warnings are UTF-8"),
        }
    }

    /// A load on the processes that this file describes, for this time.
    fn start_load(&self, config: &str, duration: &str) -> Running {
        let options =
            ["--connect", config, "--clients", "4", "--duration", duration, "--timeout", "20s", "--json"];
        Running::of(self.command(env!("CARGO_BIN_EXE_client_load"), &options))
    }

    fn start(&self, options: &[&str]) -> Running {
        Running::of(self.command(env!("CARGO_BIN_EXE_cluster"), options))
    }

    fn command(&self, program: &str, options: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path()).args(options).env_remove("RUST_LOG").env_remove("NO_COLOR");
        command
    }
}

impl Ran {
    /// It ended as it should; shown whole when it did not.
    #[track_caller]
    fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "exit code\n--- out\n{}--- err\n{}", self.out, self.err);
        self
    }

    /// The one line of a program that refuses to start.
    #[track_caller]
    fn refusal(self) -> String {
        let ran = self.exits(2);
        assert_eq!(ran.out, "", "a refusal is no answer");
        let lines: Vec<&str> = ran.err.lines().collect();
        let [line] = lines[..] else { panic!("one line, not {lines:?}") };
        let reason = line.strip_prefix("error: ").unwrap_or_else(|| panic!("an error, not {line:?}"));
        reason.to_string()
    }
}

impl Running {
    fn of(mut command: Command) -> Running {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program starts");
        let out = lines_of(child.stdout.take().expect("piped"));
        let err = lines_of(child.stderr.take().expect("piped"));
        Running { input: child.stdin.take(), child, out, err }
    }

    fn say(&mut self, lines: &str) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(lines.as_bytes()).and_then(|()| input.flush()).expect("the program reads");
    }

    fn close_input(&mut self) {
        self.input = None;
    }

    /// The next answer that holds these words.
    #[track_caller]
    fn answer(&self, words: &str) -> String {
        await_line(&self.out, words, &self.err)
    }

    /// The next warning or narration that holds these words.
    #[track_caller]
    fn warning(&self, words: &str) -> String {
        await_line(&self.err, words, &self.out)
    }

    /// The end of a load: no call has failed, each outcome is known, and the history is linearizable.
    #[track_caller]
    fn served_all(&mut self) {
        let report = self.report(0);
        assert_eq!(report["verdict"]["pass"], true, "{report}");
    }

    /// Ends the load, which has served all so far. What the nodes did may be open, if some have left; what clients saw is not.
    fn served_all_until_now(&mut self) -> serde_json::Value {
        self.signal("INT");
        let report = self.report(130);
        let lines: Vec<String> =
            serde_json::from_value(report["verdict"]["lines"].clone()).expect("a verdict has lines");
        assert!(lines.iter().any(|line| line.starts_with("PASS linearizable ")), "{report}");
        assert!(!lines.iter().any(|line| line.starts_with("FAIL")), "{report}");
        report
    }

    /// The report of a load that ends so: each call was answered.
    #[track_caller]
    fn report(&mut self, code: i32) -> serde_json::Value {
        let (status, said) = self.end();
        assert_eq!(status.code(), Some(code), "{said:?}");
        let report: serde_json::Value =
            said.iter().find_map(|line| serde_json::from_str(line).ok()).expect("a report");
        assert_eq!((&report["failed"], &report["unknown"]), (&0.into(), &0.into()), "{report}");
        report
    }

    fn signal(&self, name: &str) {
        let order = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &order]).status().expect("a shell");
        assert!(sent.success(), "{order}");
    }

    /// Its end, and what it still answered. Its input stays open, if it was.
    #[track_caller]
    fn end(&mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        let mut rest = Vec::new();
        // Both end when the process does.
        for stream in [&self.out, &self.err] {
            loop {
                match stream.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(line) => rest.push(line),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("it does not end; last said: {rest:?}"),
                }
            }
        }
        (self.child.wait().expect("its parent may wait"), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| sender.send(line).is_ok()) {}
    });
    lines
}

#[track_caller]
fn await_line(lines: &Receiver<String>, words: &str, others: &Receiver<String>) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(words) => return line,
            Ok(line) => seen.push(line),
            Err(reason) => {
                let others: Vec<String> = others.try_iter().collect();
                panic!("no line with {words:?} ({reason}), only {seen:#?}; elsewhere {others:#?}");
            }
        }
    }
}

/// The files below a folder with their contents, by path.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).expect("a folder") {
        let path = item.expect("a folder can be read").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.file_name().is_some_and(|name| name != "lock") {
            found.push((path.clone(), fs::read(&path).expect("a file can be read")));
        }
    }
    found.sort();
    found
}
