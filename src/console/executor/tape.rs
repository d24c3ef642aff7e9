//! The tape of a run: all that came from outside, by which the run can be made again. That is each line with the place at which
//! it began and ended, those of files that were run among them, and the answers of lines that are not executed twice.
//!
//! It is kept where a run can be made again: in virtual time.

use std::collections::VecDeque;
use std::rc::Rc;

use super::script::state::Script;
use super::slots::{BACK, FOLLOW, SCRIPT, WATCH};
use crate::console::language::{Answer, Directive};
use crate::lab::virtual_time::Place;
use crate::types::Time;

#[derive(Clone, Debug, Default)]
pub(super) struct Tape {
    /// A line is being executed that is kept.
    keeps: bool,
    lines: Vec<Rc<Line>>,
    onces: Vec<Rc<Once>>,
    /// Those of a run that is made again, which it has not come to yet.
    again: VecDeque<Rc<Once>>,
}

/// A line that was executed.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub began: Mark,
    pub ended: Place,
    /// A person ended it.
    pub interrupted: bool,
    pub source: Source,
}

/// Where a run stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub place: Place,
    /// Tells runs apart that came to the same place.
    pub digest: u64,
}

/// Where a line came from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A script, as it stood before the line, and the line's text, or what was wrong with it.
    Script(Script, Result<String, String>),
    /// The program itself.
    Program(Directive),
    /// A file that began to be run. Its lines follow.
    Begun(Directive),
    /// It has ended so, within another script or not.
    Ended(Directive, Answer, bool),
}

/// What a line was answered that is not executed twice, and where it ended.
#[derive(Clone, Debug)]
pub(super) struct Once {
    pub answer: Answer,
    pub ended: Time,
}

/// Whether a line moves to another time of the run. It is no part of the run.
pub(super) fn travels(line: &Directive) -> bool {
    matches!(line.name(), "rewind" | "fork") || line.has(&BACK)
}

/// Whether a line runs the lines of a file.
pub(super) fn runs_script(line: &Directive) -> bool {
    line.name() == "run" && line.has(&SCRIPT)
}

/// Whether a line acts on something else than the run, or shows it for a while: a run that is made again takes over its
/// answer.
pub(super) fn is_done_once(line: &Directive) -> bool {
    let name = line.name();
    matches!(
        name,
        "save-script"
            | "report"
            | "trace"
            | "record"
            | "scenario"
            | "clear"
            | "events"
            | "speed"
            | "quit"
            | "web"
    ) || line.has(&WATCH)
        || line.has(&FOLLOW)
}

impl Source {
    /// The number of the line in the script of this name, if it came from there.
    pub fn line_of(&self, script: &str) -> Option<usize> {
        match self {
            Source::Script(before, _) => before.next_of(script),
            _ => None,
        }
    }

    /// The line as it was given.
    pub fn text(&self) -> String {
        match self {
            Source::Script(_, Ok(text) | Err(text)) => text.trim().to_string(),
            Source::Program(line) | Source::Begun(line) | Source::Ended(line, ..) => line.to_string(),
        }
    }
}

impl Tape {
    /// A tape for the run that is made again by this one, from where it stood with that tape.
    pub fn again(&self, from: Tape) -> Tape {
        let again = self.onces.iter().skip(from.onces.len()).cloned().collect();
        Tape { again, ..from }
    }

    /// The run continues from here by itself.
    pub fn run_on(&mut self) {
        self.again.clear();
    }

    pub fn lines(&self) -> &[Rc<Line>] {
        &self.lines
    }

    /// A line begins that is kept.
    pub fn begin(&mut self) {
        self.keeps = true;
    }

    pub fn end(&mut self, line: Line) {
        self.keeps = false;
        self.lines.push(Rc::new(line));
    }

    /// What a line that is not executed twice was answered before.
    pub fn take_once(&mut self) -> Option<Rc<Once>> {
        let once = self.again.pop_front()?;
        self.onces.push(Rc::clone(&once));
        Some(once)
    }

    pub fn keep_once(&mut self, once: impl FnOnce() -> Once) {
        if self.keeps {
            self.onces.push(Rc::new(once()));
        }
    }
}
