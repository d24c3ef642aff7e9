//! One child: its pipes, each read by a thread, and its end.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{self, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, select, unbounded};
use derive_more::Debug;
use parking_lot::Mutex;

use super::lines::{Begin, Said};
use super::table::{Condition, Ended, Table};
use crate::types::NodeId;

/// How what children say reaches a person.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// How a child is started: this, and the words that say what it is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    pub path: PathBuf,
    /// How the process is listed.
    pub name: OsString,
    /// The words before those.
    pub words: Vec<OsString>,
}

impl Program {
    /// What starts it, with these words behind its own. Its pipes are its starter's.
    pub(crate) fn command(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.words).args(words);
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            // Ctrl-C at the terminal is for the supervisor.
            command.arg0(&self.name).process_group(0);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

#[derive(Debug)]
pub(crate) struct Child {
    process: Arc<Mutex<process::Child>>,
    /// Dropped, it tells the child to stop.
    input: Option<ChildStdin>,
    said: Receiver<Said>,
    /// Whether its end is told: nothing waits for it.
    is_watched: Arc<AtomicBool>,
    pub address: Option<SocketAddr>,
}

/// What the threads that read a child's output know.
struct Reading {
    node: NodeId,
    table: Table,
    tell: Tell,
    is_watched: Arc<AtomicBool>,
    /// The last error that it told.
    error: Mutex<String>,
}

impl Child {
    /// Starts the process, which holds this node.
    ///
    /// It is to be called on a thread that lasts as long as the program: Linux takes the end of the thread that has started a
    /// child for the end of the parent.
    ///
    /// # Errors
    /// The system starts no process, or has no thread left.
    pub fn spawn(mut command: Command, node: NodeId, table: &Table, tell: &Tell) -> io::Result<Child> {
        let mut process = command.spawn()?;
        let input = process.stdin.take();
        let (out, err) = (process.stdout.take().expect("piped"), process.stderr.take().expect("piped"));
        let process = Arc::new(Mutex::new(process));
        let is_watched = Arc::new(AtomicBool::new(false));
        let reading = Arc::new(Reading {
            node,
            table: table.clone(),
            tell: Arc::clone(tell),
            is_watched: Arc::clone(&is_watched),
            error: Mutex::default(),
        });
        table.set(node, Condition::Runs);
        let (sender, said) = unbounded();
        let errors = Arc::clone(&reading);
        let errors = thread::Builder::new()
            .name(format!("{node}-errors"))
            .spawn(move || lines_of(err, |line| errors.warned(line)))?;
        let ending = Arc::clone(&process);
        thread::Builder::new().name(format!("{node}-output")).spawn(move || {
            lines_of(out, |line| reading.said(line, &sender));
            let _ = errors.join();
            reading.ended(ending.lock().wait());
            drop(sender);
        })?;
        Ok(Child { process, input, said, is_watched, address: None })
    }

    /// The process's number in the system.
    pub fn number(&self) -> u32 {
        self.process.lock().id()
    }

    /// The next thing that it says; none when it has ended.
    ///
    /// # Errors
    /// A person did not want to wait any longer.
    pub fn hear(&self, wake: &Receiver<()>) -> Result<Option<Said>, ()> {
        select! {
            recv(self.said) -> said => Ok(said.ok()),
            recv(wake) -> _ => Err(()),
        }
    }

    /// Tells it to start its node. One that has ended is heard of elsewhere.
    pub fn begin(&mut self, begin: &Begin) {
        let line = serde_json::to_string(begin).expect("it has a text");
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}").and_then(|()| input.flush());
        }
    }

    /// From now on its end is told, unless it is ordered.
    pub fn watch(&self) {
        self.is_watched.store(true, Ordering::Release);
    }

    /// Tells it to stop, and wakes it if it is frozen.
    pub fn stop(&mut self) {
        self.is_watched.store(false, Ordering::Release);
        self.input = None;
        #[cfg(unix)]
        let _ = self.signal(rustix::process::Signal::CONT);
    }

    /// Ends it at once.
    pub fn kill(&self) {
        self.is_watched.store(false, Ordering::Release);
        // One that has ended already needs nothing more.
        let _ = self.process.lock().kill();
    }

    /// Waits for its end. False when that has not come in time.
    pub fn has_ended(&self, deadline: Instant) -> bool {
        let patience = after(deadline.saturating_duration_since(Instant::now()));
        loop {
            select! {
                recv(self.said) -> said => if said.is_err() { return true },
                recv(patience) -> _ => return false,
            }
        }
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        let mut process = self.process.lock();
        // While it has not been waited for, no other process has its number.
        if process.try_wait()?.is_some() {
            return Ok(());
        }
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(&process), signal)?)
    }
}

impl Reading {
    fn said(&self, line: &str, sender: &Sender<Said>) {
        match serde_json::from_str(line) {
            Ok(said) => drop(sender.send(said)),
            Err(_) => self.tell(line),
        }
    }

    fn warned(&self, line: &str) {
        if let Some(error) = line.strip_prefix("error: ") {
            *self.error.lock() = error.to_string();
        }
        self.tell(line);
    }

    fn tell(&self, line: &str) {
        (self.tell)(&format!("[{}] {line}", self.node));
    }

    fn ended(&self, status: io::Result<ExitStatus>) {
        let node = self.node;
        let how = status.map_or_else(|error| format!("has ended: {error}"), how_ended);
        if self.is_watched.load(Ordering::Acquire) {
            (self.tell)(&format!("{node}'s process {how}: 'restart {node}' starts it again"));
        }
        let why = self.error.lock().clone();
        self.table.set(node, Condition::Ended(Ended { how: Some((how, Instant::now())), why }));
    }
}

fn how_ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("was killed by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "has ended".to_string(),
    }
}

fn lines_of(stream: impl Read, mut each: impl FnMut(&str)) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        each(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

/// How long a child may take to stop: it ends itself before.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(6);
