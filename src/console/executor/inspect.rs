//! Looking at the cluster: leader, keys, dump, diff, check. Nothing here changes anything.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Console;
use super::picture::{Picture, life_word};
use super::rows::{Row, Run, verb};
use super::slots::NODE;
use super::status::NONE;
use crate::console::language::{Answer, Directive, Outcome, Topic, form};
use crate::lab::{LabKind, Life, NodeView};
use crate::quoting::{CELL_LETTERS, brief, brief_beside, pair};
use crate::text::counted;
use crate::text::layout::{duration_shown, table};
use crate::text::nodes::no_such_node;
use crate::types::{NodeId, Time};

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("leader", Topic::Look, &[])
            .does("who leads and since when, or why there is no leader", "leader")
            .shows("Election Safety (5.2): at most one leader in a term"),
        Console::leader,
    ),
    verb(
        form("keys", Topic::Look, &[])
            .does("the keys and values that the leader has applied", "keys")
            .shows("5.3: only committed entries reach the state machine"),
        Console::keys,
    ),
    verb(
        form("dump", Topic::Look, &[NODE])
            .does("all that a node, or each node, has applied", "dump n2")
            .shows("State Machine Safety (5.4.3): the same commands in the same order"),
        Console::dump,
    ),
    verb(
        form("diff", Topic::Look, &[])
            .does("the nodes' states side by side, differences marked", "diff")
            .shows("State Machine Safety (5.4.3): a node may lag, never differ"),
        Console::diff,
    ),
    verb(
        form("check", Topic::Test, &[])
            .does("checks safety, and that the data commands are linearizable", "check")
            .shows("Figure 3: the five properties, by name; 8: linearizable semantics"),
        Console::check,
    ),
];

/// What `check` says of processes whose records begin later than they did.
const FROM_RECORDS: &str = "NOTE the nodes' records begin later than the cluster: what was committed before is not known to them, and not checked";

/// What `check` says of a run that found files.
const FROM_FILES: &str =
    "NOTE this run began from files: what was committed before is not known to it, and not checked";

impl Console {
    /// `n2 (term 4, for 12.4 s)` or why there is no leader.
    fn leader(&mut self, _: &Directive) -> Answer {
        let picture = self.picture();
        let now = self.lab.now();
        match picture.leader() {
            Some(node) => {
                let text = leader_text(node, &picture, now);
                let term = picture.view(node).map_or(0, |view| view.status.term.0);
                Answer::ok("leader", text).with("leader", node.to_string()).with("term", term)
            }
            None => Answer::ok("leader", picture.why_no_leader())
                .with("leader", Value::Null)
                .with("reason", picture.why_no_leader()),
        }
    }

    /// What the leader has applied; without a leader, the node that has applied most.
    fn keys(&mut self, _: &Directive) -> Answer {
        let picture = self.picture();
        let up = picture.nodes().iter().filter(|(_, view)| view.life == Life::Up);
        let furthest = up.max_by_key(|(_, view)| view.status.applied).map(|(node, _)| *node);
        let Some(node) = picture.leader().or(furthest) else {
            return Answer::failed("keys", "no node runs: 'restart all' starts them");
        };
        match self.lab.items(node) {
            Ok(items) => {
                let mut lines: Vec<String> = items.iter().map(item_shown).collect();
                let role = if picture.leader() == Some(node) { "which leads" } else { "there is no leader" };
                let behind = picture.view(node).map_or_else(String::new, not_applied);
                lines.push(format!("{} at {node}, {role}{behind}", counted(items.len(), "key")));
                Answer::ok("keys", lines.join("\n"))
                    .with("node", node.to_string())
                    .with("items", object(&items))
            }
            Err(error) => Answer::failed("keys", error),
        }
    }

    /// Everything that a node has applied, or each node.
    fn dump(&mut self, line: &Directive) -> Answer {
        let only = line.get(&NODE).copied();
        let picture = self.picture();
        if let Some(node) = only {
            match picture.view(node) {
                None => return Answer::failed("dump", no_such_node(node, &picture.names())),
                Some(view) if view.life != Life::Up => {
                    let reason = format!("{node} is {}: its state is not to be seen", life_word(view));
                    return Answer::failed("dump", reason);
                }
                Some(_) => {}
            }
        }
        let mut lines = Vec::new();
        let mut details = Vec::new();
        for (node, view) in picture.nodes().iter().filter(|(node, _)| only.is_none_or(|only| only == *node)) {
            let Ok(items) = self.lab.items(*node) else {
                lines.push(format!("{node}  {}", life_word(view)));
                details.push(json!({"node": node, "down": true}));
                continue;
            };
            let keys = counted(items.len(), "key");
            lines.push(format!("{node}  {keys}, applied {}", view.status.applied));
            lines.extend(items.iter().map(|item| format!("    {}", item_shown(item))));
            details.push(json!({"node": node, "applied": view.status.applied, "items": object(&items)}));
        }
        Answer::ok("dump", lines.join("\n")).with("nodes", details)
    }

    /// The nodes' states side by side. A value unlike the leader's (or the first node's) is marked with `!`.
    fn diff(&mut self, _: &Directive) -> Answer {
        let picture = self.picture();
        let mut states: Vec<(NodeId, BTreeMap<String, String>)> = Vec::new();
        for node in picture.names() {
            if let Ok(items) = self.lab.items(node) {
                states.push((node, items.into_iter().collect()));
            }
        }
        if states.is_empty() {
            return Answer::failed("diff", "no node runs: 'restart all' starts them");
        }
        let base = picture
            .leader()
            .and_then(|leader| states.iter().position(|(node, _)| *node == leader))
            .unwrap_or(0);
        let mut keys: Vec<&String> = states.iter().flat_map(|(_, state)| state.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let differing: Vec<&String> = keys
            .iter()
            .copied()
            .filter(|key| states.iter().any(|(_, state)| state.get(*key) != states[base].1.get(*key)))
            .collect();
        let names: Vec<String> = states.iter().map(|(node, _)| node.to_string()).collect();
        let details = Answer::ok("diff", "").with("keys", keys.len()).with("differing", differing.len());
        if differing.is_empty() {
            let text = format!("the same {} at {}", counted(keys.len(), "key"), names.join(", "));
            return Answer { text, ..details };
        }
        let mut rows = vec![
            std::iter::once("KEY".to_string()).chain(names.iter().map(|name| format!(" {name}"))).collect(),
        ];
        for key in &differing {
            let cells = states.iter().map(|(_, state)| {
                let mark = if state.get(*key) == states[base].1.get(*key) { ' ' } else { '!' };
                let value =
                    state.get(*key).map_or(NONE.into(), |value| brief_beside(value, CELL_LETTERS, &[NONE]));
                format!("{mark}{value}")
            });
            rows.push(
                std::iter::once(brief(key, CELL_LETTERS).into_owned()).chain(cells).collect::<Vec<String>>(),
            );
        }
        let mut lines = table(&rows, &[]);
        lines.push(format!(
            "{} of {} differ; ! is unlike {}, {NONE} is absent",
            differing.len(),
            counted(keys.len(), "key"),
            states[base].0
        ));
        Answer { text: lines.join("\n"), ..details }
    }

    /// PASS or FAIL for each property, then for the history of the data commands, where the verdict may also be open.
    /// A run that began from files says first what no check of it can know.
    fn check(&mut self, _: &Directive) -> Answer {
        let verdicts = self.lab.check();
        self.tell_news_of(&verdicts);
        let lines = verdicts.iter().map(ToString::to_string);
        let history = self.judge_history();
        self.tell_news_of(&[history.verdict()]);
        let from_files = !self.lab.checks_from_beginning();
        let note = if self.lab.kind() == LabKind::Processes { FROM_RECORDS } else { FROM_FILES };
        let limit = from_files.then(|| note.to_string());
        let lines: Vec<String> =
            limit.into_iter().chain(lines).chain(std::iter::once(history.text)).collect();
        let mut properties: Vec<Value> = verdicts
            .iter()
            .map(|verdict| {
                json!({"property": verdict.property, "pass": verdict.pass(), "violation": verdict.violation, "open": verdict.open})
            })
            .collect();
        properties.push(history.details);
        let mut answer = Answer::ok("check", lines.join("\n"))
            .with("properties", properties)
            .with("began_from_files", from_files);
        answer.outcome = history.outcome;
        if verdicts.iter().any(|verdict| verdict.violation.is_some()) {
            answer.outcome = Outcome::Failed;
        }
        answer
    }
}

/// `n2 (term 4, for 12.4 s)`.
fn leader_text(node: NodeId, picture: &Picture, now: Time) -> String {
    let Some(view) = picture.view(node) else { return node.to_string() };
    format!("{node} (term {}, for {})", view.status.term, duration_shown(now.since(view.status.since)))
}

/// ` (2 of 7 entries applied so far)`: a leader that has just begun seems to hold less than it does.
fn not_applied(view: &NodeView) -> String {
    let (applied, last) = (view.status.applied, view.status.last.index);
    if applied < last { format!(" ({applied} of {last} entries applied so far)") } else { String::new() }
}

fn item_shown((key, value): &(String, String)) -> String {
    pair(key, value, CELL_LETTERS)
}

fn object(items: &[(String, String)]) -> Value {
    items
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
