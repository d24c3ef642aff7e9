//! The rows of the console: each verb and each condition with the function that executes it. The rows stand beside
//! their functions, in the files by theme; the language is made of them.

use std::sync::LazyLock;

use super::condition::{CONDITIONS, Way};
use super::{Console, data, inspect, load, logs, matrix, network, nodes, outcome, session, time, wait};
use crate::console::language::{Answer, Condition, Directive, Form, Language, ParseError};

/// A form and what it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<F> {
    pub form: Form,
    pub run: F,
}

/// Executes a directive of a verb.
pub(super) type Run = fn(&mut Console, &Directive) -> Answer;

/// What judges a condition: it holds, or what is the case instead.
pub(super) type Judge = fn(&mut Console, &Condition, Way) -> Result<(), String>;

/// The verbs by theme, in the order of the help.
const VERBS: [&[Row<Run>]; 11] = [
    inspect::VERBS,
    matrix::VERBS,
    logs::VERBS,
    data::VERBS,
    outcome::VERBS,
    load::VERBS,
    nodes::VERBS,
    network::VERBS,
    time::VERBS,
    wait::VERBS,
    session::VERBS,
];

pub static LANGUAGE: LazyLock<Language> =
    LazyLock::new(|| Language::new(verbs().map(|row| &row.form), CONDITIONS.iter().map(|row| &row.form)));

pub(super) const fn verb(form: Form, run: Run) -> Row<Run> {
    Row { form, run }
}

pub(super) const fn condition(form: Form, judge: Judge) -> Row<Judge> {
    Row { form, run: judge }
}

/// The directive on a line; none on a blank line or a comment.
///
/// # Errors
/// One line that says what is wrong with the text and what to write instead.
pub fn parse(text: &str) -> Result<Option<Directive>, ParseError> {
    LANGUAGE.parse(text)
}

pub(super) fn run_of(directive: &Directive) -> Run {
    verbs().find(|row| row.form.name == directive.name()).expect("it was read by the form of a row").run
}

pub(super) fn judge_of(condition: &Condition) -> Judge {
    CONDITIONS.iter().find(|row| row.form.name == condition.name()).expect("it was read by a form").run
}

fn verbs() -> impl Iterator<Item = &'static Row<Run>> {
    VERBS.iter().copied().flatten()
}
