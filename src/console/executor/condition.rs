//! Whether a condition holds, and what is the case instead.

use super::Console;
use super::picture::{Picture, is_running};
use super::target::{Fit, no_such_node, resolve};
use crate::console::language::condition::Condition;
use crate::console::language::directive::Target;
use crate::lab::{Lab, Life, NodeView};
use crate::quoting::{ANSWER_LETTERS, pair, word};
use crate::types::{LogIndex, NodeId, Term, Time};

/// How a number in a condition is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// It is this, or was passed; and there is time until then.
    Reached {
        /// Questions must be answered by then.
        deadline: Time,
    },
    /// It is this.
    Exactly,
}

impl<L: Lab> Console<L> {
    /// Whether all nodes that a condition names exist.
    pub(super) fn check_names(&mut self, condition: &Condition) -> Result<(), String> {
        let picture = self.picture();
        let named: Vec<NodeId> = match condition {
            Condition::Leader { node } | Condition::Commit { node, .. } | Condition::Term { node, .. } => {
                node.iter().copied().collect()
            }
            Condition::Last { node, .. } | Condition::Applied { node, .. } | Condition::Role { node, .. } => {
                vec![*node]
            }
            Condition::Up { target } | Condition::Down { target } | Condition::Paused { target } => {
                match target {
                    Target::Nodes(nodes) => nodes.clone(),
                    _ => Vec::new(),
                }
            }
            Condition::Key { at, .. } | Condition::NoKey { at, .. } => at.iter().copied().collect(),
            Condition::NoLeader | Condition::Stable | Condition::Converged => Vec::new(),
        };
        let unknown = named.into_iter().find(|node| picture.view(*node).is_none());
        unknown.map_or(Ok(()), |node| Err(no_such_node(node, &picture)))
    }

    /// Whether it holds now, or what is the case instead.
    pub(super) fn judge(&mut self, condition: &Condition, way: Way) -> Result<(), String> {
        let picture = self.picture();
        let of = |node: &Option<NodeId>, value: fn(&NodeView) -> u64| match node {
            Some(node) => picture.view(*node).map_or(0, value),
            None => picture
                .nodes()
                .iter()
                .filter(|(_, view)| is_running(view))
                .map(|(_, view)| value(view))
                .max()
                .unwrap_or(0),
        };
        match condition {
            Condition::Leader { node } => leads(*node, &picture),
            Condition::NoLeader => match picture.leader() {
                None => Ok(()),
                Some(leader) => Err(format!("leader {leader}")),
            },
            Condition::Stable => self.stable(&picture),
            Condition::Converged => self.converged(&picture),
            Condition::Commit { node, index: LogIndex(wanted) } => {
                number(of(node, |view| view.status.commit.0), *wanted, way)
            }
            Condition::Term { node, term: Term(wanted) } => {
                number(of(node, |view| view.status.term.0), *wanted, way)
            }
            Condition::Last { node, index } => {
                number(of(&Some(*node), |view| view.status.last.index.0), index.0, way)
            }
            Condition::Applied { node, index } => {
                number(of(&Some(*node), |view| view.status.applied.0), index.0, way)
            }
            Condition::Role { node, role } => {
                let view = picture.view(*node).ok_or_else(|| no_such_node(*node, &picture))?;
                let got = life(view, &view.status.role.to_string());
                if got == role.to_string() { Ok(()) } else { Err(got) }
            }
            Condition::Up { target } => self.all(target, &picture, is_running),
            Condition::Down { target } => {
                self.all(target, &picture, |view| matches!(view.life, Life::Down(_)))
            }
            Condition::Paused { target } => self.all(target, &picture, |view| view.life == Life::Paused),
            Condition::Key { key, value, at } => self.key(key, Some(value), *at, way, &picture),
            Condition::NoKey { key, at } => self.key(key, None, *at, way, &picture),
        }
    }

    /// Whether each node of the target is so, or which one is not.
    fn all(
        &mut self,
        target: &Target,
        picture: &Picture,
        is_so: fn(&NodeView) -> bool,
    ) -> Result<(), String> {
        let nodes = resolve(target, Fit::Any, picture, &mut self.random)?;
        let others = nodes.into_iter().filter_map(|node| {
            let view = picture.view(node)?;
            (!is_so(view)).then(|| format!("{node} {}", life(view, "up")))
        });
        let others: Vec<String> = others.collect();
        if others.is_empty() { Ok(()) } else { Err(others.join(", ")) }
    }

    fn stable(&mut self, picture: &Picture) -> Result<(), String> {
        let leader = picture.leader().ok_or_else(|| picture.why_no_leader())?;
        let status = picture.view(leader).expect("the leader is one of the nodes").status;
        let astray = picture.nodes().iter().find(|(node, view)| {
            let follows = view.status.term == status.term && view.status.leader == Some(leader);
            *node != leader && view.life == Life::Up && picture.connected(leader, *node) && !follows
        });
        if let Some((node, _)) = astray {
            return Err(format!("{node} does not follow {leader} yet"));
        }
        let log = self.lab.log(leader).map_err(|error| error.to_string())?;
        // 5.4.2: what is committed is known only once an entry of the leader's own term is.
        let committed = match status.commit.0.checked_sub(log.base.index.0 + 1) {
            None => log.base.term,
            Some(at) => {
                usize::try_from(at).ok().and_then(|at| log.terms.get(at)).copied().unwrap_or_default()
            }
        };
        if committed == status.term {
            Ok(())
        } else {
            Err(format!("{leader} has committed nothing of term {} yet", status.term))
        }
    }

    fn converged(&mut self, picture: &Picture) -> Result<(), String> {
        let leader = picture.leader().ok_or_else(|| picture.why_no_leader())?;
        let status = picture.view(leader).expect("the leader is one of the nodes").status;
        for (node, view) in picture.nodes().iter().filter(|(_, view)| is_running(view)) {
            let pairs = [
                ("last entry", view.status.last.index, status.last.index),
                ("commit index", view.status.commit, status.last.index),
                ("applied index", view.status.applied, status.last.index),
            ];
            if let Some((name, own, wanted)) = pairs.into_iter().find(|(_, own, wanted)| own != wanted) {
                return Err(format!("{node} with {name} {own}, the leader's last entry is {wanted}"));
            }
            if view.status.last.term != status.last.term {
                return Err(format!("{node} with another last entry than {leader}"));
            }
        }
        let expected = self.lab.items(leader).map_err(|error| error.to_string())?;
        for (node, _) in picture.nodes().iter().filter(|(_, view)| view.life == Life::Up) {
            if self.lab.items(*node).map_err(|error| error.to_string())? != expected {
                return Err(format!("{node} with other keys or values than {leader}: 'diff' shows them"));
            }
        }
        Ok(())
    }

    fn key(
        &mut self,
        key: &str,
        wanted: Option<&String>,
        at: Option<NodeId>,
        way: Way,
        picture: &Picture,
    ) -> Result<(), String> {
        let local = |console: &mut Self, node| {
            let items = console.lab.items(node).map_err(|error| error.to_string())?;
            Ok::<_, String>(items.into_iter().find(|(known, _)| known == key).map(|(_, value)| value))
        };
        let compare = |found: Option<String>| match (found, wanted) {
            (found, wanted) if found.as_ref() == wanted => Ok(()),
            (Some(found), _) => Err(pair(key, &found, ANSWER_LETTERS)),
            (None, _) => Err(format!("no key {}", word(key))),
        };
        match (at, way) {
            (Some(node), _) => compare(local(self, node)?),
            (None, Way::Exactly) => {
                let timeout = self.surroundings.client_timeout;
                compare(self.read(key, timeout)?)
            }
            (None, Way::Reached { deadline }) => {
                // Whoever leads is looked at first: a question for each change would itself change something.
                let leader = picture.leader().ok_or_else(|| picture.why_no_leader())?;
                compare(local(self, leader)?)?;
                let timeout = self.surroundings.client_timeout.min(deadline.since(self.lab.now()));
                compare(self.read(key, timeout)?)
            }
        }
    }
}

fn leads(wanted: Option<NodeId>, picture: &Picture) -> Result<(), String> {
    match (picture.leader(), wanted) {
        (None, _) => Err(picture.why_no_leader()),
        (Some(leader), Some(wanted)) if leader != wanted => Err(leader.to_string()),
        (Some(_), _) => Ok(()),
    }
}

fn number(got: u64, wanted: u64, way: Way) -> Result<(), String> {
    let holds = match way {
        Way::Reached { .. } => got >= wanted,
        Way::Exactly => got == wanted,
    };
    if holds { Ok(()) } else { Err(got.to_string()) }
}

/// What a node is: this when it is up.
fn life(view: &NodeView, up: &str) -> String {
    match &view.life {
        Life::Up => up.to_string(),
        Life::Paused => "paused".to_string(),
        Life::Down(reason) => reason.clone(),
    }
}
