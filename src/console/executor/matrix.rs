//! `log`: the nodes' logs as a matrix: what each holds, or has stored while it does not run.

use serde_json::{Value, json};

use super::Console;
use super::picture::{life_word, role_letter};
use super::rows::{Row as VerbRow, Run, verb};
use super::slots::{ANY_TARGET, LAST};
use super::target::Fit;
use crate::console::language::{Answer, Directive, Topic, form};
use crate::console::matrix::{Entries, Frame, Row, draw};
use crate::lab::{Life, NodeView};
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
        let frame = Frame { last: line.get(&LAST).copied(), columns: self.context.columns, color: false };
        for (node, view) in picture.nodes().iter().filter(|(node, _)| nodes.contains(node)) {
            let (row, json) = self.log_row(*node, view, frame);
            rows.push(row);
            details.push(json);
        }
        // Without a leader nothing is marked as different.
        let leader = picture.leader().and_then(|leader| self.lab.log(leader).ok());
        let leader = leader.as_ref().map(Entries::from);
        let text = draw(&rows, leader.as_ref(), frame);
        Answer::ok("log", text).with("nodes", details)
    }

    /// What a node holds; of one that does not run, what it has stored.
    fn log_row(&mut self, node: NodeId, view: &NodeView, frame: Frame) -> (Row, Value) {
        let row = |log, end: &str| {
            let (letter, term) = (role_letter(view), Some(view.status.term));
            Row { node, letter, term, log, end: end.to_string() }
        };
        if view.life == Life::Up
            && let Ok(log) = self.lab.log(node)
        {
            return (row(Ok(Entries::from(&log)), ""), row_json(node, &log));
        }
        let state = life_word(view);
        match self.lab.stored(node, frame.entries()) {
            Ok(stored) => {
                let entries = Entries::from(&stored);
                let terms = &stored.terms;
                let json = json!({"node": node, "down": true, "state": state, "base": stored.before, "snapshot": stored.snapshot.index, "terms": terms});
                (row(Ok(entries), &format!("  {state}, as stored")), json)
            }
            Err(error) => {
                let reason = format!("{state}, and what it stored cannot be read: {error}");
                (row(Err(reason), ""), json!({"node": node, "down": true, "state": state}))
            }
        }
    }
}

fn row_json(node: NodeId, log: &LogView) -> Value {
    let (base, snapshot) = (log.base.index, log.snapshot.index);
    json!({"node": node, "base": base, "snapshot": snapshot, "terms": log.terms, "commit": log.commit})
}
