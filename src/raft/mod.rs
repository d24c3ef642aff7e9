//! The consensus core: Figure 2 of the Raft paper as a deterministic state machine.
//!
//! A driver calls [`Raft::step`] with the time and what arrived, and carries out the [`Effects`] that come back; it
//! calls again when [`Raft::deadline`] has passed. Nothing else goes in or out. The core never reads a clock, draws
//! from a source of chance that is not seeded, touches a file or a socket, starts a thread or writes a log line.
//!
//! Reading order: [`message`] and [`effects`] (what goes in and out), [`role`] and [`log`] (the state), then the
//! rules, split as Figure 2 is: `election` (5.2, 5.4.1, 9.6), `replication` (5.3, 5.4.2), `snapshot` (7), `reads` (8, 6.4),
//! `lease` (6.4.1), `rounds` (what heartbeats show of time), `readmission` (who lost its files), `stall` (whose disk does
//! not answer);
//! `durability` says what the disk holds, `invariants` what must hold after every step.
//!
//! Rules of Figure 2 are tagged where they are obeyed, each once: search for the figure's name.

#[cfg(test)]
mod bench;
mod durability;
pub mod effects;
mod election;
pub mod event;
mod invariants;
mod lease;
pub mod log;
pub mod message;
mod readmission;
mod reads;
mod replication;
pub mod role;
mod rounds;
mod snapshot;
mod stall;

use std::collections::BTreeSet;

use smallvec::SmallVec;

use crate::config::RaftSettings;
use crate::types::{EntryId, LogIndex, NodeId, Random, Term, Time};

use durability::Durability;
use effects::{Effects, HardState, Input, Proposal, RejectReason, RequestId, StoreId};
use event::{Event, StepDownReason};
use invariants::Marks;
use lease::Promise;
use log::Log;
use message::{Body, BootId, Message};
use reads::Asked;
use role::{Asker, Follower, Leader, Role};
use rounds::Freshness;
use snapshot::{Needed, Receiving};
use stall::Campaigns;

/// Something for each node: of a few nodes without asking for memory.
type Few<T> = SmallVec<[T; 8]>;

/// One node's consensus state. Fields stand under Figure 2's own headings.
#[derive(Clone, Debug)]
pub struct Raft {
    id: NodeId,
    members: BTreeSet<NodeId>,
    pub(crate) settings: RaftSettings,

    // Persistent state on all servers.
    pub(crate) current_term: Term,
    pub(crate) voted_for: Option<NodeId>,
    pub(crate) log: Log,

    // Volatile state on all servers. Figure 2's lastApplied belongs to the server, which owns the state machine.
    pub(crate) commit_index: LogIndex,
    pub(crate) role: Role,

    /// When the election timer runs out; of no meaning to a leader.
    election_due: Time,
    /// When its newest elections began.
    campaigns: Campaigns,
    /// This step comes long after it was due.
    held_up: bool,
    /// What of the persistent state the disk is known to hold.
    pub(crate) durability: Durability,
    /// Reads that wait for the leader that this node follows.
    pub(crate) asked: Asked,
    /// Until when it votes for nobody.
    pub(crate) promise: Promise,
    /// Its files.
    store_id: StoreId,
    /// It lost the files before these and is not readmitted yet.
    pub(crate) joining: bool,
    /// The last entry that its newest durable snapshot covers.
    pub(crate) snapshot: EntryId,
    /// The snapshot that its leader sends.
    receiving: Option<Receiving>,
    /// The snapshots that were not let go of.
    needed: Needed,
    /// Which of its lives this is.
    boot_id: BootId,
    /// As of when its state holds everything.
    pub(crate) freshness: Freshness,
    random: Random,

    // What the step in progress has produced.
    outbox: Vec<Message>,
    effects: Effects,
}

/// What a node knows of itself when it starts: what its disk held.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Term and vote.
    pub hard_state: HardState,
    /// The last entry that its snapshot covers; [`EntryId::ZERO`] without one.
    pub snapshot: EntryId,
    /// The entry just before those kept: at the snapshot's last or before it.
    pub base: EntryId,
    /// The entries behind the base.
    pub entries: Vec<log::Entry>,
}

impl Raft {
    /// A node that starts as a follower, from what its disk held (5.2). Everything recovered counts as durable.
    pub fn new(
        id: NodeId,
        members: impl IntoIterator<Item = NodeId>,
        settings: RaftSettings,
        recovered: Recovered,
        mut random: Random,
        now: Time,
    ) -> Raft {
        let members: BTreeSet<NodeId> = members.into_iter().collect();
        assert!(members.contains(&id), "a node is a member of its own cluster");
        let log = Log::recovered(recovered.base, recovered.entries);
        let HardState { current_term, voted_for, withheld_votes, joining, store_id } = recovered.hard_state;
        assert!(log.last().term <= current_term, "an entry's term was this node's term once");
        let snapshot = recovered.snapshot;
        assert!(log.base().index <= snapshot.index, "what the log lacks, a snapshot covers (7)");
        assert!(snapshot.index <= log.last().index, "the log goes on where its snapshot ends (7)");
        // From a copy: the stream itself decides all that can be replayed.
        let boot_id = random.clone().bits();
        let timeout = random.duration(settings.election_min, settings.election_max);
        let promise = Promise::recovered(withheld_votes, now + settings.election_min);
        Raft {
            id,
            members,
            settings,
            current_term,
            voted_for,
            commit_index: snapshot.index,
            role: Role::Follower(Follower::default()),
            election_due: now + timeout,
            campaigns: Campaigns::default(),
            held_up: false,
            durability: Durability::new(log.last().index, recovered.hard_state),
            asked: Asked::default(),
            promise,
            store_id,
            joining,
            snapshot,
            receiving: None,
            needed: Needed { newest: snapshot.index, ..Needed::default() },
            boot_id,
            freshness: Freshness::default(),
            log,
            random,
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
        for input in inputs.drain(..) {
            match input {
                Input::Message(message) => self.receive(now, message),
                Input::Propose(proposal) => self.propose(now, proposal),
                Input::Read(request) => self.read(now, request),
                Input::Persisted(id) => self.persisted(now, id),
                Input::Snapshot(report) => self.note_snapshot(report),
                Input::Campaign => self.campaign(now),
                Input::SetElectionTimer(after) => self.election_due = now + after,
            }
        }
        self.elapse(now);
        self.act(now);
        self.forget_snapshots();
        self.write(now, before.hard_state());
        before.check(self);
        std::mem::take(&mut self.effects)
    }

    /// When to call [`Raft::step`] again though nothing arrives.
    pub fn deadline(&self) -> Time {
        match &self.role {
            Role::Leader(leader) => {
                let gathering = if leader.gathered.is_empty() { Time::NEVER } else { leader.gather_until };
                if leader.followers.is_empty() {
                    return gathering;
                }
                leader
                    .heartbeat_due
                    .min(gathering)
                    .min(self.quorum_doubted_at(leader))
                    .min(self.hand_over_due(leader))
            }
            _ if self.promise.campaign => self.election_due.min(self.promise.until),
            _ => self.election_due,
        }
    }

    /// This node's name.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The members of the cluster, this node included.
    pub fn members(&self) -> &BTreeSet<NodeId> {
        &self.members
    }

    /// How many nodes decide: more than half of the members, of an even number too.
    pub fn quorum(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// The latest term this node has seen.
    pub fn current_term(&self) -> Term {
        self.current_term
    }

    /// Whom it voted for in that term.
    pub fn voted_for(&self) -> Option<NodeId> {
        self.voted_for
    }

    /// What of its state, less the log, has to be durable.
    pub fn hard_state(&self) -> HardState {
        HardState {
            current_term: self.current_term,
            voted_for: self.voted_for,
            withheld_votes: self.promise.ever,
            joining: self.joining,
            store_id: self.store_id,
        }
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The highest index that it knows to be committed.
    pub fn commit_index(&self) -> LogIndex {
        self.commit_index
    }

    /// Its role.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// The leader of the current term, as far as this node knows and does not doubt it.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader(_) => Some(self.id),
            Role::Follower(follower) => follower.leader.map(|(leader, _)| leader),
            Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Its log is durable up to here.
    pub fn durable_index(&self) -> LogIndex {
        self.durability.log_index()
    }

    /// When its election timer runs out; of no meaning while it leads.
    pub fn election_due(&self) -> Time {
        self.election_due
    }

    fn receive(&mut self, now: Time, message: Message) {
        let Message { from, to, term, body } = message;
        let known = self.members.contains(&from) && from != self.id;
        if to != self.id || !known {
            return;
        }
        match body {
            // A question that changes nobody's term, the sender's included, and may be asked of any term (9.6).
            Body::PreVote { next_term, last } => return self.handle_pre_vote(now, from, next_term, last),
            Body::RequestVote { transfer: false, .. } if self.hears_leader(now) => {
                return self.ignore_request_vote(now, from, term);
            }
            Body::RequestVote { .. } if self.is_bound(now) => {
                return self.ignore_request_vote(now, from, term);
            }
            _ => {}
        }
        // Figure 2, All Servers 2: a newer term in any request or reply: adopt it and become a follower.
        if term > self.current_term {
            let from_term = self.current_term;
            self.effects.events.push(Event::TermAdvanced { from: from_term, to: term, by: from });
            self.become_follower(now, term, StepDownReason::NewerTerm(term));
        }
        let stale = term < self.current_term;
        match body {
            Body::PreVote { .. } => unreachable!("answered above"),
            Body::PreVoteReply { next_term, granted } => {
                self.handle_pre_vote_reply(now, from, next_term, granted);
            }
            Body::RequestVote { last, .. } => self.handle_request_vote(now, from, term, last),
            Body::AppendEntries { prev, entries, commit, round, standing } if !stale => {
                // Who promises nothing confirms no round.
                let confirmed = if standing.lease && !self.promise(now) { 0 } else { round };
                self.handle_append_entries(now, from, prev, entries, commit, confirmed);
                self.note_standing(now, round, commit, standing);
            }
            Body::AppendEntries { prev, entries, round, .. } => {
                self.refuse_append_entries(from, prev, entries.len(), round);
            }
            Body::VoteReply { .. } if stale => self.note_late_vote(now, term),
            // A reply to a question of an earlier term says nothing about this one.
            Body::VoteReply { .. }
            | Body::AppendReply { .. }
            | Body::InstallReply { .. }
            | Body::TimeoutNow
            | Body::Rejoin { .. }
            | Body::ReadIndexReply { .. }
                if stale => {}
            Body::VoteReply { granted } => self.count_vote(now, from, granted),
            Body::AppendReply { answerer, round, result } => {
                self.handle_append_reply(now, from, answerer, round, result);
            }
            Body::InstallSnapshot { last, .. } if stale => self.refuse_install_snapshot(from, last),
            Body::InstallSnapshot { last, offset, data, done } => {
                self.handle_install_snapshot(now, from, last, offset, data, done);
            }
            Body::InstallReply { answerer, last, result } => {
                self.handle_install_reply(now, from, answerer, last, result);
            }
            Body::TimeoutNow => self.campaign(now),
            Body::Rejoin { store_id } => self.handle_rejoin(now, from, store_id),
            Body::ReadIndex { number } => self.handle_read_index(from, number, stale),
            Body::ReadIndexReply { number, index } => self.handle_read_index_reply(from, number, index),
        }
    }

    /// The timers.
    fn elapse(&mut self, now: Time) {
        match &self.role {
            Role::Leader(leader) => {
                if self.settings.check_quorum && now >= self.quorum_doubted_at(leader) {
                    self.lose_quorum(now);
                } else if now >= self.hand_over_due(leader) {
                    self.hand_over(now);
                }
            }
            // Figure 2, Followers 2: no heartbeat and no vote given for an election timeout: start an election.
            // Figure 2, Candidates 4: an election that nobody won in that time: start another.
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                let due = now >= self.election_due;
                if (due || self.promise.campaign) && !self.mind_promise(now) {
                    self.election_timer_ran_out(now);
                }
            }
        }
    }

    /// What a leader does on its own: append, replicate, commit, confirm reads. Others ask it for what their reads need.
    fn act(&mut self, now: Time) {
        self.look_after_asked(now);
        if !matches!(self.role, Role::Leader(_)) {
            return;
        }
        self.append_gathered(now);
        self.advance_commit_index();
        self.note_confirmed();
        self.replicate(now);
        self.confirm_reads();
    }

    fn propose(&mut self, now: Time, proposal: Proposal) {
        let leader_known = self.leader();
        let window = self.settings.batch_window;
        let bytes_max = self.settings.uncommitted_bytes_max;
        let reason = match &mut self.role {
            Role::Leader(leader) if leader.uncommitted_bytes < bytes_max => {
                if leader.gathered.is_empty() {
                    leader.gather_until = now + window;
                }
                // Counted from here, so that what is gathered within one step is bounded too.
                leader.uncommitted_bytes += proposal.content.weight();
                leader.gathered.push(proposal);
                return;
            }
            Role::Leader(_) => RejectReason::Busy,
            _ => RejectReason::NotLeader { leader: leader_known },
        };
        self.reject(proposal.id, reason);
    }

    fn reject(&mut self, id: RequestId, reason: RejectReason) {
        self.effects.events.push(Event::ClientRejected { read: false, reason });
        self.effects.proposals.push((id, Err(reason)));
    }

    /// The one way into the role of follower. A vote is cleared only with its term.
    fn become_follower(&mut self, now: Time, term: Term, reason: StepDownReason) {
        let left = self.current_term;
        if term > self.current_term {
            self.current_term = term;
            self.voted_for = None;
        }
        match std::mem::replace(&mut self.role, Role::Follower(Follower::default())) {
            Role::Leader(leader) => {
                self.effects.events.push(Event::SteppedDown { term: left, led: true, reason });
                self.release_clients(leader);
                // A leader has no election timer; one starts here. Other roles keep theirs running.
                self.reset_election_timer(now);
            }
            Role::Candidate(_) => {
                self.effects.events.push(Event::SteppedDown { term: left, led: false, reason });
            }
            Role::Follower(_) | Role::PreCandidate(_) => {}
        }
    }

    /// Clients that wait for what only a leader can do are told at once.
    fn release_clients(&mut self, leader: Leader) {
        let reason = RejectReason::NotLeader { leader: None };
        for proposal in leader.gathered {
            self.reject(proposal.id, reason);
        }
        for read in leader.reads {
            match read.asker {
                Asker::Client(id) => self.effects.reads.push((id, Err(reason))),
                Asker::Node(node, number) => self.send(node, Body::ReadIndexReply { number, index: None }),
            }
        }
    }

    fn reset_election_timer(&mut self, now: Time) {
        let (low, high) = (self.settings.election_min, self.settings.election_max);
        self.election_due = now + self.random.duration(low, high);
    }

    fn send(&mut self, to: NodeId, body: Body) {
        self.outbox.push(Message { from: self.id, to, term: self.current_term, body });
    }

    fn send_to_others(&mut self, body: &Body) {
        let others: Few<NodeId> = self.others().collect();
        for other in others {
            self.send(other, body.clone());
        }
    }

    fn others(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().copied().filter(|&member| member != self.id)
    }
}
