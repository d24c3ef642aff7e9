//! What a node's thread does: wait, take in, step, hand out.

use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use std::vec::IntoIter;

use crossbeam_channel::{Receiver, Sender, at, select};
use parking_lot::Mutex;

use super::Context;
use super::board::{Board, Ended};
use super::disk::{Admission, Farewell, NodeDisk};
use super::machine::{self, MachineThread};
use super::measures::StepMeter;
use super::snapshots::{self, SnapshotThreads};
use crate::check::property::Property;
use crate::check::safety::{Step, Written, answering};
use crate::clock::{Clock, JumpWatch};
use crate::net::Transport;
use crate::net::inbox::InboxReceiver;
use crate::panics::caught;
use crate::protocol::{Envelope, Response};
use crate::raft::effects::RejectReason;
use crate::recording::{MachineMove, StepRecorder};
use crate::server::applier::{Look, Task};
use crate::server::report::replied;
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, EndReason, Server};
use crate::trace::{NodeState, What};
use crate::types::{NodeId, Time};

/// The most arrivals in a step: enough to share the step's own cost, and few enough that what is made of them stays in the
/// processor's cache.
const ARRIVALS_MAX: usize = 256;

/// By this part of the shortest election timeout the machine's clocks may drift apart between two steps.
const JUMP_PART: u32 = 10;

/// Bytes after which a step takes in no further group.
const ARRIVED_BYTES_MAX: usize = 16 << 20;

pub(super) enum Order {
    Crash { power: bool },
    Stop,
    Pause(Sender<()>),
    Resume(Sender<usize>),
    Inspect(Box<dyn FnOnce(&Server) + Send>),
    Look(Look),
    Arrive(Arrival, Sender<()>),
    SetClock(Duration, Sender<()>),
}

pub(super) struct EventLoop {
    pub name: NodeId,
    pub server: Server,
    pub disk: NodeDisk,
    pub snapshots: SnapshotThreads,
    pub machine: MachineThread,
    pub transport: Box<dyn Transport>,
    pub inbox: InboxReceiver,
    pub orders: Receiver<Order>,
    pub board: Arc<Board>,
    pub context: Context,
    /// The node's own clock: what it shows may differ from the run's time.
    pub clock: Clock,
    /// What it last showed: it never goes back.
    pub clock_shown: Time,
    pub arrivals: Vec<Arrival>,
    /// When the server is to be called again though nothing arrives, on the node's own clock.
    pub deadline: Time,
    pub jumps: JumpWatch,
    pub meter: StepMeter,
    /// What was last told of its state, while somebody follows it.
    pub told: Option<Box<NodeState>>,
    /// Records each step.
    pub flight: StepRecorder,
    /// What is left of the group that it took in last.
    pub opened: IntoIter<Envelope>,
    /// When the step in progress, or the last one, began.
    pub step_began: Arc<Mutex<Instant>>,
}

impl EventLoop {
    pub fn live(mut self) {
        let why = caught(|| self.run()).unwrap_or_else(EndReason::Panicked);
        self.flight.ended(self.context.clock.now(), &why);
        let farewell = match why {
            EndReason::Stopped => Farewell::Finish,
            EndReason::Crashed { power: true } => Farewell::PowerCut,
            EndReason::Crashed { power: false }
            | EndReason::Panicked(_)
            | EndReason::MachineFailed(_)
            | EndReason::StorageFailed(_) => Farewell::Abandon,
        };
        let lost = self.disk.leave(farewell);
        if why == EndReason::Stopped {
            self.turn_away();
        }
        self.snapshots.leave();
        self.machine.leave();
        let (name, board, context) = (self.name, Arc::clone(&self.board), self.context.clone());
        // The board shows the end after the inbox is closed and the files are free. The drop of a state machine may panic:
        // the node ends all the same.
        let why = match (caught(|| drop(self)), why) {
            (Err(panic), EndReason::Stopped | EndReason::Crashed { .. }) => {
                EndReason::MachineFailed(format!("its state machine panicked when it was dropped: {panic}"))
            }
            (_, why) => why,
        };
        if let Some(violation) = why.violation(name) {
            context.safety.lock().report(Property::NodeInvariants, violation);
            context.flight_recorder.is_first_break(true);
            context.save_flight(name);
        }
        context.reporter.tell(context.clock.now(), name, [why.clone().into()]);
        board.end(Ended { why, lost });
    }

    /// Answers the requests that no step has taken in as the network does for a node that is down: their clients need not
    /// wait for a time-out.
    fn turn_away(&mut self) {
        let arrived = self.arrivals.drain(..).filter_map(|arrival| match arrival {
            Arrival::Envelope(envelope) => Some(envelope),
            _ => None,
        });
        let opened = std::mem::replace(&mut self.opened, Vec::new().into_iter());
        let waiting = iter::from_fn(|| self.inbox.try_recv().ok()).flatten();
        let mut refusals: Vec<Envelope> =
            arrived.chain(opened).chain(waiting).filter_map(|envelope| envelope.unreachable()).collect();
        self.transport.send(&mut refusals);
    }

    fn run(&mut self) -> EndReason {
        loop {
            if self.arrivals.is_empty()
                && self.opened.len() == 0
                && let Err(end) = self.wait()
            {
                return end;
            }
            if let Err(end) = self.take_waiting().and_then(|()| self.step()) {
                return end;
            }
        }
    }

    /// Sleeps until something arrives or the server's time has come.
    fn wait(&mut self) -> Result<(), EndReason> {
        let deadline = self.clock.instant(self.deadline);
        self.inbox.spin(Some(deadline), || self.has_news());
        if !self.inbox.is_empty() || self.has_news() {
            return Ok(());
        }
        let timer = at(deadline);
        select! {
            recv(self.inbox.receiver()) -> parcel => match parcel {
                Ok(parcel) => self.opened = self.inbox.open(parcel).into_iter(),
                Err(_) => return Err(EndReason::Stopped),
            },
            recv(self.orders) -> order => match order {
                Ok(order) => self.obey(order)?,
                Err(_) => return Err(EndReason::Stopped),
            },
            recv(self.disk.completions()) -> completion => match completion {
                Ok(completion) => self.complete(completion)?,
                Err(_) => return Err(EndReason::StorageFailed("its thread has ended".to_string())),
            },
            recv(self.snapshots.reports()) -> report => {
                self.snapshot_reported(report.expect("this node has a sender of it"))?;
            }
            recv(self.machine.reports()) -> report => match report {
                Ok(report) => self.machine_reported(report)?,
                Err(_) => return Err(EndReason::Panicked("its state machine's thread has ended".to_string())),
            },
            recv(timer) -> _ => {}
        }
        Ok(())
    }

    /// Whether an order, a completion or a report waits.
    fn has_news(&self) -> bool {
        !self.orders.is_empty()
            || !self.disk.completions().is_empty()
            || !self.snapshots.reports().is_empty()
            || !self.machine.reports().is_empty()
    }

    /// Drains what is queued, up to a bound.
    fn take_waiting(&mut self) -> Result<(), EndReason> {
        while let Ok(order) = self.orders.try_recv() {
            self.obey(order)?;
        }
        while let Ok(completion) = self.disk.completions().try_recv() {
            self.complete(completion)?;
        }
        while let Ok(report) = self.snapshots.reports().try_recv() {
            self.snapshot_reported(report)?;
        }
        while let Ok(report) = self.machine.reports().try_recv() {
            self.machine_reported(report)?;
        }
        if let Some((applier, tasks)) = self.machine.come_back() {
            self.server.attach(applier, tasks);
            self.flight.note_machine(MachineMove::Returned);
        }
        let mut bytes = 0;
        while self.arrivals.len() < ARRIVALS_MAX {
            if let Some(envelope) = self.opened.next() {
                self.take_in(envelope);
            } else if bytes < ARRIVED_BYTES_MAX
                && let Ok(parcel) = self.inbox.receiver().try_recv()
            {
                bytes += parcel.weight();
                self.opened = self.inbox.open(parcel).into_iter();
            } else {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn work_beside(&mut self, work: SnapshotWork) -> Result<(), EndReason> {
        self.snapshots.work(work).map_err(|error| EndReason::StorageFailed(error.to_string()))
    }

    fn snapshot_reported(&mut self, report: snapshots::FilesReport) -> Result<(), EndReason> {
        self.arrivals.push(report.map_err(EndReason::StorageFailed)?);
        Ok(())
    }

    fn machine_reported(&mut self, report: machine::MachineReport) -> Result<(), EndReason> {
        let done = self.machine.reported(report).map_err(EndReason::Panicked)?;
        self.arrivals.push(Arrival::Done(done));
        Ok(())
    }

    fn take_in(&mut self, envelope: Envelope) {
        self.tell_arrival(&envelope);
        match self.disk.admission(&envelope) {
            Admission::Take => self.arrivals.push(Arrival::Envelope(envelope)),
            Admission::Refuse => self.refuse(&envelope),
            Admission::Drop => self.drop_message(&envelope),
        }
    }

    /// The disk is behind: the client may try again.
    fn refuse(&mut self, envelope: &Envelope) {
        let term = self.server.raft().current_term();
        let refusal = envelope.reply(term, Response::Rejected(RejectReason::Busy));
        self.tell_replies(self.context.clock.now(), refusal.as_ref().and_then(replied));
        self.transport.send(&mut Vec::from_iter(refusal));
    }

    /// Carries out an order. An error ends the node.
    fn obey(&mut self, order: Order) -> Result<(), EndReason> {
        match order {
            Order::Crash { power } => return Err(EndReason::Crashed { power }),
            Order::Stop => return Err(EndReason::Stopped),
            Order::Pause(done) => {
                let _ = done.send(());
                return self.freeze();
            }
            // It was not frozen, so nothing waited.
            Order::Resume(answer) => drop(answer.send(0)),
            Order::Inspect(look) => look(&self.server),
            Order::Look(look) => match self.server.machine() {
                Some(machine) => look(machine),
                None => self.machine.give(vec![Task::Look(look)]),
            },
            Order::SetClock(ahead, done) => {
                self.clock = self.clock.set_ahead(ahead);
                let _ = done.send(());
            }
            Order::Arrive(arrival, done) => {
                self.take(arrival);
                self.step()?;
                let _ = done.send(());
            }
        }
        Ok(())
    }

    /// Something that did not come over the network.
    fn take(&mut self, arrival: Arrival) {
        if let Arrival::Configure(settings) = &arrival {
            self.keep_heartbeat(settings.heartbeat);
        }
        self.arrivals.push(arrival);
    }

    /// Lets no state machine delay heartbeats for longer than half of their interval, so that two such delays in a row do
    /// not look like a dead leader.
    pub fn keep_heartbeat(&mut self, interval: Duration) {
        let patience = interval / 2;
        self.machine.patience = patience;
        let begun = Arc::clone(&self.step_began);
        self.server.leave_off_when(move || begun.lock().elapsed() > patience);
    }

    /// Makes no step until it is resumed. It still shows its state, which changes nothing.
    fn freeze(&mut self) -> Result<(), EndReason> {
        self.tell(self.name, [What::Paused]);
        while let Ok(order) = self.orders.recv() {
            match order {
                Order::Pause(done) => drop(done.send(())),
                Order::Resume(answer) => {
                    self.tell(self.name, [What::Resumed]);
                    // What was opened before the pause comes first.
                    let opened = std::mem::replace(&mut self.opened, Vec::new().into_iter());
                    let groups = iter::from_fn(|| self.inbox.try_recv().ok());
                    let waiting: Vec<Envelope> = opened.chain(groups.flatten()).collect();
                    let _ = answer.send(waiting.len());
                    self.opened = waiting.into_iter();
                    return Ok(());
                }
                Order::Arrive(arrival, done) => {
                    self.take(arrival);
                    let _ = done.send(());
                }
                other => self.obey(other)?,
            }
        }
        Err(EndReason::Stopped)
    }

    /// One step, and what follows from it.
    fn step(&mut self) -> Result<(), EndReason> {
        let began = Instant::now();
        let now = self.context.clock.time(began);
        self.clock_shown = self.clock_shown.max(self.clock.time(began));
        *self.step_began.lock() = began;
        let jumped = self.jumps.look(began, SystemTime::now());
        if jumped > self.server.raft().settings.election_min / JUMP_PART {
            // The core takes in reads, which a lease could answer, behind all else.
            self.arrivals.push(Arrival::ClockJumped(jumped));
        }
        let answering = answering(self.server.raft(), self.arrivals.iter().filter_map(Arrival::message));
        self.flight.begin(now, self.clock_shown, &self.server, &self.arrivals);
        let mut outbox = self.server.handle(self.clock_shown, &mut self.arrivals);
        self.deadline = outbox.deadline;
        // Only applying can have taken this long.
        let left_off = !outbox.tasks.is_empty() && self.machine.is_here();
        let has_applied = left_off || !outbox.applied.is_empty();
        let took = has_applied.then(|| began.elapsed());
        let slow = took.filter(|took| left_off || self.machine.is_slow(*took));
        let step = Step {
            answering: &answering,
            persisted: outbox.persisted,
            write: outbox.write.as_ref().map(|write| Written::of(self.server.raft(), write)),
            adopted: &outbox.adopted,
            applied: &outbox.applied,
            ..Step::idle(self.server.raft(), self.clock_shown)
        };
        // Checked before any of its messages can reach another node.
        let step_number = self.context.observe(self.server.raft(), &step, outbox.messages());
        self.flight.end(step_number, &self.server, &outbox);
        self.tell_step(now, &mut outbox);
        // Shown before the answers leave: a client with an answer finds its effect in the status.
        let status = self.server.status();
        self.meter.note(&status, began, &self.board.meters);
        self.board.meters.note_snapshots(outbox.saved.iter().len(), outbox.adopted.len());
        self.board.show(status);

        if outbox.writes_at_once() {
            self.hand_to_disk(outbox.write.take())?;
        }
        if !outbox.envelopes.is_empty() {
            self.transport.send(&mut outbox.envelopes);
        }
        if let Some(reason) = outbox.failed {
            return Err(EndReason::MachineFailed(reason));
        }
        self.hand_to_disk(outbox.write)?;
        self.disk.note_commit(self.server.raft().commit_index());
        for work in outbox.snapshots {
            if let SnapshotWork::Save { last, configured, .. } = &work {
                self.context.safety.lock().check_configured(self.name, last.index, Some(configured));
            }
            self.work_beside(work)?;
        }
        if let Some(took) = slow
            && let Some(applier) = self.server.detach()
        {
            self.tell(self.name, [What::MachineSlow { took }]);
            self.flight.note_machine(MachineMove::Left);
            let moved = self.machine.move_away(self.name, applier);
            moved
                .map_err(|error| EndReason::Panicked(format!("the system gives no more threads: {error}")))?;
        }
        self.machine.give(outbox.tasks);
        Ok(())
    }
}
