//! `why not 18`: what the commit of an entry waits for, and what holds it up.

use super::entry;
use super::story::Story;
use crate::console::executor::Console;
use crate::console::executor::picture::Picture;
use crate::lab::{Life, NodeView};
use crate::raft::membership::configuration::Configuration;
use crate::server::EntryView;
use crate::text::joined;
use crate::trace::Remembered;
use crate::types::{LogIndex, NodeId, Term};

impl Console {
    /// Why an entry that is in a log is not committed, as far as its node knows.
    pub(in crate::console::executor) fn what_is_missing(
        &mut self,
        story: &mut Story,
        entry: EntryView,
        known: &Remembered,
    ) {
        entry::way_so_far(story, entry, known);
        let picture = self.picture();
        let Some(leader) = picture.leading() else {
            return story.say(format!(
                "it is not committed: only a leader commits (5.3); leader {}",
                picture.why_no_leader()
            ));
        };
        let Ok(view) = self.lab.members_view(leader) else {
            return story.say(format!("it is not committed, and {leader}, which leads, does not answer"));
        };
        let term = picture.view(leader).map_or(Term(0), |view| view.status.term);
        let index = entry.id.index;
        let matched = |node: NodeId| match node {
            node if node == leader => picture.view(leader).filter(|view| !view.disk_blocked).map(|_| index),
            node => view.followers.get(&node).map(|follower| follower.matched),
        };
        let configuration = view.newest.as_ref().map(|newest| &*newest.configuration);
        let Some(configuration) = configuration else {
            return story.say(format!("{leader} knows no members that could hold it"));
        };
        let holds = |node: NodeId| matched(node).is_some_and(|matched| matched >= index);
        story.say(held_by(configuration, &holds));
        let enough = configuration.reached(|member| holds(member.node));
        if enough && entry.id.term < term {
            story.say(format!(
                "it is of term {}, and {leader} leads term {term}: an entry of an earlier term is committed only by one of the leader's own behind it (5.4.2)",
                entry.id.term
            ));
        }
        for node in configuration.voters.keys().copied().filter(|node| !holds(*node)) {
            story.say(reason(&picture, leader, node, matched(node)));
        }
    }
}

/// Which voters hold an entry, and how many of them must.
fn held_by(configuration: &Configuration, holds: &dyn Fn(NodeId) -> bool) -> String {
    let holders: Vec<NodeId> = configuration.voters.keys().copied().filter(|node| holds(*node)).collect();
    let (_, quorum) = configuration.tally(|member| holds(member.node));
    let known = match entry::held(&holders) {
        _ if holders.is_empty() => "no voter is known to hold it durably".to_string(),
        (only, _) if holders.len() == 1 => format!("only {only} is known to hold it durably"),
        (several, _) => format!("{several} are known to hold it durably"),
    };
    format!("it is not committed: {known}, and {quorum} must (5.3)")
}

/// What keeps a voter from holding an entry.
fn reason(picture: &Picture, leader: NodeId, node: NodeId, matched: Option<LogIndex>) -> String {
    let Some(view) = picture.view(node) else {
        return format!("{node} is a voter, and there is no such node");
    };
    if let Some(why) = does_not_run(view) {
        return format!("{node} {why}");
    }
    let rules = picture.rules_between(leader, node);
    if node != leader && !rules.is_empty() {
        return format!("{node} may not be reached: {} holds between it and {leader}", joined(&rules, ", "));
    }
    if view.disk_blocked {
        return format!("{node}'s disk completes no write: it is stalled, or full");
    }
    match matched {
        _ if node == leader => format!("{node}'s own disk does not hold it yet"),
        Some(matched) if matched.0 > 0 => {
            format!("{node} has acknowledged up to {matched}: the rest is on its way, or its disk is at it")
        }
        _ => format!("{node} has acknowledged nothing so far: an entry is on its way, or its disk is at it"),
    }
}

/// Why a node makes no step; none if it does.
fn does_not_run(view: &NodeView) -> Option<String> {
    match &view.life {
        Life::Up => None,
        Life::Paused => Some("is paused".to_string()),
        Life::Frozen(_) => Some("is frozen with its process".to_string()),
        Life::Silent(_) => Some("says nothing".to_string()),
        Life::Down(why) => Some(format!("does not run: {why}")),
    }
}
