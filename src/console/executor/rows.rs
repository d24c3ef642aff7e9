//! Rows: a form beside the function that executes it. The rows of verbs and conditions stand with their functions, in the
//! files by theme.

use super::Console;
use crate::console::language::{Answer, Condition, Directive, Form};
use crate::types::Time;

#[derive(Clone, Copy, Debug)]
pub(super) struct Row<F> {
    pub form: Form,
    pub run: F,
}

pub(super) type Run = fn(&mut Console, &Directive) -> Answer;

/// Judges a condition: it holds, or what is the case instead.
pub(super) type Judge = fn(&mut Console, &Condition, Way) -> Result<(), String>;

/// How a number in a condition is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// It is this, or was passed; and there is time until then.
    Reached {
        /// Questions must be answered by then.
        deadline: Time,
    },
    Exactly,
}

pub(super) const fn verb(form: Form, run: Run) -> Row<Run> {
    Row { form, run }
}

pub(super) const fn condition(form: Form, judge: Judge) -> Row<Judge> {
    Row { form, run: judge }
}
