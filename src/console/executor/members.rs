//! Who belongs to the cluster: shown, and changed while it runs (section 6).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::rows::{Row, Run, Way, verb};
use super::slots::{ANY_DURATION, CHANGE_WORD, FORCE, LEARNER, NEW_NODE, NODE_OR_NONE, ONE_NODE, WITH};
use super::{Console, notes};
use crate::console::language::{Answer, Condition, Directive, Target, Topic, form};
use crate::lab::members::{ChangeDone, MembersError, change_members};
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::raft::membership::request::Change;
use crate::server::MembersView;
use crate::text::fitted::{Column, fitted};
use crate::text::layout::Align::{Left, Right};
use crate::text::layout::{duration_shown, wrap};
use crate::text::numbers::grouped;
use crate::types::{Member, NodeId, Time};

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("members", Topic::Nodes, &[])
            .does("who belongs to the cluster: files, role and copy of the log", "members")
            .noting(notes::MEMBERS)
            .shows("6: each server uses the newest configuration in its log, committed or not"),
        |console, _| console.show_members(),
    ),
    verb(
        form("add", Topic::Nodes, &[NEW_NODE, LEARNER, FORCE, ANY_DURATION])
            .does("takes a new node in: it votes once it has caught up", "add n4")
            .noting(notes::CHANGES)
            .shows("6, D 4.2.1: a new server is sent the log before it counts"),
        |console, line| {
            let change = Change::Add { new: *line.need(&NEW_NODE), learner: line.has(&LEARNER) };
            console.change_by(line, change)
        },
    ),
    verb(
        form("remove", Topic::Nodes, &[ONE_NODE, FORCE, ANY_DURATION])
            .does("leaves a node out, the leader too", "remove leader")
            .noting(notes::CHANGES)
            .shows("6: a leader that is left out leads until C_new is committed, and does not count itself"),
        |console, line| console.change_of(line, Change::Remove),
    ),
    verb(
        form("replace", Topic::Nodes, &[ONE_NODE, WITH, NEW_NODE, FORCE, ANY_DURATION])
            .does("takes a new node in, in the place of another", "replace n2 with n4")
            .noting(notes::CHANGES)
            .shows("6: joint consensus changes any number of voters in one step"),
        |console, line| {
            let new = *line.need(&NEW_NODE);
            console.change_of(line, |old| Change::Replace { old, new })
        },
    ),
    verb(
        form("promote", Topic::Nodes, &[ONE_NODE, FORCE, ANY_DURATION])
            .does("lets a learner vote once it has caught up", "promote n4")
            .shows("D 4.2.1: a learner becomes a voter when its copy of the log is nearly whole"),
        |console, line| console.change_of(line, Change::Promote),
    ),
    verb(
        form("demote", Topic::Nodes, &[ONE_NODE, FORCE, ANY_DURATION])
            .does("makes a voter a learner: it has the log, and decides nothing", "demote n3")
            .shows("6: the others decide by a joint configuration"),
        |console, line| console.change_of(line, Change::Demote),
    ),
    verb(
        form("prefer", Topic::Nodes, &[NODE_OR_NONE, ANY_DURATION])
            .does("says which node is to lead when it can, or that none is", "prefer n1")
            .noting(notes::PREFER)
            .shows("D 3.10: another leader hands over to a node that suits better"),
        |console, line| console.change_by(line, Change::Prefer(line.get::<NodeId>(&NODE_OR_NONE).copied())),
    ),
    verb(
        form("cancel", Topic::Nodes, &[CHANGE_WORD, ANY_DURATION])
            .does("takes a change of the members back, while that is possible", "cancel change")
            .shows("6: until both majorities hold C_old,new, C_old can be proposed again"),
        |console, line| console.change_by(line, Change::Cancel),
    ),
];

/// How long a change is waited for when a line does not say it.
const PATIENCE: Duration = Duration::from_secs(30);

impl Console {
    fn change_of(&mut self, line: &Directive, change: impl FnOnce(NodeId) -> Change<NodeId>) -> Answer {
        let target: Option<&Target> = line.get(&ONE_NODE);
        match self.one_node_of(target) {
            Ok(node) => self.change_by(line, change(node)),
            Err(reason) => Answer::failed(line.name(), reason),
        }
    }

    /// The node of a target. A member that has no thread here is named, too.
    fn one_node_of(&mut self, target: Option<&Target>) -> Result<NodeId, String> {
        match target {
            Some(Target::Nodes(nodes)) if nodes.len() == 1 => Ok(nodes[0]),
            target => self.one_node(target)?.ok_or_else(|| "name one node".to_string()),
        }
    }

    fn change_by(&mut self, line: &Directive, change: Change<NodeId>) -> Answer {
        let patience = line.get(&ANY_DURATION).copied().unwrap_or(PATIENCE);
        match change_members(&mut self.lab, change, line.has(&FORCE), patience) {
            Ok(done) => {
                let ChangeDone { leader, term, index, configuration, took } = &done;
                let place = format!("[{leader} term {term} index {index}]");
                let text =
                    format!("{}: members {configuration} {place} {}", said(change), duration_shown(*took));
                Answer::ok(line.name(), text)
                    .with("leader", leader.to_string())
                    .with("index", index.0)
                    .with("members", configuration_json(configuration))
            }
            Err(error @ MembersError::UnderWay { .. }) => Answer::unknown(line.name(), error),
            Err(MembersError::Lab(error)) => Answer::failed(line.name(), error.with_advice()),
            Err(error) => Answer::failed(line.name(), error),
        }
    }

    /// The members as the leader knows them; without one, as the node knows them whose configuration is the newest.
    pub(super) fn known_members(&mut self) -> Option<MembersView> {
        let picture = self.picture();
        let leader = picture.leader().or(picture.leading());
        if let Some(view) = leader.and_then(|leader| self.lab.members_view(leader).ok()) {
            return Some(view);
        }
        let views = picture.names().into_iter().filter_map(|node| self.lab.members_view(node).ok());
        views.max_by_key(|view| view.newest.as_ref().map(|newest| newest.index))
    }

    fn show_members(&mut self) -> Answer {
        let Some(view) = self.known_members() else {
            return Answer::failed("members", "no node runs that could say it: 'restart all' starts them");
        };
        let Some(Configured { index, configuration }) = view.newest.clone() else {
            return Answer::failed("members", format!("{} knows of no members yet", view.own.node));
        };
        let now = self.lab.now();
        let members: BTreeSet<Member> = configuration.members().collect();
        let rows: Vec<Vec<String>> =
            members.iter().map(|member| row(&view, &configuration, *member, now)).collect();
        let columns = if configuration.addresses.is_empty() { &COLUMNS[..6] } else { &COLUMNS[..] };
        let mut lines = fitted(columns, &rows, self.context.columns).lines;
        let state = if view.committed { "committed" } else { "not committed yet" };
        let joint = if configuration.is_joint() { ", joint: both majorities decide" } else { "" };
        let preferred =
            configuration.preferred.map_or(String::new(), |node| format!("; {node} is preferred"));
        let summary = format!("{configuration}, by index {index}, {state}{joint}{preferred}");
        lines.extend(wrap(&summary, self.context.columns.unwrap_or(usize::MAX)));
        Answer::ok("members", lines.join("\n"))
            .with("index", index.0)
            .with("committed", view.committed)
            .with("members", configuration_json(&configuration))
    }

    /// Whether the voters are exactly these, by a configuration that is committed.
    pub(super) fn judge_members(&mut self, condition: &Condition, _: Way) -> Result<(), String> {
        let wanted: BTreeSet<NodeId> = match condition.need(&super::slots::MEMBERS) {
            Target::Nodes(nodes) => nodes.iter().copied().collect(),
            _ => return Err("name the nodes: members n1 n2 n3".to_string()),
        };
        let view = self.known_members().ok_or("no node that runs knows it")?;
        let Some(newest) = &view.newest else { return Err("no members known".to_string()) };
        let voters: BTreeSet<NodeId> = newest.configuration.voters.keys().copied().collect();
        let settled = view.committed && !newest.configuration.is_joint();
        if settled && voters == wanted {
            return Ok(());
        }
        let state = if settled { "" } else { " (under way)" };
        Err(format!("members {}{state}", newest.configuration))
    }
}

/// The last is shown where members are processes.
const COLUMNS: [Column; 7] = [
    Column { name: "NODE", align: Left, spare: None },
    Column { name: "FILES", align: Right, spare: Some(2) },
    Column { name: "ROLE", align: Left, spare: None },
    Column { name: "MATCH", align: Right, spare: None },
    Column { name: "TRAILS", align: Right, spare: None },
    Column { name: "ANSWERED", align: Right, spare: Some(1) },
    Column { name: "ADDRESS", align: Left, spare: Some(3) },
];

fn row(view: &MembersView, configuration: &Configuration, member: Member, now: Time) -> Vec<String> {
    const NONE: &str = "-";
    let role = configuration.role_of(member).word().unwrap_or("voter");
    let follower = view.followers.get(&member.node).filter(|known| known.store_id == member.store_id);
    let (matched, trails, answered) = match follower {
        _ if member == view.own => (view.last.to_string(), "0".to_string(), NONE.to_string()),
        Some(follower) => {
            let ago = match follower.answered {
                None => "never".to_string(),
                Some(at) => format!("{} ago", duration_shown(now.since(at))),
            };
            let trails = view.last.0.saturating_sub(follower.matched.0);
            (follower.matched.to_string(), grouped(trails), ago)
        }
        None => (NONE.to_string(), NONE.to_string(), NONE.to_string()),
    };
    let Member { node, store_id } = member;
    let address = configuration.addresses.get(&node).map_or(NONE.to_string(), ToString::to_string);
    vec![node.to_string(), store_id.to_string(), role.to_string(), matched, trails, answered, address]
}

fn configuration_json(configuration: &Configuration) -> Value {
    let names = |nodes: Vec<NodeId>| nodes.into_iter().map(|node| node.to_string()).collect::<Vec<_>>();
    json!({
        "voters": names(configuration.voters.keys().copied().collect()),
        "outgoing": configuration.outgoing.as_ref().map(|voters| names(voters.keys().copied().collect())),
        "learners": names(configuration.learners.keys().copied().collect()),
        "preferred": configuration.preferred.map(|node| node.to_string()),
        "addresses": configuration.addresses,
    })
}

/// What a change did, in words.
fn said(change: Change<NodeId>) -> String {
    match change {
        Change::Add { new, learner: true } => format!("added learner {new}"),
        Change::Add { new, .. } => format!("added {new}"),
        Change::Remove(node) => format!("removed {node}"),
        Change::Replace { old, new } => format!("replaced {old} with {new}"),
        Change::Promote(node) => format!("promoted {node}"),
        Change::Demote(node) => format!("demoted {node}"),
        Change::Prefer(Some(node)) => format!("{node} is preferred"),
        Change::Prefer(None) => "no node is preferred".to_string(),
        Change::Cancel => "the change is taken back".to_string(),
    }
}
