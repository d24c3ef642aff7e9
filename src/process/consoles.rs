//! The consoles that are attached to a node: what they ask is answered, and the node's news go to all.

use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, after, select};
use derive_more::Debug;
use log::Level;
use parking_lot::Mutex;

use super::Inside;
use crate::cluster::Cluster;
use crate::lab::{Lab, LabError, Life, NodeOrder};
use crate::links::Attached;
use crate::remote::protocol::{Answer, Asked, Question, Told};
use crate::state_machine::StateMachine;
use crate::trace::TraceEvent;

/// How often a node says how it is, at least and at most.
const NEWS_EVERY: Duration = Duration::from_millis(250);
const NEWS_APART: Duration = Duration::from_millis(50);

/// Those who are told the news.
#[derive(Debug, Default)]
pub(super) struct Consoles {
    attached: Mutex<Vec<(u64, Sender<String>)>>,
    /// How many there are: to ask it costs a node's thread nothing.
    count: AtomicUsize,
    last: Mutex<u64>,
}

impl Consoles {
    fn attach(&self, news: Sender<String>) -> u64 {
        let mut last = self.last.lock();
        *last += 1;
        self.attached.lock().push((*last, news));
        self.count.fetch_add(1, Ordering::Relaxed);
        *last
    }

    fn detach(&self, number: u64) {
        self.attached.lock().retain(|(other, _)| *other != number);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tells all. One that does not read misses it: news are about to come again.
    fn tell(&self, told: &Told) {
        let text = serde_json::to_string(told).expect("news have a text");
        for (_, news) in self.attached.lock().iter() {
            let _ = news.try_send(text.clone());
        }
    }

    pub fn observe(&self, event: &TraceEvent) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        // Messages are only told when a console wants them.
        if event.level() <= Level::Info || event.what.message().is_some() {
            self.tell(&Told::Event(event.clone()));
        }
    }
}

/// A console, as its connection sees it.
pub(super) struct Attachment<M: StateMachine> {
    pub inside: Weak<Inside<M>>,
    pub number: u64,
    pub answers: Sender<String>,
}

impl<M: StateMachine> Attachment<M> {
    pub fn begin(inside: &Inside<M>, answers: Sender<String>) -> Attachment<M> {
        let number = inside.consoles.attach(answers.clone());
        Attachment { inside: inside.this.clone(), number, answers }
    }
}

impl<M: StateMachine> Attached for Attachment<M> {
    fn asked(&mut self, question: &str) -> Result<(), String> {
        let inside = self.inside.upgrade().ok_or("the process ends")?;
        let Asked { id, question } = serde_json::from_str(question)
            .map_err(|error| format!("a console asks what is no question: {error}"))?;
        let told = Told::Answer { id, answer: inside.answer(question) };
        let text = serde_json::to_string(&told).expect("answers have a text");
        self.answers.try_send(text).map_err(|_| "a console does not read what it is told".to_string())
    }
}

impl<M: StateMachine> Drop for Attachment<M> {
    fn drop(&mut self) {
        if let Some(inside) = self.inside.upgrade() {
            inside.consoles.detach(self.number);
        }
    }
}

/// Whether carrying it out breaks something on purpose.
fn is_fault(question: &Question) -> bool {
    match question {
        Question::ChangeNetwork(_) => true,
        Question::Order(order) => matches!(
            order,
            NodeOrder::Crash
                | NodeOrder::PowerCut
                | NodeOrder::Wipe
                | NodeOrder::Pause
                | NodeOrder::Kill
                | NodeOrder::Freeze
                | NodeOrder::SkewClock(_)
                | NodeOrder::SetElectionTimer(_)
                | NodeOrder::Disk(_)
        ),
        _ => false,
    }
}

impl<M: StateMachine> Inside<M> {
    fn answer(&self, question: Question) -> Answer {
        if is_fault(&question) && !self.place.faults {
            let refused = LabError::new("faults are not allowed here");
            return Answer::Refused(refused.advising("'faults = true' in cluster.toml allows them"));
        }
        let renews = matches!(question, Question::Order(NodeOrder::Restart | NodeOrder::Wipe));
        if matches!(question, Question::Order(NodeOrder::Crash | NodeOrder::PowerCut | NodeOrder::Stop)) {
            self.ends_by_order.store(true, Ordering::Release);
        }
        let mut cluster = self.cluster.lock();
        let answer = self.carry_out(&mut cluster, question).unwrap_or_else(Answer::Refused);
        if renews && let Some(own) = cluster.own_files() {
            *self.own.lock() = own;
        }
        if cluster.life(self.place.apart.node) == Some(Life::Up) {
            self.ends_by_order.store(false, Ordering::Release);
        }
        answer
    }

    fn carry_out(&self, cluster: &mut Cluster<M>, question: Question) -> Result<Answer, LabError> {
        let node = self.place.apart.node;
        Ok(match question {
            Question::View => Answer::View { now: cluster.now(), view: cluster.view(node) },
            Question::Items => Answer::Items(cluster.items(node)?),
            Question::Log => Answer::Log(cluster.log(node)?),
            Question::Members => Answer::Members(cluster.members_view(node)?),
            Question::Stored { entries } => Answer::Stored(cluster.stored(node, entries)?),
            Question::Order(order) => Answer::Done(cluster.order(node, order)?),
            Question::TransferFailure => Answer::TransferFailure(cluster.transfer_failure(node)),
            Question::ChangeNetwork(change) => Answer::Done(Lab::change_network(cluster, &change)?),
            Question::NetworkRules => Answer::NetworkRules(cluster.network_rules()),
            Question::NetworkCounts => Answer::NetworkCounts(cluster.network_counts()),
            Question::Settings => Answer::Settings(cluster.settings().now.clone()),
            Question::Configure(settings) => {
                cluster.configure(settings)?;
                Answer::Done(String::new())
            }
            Question::Check => Answer::Check(cluster.check()),
            Question::DiskSyncs => Answer::DiskSyncs(cluster.disk_syncs()),
            Question::WatchMessages(watch) => {
                Lab::watch_messages(cluster, watch);
                Answer::Done(String::new())
            }
        })
    }

    /// Tells the consoles how the node is, whenever that changes, until the process ends.
    pub(super) fn tell_news(this: &Weak<Inside<M>>, stopped: &Receiver<()>) {
        let Some(changed) = this.upgrade().map(|inside| inside.cluster.lock().listen()) else { return };
        loop {
            select! {
                recv(changed) -> _ => {}
                recv(after(NEWS_EVERY)) -> _ => {}
                recv(stopped) -> _ => return,
            }
            let Some(inside) = this.upgrade() else { return };
            if inside.consoles.count.load(Ordering::Relaxed) > 0 {
                let (view, now) = {
                    let mut cluster = inside.cluster.lock();
                    (cluster.view(inside.place.apart.node), cluster.now())
                };
                let member = inside.own.lock().0;
                let nodes = inside.book.all();
                inside.consoles.tell(&Told::View { member, now, view, nodes });
            }
            drop(inside);
            if stopped.recv_timeout(NEWS_APART) == Err(crossbeam_channel::RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }
}
