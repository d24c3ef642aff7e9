//! Who leads: a transfer on request (D 3.10), and one before a leader ends.

use super::picture::is_running;
use super::rows::{Row, Run, verb};
use super::slots::NODE_OR_ANY;
use super::{Console, not_done};
use crate::console::language::{Answer, Directive, Target, Topic, form};
use crate::lab::{LabError, Life, NodeOrder};
use crate::server::RoleName;
use crate::text::layout::duration_shown;
use crate::types::{NodeId, Term};

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("transfer", Topic::Nodes, &[NODE_OR_ANY])
        .does("lets the leader hand over to a node, and waits until that leads", "transfer n2")
        .shows("D 3.10: the target holds the whole log before it is told to campaign")
        .also(&["hand-over"]),
    Console::transfer,
)];

/// How many of the longest election timeouts a new leader is waited for. The old one gives up after the shortest; if it ends
/// before, the others elect one.
const TIMEOUTS: u32 = 4;

/// What came of a transfer that did not succeed.
enum Failed {
    /// The leader leads on, for this reason.
    No(String),
    Open(Answer),
}

impl Console {
    fn transfer(&mut self, line: &Directive) -> Answer {
        let wanted = line.get::<NodeId>(&NODE_OR_ANY).copied();
        let old = match self.one_node(Some(&Target::Leader)) {
            Ok(old) => old.expect("a leader is a node"),
            Err(reason) => return Answer::failed("transfer", reason),
        };
        let term = self.lab.view(old).status.term;
        if wanted == Some(old) {
            return Answer::ok("transfer", format!("{old} leads term {term} already"));
        }
        if let Some(Err(reason)) = wanted.map(|wanted| self.check_awake(wanted)) {
            return Answer::failed("transfer", reason.with_advice());
        }
        let begun = self.lab.now();
        match self.hand_over(old, wanted) {
            Ok((new, term)) if new == old || wanted.is_some_and(|wanted| wanted != new) => {
                Answer::failed("transfer", format!("{new} leads term {term}: another election came first"))
            }
            Ok((new, term)) => {
                let took = self.lab.now().since(begun);
                let text = format!("OK {new} leads term {term} (was {old}) {}", duration_shown(took));
                let answer =
                    Answer::ok("transfer", text).with("leader", new.to_string()).with("term", term.0);
                answer.with("was", old.to_string()).with("millis", took.as_secs_f64() * 1e3)
            }
            Err(Failed::No(reason)) => {
                let text = format!("{old} leads on: {reason}");
                Answer::failed("transfer", text)
            }
            Err(Failed::Open(answer)) => answer,
        }
    }

    fn check_awake(&mut self, node: NodeId) -> Result<(), LabError> {
        let nodes = self.lab.nodes();
        if !nodes.contains(&node) {
            return Err(LabError::unknown(node, &nodes));
        }
        let view = self.lab.view(node);
        NodeOrder::Campaign.check(node, &view.life, view.status.member)
    }

    /// Lets a leader hand over, and waits until a node leads a later term. What else is due waits, too: this may be a line
    /// that is executed by itself.
    fn hand_over(&mut self, old: NodeId, wanted: Option<NodeId>) -> Result<(NodeId, Term), Failed> {
        let term = self.lab.view(old).status.term;
        let begun = self.lab.now();
        let patience = self.lab.settings().now.election_max * TIMEOUTS;
        let ordered = self.lab.order(old, NodeOrder::Transfer(wanted));
        ordered.map_err(|error| {
            if error.is_uncertain() {
                Failed::Open(not_done("transfer", &error))
            } else {
                Failed::No(error.with_advice())
            }
        })?;
        loop {
            if let Some(result) = self.lab.transferred(old, term) {
                return result.map_err(Failed::No);
            }
            let passed = self.lab.now().since(begun);
            if self.lab.interrupted() {
                return Err(Failed::Open(Self::interrupted("transfer", passed)));
            }
            if passed >= patience {
                let within = duration_shown(patience);
                let reason =
                    format!("{old} handed over, and no node leads after {within}: 'status' shows why");
                return Err(Failed::Open(Answer::unknown("transfer", reason)));
            }
            self.lab.wait(begun + patience);
        }
    }

    /// A node is to end: if it leads, and others run, it hands over. Says what came of it.
    pub(super) fn hand_over_before_end(&mut self, node: NodeId) -> Option<String> {
        let view = self.lab.view(node);
        let leads = view.life == Life::Up && view.status.role == RoleName::Leader;
        let others = self.lab.nodes().into_iter().filter(|other| *other != node);
        let alone = !others.collect::<Vec<_>>().into_iter().any(|other| is_running(&self.lab.view(other)));
        if !leads || alone {
            return None;
        }
        Some(match self.hand_over(node, None) {
            Ok((new, term)) => format!("{new} leads term {term}"),
            Err(Failed::No(reason)) => format!("it led, and hands over to no node ({reason})"),
            Err(Failed::Open(_)) => "it led, and no node leads yet".to_string(),
        })
    }
}
