//! The consensus core: Figure 2 of the Raft paper as a deterministic state machine.
//!
//! A driver calls [`Raft::step`] with the time and what arrived, and carries out the [`Effects`] that come back; it
//! calls again when [`Raft::deadline`] has passed. Nothing else goes in or out. The core never reads a clock, draws
//! from a source of chance that is not seeded, touches a file or a socket, starts a thread or writes a log line.
//!
//! Reading order: [`message`] and [`effects`] (what goes in and out), [`role`], [`entry`] and [`log`] (the state), then
//! the rules, split as Figure 2 is: `election` (5.2, 5.4.1), `replication` (5.3), `commit` (5.4.2); `snapshot` (7) and
//! [`membership`] (6). `durability` says what the disk holds, `invariants` what must hold after every step, [`reject`] why a
//! request is not taken in, [`event`] what is told of a step, and `readers` what others may read. What is not in Figure 2 is in
//! `beyond`, and `beyond.rs` says where Figure 2 meets it. Each rule is tagged where it is obeyed: search for `Figure 2, Leaders 3`.

#[cfg(test)]
mod bench;
pub(crate) mod beyond;
mod commit;
mod durability;
pub mod effects;
mod election;
pub mod entry;
pub mod event;
mod invariants;
pub mod log;
pub mod membership;
pub mod message;
mod readers;
pub mod reject;
mod replication;
pub mod role;
mod snapshot;

use smallvec::SmallVec;

use crate::config::RaftSettings;
use crate::types::{EntryId, LogIndex, Member, NodeId, Random, StoreId, Term, Time};

use beyond::Beyond;
use durability::Durability;
use effects::{Effects, HardState, Input, Needed};
use entry::Entry;
use event::{Event, StepDownReason};
use invariants::Marks;
use log::Log;
use membership::Configurations;
use membership::configured::Configured;
use message::{Body, Files, Message};
use role::{Follower, Role};
use snapshot::Receiving;

/// One item per node, inline up to eight.
type Few<T> = SmallVec<[T; 8]>;

/// One node's consensus state. Fields stand under Figure 2's own headings.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Raft {
    id: NodeId,
    /// Tells its files from others that were under its name.
    store_id: StoreId,
    pub(crate) settings: RaftSettings,

    // Persistent state on all servers.
    pub(crate) current_term: Term,
    pub(crate) voted_for: Option<Member>,
    pub(crate) log: Log,

    // Section 6: what log and snapshot say of the members, and whether this node knows that it is none any more.
    pub(crate) configurations: Configurations,
    pub(crate) retired: bool,

    // Volatile state on all servers. Figure 2's lastApplied belongs to the server, which owns the state machine.
    pub(crate) commit_index: LogIndex,
    pub(crate) role: Role,

    /// When the election timer runs out; unused while leading.
    election_due: Time,
    random: Random,
    /// What of the persistent state the disk is known to hold.
    pub(crate) durability: Durability,

    // Snapshots (7).
    /// The last entry that its newest durable snapshot covers.
    pub(crate) snapshot: EntryId,
    receiving: Option<Receiving>,
    needed: Needed,

    pub(crate) beyond: Beyond,

    // What the step in progress has produced.
    outbox: Vec<Message>,
    effects: Effects,
}

/// What a node's disk held when it starts.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    pub hard_state: HardState,
    /// The last entry that its snapshot covers; [`EntryId::ZERO`] without one.
    pub snapshot: EntryId,
    /// The entry just before those kept: at the snapshot's last or before it.
    pub base: EntryId,
    pub entries: Vec<Entry>,
    /// What is known beside `entries`: the snapshot's configuration, else the founders'. None for a node that was added or
    /// wiped: it knows no member until its log names them.
    pub configuration: Option<Configured>,
}

impl Raft {
    /// A node that starts as a follower, from what its disk held (5.2). Everything recovered counts as durable.
    pub fn new(
        id: NodeId,
        settings: RaftSettings,
        recovered: Recovered,
        mut random: Random,
        now: Time,
    ) -> Raft {
        let configurations = Configurations::recovered(recovered.configuration, &recovered.entries);
        let log = Log::recovered(recovered.base, recovered.entries);
        let HardState { current_term, voted_for, store_id, retired, .. } = recovered.hard_state;
        assert!(log.last().term <= current_term, "an entry's term was this node's term once");
        let snapshot = recovered.snapshot;
        assert!(log.base().index <= snapshot.index, "what the log lacks, a snapshot covers (7)");
        assert!(snapshot.index <= log.last().index, "the log reaches to where its snapshot ends (7)");
        // From a copy: the stream itself decides all that can be replayed.
        let boot_id = random.clone().bits();
        let timeout = random.duration(settings.election_min, settings.election_max);
        Raft {
            id,
            store_id,
            current_term,
            voted_for,
            configurations,
            retired,
            commit_index: snapshot.index,
            role: Role::Follower(Follower::default()),
            election_due: now + timeout,
            random,
            durability: Durability::new(log.last().index, recovered.hard_state),
            snapshot,
            receiving: None,
            needed: Needed { newest: snapshot.index, ..Needed::default() },
            beyond: Beyond::recovered(recovered.hard_state, boot_id, now + settings.election_min),
            settings,
            log,
            outbox: Vec::new(),
            effects: Effects::default(),
        }
    }

    /// The one entry point: takes in everything that arrived, then lets timers run out, then acts.
    ///
    /// Inputs come before timers, so that a thread that was held up reads the heartbeat that waits for it before it
    /// starts an election. `inputs` is emptied.
    pub fn step(&mut self, now: Time, inputs: &mut Vec<Input>) -> Effects {
        let before = Marks::of(self);
        self.note_if_held_up(now);
        let mut reads = Vec::new();
        for input in inputs.drain(..) {
            match input {
                Input::Message(message) => self.receive(now, message),
                Input::Propose(proposal) => self.propose(now, proposal),
                Input::Read(request) => reads.push(request),
                Input::Persisted(id) => self.persisted(now, id),
                Input::Snapshot(report) => self.handle_snapshot_report(report),
                Input::Campaign => self.campaign(now),
                Input::Transfer(target) => self.transfer(now, target),
                Input::SetElectionTimer(after) => self.election_due = now + after,
                Input::Configure(settings) => self.configure(now, *settings),
                Input::Change(request) => self.change(now, request),
                Input::ClockJumped(by) => self.renounce_lease(by),
            }
        }
        self.read(now, reads);
        self.elapse(now);
        self.serve_follower_reads(now);
        // What a leader does on its own: append, commit, replicate, confirm reads.
        self.append_gathered(now);
        self.advance_commit_index();
        self.continue_change(now);
        self.leave_office_if_left_out(now);
        self.note_confirmed();
        self.replicate(now);
        self.send_timeout_now();
        self.confirm_reads();
        self.name_successor(now);
        self.forget_those_who_left(now);
        self.forget_snapshots();
        self.write(now, before.hard_state);
        before.check(self);
        std::mem::take(&mut self.effects)
    }

    /// When to call [`Raft::step`] again though nothing arrives.
    pub fn deadline(&self) -> Time {
        match &self.role {
            Role::Leader(leader) if leader.followers.is_empty() => self.append_due(),
            Role::Leader(leader) => {
                leader.heartbeat_due.min(self.append_due()).min(self.resignation_due(leader))
            }
            _ => self.election_due.min(self.beyond.vote_hold.campaign_due()),
        }
    }

    fn receive(&mut self, now: Time, message: Message) {
        let Message { from, to, term, files, body } = message;
        // An answer to the files that this name had before says nothing to those that it has now.
        let to_others = files.answered != 0 && files.answered != self.store_id;
        let from = Member { node: from, store_id: files.sender };
        if to != self.id
            || from.node == self.id
            || to_others
            || self.handle_before_term_rule(now, from, term, &body)
        {
            return;
        }
        // Figure 2, All Servers 2: a newer term in any request or reply: adopt it and become a follower.
        if term > self.current_term {
            self.note(Event::TermAdvanced { from: self.current_term, to: term, by: from.node });
            self.become_follower(now, term, StepDownReason::NewerTerm(term));
        }
        let stale = term < self.current_term;
        match body {
            Body::RequestVote { last, .. } => self.handle_request_vote(now, from, term, last),
            Body::AppendEntries { prev, entries, .. } if stale => {
                self.reject_append_entries(from, prev, entries.len());
            }
            Body::AppendEntries { prev, entries, commit, beat } => {
                self.handle_append_entries(now, from, prev, entries, commit, beat);
            }
            Body::InstallSnapshot { last, .. } if stale => self.reject_install_snapshot(from, last),
            Body::InstallSnapshot { last, offset, data, done } => {
                self.handle_install_snapshot(now, from, last, offset, data, done);
            }
            // A reply to a request of an earlier term says nothing about this one.
            Body::VoteReply { .. } if stale => self.note_late_vote(now, term),
            Body::AppendReply { .. } | Body::InstallReply { .. } if stale => {}
            Body::VoteReply { granted } => self.count_vote(now, from, granted),
            Body::AppendReply { result, ack } => self.handle_append_reply(now, from, result, ack),
            Body::InstallReply { last, result, ack } => {
                self.handle_install_reply(now, from, last, result, ack);
            }
            Body::Extra(extra) => self.receive_extra(now, from, stale, extra),
        }
    }

    /// Figure 2's persistent state, without the log, and what the extras must keep.
    pub fn hard_state(&self) -> HardState {
        let (current_term, voted_for) = (self.current_term, self.voted_for);
        let (store_id, retired) = (self.store_id, self.retired);
        self.beyond.fill(HardState { current_term, voted_for, retired, store_id, ..HardState::default() })
    }

    fn note(&mut self, event: Event) {
        self.effects.events.push(event);
    }

    fn send(&mut self, to: NodeId, body: Body) {
        let files = Files::of(self.store_id);
        self.outbox.push(Message { from: self.id, to, term: self.current_term, files, body });
    }

    /// Answers a request of these files.
    fn reply(&mut self, to: Member, body: Body) {
        let files = Files { sender: self.store_id, answered: to.store_id };
        self.outbox.push(Message { from: self.id, to: to.node, term: self.current_term, files, body });
    }
}
