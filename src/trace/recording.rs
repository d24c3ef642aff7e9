//! A recording: what a report shows of a run. Its turning points, and the messages with their ways from node to node.
//!
//! It is bounded: of the messages those are kept that are the newest or were under way around a turning point.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::Level;
use parking_lot::Mutex;

use super::{Acknowledged, Flight, TraceEvent, What};
use crate::faults::DropReason;
use crate::raft::event::Event;
use crate::types::{NodeId, Time};

/// Events that are kept at most: the newest.
const EVENTS_MAX: usize = 10_000;

/// A detail is kept if it is so close to a message that is kept.
const CLOSE: Duration = Duration::from_millis(5);

/// Messages that are kept at most, and how many of them only for being new.
const PASSAGES_MAX: usize = 4_000;
const PASSAGES_NEW: usize = 1_000;

/// Among this many of the newest messages an arrival looks for its own.
const UNDER_WAY_MAX: usize = 1_000;

/// Keeps what happens. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// Messages have been seen: what happens between them is kept, too.
    sees_messages: Arc<AtomicBool>,
    kept: Arc<Mutex<Recorded>>,
}

/// What was kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recorded {
    /// In the order in which they happened.
    pub events: VecDeque<TraceEvent>,
    /// What happened between the messages, as far as these are kept.
    pub details: VecDeque<TraceEvent>,
    /// In the order in which they were sent.
    pub passages: VecDeque<Passage>,
    /// Messages that are not kept any more.
    pub left_out: u64,
    acknowledged: Acknowledged,
}

/// A message and its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passage {
    /// See [`Flight`].
    pub flight: u64,
    pub from: NodeId,
    pub to: NodeId,
    pub sent: Time,
    pub end: PassageEnd,
    /// What kind of message it is.
    pub name: &'static str,
    /// A heartbeat, or an answer that acknowledges nothing new.
    pub quiet: bool,
    /// The message as transcripts show it.
    pub text: String,
}

/// How a passage ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PassageEnd {
    /// It has not arrived so far.
    UnderWay,
    Arrived(Time),
    Lost(Time, DropReason),
}

impl Recorded {
    /// These nodes and all others of which something is recorded, in order.
    pub fn nodes(&self, known: &[NodeId]) -> Vec<NodeId> {
        let told = self.events.iter().chain(&self.details).map(|event| event.node);
        let ends = self.passages.iter().flat_map(|passage| [passage.from, passage.to]);
        let nodes: BTreeSet<NodeId> = known.iter().copied().chain(told).chain(ends).collect();
        nodes.into_iter().collect()
    }
}

impl Recording {
    /// Keeps an event if a report shows its kind.
    pub fn observe(&self, event: &TraceEvent) {
        let Recording { sees_messages, kept } = self;
        if event.what.message().is_some() {
            sees_messages.store(true, Ordering::Relaxed);
            kept.lock().note_message(event);
        } else if event.level() <= Level::Info {
            keep(&mut kept.lock().events, event);
        } else if is_detail(&event.what) && sees_messages.load(Ordering::Relaxed) {
            keep(&mut kept.lock().details, event);
        }
    }

    /// Keeps this from now on, in place of what was kept.
    pub fn replace(&self, recorded: Recorded) -> Recorded {
        std::mem::replace(&mut self.kept.lock(), recorded)
    }

    pub fn recorded(&self) -> Recorded {
        self.kept.lock().clone()
    }

    /// The events that were kept, in order.
    pub fn events(&self) -> Vec<TraceEvent> {
        self.kept.lock().events.iter().cloned().collect()
    }
}

fn keep(kept: &mut VecDeque<TraceEvent>, event: &TraceEvent) {
    if kept.len() == EVENTS_MAX {
        kept.pop_front();
    }
    kept.push_back(event.clone());
}

/// Whether it only has a meaning beside the messages around it.
fn is_detail(what: &What) -> bool {
    matches!(what, What::Raft(Event::CommitAdvanced { .. }))
}

impl What {
    /// Whether the run is another one from here on: elections, leaders, starts and ends of nodes.
    pub fn is_turning_point(&self) -> bool {
        match self {
            What::Raft(event) => matches!(
                event,
                Event::ElectionStarted { .. }
                    | Event::BecameLeader { .. }
                    | Event::SteppedDown { led: true, .. }
                    | Event::SnapshotInstalled { .. }
                    | Event::Truncated { .. }
                    | Event::MembersCommitted { .. }
            ),
            What::Stopped
            | What::Crashed { .. }
            | What::Restarted
            | What::Paused
            | What::Resumed
            | What::Panicked { .. }
            | What::MachineFailed { .. }
            | What::StorageFailed { .. } => true,
            _ => false,
        }
    }
}

impl Recorded {
    /// The same with its times counted from this one. Messages that were sent before are left out; events from before,
    /// which say what the nodes were, stand at the beginning.
    #[must_use]
    pub fn since(mut self, zero: Time) -> Recorded {
        let shift = |time: &mut Time| *time = Time::ZERO + time.since(zero);
        let all = self.passages.len();
        self.passages.retain(|passage| passage.sent >= zero);
        self.left_out += (all - self.passages.len()) as u64;
        for passage in &mut self.passages {
            shift(&mut passage.sent);
            match &mut passage.end {
                PassageEnd::UnderWay => {}
                PassageEnd::Arrived(at) | PassageEnd::Lost(at, _) => shift(at),
            }
        }
        self.events.iter_mut().chain(&mut self.details).for_each(|event| shift(&mut event.time));
        self
    }

    fn note_message(&mut self, event: &TraceEvent) {
        match &event.what {
            What::MessageSent { flight, twice, .. } => {
                self.depart(event.time, flight, PassageEnd::UnderWay);
                if *twice {
                    self.depart(event.time, flight, PassageEnd::UnderWay);
                }
            }
            What::MessageArrived(flight) => drop(self.end(flight, PassageEnd::Arrived(event.time))),
            What::MessageDropped { flight, reason } => {
                let lost = PassageEnd::Lost(event.time, *reason);
                if !self.end(flight, lost) {
                    self.depart(event.time, flight, lost);
                }
            }
            _ => {}
        }
    }

    fn depart(&mut self, sent: Time, flight: &Flight, end: PassageEnd) {
        let Flight { number, message } = flight;
        if self.passages.len() == PASSAGES_MAX {
            self.thin_out();
        }
        let repeats = self.acknowledged.repeats(message, matches!(end, PassageEnd::Lost(..)));
        self.passages.push_back(Passage {
            flight: *number,
            from: message.from,
            to: message.to,
            sent,
            end,
            name: message.body.name(),
            quiet: message.body.is_heartbeat() || repeats,
            text: message.to_string(),
        });
    }

    /// Ends the passage of a flight, the oldest of its copies. Says whether there was one.
    fn end(&mut self, flight: &Flight, end: PassageEnd) -> bool {
        let Flight { number, message } = flight;
        let newest = self.passages.len().saturating_sub(UNDER_WAY_MAX);
        let mut under_way = self.passages.range_mut(newest..);
        let found = under_way.find(|passage| {
            let flies = (passage.flight, passage.from, passage.to) == (*number, message.from, message.to);
            flies && passage.end == PassageEnd::UnderWay
        });
        found.map(|passage| passage.end = end).is_some()
    }

    /// Keeps the newest passages, and of the others as many that are close to a turning point.
    fn thin_out(&mut self) {
        let old = self.passages.len() - PASSAGES_NEW;
        let times: Vec<Time> = self.passages.range(..old).map(|passage| passage.sent).collect();
        let turns = self.events.iter().filter(|event| event.what.is_turning_point());
        let distances = distances(&times, turns.map(|event| event.time));
        let mut sorted = distances.clone();
        sorted.sort_unstable();
        let limit = sorted[old - PASSAGES_NEW].min(PASSAGES_NEW);
        let mut place = 0;
        self.passages.retain(|_| {
            let keeps = distances.get(place).is_none_or(|distance| *distance < limit);
            place += 1;
            keeps
        });
        self.left_out += (place - self.passages.len()) as u64;
        let passages = &self.passages;
        self.details.retain(|detail| {
            let next = passages.partition_point(|passage| passage.sent + CLOSE < detail.time);
            passages.get(next).is_some_and(|passage| passage.sent <= detail.time + CLOSE)
        });
    }
}

/// For each of these times, which are in order, how many of them lie between it and the nearest turn. What leads to a turn
/// is farther from it than what follows: there is less to see.
pub fn distances(times: &[Time], turns: impl Iterator<Item = Time>) -> Vec<usize> {
    const BEFORE: usize = 4;
    let mut distances = vec![usize::MAX; times.len()];
    for turn in turns {
        let place = times.partition_point(|time| *time < turn);
        for at in [place.checked_sub(1), Some(place)].into_iter().flatten() {
            if let Some(distance) = distances.get_mut(at) {
                *distance = 0;
            }
        }
    }
    for at in 1..times.len() {
        distances[at] = distances[at].min(distances[at - 1].saturating_add(1));
    }
    for at in (1..times.len()).rev() {
        distances[at - 1] = distances[at - 1].min(distances[at].saturating_add(BEFORE));
    }
    distances
}

impl fmt::Display for Passage {
    /// `1.250000 n1@2 -> n2 AppendEntries ..., arrives at 1.251000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Passage { sent, end, text, .. } = self;
        match end {
            PassageEnd::UnderWay => write!(f, "{sent} {text}, still under way"),
            PassageEnd::Arrived(at) => write!(f, "{sent} {text}, arrives at {at}"),
            PassageEnd::Lost(at, reason) if at == sent => write!(f, "{sent} {text}, dropped: {reason}"),
            PassageEnd::Lost(at, reason) => write!(f, "{sent} {text}, dropped at {at}: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::message::{Ack, AppendResult, Beat, Body, Files, Message};
    use crate::types::{EntryId, LogIndex, Term};

    fn at(millis: u64, what: What) -> TraceEvent {
        TraceEvent { time: Time::from_nanos(millis * 1_000_000), node: NodeId::new(1), what }
    }

    fn message(round: u64) -> Message {
        let beat = Beat { round, ..Beat::default() };
        let body =
            Body::AppendEntries { prev: EntryId::ZERO, entries: Vec::new(), commit: LogIndex(0), beat };
        Message { from: NodeId::new(1), to: NodeId::new(2), term: Term(1), files: Files::FOUNDERS, body }
    }

    fn reply(index: u64) -> Message {
        let body = Body::AppendReply { ack: Ack::default(), result: AppendResult::Matched(LogIndex(index)) };
        Message { from: NodeId::new(2), to: NodeId::new(1), term: Term(1), files: Files::FOUNDERS, body }
    }

    #[test]
    fn a_message_has_its_way_and_its_end() {
        let recording = Recording::default();
        let flight = |number| Flight { number, message: message(number) };
        for event in [
            at(1, What::sent(1, message(1))),
            at(2, What::MessageSent { flight: flight(2), delay: Duration::ZERO, twice: true, arrives: None }),
            at(3, What::MessageArrived(flight(2))),
            at(4, What::lost(1, message(1), DropReason::Down)),
            at(5, What::MessageArrived(flight(2))),
            at(6, What::lost(3, message(3), DropReason::Cut)),
            at(7, What::sent(4, message(4))),
            at(8, What::MessageArrived(flight(9))),
        ] {
            recording.observe(&event);
        }
        let shown: Vec<String> = recording.recorded().passages.iter().map(ToString::to_string).collect();
        let ends: Vec<&str> = shown.iter().filter_map(|line| line.split(", ").nth(1)).collect();
        assert_eq!(
            ends,
            [
                "dropped at 0.004000: destination down",
                "arrives at 0.003000",
                "arrives at 0.005000",
                "dropped: link cut",
                "still under way"
            ],
            "{shown:?}"
        );
    }

    #[test]
    fn heartbeats_and_their_answers_are_quiet() {
        let recording = Recording::default();
        for sent in [message(1), reply(3), reply(3), reply(4)] {
            recording.observe(&at(1, What::sent(1, sent)));
        }
        let quiet: Vec<bool> = recording.recorded().passages.iter().map(|passage| passage.quiet).collect();
        assert_eq!(quiet, [true, false, true, false]);
    }

    #[test]
    fn messages_are_bounded_and_those_around_a_turning_point_stay() {
        let recording = Recording::default();
        for round in 0..20_000 {
            recording.observe(&at(round, What::sent(round, message(round))));
            if round == 500 {
                recording.observe(&at(round, What::Crashed { power: false }));
            }
        }
        let recorded = recording.recorded();
        let (kept, left_out) = (recorded.passages.len() as u64, recorded.left_out);
        assert!(kept <= PASSAGES_MAX as u64 && kept + left_out == 20_000, "{kept} {left_out}");
        let has = |millis: u64| {
            let time = Time::from_nanos(millis * 1_000_000);
            recorded.passages.iter().any(|passage| passage.sent == time)
        };
        assert!(has(480) && has(520) && has(19_999) && !has(5_000));
    }

    #[test]
    fn commits_are_kept_where_messages_are() {
        let recording = Recording::default();
        let commit = at(1, What::Raft(Event::CommitAdvanced { from: LogIndex(0), to: LogIndex(1) }));
        recording.observe(&commit);
        assert_eq!(recording.events(), []);
        recording.observe(&at(2, What::sent(1, message(1))));
        recording.observe(&commit);
        assert_eq!(recording.recorded().details, [commit]);
    }
}
