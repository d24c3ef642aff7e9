//! Orders to nodes: crash, restart, stop, pause, resume, disks and election timers. Node by node, a line each.

use std::time::Duration;

use serde_json::{Value, json};

use super::Console;
use super::target::{Fit, resolve};
use super::undo::Work;
use super::wait::Waited;
use crate::console::language::answer::{Answer, Outcome};
use crate::console::language::directive::{Directive, Target};
use crate::console::language::layout::duration_shown;
use crate::console::language::units::Speed;
use crate::lab::{DiskChange, Lab, LabError, Life, NodeOrder};
use crate::server::{RoleName, SnapshotInfo};
use crate::types::{LogIndex, NodeId};

/// How long a snapshot that was ordered is waited for.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(30);

impl<L: Lab> Console<L> {
    /// Carries out an order to nodes; what lasts is undone when its time has come.
    pub(super) fn order_nodes(&mut self, directive: &Directive, lasting: Option<Duration>) -> Answer {
        let verb = directive.name();
        match directive {
            Directive::Crash { target, power } => {
                let (order, word) = match power {
                    false => (NodeOrder::Crash, "crashed"),
                    true => (NodeOrder::PowerCut, "crashed by a power cut"),
                };
                let crash = |console: &mut Self, node| {
                    console.lab.order(node, order).map(|lost| told(&format!("{node} {word}"), &lost))
                };
                let (answer, done) = self.each(verb, target, Fit::Running, crash);
                self.undo_after(lasting, Work::Restart(done));
                answer
            }
            Directive::Restart { target, wipe } => {
                let (order, word) = match wipe {
                    false => (NodeOrder::Restart, "restarts"),
                    true => (NodeOrder::Wipe, "restarts from nothing"),
                };
                let restart = |console: &mut Self, node| {
                    let loaded = console.lab.order(node, order)?;
                    let joins = console.lab.view(node).status.joining;
                    let vote = if joins { "; it votes again once it has caught up" } else { "" };
                    Ok(told(&format!("{node} {word}"), &format!("{loaded}{vote}")))
                };
                self.each(verb, target, Fit::Down, restart).0
            }
            Directive::Stop { target } => {
                let stop = |console: &mut Self, node| {
                    console
                        .lab
                        .order(node, NodeOrder::Stop)
                        .map(|said| told(&format!("{node} stopped"), &said))
                };
                self.each(verb, target, Fit::Running, stop).0
            }
            Directive::Pause { target } => {
                let pause = |console: &mut Self, node| {
                    console
                        .lab
                        .order(node, NodeOrder::Pause)
                        .map(|_| format!("{node} paused: its inbox fills"))
                };
                let (answer, done) = self.each(verb, target, Fit::Awake, pause);
                self.undo_after(lasting, Work::Resume(done));
                answer
            }
            Directive::Resume { target } => {
                let resume = |console: &mut Self, node| {
                    console
                        .lab
                        .order(node, NodeOrder::Resume)
                        .map(|said| told(&format!("{node} goes on"), &said))
                };
                self.each(verb, target, Fit::Paused, resume).0
            }
            Directive::Timeout { target } => self.each(verb, target, Fit::Awake, Self::campaign).0,
            Directive::Snapshot { target } => self.each(verb, target, Fit::Awake, Self::snapshot).0,
            Directive::SkewClock { target, ahead } => {
                let skew = |console: &mut Self, node| {
                    console.lab.order(node, NodeOrder::SkewClock(*ahead)).map(|_| match *ahead {
                        Duration::ZERO => format!("the clock of {node} will be true again"),
                        ahead => format!("the clock of {node} is {} ahead", duration_shown(ahead)),
                    })
                };
                let (answer, done) = self.each(verb, target, Fit::Any, skew);
                self.undo_after(lasting, Work::Clock(done));
                answer
            }
            Directive::AlignTimers | Directive::SpreadTimers => self.set_timers(verb),
            _ => self.order_disks(directive, lasting),
        }
    }

    /// Does something to each node of a target. Answers with a line each, and with those for which it was done.
    pub(super) fn each(
        &mut self,
        verb: &'static str,
        target: &Target,
        fit: Fit,
        mut act: impl FnMut(&mut Self, NodeId) -> Result<String, LabError>,
    ) -> (Answer, Vec<NodeId>) {
        let picture = self.picture();
        let nodes = match resolve(target, fit, &picture, &mut self.random) {
            Ok(nodes) => nodes,
            // Nothing is left to do: `restart all` of nodes that all run.
            Err(reason) if *target == Target::All => return (Answer::ok(verb, reason), Vec::new()),
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
                Err(LabError(reason)) => {
                    details.push(json!({"node": node, "ok": false, "error": reason}));
                    lines.push(format!("ERR {reason}"));
                    outcome = Outcome::Failed;
                }
            }
        }
        let mut answer = Answer::ok(verb, lines.join("\n")).with("nodes", details);
        answer.outcome = outcome;
        (answer, done)
    }

    fn order_disks(&mut self, directive: &Directive, lasting: Option<Duration>) -> Answer {
        let verb = directive.name();
        let (target, change, mended) = match directive {
            Directive::SlowDisk { target, delay } => {
                (target, DiskChange::Slow(*delay), DiskChange::Slow(Duration::ZERO))
            }
            Directive::StallDisk { target, duration } => {
                (target, DiskChange::Stall(*duration), DiskChange::Stall(Duration::ZERO))
            }
            Directive::FillDisk { target } => (target, DiskChange::Full(true), DiskChange::Full(false)),
            other => return Answer::failed(verb, format!("'{other}' is no order to a node")),
        };
        let said = match change {
            DiskChange::Slow(Duration::ZERO) => "is as fast as before".to_string(),
            DiskChange::Slow(delay) => format!("takes {} longer for each write", duration_shown(delay)),
            DiskChange::Stall(duration) => format!("completes nothing for {}", duration_shown(duration)),
            DiskChange::Full(_) => "is full: every write fails".to_string(),
        };
        let act = |console: &mut Self, node| {
            console.lab.order(node, NodeOrder::Disk(change)).map(|_| format!("the disk of {node} {said}"))
        };
        let (answer, done) = self.each(verb, target, Fit::Any, act);
        self.undo_after(lasting, Work::Disk(done, mended));
        answer
    }

    /// Lets a node take a snapshot and waits until it is durable.
    fn snapshot(&mut self, node: NodeId) -> Result<String, LabError> {
        let before = self.lab.view(node).status;
        if before.applied == LogIndex(0) {
            return Err(LabError(format!("{node} has applied nothing yet: 'wait leader' first")));
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
                let keys = if size == 1 { "key" } else { "keys" };
                let known = if known { ", which it had" } else { "" };
                Ok(format!("{node} snapshot at index {} ({size} {keys}, {bytes} B){known}", last.index))
            }
            (_, Life::Down(reason)) => Err(LabError(format!("{node} is down: {reason}"))),
            _ => {
                Err(LabError(format!("the snapshot of {node} is not durable yet: 'status' shows when it is")))
            }
        }
    }

    fn campaign(&mut self, node: NodeId) -> Result<String, LabError> {
        let status = self.lab.view(node).status;
        if status.role == RoleName::Leader && self.lab.view(node).life == Life::Up {
            return Err(LabError(format!("{node} leads already: choose a follower")));
        }
        if status.joining {
            return Err(LabError(format!(
                "{node} lost its files and is not readmitted yet: it starts no election"
            )));
        }
        self.lab.order(node, NodeOrder::Campaign)?;
        if self.lab.view(node).status.term == status.term {
            return Ok(format!(
                "{node} has promised to withhold its vote until the leader's lease ends: its election waits"
            ));
        }
        Ok(format!("{node} starts an election for term {}", status.term.next()))
    }

    /// All timers at the same moment, or one well after the other. A leader has none.
    fn set_timers(&mut self, verb: &'static str) -> Answer {
        let picture = self.picture();
        let (min, max) = self.lab.election_timeouts();
        let waiting: Vec<NodeId> = picture
            .nodes()
            .iter()
            .filter(|(_, view)| view.life == Life::Up && view.status.role != RoleName::Leader)
            .map(|(node, _)| *node)
            .collect();
        if waiting.is_empty() {
            return Answer::failed(verb, "no running node waits for a leader: 'status' shows them");
        }
        let mut said = Vec::new();
        for (at, node) in (0_u32..).zip(&waiting) {
            // Spread by whole timeouts, so that a candidate has won before the next one tries.
            let after = if verb == "align-timers" { max } else { min + max.saturating_sub(min) * at };
            if let Err(error) = self.lab.order(*node, NodeOrder::SetElectionTimer(after)) {
                return Answer::failed(verb, error);
            }
            said.push(format!("{node} in {}", duration_shown(after)));
        }
        let names: Vec<String> = waiting.iter().map(NodeId::to_string).collect();
        let text = match verb {
            "align-timers" => {
                format!("election timers run out together in {}: {}", duration_shown(max), names.join(", "))
            }
            _ => format!("election timers run out one after the other: {}", said.join(", ")),
        };
        Answer::ok(verb, text).with("nodes", names)
    }

    pub(super) fn speed(&mut self, speed: Speed) -> Answer {
        let factor = match speed {
            Speed::Max => f64::INFINITY,
            Speed::Factor { per_thousand } => Duration::from_millis(per_thousand).as_secs_f64(),
        };
        match self.lab.set_speed(factor) {
            Ok(()) => Answer::ok("speed", format!("speed {speed}")).with("speed", speed.to_string()),
            Err(error) => Answer::failed("speed", error),
        }
    }

    pub(super) fn step(&mut self, span: Option<Duration>) -> Answer {
        let before = self.lab.now();
        match self.lab.step(span) {
            Ok(()) => {
                let now = self.lab.now();
                let text = format!("time {now}, {} later", duration_shown(now.since(before)));
                Answer::ok("step", text).with("time", now.to_string())
            }
            Err(error) => Answer::failed("step", error),
        }
    }
}

/// `n2 crashed: nothing was lost`.
fn told(what: &str, more: &str) -> String {
    if more.is_empty() { what.to_string() } else { format!("{what}: {more}") }
}
