//! A console's link to one node: questions and answers, and what the node tells by itself.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};
use derive_more::Debug;
use parking_lot::Mutex;

use super::RemoteCluster;
use super::clock_offset::ClockOffset;
use super::protocol::{Answer, Asked, Question, Told};
use super::questions::Questions;
use super::seen::{Lost, Seen};
use crate::cluster::entropy;
use crate::faults::SetVersion;
use crate::lab::{LabError, Life, NodeView};
use crate::links::{AddressBook, Dialer, Heard, Lives, Notices, Target, Traffic, Unreached};
use crate::node::{Changes, Leaders};
use crate::server::{MembersView, RoleName, Status};
use crate::supervisor::Table;
use crate::text::counted;
use crate::trace::TraceEvent;
use crate::types::{Addresses, Member, NodeId, Time};
use crate::wire::Caller;

/// Questions that may wait for a connection.
const QUESTIONS_MAX: usize = 64;

/// What a console does with each event of a node.
pub type OnEvent = Arc<dyn Fn(&TraceEvent) + Send + Sync>;

/// What is done with what a node says of where nodes are.
pub(super) type OnNodes = Box<dyn Fn(NodeId, &Addresses) + Send + Sync>;

/// The console's time.
pub(super) type Now = Arc<dyn Fn() -> Time + Send + Sync>;

#[derive(Debug)]
pub struct NodeLink {
    shared: Arc<Mutex<Seen>>,
    questions: Questions,
    #[debug(skip)]
    now: Now,
    dialer: Dialer,
}

/// What a link tells its console.
pub(super) struct Listener {
    pub changes: Arc<Changes>,
    pub leaders: Arc<Leaders>,
    pub on_event: OnEvent,
    pub now: Now,
    /// The node says where nodes are.
    pub on_nodes: OnNodes,
    /// The node's process has come, or come back.
    pub on_up: Box<dyn Fn(NodeId) + Send + Sync>,
    pub notices: Arc<Notices>,
}

impl NodeLink {
    /// Dials the node from now on.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(
        node: NodeId,
        remote: &RemoteCluster,
        name: &str,
        book: Arc<AddressBook>,
        notices: Arc<Notices>,
        listener: Listener,
    ) -> io::Result<NodeLink> {
        let shared = Arc::new(Mutex::new(Seen::default()));
        let (questions, asked) = bounded(QUESTIONS_MAX);
        let unsent: Receiver<String> = Receiver::clone(&asked);
        let hello = remote.hello(Caller::Console { expects: node, name: name.to_string() });
        let hello = move || hello.clone();
        let seen = Arc::clone(&shared);
        let now = Arc::clone(&listener.now);
        let heard = move |heard: Heard| take(&seen, &unsent, &listener, node, heard);
        let traffic = Traffic::Texts { questions: asked, heard: Box::new(heard) };
        let (security, lives) = (remote.security.clone(), Lives::default());
        let target = Target { node, book, hello: Box::new(hello), traffic, notices, security, lives };
        let dialer = Dialer::start(target, entropy())?;
        let questions = Questions::new(node, Arc::clone(&shared), questions);
        Ok(NodeLink { shared, questions, now, dialer })
    }

    /// Whether the node's process runs is to be seen in this table.
    pub(super) fn watching(self, processes: Option<Table>) -> NodeLink {
        NodeLink { questions: self.questions.watching(processes), ..self }
    }

    /// How it is that no process answers; none when one may.
    pub(super) fn without_process(&self) -> Option<Life> {
        self.questions.without_process()
    }

    /// Dials now: the node has just been started.
    pub(super) fn dial(&self) {
        self.dialer.wake();
    }

    /// What it was last heard to know.
    pub(super) fn known(&self) -> Status {
        self.shared.lock().view.status
    }

    /// How the node is: asked now, unless it was silent when it was last asked. One whose process does not answer is down, as
    /// far as a console can know.
    pub fn view(&self) -> NodeView {
        if self.shared.lock().is_silent || self.without_process().is_some() {
            self.last_view()
        } else {
            self.look();
            self.last_view()
        }
    }

    /// How it was when it was last heard of.
    pub fn last_view(&self) -> NodeView {
        let known_life = self.without_process();
        if let Some(life @ Life::Frozen(_)) = known_life {
            return NodeView { life, status: self.known(), disk_blocked: false };
        }
        let seen = self.shared.lock();
        if seen.is_fresh() && known_life.is_none() {
            return seen.view.clone();
        }
        let runs = self.questions.has_process();
        let life = match (known_life, seen.member) {
            (Some(life), _) => life,
            (None, member) if member.is_some() || runs => Life::Silent(seen.heard.elapsed()),
            (None, _) => Life::Down(match &seen.why {
                refused @ Unreached::Refused(_) => refused.to_string(),
                failed @ Unreached::Failed(_) => format!("its process does not answer: {failed}"),
            }),
        };
        let status = Status { role: RoleName::default(), leader: None, ..seen.view.status };
        NodeView { life, status, disk_blocked: false }
    }

    /// The node with the number of its files; none while no process answers.
    pub fn member(&self) -> Option<Member> {
        self.shared.lock().member
    }

    fn look(&self) {
        match self.ask(Question::View) {
            Ok(Answer::View { now, view }) => self.shared.lock().see((self.now)(), now, view),
            // Its next news say that it is back.
            _ => self.shared.lock().is_silent = true,
        }
    }

    /// Why the node's process does not let this one in; none when it may.
    pub fn refused(&self) -> Option<String> {
        let seen = self.shared.lock();
        match &seen.why {
            Unreached::Refused(why) if seen.member.is_none() => Some(why.clone()),
            _ => None,
        }
    }

    /// Whether it may still say for the first time how it is.
    pub fn is_awaited(&self) -> bool {
        let seen = self.shared.lock();
        seen.held.is_none() && seen.is_first_try
    }

    /// What it said by its own clock, by the console's.
    pub(super) fn by_our_clock(&self, mut members: MembersView) -> MembersView {
        let seen = self.shared.lock();
        for follower in members.followers.values_mut() {
            follower.answered = follower.answered.map(|at| seen.clock.moved(at));
        }
        members
    }

    /// How far the console's clock is ahead of its process's, in nanoseconds.
    pub(super) fn clock_ahead(&self) -> i128 {
        self.shared.lock().clock.ahead()
    }

    /// Which rules and settings it holds, as it said last; none while it says nothing.
    pub fn held(&self) -> Option<(SetVersion, SetVersion)> {
        let seen = self.shared.lock();
        seen.held.filter(|_| seen.member.is_some() && !seen.is_silent)
    }

    /// Whether it says that there is this node, itself perhaps; none while it says nothing.
    pub fn knows(&self, node: NodeId) -> Option<bool> {
        let seen = self.shared.lock();
        seen.held.map(|_| seen.nodes.contains(&node))
    }

    /// It has been told which rules and settings hold: it need not be told again before it says what it holds.
    pub fn is_told(&self, held: (SetVersion, SetVersion)) {
        self.shared.lock().held = Some(held);
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The node says no, or does not answer. Of an order that was sent and not answered it is not known whether it is executed.
    pub fn ask(&self, question: Question) -> Result<Answer, LabError> {
        self.questions.ask(question)
    }

    /// What puts questions to the node, for any thread.
    pub(super) fn questions(&self) -> &Questions {
        &self.questions
    }
}

fn take(shared: &Mutex<Seen>, unsent: &Receiver<String>, listener: &Listener, node: NodeId, heard: Heard) {
    match heard {
        Heard::Up(welcome) => {
            let mut seen = shared.lock();
            seen.member = Some(welcome.member);
            // Its process may have begun a new life, with a clock of its own.
            seen.clock = ClockOffset::default();
            seen.heard = Instant::now();
            drop(seen);
            (listener.on_up)(node);
        }
        Heard::Down(why) => {
            listener.leaders.leads(node, None);
            let mut seen = shared.lock();
            (seen.member, seen.held) = (None, None);
            // Nothing more comes to those who wait, and nothing is asked minutes later.
            for text in unsent.try_iter() {
                let asked = serde_json::from_str::<Asked>(&text).ok();
                if let Some(waiting) = asked.and_then(|asked| seen.waiting.remove(&asked.id)) {
                    let _ = waiting.send(Err(Lost::Unsent(why.to_string())));
                }
            }
            for waiting in std::mem::take(&mut seen.waiting).into_values() {
                let _ = waiting.send(Err(Lost::Broken(why.to_string())));
            }
            (seen.why, seen.is_first_try) = (why, false);
        }
        Heard::Text(text) => match serde_json::from_str::<Told>(&text) {
            Ok(Told::Answer { id, answer }) => {
                let mut seen = shared.lock();
                seen.heard = Instant::now();
                if let Some(waiting) = seen.waiting.remove(&id) {
                    let _ = waiting.send(Ok(answer));
                }
            }
            Ok(Told::View { member, now, view, nodes, rules, settings }) => {
                (listener.on_nodes)(node, &nodes);
                let leads = view.life == Life::Up && view.status.role == RoleName::Leader;
                listener.leaders.leads(node, leads.then_some(view.status.term));
                let mut seen = shared.lock();
                (seen.member, seen.held) = (Some(member), Some((rules, settings)));
                seen.nodes = nodes.into_keys().collect();
                seen.see((listener.now)(), now, view);
            }
            Ok(Told::Event(event)) => {
                let mut seen = shared.lock();
                seen.clock.note((listener.now)(), event.time);
                let time = seen.clock.moved(event.time);
                drop(seen);
                (listener.on_event)(&TraceEvent { time, ..event });
            }
            Ok(Told::LeftOut(count)) => {
                let events = counted(usize::try_from(count).unwrap_or(usize::MAX), "event");
                let text = format!("{events} left out, too many at once: 'events on' shows fewer");
                listener.notices.say(&node.to_string(), &text);
            }
            Err(error) => log::warn!(target: "raftlab::remote", "{node} said what is no news: {error}"),
        },
    }
    listener.changes.announce();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::trace::What;
    use crate::wire::{VERSIONS, Welcome};

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn what_a_new_life_tells_is_not_shown_by_the_clock_of_the_one_before() {
        let node = NodeId::new(1);
        let (now, shown) = (Arc::new(Mutex::new(Time::ZERO)), Arc::new(Mutex::new(Vec::new())));
        let (clock, told) = (Arc::clone(&now), Arc::clone(&shown));
        let listener = Listener {
            changes: Arc::default(),
            leaders: Arc::new(Leaders::new(Clock::start())),
            on_event: Arc::new(move |event| told.lock().push(event.time)),
            now: Arc::new(move || *clock.lock()),
            on_nodes: Box::new(|_, _| {}),
            on_up: Box::new(|_| {}),
            notices: Arc::new(Notices::new(|_| {})),
        };
        let (seen, (_questions, unsent)) = (Mutex::new(Seen::default()), bounded(1));
        let up = |life| {
            let member = Member::founder(node);
            Heard::Up(Welcome {
                version: VERSIONS.0,
                member,
                life,
                has_run: true,
                nodes: Addresses::default(),
            })
        };
        let stopped = |time| {
            let told = Told::Event(TraceEvent { time, node, what: What::Stopped });
            Heard::Text(serde_json::to_string(&told).expect("news have a text"))
        };
        let second = Duration::from_secs(1);
        for (heard, what) in [
            (at(4_200), up(1)),
            (at(4_300), stopped(at(100))),
            (at(5_200), stopped(at(1_200))),
            (at(5_900), stopped(at(1_500))),
            (at(6_000), Heard::Down("it was killed".to_string().into())),
            (at(8_000), up(2)),
            (at(8_100), stopped(at(50))),
        ] {
            *now.lock() = heard;
            take(&seen, &unsent, &listener, node, what);
        }
        assert_eq!(*shown.lock(), [at(4_300), at(1_200) + 4 * second, at(1_500) + 4 * second, at(8_100)]);
    }
}
