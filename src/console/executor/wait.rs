//! `wait`, `expect`, `sleep`: scripts that proceed when something holds, and fail when it does not.

use std::time::Duration;

use super::Console;
use super::condition::judge_of;
use super::notes;
use super::rows::{Row, Run, Way, verb};
use super::slots::{ANY_DURATION, AT_OF_CONDITION, DURATION, EXPECTED_NOW, WAITED_FOR};
use crate::console::language::{Answer, Condition, Directive, Outcome, Topic, form};
use crate::text::layout::duration_shown;
use crate::types::Time;

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("wait", Topic::Test, &[WAITED_FOR, AT_OF_CONDITION, ANY_DURATION])
            .does("waits until a condition holds", "wait leader 5s")
            .noting(notes::WAIT)
            .shows("5.6: a majority that can talk elects a leader sooner or later"),
        Console::wait,
    ),
    verb(
        form("expect", Topic::Test, &[EXPECTED_NOW, AT_OF_CONDITION])
            .does("fails unless a condition holds now", "expect leader n1")
            .shows("Figure 3: what must hold at any moment"),
        Console::expect,
    ),
    verb(form("sleep", Topic::Test, &[DURATION]).does("lets time pass", "sleep 200ms"), Console::sleep),
];

/// How long `wait` waits when it is not told.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waited {
    Held,
    Late,
    Interrupted,
}

impl Console {
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
    fn wait(&mut self, line: &Directive) -> Answer {
        let condition: &Condition = line.need(&WAITED_FOR);
        if let Err(reason) = self.check_names(condition) {
            return Answer::failed("wait", reason);
        }
        let judge = judge_of(condition);
        let within = line.get(&ANY_DURATION).copied().unwrap_or(PATIENCE);
        let begun = self.lab.now();
        let deadline = begun + within;
        let mut got = String::new();
        let waited =
            self.wait_until(deadline, |console| match judge(console, condition, Way::Reached { deadline }) {
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

    fn expect(&mut self, line: &Directive) -> Answer {
        let condition: &Condition = line.need(&EXPECTED_NOW);
        if let Err(reason) = self.check_names(condition) {
            return Answer::failed("expect", reason);
        }
        match judge_of(condition)(self, condition, Way::Exactly) {
            Ok(()) => Answer::ok("expect", ""),
            Err(got) => Answer::failed("expect", format!("expected {condition}, got {got}")),
        }
    }

    fn sleep(&mut self, line: &Directive) -> Answer {
        let begun = self.lab.now();
        match self.wait_until(begun + *line.need::<Duration>(&DURATION), |_| false) {
            Waited::Interrupted => Self::interrupted("sleep", self.lab.now().since(begun)),
            Waited::Held | Waited::Late => Answer::ok("sleep", ""),
        }
    }
}
