//! `why leader`, `why term 5`: how an election went, and why.

use std::collections::BTreeMap;

use super::story::{Row, Story};
use crate::raft::event::Event;
use crate::text::layout::duration_shown;
use crate::trace::{Moment, Remembered, What};
use crate::types::{NodeId, Term, Time};

/// The election of a term: who asked and why, who voted or did not, who led. Whether anything is known of it.
pub fn election(story: &mut Story, term: Term, known: &Remembered) -> bool {
    let mut leader = None;
    let mut asked: BTreeMap<NodeId, Time> = BTreeMap::new();
    for moment in &known.moments {
        let (node, time) = (moment.event.node, moment.event.time);
        let What::Raft(event) = &moment.event.what else { continue };
        // Who asks once there is a leader decides nothing any more.
        let is_over = leader.is_some() && !matches!(event, Event::Following { .. });
        if is_over || !concerns(event, term, asked.contains_key(&node)) {
            continue;
        }
        match event {
            Event::PreVoteStarted { .. } | Event::ElectionStarted { .. } => {
                asked.entry(node).or_insert(time);
                let heard = last_heard(moment).filter(|heard| !heard_already(story, heard));
                story.rows.extend(heard);
            }
            Event::BecameLeader { .. } => leader = Some((node, time)),
            _ => {}
        }
        story.add(&moment.event);
    }
    match leader {
        Some((leader, at)) => {
            let took = asked.get(&leader).map_or(String::new(), |asked| {
                format!(", {} after it asked first", duration_shown(at.since(*asked)))
            });
            story.say(format!("{leader} leads term {term}: a majority voted for it{took} (5.2)"));
        }
        None if !asked.is_empty() => {
            story.say(format!("term {term} has no leader: no candidate had the votes of a majority (5.2)"));
        }
        None => {}
    }
    !story.rows.is_empty()
}

/// When the node had last heard of a leader.
fn last_heard(moment: &Moment) -> Option<Row> {
    let (leader, at) = moment.heard?;
    let ago = duration_shown(moment.event.time.since(at));
    let text = format!("{} hears {leader} for the last time, {ago} before it asks", moment.event.node);
    Some(Row { time: at, text, section: Some("5.2") })
}

/// Whether the same was said of an earlier question of the node.
fn heard_already(story: &Story, heard: &Row) -> bool {
    let begins_alike = |row: &Row| row.text.split(',').next() == heard.text.split(',').next();
    story.rows.iter().any(|row| row.time == heard.time && begins_alike(row))
}

/// Whether an event belongs to the election of a term. Votes name no term: they are those of nodes that asked.
fn concerns(event: &Event, term: Term, asked: bool) -> bool {
    match event {
        Event::PreVoteStarted { next_term } => *next_term == term,
        Event::ElectionStarted { term: of, .. }
        | Event::VoteDecided { term: of, .. }
        | Event::BecameLeader { term: of }
        | Event::Following { term: of, .. }
        | Event::SteppedDown { term: of, .. } => *of == term,
        Event::VoteReceived { .. } => asked,
        _ => false,
    }
}

/// Who led last, and why it leads no more; to explain that no node does.
pub fn ended(story: &mut Story, known: &Remembered) -> Option<(NodeId, Term)> {
    let mut last: Option<(NodeId, Term, Time)> = None;
    for moment in &known.moments {
        if let What::Raft(Event::BecameLeader { term }) = &moment.event.what {
            last = Some((moment.event.node, *term, moment.event.time));
        }
    }
    let (leader, term, since) = last?;
    let ends = |moment: &&Moment| {
        let event = &moment.event;
        let ended = match &event.what {
            What::Raft(Event::SteppedDown { led: true, .. } | Event::QuorumLost { .. }) => true,
            What::Raft(_) => false,
            what => what.is_turning_point(),
        };
        ended && event.node == leader && event.time >= since
    };
    for moment in known.moments.iter().filter(ends) {
        story.add(&moment.event);
    }
    Some((leader, term))
}
