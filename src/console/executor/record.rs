//! The history of a console's own data commands: kept to be judged by `check`, and written to a file when one is wanted.
//!
//! Memory is bounded: after [`KEPT_MAX`] operations the calls that follow are counted and no longer kept. What was kept
//! is judged as before, for calls are kept whole and later ones begin after these have ended: no answer that is judged
//! can be owed to what is missing. A file gets all of them.

use serde_json::{Value, json};

use super::Console;
use crate::check::history::Operation;
use crate::check::linearizability::{self, Verdict};
use crate::check::property;
use crate::client::{Ask, Ended};
use crate::console::language::Outcome;
use crate::history::{Callers, HistoryFile, Pending};
use crate::lab::Lab;
use crate::quoting::{CELL_LETTERS, brief};
use crate::text::counted;

/// How many operations are kept at most.
const KEPT_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Record {
    callers: Callers,
    kept: Vec<Operation>,
    /// How many operations came after those that are kept.
    beyond: usize,
    file: Option<HistoryFile>,
}

impl Clone for Record {
    /// Without the file, which belongs to the run that stands.
    fn clone(&self) -> Record {
        let Record { callers, kept, beyond, .. } = self;
        Record { callers: callers.clone(), kept: kept.clone(), beyond: *beyond, file: None }
    }
}

/// What `check` says of the history.
pub(super) struct Judged {
    pub outcome: Outcome,
    pub text: String,
    pub details: Value,
}

impl Console {
    pub(super) fn ask_recorded(&mut self, asks: Vec<Ask>) -> Vec<Ended> {
        let now = self.lab.now();
        // What a load has written is judged with the load's history: this one would not know where it came from.
        let wanted = |key: &str| !self.loads.writes(key);
        let callers = &mut self.course.record.callers;
        let pending: Vec<Pending> = asks.iter().map(|ask| callers.begin_on(ask, now, wanted)).collect();
        let ended = self.lab.ask(asks);
        if let Some(trouble) = self.course.record.note(pending, &ended) {
            self.output.warn(&trouble);
        }
        ended
    }
}

impl<L: Lab + ?Sized> Console<L> {
    /// Whether an order of the operations explains what was told.
    pub(super) fn judge_history(&self) -> Judged {
        let Record { kept, beyond, .. } = &self.course.record;
        let (operations, keys) = (kept.len(), linearizability::keys(kept).len());
        let missing =
            if *beyond > 0 { format!("; {beyond} later ones were not kept") } else { String::new() };
        let size = format!("{} on {}{missing}", counted(operations, "operation"), counted(keys, "key"));
        let (outcome, text, violation, undecided) =
            match linearizability::check(self.lab.began_with(), kept, self.lab.patience()) {
                Verdict::Linearizable => (Outcome::Ok, format!("PASS linearizable ({size})"), None, None),
                Verdict::Violation(found) if self.lab.others_write() => {
                    let why = "unless another client wrote that key";
                    let text = format!("UNDECIDED linearizable: {}, {why} ({size})", found.explanation);
                    (Outcome::Unknown, text, None, Some(found.key))
                }
                Verdict::Violation(found) => {
                    let explanation = found.explanation;
                    (Outcome::Failed, format!("FAIL linearizable: {explanation}"), Some(explanation), None)
                }
                Verdict::Undecided { key, limit } => {
                    let why =
                        if self.lab.interrupted() { "interrupted".to_string() } else { limit.to_string() };
                    let shown = brief(&key, CELL_LETTERS);
                    let text = format!("UNDECIDED linearizable: {shown}: {why} ({size})");
                    (Outcome::Unknown, text, None, Some(key))
                }
            };
        let pass = match outcome {
            Outcome::Unknown => Value::Null,
            _ => Value::from(violation.is_none()),
        };
        let details = json!({
            "property": "linearizable", "pass": pass, "violation": violation, "undecided": undecided,
            "operations": operations, "keys": keys, "not_kept": beyond,
        });
        Judged { outcome, text, details }
    }
}

impl Judged {
    /// The same as a verdict on a property.
    pub(super) fn verdict(&self) -> property::Verdict {
        let is_open = self.outcome == Outcome::Unknown;
        property::Verdict {
            property: "linearizable".into(),
            violation: self.details["violation"].as_str().map(str::to_string),
            open: is_open.then(|| "no order of the operations was found or excluded".into()),
        }
    }
}

impl Record {
    /// From now on operations are written to this file too, as they end.
    pub fn write_to(&mut self, file: HistoryFile) {
        self.file = Some(file);
    }

    /// Takes over the file of a record, if it has one.
    pub fn take_file(&mut self, other: &mut Record) {
        if let Some(file) = other.file.take() {
            self.file = Some(file);
        }
    }

    /// Whether operations are written to a file.
    pub fn is_written(&self) -> bool {
        self.file.is_some()
    }

    /// Why the file cannot hold another course of the run, if it cannot.
    pub fn why_not_rewritten(&self) -> Option<&'static str> {
        match &self.file {
            Some(_) if self.beyond > 0 => {
                Some("the file of --history has more operations than memory, and cannot be written again")
            }
            Some(file) if !file.can_take_back() => Some(
                "--history writes to no file that can be shortened: what it holds of the run cannot be taken back",
            ),
            _ => None,
        }
    }

    /// Lets the file hold the operations of this course, and no others.
    ///
    /// # Errors
    /// As [`HistoryFile::write`].
    pub fn rewrite(&mut self) -> Result<(), String> {
        self.file.as_mut().map_or(Ok(()), |file| file.rewrite(&self.kept))
    }

    /// The operations that are kept, in the order in which they ended.
    pub fn operations(&self) -> &[Operation] {
        &self.kept
    }

    /// Notes calls that began together and have all ended. Says what is wrong with the file, the first time.
    fn note(&mut self, pending: Vec<Pending>, ended: &[Ended]) -> Option<String> {
        let calls = pending.into_iter().zip(ended);
        let mut operations: Vec<Operation> =
            calls.flat_map(|(pending, ended)| self.callers.end(pending, ended)).collect();
        operations.sort_by_key(|operation| (operation.returned.is_none(), operation.returned));
        let trouble = self.file.as_mut().and_then(|file| file.write(&operations).err());
        if self.beyond > 0 || self.kept.len() + operations.len() > KEPT_MAX {
            self.beyond += operations.len();
        } else {
            self.kept.append(&mut operations);
        }
        trouble
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::{CallId, Outcome as CallOutcome, What};
    use crate::state_machine::kv::Command;
    use crate::types::{SessionId, Time, Token};

    #[test]
    fn calls_are_kept_whole_or_not_at_all() {
        let mut record = Record::default();
        let batch = vec![Command::put("x", "1"), Command::put("y", "1")];
        let what = What::commands(batch);
        let ask = Ask { what, at: None, timeout: Duration::from_secs(1) };
        let mut call = || {
            let pending = record.callers.begin(&ask, Time::ZERO);
            let outcome = CallOutcome::Unknown(Token { session: SessionId(2), serial: 1, part: None });
            let (call_id, began) = (CallId(1), Time::ZERO);
            let trouble =
                record.note(vec![pending], &[Ended { call_id, outcome, began, took: Duration::ZERO }]);
            assert_eq!(trouble, None, "there is no file");
            (record.kept.len(), record.beyond)
        };
        assert_eq!(call(), (2, 0));
        let full = (0..KEPT_MAX / 2).map(|_| call()).last();
        assert_eq!(full, Some((KEPT_MAX, 2)));
        assert_eq!(call(), (KEPT_MAX, 4), "nor what comes later, though it may be smaller");
    }
}
