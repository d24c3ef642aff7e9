//! What each node was, from when to when, as its events tell.

use std::time::Duration;

use super::tracks::{Span, SpanKind, Track, Tracks};
use crate::raft::event::Event;
use crate::text::numbers::float;
use crate::trace::{Recorded, What};
use crate::types::{NodeId, Time};

/// What a node was in a stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub node: NodeId,
    pub kind: SpanKind,
    pub from: Time,
    pub to: Time,
    /// In which term it led or campaigned; zero if it did neither.
    term: u64,
}

/// The stretches of these nodes, each node's in order, in a run that is at its end now.
pub(super) fn stretches(nodes: &[NodeId], recorded: &Recorded, now: Time) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    for node in nodes {
        let mut own = recorded.events.iter().filter(|event| event.node == *node).peekable();
        // One that comes later is not there before.
        let comes_later = own.peek().is_some_and(|event| event.what == What::Added);
        let kind = if comes_later { SpanKind::Down } else { SpanKind::Follower };
        let mut current = Stretch { node: *node, kind, from: Time::ZERO, to: now, term: 0 };
        // What it is again when it is resumed.
        let mut before_pause = (SpanKind::Follower, 0);
        for event in own {
            let (kind, term) = match &event.what {
                What::Paused => {
                    before_pause = (current.kind, current.term);
                    (SpanKind::Paused, 0)
                }
                What::Resumed => before_pause,
                // What it last said while it went down does not bring it back.
                What::Raft(_) if current.kind == SpanKind::Down => continue,
                what => match after(what) {
                    Some(next) => next,
                    None => continue,
                },
            };
            if (kind, term) != (current.kind, current.term) {
                let ended = Stretch { to: event.time, ..current };
                stretches.extend(Some(ended).filter(|ended| ended.from < ended.to));
                current = Stretch { kind, term, from: event.time, ..current };
            }
        }
        stretches.push(current);
    }
    stretches
}

/// What a node is after this event, and in which term; none if the event says nothing about it.
fn after(what: &What) -> Option<(SpanKind, u64)> {
    match what {
        What::Raft(Event::ElectionStarted { term, .. }) => Some((SpanKind::Candidate, term.0)),
        What::Raft(Event::BecameLeader { term }) => Some((SpanKind::Leader, term.0)),
        What::Raft(Event::SteppedDown { .. } | Event::Following { .. }) | What::Started { .. } => {
            Some((SpanKind::Follower, 0))
        }
        What::Stopped
        | What::Crashed { .. }
        | What::Panicked { .. }
        | What::MachineFailed { .. }
        | What::StorageFailed { .. } => Some((SpanKind::Down, 0)),
        _ => None,
    }
}

/// A track for each node, of a run that is so long.
pub fn nodes_tracks(nodes: &[NodeId], recorded: &Recorded, until: f64) -> Tracks {
    let now = Time::ZERO + Duration::from_secs_f64(until.max(0.0));
    let stretches = stretches(nodes, recorded, now);
    let row = |node: &NodeId| Track {
        name: node.to_string(),
        spans: stretches.iter().filter(|stretch| stretch.node == *node).map(Stretch::span).collect(),
    };
    let rows = nodes.iter().map(row).collect();
    let is_down = stretches.iter().any(|stretch| stretch.kind == SpanKind::Down);
    let note = if is_down { "Without a bar a node is down.".to_string() } else { String::new() };
    Tracks { title: "What each node was".to_string(), note, rows }
}

impl Stretch {
    fn span(&self) -> Span {
        let Stretch { node, kind, from, to, term } = *self;
        let what = kind.name().unwrap_or("down");
        let term = if term > 0 { format!(" of term {term}") } else { String::new() };
        let label = format!("{node}: {what}{term}, {from} to {to} s");
        Span { from: seconds(from), to: seconds(to), kind, label }
    }
}

/// A time as seconds since the run began.
pub(super) fn seconds(time: Time) -> f64 {
    float(time.as_nanos()) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::event::StepDownReason;
    use crate::trace::TraceEvent;
    use crate::types::{EntryId, Term};

    #[test]
    fn a_node_that_comes_later_is_not_there_before() {
        let started =
            What::Started { term: Term(0), vote: None, last: EntryId::ZERO, fresh: true, repaired: None };
        let mut recorded = Recorded::default();
        for what in [What::Added, started] {
            recorded.events.push_back(TraceEvent { time: Time::from_nanos(200), node: NodeId::new(4), what });
        }
        let stretches = stretches(&[NodeId::new(4)], &recorded, Time::from_nanos(500));
        let seen = stretches.iter().map(|stretch| (stretch.kind, stretch.from.as_nanos()));
        assert_eq!(seen.collect::<Vec<_>>(), [(SpanKind::Down, 0), (SpanKind::Follower, 200)]);
    }

    #[test]
    fn a_nodes_life_is_a_row_of_stretches() {
        let event = |millis: u64, what| TraceEvent {
            time: Time::from_nanos(millis * 1_000_000),
            node: NodeId::new(1),
            what,
        };
        let term = Term(2);
        let events = [
            event(100, What::Raft(Event::ElectionStarted { term, transfer: false })),
            event(110, What::Raft(Event::BecameLeader { term })),
            event(200, What::Paused),
            event(300, What::Resumed),
            event(400, What::Crashed { power: false }),
            event(401, What::Raft(Event::SteppedDown { term, led: true, reason: StepDownReason::NoQuorum })),
        ];
        let nodes = NodeId::first(2);
        let mut recorded = Recorded::default();
        recorded.events.extend(events);
        let tracks = nodes_tracks(&nodes, &recorded, 0.5);
        let kinds: Vec<SpanKind> = tracks.rows[0].spans.iter().map(|span| span.kind).collect();
        assert_eq!(
            kinds,
            [
                SpanKind::Follower,
                SpanKind::Candidate,
                SpanKind::Leader,
                SpanKind::Paused,
                SpanKind::Leader,
                SpanKind::Down
            ]
        );
        assert_eq!(tracks.rows[0].spans[2].label, "n1: leader of term 2, 0.110000 to 0.200000 s");
        assert_eq!(tracks.rows[1].spans.len(), 1, "nothing is known of n2 but that it is there");
    }
}
