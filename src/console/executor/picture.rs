//! What a person means by "the leader", "up" and "can commit", worked out from what each node knows of itself and from
//! the network's rules at one moment.

use std::sync::Arc;

use super::Console;
use crate::faults::{End, LinkScope, NetChange};
use crate::lab::{Life, NodeView};
use crate::raft::membership::configuration::Configuration;
use crate::server::RoleName;
use crate::types::{Member, NodeId, Term};

#[derive(Clone, Debug)]
pub(super) struct Picture {
    nodes: Vec<(NodeId, NodeView)>,
    rules: Vec<NetChange>,
    /// Who decides, as the leader knows it, or else the node whose log is the newest.
    members: Arc<Configuration>,
}

impl Console {
    pub(super) fn picture(&mut self) -> Picture {
        let names = self.lab.nodes();
        let nodes = names.into_iter().map(|node| (node, self.lab.view(node))).collect();
        let mut picture = Picture { nodes, rules: self.lab.network_rules(), members: Arc::default() };
        let teller = picture.leading().or(picture.newest());
        let known = teller.and_then(|node| self.lab.members_view(node).ok()).and_then(|view| view.newest);
        picture.members = known.map_or_else(|| picture.all_vote(), |newest| newest.configuration);
        picture
    }
}

impl Picture {
    pub(super) fn nodes(&self) -> &[(NodeId, NodeView)] {
        &self.nodes
    }

    pub(super) fn names(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|(node, _)| *node).collect()
    }

    pub(super) fn view(&self, node: NodeId) -> Option<&NodeView> {
        self.nodes.iter().find(|(name, _)| *name == node).map(|(_, view)| view)
    }

    /// The nodes that are members: a node that was removed may run on.
    fn members(&self) -> impl Iterator<Item = &NodeView> {
        self.nodes.iter().filter(|(node, _)| self.members.contains(*node)).map(|(_, view)| view)
    }

    /// How many of the nodes are members.
    pub(super) fn count(&self) -> usize {
        self.members().count()
    }

    /// `n1 n2 n3 -> n1 n3 n4`, while the members change.
    pub(super) fn change_shown(&self) -> Option<String> {
        let joins = self.members.learners.values().any(|learner| learner.joins.is_some());
        (self.members.is_joint() || joins).then(|| format!("members {}, a change is under way", self.members))
    }

    /// How many of the voters are a majority.
    pub(super) fn quorum(&self) -> usize {
        self.members.tally(|_| false).1
    }

    /// Whether the nodes that are so can decide.
    fn decide(&self, by: impl Fn(NodeId, &NodeView) -> bool) -> bool {
        self.members.reached(|member| {
            let view = self.view(member.node).filter(|view| view.status.store_id == member.store_id);
            view.is_some_and(|view| by(member.node, view))
        })
    }

    /// Without a node that could tell: all vote.
    fn all_vote(&self) -> Arc<Configuration> {
        let voters = self.nodes.iter().map(|(node, view)| (*node, view.status.store_id)).collect();
        Arc::new(Configuration { voters, ..Configuration::default() })
    }

    /// The running node whose log is the newest. New files, which know no members, are not asked while others are there.
    pub(super) fn newest(&self) -> Option<NodeId> {
        let up = self.nodes.iter().filter(|(_, view)| view.life == Life::Up);
        up.max_by_key(|(_, view)| (has_a_say(view), view.status.last)).map(|(node, _)| *node)
    }

    pub(super) fn up_count(&self) -> usize {
        self.members().filter(|view| is_running(view)).count()
    }

    /// The newest term that a running node knows, or any node when none runs.
    pub(super) fn term(&self) -> Term {
        let running =
            self.nodes.iter().filter(|(_, view)| is_running(view)).map(|(_, view)| view.status.term);
        let any = self.nodes.iter().map(|(_, view)| view.status.term);
        running.max().or(any.max()).unwrap_or_default()
    }

    /// The node that leads the newest term, by its own word. It may be deposed without knowing it.
    pub(super) fn leading(&self) -> Option<NodeId> {
        let leaders = self
            .nodes
            .iter()
            .filter(|(_, view)| view.life == Life::Up && view.status.role == RoleName::Leader);
        leaders.max_by_key(|(_, view)| view.status.term).map(|(node, _)| *node)
    }

    /// The node that leads the newest term and that a majority, reached over links that are not cut, follows.
    pub(super) fn leader(&self) -> Option<NodeId> {
        let leader = self.leading()?;
        let term = self.view(leader)?.status.term;
        let follows = |node: NodeId, view: &NodeView| {
            node == leader
                || (view.life == Life::Up
                    && view.status.term == term
                    && view.status.leader == Some(leader)
                    && self.connected(leader, node))
        };
        self.decide(follows).then_some(leader)
    }

    /// The likely reason why there is no leader: `none: 2 of 3 down, no quorum`.
    pub(super) fn why_no_leader(&self) -> String {
        let total = self.count();
        let count = |is_so: fn(&NodeView) -> bool| self.members().filter(|view| is_so(view)).count();
        if !self.decide(|_, view| view.life == Life::Up) {
            let parts = [
                (count(|view| matches!(view.life, Life::Down(_))), "down"),
                (count(|view| matches!(view.life, Life::Silent(_))), "silent"),
                (count(is_paused), "paused"),
                (count(|view| view.life == Life::Up && !has_a_say(view)), "without a vote"),
            ];
            let said =
                parts.iter().filter(|(count, _)| *count > 0).enumerate().map(
                    |(at, (count, word))| match at {
                        0 => format!("{count} of {total} {word}"),
                        _ => format!("{count} {word}"),
                    },
                );
            // Others under the voters' names: none of them comes back.
            let is_lost = |member: Member| {
                let view = self.view(member.node).filter(|view| view.life == Life::Up);
                view.is_some_and(|view| view.status.store_id != member.store_id)
            };
            let some_lost = self.members.members().any(is_lost);
            let lasting = if some_lost && !self.members.reached(|member| !is_lost(member)) {
                "no quorum: too many voters lost their files, see 'raftlab doctor'"
            } else {
                "no quorum"
            };
            let said: Vec<String> = said.chain([lasting.to_string()]).collect();
            return format!("none: {}", said.join(", "));
        }
        let reaches_quorum = |node: NodeId| {
            self.decide(|other, view| view.life == Life::Up && (other == node || self.connected(node, other)))
        };
        let mut up = self.nodes.iter().filter(|(_, view)| view.life == Life::Up);
        if !up.any(|(node, _)| reaches_quorum(*node)) {
            return format!("none: no node reaches a quorum of {}; 'net' shows the rules", self.quorum());
        }
        "none yet: a quorum is up, an election decides".to_string()
    }

    /// Nodes that run, have a vote and a disk that writes, and reach one another: as many as are found by leaving out who
    /// reaches fewest.
    pub(super) fn healthy(&self) -> Vec<NodeId> {
        let works = |view: &NodeView| has_a_say(view) && !view.disk_blocked;
        let mut nodes: Vec<NodeId> =
            self.nodes.iter().filter(|(_, view)| works(view)).map(|(node, _)| *node).collect();
        loop {
            let lost = |node: &NodeId| {
                nodes.iter().filter(|other| *other != node && !self.connected(*node, **other)).count()
            };
            let Some((worst, most)) =
                nodes.iter().enumerate().map(|(at, node)| (at, lost(node))).max_by_key(|(_, lost)| *lost)
            else {
                return nodes;
            };
            if most == 0 {
                return nodes;
            }
            nodes.remove(worst);
        }
    }

    /// Whether no partition or cut keeps messages from passing both ways.
    pub(super) fn connected(&self, one: NodeId, other: NodeId) -> bool {
        self.passes(one, other) && self.passes(other, one)
    }

    fn passes(&self, from: NodeId, to: NodeId) -> bool {
        !self.rules.iter().any(|rule| stops(rule, from, to))
    }

    /// The rules that stop messages between two nodes, or lose or delay some.
    pub(super) fn rules_between(&self, one: NodeId, other: NodeId) -> Vec<String> {
        let touches = |rule: &&NetChange| {
            let covers = |scope: LinkScope, from, to| scope.covers(End::Node(from), End::Node(to));
            let one_way = |from, to| {
                stops(rule, from, to) || soft(rule).is_some_and(|(_, scope)| covers(scope, from, to))
            };
            one_way(one, other) || one_way(other, one)
        };
        self.rules.iter().filter(touches).map(ToString::to_string).collect()
    }

    /// What the network does to a node: `ok`, `isolated`, `no n3`, `no n3, drop`.
    pub(super) fn links(&self, node: NodeId) -> String {
        let mut said = Vec::new();
        if self.rules.contains(&NetChange::Isolate(node)) {
            said.push("isolated".to_string());
        } else {
            let mut lost = Vec::new();
            for other in self.names().into_iter().filter(|other| *other != node) {
                match (self.passes(node, other), self.passes(other, node)) {
                    (true, true) => {}
                    (false, false) => lost.push(other.to_string()),
                    (false, true) => lost.push(format!(">{other}")),
                    (true, false) => lost.push(format!("<{other}")),
                }
            }
            if !lost.is_empty() {
                said.push(format!("no {}", lost.join(" ")));
            }
        }
        for (name, scope) in self.rules.iter().filter_map(soft) {
            let others = self.names().into_iter().map(End::Node).chain([End::Clients]);
            let mut touched = others.filter(|other| *other != End::Node(node));
            let own = End::Node(node);
            if touched.any(|other| scope.covers(own, other) || scope.covers(other, own))
                && !said.iter().any(|word| word == name)
            {
                said.push(name.to_string());
            }
        }
        if said.is_empty() { "ok".to_string() } else { said.join(", ") }
    }
}

/// Whether nothing passes from one node to another by this rule.
fn stops(rule: &NetChange, from: NodeId, to: NodeId) -> bool {
    match rule {
        NetChange::Partition(groups) => {
            let named = |node: &NodeId| groups.iter().any(|group| group.contains(node));
            let together = groups.iter().any(|group| group.contains(&from) && group.contains(&to));
            // Nodes that no group names form one more group.
            !(together || (!named(&from) && !named(&to)))
        }
        NetChange::Cut(scope) => scope.covers(End::Node(from), End::Node(to)),
        NetChange::Isolate(node) => *node == from || *node == to,
        _ => false,
    }
}

/// It runs and has a vote: it counts for a quorum.
fn has_a_say(view: &NodeView) -> bool {
    view.life == Life::Up && view.status.member.votes()
}

pub(super) fn is_running(view: &NodeView) -> bool {
    view.life == Life::Up || is_paused(view)
}

/// It makes no step until it is resumed.
pub(super) fn is_paused(view: &NodeView) -> bool {
    matches!(view.life, Life::Paused | Life::Frozen(_))
}

fn soft(rule: &NetChange) -> Option<(&'static str, LinkScope)> {
    match rule {
        NetChange::Drop { scope, .. } => Some(("drop", *scope)),
        NetChange::Delay { scope, .. } => Some(("delay", *scope)),
        NetChange::Duplicate { scope, .. } => Some(("duplicate", *scope)),
        NetChange::Reorder { scope, .. } => Some(("reorder", *scope)),
        _ => None,
    }
}

pub(super) fn life_word(view: &NodeView) -> &str {
    match &view.life {
        Life::Up => "up",
        Life::Paused => "paused",
        Life::Frozen(_) => "frozen",
        Life::Silent(_) => "silent",
        Life::Down(reason) if matches!(reason.as_str(), "crashed" | "stopped") => reason,
        Life::Down(_) => "down",
    }
}

/// A role's letter, for places too narrow for its name.
pub(super) fn role_letter(view: &NodeView) -> char {
    match (&view.life, view.status.role) {
        (Life::Down(_), _) => 'x',
        (Life::Paused | Life::Frozen(_), _) => 'p',
        (Life::Silent(_), _) => '?',
        (Life::Up, RoleName::Leader) => 'L',
        (Life::Up, RoleName::Candidate) => 'C',
        (Life::Up, RoleName::PreCandidate) => 'P',
        (Life::Up, RoleName::Follower) => 'F',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_nodes_there_is_no_quorum() {
        let picture = Picture { nodes: Vec::new(), rules: Vec::new(), members: Arc::default() };
        assert_eq!(picture.why_no_leader(), "none: no quorum");
    }
}
