//! `wait`, `expect`, `sleep`: scripts that go on when something holds, and fail when it does not.

use std::time::Duration;

use super::Console;
use super::condition::Way;
use crate::console::language::answer::{Answer, Outcome};
use crate::console::language::condition::{AnswerKind, Condition, Expectation};
use crate::console::language::layout::duration_shown;
use crate::lab::Lab;
use crate::types::Time;

/// How long `wait` waits when it is not told.
const PATIENCE: Duration = Duration::from_secs(10);

/// How waiting ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waited {
    /// It holds.
    Held,
    /// Time is up.
    Late,
    /// A person stopped it.
    Interrupted,
}

impl<L: Lab> Console<L> {
    /// Waits until it holds, ends faults whose time has come meanwhile, and gives up at the deadline.
    pub(super) fn wait_until(&mut self, deadline: Time, mut holds: impl FnMut(&mut Self) -> bool) -> Waited {
        loop {
            self.undo_due();
            if holds(self) {
                return Waited::Held;
            }
            if self.lab.interrupted() {
                return Waited::Interrupted;
            }
            if self.lab.now() >= deadline {
                return Waited::Late;
            }
            let next = self.next_undo().map_or(deadline, |due| due.min(deadline));
            self.lab.wait(next);
        }
    }

    /// Silent when the condition comes to hold.
    pub(super) fn wait(&mut self, condition: &Condition, within: Option<Duration>) -> Answer {
        if let Err(reason) = self.check_names(condition) {
            return Answer::failed("wait", reason);
        }
        let within = within.unwrap_or(PATIENCE);
        let begun = self.lab.now();
        let deadline = begun + within;
        let mut got = String::new();
        let waited =
            self.wait_until(deadline, |console| match console.judge(condition, Way::Reached { deadline }) {
                Ok(()) => true,
                Err(instead) => {
                    got = instead;
                    false
                }
            });
        match waited {
            Waited::Held => Answer::ok("wait", ""),
            Waited::Interrupted => Self::interrupted("wait", self.lab.now().since(begun)),
            Waited::Late => {
                let within = duration_shown(within);
                let mut answer =
                    Answer::failed("wait", format!("expected {condition} within {within}, got {got}"));
                // It may still come: neither right nor wrong.
                answer.outcome = Outcome::Unknown;
                answer
            }
        }
    }

    /// Silent when it holds now.
    pub(super) fn expect(&mut self, expectation: &Expectation) -> Answer {
        let judged = match expectation {
            Expectation::Cluster(condition) => match self.check_names(condition) {
                Err(reason) => return Answer::failed("expect", reason),
                Ok(()) => self.judge(condition, Way::Exactly),
            },
            Expectation::Answer { kind, containing } => self.judge_answer(*kind, containing.as_deref()),
        };
        match judged {
            Ok(()) => Answer::ok("expect", ""),
            Err(got) => Answer::failed("expect", format!("expected {expectation}, got {got}")),
        }
    }

    fn judge_answer(&self, kind: AnswerKind, containing: Option<&str>) -> Result<(), String> {
        let Some(last) = &self.last else { return Err("nothing: no directive came before".to_string()) };
        let came = match last.outcome {
            Outcome::Ok => AnswerKind::Ok,
            Outcome::Unknown if last.text.starts_with("UNKNOWN") => AnswerKind::Unknown,
            Outcome::Refused | Outcome::Failed | Outcome::Unknown => AnswerKind::Err,
        };
        let contained = containing.is_none_or(|text| last.text.contains(text));
        if came == kind && contained {
            return Ok(());
        }
        Err(match last.text.lines().next() {
            None => format!("{came} without a word"),
            Some(line) => format!("'{line}'"),
        })
    }

    /// Lets time pass.
    pub(super) fn sleep(&mut self, duration: Duration) -> Answer {
        let begun = self.lab.now();
        match self.wait_until(begun + duration, |_| false) {
            Waited::Interrupted => Self::interrupted("sleep", self.lab.now().since(begun)),
            Waited::Held | Waited::Late => Answer::ok("sleep", ""),
        }
    }
}
