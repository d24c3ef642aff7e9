//! `logs`: what the nodes wrote down, merged by time; from their files, or from memory where there are none.

use std::collections::VecDeque;
use std::time::Duration;

use log::Level;

use super::Console;
use super::rows::{Row, Run, verb};
use super::slots::{ALL_RUNS, ANY_TARGET, FOLLOW, LAST_LINES};
use super::target::Fit;
use super::wait::Waited;
use crate::console::language::{Answer, Directive, Topic, form};
use crate::text::counted;
use crate::trace::{Merge, merge};
use crate::types::NodeId;

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("logs", Topic::Look, &[ANY_TARGET, LAST_LINES, ALL_RUNS, FOLLOW])
        .does("the nodes' log files of this run, merged by time", "logs n1,n2 --last 20")
        .shows("5.2, 5.3: each decision with its reason"),
    Console::logs,
)];

/// Lines that one answer shows at most, unless it is asked for more: the last ones.
const LINES_MAX: usize = 500;

/// How long a followed log may go unread while nothing happens that the lab knows of.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

impl Console {
    /// The last lines of these nodes' logs, of this run unless it is asked for all; with `follow`, those to come too, until
    /// a person interrupts.
    fn logs(&mut self, line: &Directive) -> Answer {
        let follow = line.has(&FOLLOW);
        let nodes = match self.targeted(line, Fit::Any) {
            Ok(nodes) => nodes,
            Err(reason) => return Answer::failed("logs", reason),
        };
        if follow && !self.has_terminal() {
            return Answer::failed("logs", "--follow has no end here: it is for the prompt");
        }
        let last = line.get(&LAST_LINES).copied();
        let Some(folder) = self.context.logs.clone() else {
            return self.logs_of_memory(&nodes, follow, last);
        };
        let mut merged = match merge(&folder, &nodes) {
            Ok(merged) => merged,
            Err(error) => return Answer::failed("logs", error),
        };
        let (lines, earlier) = last_lines(&mut merged, line.has(&ALL_RUNS), last.unwrap_or(LINES_MAX));
        let mut text = Vec::new();
        if earlier > 0 && last.is_none() {
            let lines = counted(earlier, "earlier line");
            text.push(format!("... {lines} in {}; '--last N' shows more", folder.display()));
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
        loop {
            for line in merged.by_ref() {
                self.output.progress(&line.to_string());
            }
            let again = self.lab.now() + FOLLOW_EVERY;
            if self.wait_until(again, |_| false) == Waited::Interrupted || self.output.is_gone() {
                return Answer::ok("logs", "");
            }
        }
    }

    fn logs_of_memory(&mut self, nodes: &[NodeId], follow: bool, last: Option<usize>) -> Answer {
        if follow {
            return Answer::failed(
                "logs",
                "there are no log files to follow: 'events all' shows what happens",
            );
        }
        let events = self.narrator.recording().events();
        let wanted = |level: Level| level <= Level::Info;
        let lines = events
            .iter()
            .filter(|event| nodes.contains(&event.node) && wanted(event.level()))
            .map(|event| format!("{} {} {:<5} {}", event.time, event.node, event.level(), event.what));
        let mut shown = LastLines::new(last.unwrap_or(LINES_MAX));
        lines.for_each(|line| shown.push(line));
        let head = (shown.dropped > 0 && last.is_none())
            .then(|| format!("... after {}", counted(shown.dropped, "earlier line")));
        let text: Vec<String> = head.into_iter().chain(shown.lines).collect();
        Answer::ok("logs", text.join("\n"))
    }
}

/// The last lines of this run, or of all, and how many came before them. A run begins with one mark for all nodes.
fn last_lines(merged: &mut Merge, all_runs: bool, most: usize) -> (VecDeque<String>, usize) {
    let mut shown = LastLines::new(most);
    let mut marked = false;
    for line in merged {
        if !line.begins_run() {
            shown.push(line.to_string());
        } else if !all_runs {
            shown = LastLines::new(most);
        } else if !marked {
            shown.push(format!("--- a run begins at {} ---", line.time));
        }
        marked = line.begins_run();
    }
    (shown.lines, shown.dropped)
}

struct LastLines {
    most: usize,
    lines: VecDeque<String>,
    dropped: usize,
}

impl LastLines {
    fn new(most: usize) -> LastLines {
        LastLines { most, lines: VecDeque::new(), dropped: 0 }
    }

    fn push(&mut self, line: String) {
        self.lines.push_back(line);
        if self.lines.len() > self.most {
            self.lines.pop_front();
            self.dropped += 1;
        }
    }
}
