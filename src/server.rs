//! Figure 1's box: the consensus core, the state machine and the clients that wait, as one unit.
//!
//! [`Server::handle`] is the one place that fixes the order of effects, the same for every driver: step the core,
//! hand out what may leave at once, hold back what waits for the disk, apply what is committed, answer the clients.
//! The driver owns the disk and the network; it must perform the writes in their order and report each completion.

pub mod applier;
mod exchange;
pub mod snapshots;
pub(crate) mod waiting;

use std::collections::VecDeque;
use std::time::Duration;

use crate::ascending::Ascending;
use crate::config::RaftSettings;
use crate::lab::{LogView, RoleName, SnapshotInfo, Status};
use crate::net::packet::{Address, Attempt, Call, Envelope, Packet, ReadMode, Reply, Request, Response};
use crate::payload::Payload;
use crate::raft::Raft;
use crate::raft::effects::{Input, Proposal, ReadRequest, Refusal, RequestId, SnapshotReport, WriteId};
use crate::raft::log::{Content, Entry};
use crate::raft::message::{Body, Message};
use crate::raft::role::Role;
use crate::state_machine::image::Image;
use crate::state_machine::{Applied, AppliedEntry, Machine};
use crate::types::{EntryId, LogIndex, NodeId, Random, Term, Time};

pub use self::exchange::{Arrival, Outbox, Start};

use self::applier::{Applier, Done, EntryResult, Task};
use self::snapshots::{Schedule, SnapshotWork};
use self::waiting::{Joined, Waiting};

/// One node's server.
pub struct Server {
    raft: Raft,
    /// Empty between steps: its memory is used again.
    inputs: Vec<Input>,
    settings: RaftSettings,
    /// The state machine; none while it is on a thread of its own.
    applier: Option<Applier>,
    /// Whether the state machine has been at work for too long in this step.
    is_late: Box<dyn Fn() -> bool + Send>,
    /// What the state machine is to do first, now that it is back.
    postponed: Vec<Task>,
    /// A machine in its first state, to ask what is within the limits.
    limits: Box<dyn Machine>,
    /// The last entry that was applied, as far as this server has heard.
    applied: EntryId,
    /// How many items its state held then.
    size: usize,
    /// Up to where entries went to the state machine, and bytes of those of which it has not heard.
    pub(crate) handed: LogIndex,
    unapplied_bytes: usize,
    schedule: Schedule,
    /// Messages that leave when their write is durable.
    pub(crate) held: VecDeque<(WriteId, Vec<Message>)>,
    /// Requests that were taken in and not answered yet.
    pub(crate) calls: Ascending<RequestId, Caller>,
    /// The requests behind the entries that this leader appended.
    pub(crate) waiting: Waiting,
    last_request: RequestId,
    /// Since when the leader that it knows has been the one it knows.
    leader_since: Time,
}

/// Who waits for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    address: Address,
    pub(crate) attempt: Attempt,
    /// The question, if it was one.
    query: Option<Payload>,
}

impl Server {
    /// A server that starts from what its disk held, with state machines in their first state from `blank`: the
    /// snapshot's state is taken over, and the log is replayed into it.
    pub fn new(
        id: NodeId,
        members: &[NodeId],
        settings: RaftSettings,
        found: Start,
        blank: &dyn Fn() -> Box<dyn Machine>,
        random: Random,
        now: Time,
    ) -> Server {
        let Start { recovered, snapshot, image } = found;
        assert_eq!(recovered.snapshot, snapshot.last, "there is one newest snapshot");
        let mut machine = blank();
        if let Some(image) = image {
            machine.adopt(snapshot.last, image);
        }
        let raft = Raft::new(id, members.iter().copied(), settings.clone(), recovered, random, now);
        assert_eq!(machine.applied(), raft.snapshot(), "the state machine starts where the snapshot ends");
        Server {
            applied: machine.applied(),
            size: machine.size(),
            handed: machine.applied().index,
            unapplied_bytes: 0,
            schedule: Schedule::recovered(snapshot),
            raft,
            inputs: Vec::new(),
            settings,
            applier: Some(Applier::new(machine)),
            is_late: Box::new(|| false),
            postponed: Vec::new(),
            limits: blank(),
            held: VecDeque::new(),
            calls: Ascending::default(),
            waiting: Waiting::default(),
            last_request: 0,
            leader_since: now,
        }
    }

    /// Takes in everything that arrived and says what is to be done. `arrivals` is emptied.
    pub fn handle(&mut self, now: Time, arrivals: &mut Vec<Arrival>) -> Outbox {
        let mut outbox = Outbox::default();
        let led = self.led_term();
        let leader = self.raft.leader();
        let mut persisted = None;
        let mut stale_reads = Vec::new();
        let mut installed = None;
        let mut inputs = std::mem::take(&mut self.inputs);
        for arrival in arrivals.drain(..) {
            match arrival {
                Arrival::Envelope(Envelope { from, packet, .. }) => match packet {
                    Packet::Raft(message) => inputs.push(Input::Message(self.bearable(message))),
                    Packet::Request(request) => {
                        inputs.extend(self.admit(from, request, &mut stale_reads, &mut outbox));
                    }
                    // Nodes ask nothing of clients.
                    Packet::Reply(_) => {}
                },
                Arrival::Persisted(id) => {
                    persisted = persisted.max(Some(id));
                    inputs.push(Input::Persisted(id));
                }
                Arrival::Done(done) => self.settle(done, &mut outbox),
                Arrival::TakeSnapshot => self.schedule.want(),
                Arrival::SnapshotSaved { last, bytes } => {
                    self.schedule.saved(last, bytes);
                    outbox.saved = Some((last, bytes));
                    inputs.push(Input::Snapshot(SnapshotReport::Saved(last)));
                }
                Arrival::SnapshotInstalled { last, bytes, image } => {
                    self.schedule.note_durable(SnapshotInfo { last, bytes, size: image.size() });
                    inputs.push(Input::Snapshot(SnapshotReport::Installed(last)));
                    installed = Some((last, image));
                }
                Arrival::Snapshot(report) => inputs.push(Input::Snapshot(report)),
                Arrival::Campaign => inputs.push(Input::Campaign),
                Arrival::SetElectionTimer(after) => inputs.push(Input::SetElectionTimer(after)),
            }
        }

        for task in std::mem::take(&mut self.postponed) {
            self.give(task, &mut outbox);
        }
        let mut effects = self.raft.step(now, &mut inputs);
        self.inputs = inputs;

        post(effects.messages, &mut outbox);
        if let Some(durable) = persisted {
            self.release(durable, &mut outbox);
        }
        if let Some(mut write) = effects.write.take() {
            self.held.push_back((write.id, std::mem::take(&mut write.then)));
            outbox.write = Some(write);
        }
        for (request, result) in effects.proposals {
            match result {
                Ok(entry) => {
                    let entry = self.raft.log().get(entry.index).expect("it has just been appended");
                    self.waiting.begin(entry, request);
                }
                Err(refusal) => self.answer(request, Response::Refused(refusal), &mut outbox),
            }
        }
        outbox.snapshots.extend(effects.snapshots.drain(..).map(SnapshotWork::Task));
        if let Some((last, image)) = installed {
            self.adopt(last, image, &mut outbox);
        }
        self.apply(&mut outbox);
        for (request, result) in effects.reads {
            match result {
                Ok(index) => {
                    assert!(self.handed >= index, "a read sees every write before it (8)");
                    self.answer_read(request, None, &mut outbox);
                }
                Err(refusal) => self.answer(request, Response::Refused(refusal), &mut outbox),
            }
        }
        let age = self.raft.fresh_as_of(now).map(|as_of| now.since(as_of));
        for request in stale_reads {
            self.answer_read(request, age, &mut outbox);
        }
        // A snapshot's term must be durable before the snapshot is.
        if self.raft.is_hard_state_durable() && self.schedule.due(&self.settings) {
            self.give(Task::Image, &mut outbox);
        }
        if led.is_some() && led != self.led_term() {
            self.release_waiting(&mut outbox);
        }
        if self.raft.leader() != leader || self.led_term() != led {
            self.leader_since = now;
        }
        outbox.events = effects.events;
        outbox.persisted = persisted;
        outbox
    }

    /// When to call [`Server::handle`] again though nothing arrives.
    pub fn deadline(&self) -> Time {
        self.raft.deadline()
    }

    /// The consensus core.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The state machine; none while it is on a thread of its own.
    pub fn machine(&self) -> Option<&dyn Machine> {
        self.applier.as_ref().map(Applier::machine)
    }

    /// The last entry that was applied, as far as this server has heard.
    pub fn applied(&self) -> EntryId {
        self.applied
    }

    /// Asks this after each entry that is applied: whether the rest of the step's entries are to be left to a thread of
    /// the state machine's own. They are in the [`Outbox`] then, and the machine must be handed out and given them.
    pub fn leave_off_when(&mut self, is_late: impl Fn() -> bool + Send + 'static) {
        self.is_late = Box::new(is_late);
    }

    /// Hands out the state machine, to be used on a thread of its own: from now on what it is to do is in each
    /// [`Outbox`], and what came of it must be told as [`Arrival::Done`], in order. None when it is away already.
    pub fn detach(&mut self) -> Option<Applier> {
        self.applier.take()
    }

    /// Takes the state machine back, with what it was not given yet. It has told all that came of what it was given, or
    /// that is about to be handed in.
    pub fn attach(&mut self, applier: Applier, tasks: Vec<Task>) {
        self.applier = Some(applier);
        self.postponed = tasks;
    }

    /// Whether the state machine is so far behind that nothing more should be taken in for it.
    pub fn lags(&self) -> bool {
        self.unapplied_bytes > self.settings.uncommitted_bytes_max
    }

    /// What this server knows of itself, less the time since when.
    pub fn status(&self) -> Status {
        let raft = &self.raft;
        Status {
            role: match raft.role() {
                Role::Follower(_) => RoleName::Follower,
                Role::PreCandidate(_) => RoleName::PreCandidate,
                Role::Candidate(_) => RoleName::Candidate,
                Role::Leader(_) => RoleName::Leader,
            },
            term: raft.current_term(),
            leader: raft.leader(),
            since: self.leader_since,
            voted_for: raft.voted_for(),
            last: raft.log().last(),
            base: raft.log().base(),
            commit: raft.commit_index(),
            applied: self.applied.index,
            snapshot: self.schedule.newest,
            joining: raft.joins(),
            size: self.size,
        }
    }

    /// The log as the console's matrix shows it.
    pub fn log_view(&self) -> LogView {
        let log = self.raft.log();
        let terms = log.range(log.base().index.next(), log.last().index).map(|entry| entry.term).collect();
        LogView { base: log.base(), snapshot: self.raft.snapshot(), terms, commit: self.raft.commit_index() }
    }

    /// For the museum of broken rules: an exhibit reaches into the core of a simulated node.
    pub(crate) fn raft_mut(&mut self) -> &mut Raft {
        &mut self.raft
    }

    fn led_term(&self) -> Option<Term> {
        matches!(self.raft.role(), Role::Leader(_)).then(|| self.raft.current_term())
    }

    /// A message as this node can bear it: while its state machine is far behind it takes in no entries, and answers as
    /// if the message had carried none. The leader sends them again.
    fn bearable(&self, mut message: Message) -> Message {
        if let Body::AppendEntries { entries, .. } = &mut message.body
            && self.lags()
        {
            entries.clear();
        }
        message
    }

    /// Takes in a client's request. What cannot be carried out is refused before it can enter the log.
    fn admit(
        &mut self,
        from: Address,
        request: Request,
        stale_reads: &mut Vec<RequestId>,
        outbox: &mut Outbox,
    ) -> Option<Input> {
        let Address::Client(client) = from else { return None };
        self.last_request += 1;
        let id = self.last_request;
        let mut caller = Caller { address: from, attempt: request.attempt, query: None };
        if request.call.is_logged() && self.lags() {
            self.reply(&caller, Response::Refused(Refusal::Busy), outbox);
            return None;
        }
        let content = match request.call {
            Call::Open => Content::Open { client, sessions_max: self.settings.sessions_max },
            Call::Command { origin, command } => Content::Command { origin, command },
            Call::Settle { origin } => Content::Settle { origin },
            Call::Read { query, mode, here } => {
                caller.query = Some(query);
                self.calls.insert(id, caller);
                return match mode {
                    ReadMode::Linearizable | ReadMode::Lease => {
                        Some(Input::Read(ReadRequest { id, here, by_lease: mode == ReadMode::Lease }))
                    }
                    ReadMode::Stale => {
                        stale_reads.push(id);
                        None
                    }
                };
            }
        };
        if let Joined::Entry { displaced } = self.waiting.join(&content, id) {
            displaced.and_then(|displaced| self.calls.remove(displaced));
            self.calls.insert(id, caller);
            return None;
        }
        if let Content::Command { command, .. } = &content
            && let Err(reason) = self.limits.check(command)
        {
            self.reply(&caller, Response::Invalid(reason), outbox);
            return None;
        }
        self.calls.insert(id, caller);
        Some(Input::Propose(Proposal { id, content }))
    }

    /// What waited for this write, or an earlier one, may leave.
    fn release(&mut self, durable: WriteId, outbox: &mut Outbox) {
        while let Some((_, messages)) = self.held.pop_front_if(|(id, _)| *id <= durable) {
            post(messages, outbox);
        }
    }

    /// The state of a leader's snapshot replaces the state machine's, unless that has come as far by itself.
    fn adopt(&mut self, last: EntryId, image: Box<dyn Image>, outbox: &mut Outbox) {
        if last.index <= self.handed {
            return;
        }
        self.handed = last.index;
        self.schedule.adopted();
        // Figure 13, InstallSnapshot 8: the state machine's state is that of the snapshot, sessions and all.
        self.give(Task::Adopt { last, image }, outbox);
    }

    // Figure 2, All Servers 1: while commitIndex > lastApplied, apply the next entry.
    fn apply(&mut self, outbox: &mut Outbox) {
        let (first, last) = (self.handed.next(), self.raft.commit_index());
        if first > last {
            return;
        }
        let log = self.raft.log();
        for entry in log.range(first, last) {
            let weight = entry.weight();
            self.schedule.note_entry(weight);
            self.unapplied_bytes += weight;
        }
        self.handed = last;
        let mut left = first;
        if let Some(applier) = &mut self.applier
            && outbox.tasks.is_empty()
        {
            let done = applier.apply(log.range(first, last), &*self.is_late);
            left = applier.machine().applied().index.next();
            self.settle(done, outbox);
        }
        if left <= last {
            // An entry is shared, so this copies references.
            let rest: Vec<Entry> = self.raft.log().range(left, last).cloned().collect();
            outbox.tasks.push(Task::Apply(rest.into_iter()));
        }
    }

    /// Lets the state machine do something, here or on its own thread.
    fn give(&mut self, task: Task, outbox: &mut Outbox) {
        match &mut self.applier {
            // What was left over comes first.
            Some(applier) if outbox.tasks.is_empty() => {
                let (done, rest) = applier.perform(task, &*self.is_late);
                outbox.tasks.extend(rest);
                self.settle(done, outbox);
            }
            _ => outbox.tasks.push(task),
        }
    }

    /// The state machine has done something.
    fn settle(&mut self, done: Done, outbox: &mut Outbox) {
        match done {
            Done::Applied(mut entries, size) => {
                self.size = size;
                outbox.applied.reserve(entries.len());
                outbox.envelopes.reserve(entries.len().min(self.calls.len()));
                for entry in entries.drain(..) {
                    self.settle_entry(entry, outbox);
                }
                if let Some(applier) = &mut self.applier {
                    applier.reuse(entries);
                }
            }
            Done::Answered(request, response) => self.answer(request, response, outbox),
            Done::Imaged(last, image) => {
                self.schedule.imaged(image.size());
                outbox.snapshots.push(SnapshotWork::Save { last, image });
            }
            Done::Adopted(last, size) => {
                (self.applied, self.size) = (last, size);
                outbox.adopted.push((outbox.applied.len(), last));
            }
            Done::Looked => {}
        }
    }

    fn settle_entry(&mut self, result: EntryResult, outbox: &mut Outbox) {
        let EntryResult { entry, weight, command, applied } = result;
        self.applied = entry;
        self.unapplied_bytes = self.unapplied_bytes.saturating_sub(weight);
        let (carried_out, repetition) = match &applied {
            Applied::Answered { entry: by, .. } if *by == entry => (command, false),
            Applied::Answered { .. } | Applied::Forgotten => (None, command.is_some()),
            _ => (None, false),
        };
        let expired = applied == Applied::Expired;
        outbox.applied.push(AppliedEntry { entry, carried_out, repetition, expired });
        let Some((term, requests)) = self.waiting.end(entry.index) else { return };
        let response = match applied {
            // The place went to another leader's entry: this client's command is not here.
            _ if term != entry.term => Response::LeadershipLost { leader: self.raft.leader() },
            Applied::Answered { entry, answer } => Response::Applied { entry, answer },
            Applied::Opened { session } => Response::Opened { session },
            Applied::GivenUp => Response::GivenUp,
            Applied::Forgotten => Response::Forgotten,
            Applied::Expired => Response::Expired,
            Applied::Invalid { reason } => Response::Invalid(reason),
            Applied::NoOp => unreachable!("a client's request is no no-op"),
        };
        for request in requests {
            self.answer(request, response.clone(), outbox);
        }
    }

    fn answer_read(&mut self, request: RequestId, age: Option<Duration>, outbox: &mut Outbox) {
        let query = self.calls.get(request).and_then(|caller| caller.query.clone());
        let query = query.expect("a read keeps its question until it is answered");
        self.give(Task::Query { request, query, age }, outbox);
    }

    /// Leadership ended: whoever waits for an entry is told at once, for nobody here will.
    fn release_waiting(&mut self, outbox: &mut Outbox) {
        let leader = self.raft.leader();
        for request in self.waiting.end_all() {
            self.answer(request, Response::LeadershipLost { leader }, outbox);
        }
    }

    fn answer(&mut self, request: RequestId, response: Response, outbox: &mut Outbox) {
        let caller = self.calls.remove(request).expect("each request is answered once");
        self.reply(&caller, response, outbox);
    }

    fn reply(&self, caller: &Caller, response: Response, outbox: &mut Outbox) {
        let reply = Reply { attempt: caller.attempt, term: self.raft.current_term(), response };
        let from = Address::Node(self.raft.id());
        outbox.envelopes.push(Envelope { from, to: caller.address, packet: Packet::Reply(reply) });
    }
}

fn post(messages: Vec<Message>, outbox: &mut Outbox) {
    outbox.envelopes.extend(messages.into_iter().map(|message| Envelope {
        from: Address::Node(message.from),
        to: Address::Node(message.to),
        packet: Packet::Raft(message),
    }));
}
