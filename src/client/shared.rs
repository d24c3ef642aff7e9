//! The state that the clones of a client and its tickets share: one core behind one lock, driven by the threads that wait.
//!
//! There is no thread behind a client. The first thread that waits for a call becomes the *driver*: it waits at the inbox,
//! without the lock, and hands the core all that arrives. Other waiting threads are *parked*, each on a condition variable
//! of its own, until their call ends, the driver leaves and another takes its place, or the core's next deadline comes:
//! then they tick the core themselves, because the driver fell asleep before it could know of their calls.
//!
//! A driver spins before it sleeps (`src/spin.rs`), and no thread is woken for another's answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError, at, select};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::call::CallId;
use super::core::{ClientCore, Ended};
use super::nodes::{SharedNodes, Watched};
use super::settings::{CALLS_MAX, WhenFull};
use super::{Ask, Rejection};
use crate::ascending::Ascending;
use crate::clock::Clock;
use crate::net::Transport;
use crate::net::inbox::InboxReceiver;
use crate::protocol::Envelope;
use crate::types::{ClientId, NodeId, SessionId, Time};

/// A client that waits less often than this does not spin: a disk or a network takes that long to answer, and many
/// clients that look for answers meanwhile keep the cores from the nodes.
const QUIET: Duration = Duration::from_millis(2);

pub(super) struct SharedClient {
    id: ClientId,
    clock: Clock,
    inbox: InboxReceiver,
    state: Mutex<State>,
}

struct State {
    core: ClientCore,
    transport: Box<dyn Transport>,
    /// The nodes that there are, if the client is told; else those that it began with.
    nodes: Option<Watched>,
    interrupt: Option<Receiver<()>>,
    interruptions: u64,
    /// Whether a driver waits at the inbox.
    driven: bool,
    /// No call is answered any more: the network has ended, or the interrupting channel is closed.
    closed: bool,
    /// The calls with a ticket or a waiting caller, and their ends.
    held: Ascending<CallId, Option<Ended>>,
    /// Whether a pipeline takes the ends of all other calls, in the order in which they end.
    streaming: bool,
    /// Those that were not taken yet.
    stream: Vec<Ended>,
    /// The threads that wait while another one drives.
    parked: BTreeMap<Waiter, Arc<Condvar>>,
    /// How many threads have ever waited for room.
    queued: u64,
}

/// What a parked thread waits for. Threads that wait for room come first, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Waiter {
    Room(u64),
    Call(CallId),
    Stream,
    Session,
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
            driven: false,
            closed: false,
            held: Ascending::default(),
            streaming: false,
            stream: Vec::new(),
            parked: BTreeMap::new(),
            queued: 0,
        };
        SharedClient { id, clock, inbox: inbox.quiet_after(QUIET), state: Mutex::new(state) }
    }

    pub fn id(&self) -> ClientId {
        self.id
    }

    pub fn leader(&self) -> Option<NodeId> {
        self.state.lock().core.leader()
    }

    pub fn in_flight(&self) -> usize {
        self.state.lock().core.in_flight()
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
        let mut now = self.clock.now();
        self.take_in(&mut state, now);
        if !state.closed && !state.has_room() {
            let until = now + ask.timeout;
            self.wait_for_room(&mut state, until)?;
            now = self.clock.now();
            ask.timeout = until.since(now);
        }
        let call = state.enter(now, ask);
        state.tick(now);
        state.settle();
        Ok(call)
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
        let enter = |ask| if streams { state.core.ask(now, ask) } else { state.enter(now, ask) };
        let begun = asks.into_iter().map(enter).collect();
        state.tick(now);
        state.settle();
        begun
    }

    /// Asks for the session ahead of the first command, this node first, and waits for it until then. Says whether it is
    /// open. For a client of one thread: no other thread's answer wakes this one.
    pub fn open_session(&self, first: Option<NodeId>, timeout: Duration, until: Time) -> bool {
        let mut state = self.state.lock();
        let now = self.clock.now();
        if !state.driven {
            // An interruption is left alone: it is meant for what a person sees running.
            state.receive_waiting(now, &self.inbox);
        }
        state.core.open_session(now, first, timeout);
        state.tick(now);
        state.settle();
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

    /// Waits until `find` finds something, or until then: as the driver, or parked while another thread drives.
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
                state.hand_over();
                return found;
            }
            if state.driven {
                self.park(state, until, waiter);
            } else {
                self.drive(state, until);
            }
        }
    }

    fn drive(&self, state: &mut MutexGuard<'_, State>, until: Time) {
        let until = state.core.deadline().min(until);
        let interrupt = state.interrupt.clone();
        state.driven = true;
        let woken = MutexGuard::unlocked(state, || self.wait_at_inbox(until, interrupt.as_ref()));
        state.driven = false;
        let now = self.clock.now();
        match woken {
            WakeUp::Arrived(group) => {
                state.receive(now, group);
                state.receive_waiting(now, &self.inbox);
            }
            WakeUp::Due => {}
            WakeUp::Interrupted | WakeUp::Closed => {
                // Answers that have arrived still count.
                state.receive_waiting(now, &self.inbox);
                state.closed |= matches!(woken, WakeUp::Closed);
                state.give_up(now);
            }
        }
        state.tick(now);
        state.settle();
    }

    fn park(&self, state: &mut MutexGuard<'_, State>, until: Time, waiter: Waiter) {
        let until = state.core.deadline().min(until);
        let signal = Arc::new(Condvar::new());
        state.parked.insert(waiter, Arc::clone(&signal));
        let ended = signal.wait_until(state, self.clock.instant(until));
        state.parked.remove(&waiter);
        if ended.timed_out() {
            state.tick(self.clock.now());
            state.settle();
        }
    }

    fn wait_at_inbox(&self, until: Time, interrupt: Option<&Receiver<()>>) -> WakeUp {
        let until = self.clock.instant(until);
        self.inbox.spin(Some(until), || interrupt.is_some_and(|interrupt| !interrupt.is_empty()));
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
        if !state.driven {
            state.receive_waiting(now, &self.inbox);
            if state.take_interruptions() || state.closed {
                state.give_up(now);
            }
        }
        state.tick(now);
        state.settle();
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

    fn has_room(&self) -> bool {
        self.core.in_flight() < CALLS_MAX
    }

    /// Makes a call known to the core; it leaves with the next [`State::settle`].
    fn enter(&mut self, now: Time, ask: Ask) -> CallId {
        let call = self.core.ask(now, ask);
        self.held.insert(call, None);
        call
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
        if self.closed {
            self.core.close(now);
        } else {
            self.core.give_up(now);
        }
    }

    /// Sends the core's envelopes, and wakes the threads whose calls have ended.
    fn settle(&mut self) {
        let mut outgoing = self.core.take_outgoing();
        if !outgoing.is_empty() {
            self.transport.send(&mut outgoing);
        }
        let mut all = self.core.take_ended();
        for ended in all.drain(..) {
            let call_id = ended.call_id;
            if let Some(end) = self.held.get_mut(call_id) {
                *end = Some(ended);
            } else if self.streaming {
                self.stream.push(ended);
                if let Some(signal) = self.parked.remove(&Waiter::Stream) {
                    signal.notify_one();
                }
            }
            // Otherwise its ticket is gone.
            if let Some(signal) = self.parked.remove(&Waiter::Call(call_id)) {
                signal.notify_one();
            }
            self.call_next_in_queue();
        }
        self.core.reuse(all);
    }

    /// A thread stops waiting: another one takes its place.
    fn hand_over(&mut self) {
        self.call_next_in_queue();
        // The newest call will probably be waited for longest.
        if !self.driven
            && let Some((_, signal)) = self.parked.pop_last()
        {
            signal.notify_one();
        }
    }

    /// If there is room, wakes the thread that has waited for it longest.
    fn call_next_in_queue(&mut self) {
        if self.has_room()
            && let Some(first) = self.parked.first_entry()
            && matches!(first.key(), Waiter::Room(_))
        {
            first.remove().notify_one();
        }
    }
}
