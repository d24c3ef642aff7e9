//! `record`: what goes into each step of the nodes, in a folder, from which `replay` makes the steps again.

use std::path::Path;

use super::Console;
use super::course::Course;
use super::rewind::only_looks;
use super::rows::{Row, Run, verb};
use super::slots::{FOLDER, MAX_MIB, STOP};
use crate::console::language::{Answer, Directive, Topic, form};
use crate::lab::virtual_time::VirtualTime;
use crate::text::counted;

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("record", Topic::Test, &[STOP, FOLDER, MAX_MIB])
        .does("records each step in a folder, for 'replay' to make again", "record run-1")
        .shows("5.1: a server is a state machine itself: the same inputs give the same steps")
        .undone("by 'record stop'"),
    Console::record,
)];

/// What a recording may hold unless it is told otherwise.
const MIB_MAX: usize = 4_096;

impl Console {
    fn record(&mut self, line: &Directive) -> Answer {
        let folder = line.get::<String>(&FOLDER);
        match (line.has(&STOP), folder) {
            (true, None) => self.end_recording(),
            (true, Some(_)) => Answer::failed("record", "'record stop' takes no folder"),
            (false, None) => Answer::ok(
                "record",
                match self.lab.records_to() {
                    None => "nothing is recorded: 'record DIR' begins a recording".to_string(),
                    Some(folder) => format!("{} is written until 'record stop'", folder.display()),
                },
            ),
            (false, Some(folder)) => {
                let mib = line.get::<usize>(&MAX_MIB).copied().unwrap_or(MIB_MAX);
                match self.lab.record(Path::new(folder), (mib as u64) << 20) {
                    Ok(()) => {
                        let text = format!("{folder} is written until 'record stop', at most {mib} MiB");
                        Answer::ok("record", text).with("folder", folder.as_str())
                    }
                    Err(error) => Answer::failed("record", error.to_string()),
                }
            }
        }
    }

    /// Begins a run of its own where a replay stands.
    pub(super) fn fork_recording(&mut self) -> Answer {
        let now = self.lab.now();
        let forked = self.lab.virtual_time().map_or(Ok(()), VirtualTime::fork_recording);
        if let Err(error) = forked {
            return Answer::failed("fork", error.to_string());
        }
        self.later = None;
        self.course = Course::new(self.lab.seed());
        let text =
            format!("a run of its own from {now}, in virtual time: what was recorded later does not happen");
        self.tell_travel("forked", "from", text.clone());
        Answer::ok("fork", text).with("time", now.to_string())
    }

    /// Why a line is not executed: a replay is only looked at, and moved through.
    pub(super) fn refused_in_replay(&self, line: &Directive) -> Option<Answer> {
        self.lab.recorded_until()?;
        let moves = matches!(line.name(), "sleep" | "step");
        if moves || only_looks(line) {
            return None;
        }
        let reason = "a replay does only what was recorded: 'fork' makes a run of its own of this moment";
        Some(Answer::failed(line.name(), reason))
    }

    fn end_recording(&mut self) -> Answer {
        let folder = self.lab.records_to();
        let recorded = match self.lab.end_recording() {
            Ok(recorded) => recorded,
            Err(error) => return Answer::failed("record", error.to_string()),
        };
        let folder = folder.map_or(String::new(), |folder| folder.display().to_string());
        let held = format!("{} KB of {}", recorded.bytes.div_ceil(1_000), counted(recorded.nodes, "node"));
        let text = match &recorded.trouble {
            None => format!("{folder} has {held}: 'replay {folder}' makes the run again"),
            Some(trouble) => format!("{folder} ended early, with {held}: {trouble}"),
        };
        let answer = match recorded.trouble {
            None => Answer::ok("record", text),
            Some(_) => Answer::failed("record", text),
        };
        answer.with("folder", folder).with("bytes", recorded.bytes).with("nodes", recorded.nodes)
    }
}
