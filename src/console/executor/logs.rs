//! `logs`: what the nodes wrote down, merged by time; from their files, or from memory where there are none.

use std::collections::VecDeque;
use std::time::Duration;

use log::Level;

use super::Console;
use super::rows::{Row, Run, verb};
use super::slots::{ANY_TARGET, FOLLOW};
use super::target::Fit;
use super::wait::Waited;
use crate::console::language::{Answer, Directive, Topic, form};
use crate::text::counted;
use crate::trace::{Merge, merge};
use crate::types::NodeId;

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("logs", Topic::Look, &[ANY_TARGET, FOLLOW])
        .does("the nodes' log files, merged by time", "logs n1,n2")
        .shows("5.2, 5.3: each decision with its reason"),
    Console::logs,
)];

/// Lines that one answer shows at most: the last ones.
const LINES_MAX: usize = 500;

/// How long a followed log may go unread while nothing happens that the lab knows of.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

impl Console {
    /// The last lines of these nodes' logs; with `follow`, those to come too, until a person interrupts.
    fn logs(&mut self, line: &Directive) -> Answer {
        let follow = line.has(&FOLLOW);
        let nodes = match self.targeted(line, Fit::Any) {
            Ok(nodes) => nodes,
            Err(reason) => return Answer::failed("logs", reason),
        };
        if follow && !self.context.attended {
            return Answer::failed("logs", "--follow has no end here: it is for the prompt");
        }
        let Some(folder) = self.context.logs.clone() else { return self.logs_of_memory(&nodes, follow) };
        let mut merged = match merge(&folder, &nodes) {
            Ok(merged) => merged,
            Err(error) => return Answer::failed("logs", error),
        };
        let (lines, earlier) = last_lines(merged.by_ref().map(|line| line.to_string()));
        let mut text = Vec::new();
        if earlier > 0 {
            text.push(format!("... {earlier} earlier lines are in {}", folder.display()));
        }
        text.extend(lines);
        if text.is_empty() {
            text.push("the logs are empty".to_string());
        }
        if !follow {
            return Answer::ok("logs", text.join("\n"));
        }
        self.output.progress(&text.join("\n"));
        self.follow(merged)
    }

    fn follow(&mut self, mut merged: Merge) -> Answer {
        let mut shown = 0_usize;
        loop {
            for line in merged.by_ref() {
                self.output.progress(&line.to_string());
                shown += 1;
            }
            let again = self.lab.now() + FOLLOW_EVERY;
            if self.wait_until(again, |_| false) == Waited::Interrupted || self.output.is_gone() {
                return Answer::ok("logs", format!("{} followed", counted(shown, "line")));
            }
        }
    }

    fn logs_of_memory(&mut self, nodes: &[NodeId], follow: bool) -> Answer {
        if follow {
            return Answer::failed(
                "logs",
                "there are no log files to follow: 'events all' shows what happens",
            );
        }
        let Some(events) = self.narrator.kept() else {
            return Answer::failed("logs", "no logs are kept: start without --memory");
        };
        let wanted = |level: Level| level <= Level::Info;
        let lines = events
            .iter()
            .filter(|event| nodes.contains(&event.node) && wanted(event.level()))
            .map(|event| format!("{} {} {:<5} {}", event.time, event.node, event.level(), event.what));
        let (lines, earlier) = last_lines(lines);
        let head = (earlier > 0).then(|| format!("... after {earlier} earlier lines"));
        let text: Vec<String> = head.into_iter().chain(lines).collect();
        Answer::ok("logs", text.join("\n"))
    }
}

/// The last lines, and how many came before them.
fn last_lines(lines: impl Iterator<Item = String>) -> (VecDeque<String>, usize) {
    let mut last = VecDeque::new();
    let mut earlier = 0;
    for line in lines {
        if last.len() == LINES_MAX {
            last.pop_front();
            earlier += 1;
        }
        last.push_back(line);
    }
    (last, earlier)
}
