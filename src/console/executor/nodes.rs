//! Nodes that end, start, freeze and save, and disks that fail. Node by node, a line each.

use std::time::Duration;

use serde_json::{Value, json};

use super::rows::{Row, Run, verb};
use super::slots::{DURATION, POWER, PROCESS, TARGET, WIPE};
use super::target::Fit;
use super::undo::{Ending, Work, dial_stands};
use super::wait::Waited;
use super::{Console, notes, worse};
use crate::console::language::{Answer, Directive, Outcome, Target, Topic, form};
use crate::lab::dials::Dial;
use crate::lab::{DiskChange, LabError, Life, NodeOrder, NodeView};
use crate::raft::membership::MemberRole;
use crate::server::{RoleName, SnapshotInfo, Status};
use crate::text::counted;
use crate::types::{LogIndex, NodeId};

/// What undoes the fault of a disk that ends only by `for`.
const UNDONE: &str = "by 'reset', with every other fault of network and disks";

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("crash", Topic::Nodes, &[TARGET, POWER])
            .does("ends a node without warning: its memory is gone, its disk stays", "crash leader for 2s")
            .shows("5.2: followers that hear no leader for a timeout elect another")
            .lasting(),
        Console::crash,
    ),
    verb(
        form("kill", Topic::Nodes, &[TARGET])
            .does("ends a node's process at once (SIGKILL): what it wrote stays", "kill leader for 2s")
            .noting(notes::KILL)
            .shows("5.1: servers fail by stopping, and recover from their disks")
            .lasting(),
        Console::kill,
    ),
    verb(
        form("restart", Topic::Nodes, &[TARGET, WIPE])
            .does("starts a node that is down, from its files", "restart all")
            .shows("Figure 2: term, vote and log are on disk before any answer that needs them")
            .also(&["start"]),
        Console::restart,
    ),
    verb(
        form("stop", Topic::Nodes, &[TARGET])
            .does("ends a node politely: a leader hands over first", "stop n3")
            .shows("5.5: the leader keeps sending until the follower is back"),
        Console::stop,
    ),
    verb(
        form("pause", Topic::Nodes, &[TARGET, PROCESS])
            .does("lets a node make no step; its inbox fills", "pause leader for 1s")
            .shows("8: a leader may be deposed without knowing it")
            .lasting(),
        Console::pause,
    ),
    verb(
        form("resume", Topic::Nodes, &[TARGET])
            .does("ends a pause of either kind", "resume n1")
            .shows("5.1: a message of a newer term turns a late leader into a follower"),
        |console, line| console.order_each(line, Fit::Paused, &NodeOrder::Resume, "resumed").0,
    ),
    verb(
        form("slow-disk", Topic::Disks, &[TARGET, DURATION])
            .does("makes each write of a node's disk take longer", "slow-disk leader 30ms")
            .shows("D 10.2.1: the leader sends entries while its own disk still writes")
            .undone(UNDONE)
            .lasting(),
        |console, line| console.change_disks(line, DiskChange::Slow(*line.need(&DURATION))),
    ),
    verb(
        form("stall-disk", Topic::Disks, &[TARGET, DURATION])
            .does("lets a node's disk complete nothing for a time", "stall-disk n2 500ms")
            .shows("D 10.2.1: a majority of disks commits, whichever they are")
            .undone(UNDONE),
        |console, line| console.change_disks(line, DiskChange::Stall(*line.need(&DURATION))),
    ),
    verb(
        form("fill-disk", Topic::Disks, &[TARGET])
            .does("makes a node's disk fail every write as full", "fill-disk n3")
            .shows("Figure 2: a node that cannot save its state must not answer")
            .undone(UNDONE)
            .lasting(),
        |console, line| console.change_disks(line, DiskChange::Full(true)),
    ),
    verb(
        form("snapshot", Topic::Disks, &[TARGET])
            .does("saves what a node has applied; the log keeps a trailing part", "snapshot n1")
            .shows("7: a snapshot replaces the entries that it covers"),
        |console, line| console.each(line, Fit::Awake, Console::take_snapshot).0,
    ),
];

/// How long a snapshot is waited for.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(30);

impl Console {
    fn crash(&mut self, line: &Directive) -> Answer {
        let (order, how) = if line.has(&POWER) {
            (NodeOrder::PowerCut, "crashed by a power cut")
        } else {
            (NodeOrder::Crash, "crashed")
        };
        let end = self.end_after(line.lasting);
        let (answer, done) = self.each(line, Fit::Running, |console, node| {
            let was = what_it_was(&console.lab.view(node));
            let left = console.order(node, &order, end)?;
            Ok(format!("{node} {how} ({was}): its memory is gone, {left}"))
        });
        self.undo_after(end, Work::Restart(done));
        answer
    }

    fn restart(&mut self, line: &Directive) -> Answer {
        let (order, how) = if line.has(&WIPE) {
            (NodeOrder::Wipe, "restarts from nothing")
        } else {
            (NodeOrder::Restart, "restarts")
        };
        let restart = |console: &mut Self, node| {
            let loaded = console.order(node, &order, None)?;
            let joins = console.lab.view(node).status.member == MemberRole::Unknown;
            let vote = if joins { "; joining: it votes again when it has caught up" } else { "" };
            Ok(explained(&format!("{node} {how}"), &format!("{loaded}{vote}")))
        };
        self.each(line, Fit::Down, restart).0
    }

    fn kill(&mut self, line: &Directive) -> Answer {
        let (answer, done) = self.each(line, Fit::Running, |console, node| {
            let was = what_it_was(&console.lab.view(node));
            let left = console.order(node, &NodeOrder::Kill, None)?;
            Ok(format!("{node}'s process killed ({was}): its memory is gone, {left}"))
        });
        // A process that is gone ends nothing.
        let end = self.end_after(line.lasting).map(Ending::by_console);
        self.undo_after(end, Work::Restart(done));
        answer
    }

    fn pause(&mut self, line: &Directive) -> Answer {
        let whole = line.has(&PROCESS);
        let end = self.end_after(line.lasting).map(|end| if whole { end.by_console() } else { end });
        let (answer, done) = self.each(line, Fit::Awake, |console, node| {
            if whole {
                let said = console.order(node, &NodeOrder::Freeze, None)?;
                return Ok(explained(&format!("{node}'s process frozen"), &said));
            }
            console.order(node, &NodeOrder::Pause, end).map(|_| format!("{node} paused: its inbox fills"))
        });
        self.undo_after(end, Work::Resume(done));
        answer
    }

    /// Where another node stays, one that leads hands over first.
    fn stop(&mut self, line: &Directive) -> Answer {
        let stays = line.get(&TARGET) != Some(&Target::All);
        let stop = |console: &mut Self, node| {
            let led = stays.then(|| console.hand_over_before_end(node)).flatten();
            let said = console.order(node, &NodeOrder::Stop, None)?;
            Ok(explained(
                &format!("{node} stopped"),
                &led.into_iter().chain([said]).collect::<Vec<_>>().join("; "),
            ))
        };
        self.each(line, Fit::Running, stop).0
    }

    /// Gives the same order to each node of a target: `n2 stopped`, and what the lab says of it.
    fn order_each(
        &mut self,
        line: &Directive,
        fit: Fit,
        order: &NodeOrder,
        how: &str,
    ) -> (Answer, Vec<NodeId>) {
        self.each(line, fit, |console, node| {
            console.order(node, order, None).map(|said| explained(&format!("{node} {how}"), &said))
        })
    }

    fn change_disks(&mut self, line: &Directive, change: DiskChange) -> Answer {
        let end = self.end_after(line.lasting);
        let (answer, done) = self.each(line, Fit::Any, |console, node| {
            let order = NodeOrder::Disk(change);
            console.order(node, &order, end).map(|_| dial_stands(node, &order))
        });
        if let Some(dial) = Dial::of(&NodeOrder::Disk(change)) {
            self.undo_after(end, Work::Dial(done, dial));
        }
        answer
    }

    /// Lets a node take a snapshot and waits until it is durable.
    fn take_snapshot(&mut self, node: NodeId) -> Result<String, LabError> {
        let before = self.lab.view(node).status;
        if before.applied == LogIndex(0) {
            return Err(LabError::new(format!("{node} has applied nothing yet: 'wait leader' first")));
        }
        let known = before.snapshot.last.index == before.applied;
        if !known {
            self.lab.order(node, NodeOrder::TakeSnapshot)?;
        }
        let deadline = self.lab.now() + SNAPSHOT_PATIENCE;
        let waited = self.wait_until(deadline, |console| {
            let view = console.lab.view(node);
            view.life != Life::Up || view.status.snapshot.last.index >= before.applied
        });
        let view = self.lab.view(node);
        let SnapshotInfo { last, bytes, size } = view.status.snapshot;
        match (waited, view.life) {
            (Waited::Held, Life::Up) => {
                let keys = counted(size, "key");
                let known = if known { ", which it had" } else { "" };
                Ok(format!("{node} snapshot at index {} ({keys}, {bytes} B){known}", last.index))
            }
            (_, Life::Down(reason)) => Err(LabError::new(format!("{node} is down: {reason}"))),
            _ => Err(LabError::new(format!(
                "the snapshot of {node} is not durable yet: 'status' shows when it is"
            ))),
        }
    }

    /// Does something to each node of a target. Answers with a line each, and with those for which it was done.
    pub(super) fn each(
        &mut self,
        line: &Directive,
        fit: Fit,
        mut act: impl FnMut(&mut Self, NodeId) -> Result<String, LabError>,
    ) -> (Answer, Vec<NodeId>) {
        let verb = line.name();
        let nodes = match self.targeted(line, fit) {
            Ok(nodes) => nodes,
            // Nothing is left to do: `restart all` of nodes that all run.
            Err(reason) if line.get(&TARGET) == Some(&Target::All) => {
                return (Answer::ok(verb, reason), Vec::new());
            }
            Err(reason) => return (Answer::failed(verb, reason), Vec::new()),
        };
        let mut lines = Vec::new();
        let mut done = Vec::new();
        let mut details: Vec<Value> = Vec::new();
        let mut outcome = Outcome::Ok;
        for node in nodes {
            match act(self, node) {
                Ok(said) => {
                    details.push(json!({"node": node, "ok": true, "text": said}));
                    lines.push(said);
                    done.push(node);
                }
                Err(error) => {
                    let reason = error.with_advice();
                    details.push(json!({"node": node, "ok": false, "error": reason}));
                    let is_open = error.is_uncertain();
                    lines.push(format!("{} {reason}", if is_open { "UNKNOWN" } else { "ERR" }));
                    outcome = worse(outcome, if is_open { Outcome::Unknown } else { Outcome::Failed });
                }
            }
        }
        let mut answer = Answer::ok(verb, lines.join("\n")).with("nodes", details);
        answer.outcome = outcome;
        (answer, done)
    }
}

/// `it led term 1`.
fn what_it_was(view: &NodeView) -> String {
    let Status { role, term, leader, .. } = view.status;
    match (&view.life, role, leader) {
        (Life::Paused, ..) => format!("it was paused in term {term}"),
        (Life::Frozen(_), ..) => format!("it was frozen in term {term}"),
        (Life::Silent(_), ..) => format!("it was silent, last heard of in term {term}"),
        (Life::Down(reason), ..) => format!("it was down: {reason}"),
        (_, RoleName::Leader, _) => format!("it led term {term}"),
        (_, RoleName::Candidate, _) => format!("it campaigned for term {term}"),
        (_, _, Some(leader)) => format!("it followed {leader} in term {term}"),
        (_, _, None) => format!("it knew no leader in term {term}"),
    }
}

/// `n2 stopped: all it had is on its disk`.
fn explained(what: &str, more: &str) -> String {
    if more.is_empty() { what.to_string() } else { format!("{what}: {more}") }
}
