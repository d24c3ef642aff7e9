//! Which messages of a recording a picture shows, and how far down each moment lies: time runs downward, and quiet
//! stretches are short.

use std::collections::BTreeMap;
use std::time::Duration;

use super::moments::{CLOSE, FOLD, Moment, moments};
use crate::raft::event::Event;
use crate::trace::{Passage, PassageEnd, Recorded, What, distances};
use crate::types::{NodeId, Time};

/// The most messages of a picture.
const PASSAGES_MAX: usize = 320;

/// Where there are too many messages, this many are shown around each of the turns that matter most.
const AROUND_A_TURN: usize = 32;

const FOLD_HEIGHT: f64 = 34.0;

/// The room that a label needs below the one before in its lane.
const LABEL_HEIGHT: f64 = 13.0;

/// Where the first moment lies.
const TOP: f64 = 14.0;

/// What a picture shows.
pub(super) struct Scene<'a> {
    pub passages: Vec<&'a Passage>,
    pub moments: Vec<Moment>,
    /// Directives, which concern all lanes, at their times.
    pub directives: Vec<(Time, String)>,
    /// How many messages are not shown.
    pub left_out: u64,
    /// The times in order, and how far down each lies, in pixels.
    places: Vec<(Time, f64)>,
    pub folds: Vec<Fold>,
}

/// A stretch that is not shown.
pub(super) struct Fold {
    pub top: f64,
    pub length: Duration,
    pub messages: usize,
}

impl<'a> Scene<'a> {
    pub(super) fn new(recorded: &'a Recorded, directives: &[(Time, String)]) -> Scene<'a> {
        let all: Vec<&Passage> = recorded.passages.iter().collect();
        let turning = recorded.events.iter().filter(|event| event.what.is_turning_point());
        let turns: Vec<(bool, Time)> = turning
            .map(|event| (matches!(event.what, What::Raft(Event::BecameLeader { .. })), event.time))
            .chain(directives.iter().map(|(time, _)| (true, *time)))
            .collect();
        let passages = chosen(&all, &turns);
        let left_out = recorded.left_out + (all.len() - passages.len()) as u64;
        let spans: Vec<(Time, Time)> =
            passages.iter().map(|passage| (passage.sent, passage.ended())).collect();
        let moments = moments(recorded.events.iter().chain(&recorded.details), &spans);
        let first = spans.first().map_or(Time::ZERO, |(sent, _)| *sent);
        let directives: Vec<_> =
            directives.iter().filter(|(time, _)| *time + CLOSE >= first).cloned().collect();
        let mut scene =
            Scene { passages, moments, directives, left_out, places: Vec::new(), folds: Vec::new() };
        scene.place(&all);
        scene
    }

    /// How far down a time lies, in pixels.
    pub(super) fn y(&self, time: Time) -> f64 {
        let after = self.places.partition_point(|(place, _)| *place <= time);
        let before = after.checked_sub(1).and_then(|at| self.places.get(at));
        match (before, self.places.get(after)) {
            (Some((from, top)), Some((to, bottom))) => {
                let part = time.since(*from).as_secs_f64() / to.since(*from).as_secs_f64();
                top + part * (bottom - top)
            }
            (Some((_, top)), None) => *top,
            (None, _) => 0.0,
        }
    }

    pub(super) fn height(&self) -> f64 {
        self.places.last().map_or(0.0, |(_, y)| *y) + 24.0
    }

    /// Each time that is shown, with its place.
    pub(super) fn times(&self) -> &[(Time, f64)] {
        &self.places
    }

    /// Gives each time its place, from the first to the last.
    fn place(&mut self, all: &[&Passage]) {
        let mut times: Vec<Time> =
            self.passages.iter().flat_map(|passage| [passage.sent, passage.ended()]).collect();
        times.extend(self.moments.iter().map(|moment| moment.time));
        times.extend(self.directives.iter().map(|(time, _)| *time));
        times.sort_unstable();
        times.dedup();
        let mut labelled: BTreeMap<Time, Vec<Option<NodeId>>> = BTreeMap::new();
        for moment in &self.moments {
            labelled.entry(moment.time).or_default().push(Some(moment.node));
        }
        for (time, _) in &self.directives {
            labelled.entry(*time).or_default().push(None);
        }
        let mut bottoms: BTreeMap<Option<NodeId>, f64> = BTreeMap::new();
        let (mut y, mut before): (f64, Option<Time>) = (TOP, None);
        for time in times {
            if let Some(before) = before {
                let length = time.since(before);
                if length > FOLD {
                    let between = |passage: &&&Passage| passage.sent > before && passage.sent < time;
                    let messages = all.iter().filter(between).count();
                    self.folds.push(Fold { top: y + FOLD_HEIGHT / 2.0, length, messages });
                    y += FOLD_HEIGHT;
                } else {
                    y += gap(length);
                }
            }
            for lane in labelled.get(&time).into_iter().flatten() {
                // A directive's label goes over all lanes.
                let concerns = |(other, _): &(&Option<NodeId>, &f64)| {
                    lane.is_none() || other.is_none() || *other == lane
                };
                y = bottoms.iter().filter(concerns).fold(y, |y, (_, bottom)| y.max(*bottom));
            }
            for lane in labelled.get(&time).into_iter().flatten() {
                bottoms.insert(*lane, y + LABEL_HEIGHT);
            }
            self.places.push((time, y));
            before = Some(time);
        }
    }
}

impl Passage {
    /// Whether it is a request for a vote or an answer to one.
    pub(super) fn is_vote(&self) -> bool {
        matches!(self.name, "RequestVote" | "VoteReply" | "PreVote" | "PreVoteReply" | "TimeoutNow")
    }

    /// When it arrived or was lost; when it was sent, if it is under way.
    fn ended(&self) -> Time {
        match self.end {
            PassageEnd::UnderWay => self.sent,
            PassageEnd::Arrived(at) | PassageEnd::Lost(at, _) => at.max(self.sent),
        }
    }
}

/// How far apart two moments are drawn, in pixels: ten times as long is a little farther.
fn gap(length: Duration) -> f64 {
    4.0 + 10.0 * (1.0 + length.as_secs_f64() / 100e-6).log10()
}

/// The passages to be shown: those of note; where these are too many, those closest to the turns, first of all to leaders
/// and directives; where they are few, quiet ones around them.
fn chosen<'a>(all: &[&'a Passage], turns: &[(bool, Time)]) -> Vec<&'a Passage> {
    let noted = noted(all);
    let sent: Vec<Time> = noted.iter().map(|at| all[*at].sent).collect();
    let mut kept: Vec<usize> = if noted.len() > PASSAGES_MAX {
        let mut turns = turns.to_vec();
        turns.sort_by_key(|(matters, _)| !matters);
        turns.truncate(PASSAGES_MAX / AROUND_A_TURN);
        let distances = distances(&sent, turns.into_iter().map(|(_, time)| time));
        // An election is shown whole, from its first request for a vote.
        let near =
            |(distance, at): (usize, &usize)| (if all[*at].is_vote() { distance / 8 } else { distance }, *at);
        let mut ranked: Vec<(usize, usize)> = distances.into_iter().zip(&noted).map(near).collect();
        // Of equally close ones the newest stay.
        ranked.sort_unstable_by_key(|(distance, at)| (*distance, usize::MAX - at));
        ranked.into_iter().take(PASSAGES_MAX).map(|(_, at)| at).collect()
    } else {
        let mut near: Vec<Time> = turns.iter().map(|(_, time)| *time).chain(sent).collect();
        near.sort_unstable();
        let is_quiet = |at: &usize| noted.binary_search(at).is_err();
        let quiet = (0..all.len()).filter(|at| is_quiet(at) && is_close(all[*at].sent, &near));
        let quiet: Vec<usize> = quiet.take(PASSAGES_MAX - noted.len()).collect();
        noted.iter().copied().chain(quiet).collect()
    };
    if kept.is_empty() {
        // Nothing but heartbeats: the newest show what they are.
        kept.extend(all.len().saturating_sub(24)..all.len());
    }
    kept.sort_unstable();
    kept.into_iter().map(|at| all[at]).collect()
}

/// The places of messages of note: all but heartbeats, the answers to these, and what a broken link drops again and again.
fn noted(all: &[&Passage]) -> Vec<usize> {
    const DROPS_SHOWN: usize = 2;
    let mut dropped: BTreeMap<(NodeId, NodeId), usize> = BTreeMap::new();
    let mut is_of_note = |passage: &Passage| {
        let drops = dropped.entry((passage.from, passage.to)).or_default();
        match passage.end {
            PassageEnd::Lost(..) => {
                *drops += 1;
                *drops <= DROPS_SHOWN
            }
            PassageEnd::UnderWay | PassageEnd::Arrived(_) => {
                *drops = 0;
                !passage.quiet
            }
        }
    };
    (0..all.len()).filter(|at| is_of_note(all[*at])).collect()
}

fn is_close(time: Time, near: &[Time]) -> bool {
    let place = near.partition_point(|other| *other < time);
    let ahead = near.get(place).is_some_and(|other| other.since(time) <= CLOSE);
    let behind =
        place.checked_sub(1).and_then(|at| near.get(at)).is_some_and(|other| time.since(*other) <= CLOSE);
    ahead || behind
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::moments::MOMENTS_MAX;
    use crate::trace::TraceEvent;
    use crate::types::{LogIndex, Term};

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn passage(sent: u64, quiet: bool) -> Passage {
        Passage {
            flight: 0,
            from: NodeId::new(1),
            to: NodeId::new(2),
            sent: at(sent),
            end: PassageEnd::Arrived(at(sent + 1)),
            name: "AppendEntries",
            quiet,
            text: String::new(),
        }
    }

    fn leads(millis: u64) -> TraceEvent {
        TraceEvent {
            time: at(millis),
            node: NodeId::new(1),
            what: What::Raft(Event::BecameLeader { term: Term(2) }),
        }
    }

    #[test]
    fn a_picture_is_bounded_and_shows_what_follows_a_turn() {
        let mut recorded = Recorded::default();
        recorded.passages.extend((0..2_000).map(|sent| passage(sent, false)));
        recorded.events.push_back(leads(1_000));
        let scene = Scene::new(&recorded, &[]);
        assert_eq!((scene.passages.len(), scene.left_out), (PASSAGES_MAX, 1_680));
        let has = |sent: u64| scene.passages.iter().any(|passage| passage.sent == at(sent));
        assert!(has(980) && has(1_200) && !has(700) && !has(1_400));
        assert!(scene.times().is_sorted_by(|one, other| one.0 < other.0 && one.1 < other.1));
        assert_eq!(scene.moments[0].label, "leads term 2");
    }

    #[test]
    fn an_election_is_shown_however_many_commits_follow() {
        let mut recorded = Recorded::default();
        let times = || (0..300).map(|sent| 1_000 + sent * 2);
        recorded.passages.extend(times().map(|sent| passage(sent, false)));
        let event = |millis, node, event| TraceEvent {
            time: at(millis),
            node: NodeId::new(node),
            what: What::Raft(event),
        };
        let committed = |to: u64| Event::CommitAdvanced { from: LogIndex(to - 1), to: LogIndex(to) };
        recorded.events.push_back(event(1_000, 1, Event::ElectionStarted { term: Term(2), transfer: false }));
        recorded.events.push_back(event(1_001, 1, Event::BecameLeader { term: Term(2) }));
        for (index, sent) in (2..).zip(times().skip(1)) {
            for node in [1, 2] {
                recorded.details.push_back(event(sent, node, committed(index)));
            }
        }
        let scene = Scene::new(&recorded, &[]);
        let labels: Vec<&str> = scene.moments.iter().map(|moment| moment.label.as_str()).collect();
        assert_eq!(labels.len(), MOMENTS_MAX);
        assert_eq!(labels[..2], ["candidate in term 2", "leads term 2"]);
        assert_eq!(labels[MOMENTS_MAX - 1], "commit 300");
    }

    #[test]
    fn quiet_time_is_folded_and_says_what_is_left_out() {
        let mut recorded = Recorded::default();
        let beats = (0..100).map(|beat| passage(beat * 50, true));
        recorded.passages.extend(beats.chain([passage(5_010, false)]));
        recorded.events.push_back(leads(3));
        let scene = Scene::new(&recorded, &[(at(5_000), "put x 1".to_string())]);
        let [fold] = scene.folds.as_slice() else { panic!("one fold, not {}", scene.folds.len()) };
        assert_eq!((fold.messages, scene.left_out), (97, 97));
        assert!(fold.length > Duration::from_millis(4_800), "{:?}", fold.length);
        assert!(scene.y(at(5_000)) < scene.y(at(5_010)) && scene.height() < 300.0, "{}", scene.height());
    }

    #[test]
    fn labels_of_a_lane_have_room_and_what_happens_at_once_shares_one() {
        let mut recorded = Recorded::default();
        recorded.passages.extend([passage(1, false), passage(2, false)]);
        let micros = |micros: u64| Time::from_nanos(1_000_000 + micros * 1_000);
        for (time, what) in [
            (micros(1), Event::ElectionStarted { term: Term(2), transfer: false }),
            (micros(2), Event::BecameLeader { term: Term(2) }),
            (micros(2), Event::Following { leader: NodeId::new(1), term: Term(2) }),
        ] {
            recorded.events.push_back(TraceEvent { time, node: NodeId::new(1), what: What::Raft(what) });
        }
        let scene = Scene::new(&recorded, &[]);
        let labels: Vec<&str> = scene.moments.iter().map(|moment| moment.label.as_str()).collect();
        assert_eq!(labels, ["candidate in term 2", "leads term 2, follows n1"]);
        assert!(scene.y(micros(2)) - scene.y(micros(1)) >= LABEL_HEIGHT);
    }
}
