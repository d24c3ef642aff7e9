//! The router thread: every message of a run on threads passes it, the clients' too, and meets its fate here.
//!
//! It spins (`src/spin.rs`), then sleeps until a group or an order arrives or a delayed message is due. It never waits for
//! a destination, and it does not end when another thread does.

mod held_back;
mod orders;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, at, never, select, unbounded};
use log::LevelFilter;
use parking_lot::RwLock;

use self::held_back::HeldBack;
use super::counts::Counts;
use super::handle::Control;
pub use super::handle::{Observer, RouterHandle};
use super::inbox::{Inbox, InboxReceiver, NotSent, Parcel, inbox};
use super::lanes::{Lanes, Routes};
use crate::clock::Clock;
use crate::faults::{DropReason, Fate, Faults};
use crate::panics::caught;
use crate::protocol::{Address, Envelope};
use crate::types::{NodeId, Random};

/// Groups that are taken in at a time, before what they hold is handed on.
const GROUPS_AT_A_TIME: usize = 64;
/// Bytes after which no further group is taken in, before what is in hand is handed on.
const BYTES_AT_A_TIME: usize = 8 << 20;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouterSettings {
    /// Groups that may wait for the router; more are lost.
    pub inbox_max: usize,
    /// Bytes that may wait for the router; more are lost.
    pub inbox_bytes_max: usize,
    /// Messages that may be held back by delays; more are lost.
    pub held_back_max: usize,
    /// Bytes that may be held back by delays; more are lost.
    pub held_back_bytes_max: usize,
    /// Whether messages may pass the router by, straight to the destination's inbox, on links that no rule touches.
    pub express: bool,
    /// The only node of this process, if the others run in processes of their own: what these send has met its fate at
    /// their own router.
    pub home: Option<NodeId>,
}

impl Default for RouterSettings {
    fn default() -> RouterSettings {
        RouterSettings {
            inbox_max: 4096,
            inbox_bytes_max: 128 << 20,
            held_back_max: 1 << 18,
            held_back_bytes_max: 128 << 20,
            express: false,
            home: None,
        }
    }
}

/// The running router. Dropping it stops it.
#[derive(Debug)]
pub struct Router {
    handle: RouterHandle,
    thread: Option<JoinHandle<()>>,
}

impl Router {
    /// Starts the thread, with no rule on any link and no destination.
    ///
    /// # Errors
    ///
    /// When the system has no thread left.
    pub fn start(
        nodes: &[NodeId],
        settings: &RouterSettings,
        clock: Clock,
        random: Random,
    ) -> io::Result<Router> {
        let (inbox_sender, inbox) = inbox(settings.inbox_max, settings.inbox_bytes_max);
        let (control_sender, control) = unbounded();
        let faults = Faults::new(nodes, random);
        let lanes = Lanes { open: faults.clear_links(), inboxes: HashMap::default() };
        let lanes = settings.express.then(|| RwLock::new(lanes));
        let routes = Arc::new(Routes { counts: Counts::default(), lanes });
        let handle =
            RouterHandle { inbox: inbox_sender, control: control_sender, routes: Arc::clone(&routes) };
        let routing = Routing {
            home: settings.home,
            clock,
            inbox,
            control,
            routes,
            faults,
            observer: None,
            destinations: HashMap::new(),
            touched: Vec::new(),
            held_back: HeldBack::new(settings.held_back_max, settings.held_back_bytes_max),
        };
        let thread = thread::Builder::new().name("router".to_string()).spawn(move || routing.run())?;
        Ok(Router { handle, thread: Some(thread) })
    }

    pub fn handle(&self) -> RouterHandle {
        self.handle.clone()
    }

    /// Delivers what was sent before this call, then ends the thread. Delayed messages are lost.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let _ = self.handle.control.send(Control::Stop);
        let _ = thread.join();
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.end();
    }
}

struct Routing {
    /// See [`RouterSettings::home`].
    home: Option<NodeId>,
    clock: Clock,
    inbox: InboxReceiver,
    control: Receiver<Control>,
    routes: Arc<Routes>,
    faults: Faults,
    observer: Option<Observer>,
    destinations: HashMap<Address, Destination>,
    /// The destinations with a gathered group, in the order of arrival.
    touched: Vec<Address>,
    held_back: HeldBack,
}

/// A registered inbox, and the group that is gathered for it.
struct Destination {
    inbox: Inbox,
    gathered: Vec<Envelope>,
}

impl Routing {
    fn run(mut self) {
        loop {
            // Payloads and observers run code of their own. Its panic loses the messages in hand, as a network may, and
            // never stops the network.
            match caught(|| self.turn()) {
                Ok(true) => {}
                Ok(false) => break,
                Err(panic) => report_panic(&panic),
            }
        }
        let last = caught(|| {
            while let Ok(parcel) = self.inbox.receiver().try_recv() {
                self.take_in(parcel);
                self.hand_over();
            }
        });
        if let Err(panic) = last {
            report_panic(&panic);
        }
        if let Some(lanes) = &self.routes.lanes {
            // Otherwise a client that still holds a handle would keep its own inbox open with it.
            lanes.write().inboxes.clear();
        }
    }

    /// Waits for one thing and handles it. False when the router must stop.
    fn turn(&mut self) -> bool {
        let due = self.held_back.next_due().map(|due| self.clock.instant(due));
        let timer = due.map_or_else(never, at);
        self.inbox.spin(due, || !self.control.is_empty());
        select! {
            recv(self.inbox.receiver()) -> parcel => match parcel {
                Ok(parcel) => self.take_in(parcel),
                Err(_) => return false,
            },
            recv(self.control) -> request => match request {
                Ok(Control::Stop) | Err(_) => return false,
                Ok(request) => self.obey(request),
            },
            recv(timer) -> _ => {}
        }
        self.release_due();
        self.hand_over();
        true
    }

    /// Drains this parcel and those queued behind it, up to a bound.
    fn take_in(&mut self, first: Parcel) {
        let mut next = Some(first);
        let (mut groups, mut bytes) = (0, 0);
        while let Some(parcel) = next {
            groups += 1;
            bytes += parcel.weight();
            let group = self.inbox.open(parcel);
            self.route_group(group);
            let goes_on = groups < GROUPS_AT_A_TIME && bytes < BYTES_AT_A_TIME;
            next = goes_on.then(|| self.inbox.receiver().try_recv().ok()).flatten();
        }
    }

    /// A group on one link without rules is moved whole; the messages of others one by one.
    fn route_group(&mut self, mut group: Vec<Envelope>) {
        self.routes.counts.sent(&group);
        let link = group.first().map(|first| (first.from, first.to));
        let whole = link.filter(|&(from, to)| {
            self.observer.is_none()
                && self.faults.is_clear(from.into(), to.into())
                && group.iter().all(|envelope| (envelope.from, envelope.to) == (from, to))
        });
        let Some(destination) = whole.and_then(|(_, to)| self.touch(to)) else {
            return group.into_iter().for_each(|envelope| self.route(envelope));
        };
        if destination.gathered.is_empty() {
            destination.gathered = group;
        } else {
            destination.gathered.append(&mut group);
        }
    }

    fn route(&mut self, envelope: Envelope) {
        if self.is_from_afar(envelope.from) {
            // Its sender has shown it.
            return self.arrive(envelope);
        }
        let fate = self.faults.decide(envelope.from, envelope.to);
        self.show(&envelope, fate);
        match fate {
            Fate::Dropped(_) => self.routes.counts.dropped(&[envelope]),
            Fate::Delivered { delay, duplicate: None } => self.carry(envelope, delay),
            Fate::Delivered { delay, duplicate: Some(later) } => {
                self.routes.counts.duplicated(envelope.from, envelope.to);
                self.carry(envelope.clone(), delay);
                self.carry(envelope, later);
            }
        }
    }

    /// Whether another process has decided the fate of what this one sends.
    fn is_from_afar(&self, from: Address) -> bool {
        matches!((self.home, from), (Some(home), Address::Node(from)) if from != home)
    }

    fn carry(&mut self, envelope: Envelope, delay: Duration) {
        if delay.is_zero() {
            return self.arrive(envelope);
        }
        let (from, to) = (envelope.from, envelope.to);
        match self.held_back.push(self.clock.now() + delay, envelope) {
            None => self.routes.counts.held_back(from, to),
            Some(envelope) => self.lose(&envelope, DropReason::Overflow),
        }
    }

    fn release_due(&mut self) {
        if self.held_back.next_due().is_none() {
            return;
        }
        let now = self.clock.now();
        while let Some(envelope) = self.held_back.pop_due(now) {
            self.routes.counts.released(envelope.from, envelope.to);
            self.arrive(envelope);
        }
    }

    fn arrive(&mut self, envelope: Envelope) {
        match self.touch(envelope.to) {
            Some(destination) => destination.gathered.push(envelope),
            None => self.lose(&envelope, DropReason::Down),
        }
    }

    /// This destination, if it is registered; the caller adds to its group.
    fn touch(&mut self, to: Address) -> Option<&mut Destination> {
        let destination = self.destinations.get_mut(&to)?;
        if destination.gathered.is_empty() {
            self.touched.push(to);
        }
        Some(destination)
    }

    /// Sends each destination its group. A lost request adds a refusal to another group, so the list may grow meanwhile.
    fn hand_over(&mut self) {
        let mut next = 0;
        while let Some(address) = self.touched.get(next).copied() {
            next += 1;
            let Some(destination) = self.destinations.get_mut(&address) else { continue };
            let group = std::mem::take(&mut destination.gathered);
            self.routes.counts.delivered(&group);
            match destination.inbox.try_send(group) {
                Ok(()) => {}
                Err(NotSent::Full(rest)) => self.take_back(rest, DropReason::Overflow),
                Err(NotSent::Closed(group)) => {
                    self.forget(address);
                    self.take_back(group, DropReason::Down);
                }
            }
        }
        self.touched.clear();
    }

    fn take_back(&mut self, group: Vec<Envelope>, reason: DropReason) {
        self.routes.counts.not_delivered(&group);
        for envelope in group {
            self.report_loss(&envelope, reason);
        }
    }

    fn lose(&mut self, envelope: &Envelope, reason: DropReason) {
        self.routes.counts.dropped(std::slice::from_ref(envelope));
        self.report_loss(envelope, reason);
    }

    /// Shows the loss to the observer. A client whose node is down is told at once; a full queue, like a cut link, says
    /// nothing.
    fn report_loss(&mut self, envelope: &Envelope, reason: DropReason) {
        self.show(envelope, Fate::Dropped(reason));
        if reason == DropReason::Down
            && let Some(refusal) = envelope.unreachable()
        {
            self.routes.counts.sent(std::slice::from_ref(&refusal));
            self.route(refusal);
        }
    }

    fn show(&self, envelope: &Envelope, fate: Fate) {
        if let Some(observer) = &self.observer {
            observer(envelope, &fate);
        }
    }
}

fn report_panic(panic: &str) {
    log::error!(target: "raftlab::router", "messages are lost by a panic: {panic}");
    if log::max_level() == LevelFilter::Off {
        eprintln!("raftlab: the network has lost messages by a panic: {panic}");
    }
}

#[cfg(test)]
mod tests;
