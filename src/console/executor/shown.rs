//! What a session shows of its cluster: the greeting, the words of the prompt, and what completion offers.

use super::{Console, status};
use crate::check::linearizability::Start;
use crate::console::language::Names;
use crate::console::scripts;
use crate::console::standing::Standing;
use crate::text::joined;
use crate::text::nodes::listed;
use crate::types::NodeId;

/// Keys that completion offers at most: more than a person reads.
const KEYS_OFFERED_MAX: usize = 500;

impl Console {
    /// `raftlab: n1, n2, n3` and, where there is state of an earlier run, from where it continues.
    pub fn greeting(&mut self) -> String {
        let picture = self.picture();
        let names = picture.names();
        let nodes = if names.len() > 5 {
            format!("{} nodes, {}", names.len(), listed(&names))
        } else {
            format!("nodes {}", joined(&names, ", "))
        };
        let last = picture.nodes().iter().map(|(_, view)| view.status.last.index).max().unwrap_or_default();
        let is_new = self.lab.began_with() == Start::Absent;
        match last.0 {
            _ if is_new => format!("raftlab: {nodes}"),
            0 => format!("raftlab: {nodes}"),
            last => {
                let entries = if last == 1 { "log entry" } else { "log entries" };
                format!("raftlab: {nodes}; continues from term {} with {last} {entries}", picture.term())
            }
        }
    }

    /// `n2 is down: why`, for each node that something keeps from running.
    pub fn nodes_missing(&mut self) -> Vec<String> {
        status::nodes_missing(&self.picture(), None)
    }

    /// What completion may offer now.
    pub fn names(&mut self) -> Names {
        if let Some(lesson) = &mut self.lesson {
            return lesson.names();
        }
        let picture = self.picture();
        let small =
            |node: &NodeId| picture.view(*node).is_some_and(|view| view.status.size <= KEYS_OFFERED_MAX);
        let source = picture.leading().filter(small);
        let items = source.and_then(|node| self.lab.items(node).ok()).unwrap_or_default();
        let keys = items.into_iter().map(|(key, _)| key).collect();
        Names { nodes: self.lab.nodes(), keys, files: scripts::names() }
    }

    /// What the prompt says now.
    pub fn standing(&mut self) -> Standing {
        if let Some(lesson) = &self.lesson {
            return Standing { lesson: Some(lesson.progress()), ..Standing::default() };
        }
        let picture = self.picture();
        let leader = picture.leader();
        let led = leader.and_then(|leader| picture.view(leader)).map(|view| view.status.term);
        let term = led.unwrap_or_else(|| picture.term());
        let last = picture.names().last().copied();
        let (up, count, past) = (picture.up_count(), picture.count(), self.past());
        Standing { up, count, leader, last, term, past, lesson: None }
    }
}
