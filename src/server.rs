//! One node's server, the box of Figure 1: the consensus core, the state machine and the clients that wait, as one unit.
//!
//! [`Server::handle`] is the one place that fixes the order of effects, the same for every driver: step the core,
//! send what may leave at once, hold back what waits for the disk, apply what is committed, answer the clients.
//! The driver owns the disk and the network; it must perform the writes in their order and report each completion. A write
//! that is durable at once comes before all messages of its step, and is not reported.

pub mod applier;
mod applying;
mod ending;
mod entries;
mod exchange;
pub mod frame;
mod lateness;
mod ledger;
pub mod report;
mod requests;
pub mod shape;
pub mod snapshots;
mod status;
pub(crate) mod waiting;

use crate::config::RaftSettings;
use crate::protocol::{Envelope, Packet, Response};
use crate::raft::Raft;
use crate::raft::effects::{Input, RejectReason, RequestId, SnapshotReport, WriteId};
use crate::raft::message::{Body, Message};
use crate::raft::role::Role;
use crate::state_machine::Machine;
use crate::state_machine::image::Image;
use crate::types::{EntryId, LogIndex, NodeId, Random, Term, Time};

pub use self::ending::EndReason;
pub use self::entries::{EntryKind, EntryView, WhichEntry};
pub use self::exchange::{Arrival, Outbox, Start};
pub use self::lateness::LeftOff;
pub(crate) use self::requests::Caller;
pub use self::status::{FollowerView, LogView, MembersView, SnapshotInfo, Status};
pub use crate::types::RoleName;

use self::applier::{Applier, Task};
use self::lateness::Lateness;
use self::ledger::Ledger;
use self::snapshots::SnapshotWork;

/// What one step takes in.
#[derive(Default)]
struct Intake {
    inputs: Vec<Input>,
    persisted: Option<WriteId>,
    /// Stale reads, to be answered from the state after this step.
    stale_reads: Vec<RequestId>,
    installed: Option<(EntryId, Box<dyn Image>)>,
}

pub struct Server {
    raft: Raft,
    /// Empty between steps: kept for its memory.
    inputs: Vec<Input>,
    /// Those of the newest arrival; the core changes its own only within the step.
    settings: RaftSettings,
    /// None while the state machine is on a thread of its own.
    applier: Option<Applier>,
    /// The state machine after it has panicked, dropped with the server.
    broken: Option<Applier>,
    /// Whether the state machine has taken too long in this step.
    lateness: Lateness,
    /// Tasks that the state machine brought back from its thread, to be done first.
    postponed: Vec<Task>,
    /// A machine in its first state, which knows the limits.
    limits: Box<dyn Machine>,
    pub(crate) ledger: Ledger,
}

impl Server {
    /// A server that starts from what its disk held. `blank` makes state machines in their first state: one adopts the
    /// snapshot's state, and the log is replayed into it.
    pub fn new(
        id: NodeId,
        settings: RaftSettings,
        found: Start,
        blank: &dyn Fn() -> Box<dyn Machine>,
        random: Random,
        now: Time,
    ) -> Server {
        let Start { recovered, snapshot, image, at_once } = found;
        assert_eq!(recovered.snapshot, snapshot.last, "there is one newest snapshot");
        let mut machine = blank();
        if let Some(image) = image {
            machine.adopt(snapshot.last, image);
        }
        let mut raft = Raft::new(id, settings.clone(), recovered, random, now);
        raft.expect_writes_at_once(at_once);
        assert_eq!(machine.applied(), raft.snapshot(), "the state machine starts where the snapshot ends");
        Server {
            ledger: Ledger::at_start(&*machine, snapshot, now),
            raft,
            inputs: Vec::new(),
            settings,
            applier: Some(Applier::new(machine)),
            broken: None,
            lateness: Lateness::default(),
            postponed: Vec::new(),
            limits: blank(),
        }
    }

    /// One step: takes in everything that arrived, and returns what the driver has to do. `arrivals` is emptied.
    pub fn handle(&mut self, now: Time, arrivals: &mut Vec<Arrival>) -> Outbox {
        self.lateness.begin(None);
        self.step(now, arrivals)
    }

    /// Takes a step again that was recorded: applying is left off after these entries.
    pub fn handle_again(&mut self, now: Time, arrivals: &mut Vec<Arrival>, left_off: LeftOff) -> Outbox {
        self.lateness.begin(Some(left_off));
        self.step(now, arrivals)
    }

    /// After which entries applying was left off in the last step.
    pub fn left_off(&self) -> LeftOff {
        self.lateness.left_off()
    }

    fn step(&mut self, now: Time, arrivals: &mut Vec<Arrival>) -> Outbox {
        let mut outbox = Outbox::default();
        let led = self.led_term();
        let leader = self.raft.leader();
        let durable = self.raft.durable_index();
        let mut intake = Intake { inputs: std::mem::take(&mut self.inputs), ..Intake::default() };
        for arrival in arrivals.drain(..) {
            self.take_in(arrival, &mut intake, &mut outbox);
        }
        for task in std::mem::take(&mut self.postponed) {
            self.give(task, &mut outbox);
        }
        let mut effects = self.raft.step(now, &mut intake.inputs);
        self.inputs = intake.inputs;

        // Nothing that promises leaves before it is durable, entries are applied before reads are answered, and a snapshot
        // comes last: it covers what was applied.
        self.post(effects.messages, &mut outbox);
        if let Some(mut write) = effects.write.take() {
            self.ledger.held.push_back((write.id, std::mem::take(&mut write.then)));
            if write.at_once {
                intake.persisted = Some(write.id);
            }
            outbox.write = Some(write);
        }
        if let Some(durable) = intake.persisted {
            self.release(durable, &mut outbox);
        }
        self.await_proposals(effects.proposals, &mut outbox);
        self.ledger.changed = effects.changes.pop().or(self.ledger.changed.take());
        outbox.snapshots.extend(effects.snapshots.drain(..).map(SnapshotWork::Task));
        if let Some((last, image)) = intake.installed {
            self.adopt(last, image, &mut outbox);
        }
        self.apply(&mut outbox);
        self.answer_reads(now, effects.reads, intake.stale_reads, &mut outbox);
        // A snapshot's term must be durable before the snapshot is.
        if self.raft.is_hard_state_durable() && self.ledger.schedule.due(&self.settings) {
            self.give(Task::Image, &mut outbox);
        }
        self.ledger.lost_office |= led.is_some() && led != self.led_term();
        if self.ledger.lost_office && !self.raft.awaits_successor() {
            self.ledger.lost_office = false;
            self.release_waiting(&mut outbox);
        }
        if self.raft.leader() != leader || self.led_term() != led {
            self.ledger.leader_since = now;
        }
        outbox.deadline = self.deadline();
        outbox.events = effects.events;
        outbox.durable = Some(self.raft.durable_index()).filter(|now| *now > durable);
        outbox.persisted = intake.persisted;
        outbox
    }

    /// Sorts one thing that arrived: for the core, for the state machine, or for the schedule of snapshots.
    fn take_in(&mut self, arrival: Arrival, intake: &mut Intake, outbox: &mut Outbox) {
        let inputs = &mut intake.inputs;
        match arrival {
            Arrival::Envelope(Envelope { from, packet, .. }) => match packet {
                Packet::Raft(message) => inputs.push(Input::Message(self.shed_entries(message))),
                Packet::Request(request) => {
                    inputs.extend(self.admit(from, request, &mut intake.stale_reads, outbox));
                }
                // Nodes send no requests.
                Packet::Reply(_) | Packet::ConnectionLost => {}
            },
            Arrival::Persisted(id) => {
                intake.persisted = intake.persisted.max(Some(id));
                inputs.push(Input::Persisted(id));
            }
            Arrival::Done(done) => self.settle(done, outbox),
            Arrival::TakeSnapshot => self.ledger.schedule.want(),
            Arrival::SnapshotSaved { last, bytes } => {
                self.ledger.schedule.saved(last, bytes);
                outbox.saved = Some((last, bytes));
                inputs.push(Input::Snapshot(SnapshotReport::Saved(last)));
            }
            Arrival::SnapshotUnwritable { last, reason } => {
                self.ledger.schedule.not_saved();
                outbox.not_saved = Some((last, reason));
            }
            Arrival::SnapshotInstalled { last, bytes, configured, image } => {
                self.ledger.schedule.note_durable(SnapshotInfo { last, bytes, size: image.size() });
                inputs.push(Input::Snapshot(SnapshotReport::Installed(last, configured)));
                intake.installed = Some((last, image));
            }
            Arrival::Snapshot(report) => inputs.push(Input::Snapshot(report)),
            Arrival::Campaign => inputs.push(Input::Campaign),
            Arrival::Transfer(target) => inputs.push(Input::Transfer(target)),
            Arrival::Change(request) => inputs.push(Input::Change(request)),
            Arrival::SetElectionTimer(after) => inputs.push(Input::SetElectionTimer(after)),
            Arrival::ClockJumped(by) => inputs.push(Input::ClockJumped(by)),
            Arrival::Configure(settings) => {
                self.settings = (*settings).clone();
                inputs.push(Input::Configure(settings));
            }
        }
    }

    fn await_proposals(
        &mut self,
        proposals: Vec<(RequestId, Result<EntryId, RejectReason>)>,
        outbox: &mut Outbox,
    ) {
        for (request, result) in proposals {
            match result {
                Ok(entry) => {
                    let entry = self.raft.log().get(entry.index).expect("it has just been appended");
                    self.ledger.waiting.begin(entry, request);
                }
                Err(reason) => self.answer(request, Response::Rejected(reason), outbox),
            }
        }
    }

    fn answer_reads(
        &mut self,
        now: Time,
        reads: Vec<(RequestId, Result<LogIndex, RejectReason>)>,
        stale_reads: Vec<RequestId>,
        outbox: &mut Outbox,
    ) {
        for (request, result) in reads {
            match result {
                Ok(index) => {
                    assert!(self.ledger.handed >= index, "a read sees every write before it (8)");
                    self.answer_read(request, None, outbox);
                }
                Err(reason) => self.answer(request, Response::Rejected(reason), outbox),
            }
        }
        let staleness = self.raft.fresh_as_of(now).map(|as_of| now.since(as_of));
        for request in stale_reads {
            self.answer_read(request, staleness, outbox);
        }
    }

    /// When to call [`Server::handle`] again though nothing arrives.
    pub fn deadline(&self) -> Time {
        self.raft.deadline()
    }

    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The state machine; none while it is on a thread of its own.
    pub fn machine(&self) -> Option<&dyn Machine> {
        self.applier.as_ref().map(Applier::machine)
    }

    /// Items of the state, as last reported.
    pub fn size(&self) -> usize {
        self.ledger.size
    }

    pub fn applied(&self) -> EntryId {
        self.ledger.applied
    }

    /// Asks `is_late` after each applied entry whether to leave the rest of the step's entries to a thread of the state
    /// machine's own. They are in the [`Outbox`] then, and the machine must be detached and given them.
    pub fn leave_off_when(&mut self, is_late: impl Fn() -> bool + Send + 'static) {
        self.lateness = Lateness::by_clock(is_late);
    }

    /// Hands out the state machine for a thread of its own. From now on its tasks are in each [`Outbox`], and their results
    /// must arrive as [`Arrival::Done`], in order. None when it is away already.
    pub fn detach(&mut self) -> Option<Applier> {
        self.applier.take()
    }

    /// Takes the state machine back, with the tasks that it was not given. All its results have arrived, or are among the
    /// next arrivals.
    pub fn attach(&mut self, applier: Applier, tasks: Vec<Task>) {
        self.applier = Some(applier);
        self.postponed = tasks;
    }

    /// Whether the state machine is so far behind that the server must take in no more entries.
    pub fn lags(&self) -> bool {
        self.ledger.unapplied_bytes > self.settings.uncommitted_bytes_max
    }

    /// For the museum of broken rules: a mutation reaches into the core of a simulated node.
    pub(crate) fn raft_mut(&mut self) -> &mut Raft {
        &mut self.raft
    }

    fn led_term(&self) -> Option<Term> {
        matches!(self.raft.role(), Role::Leader(_)).then(|| self.raft.current_term())
    }

    /// Drops a message's entries while the state machine lags: it is answered as if it had carried none, and the leader
    /// sends them again. The message itself is delivered, so nothing is counted as dropped.
    fn shed_entries(&self, mut message: Message) -> Message {
        if let Body::AppendEntries { entries, .. } = &mut message.body
            && self.lags()
        {
            entries.clear();
        }
        message
    }

    /// Sends the messages that waited for this write or an earlier one.
    fn release(&mut self, durable: WriteId, outbox: &mut Outbox) {
        while let Some((_, messages)) = self.ledger.held.pop_front_if(|(id, _)| *id <= durable) {
            self.post(messages, outbox);
        }
    }

    /// Puts messages into envelopes, each with a flight of its own.
    fn post(&mut self, messages: Vec<Message>, outbox: &mut Outbox) {
        outbox.envelopes.reserve(messages.len());
        for message in messages {
            self.ledger.last_flight += 1;
            let envelope = Envelope::new(message.from.into(), message.to.into(), Packet::Raft(message));
            outbox.envelopes.push(envelope.numbered(self.ledger.last_flight));
        }
    }
}
