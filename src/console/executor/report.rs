//! `report`: the run so far as a page.

use std::fs;
use std::path::Path;

use super::Console;
use super::rows::{Row, Run, verb};
use super::slots::PAGE;
use crate::console::language::{Answer, Directive, Topic, form};
use crate::console::options::cannot_write;
use crate::load::safety_lines;
use crate::page::RunPage;
use crate::page::document::may_replace;
use crate::text::counted;
use crate::text::layout::duration_shown;
use crate::types::Time;

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("report", Topic::Test, &[PAGE])
        .does("writes the run so far as a page: what was typed, seen and sent", "report run.html")
        .shows("5, Figure 2: the messages between nodes in space and time, elections, commits"),
    report,
)];

fn report(console: &mut Console, line: &Directive) -> Answer {
    let file: &String = line.need(&PAGE);
    match console.write_report(Path::new(file)) {
        Ok(text) => Answer::ok("report", text).with("file", file.clone()),
        Err(reason) => Answer::failed("report", reason),
    }
}

impl Console {
    /// Writes the run so far as a page, unless something else than an older page is there. Says what is in it.
    ///
    /// # Errors
    /// One line: why nothing was written.
    pub fn write_report(&mut self, path: &Path) -> Result<String, String> {
        may_replace(path)?;
        let recorded = self.narrator.recording().recorded();
        let now = self.lab.now();
        let safety = self.lab.check();
        let (_, mut verdict) = safety_lines(self.lab.checks_from_beginning(), &safety);
        verdict.push(self.judge_history().text);
        let operations: Vec<_> = self.course.record.operations().iter().collect();
        let load = self.loads.last();
        let (messages, typed) = (recorded.passages.len(), self.course.journal.deeds(now));
        let held = [
            counted(typed.len(), "directive"),
            counted(operations.len(), "operation"),
            counted(messages, "message"),
        ];
        let page = RunPage {
            setup: self.setup(now),
            nodes: recorded.nodes(&self.lab.nodes()),
            now,
            verdict,
            deeds: typed,
            operations,
            load,
            recorded: &recorded,
            notes: self.notes_of_report(),
            again: ("Typed so far", self.typed_so_far()),
        };
        fs::write(path, page.html()).map_err(|error| cannot_write(path, &error))?;
        Ok(format!("{} written: {}", path.display(), held.join(", ")))
    }

    fn setup(&self, now: Time) -> String {
        let length = duration_shown(now.since(Time::ZERO));
        format!("{}, seed {}, {length} so far", counted(self.lab.nodes().len(), "node"), self.lab.seed())
    }

    fn notes_of_report(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.course.journal.left_out > 0 {
            notes.push(format!(
                "The first {} are left out.",
                counted(self.course.journal.left_out, "directive")
            ));
        }
        if self.loads.is_running() {
            notes
                .push("A load runs beside the console: its figures are there when it has ended.".to_string());
        }
        notes
    }

    /// The seed and the lines that were typed.
    fn typed_so_far(&self) -> String {
        let seed = format!("# seed {}", self.lab.seed());
        let lines = self.course.history.iter().map(|line| super::script::line_shown(line));
        std::iter::once(seed).chain(lines).collect::<Vec<_>>().join("\n")
    }
}
