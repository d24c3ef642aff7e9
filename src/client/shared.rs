//! The state that the clones of a client and its tickets share: one core behind one lock, driven by the threads that wait.
//!
//! How they wait is told in `src/client/shared/waiting.rs`.
//!
//! While [several](Gathering::is_busy) groups of calls are under way and other threads wait, a command whose thread waits for
//! it does not leave by itself: it leaves with all others that wait like this when the next group ends, or [a moment](GATHERING_MAX)
//! later. So of many threads that share a client, some dozens share a request and an entry.

mod state;
mod waiters;
mod waiting;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbeam_channel::Receiver;
use parking_lot::{Mutex, MutexGuard};

use self::state::State;
use self::waiters::Waiter;
use super::call::CallId;
use super::core::{ClientCore, Ended};
use super::nodes::SharedNodes;
use super::settings::WhenFull;
use super::{Ask, Rejection};
use crate::clock::Clock;
use crate::net::Transport;
use crate::net::inbox::InboxReceiver;
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

impl SharedClient {
    pub fn new(
        core: ClientCore,
        transport: Box<dyn Transport>,
        inbox: InboxReceiver,
        clock: Clock,
    ) -> SharedClient {
        let id = core.id();
        let state = Mutex::new(State::new(core, transport));
        let spin = Spin::default().quiet_after(QUIET);
        SharedClient { id, clock, inbox, spin, driven: AtomicBool::new(false), state }
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
        let (now, mut state) = self.make_room(self.state.lock(), &mut ask)?;
        let call = state.enter(ask);
        state.send(now);
        self.pass_on(&mut state);
        Ok(call)
    }

    /// Sends a call and waits for its end; see [`SharedClient::begin`] and the head of this file.
    pub fn call(&self, mut ask: Ask) -> Result<Ended, Rejection> {
        walk(&ask);
        let (now, mut state) = self.make_room(self.state.lock(), &mut ask)?;
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
        Ok(self.wait_for_call(state, call, Time::NEVER).expect("each call ends by its deadline"))
    }

    /// Takes in what has arrived, and waits until there is room for one more call, which has less time left then.
    fn make_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        ask: &mut Ask,
    ) -> Result<(Time, MutexGuard<'a, State>), Rejection> {
        let now = self.clock.now();
        self.take_in(&mut state, now);
        if state.closed || state.has_room() {
            return Ok((now, state));
        }
        let until = now + ask.timeout;
        let state = self.wait_for_room(state, until)?;
        let now = self.clock.now();
        ask.timeout = until.since(now);
        Ok((now, state))
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
        let now = self.clock.now();
        self.take_in(&mut state, now);
        let begun = if streams { state.begin_stream(now, asks) } else { state.begin_all(now, asks) };
        state.tick(now);
        state.settle(now);
        self.pass_on(&mut state);
        begun
    }

    /// Asks for the session ahead of the first command, this node first, and waits for it until then. Says whether it is
    /// open.
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
        let (_, state) = self.wait_for(state, until, Waiter::Session, look);
        state.core.has_session()
    }

    /// The session that is open.
    pub fn session(&self) -> Option<SessionId> {
        self.state.lock().core.session()
    }

    /// Waits until a call of the pipeline has ended, or until then, and replaces `ended` by all that have. Where no call will
    /// ever be answered, and none is left, it returns at once.
    pub fn wait_for_stream(&self, until: Time, ended: &mut Vec<Ended>) {
        ended.clear();
        let take = |state: &mut State| {
            (!state.stream.is_empty() || state.closed).then(|| std::mem::swap(&mut state.stream, ended))
        };
        drop(self.wait_for(self.state.lock(), until, Waiter::Stream, take));
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
        self.wait_for_call(self.state.lock(), call, until)
    }

    /// The call's end, if it has ended by now.
    pub fn look(&self, call: CallId) -> Option<Ended> {
        let mut state = self.state.lock();
        let now = self.clock.now();
        self.take_in(&mut state, now);
        let ended = state.take_end(call);
        self.pass_on(&mut state);
        ended
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

    fn wait_for_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Time,
    ) -> Result<MutexGuard<'a, State>, Rejection> {
        if state.core.when_full() == WhenFull::Reject {
            self.pass_on(&mut state);
            return Err(Rejection::Full);
        }
        state.queued += 1;
        let waiter = Waiter::Room(state.queued);
        let before = state.interruptions;
        let look = |state: &mut State| {
            let interrupted = state.interruptions > before;
            (interrupted || state.has_room()).then_some(interrupted)
        };
        let (interrupted, state) = self.wait_for(state, until, waiter, look);
        match interrupted {
            _ if state.closed => Err(Rejection::Closed),
            Some(false) => Ok(state),
            Some(true) | None => Err(Rejection::Full),
        }
    }
}

/// Checks the caller's own types while no lock is held. The result is kept, and the core finds it.
fn walk(ask: &Ask) {
    let _ = ask.check();
}
