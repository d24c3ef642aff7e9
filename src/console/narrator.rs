//! Narration: events become lines above the prompt, as the `events` filter lets them.
//!
//! A cluster's threads call this for each event, so it costs one load of a shared number when an event is of no
//! interest, and it never waits for a terminal: on threads, lines go through a bounded queue, and what does not fit is
//! counted and said. In virtual time lines are written at once, so that they stand in order among the answers.
//!
//! What a directive does (crash, pause ...) stands in its answer and is not repeated here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::printer::Output;
use super::tracer::Tracer;
use crate::faults::DropReason;
use crate::text::layout::stamp;
pub use crate::trace::EventFilter;
use crate::trace::{Acknowledged, Memory, Recorded, Recording, TraceEvent, TraceLines, What};
use crate::types::Time;

/// Lines that may wait for the terminal.
const WAITING_MAX: usize = 4_096;

/// Turns events into lines. Clones share it.
#[derive(Clone, Debug)]
pub struct Narrator(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    filter: AtomicU8,
    route: Route,
    /// Lines that did not fit into the queue and were not said yet.
    lost: AtomicU64,
    recording: Recording,
    memory: Memory,
    tracer: Tracer,
    /// Makes lines of a trace of what is narrated, if that was asked for.
    json: Mutex<Option<TraceLines>>,
    acknowledged: Mutex<Acknowledged>,
    /// The run is made again: what happens is remembered and not told.
    again: AtomicBool,
}

/// What a narrator remembers of a run.
#[derive(Clone, Debug, Default)]
pub struct RunSoFar {
    recorded: Recorded,
    memory: Memory,
    acknowledged: Acknowledged,
}

#[derive(Debug)]
enum Route {
    AtOnce(Output),
    Queued(Sender<Order>),
}

#[derive(Debug)]
enum Order {
    Line(String),
    /// Answer when all lines before are written.
    Flush(Sender<()>),
}

impl Narrator {
    /// Writes lines at once, in the thread in which things happen: for virtual time.
    pub fn direct(output: Output) -> Narrator {
        Narrator::new(Route::AtOnce(output), Tracer::direct())
    }

    /// Writes lines from a thread of its own, which ends with the last clone.
    ///
    /// Panics when the system refuses a thread.
    pub fn queued(output: Output) -> Narrator {
        let (sender, receiver) = bounded(WAITING_MAX);
        let writer = move || write_lines(&output, &receiver);
        thread::Builder::new().name("narrator".to_string()).spawn(writer).expect("a thread for narration");
        Narrator::new(Route::Queued(sender), Tracer::queued())
    }

    fn new(route: Route, tracer: Tracer) -> Narrator {
        Narrator(Arc::new(Shared {
            filter: AtomicU8::new(EventFilter::On as u8),
            route,
            lost: AtomicU64::new(0),
            recording: Recording::default(),
            memory: Memory::default(),
            tracer,
            json: Mutex::default(),
            acknowledged: Mutex::default(),
            again: AtomicBool::new(false),
        }))
    }

    /// What a cluster or a simulation calls for each event.
    pub fn observer(&self) -> Arc<dyn Fn(&TraceEvent) + Send + Sync> {
        let narrator = self.clone();
        Arc::new(move |event| narrator.observe(event))
    }

    pub fn observe(&self, event: &TraceEvent) {
        self.0.tracer.observe(event);
        self.0.recording.observe(event);
        self.0.memory.observe(event);
        let filter = self.filter();
        let repeats = || filter != EventFilter::Heartbeats && self.repeats_acknowledgement(&event.what);
        if filter.takes(event) && !repeats() {
            match &mut *self.0.json.lock() {
                None => self.say(line(event)),
                Some(lines) => lines.event(event).iter().for_each(|line| self.say(line.text.to_string())),
            }
        }
    }

    /// Whether a message acknowledges nothing new: the answer to a heartbeat.
    fn repeats_acknowledgement(&self, what: &What) -> bool {
        let is_lost = match what {
            What::MessageHeld { .. } => return false,
            What::MessageDropped { flight, reason: DropReason::Chosen } => {
                self.0.acknowledged.lock().forget(&flight.message);
                return false;
            }
            _ => matches!(what, What::MessageDropped { .. }),
        };
        what.message().is_some_and(|message| self.0.acknowledged.lock().repeats(message, is_lost))
    }

    /// Says a line of the console's own, such as a fault that has ended by itself.
    pub fn say(&self, line: String) {
        if self.0.again.load(Ordering::Relaxed) {
            return;
        }
        match &self.0.route {
            Route::AtOnce(output) => output.narrate(&line),
            Route::Queued(sender) => match sender.try_send(Order::Line(line)) {
                Ok(()) => self.report_lost_lines(sender),
                Err(TrySendError::Full(_)) => drop(self.0.lost.fetch_add(1, Ordering::Relaxed)),
                Err(TrySendError::Disconnected(_)) => {}
            },
        }
    }

    /// What is remembered of the run so far.
    pub fn so_far(&self) -> RunSoFar {
        RunSoFar {
            recorded: self.0.recording.recorded(),
            memory: self.0.memory.clone(),
            acknowledged: self.0.acknowledged.lock().clone(),
        }
    }

    /// The run is made again from where it was remembered so: what happens is remembered and not told. Returns what was
    /// remembered of the run so far.
    pub fn begin_again(&self, from: RunSoFar) -> RunSoFar {
        self.0.again.store(true, Ordering::Relaxed);
        self.0.tracer.set_again(true);
        self.exchange(from)
    }

    /// What happens from now on is told again.
    pub fn run_on(&self) {
        self.0.again.store(false, Ordering::Relaxed);
        self.0.tracer.set_again(false);
    }

    /// Remembers another run, in place of this one.
    pub fn put_back(&self, other: RunSoFar) {
        self.exchange(other);
    }

    fn exchange(&self, other: RunSoFar) -> RunSoFar {
        let RunSoFar { recorded, memory, acknowledged } = other;
        let recorded = self.0.recording.replace(recorded);
        self.0.memory.exchange(&memory);
        let acknowledged = std::mem::replace(&mut *self.0.acknowledged.lock(), acknowledged);
        RunSoFar { recorded, memory, acknowledged }
    }

    /// Waits until all that was said is written, but not longer than this.
    pub fn flush(&self, patience: Duration) {
        self.0.tracer.flush(patience);
        if let Route::Queued(sender) = &self.0.route {
            let (done, wait) = bounded(1);
            if sender.send_timeout(Order::Flush(done), patience).is_ok() {
                let _ = wait.recv_timeout(patience);
            }
        }
    }

    pub fn filter(&self) -> EventFilter {
        EventFilter::numbered(self.0.filter.load(Ordering::Relaxed))
    }

    /// From now on events are told as lines of a trace, or as sentences again.
    pub fn tell_as_json(&self, json: bool) {
        *self.0.json.lock() = json.then(TraceLines::default);
    }

    pub fn set_filter(&self, filter: EventFilter) {
        self.0.filter.store(filter as u8, Ordering::Relaxed);
    }

    /// What reads the run, whether it is narrated or not.
    pub fn tracer(&self) -> &Tracer {
        &self.0.tracer
    }

    /// What is kept to explain the run.
    pub fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// What was kept of the events, whether it was narrated or not.
    pub fn recording(&self) -> &Recording {
        &self.0.recording
    }

    /// Says how many lines were lost, once there is room again.
    fn report_lost_lines(&self, sender: &Sender<Order>) {
        if self.0.lost.load(Ordering::Relaxed) == 0 {
            return;
        }
        let lost = self.0.lost.swap(0, Ordering::Relaxed);
        let lines = if lost == 1 { "line is" } else { "lines are" };
        let text = format!("... {lost} {lines} left out, too many at once: 'events on' shows fewer");
        if lost > 0 && sender.try_send(Order::Line(text)).is_err() {
            self.0.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

fn write_lines(output: &Output, orders: &Receiver<Order>) {
    for order in orders {
        match order {
            Order::Line(line) => output.narrate(&line),
            Order::Flush(done) => drop(done.send(())),
        }
    }
}

/// `[0.153] n2 leads term 1`; a message begins with its sender: `[0.154] n2@1 -> n3 RequestVote last=3@1`.
fn line(event: &TraceEvent) -> String {
    format!("{} {}", stamp(event.time.since(Time::ZERO)), event.sentence())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::printer::Style;
    use crate::faults::DropReason;
    use crate::raft::event::Event;
    use crate::raft::message::{Ack, AppendResult, Beat, Body, Files, Message};
    use crate::types::{EntryId, LogIndex, NodeId, Term};

    fn event(what: What) -> TraceEvent {
        TraceEvent { time: Time::from_nanos(1_250_000_000), node: NodeId::new(2), what }
    }

    fn leads() -> TraceEvent {
        event(What::Raft(Event::BecameLeader { term: Term(4) }))
    }

    fn heartbeat() -> TraceEvent {
        let body = Body::AppendEntries {
            prev: EntryId::ZERO,
            entries: Vec::new(),
            commit: LogIndex(0),
            beat: Beat { round: 1, ..Beat::default() },
        };
        let message =
            Message { from: NodeId::new(2), to: NodeId::new(1), term: Term(1), files: Files::FOUNDERS, body };
        event(What::sent(1, message))
    }

    #[test]
    fn the_filter_decides_and_heartbeats_are_never_told() {
        let output = Output::memory(Style::default());
        let narrator = Narrator::direct(output.clone());
        narrator.observe(&leads());
        narrator.observe(&event(What::Paused));
        assert_eq!(output.take_transcript(), "[1.250] n2 leads term 4\n");
        for filter in [EventFilter::Off, EventFilter::Net] {
            narrator.set_filter(filter);
            assert_eq!(narrator.filter(), filter);
            narrator.observe(&leads());
            assert_eq!(output.take_transcript(), "");
        }
        narrator.set_filter(EventFilter::All);
        narrator.observe(&heartbeat());
        narrator.observe(&event(What::Paused));
        assert_eq!(output.take_transcript(), "[1.250] n2 paused\n");
    }

    #[test]
    fn an_acknowledgement_is_told_until_it_arrives_and_not_at_every_heartbeat() {
        let output = Output::memory(Style::default());
        let narrator = Narrator::direct(output.clone());
        narrator.set_filter(EventFilter::Net);
        let body = Body::AppendReply {
            ack: Ack { round: 2, ..Ack::default() },
            result: AppendResult::Matched(LogIndex(5)),
        };
        let message =
            Message { from: NodeId::new(2), to: NodeId::new(1), term: Term(1), files: Files::FOUNDERS, body };
        let lost = What::lost(1, message.clone(), DropReason::Cut);
        narrator.observe(&event(lost));
        assert_eq!(output.take_transcript(), "[1.250] n2@1 x n1 AppendReply matched=5 round=2 (link cut)\n");
        narrator.observe(&event(What::sent(2, message.clone())));
        assert_eq!(output.take_transcript(), "[1.250] n2@1 -> n1 AppendReply matched=5 round=2\n");
        narrator.observe(&event(What::sent(3, message)));
        assert_eq!(output.take_transcript(), "");
    }

    #[test]
    fn queued_lines_are_all_written_after_a_flush() {
        let output = Output::memory(Style::default());
        let narrator = Narrator::queued(output.clone());
        let observe = narrator.observer();
        for _ in 0..3 {
            observe(&leads());
        }
        narrator.flush(Duration::from_secs(10));
        assert_eq!(output.take_transcript().lines().count(), 3);
        assert_eq!(narrator.recording().events().len(), 3);
    }
}
