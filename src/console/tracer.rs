//! Traces: what happens becomes lines of JSON for those who read them, a file or the window.
//!
//! A node's thread only puts an event into a bounded queue. What does not fit is counted, and the trace says so.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use log::Level;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::language::Answer;
use crate::trace::{Line, Place, TraceEvent, TraceLines, What};
use crate::types::Time;

/// Events that may wait to become lines.
const WAITING_MAX: usize = 65_536;

/// Reads a trace, line by line.
pub trait TraceReader: Send {
    /// Takes the next line. False when it reads no more.
    fn take(&mut self, line: &Line) -> bool;

    /// Brings what it took to where it belongs.
    fn flush(&mut self) {}
}

/// Names a reader, to end it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReaderId(u64);

/// Gives the readers what happens.
#[derive(Debug)]
pub struct Tracer {
    /// There is a reader: to ask it costs a node's thread nothing.
    active: AtomicBool,
    /// All is told, and not turning points alone.
    details: AtomicBool,
    /// The run is made again: what happens has been told.
    again: AtomicBool,
    /// Events that did not fit into the queue and were not told yet.
    lost: AtomicU64,
    /// None in virtual time, where lines are made at once.
    queue: Option<Sender<Told>>,
    readers: Arc<Mutex<Readers>>,
    /// Counts the directives.
    directives: AtomicU64,
}

/// Something that happened outside the nodes.
#[derive(Debug)]
struct Aside {
    time: Time,
    at: Place,
    name: &'static str,
    fields: Map<String, Value>,
    text: String,
}

#[derive(Debug)]
enum Told {
    Event(TraceEvent),
    Aside(Aside),
    /// Answer when all before has become lines.
    Flush(Sender<()>),
}

#[derive(Default)]
struct Readers {
    lines: TraceLines,
    all: Vec<(ReaderId, Box<dyn TraceReader>)>,
    last: u64,
}

impl Tracer {
    /// Makes lines in the thread in which things happen: for virtual time.
    pub fn direct() -> Tracer {
        Tracer::new(None, Arc::default())
    }

    /// Makes lines in a thread of its own, which ends with the tracer.
    ///
    /// Panics when the system refuses a thread.
    pub fn queued() -> Tracer {
        let (sender, receiver) = bounded(WAITING_MAX);
        let readers: Arc<Mutex<Readers>> = Arc::default();
        let work = Arc::clone(&readers);
        let make_lines = move || make_lines(&receiver, &work);
        thread::Builder::new().name("tracer".to_string()).spawn(make_lines).expect("a thread for traces");
        Tracer::new(Some(sender), readers)
    }

    fn new(queue: Option<Sender<Told>>, readers: Arc<Mutex<Readers>>) -> Tracer {
        let (active, again) = (AtomicBool::default(), AtomicBool::default());
        let details = AtomicBool::new(true);
        let (lost, directives) = (AtomicU64::new(0), AtomicU64::new(0));
        Tracer { active, details, again, lost, queue, readers, directives }
    }

    /// Whether anybody reads.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) && !self.again.load(Ordering::Relaxed)
    }

    /// The run is made again, or not any more: meanwhile nothing is told.
    pub fn set_again(&self, again: bool) {
        self.again.store(again, Ordering::Relaxed);
    }

    /// The nodes are others than were told last: each is told as a whole next.
    pub fn begin_views(&self) {
        self.readers.lock().lines.begin_views();
    }

    /// From now on this reader is told all, beginning with what is known of each node.
    pub fn add(&self, now: Time, mut reader: Box<dyn TraceReader>) -> ReaderId {
        let mut readers = self.readers.lock();
        for line in readers.lines.views(now) {
            reader.take(&line);
        }
        readers.last += 1;
        let id = ReaderId(readers.last);
        readers.all.push((id, reader));
        self.active.store(true, Ordering::Relaxed);
        id
    }

    /// Ends a reader, after all that has happened so far. Whether it still read.
    pub fn remove(&self, id: ReaderId, patience: Duration) -> bool {
        self.flush(patience);
        let mut readers = self.readers.lock();
        let before = readers.all.len();
        readers.all.retain(|(other, _)| *other != id);
        self.active.store(!readers.all.is_empty(), Ordering::Relaxed);
        readers.all.len() < before
    }

    /// From now on all is told, or turning points alone while no one looks.
    pub fn set_details(&self, details: bool) {
        self.details.store(details, Ordering::Relaxed);
    }

    pub fn observe(&self, event: &TraceEvent) {
        // A node that is followed tells a state once: without it a reader does not know what the node is until that changes.
        let is_state = matches!(event.what, What::State(_));
        let is_wanted = || is_state || self.details.load(Ordering::Relaxed) || event.level() <= Level::Info;
        if self.is_active() && is_wanted() {
            self.tell(Told::Event(event.clone()));
        }
    }

    /// A number for a directive, which no other has; zero for one that is made again, and was told before.
    pub fn number(&self) -> u64 {
        if self.again.load(Ordering::Relaxed) {
            return 0;
        }
        self.directives.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A directive begins. Its number joins it with its answer.
    pub fn directive(&self, time: Time, number: u64, line: &str, by: &str) {
        let fields = [("number", json!(number)), ("line", json!(line)), ("by", json!(by))];
        self.aside(time, Place::Console, "directive", fields, format!("> {line}"));
    }

    /// A directive has ended.
    pub fn answered(&self, time: Time, number: u64, answer: &Answer) {
        let fields = [("number", json!(number)), ("outcome", json!(answer.outcome.name()))];
        self.aside(time, Place::Console, "answer", fields, answer.text.clone());
    }

    /// Something happened that is no node's.
    pub fn aside<const N: usize>(
        &self,
        time: Time,
        at: Place,
        name: &'static str,
        fields: [(&str, Value); N],
        text: String,
    ) {
        if self.is_active() {
            let fields = fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
            self.tell(Told::Aside(Aside { time, at, name, fields, text }));
        }
    }

    /// Waits until all that happened has been read, but not longer than this.
    pub fn flush(&self, patience: Duration) {
        if !self.is_active() {
            return;
        }
        if let Some(queue) = &self.queue {
            let (done, wait) = bounded(1);
            if queue.send_timeout(Told::Flush(done), patience).is_ok() {
                let _ = wait.recv_timeout(patience);
            }
        }
        self.readers.lock().all.iter_mut().for_each(|(_, reader)| reader.flush());
    }

    fn tell(&self, told: Told) {
        let Some(queue) = &self.queue else { return self.readers.lock().take(told) };
        if self.lost.load(Ordering::Relaxed) > 0 {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if queue.try_send(Told::Aside(gap(&told, lost))).is_err() {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
        if queue.try_send(told).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// This number of events is not told before this one.
fn gap(told: &Told, lost: u64) -> Aside {
    let time = match told {
        Told::Event(event) => event.time,
        Told::Aside(aside) => aside.time,
        Told::Flush(_) => Time::ZERO,
    };
    let fields = Map::from_iter([("count".to_string(), json!(lost))]);
    let text = format!("{lost} events are left out: too many at once");
    Aside { time, at: Place::Console, name: "gap", fields, text }
}

fn make_lines(told: &Receiver<Told>, readers: &Mutex<Readers>) {
    for told in told {
        readers.lock().take(told);
    }
}

impl Readers {
    fn take(&mut self, told: Told) {
        let lines = match told {
            Told::Event(event) => self.lines.event(&event),
            Told::Aside(Aside { time, at, name, fields, text }) => {
                vec![self.lines.line(time, at, name, fields, &text)]
            }
            Told::Flush(done) => {
                let _ = done.send(());
                return;
            }
        };
        for line in lines {
            self.all.retain_mut(|(_, reader)| reader.take(&line));
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("count", &self.all.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::NodeState;
    use crate::types::{LogIndex, NodeId};

    struct Lines(Arc<Mutex<Vec<String>>>);

    impl TraceReader for Lines {
        fn take(&mut self, line: &Line) -> bool {
            self.0.lock().push(line.text.to_string());
            true
        }
    }

    #[test]
    fn without_details_the_states_of_followed_nodes_are_told_all_the_same() {
        let (tracer, kept) = (Tracer::direct(), Arc::default());
        tracer.add(Time::ZERO, Box::new(Lines(Arc::clone(&kept))));
        tracer.set_details(false);
        let applied = What::Applied { first: LogIndex(1), last: LogIndex(1) };
        for what in [applied, What::State(Box::<NodeState>::default()), What::Stopped] {
            tracer.observe(&TraceEvent { time: Time::ZERO, node: NodeId::new(1), what });
        }
        let lines = kept.lock();
        let [state, end] = &lines[..] else { panic!("two lines: {lines:?}") };
        assert!(state.contains(r#""e":"view""#) && end.contains(r#""e":"stopped""#), "{lines:?}");
    }
}
