//! All rows together: the console's language, and the function of each directive.

use std::sync::LazyLock;

use super::condition::CONDITIONS;
use super::rows::{Row, Run};
use super::{
    chaos, data, flights, inspect, later, leadership, load, logs, matrix, members, network, nodes, outcome,
    recording, report, rerun, rewind, scenario, session, settings, status, time, trace, wait, why, window,
};
use crate::console::language::{Directive, Language, ParseError};

/// The verbs by theme, in the order of the help.
const VERBS: [&[Row<Run>]; 26] = [
    status::VERBS,
    inspect::VERBS,
    why::VERBS,
    matrix::VERBS,
    logs::VERBS,
    data::VERBS,
    outcome::VERBS,
    load::VERBS,
    nodes::VERBS,
    leadership::VERBS,
    members::VERBS,
    network::VERBS,
    flights::VERBS,
    time::VERBS,
    rewind::VERBS,
    settings::VERBS,
    wait::VERBS,
    report::VERBS,
    trace::VERBS,
    recording::VERBS,
    later::VERBS,
    chaos::VERBS,
    rerun::VERBS,
    scenario::VERBS,
    session::VERBS,
    window::VERBS,
];

pub static LANGUAGE: LazyLock<Language> =
    LazyLock::new(|| Language::new(verbs().map(|row| &row.form), CONDITIONS.iter().map(|row| &row.form)));

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

fn verbs() -> impl Iterator<Item = &'static Row<Run>> {
    VERBS.iter().copied().flatten()
}
