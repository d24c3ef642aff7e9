//! What the threads of a client share behind its lock: the core, the calls and their ends, and who waits for which.

use crossbeam_channel::{Receiver, TryRecvError};

use super::HURRY;
use super::waiters::{Waiter, Waiters};
use crate::ascending::Ascending;
use crate::client::Ask;
use crate::client::call::CallId;
use crate::client::core::{ClientCore, Ended};
use crate::client::gathering::{GATHERED_MAX, Gathering, Groups};
use crate::client::nodes::Watched;
use crate::client::settings::CALLS_MAX;
use crate::net::Transport;
use crate::net::inbox::InboxReceiver;
use crate::protocol::Envelope;
use crate::types::Time;

pub struct State {
    pub core: ClientCore,
    transport: Box<dyn Transport>,
    /// The nodes that there are, if the client is told; else those that it began with.
    pub nodes: Option<Watched>,
    pub interrupt: Option<Receiver<()>>,
    pub interruptions: u64,
    /// No call is answered any more: the network has ended, or the interrupting channel is closed.
    pub closed: bool,
    /// All calls but those of a pipeline.
    gathering: Gathering,
    /// Those that have not left.
    leaving: Vec<Ask>,
    /// When they leave at the latest.
    pub leave_by: Time,
    /// Ends of gathered calls that have not been handed out; empty when the lock is free.
    ends: Vec<Ended>,
    /// The calls with a ticket or a waiting caller, and their ends.
    pub held: Ascending<CallId, Option<Ended>>,
    /// Whether a pipeline takes the ends of all other calls, in the order in which they end.
    pub streaming: bool,
    /// Those that were not taken yet.
    pub stream: Vec<Ended>,
    pub waiters: Waiters,
    /// How many threads have ever waited for room.
    pub queued: u64,
}

impl State {
    pub fn new(core: ClientCore, transport: Box<dyn Transport>) -> State {
        State {
            core,
            transport,
            nodes: None,
            interrupt: None,
            interruptions: 0,
            closed: false,
            gathering: Gathering::new(GATHERED_MAX),
            leaving: Vec::new(),
            leave_by: Time::NEVER,
            ends: Vec::new(),
            held: Ascending::default(),
            streaming: false,
            stream: Vec::new(),
            waiters: Waiters::default(),
            queued: 0,
        }
    }

    /// Lets the core do what is due, with the nodes that there are now.
    pub fn tick(&mut self, now: Time) {
        if let Some(nodes) = self.nodes.as_mut().and_then(Watched::news) {
            self.core.set_nodes(nodes);
        }
        self.core.tick(now);
    }

    /// When something is to be done though nothing arrives.
    pub fn due(&self) -> Time {
        self.core.deadline().min(self.leave_by)
    }

    /// The same for a thread that sleeps. Each thread whose call has not left looks after that.
    pub fn due_for(&self, waiter: Waiter) -> Time {
        let has_not_left = matches!(waiter, Waiter::Call(call) if call > self.gathering.last());
        if has_not_left { self.due() } else { self.core.deadline() }
    }

    pub fn in_flight(&self) -> usize {
        let of_pipeline = self.core.in_flight() - self.gathering.groups();
        self.leaving.len() + self.gathering.calls() + of_pipeline
    }

    pub fn has_room(&self) -> bool {
        self.in_flight() < CALLS_MAX
    }

    /// Whether this call does best to leave with others: there are some, and several groups are under way.
    pub fn may_wait_for_others(&self, ask: &Ask) -> bool {
        let others = !self.waiters.is_empty() || !self.leaving.is_empty();
        others && self.gathering.is_busy() && ask.timeout > HURRY && ask.may_share()
    }

    /// Makes a call known, which has not left yet.
    pub fn enter(&mut self, ask: Ask) -> CallId {
        self.leaving.push(ask);
        let call = CallId(self.gathering.last().0 + self.leaving.len() as u64);
        self.held.insert(call, None);
        call
    }

    /// Makes calls of a pipeline, each as it is.
    pub fn begin_stream(&mut self, now: Time, asks: Vec<Ask>) -> Vec<CallId> {
        self.streaming = true;
        asks.into_iter().map(|ask| self.core.ask(now, ask)).collect()
    }

    /// Makes calls that share nothing.
    pub fn begin_all(&mut self, now: Time, asks: Vec<Ask>) -> Vec<CallId> {
        // Names count up, so what waits to leave goes first.
        self.leave(now);
        let begin = |ask| {
            let call = self.enter(ask);
            self.leave(now);
            call
        };
        asks.into_iter().map(begin).collect()
    }

    /// All calls that have not left do so with the next [`State::settle`].
    pub fn leave(&mut self, now: Time) {
        self.leave_by = Time::NEVER;
        if !self.leaving.is_empty() {
            let groups = self.gathering.gather(&mut self.leaving);
            self.ask(now, groups);
        }
    }

    /// Sends what has not left.
    pub fn send(&mut self, now: Time) {
        self.leave(now);
        self.tick(now);
        self.settle(now);
    }

    fn ask(&mut self, now: Time, groups: Groups) {
        for group in groups {
            let asked = self.core.ask(now, group.ask());
            self.gathering.begun(asked, group);
        }
    }

    pub fn take_end(&mut self, call: CallId) -> Option<Ended> {
        let end = self.held.get_mut(call).expect("an end is handed out once");
        let ended = end.take()?;
        self.held.remove(call);
        Some(ended)
    }

    pub fn receive(&mut self, now: Time, group: Vec<Envelope>) {
        for envelope in group {
            self.core.receive(now, envelope);
        }
    }

    pub fn receive_waiting(&mut self, now: Time, inbox: &InboxReceiver) {
        loop {
            match inbox.try_recv() {
                Ok(group) => self.receive(now, group),
                Err(reason) => {
                    self.closed |= reason == TryRecvError::Disconnected;
                    return;
                }
            }
        }
    }

    /// Whether an interruption has come since the last look.
    pub fn take_interruptions(&mut self) -> bool {
        let Some(interrupt) = &self.interrupt else { return false };
        let mut interrupted = false;
        loop {
            match interrupt.try_recv() {
                Ok(()) => interrupted = true,
                Err(reason) => {
                    self.closed |= reason == TryRecvError::Disconnected;
                    return interrupted;
                }
            }
        }
    }

    pub fn give_up(&mut self, now: Time) {
        self.interruptions += 1;
        self.leave(now);
        if self.closed {
            self.core.close(now);
        } else {
            self.core.give_up(now);
        }
    }

    /// Sends the core's envelopes, and wakes the threads whose calls have ended.
    pub fn settle(&mut self, now: Time) {
        let mut others = 0;
        // What leaves now may end at once, when the network has ended.
        loop {
            let mut all = self.core.take_ended();
            if all.is_empty() {
                break;
            }
            for ended in all.drain(..) {
                if self.gathering.has(ended.call_id) {
                    let again = self.gathering.end(now, ended, &mut self.ends);
                    self.ask(now, again);
                    continue;
                }
                others += 1;
                if self.streaming {
                    self.stream.push(ended);
                    self.waiters.wake(Waiter::Stream);
                }
            }
            self.core.reuse(all);
            self.leave(now);
        }
        let mut outgoing = self.core.take_outgoing();
        if !outgoing.is_empty() {
            self.transport.send(&mut outgoing);
        }
        let mut ends = std::mem::take(&mut self.ends);
        for ended in ends.drain(..) {
            let call_id = ended.call_id;
            if let Some(ended) = self.waiters.bring(ended) {
                // None: its ticket is gone.
                if let Some(end) = self.held.get_mut(call_id) {
                    *end = Some(ended);
                }
            } else {
                self.held.remove(call_id);
            }
            self.call_next_in_queue();
        }
        self.ends = ends;
        (0..others).for_each(|_| self.call_next_in_queue());
        if !self.core.is_opening() {
            self.waiters.wake(Waiter::Session);
        }
    }

    /// If there is room, wakes the thread that has waited for it longest.
    pub fn call_next_in_queue(&mut self) {
        if self.has_room() {
            self.waiters.wake_next_in_queue();
        }
    }
}
