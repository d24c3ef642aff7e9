//! `after 2s crash leader`: a line that is executed later, beside what else is done then.

use super::Console;
use super::rows::{Row, Run, verb};
use super::slots::{DURATION, LINE};
use crate::console::language::{Answer, Directive, Topic, form};
use crate::text::layout::stamp;
use crate::types::Time;

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("after", Topic::Test, &[DURATION, LINE])
        .does("executes a line later, such as a fault during a load", "after 2s crash leader"),
    Console::after,
)];

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
        let due = self.lab.now() + *line.need(&DURATION);
        self.laters.push(Later { due, line: later.clone() });
        Answer::ok("after", "")
    }

    /// Executes the line whose time this is, if there is one.
    pub(super) fn run_later(&mut self, due: Time) -> bool {
        let Some(at) = self.laters.iter().position(|later| later.due == due) else { return false };
        let Later { line, .. } = self.laters.remove(at);
        let said = self.execute(&line).text.replace('\n', "; ");
        self.tell(&format!("{line}: {said}"));
        true
    }

    /// Says what was done by itself, with its time.
    pub(super) fn tell(&self, text: &str) {
        self.narrator.say(format!("{} {text}", stamp(self.lab.now().since(self.zero))));
    }
}

/// It asks no client and waits for nothing.
fn is_quick(line: &Directive) -> bool {
    let faulty = matches!(line.form.topic, Topic::Nodes | Topic::Network | Topic::Disks | Topic::Time);
    faulty && !matches!(line.name(), "snapshot" | "speed" | "step")
}
