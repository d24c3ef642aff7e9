//! The tape of a run: all that came from outside, by which the run can be made again. That is each line with the place at which
//! it began and ended, the texts of the files that were run, and the answers of lines that are not executed twice.
//!
//! It is kept where a run can be made again: in virtual time.

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::Path;
use std::rc::Rc;

use super::script::state::Script;
use super::slots::{BACK, FOLLOW, WATCH};
use crate::console::language::{Answer, Directive};
use crate::console::lines::next_line;
use crate::console::scripts;
use crate::lab::virtual_time::Place;
use crate::types::Time;

#[derive(Debug)]
pub(super) struct Tape {
    /// Not where the run cannot be made again.
    runs: bool,
    /// A line is being executed that is kept.
    keeps: bool,
    lines: Vec<Rc<Line>>,
    given: Vec<Given>,
    /// What a run that is made again was given before, and has not come to yet.
    again: VecDeque<Given>,
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
}

/// What the run was given from outside while a line ran.
#[derive(Clone, Debug)]
enum Given {
    File(Rc<Result<FileRead, String>>),
    Once(Rc<Once>),
}

/// What was read of a file that was run, and why no more.
#[derive(Clone, Debug, Default)]
struct FileRead {
    lines: VecDeque<Result<String, String>>,
    trouble: Option<String>,
}

/// What a line was answered that is not executed twice, and where it ended.
#[derive(Clone, Debug)]
pub(super) struct Once {
    pub answer: Answer,
    pub ended: Time,
}

/// A file that is being run.
pub(super) struct Input {
    /// None where the run is made again, and reads what it read before.
    file: Option<Box<dyn BufRead + Send>>,
    read: FileRead,
    /// Its place among what was given; none if that is not kept.
    number: Option<usize>,
}

/// Whether a line moves to another time of the run. It is no part of the run.
pub(super) fn travels(line: &Directive) -> bool {
    matches!(line.name(), "rewind" | "fork") || line.has(&BACK)
}

/// Whether a line acts on something else than the run, or shows it for a while: a run that is made again takes over its
/// answer.
pub(super) fn is_done_once(line: &Directive) -> bool {
    let name = line.name();
    matches!(
        name,
        "save-script" | "report" | "trace" | "scenario" | "clear" | "events" | "speed" | "quit" | "web"
    ) || line.has(&WATCH)
        || line.has(&FOLLOW)
}

impl Source {
    /// The line as it was given.
    pub fn text(&self) -> String {
        match self {
            Source::Script(_, Ok(text) | Err(text)) => text.trim().to_string(),
            Source::Program(line) => line.to_string(),
        }
    }
}

impl Tape {
    /// An empty one, of a run that can be made again or not.
    pub fn new(runs: bool) -> Tape {
        Tape { runs, keeps: false, lines: Vec::new(), given: Vec::new(), again: VecDeque::new() }
    }

    /// A tape for the run that is made again by this one.
    pub fn again(&self) -> Tape {
        Tape { again: self.given.iter().cloned().collect(), ..Tape::new(self.runs) }
    }

    /// The run continues from here by itself.
    pub fn run_on(&mut self) {
        self.again.clear();
    }

    pub fn runs(&self) -> bool {
        self.runs
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
        let Some(Given::Once(once)) = self.again.pop_front_if(|given| matches!(given, Given::Once(_))) else {
            return None;
        };
        self.give(Given::Once(Rc::clone(&once)));
        Some(once)
    }

    pub fn keep_once(&mut self, once: impl FnOnce() -> Once) {
        if self.keeps {
            self.give(Given::Once(Rc::new(once())));
        }
    }

    /// Opens a file to be run. What was read of it before is read again.
    ///
    /// # Errors
    /// One line that says why it cannot be read.
    pub fn open(&mut self, file: &str) -> Result<Input, String> {
        let number = self.keeps.then_some(self.given.len());
        if let Some(Given::File(before)) = self.again.pop_front_if(|given| matches!(given, Given::File(_))) {
            self.give(Given::File(Rc::clone(&before)));
            return before.as_ref().clone().map(|read| Input { file: None, read, number });
        }
        let opened = scripts::open(Path::new(file));
        let read = opened.as_ref().map(|_| FileRead::default()).map_err(Clone::clone);
        self.give(Given::File(Rc::new(read)));
        opened.map(|file| Input { file: Some(file), read: FileRead::default(), number })
    }

    /// Keeps what was read of a file.
    pub fn close(&mut self, input: Input) {
        if let (Some(_), Some(number)) = (input.file, input.number) {
            self.given[number] = Given::File(Rc::new(Ok(input.read)));
        }
    }

    fn give(&mut self, given: Given) {
        if self.keeps {
            self.given.push(given);
        }
    }
}

impl Input {
    /// The file itself, to look ahead in; none where it is read again.
    pub fn file(&mut self) -> Option<&mut Box<dyn BufRead + Send>> {
        self.file.as_mut()
    }

    /// The next line, or what is wrong with it; none at the end.
    ///
    /// # Errors
    /// Why the file cannot be read any further.
    pub fn next(&mut self) -> Result<Option<Result<String, String>>, String> {
        let Some(file) = &mut self.file else {
            let next = self.read.lines.pop_front();
            return match &self.read.trouble {
                Some(trouble) if next.is_none() => Err(trouble.clone()),
                _ => Ok(next),
            };
        };
        let next = next_line(file).map_err(|error| error.to_string());
        if self.number.is_some() {
            match &next {
                Ok(line) => self.read.lines.extend(line.clone()),
                Err(trouble) => self.read.trouble = Some(trouble.clone()),
            }
        }
        next
    }
}
