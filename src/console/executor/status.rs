//! `status`: a row for each node, and what it all means; once, or as it changes.

use std::time::Duration;

use serde_json::{Value, json};

use super::Console;
use super::notes;
use super::picture::{Picture, is_running, life_word};
use super::rows::{Row, Run, verb};
use super::slots::{ALL, NODE, WATCH};
use super::wait::Waited;
use crate::console::language::{Answer, Directive, Outcome, Topic, form};
use crate::lab::{Life, NodeView};
use crate::quoting::visible;
use crate::text::fitted::{Column, fitted};
use crate::text::joined;
use crate::text::layout::Align::{self, Left, Right};
use crate::text::layout::{duration_shown, wrap};
use crate::text::nodes::no_such_node;
use crate::types::{LogIndex, NodeId};

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("status", Topic::Look, &[NODE, ALL, WATCH])
        .does("roles, terms, logs and links, a row for each node", "status")
        .noting(notes::STATUS)
        .shows("Figure 2: the state that each server keeps")
        .also(&["ls"]),
    Console::status,
)];

/// What stands in a cell that has nothing to say.
pub(super) const NONE: &str = "-";

/// How long a change may go unseen while nothing else happens that the lab knows of.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// A column of the table, with what stands in it.
struct StatusColumn {
    column: Column,
    /// Only `--all` shows it.
    rare: bool,
    cell: Cell,
}

const COLUMNS: [StatusColumn; 12] = [
    always("NODE", Left, |node, _, _| node.to_string()),
    always("ROLE", Left, |_, view, _| role_shown(view)),
    always("TERM", Right, |_, view, _| view.status.term.to_string()),
    sparable("LEADER", Left, 1, |_, view, _| volatile(view, name(view.status.leader))),
    always("LAST", Right, |_, view, _| view.status.last.index.to_string()),
    always("COMMIT", Right, |_, view, _| volatile(view, view.status.commit.to_string())),
    sparable("APPLIED", Right, 3, |_, view, _| volatile(view, view.status.applied.to_string())),
    sparable("TRAILS", Right, 2, |_, view, picture| {
        trails(view, picture).map_or(NONE.to_string(), |trails| trails.to_string())
    }),
    rare("VOTED", Left, |_, view, _| name(view.status.voted_for)),
    rare("SNAPSHOT", Right, |_, view, _| match view.status.snapshot.last.index {
        LogIndex(0) => NONE.to_string(),
        index => index.to_string(),
    }),
    sparable("KEYS", Right, 4, |_, view, _| volatile(view, view.status.size.to_string())),
    always("LINKS", Left, |node, _, picture| picture.links(node)),
];

type Cell = fn(NodeId, &NodeView, &Picture) -> String;

const fn always(name: &'static str, align: Align, cell: Cell) -> StatusColumn {
    StatusColumn { column: Column { name, align, spare: None }, rare: false, cell }
}

const fn sparable(name: &'static str, align: Align, spare: u8, cell: Cell) -> StatusColumn {
    StatusColumn { column: Column { name, align, spare: Some(spare) }, rare: false, cell }
}

const fn rare(name: &'static str, align: Align, cell: Cell) -> StatusColumn {
    StatusColumn { rare: true, ..always(name, align, cell) }
}

impl Console {
    fn status(&mut self, line: &Directive) -> Answer {
        if line.has(&WATCH) { self.watch_status(line) } else { self.show_status(line) }
    }

    /// A row for each node, then what it all means.
    fn show_status(&mut self, line: &Directive) -> Answer {
        let only = line.get(&NODE).copied();
        let picture = self.picture();
        if let Some(node) = only.filter(|node| picture.view(*node).is_none()) {
            return Answer::failed("status", no_such_node(node, &picture.names()));
        }
        let shown: Vec<&(NodeId, NodeView)> =
            picture.nodes().iter().filter(|(node, _)| only.is_none_or(|only| only == *node)).collect();
        let mut lines = self.status_table(&shown, &picture, line.has(&ALL));
        let (leader, summary) = summary(&picture);
        let remarks =
            nodes_missing(&picture, only).into_iter().chain(picture.change_shown()).chain([summary]);
        lines.extend(remarks.flat_map(|remark| wrap(&remark, self.context.columns.unwrap_or(usize::MAX))));
        let details: Vec<Value> =
            shown.iter().map(|(node, view)| status_json(*node, view, &picture)).collect();
        Answer::ok("status", lines.join("\n"))
            .with("nodes", details)
            .with("leader", leader.map(|node| node.to_string()))
            .with("up", picture.up_count())
            .with("quorum", picture.quorum())
            .with("can_commit", leader.is_some())
    }

    fn status_table(&self, nodes: &[&(NodeId, NodeView)], picture: &Picture, all: bool) -> Vec<String> {
        let shown = || COLUMNS.iter().filter(|shown| all || !shown.rare);
        // Who asks for all gets all, in two tables if need be.
        let columns =
            shown().map(|shown| Column { spare: shown.column.spare.filter(|_| !all), ..shown.column });
        let columns: Vec<Column> = columns.collect();
        let row = |(node, view): &&(NodeId, NodeView)| {
            shown().map(|shown| (shown.cell)(*node, view, picture)).collect()
        };
        let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
        let table = fitted(&columns, &rows, self.context.columns);
        let mut lines = table.lines;
        if !table.left_out.is_empty() {
            let left_out = joined(&table.left_out, ", ");
            lines.push(format!("no room for {left_out}: 'status --all'"));
        }
        lines
    }

    /// The same, drawn again in place at each change, until a person ends it.
    fn watch_status(&mut self, line: &Directive) -> Answer {
        let not_here =
            || Answer::failed("status", "--watch draws on a terminal until Ctrl-C: leave it out here");
        if !self.has_terminal() || self.output.style().json {
            return not_here();
        }
        if !self.lab.has_clock() {
            let reason = "time stands still here while you watch: 'speed 1', then --watch lets it pass";
            return Answer::failed("status", reason);
        }
        let output = self.output.clone();
        let Some(drawing) = output.drawing() else { return not_here() };
        let mut shown = String::new();
        loop {
            let answer = self.show_status(line);
            if answer.outcome != Outcome::Ok {
                return answer;
            }
            if answer.text != shown {
                drawing.show(&format!("{}\nCtrl-C ends this", answer.text));
                shown = answer.text;
            }
            let again = self.lab.now() + WATCH_EVERY;
            if self.wait_until(again, |_| false) == Waited::Interrupted || output.is_gone() {
                drawing.show(&shown);
                return Answer::ok("status", "");
            }
        }
    }
}

/// Who leads, how many are up, and what that means.
fn summary(picture: &Picture) -> (Option<NodeId>, String) {
    let (up, total, quorum) = (picture.up_count(), picture.count(), picture.quorum());
    let up = format!("{up} of {total} up, quorum {quorum}");
    let Some(leader) = picture.leader() else {
        let why = picture.why_no_leader();
        let why = why.strip_prefix("none").unwrap_or(&why);
        return (None, format!("no leader{why}; {up}: cannot commit"));
    };
    let term = picture.view(leader).map_or(0, |view| view.status.term.0);
    (Some(leader), format!("{leader} leads term {term}; {up}: can commit"))
}

/// `n2 is down: why`, for each of these nodes that neither a crash nor a stop has ended.
pub(super) fn nodes_missing(picture: &Picture, only: Option<NodeId>) -> Vec<String> {
    let shown = picture.nodes().iter().filter(|(node, _)| only.is_none_or(|only| only == *node));
    let reasons = shown.filter_map(|(node, view)| match &view.life {
        Life::Down(reason) if !matches!(reason.as_str(), "crashed" | "stopped") => {
            Some(format!("{node} is down: {}", visible(reason)))
        }
        Life::Frozen(time) => Some(format!(
            "{node}'s process has been frozen for {}: 'resume {node}' ends that",
            duration_shown(*time)
        )),
        Life::Silent(since) => {
            let since = duration_shown(*since);
            Some(format!("{node} is silent: its process has said nothing for {since}"))
        }
        _ => None,
    });
    reasons.collect()
}

fn role_shown(view: &NodeView) -> String {
    match view.life {
        Life::Up if view.status.hands_over_to.is_some() => format!("{}, hands over", view.status.role),
        Life::Up => match view.status.member.word() {
            Some(word) => format!("{}, {word}", view.status.role),
            None => view.status.role.to_string(),
        },
        Life::Paused | Life::Frozen(_) => format!("{}, {}", view.status.role, life_word(view)),
        Life::Down(_) | Life::Silent(_) => life_word(view).to_string(),
    }
}

/// Of a node that is down, only what Figure 2 calls persistent is there.
fn volatile(view: &NodeView, text: String) -> String {
    if is_running(view) { text } else { NONE.to_string() }
}

fn name(node: Option<NodeId>) -> String {
    node.map_or(NONE.to_string(), |node| node.to_string())
}

/// How many entries of the leader's log a node has not applied.
fn trails(view: &NodeView, picture: &Picture) -> Option<u64> {
    let leader = picture.leader().filter(|_| is_running(view))?;
    let last = picture.view(leader)?.status.last.index;
    Some(last.0.saturating_sub(view.status.applied.0))
}

fn status_json(node: NodeId, view: &NodeView, picture: &Picture) -> Value {
    let status = &view.status;
    json!({
        "node": node,
        "life": life_word(view),
        "role": status.role.to_string(),
        "term": status.term,
        "leader": status.leader,
        "hands_over_to": status.hands_over_to,
        "last": status.last.index,
        "commit": status.commit,
        "applied": status.applied,
        "trails": trails(view, picture),
        "voted": status.voted_for,
        "snapshot": status.snapshot.last.index,
        "member": status.member.word().unwrap_or("voter"),
        "keys": status.size,
        "links": picture.links(node),
    })
}
