//! `trace`: the run as a file of JSON lines, for programs and for the window. `docs/TRACE.md` has the format.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::Console;
use super::rows::{Row, Run, verb};
use super::slots::{OVERWRITE, STOP, TRACE_FILE};
use crate::check::property::Verdict;
use crate::console::language::{Answer, Directive, Topic, form};
use crate::console::options::{cannot_write, create};
use crate::console::printer::Output;
use crate::console::tracer::{ReaderId, TraceReader};
use crate::lab::{LabKind, Life};
use crate::text::counted;
use crate::trace::{Line, Place, TraceHead};
use crate::types::NodeId;
use crate::window::{AFTER_TRACE, before_trace, trace_line};

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("trace", Topic::Test, &[STOP, TRACE_FILE, OVERWRITE])
        .does("writes what happens to a file of JSON, or a page if it is .html", "trace run.jsonl")
        .shows("Figure 2: each message with its fate, each change of a node's state"),
    Console::trace,
)];

/// How long the last lines may take to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// A trace that is being written.
#[derive(Debug)]
pub(super) struct Tracing {
    file: String,
    reader: ReaderId,
    written: Arc<AtomicUsize>,
}

/// What the trace last told of all that no node tells.
#[derive(Debug, Default)]
pub(super) struct Traced {
    rules: Option<Vec<String>>,
    verdicts: BTreeMap<String, Option<bool>>,
    /// The nodes whose disks complete no write.
    disks: BTreeSet<NodeId>,
}

/// Writes a trace to a file.
struct Writer {
    shown: String,
    file: BufWriter<File>,
    /// It becomes a page that shows the trace, not the trace alone.
    is_page: bool,
    written: Arc<AtomicUsize>,
    output: Output,
}

impl Writer {
    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.is_page { writeln!(self.file, "{}", trace_line(line)) } else { writeln!(self.file, "{line}") }
    }
}

impl TraceReader for Writer {
    fn take(&mut self, line: &Line) -> bool {
        let written = self.write(&line.text);
        self.written.fetch_add(usize::from(written.is_ok()), Ordering::Relaxed);
        if let Err(error) = &written {
            self.output.warn(&format!("the trace ends: {} cannot be written: {error}", self.shown));
        }
        written.is_ok()
    }

    fn flush(&mut self) {
        if let Err(error) = self.file.flush() {
            self.output.warn(&format!("the trace is not whole: {} cannot be written: {error}", self.shown));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.is_page {
            // A page that lacks its end can be opened all the same.
            let _ = self.file.write_all(AFTER_TRACE.as_bytes());
        }
    }
}

impl Console {
    fn trace(&mut self, line: &Directive) -> Answer {
        let file = line.get::<String>(&TRACE_FILE);
        match (line.has(&STOP), file) {
            (true, None) => {
                self.end_trace().unwrap_or_else(|| Answer::failed("trace", "no trace is written"))
            }
            (true, Some(_)) => Answer::failed("trace", "'trace stop' takes no file"),
            (false, None) => Answer::ok("trace", self.trace_shown()),
            (false, Some(file)) => match self.begin_trace(Path::new(file), line.has(&OVERWRITE)) {
                Ok(()) => Answer::ok("trace", format!("{file} is written until 'trace stop'"))
                    .with("file", file.as_str()),
                Err(reason) => Answer::failed("trace", reason),
            },
        }
    }

    fn trace_shown(&self) -> String {
        match &self.tracing {
            None => "no trace is written: 'trace FILE' begins one".to_string(),
            Some(Tracing { file, written, .. }) => {
                format!("{file} is written, {} so far", counted(written.load(Ordering::Relaxed), "line"))
            }
        }
    }

    /// Writes all that happens from now on to a file.
    ///
    /// # Errors
    /// One line: why it is not written.
    pub fn begin_trace(&mut self, path: &Path, overwrite: bool) -> Result<(), String> {
        let shown = path.display().to_string();
        if let Some(Tracing { file, .. }) = &self.tracing {
            return Err(format!("{file} is written already: 'trace stop' ends it"));
        }
        let file = BufWriter::new(create(path, overwrite)?);
        let head = self.trace_head().line();
        let written = Arc::new(AtomicUsize::new(0));
        let is_page = path.extension().is_some_and(|ending| ending == "html");
        let mut writer = Writer {
            shown: shown.clone(),
            file,
            is_page,
            written: Arc::clone(&written),
            output: self.output.clone(),
        };
        let before = if is_page { before_trace() } else { String::new() };
        let begun = writer.file.write_all(before.as_bytes()).and_then(|()| writer.write(&head));
        begun.map_err(|error| cannot_write(path, &error))?;
        let reader = self.read_trace(Box::new(writer));
        self.tracing = Some(Tracing { file: shown, reader, written });
        Ok(())
    }

    /// Ends the file of a trace, if one is written.
    fn end_trace(&mut self) -> Option<Answer> {
        let Tracing { file, reader, written } = self.tracing.take()?;
        let whole = self.unread_trace(reader);
        let lines = written.load(Ordering::Relaxed);
        if !whole {
            return Some(Answer::failed(
                "trace",
                format!("{file} ended early, with {}", counted(lines, "line")),
            ));
        }
        let text = format!("{file} has {}", counted(lines, "line"));
        Some(Answer::ok("trace", text).with("file", file).with("lines", lines))
    }

    /// The first line of a trace of this run.
    pub fn trace_head(&mut self) -> TraceHead {
        TraceHead {
            source: self.lab.kind().to_string(),
            nodes: self.lab.nodes(),
            seed: self.lab.seed(),
            settings: json!(self.lab.settings().now),
        }
    }

    /// Gives a reader all that happens from now on, beginning with how things are.
    pub fn read_trace(&mut self, reader: Box<dyn TraceReader>) -> ReaderId {
        let now = self.lab.now();
        let first = !self.narrator.tracer().is_active();
        let id = self.narrator.tracer().add(now, reader);
        if first {
            self.lab.follow_steps(true);
        }
        self.tell_lives();
        self.traced = Traced::default();
        self.tell_changes();
        id
    }

    /// Ends a reader. Whether it had read all.
    pub fn unread_trace(&mut self, reader: ReaderId) -> bool {
        let tracer = self.narrator.tracer();
        let whole = tracer.remove(reader, PATIENCE);
        if !tracer.is_active() {
            self.lab.follow_steps(false);
        }
        whole
    }

    /// Tells that the run stands elsewhere than what was told last, and how it stands there.
    pub(super) fn tell_travel(&mut self, name: &'static str, field: &str, text: String) {
        let now = self.lab.now();
        if !self.narrator.tracer().is_active() {
            return;
        }
        let fields = [(field, json!(now.as_micros()))];
        self.narrator.tracer().aside(now, Place::Console, name, fields, text);
        self.narrator.tracer().begin_views();
        // A node that is followed from now on tells all that it is.
        self.lab.follow_steps(false);
        self.lab.follow_steps(true);
        self.tell_lives();
        self.traced.rules = None;
        self.tell_changes();
    }

    /// Says which nodes do not run: no event at them will.
    fn tell_lives(&mut self) {
        let now = self.lab.now();
        for node in self.lab.nodes() {
            let (life, why) = match self.lab.view(node).life {
                Life::Up => continue,
                Life::Paused => ("paused", "it is paused".to_string()),
                Life::Frozen(_) => ("paused", "its process is frozen".to_string()),
                Life::Silent(_) => ("silent", "its process says nothing".to_string()),
                Life::Down(why) => ("down", why),
            };
            let text = format!("{node} does not run: {why}");
            self.narrator.tracer().aside(now, Place::Node(node), "life", [("life", json!(life))], text);
        }
    }

    /// Tells what is new of what no node tells: rules of the network, disks that complete nothing, and the properties that each
    /// step is checked against, where that costs nothing to ask.
    pub(super) fn tell_changes(&mut self) {
        if !self.narrator.tracer().is_active() {
            return;
        }
        self.tell_rules();
        self.tell_disks();
        // Processes are asked for their records, which takes time; elsewhere each step is checked as it is made.
        if self.lab.kind() != LabKind::Processes {
            let verdicts = self.lab.check();
            self.tell_news_of(&verdicts);
        }
    }

    fn tell_disks(&mut self) {
        let now = self.lab.now();
        for node in self.lab.nodes() {
            let blocked = self.lab.view(node).disk_blocked;
            let is_news =
                if blocked { self.traced.disks.insert(node) } else { self.traced.disks.remove(&node) };
            if is_news {
                let completes = if blocked { "no write: it is stalled, or full" } else { "writes again" };
                let text = format!("the disk of {node} completes {completes}");
                let fields = [("blocked", json!(blocked))];
                self.narrator.tracer().aside(now, Place::Node(node), "disk", fields, text);
            }
        }
    }

    /// Tells which of these verdicts are others than were last told.
    pub(super) fn tell_news_of(&mut self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            let holds = verdict.pass();
            if self.traced.verdicts.insert(verdict.property.to_string(), holds) == Some(holds) {
                continue;
            }
            let fields = [("name", json!(verdict.property)), ("holds", json!(holds))];
            let tracer = self.narrator.tracer();
            tracer.aside(self.lab.now(), Place::Check, "property", fields, verdict.to_string());
        }
    }

    /// Tells the network's rules, if they are others than were last told.
    fn tell_rules(&mut self) {
        let rules: Vec<String> = self.lab.network_rules().iter().map(ToString::to_string).collect();
        let rules = Some(rules);
        if rules != self.traced.rules {
            let fields = [("rules", json!(rules))];
            let now = self.lab.now();
            self.narrator.tracer().aside(now, Place::Net, "rules", fields, String::new());
            self.traced.rules = rules;
        }
    }
}
