//! The state that the clones of a client and its tickets share: one core behind one lock, driven by the threads that wait.
//!
//! There is no thread behind a client. Threads that wait spin (`src/spin.rs`), and the first that sees that something has
//! arrived takes it in for all. When it is time to sleep, the first one sleeps at the inbox, without the lock: it is the
//! *driver*, and takes in what arrives. The others sleep each on a condition variable of its own, until their call ends, the
//! driver leaves and another takes its place, or the core's next deadline comes: then they tick the core themselves,
//! because the driver fell asleep before it could know of their calls.
//!
//! While [several](Gathering::is_busy) groups of calls are under way and other threads wait, a command whose thread waits for
//! it does not leave by itself: it leaves with all that wait so when the next group ends, or [a moment](GATHERING_MAX)
//! later. So of many threads that share a client, some dozens share a request and an entry.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError, at, select};
use parking_lot::{Mutex, MutexGuard};

use super::call::CallId;
use super::core::{ClientCore, Ended};
use super::gathering::{GATHERED_MAX, Gathering, Groups};
use super::nodes::{SharedNodes, Watched};
use super::settings::{CALLS_MAX, WhenFull};
use super::waiters::{Waiter, Waiters};
use super::{Ask, Rejection};
use crate::ascending::Ascending;
use crate::clock::Clock;
use crate::net::Transport;
use crate::net::inbox::InboxReceiver;
use crate::protocol::Envelope;
use crate::spin::Spin;
use crate::types::{ClientId, NodeId, SessionId, Time};

/// A client that waits less often than this does not spin: a disk or a network takes that long to answer, and many
/// clients that look for answers meanwhile keep the cores from the nodes.
const QUIET: Duration = Duration::from_millis(2);

/// The longest that a call waits for others to leave with.
const GATHERING_MAX: Duration = Duration::from_micros(500);

/// A call that has less time than this leaves by itself.
const HURRY: Duration = Duration::from_millis(5);

pub(super) struct SharedClient {
    id: ClientId,
    clock: Clock,
    inbox: InboxReceiver,
    /// Of all threads that wait here.
    spin: Spin,
    /// Whether a thread sleeps at the inbox. It changes with the lock held; without it, it is a hint.
    driven: AtomicBool,
    state: Mutex<State>,
}

struct State {
    core: ClientCore,
    transport: Box<dyn Transport>,
    /// The nodes that there are, if the client is told; else those that it began with.
    nodes: Option<Watched>,
    interrupt: Option<Receiver<()>>,
    interruptions: u64,
    /// No call is answered any more: the network has ended, or the interrupting channel is closed.
    closed: bool,
    /// All calls but those of a pipeline.
    gathering: Gathering,
    /// Those that have not left.
    leaving: Vec<Ask>,
    /// When they leave at the latest.
    leave_by: Time,
    /// Ends of gathered calls that have not been handed out; empty when the lock is free.
    ends: Vec<Ended>,
    /// The calls with a ticket or a waiting caller, and their ends.
    held: Ascending<CallId, Option<Ended>>,
    /// Whether a pipeline takes the ends of all other calls, in the order in which they end.
    streaming: bool,
    /// Those that were not taken yet.
    stream: Vec<Ended>,
    waiters: Waiters,
    /// How many threads have ever waited for room.
    queued: u64,
}

enum WakeUp {
    Arrived(Vec<Envelope>),
    Due,
    Interrupted,
    Closed,
}

impl SharedClient {
    pub fn new(
        core: ClientCore,
        transport: Box<dyn Transport>,
        inbox: InboxReceiver,
        clock: Clock,
    ) -> SharedClient {
        let id = core.id();
        let state = State {
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
        };
        let spin = Spin::default().quiet_after(QUIET);
        SharedClient { id, clock, inbox, spin, driven: AtomicBool::new(false), state: Mutex::new(state) }
    }

    pub fn id(&self) -> ClientId {
        self.id
    }

    pub fn leader(&self) -> Option<NodeId> {
        self.state.lock().core.leader()
    }

    pub fn in_flight(&self) -> usize {
        self.state.lock().in_flight()
    }

    pub fn set_nodes(&self, nodes: SharedNodes) {
        self.state.lock().nodes = Some(nodes.watch());
    }

    pub fn set_interrupt(&self, interrupt: Receiver<()>) {
        self.state.lock().interrupt = Some(interrupt);
    }

    pub fn set_when_full(&self, when_full: WhenFull) {
        self.state.lock().core.set_when_full(when_full);
    }

    /// Sends a call. Waits for room when [`CALLS_MAX`] are in flight, if the client is set to wait, until the call's
    /// deadline. A rejection means that nothing was sent.
    pub fn begin(&self, mut ask: Ask) -> Result<CallId, Rejection> {
        walk(&ask);
        let mut state = self.state.lock();
        let now = self.make_room(&mut state, &mut ask)?;
        let call = state.enter(ask);
        state.send(now);
        Ok(call)
    }

    /// Sends a call and waits for its end; see [`SharedClient::begin`] and the head of this file.
    pub fn call(&self, mut ask: Ask) -> Result<Ended, Rejection> {
        walk(&ask);
        let mut state = self.state.lock();
        let now = self.make_room(&mut state, &mut ask)?;
        let waits = state.may_wait_for_others(&ask);
        if waits {
            // It ends by its deadline even so.
            ask.timeout -= GATHERING_MAX;
            state.leave_by = state.leave_by.min(now + GATHERING_MAX);
        }
        let call = state.enter(ask);
        if !waits {
            state.send(now);
        }
        let ended = self.wait_for(&mut state, Time::NEVER, Waiter::Call(call), |state| state.take_end(call));
        Ok(ended.expect("each call ends by its deadline"))
    }

    /// Takes in what has arrived, and waits until there is room for one more call, which has less time left then.
    fn make_room(&self, state: &mut MutexGuard<'_, State>, ask: &mut Ask) -> Result<Time, Rejection> {
        let now = self.clock.now();
        self.take_in(state, now);
        if state.closed || state.has_room() {
            return Ok(now);
        }
        let until = now + ask.timeout;
        self.wait_for_room(state, until)?;
        let now = self.clock.now();
        ask.timeout = until.since(now);
        Ok(now)
    }

    /// Sends all these calls at once, even beyond [`CALLS_MAX`].
    pub fn begin_all(&self, asks: Vec<Ask>) -> Vec<CallId> {
        self.begin_together(asks, false)
    }

    /// The same with calls of a pipeline. [`SharedClient::wait_for_stream`] returns their ends.
    pub fn begin_stream(&self, asks: Vec<Ask>) -> Vec<CallId> {
        self.begin_together(asks, true)
    }

    fn begin_together(&self, asks: Vec<Ask>, streams: bool) -> Vec<CallId> {
        asks.iter().for_each(walk);
        let mut state = self.state.lock();
        state.streaming |= streams;
        let now = self.clock.now();
        self.take_in(&mut state, now);
        let begun: Vec<CallId> = if streams {
            asks.into_iter().map(|ask| state.core.ask(now, ask)).collect()
        } else {
            // Names count up, so what waits to leave goes first.
            state.leave(now);
            let begin = |ask| {
                let call = state.enter(ask);
                state.leave(now);
                call
            };
            asks.into_iter().map(begin).collect()
        };
        state.tick(now);
        state.settle(now);
        begun
    }

    /// Asks for the session ahead of the first command, this node first, and waits for it until then. Says whether it is
    /// open. For a client of one thread: no other thread's answer wakes this one.
    pub fn open_session(&self, first: Option<NodeId>, timeout: Duration, until: Time) -> bool {
        let mut state = self.state.lock();
        let now = self.clock.now();
        if !self.is_driven() {
            // An interruption is left alone: it is meant for what a person sees running.
            state.receive_waiting(now, &self.inbox);
        }
        state.core.open_session(now, first, timeout);
        state.tick(now);
        state.settle(now);
        let before = state.interruptions;
        let look = |state: &mut State| {
            (state.closed || state.interruptions > before || !state.core.is_opening()).then_some(())
        };
        self.wait_for(&mut state, until, Waiter::Session, look);
        state.core.has_session()
    }

    /// The session that is open.
    pub fn session(&self) -> Option<SessionId> {
        self.state.lock().core.session()
    }

    /// Waits until a call of the pipeline has ended, or until then, and replaces `ended` by all that have.
    pub fn wait_for_stream(&self, until: Time, ended: &mut Vec<Ended>) {
        ended.clear();
        let mut state = self.state.lock();
        let take =
            |state: &mut State| (!state.stream.is_empty()).then(|| std::mem::swap(&mut state.stream, ended));
        self.wait_for(&mut state, until, Waiter::Stream, take);
    }

    /// The pipeline is gone: the ends of its calls are dropped.
    pub fn end_stream(&self) {
        let mut state = self.state.lock();
        state.streaming = false;
        state.stream.clear();
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Waits until this call has ended, or until then. Each end is returned once.
    pub fn wait(&self, call: CallId, until: Time) -> Option<Ended> {
        let mut state = self.state.lock();
        self.wait_for(&mut state, until, Waiter::Call(call), |state| state.take_end(call))
    }

    /// The call's end, if it has ended by now.
    pub fn look(&self, call: CallId) -> Option<Ended> {
        let mut state = self.state.lock();
        let now = self.clock.now();
        self.take_in(&mut state, now);
        state.take_end(call)
    }

    /// The call's ticket is gone: its end is dropped.
    pub fn forget(&self, call: CallId) {
        self.state.lock().held.remove(call);
    }

    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.state.lock().held.len()
    }

    /// How many threads have ever waited for room.
    #[cfg(test)]
    pub fn queued(&self) -> u64 {
        self.state.lock().queued
    }

    fn wait_for_room(&self, state: &mut MutexGuard<'_, State>, until: Time) -> Result<(), Rejection> {
        if state.core.when_full() == WhenFull::Reject {
            return Err(Rejection::Full);
        }
        state.queued += 1;
        let waiter = Waiter::Room(state.queued);
        let before = state.interruptions;
        let look = |state: &mut State| {
            let interrupted = state.interruptions > before;
            (interrupted || state.has_room()).then_some(interrupted)
        };
        match self.wait_for(state, until, waiter, look) {
            _ if state.closed => Err(Rejection::Closed),
            Some(false) => Ok(()),
            Some(true) | None => Err(Rejection::Full),
        }
    }

    /// Waits until `find` finds something, or until then.
    fn wait_for<T>(
        &self,
        state: &mut MutexGuard<'_, State>,
        until: Time,
        waiter: Waiter,
        mut find: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        loop {
            let found = find(state);
            if found.is_some() || (until != Time::NEVER && self.clock.now() >= until) {
                state.call_next_in_queue();
                if !self.is_driven() {
                    state.waiters.wake_newest();
                }
                return found;
            }
            self.await_news(state, until, waiter);
        }
    }

    fn is_driven(&self) -> bool {
        self.driven.load(Ordering::Relaxed)
    }

    /// Waits until this thread is woken, or has taken in what arrived, or something is due.
    fn await_news(&self, state: &mut MutexGuard<'_, State>, until: Time, waiter: Waiter) {
        let until = state.core.deadline().min(state.leave_by).min(until);
        let interrupt = state.interrupt.clone();
        let signal = state.waiters.enter(waiter);
        let has_arrived =
            || !self.inbox.is_empty() || interrupt.as_ref().is_some_and(|interrupt| !interrupt.is_empty());
        let news = || signal.is_on() || !self.is_driven() && has_arrived();
        state.waiters.awake += 1;
        MutexGuard::unlocked(state, || self.spin.until(Some(self.clock.instant(until)), news));
        state.waiters.awake -= 1;
        let (has_news, drives) = (news(), !self.is_driven());
        if !has_news && !drives {
            signal.sleep(state, self.clock.instant(until));
        }
        state.waiters.leave(waiter, &signal);
        if !has_news && drives {
            self.drive(state, until, interrupt.as_ref());
        }
        self.take_in(state, self.clock.now());
    }

    /// Sleeps at the inbox, without the lock, until something has arrived or is due.
    fn drive(&self, state: &mut MutexGuard<'_, State>, until: Time, interrupt: Option<&Receiver<()>>) {
        self.driven.store(true, Ordering::Relaxed);
        let woken = MutexGuard::unlocked(state, || self.sleep_at_inbox(until, interrupt));
        self.driven.store(false, Ordering::Relaxed);
        let now = self.clock.now();
        match woken {
            WakeUp::Arrived(group) => state.receive(now, group),
            WakeUp::Due => {}
            WakeUp::Interrupted | WakeUp::Closed => {
                // Answers that have arrived still count.
                state.receive_waiting(now, &self.inbox);
                state.closed |= matches!(woken, WakeUp::Closed);
                state.give_up(now);
            }
        }
    }

    fn sleep_at_inbox(&self, until: Time, interrupt: Option<&Receiver<()>>) -> WakeUp {
        let until = self.clock.instant(until);
        match interrupt {
            None => match self.inbox.recv_deadline(until) {
                Ok(group) => WakeUp::Arrived(group),
                Err(RecvTimeoutError::Timeout) => WakeUp::Due,
                Err(RecvTimeoutError::Disconnected) => WakeUp::Closed,
            },
            Some(interrupt) => select! {
                recv(self.inbox.receiver()) -> parcel => {
                    parcel.map_or(WakeUp::Closed, |parcel| WakeUp::Arrived(self.inbox.open(parcel)))
                }
                recv(interrupt) -> wish => wish.map_or(WakeUp::Closed, |()| WakeUp::Interrupted),
                recv(at(until)) -> _ => WakeUp::Due,
            },
        }
    }

    /// Takes in what has arrived, unless a driver does, and ticks the core in either case: the driver may have fallen asleep
    /// before it could know of a deadline.
    fn take_in(&self, state: &mut State, now: Time) {
        if !self.is_driven() {
            state.receive_waiting(now, &self.inbox);
            if state.take_interruptions() || state.closed {
                state.give_up(now);
            }
        }
        if now >= state.leave_by {
            state.leave(now);
        }
        state.tick(now);
        state.settle(now);
    }
}

/// Checks the caller's own types while no lock is held. The result is kept, and the core finds it.
fn walk(ask: &Ask) {
    let _ = ask.check();
}

impl State {
    /// Lets the core do what is due, with the nodes that there are now.
    fn tick(&mut self, now: Time) {
        if let Some(nodes) = self.nodes.as_mut().and_then(Watched::news) {
            self.core.set_nodes(nodes);
        }
        self.core.tick(now);
    }

    fn in_flight(&self) -> usize {
        let of_pipeline = self.core.in_flight() - self.gathering.groups();
        self.leaving.len() + self.gathering.calls() + of_pipeline
    }

    fn has_room(&self) -> bool {
        self.in_flight() < CALLS_MAX
    }

    /// Whether this call does best to leave with others: there are some, and several groups are under way.
    fn may_wait_for_others(&self, ask: &Ask) -> bool {
        let others = !self.waiters.is_empty() || !self.leaving.is_empty();
        others && self.gathering.is_busy() && ask.timeout > HURRY && ask.may_share()
    }

    /// Makes a call known, which has not left yet.
    fn enter(&mut self, ask: Ask) -> CallId {
        self.leaving.push(ask);
        let call = CallId(self.gathering.last().0 + self.leaving.len() as u64);
        self.held.insert(call, None);
        call
    }

    /// All calls that have not left do so with the next [`State::settle`].
    fn leave(&mut self, now: Time) {
        self.leave_by = Time::NEVER;
        if !self.leaving.is_empty() {
            let groups = self.gathering.gather(&mut self.leaving);
            self.ask(now, groups);
        }
    }

    /// Sends what has not left.
    fn send(&mut self, now: Time) {
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

    fn take_end(&mut self, call: CallId) -> Option<Ended> {
        let end = self.held.get_mut(call).expect("an end is handed out once");
        let ended = end.take()?;
        self.held.remove(call);
        Some(ended)
    }

    fn receive(&mut self, now: Time, group: Vec<Envelope>) {
        for envelope in group {
            self.core.receive(now, envelope);
        }
    }

    fn receive_waiting(&mut self, now: Time, inbox: &InboxReceiver) {
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
    fn take_interruptions(&mut self) -> bool {
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

    fn give_up(&mut self, now: Time) {
        self.interruptions += 1;
        self.leave(now);
        if self.closed {
            self.core.close(now);
        } else {
            self.core.give_up(now);
        }
    }

    /// Sends the core's envelopes, and wakes the threads whose calls have ended.
    fn settle(&mut self, now: Time) {
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
            // Otherwise its ticket is gone.
            if let Some(end) = self.held.get_mut(call_id) {
                *end = Some(ended);
                self.waiters.wake(Waiter::Call(call_id));
            }
            self.call_next_in_queue();
        }
        self.ends = ends;
        (0..others).for_each(|_| self.call_next_in_queue());
    }

    /// If there is room, wakes the thread that has waited for it longest.
    fn call_next_in_queue(&mut self) {
        if self.has_room() {
            self.waiters.wake_next_in_queue();
        }
    }
}
