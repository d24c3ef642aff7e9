//! The journal: what was executed when, and what came of it. For reports.

use std::collections::VecDeque;
use std::time::Duration;

use crate::console::language::{Answer, Directive, Links, Outcome, Target, Topic, Value};
use crate::page::Deed;
use crate::text::numbers::float;
use crate::text::shorten_to;
use crate::types::Time;

/// Directives that are kept: the newest.
const KEPT_MAX: usize = 1_000;

/// Letters of a directive, and of its answer's first line, that are kept.
const LETTERS: usize = 120;

#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    kept: VecDeque<Executed>,
    /// How many came before those that are kept.
    pub left_out: usize,
}

/// A directive that was executed.
#[derive(Clone, Debug)]
struct Executed {
    at: Time,
    line: Directive,
    answer: String,
    ok: bool,
}

impl Journal {
    /// Notes a directive that began then. What only looks at something is not kept.
    pub fn note(&mut self, at: Time, line: &Directive, answer: &Answer) {
        if matches!(line.form.topic, Topic::Look | Topic::Session) {
            return;
        }
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
            self.left_out += 1;
        }
        // What an echo answers is what it was told to say.
        let text = if line.name() == "echo" { "" } else { &answer.text };
        let first = text.lines().next().unwrap_or_default();
        let ok = matches!(answer.outcome, Outcome::Ok | Outcome::Refused);
        let line = line.clone();
        self.kept.push_back(Executed { at, line, answer: shorten_to(first, LETTERS), ok });
    }

    /// What is kept, with the end of each fault, in a run that is at its end now.
    pub fn deeds(&self, now: Time) -> Vec<Deed> {
        let seconds = |time: Time| float(time.as_nanos()) / 1e9;
        // A script that runs others is noted after their lines.
        let mut kept: Vec<&Executed> = self.kept.iter().collect();
        kept.sort_by_key(|executed| executed.at);
        let lines: Vec<(f64, &Directive, bool)> =
            kept.iter().map(|executed| (seconds(executed.at), &executed.line, executed.ok)).collect();
        let ends = fault_ends(&lines, seconds(now));
        let deed = |(executed, until): (&Executed, f64)| Deed {
            at: seconds(executed.at),
            until,
            directive: shorten_to(&executed.line.to_string(), LETTERS),
            answer: executed.answer.clone(),
            ok: executed.ok,
            is_change: executed.ok
                && matches!(executed.line.form.topic, Topic::Nodes | Topic::Network | Topic::Disks),
        };
        kept.into_iter().zip(ends).map(deed).collect()
    }
}

/// When the fault of each directive ended: by itself, by a later one that ends it, or with the run. Directives come with
/// their times, and whether they were executed.
pub fn fault_ends(lines: &[(f64, &Directive, bool)], end: f64) -> Vec<f64> {
    let until = |(place, (at, line, ok)): (usize, &(f64, &Directive, bool))| {
        let later = &lines[place + 1..];
        let ended = later.iter().find(|(_, later, ok)| *ok && ends(later, line)).map_or(end, |(at, ..)| *at);
        match lasts(line) {
            Some(lasts) => (at + lasts.as_secs_f64()).min(ended.max(*at)),
            None if *ok => ended,
            None => *at,
        }
    };
    lines.iter().enumerate().map(until).collect()
}

/// Whether a later directive ends the fault of an earlier one, or puts another in its place. Words such as `leader` may mean
/// any node.
fn ends(later: &Directive, earlier: &Directive) -> bool {
    let targets = match (target(later), target(earlier)) {
        (Some(Target::Nodes(some)), Some(Target::Nodes(others))) => {
            some.iter().any(|node| others.contains(node))
        }
        _ => true,
    };
    let all_links = links(later).is_none();
    let links = links(later) == links(earlier);
    match (later.name(), earlier.name()) {
        ("restart", "crash" | "stop" | "kill") | ("resume", "pause") | ("connect", "isolate") => targets,
        ("heal", "cut") => all_links || links,
        ("heal", "partition" | "isolate") => all_links,
        ("reset", _) => matches!(earlier.form.topic, Topic::Network | Topic::Disks),
        (verb, other) if verb == other && later.lasting.is_none() => match earlier.form.topic {
            Topic::Network => all_links || links,
            Topic::Disks | Topic::Time => targets,
            _ => false,
        },
        _ => false,
    }
}

fn target(line: &Directive) -> Option<&Target> {
    line.values().find_map(|value| value.try_into().ok())
}

fn links(line: &Directive) -> Option<&Links> {
    line.values().find_map(|value| value.try_into().ok())
}

/// How long a directive's fault lasts; none if another one has to end it, zero if it is over at once.
fn lasts(line: &Directive) -> Option<Duration> {
    let stalled = line.values().find_map(|value| match value {
        Value::Duration(duration) => Some(*duration),
        _ => None,
    });
    match (line.name(), line.lasting) {
        (_, Some(lasting)) => Some(lasting),
        ("stall-disk", None) => stalled,
        ("stop", None) => None,
        _ if line.form.lasting => None,
        _ => Some(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_fault_ends_by_itself_by_what_mends_it_or_with_the_run() {
        let directives =
            ["crash n1", "delay 5ms for 2s", "put x 1", "restart n1", "isolate n2", "stall-disk n1 50s"];
        let lines: Vec<Directive> =
            directives.iter().filter_map(|text| parse(text).expect("a directive")).collect();
        let timed: Vec<(f64, &Directive, bool)> =
            (0_u32..).zip(&lines).map(|(at, line)| (f64::from(at), line, true)).collect();
        let ends: Vec<u64> = fault_ends(&timed, 10.0).into_iter().map(crate::text::numbers::whole).collect();
        assert_eq!(ends, [3, 3, 2, 3, 10, 10]);
        let ends = |texts: &[&str]| -> Vec<u64> {
            let lines: Vec<Directive> =
                texts.iter().filter_map(|text| parse(text).expect("a directive")).collect();
            let timed: Vec<_> = (0_u32..).zip(&lines).map(|(at, line)| (f64::from(at), line, true)).collect();
            fault_ends(&timed, 9.0).into_iter().map(crate::text::numbers::whole).collect()
        };
        assert_eq!(ends(&["crash n1", "drop 5%", "heal", "restart n2", "restart n1,n3"])[..2], [4, 9]);
        assert_eq!(
            ends(&["isolate n1 for 8s", "cut n1>n2", "pause n3", "heal n1>n2", "heal"])[..3],
            [4, 3, 9]
        );
        assert_eq!(ends(&["delay 5ms for 8s", "slow-disk n1 5ms", "delay 9ms", "reset"])[..3], [2, 3, 3]);
        assert_eq!(ends(&["drop 5%", "drop 50% for 1s", "drop 0% n1>n2", "drop 0%"])[..2], [3, 2]);
        assert_eq!(fault_ends(&[(0.0, &lines[0], false)], 10.0), [0.0], "it failed");
    }
}
