//! `after 2s crash leader`: a line that is executed later, beside what else is done then.

use super::rows::{Row, Run, verb};
use super::slots::{DURATION, LINE};
use super::{Console, notes};
use crate::console::language::{Answer, Directive, Outcome, Topic, form};
use crate::text::layout::stamp;
use crate::trace::Place;
use crate::types::Time;

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("after", Topic::Test, &[DURATION, LINE])
        .does("executes a line later, such as a fault during a load", "after 2s crash leader")
        .noting(notes::BY_THE_CONSOLE),
    Console::after,
)];

/// How many lines may wait at a time.
const LATERS_MAX: usize = 1_000;

/// A line that waits for its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Later {
    due: Time,
    line: Directive,
}

impl Later {
    pub(super) fn due(&self) -> Time {
        self.due
    }
}

impl Console {
    fn after(&mut self, line: &Directive) -> Answer {
        let later: &Directive = line.need(&LINE);
        if !is_quick(later) {
            let reason =
                format!("'{}' cannot run beside others: after takes a fault, or what ends one", later.name());
            return Answer::failed("after", reason);
        }
        if self.course.laters.len() >= LATERS_MAX {
            let reason = format!("{LATERS_MAX} lines wait already: let time pass until some are executed");
            return Answer::failed("after", reason);
        }
        let due = self.lab.now() + *line.need(&DURATION);
        self.course.laters.push(Later { due, line: later.clone() });
        Answer::ok("after", "")
    }

    /// Executes the line whose time this is, if there is one.
    pub(super) fn run_later(&mut self, due: Time) -> bool {
        let Some(at) = self.course.laters.iter().position(|later| later.due == due) else { return false };
        let Later { line, .. } = self.course.laters.remove(at);
        let answer = self.perform(&line);
        if matches!(answer.outcome, Outcome::Failed | Outcome::Unknown) {
            self.course.late_failure = Some((line.to_string(), answer.outcome));
        }
        self.tell(&format!("{line}: {}", answer.text.replace('\n', "; ")));
        true
    }

    /// Says what was done by itself, with its time.
    pub(super) fn tell(&self, text: &str) {
        self.narrator.tracer().aside(self.lab.now(), Place::Console, "said", [], text.to_string());
        self.narrator.say(format!("{} {text}", stamp(self.lab.now().since(self.zero))));
    }
}

/// It asks no client and waits for nothing.
fn is_quick(line: &Directive) -> bool {
    let faulty = matches!(line.form.topic, Topic::Nodes | Topic::Network | Topic::Disks | Topic::Time);
    faulty && !matches!(line.name(), "snapshot" | "speed" | "step" | "rewind" | "fork")
}

#[cfg(test)]
mod tests {
    use super::super::tests::Desk;
    use super::*;

    #[test]
    fn a_line_that_waits_holds_no_other_that_waits() {
        let deep = format!("{}heal", "after 1s ".repeat(3_000));
        let said = crate::console::executor::parse(&deep).expect_err("it is not a directive").to_string();
        assert_eq!(said, "'after' cannot stand behind 'after': after DURATION LINE");
    }

    #[test]
    fn a_line_that_fails_later_fails_its_script() {
        let mut desk = Desk::led();
        let said = desk.lines("after 1s restart n1\nsleep 2s\necho not reached");
        assert!(said.contains("restart n1: ERR n1 is already running"), "{said}");
        assert!(said.ends_with("stopped: 'restart n1', which waited, failed\n"), "{said}");
        let forgiven = desk.lines("crash n1\nafter 1s restart n1\nsleep 2s\necho reached");
        assert!(forgiven.ends_with("reached\n"), "{forgiven}");
    }

    #[test]
    fn as_many_lines_as_may_wait_are_executed_at_the_same_time() {
        let mut desk = Desk::led();
        let lines = "after 1s heal\n".repeat(LATERS_MAX);
        assert_eq!(desk.lines(&lines), "");
        let refused = desk.lines("after 1s heal\nexpect err");
        assert!(refused.contains("1000 lines wait already"), "{refused}");
        let told = desk.lines("sleep 2s");
        assert_eq!(told.matches("heal: no partition or cut to heal").count(), LATERS_MAX, "{told}");
        assert_eq!(desk.lines("after 1s heal"), "");
    }
}
