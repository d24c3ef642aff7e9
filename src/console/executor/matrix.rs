//! `log`: the logs of running nodes as a matrix.

use serde_json::{Value, json};

use super::Console;
use super::inspect::role_letter;
use super::target::{Fit, resolve};
use crate::console::language::answer::Answer;
use crate::console::language::directive::Target;
use crate::console::matrix::{Entries, Frame, Row, draw};
use crate::lab::Lab;
use crate::server::LogView;
use crate::types::NodeId;

impl<L: Lab> Console<L> {
    /// The matrix of these nodes' logs, the last entries of them.
    pub(super) fn log(&mut self, target: Option<&Target>, last: Option<usize>) -> Answer {
        let picture = self.picture();
        let nodes = match resolve(target.unwrap_or(&Target::All), Fit::Any, &picture, &mut self.random) {
            Ok(nodes) => nodes,
            Err(reason) => return Answer::failed("log", reason),
        };
        let (mut rows, mut details) = (Vec::new(), Vec::new());
        for node in nodes {
            let letter = picture.view(node).map_or('?', role_letter);
            let view = self.lab.log(node).ok();
            details.push(row_json(node, view.as_ref()));
            let unseen = || "not to be seen: it is down or paused".to_string();
            let log = view.as_ref().map(Entries::from).ok_or_else(unseen);
            rows.push(Row { node, letter, log, end: String::new() });
        }
        // What differs is measured against the leader, and without one against nobody.
        let leader = picture.leader().and_then(|leader| self.lab.log(leader).ok());
        let leader = leader.as_ref().map(Entries::from);
        let frame = Frame { last, columns: self.surroundings.columns, color: false };
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
