//! Programs as children of a test, and what they say.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A program whose standard input stays open, and what it says. It ends with this.
pub struct Process {
    child: Child,
    input: ChildStdin,
    words: Receiver<String>,
}

impl Process {
    /// Starts a program in this folder.
    pub fn start(program: &str, options: &[&str], folder: &Path) -> Process {
        let mut command = Command::new(program);
        command.args(options).current_dir(folder).env_remove("RUST_LOG");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (sender, words) = channel();
        let input = child.stdin.take().expect("piped");
        let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        for stream in [Box::new(out) as Box<dyn Read + Send>, Box::new(err)] {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
                while lines.next().is_some_and(|line| sender.send(line).is_ok()) {}
            });
        }
        Process { child, input, words }
    }

    pub fn say(&mut self, lines: &str) {
        self.input.write_all(lines.as_bytes()).and_then(|()| self.input.flush()).expect("the program reads");
    }

    /// The next line of it with these words.
    #[track_caller]
    pub fn says(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            match self.words.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => seen.push(line),
                Err(reason) => panic!("no line with {words:?} ({reason}), only {seen:#?}"),
            }
        }
    }

    /// Waits for its end, and gives its exit code.
    #[track_caller]
    pub fn ends(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while self.words.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
        assert!(Instant::now() < deadline, "it does not end");
        self.child.wait().expect("its parent may wait").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
