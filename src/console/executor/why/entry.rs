//! `why 17`: the way of an entry through the cluster, and what took longest. `why lost 7`: who replaced it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::story::{Row, Story, fitting};
use crate::raft::event::Event;
use crate::server::{EntryKind, EntryView};
use crate::text::layout::duration_shown;
use crate::text::nodes::listed;
use crate::trace::{Asked, Remembered, TraceEvent, What};
use crate::types::{LogIndex, NodeId, Time, Token};

/// What an entry holds, in words.
pub fn shown(entry: EntryView) -> String {
    let token = |session, serial| Token { session, serial, part: None };
    let what = match entry.kind {
        EntryKind::NoOp => "the no-op that opens its leader's term".to_string(),
        EntryKind::Open(client) => format!("the session of {client}"),
        EntryKind::Command(session, serial) => format!("the command {}", token(session, serial)),
        EntryKind::Settle(session, serial) => {
            format!("a client's question for the outcome of {}", token(session, serial))
        }
        EntryKind::Members => "a configuration of the members".to_string(),
    };
    format!("{} is {what}", entry.id)
}

/// The way of an entry, as far as it went.
pub fn way_so_far(story: &mut Story, entry: EntryView, known: &Remembered) {
    requests(story, entry.kind, known);
    story.rows.extend(events_of(entry, known).into_iter().map(Row::of));
    story.say_memory(known);
}

/// The way of an entry that is committed, and what took longest.
pub fn way(story: &mut Story, entry: EntryView, known: &Remembered) {
    let asked = requests(story, entry.kind, known);
    let events = events_of(entry, known);
    story.rows.extend(events.iter().map(|event| Row::of(event)));
    let Some(parts) = Parts::of(&events, entry.id.index) else {
        story.say("when it was appended or committed is not kept, or was before this console".to_string());
        return story.say_memory(known);
    };
    parts.conclude(story, asked);
}

/// Whether its commit is remembered.
pub fn was_committed(entry: EntryView, known: &Remembered) -> bool {
    events_of(entry, known).iter().any(|event| matches!(event.what, What::Raft(Event::CommitAdvanced { .. })))
}

/// Which nodes received the request for a command, and when: the first of these times.
pub fn requests(story: &mut Story, kind: EntryKind, known: &Remembered) -> Option<Time> {
    let EntryKind::Command(session, serial) = kind else { return None };
    let same = |asked: &&Asked| (asked.session, asked.serial) == (session, serial);
    for asked in known.requests.iter().filter(same) {
        let text = format!("{} receives the command of {}", asked.node, asked.client);
        story.rows.push(Row { time: asked.time, text, section: Some("8") });
        // Of several that come at once the first is taken in, or none.
        let rejects = |event: &TraceEvent| {
            (event.time, event.node) == (asked.time, asked.node)
                && matches!(event.what, What::Raft(Event::ClientRejected { read: false, .. }))
        };
        let rejected = fitting(&known.moments, rejects).next().map(Row::of);
        story.rows.extend(rejected);
    }
    known.requests.iter().find(same).map(|asked| asked.time)
}

/// The events about this entry, and not about another that had its place before or elsewhere.
fn events_of(entry: EntryView, known: &Remembered) -> Vec<&TraceEvent> {
    let mut events = first_of_each(known, entry.id.index);
    let led = |event: &&TraceEvent| matches!(event.what, What::Raft(Event::BecameLeader { term }) if term == entry.id.term);
    let creator = known.moments.iter().map(|moment| &moment.event).find(led).map(|event| event.node);
    let Some(creator) = creator else { return events };
    let created = events.iter().find(|event| event.node == creator && appends(event));
    let Some(created) = created.map(|event| event.time) else { return events };
    // Who made another entry for the same place tells of that one, until it is removed there.
    let mut rivals = BTreeSet::new();
    events.retain(|event| {
        if event.node != creator && appends(event) {
            rivals.insert(event.node);
        }
        if matches!(event.what, What::Raft(Event::Truncated { .. })) {
            rivals.remove(&event.node);
        }
        event.time >= created && !rivals.contains(&event.node)
    });
    events
}

/// Whether a leader makes an entry.
fn appends(event: &TraceEvent) -> bool {
    matches!(
        event.what,
        What::Raft(
            Event::NoOpAppended { .. } | Event::CommandsAppended { .. } | Event::MembersProposed { .. }
        )
    )
}

/// The events about an entry: of those that come again, such as acknowledgements, the first at each node. What happened to
/// another entry at the same place before is left out: only what follows the last removal counts.
fn first_of_each(known: &Remembered, index: LogIndex) -> Vec<&TraceEvent> {
    let mut seen = BTreeSet::new();
    let mut events: Vec<&TraceEvent> = Vec::new();
    for event in fitting(&known.moments, move |event| event.concerns(index)) {
        let key = match &event.what {
            What::LogDurable { .. } => ("durable", event.node, event.node),
            What::Raft(Event::AppendSucceeded { from, .. }) => ("holds", event.node, *from),
            What::Raft(Event::AppendSent { to, .. }) => ("sent", event.node, *to),
            What::Raft(Event::AppendReceived { from, .. }) => ("received", event.node, *from),
            What::Raft(Event::Truncated { .. }) => {
                // The node begins again there.
                seen.retain(|(_, node, _)| *node != event.node);
                events.push(event);
                continue;
            }
            _ => {
                events.push(event);
                continue;
            }
        };
        let is_there = key.0 != "durable" || has_it(&events, event.node);
        if is_there && seen.insert(key) {
            events.push(event);
        }
    }
    events
}

/// Whether a node has appended the entry, by what was seen so far: its disk may have reached the place by another one.
fn has_it(events: &[&TraceEvent], node: NodeId) -> bool {
    let receives = |event: &TraceEvent| matches!(event.what, What::Raft(Event::AppendReceived { .. }));
    events.iter().any(|event| event.node == node && (appends(event) || receives(event)))
}

/// The times between which an entry waited.
struct Parts {
    /// Who made it, and when.
    creator: NodeId,
    appended: Time,
    /// The leader that committed it: its maker, or one that led later.
    leader: NodeId,
    /// When that one's own disk held the entry.
    own: Option<Time>,
    /// Which follower acknowledged it when, in this order.
    holders: Vec<(NodeId, Time)>,
    committed: Time,
    applied: Option<Time>,
}

impl Parts {
    fn of(events: &[&TraceEvent], index: LogIndex) -> Option<Parts> {
        let append = events.iter().rfind(|event| appends(event))?;
        let (creator, appended) = (append.node, append.time);
        let commits = |event: &TraceEvent| matches!(event.what, What::Raft(Event::CommitAdvanced { .. }));
        let leader = events.iter().find(|event| event.time >= appended && commits(event))?.node;
        let own_events: Vec<&&TraceEvent> =
            events.iter().filter(|event| event.node == leader && event.time >= appended).collect();
        let at_leader = |fits: &dyn Fn(&What) -> bool| own_events.iter().position(|event| fits(&event.what));
        let commit = own_events.iter().position(|event| commits(event))?;
        let (before, committed) = (&own_events[..commit], own_events[commit].time);
        let holds = |event: &&&TraceEvent| match &event.what {
            What::Raft(Event::AppendSucceeded { from, .. }) => Some((*from, event.time)),
            _ => None,
        };
        let holders = before.iter().filter_map(holds).collect();
        let is_own = |event: &&&&TraceEvent| matches!(event.what, What::LogDurable { to } if to >= index);
        let own = before.iter().find(is_own).map(|event| event.time);
        let applied = at_leader(&|what| matches!(what, What::Applied { .. }));
        let applied = applied.map(|at| own_events[at].time);
        Some(Parts { creator, appended, leader, own, holders, committed, applied })
    }

    fn conclude(&self, story: &mut Story, asked: Option<Time>) {
        let Parts { creator, appended, leader, own, holders, committed, applied } = self;
        let mut names: Vec<NodeId> = holders.iter().map(|(node, _)| *node).collect();
        names.extend(own.map(|_| *leader));
        names.sort_unstable();
        let took = duration_shown(committed.since(*appended));
        let later =
            if leader == creator { String::new() } else { format!(", by {leader}, which led later (5.4.2)") };
        let committed_after = format!("committed {took} after {creator} appended it{later}");
        if names.is_empty() {
            return story.say(format!("{committed_after}; who held it first is not kept"));
        }
        let (names, hold) = held(&names);
        story.say(format!("{committed_after}: {names} {hold} it, a majority (5.3)"));
        let mut parts: Vec<(Duration, String)> = Vec::new();
        if let Some(asked) = asked {
            parts.push((appended.since(asked), format!("until {creator} took the command in, as leader")));
        }
        if let Some((last, at)) = holders.last() {
            parts.push((at.since(*appended), format!("until {last} acknowledged it")));
        }
        if let Some(own) = own {
            parts.push((own.since(*appended), format!("until {leader}'s own disk held it")));
        }
        if let Some(applied) = applied {
            parts.push((applied.since(*committed), format!("until {leader}'s state machine applied it")));
        }
        if let Some((longest, what)) = parts.into_iter().max_by_key(|(took, _)| *took)
            && !longest.is_zero()
        {
            story.say(format!("what took longest: {} {what}", duration_shown(longest)));
        }
    }
}

/// Nodes in words, with the verb behind them.
pub fn held(nodes: &[NodeId]) -> (String, &'static str) {
    match nodes {
        [one] => (one.to_string(), "holds"),
        [one, other] => (format!("{one} and {other}"), "hold"),
        several => (listed(several), "hold"),
    }
}

/// Where an entry was removed, who replaced it, and by what. Whether there was such an entry.
pub fn lost(story: &mut Story, index: LogIndex, known: &Remembered) -> bool {
    let removes = |event: &TraceEvent| matches!(event.what, What::Raft(Event::Truncated { from, to }) if from <= index && index <= to);
    let removals: Vec<&TraceEvent> = fitting(&known.moments, removes).collect();
    for removal in &removals {
        let before = |event: &TraceEvent| event.node == removal.node && event.time <= removal.time;
        let arrived = fitting(&known.moments, |event| before(event) && event.concerns(index));
        let is_of_logs = |event: &&TraceEvent| match &event.what {
            What::Raft(event) => !matches!(event, Event::CommitAdvanced { .. }),
            _ => false,
        };
        story.rows.extend(arrived.filter(is_of_logs).map(Row::of));
        let leader = fitting(&known.moments, |event| {
            event.node == removal.node
                && event.time == removal.time
                && matches!(event.what, What::Raft(Event::AppendReceived { .. }))
        });
        let by = leader.last().and_then(|event| match &event.what {
            What::Raft(Event::AppendReceived { from, .. }) => Some(*from),
            _ => None,
        });
        let by = by.map_or("its leader".to_string(), |by| by.to_string());
        story.say(format!(
            "{} removed it, since {by} leads and has another entry there: it was on no majority, so it was never committed (5.3, 5.4)",
            removal.node
        ));
    }
    story.rows.dedup();
    if !removals.is_empty() {
        story.say("its client was told that the leadership was lost, or nothing: 'outcome' asks".to_string());
    }
    !removals.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Moment;
    use crate::types::{EntryId, Term};

    #[test]
    fn a_majority_without_names_is_not_told() {
        let event = |millis: u64, what| {
            let (time, node) = (Time::from_nanos(millis * 1_000_000), NodeId::new(1));
            Moment { event: TraceEvent { time, node, what }, heard: None }
        };
        let at = LogIndex(3);
        let mut moments = vec![
            event(10, What::Raft(Event::CommandsAppended { first: at, last: at })),
            event(12, What::Raft(Event::CommitAdvanced { from: LogIndex(2), to: at })),
            event(12, What::Applied { first: at, last: at }),
        ];
        let told = |moments: &[Moment]| {
            let (mut story, known) = (Story::about(String::new()), Remembered::default());
            let known = Remembered { moments: moments.to_vec(), ..known };
            way(&mut story, EntryView { id: EntryId::new(Term(1), at), kind: EntryKind::NoOp }, &known);
            story.end
        };
        assert_eq!(told(&moments), ["committed 2 ms after n1 appended it; who held it first is not kept"]);
        let holds = Event::AppendSucceeded { from: NodeId::new(2), matched: at };
        moments.insert(1, event(11, What::Raft(holds)));
        let told = told(&moments);
        assert_eq!(told[0], "committed 2 ms after n1 appended it: n2 holds it, a majority (5.3)");
    }
}
