//! The consoles that are attached to a node: what they ask is answered, and the node's news go to all.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, after, select};
use derive_more::Debug;
use log::Level;
use parking_lot::Mutex;

use super::Inside;
use crate::lab::Lab;
use crate::links::Attached;
use crate::remote::protocol::{Asked, Told};
use crate::state_machine::StateMachine;
use crate::trace::{EventFilter, Memory, Remembered, Subject, TraceEvent};

/// How often a node says how it is, at least and at most.
const NEWS_EVERY: Duration = Duration::from_millis(250);
const NEWS_APART: Duration = Duration::from_millis(50);

/// Events that may wait for a console; what else waits for it has more room.
const EVENTS_MAX: usize = 10_000;

/// Those who are told the news.
#[derive(Debug, Default)]
pub(super) struct Consoles {
    attached: Mutex<Vec<Console>>,
    /// How many there are, and whether one wants more than turning points: to ask it costs a node's thread nothing.
    count: AtomicUsize,
    wants_details: AtomicBool,
    last: Mutex<u64>,
    /// What explains this life of the process, for those who ask later.
    memory: Memory,
}

#[derive(Debug)]
struct Console {
    number: u64,
    news: Sender<String>,
    filter: EventFilter,
    /// It follows each step.
    follows: bool,
    /// Events that it was not told, and has not heard of yet.
    left_out: u64,
}

impl Console {
    /// The turning points of a run belong into each console's report.
    fn wants(&self, event: &TraceEvent) -> bool {
        self.follows
            || self.filter.takes(event)
            || (event.level() <= Level::Info && event.what.message().is_none())
    }

    fn tell_event(&mut self, text: &str) {
        let mut fits = self.news.len() < EVENTS_MAX;
        if fits && self.left_out > 0 {
            let told = self.news.try_send(text_of(&Told::LeftOut(self.left_out)));
            fits = told.is_ok();
            self.left_out *= u64::from(!fits);
        }
        if !fits || self.news.try_send(text.to_string()).is_err() {
            self.left_out += 1;
        }
    }
}

impl Consoles {
    fn attach(&self, news: Sender<String>) -> u64 {
        let mut last = self.last.lock();
        *last += 1;
        let console = Console { number: *last, news, filter: EventFilter::On, follows: false, left_out: 0 };
        self.attached.lock().push(console);
        self.count.fetch_add(1, Ordering::Relaxed);
        *last
    }

    fn detach(&self, number: u64) {
        self.attached.lock().retain(|console| console.number != number);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// This console wants to see these events. Whether any wants to see what the network decides, and whether any follows each
    /// step.
    pub fn watch(&self, number: u64, filter: EventFilter, follow: bool) -> (bool, bool) {
        let mut attached = self.attached.lock();
        for console in attached.iter_mut().filter(|console| console.number == number) {
            (console.filter, console.follows) = (filter, follow);
        }
        let follows = attached.iter().any(|console| console.follows);
        let narrates = |console: &Console| !matches!(console.filter, EventFilter::On | EventFilter::Off);
        self.wants_details.store(follows || attached.iter().any(narrates), Ordering::Relaxed);
        (attached.iter().any(|console| console.filter.shows_network()), follows)
    }

    /// What is kept of the node that tells of this.
    pub fn remembered(&self, subject: Subject) -> Remembered {
        self.memory.remembered().about(subject)
    }

    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Tells all. One that does not read misses it: news are about to come again.
    fn tell(&self, told: &Told) {
        let text = text_of(told);
        for console in self.attached.lock().iter() {
            let _ = console.news.try_send(text.clone());
        }
    }

    pub fn observe(&self, event: &TraceEvent) {
        self.memory.observe(event);
        if self.is_empty() || (event.level() > Level::Info && !self.wants_details.load(Ordering::Relaxed)) {
            return;
        }
        let mut text = None;
        for console in self.attached.lock().iter_mut().filter(|console| console.wants(event)) {
            let text = text.get_or_insert_with(|| text_of(&Told::Event(event.clone())));
            console.tell_event(text);
        }
    }
}

fn text_of(told: &Told) -> String {
    serde_json::to_string(told).expect("news have a text")
}

/// A console, as its connection sees it.
pub(super) struct Attachment<M: StateMachine> {
    inside: Weak<Inside<M>>,
    pub number: u64,
    /// What its orders are logged under.
    pub name: String,
    answers: Sender<String>,
    /// The state whose pages it reads.
    pub items: Vec<(String, String)>,
    /// The backup whose pages it reads.
    pub backup: String,
}

impl<M: StateMachine> Attachment<M> {
    pub fn begin(inside: &Inside<M>, name: &str, answers: Sender<String>) -> Attachment<M> {
        let number = inside.consoles.attach(answers.clone());
        let (inside, name) = (inside.this.clone(), name.to_string());
        Attachment { inside, number, name, answers, items: Vec::new(), backup: String::new() }
    }
}

impl<M: StateMachine> Attached for Attachment<M> {
    fn asked(&mut self, question: &str) -> Result<(), String> {
        let inside = self.inside.upgrade().ok_or("the process ends")?;
        let Asked { id, question } = serde_json::from_str(question)
            .map_err(|error| format!("a console asks what is no question: {error}"))?;
        let answer = inside.answer(self, question);
        let text = text_of(&Told::Answer { id, answer });
        self.answers.try_send(text).map_err(|_| "a console does not read what it is told".to_string())
    }
}

impl<M: StateMachine> Drop for Attachment<M> {
    fn drop(&mut self) {
        if let Some(inside) = self.inside.upgrade() {
            inside.detach(self.number);
        }
    }
}

impl<M: StateMachine> Inside<M> {
    fn detach(&self, number: u64) {
        self.consoles.detach(number);
        self.watch(number, EventFilter::Off, false);
    }

    pub(super) fn watch(&self, number: u64, filter: EventFilter, follow: bool) {
        let (messages, steps) = self.consoles.watch(number, filter, follow);
        let mut cluster = self.cluster.lock();
        cluster.watch_messages(messages);
        cluster.follow_steps(steps);
    }

    /// Follows the members, and tells the consoles how the node is, whenever that changes, until the process ends.
    pub(super) fn tell_news(this: &Weak<Inside<M>>, stopped: &Receiver<()>) {
        let Some(changed) = this.upgrade().map(|inside| inside.cluster.lock().listen()) else { return };
        loop {
            select! {
                recv(changed) -> _ => {}
                recv(after(NEWS_EVERY)) -> _ => {}
                recv(stopped) -> _ => return,
            }
            let Some(inside) = this.upgrade() else { return };
            inside.note_members();
            if !inside.consoles.is_empty() {
                let (view, now) = {
                    let mut cluster = inside.cluster.lock();
                    (cluster.view(inside.place.apart.node), cluster.now())
                };
                let (member, nodes) = (inside.own.lock().0, inside.book.all());
                let (rules, settings) = (inside.rules.lock().version(), inside.settings.lock().version);
                inside.consoles.tell(&Told::View { member, now, view, nodes, rules, settings });
            }
            drop(inside);
            if stopped.recv_timeout(NEWS_APART) == Err(crossbeam_channel::RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::*;
    use crate::trace::What;
    use crate::types::{LogIndex, NodeId, Time};

    #[test]
    fn a_console_is_told_what_it_watches_and_how_much_it_missed() {
        let consoles = Consoles::default();
        let (news, told) = bounded(EVENTS_MAX + 10);
        let number = consoles.attach(news);
        let event = |what| TraceEvent { time: Time::ZERO, node: NodeId::new(1), what };
        let applied = event(What::Applied { first: LogIndex(1), last: LogIndex(1) });
        consoles.observe(&applied);
        assert!(told.is_empty(), "it is no turning point");
        let of_first = Subject { entry: Some(LogIndex(1)), command: None };
        assert_eq!(consoles.remembered(of_first).moments.len(), 1, "it is kept");
        assert_eq!(
            consoles.watch(number, EventFilter::Client, false),
            (true, false),
            "it shows what the network loses"
        );
        consoles.observe(&applied);
        assert!(told.is_empty(), "it is no client's");
        consoles.watch(number, EventFilter::All, false);
        for _ in 0..EVENTS_MAX + 3 {
            consoles.observe(&applied);
        }
        assert_eq!(told.try_iter().count(), EVENTS_MAX);
        consoles.observe(&applied);
        let left_out = told.recv().expect("it is told");
        assert_eq!(serde_json::from_str::<Told>(&left_out).expect("news"), Told::LeftOut(3));
        assert_eq!(told.try_iter().count(), 1);
    }
}
