//! `log`: the logs of running nodes as a matrix.

use serde_json::{Value, json};

use super::Console;
use super::inspect::role_letter;
use super::rows::{Row as VerbRow, Run, verb};
use super::slots::{ANY_TARGET, LAST};
use super::target::Fit;
use crate::console::language::{Answer, Directive, Topic, form};
use crate::console::matrix::{Entries, Frame, Row, draw};
use crate::server::LogView;
use crate::types::NodeId;

pub(super) const VERBS: &[VerbRow<Run>] = &[verb(
    form("log", Topic::Look, &[ANY_TARGET, LAST])
        .does("the logs as a matrix: a row a node, a term a cell", "log --last 20")
        .shows("Log Matching (5.3): the same index and term, the same log up to there"),
    Console::log,
)];

impl Console {
    /// The matrix of these nodes' logs, the last entries of them.
    fn log(&mut self, line: &Directive) -> Answer {
        let nodes = match self.targeted(line, Fit::Any) {
            Ok(nodes) => nodes,
            Err(reason) => return Answer::failed("log", reason),
        };
        let picture = self.picture();
        let (mut rows, mut details) = (Vec::new(), Vec::new());
        for node in nodes {
            let letter = picture.view(node).map_or('?', role_letter);
            let view = self.lab.log(node).ok();
            details.push(row_json(node, view.as_ref()));
            let unseen = || "not to be seen: it is down or paused".to_string();
            let log = view.as_ref().map(Entries::from).ok_or_else(unseen);
            rows.push(Row { node, letter, log, end: String::new() });
        }
        // Without a leader nothing is marked as different.
        let leader = picture.leader().and_then(|leader| self.lab.log(leader).ok());
        let leader = leader.as_ref().map(Entries::from);
        let frame = Frame { last: line.get(&LAST).copied(), columns: self.context.columns, color: false };
        let text = draw(&rows, leader.as_ref(), frame);
        Answer::ok("log", text).with("nodes", details)
    }
}

fn row_json(node: NodeId, log: Option<&LogView>) -> Value {
    match log {
        None => json!({"node": node, "down": true}),
        Some(log) => {
            let (base, snapshot) = (log.base.index, log.snapshot.index);
            json!({"node": node, "base": base, "snapshot": snapshot, "terms": log.terms, "commit": log.commit})
        }
    }
}
