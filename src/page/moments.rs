//! What happened at nodes, as a picture of messages labels it.

use std::time::Duration;

use crate::raft::event::Event;
use crate::trace::{TraceEvent, What};
use crate::types::{NodeId, Time};

/// The most labelled moments of a picture.
pub(super) const MOMENTS_MAX: usize = 400;

/// Quiet messages are shown so close to a moment of note, and moments to a message.
pub(super) const CLOSE: Duration = Duration::from_millis(60);

/// A longer stretch without anything to show is folded.
pub(super) const FOLD: Duration = Duration::from_millis(250);

/// A commit is shown so close to a message.
const CLOSE_OF_COMMIT: Duration = Duration::from_millis(1);

/// What happened at a node at one time, in a few words.
pub(super) struct Moment {
    pub time: Time,
    pub node: NodeId,
    pub label: String,
    pub kind: MomentKind,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum MomentKind {
    Commit,
    Vote,
    Election,
    Leader,
    Process,
}

/// What happened at the nodes, as far as it is to be shown: turning points, and the rest where messages are.
pub(super) fn moments<'a>(
    events: impl Iterator<Item = &'a TraceEvent>,
    spans: &[(Time, Time)],
) -> Vec<Moment> {
    let first = spans.first().map_or(Time::ZERO, |(sent, _)| *sent);
    let last = spans.iter().map(|(_, ended)| *ended).max().unwrap_or(Time::NEVER);
    let is_shown = |event: &&TraceEvent| {
        let is_commit = matches!(event.what, What::Raft(Event::CommitAdvanced { .. }));
        let close = if is_commit { CLOSE_OF_COMMIT } else { CLOSE };
        let beside = spans.partition_point(|(sent, _)| *sent <= event.time + close);
        let newest = beside.checked_sub(1).and_then(|at| spans.get(at));
        let among = newest.is_some_and(|(_, ended)| event.time <= *ended + close);
        let turns = event.what.is_turning_point() && event.time + FOLD >= first && event.time <= last + FOLD;
        among || turns
    };
    let mut moments: Vec<Moment> = Vec::new();
    for event in events.filter(is_shown) {
        let Some((kind, label)) = told(&event.what) else { continue };
        match moments.iter_mut().rev().find(|moment| moment.node == event.node) {
            Some(same) if same.time == event.time => {
                same.label = format!("{}, {label}", same.label);
                same.kind = same.kind.max(kind);
            }
            _ => moments.push(Moment { time: event.time, node: event.node, label, kind }),
        }
    }
    // Where there are too many, those that tell least go first: the oldest commits, never an election before a commit.
    let excess = moments.len().saturating_sub(MOMENTS_MAX);
    moments.sort_by_key(|moment| (moment.kind, moment.time));
    moments.drain(..excess);
    moments.sort_by_key(|moment| moment.time);
    moments
}

/// An event in two or three words; none if the picture does not show its kind.
fn told(what: &What) -> Option<(MomentKind, String)> {
    let told = match what {
        What::Raft(event) => return told_of_raft(event),
        What::Started { fresh: true, .. } => return None,
        What::Started { term, .. } => (MomentKind::Process, format!("starts in term {term}")),
        What::Stopped => (MomentKind::Process, "stopped".to_string()),
        What::Crashed { power: false } => (MomentKind::Process, "crashed".to_string()),
        What::Crashed { power: true } => (MomentKind::Process, "power cut".to_string()),
        What::Paused => (MomentKind::Process, "paused".to_string()),
        What::Resumed => (MomentKind::Process, "resumed".to_string()),
        What::Panicked { .. } | What::MachineFailed { .. } => (MomentKind::Process, "panicked".to_string()),
        What::StorageFailed { .. } => (MomentKind::Process, "disk failed".to_string()),
        _ => return None,
    };
    Some(told)
}

fn told_of_raft(event: &Event) -> Option<(MomentKind, String)> {
    let told = match event {
        Event::PreVoteStarted { next_term } => {
            (MomentKind::Vote, format!("asks for pre-votes, term {next_term}"))
        }
        Event::ElectionStarted { term, .. } => (MomentKind::Election, format!("candidate in term {term}")),
        Event::VoteDecided { candidate, pre, reason, .. } => {
            let verdict = match (pre, reason.granted()) {
                (true, true) => "pre-vote for",
                (true, false) => "no pre-vote for",
                (false, true) => "vote for",
                (false, false) => "no vote for",
            };
            (MomentKind::Vote, format!("{verdict} {candidate}"))
        }
        Event::BecameLeader { term } => (MomentKind::Leader, format!("leads term {term}")),
        Event::SteppedDown { term, led: true, .. } => {
            (MomentKind::Leader, format!("steps down, term {term}"))
        }
        Event::Following { leader, .. } => (MomentKind::Vote, format!("follows {leader}")),
        Event::CommitAdvanced { to, .. } => (MomentKind::Commit, format!("commit {to}")),
        Event::Truncated { from, to } => (MomentKind::Election, format!("drops entries {from}..{to}")),
        Event::SnapshotInstalled { last, .. } => (MomentKind::Election, format!("snapshot {}", last.index)),
        _ => return None,
    };
    Some(told)
}
