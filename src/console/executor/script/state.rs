//! How far a script is, and what has failed in it.

use crate::console::language::Outcome;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// The file's name, where several may run.
    pub(super) name: Option<String>,
    /// Whether failures are named by their lines: not at a prompt.
    pub(super) numbered: bool,
    pub(super) line: usize,
    /// The line that failed last, unless it is forgiven.
    pub(super) failed: Option<(usize, String, Outcome)>,
    pub(super) worst: Outcome,
}

impl Script {
    /// The lines of a file that another script runs.
    pub fn file(name: impl Into<String>) -> Script {
        Script { name: Some(name.into()), ..Script::piped() }
    }

    /// Lines that come from a pipe, or of the one file that the program was given.
    pub fn piped() -> Script {
        Script { name: None, numbered: true, line: 0, failed: None, worst: Outcome::Ok }
    }

    /// Lines that a person types: nothing ends at a failure.
    pub fn typed() -> Script {
        Script { numbered: false, ..Script::piped() }
    }

    /// Whether a person types its lines.
    pub fn is_typed(&self) -> bool {
        !self.numbered
    }

    /// The next line is the one of this number.
    pub(in super::super) fn go_to(&mut self, number: usize) {
        self.line = number - 1;
    }

    /// The number of its next line, if it has this name.
    pub(in super::super) fn next_of(&self, name: &str) -> Option<usize> {
        (self.name.as_deref() == Some(name)).then_some(self.line + 1)
    }

    /// The worst outcome of any line that was not forgiven.
    pub fn worst(&self) -> Outcome {
        self.worst
    }

    /// Whether no line has failed that an `expect` could still forgive.
    pub fn is_settled(&self) -> bool {
        self.failed.is_none()
    }

    /// `line 7` or `demo.raft line 7`.
    pub(super) fn place(&self, line: usize) -> String {
        match &self.name {
            Some(name) => format!("{name} line {line}"),
            None => format!("line {line}"),
        }
    }
}
