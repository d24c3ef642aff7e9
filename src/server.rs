//! Figure 1's box: the consensus core, the state machine and the clients that wait, as one unit.
//!
//! [`Server::handle`] is the one place that fixes the order of effects, the same for every driver: step the core,
//! hand out what may leave at once, hold back what waits for the disk, apply what is committed, answer the clients.
//! The driver owns the disk and the network; it must perform the writes in their order and report each completion.

mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::config::RaftSettings;
use crate::lab::{LogView, RoleName, Status};
use crate::net::packet::{Address, Attempt, Call, Envelope, Packet, ReadMode, Reply, Request, Response};
use crate::payload::Payload;
use crate::raft::effects::{Input, Proposal, ReadRequest, RequestId, Write, WriteId};
use crate::raft::event::Event;
use crate::raft::log::Content;
use crate::raft::message::Message;
use crate::raft::role::Role;
use crate::raft::{Raft, Recovered};
use crate::state_machine::{Applied, AppliedEntry, Machine};
use crate::types::{NodeId, Random, Term, Time};

use self::waiting::{Joined, Waiting};

/// What a driver hands to a server.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// Something came over the network.
    Envelope(Envelope),
    /// This write, and every earlier one, is durable.
    Persisted(WriteId),
    /// Start an election now.
    Campaign,
    /// Let the election timer run out after this time.
    SetElectionTimer(Duration),
}

/// What a server wants done, in this order.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To be sent now.
    pub envelopes: Vec<Envelope>,
    /// To be made durable and reported as [`Arrival::Persisted`]. The messages that wait for it stay in the server.
    pub write: Option<Write>,
    /// What happened in the core, for logs, narration and checks.
    pub events: Vec<Event>,
    /// What was applied, in order.
    pub applied: Vec<AppliedEntry>,
    /// The newest write that was reported as durable.
    pub persisted: Option<WriteId>,
}

/// One node's server.
pub struct Server {
    raft: Raft,
    machine: Box<dyn Machine>,
    /// Messages that leave when their write is durable.
    pub(crate) held: VecDeque<(WriteId, Vec<Message>)>,
    /// Requests that were taken in and not answered yet.
    pub(crate) calls: BTreeMap<RequestId, Caller>,
    /// The requests behind the entries that this leader appended.
    pub(crate) waiting: Waiting,
    last_request: RequestId,
    /// Sessions that may be open: what an entry that opens one says while this node leads.
    sessions_max: u64,
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
    /// A server that starts from what its disk held, with an empty state machine to replay the log into.
    pub fn new(
        id: NodeId,
        members: &[NodeId],
        settings: RaftSettings,
        recovered: Recovered,
        machine: Box<dyn Machine>,
        random: Random,
        now: Time,
    ) -> Server {
        let sessions_max = settings.sessions_max;
        let raft = Raft::new(id, members.iter().copied(), settings, recovered, random, now);
        assert_eq!(machine.applied(), raft.log().base(), "the state machine starts where the log does");
        Server {
            raft,
            machine,
            held: VecDeque::new(),
            calls: BTreeMap::new(),
            waiting: Waiting::default(),
            last_request: 0,
            sessions_max,
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
        let mut inputs = Vec::with_capacity(arrivals.len());
        for arrival in arrivals.drain(..) {
            match arrival {
                Arrival::Envelope(Envelope { from, packet, .. }) => match packet {
                    Packet::Raft(message) => inputs.push(Input::Message(message)),
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
                Arrival::Campaign => inputs.push(Input::Campaign),
                Arrival::SetElectionTimer(after) => inputs.push(Input::SetElectionTimer(after)),
            }
        }

        let mut effects = self.raft.step(now, &mut inputs);

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
        self.apply(&mut outbox);
        for (request, result) in effects.reads {
            match result {
                Ok(index) => {
                    assert!(self.machine.applied().index >= index, "a read sees every write before it (8)");
                    self.answer_read(request, None, &mut outbox);
                }
                Err(refusal) => self.answer(request, Response::Refused(refusal), &mut outbox),
            }
        }
        let age = self.raft.fresh_as_of(now).map(|as_of| now.since(as_of));
        for request in stale_reads {
            self.answer_read(request, age, &mut outbox);
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

    /// The state machine.
    pub fn machine(&self) -> &dyn Machine {
        &*self.machine
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
            applied: self.machine.applied().index,
            size: self.machine.size(),
        }
    }

    /// The log as the console's matrix shows it.
    pub fn log_view(&self) -> LogView {
        let log = self.raft.log();
        let terms = log.range(log.base().index.next(), log.last().index).map(|entry| entry.term).collect();
        LogView { base: log.base(), terms, commit: self.raft.commit_index() }
    }

    /// For the museum of broken rules: an exhibit reaches into the core of a simulated node.
    pub(crate) fn raft_mut(&mut self) -> &mut Raft {
        &mut self.raft
    }

    fn led_term(&self) -> Option<Term> {
        matches!(self.raft.role(), Role::Leader(_)).then(|| self.raft.current_term())
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
        let content = match request.call {
            Call::Open => Content::Open { client, sessions_max: self.sessions_max },
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
            displaced.and_then(|displaced| self.calls.remove(&displaced));
            self.calls.insert(id, caller);
            return None;
        }
        if let Content::Command { command, .. } = &content
            && let Err(reason) = self.machine.check(command)
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

    // Figure 2, All Servers 1: while commitIndex > lastApplied, apply the next entry.
    fn apply(&mut self, outbox: &mut Outbox) {
        let (first, last) = (self.machine.applied().index.next(), self.raft.commit_index());
        if first > last {
            return;
        }
        // An entry is shared, so this copies references.
        let entries: Vec<_> = self.raft.log().range(first, last).cloned().collect();
        for entry in entries {
            let applied = self.machine.apply(&entry);
            let (carried_out, repetition) = match (&applied, &entry.content) {
                (Applied::Answered { entry: by, .. }, Content::Command { origin, .. }) => {
                    let first = *by == entry.id();
                    (first.then_some(*origin), !first)
                }
                (Applied::Forgotten, Content::Command { .. }) => (None, true),
                _ => (None, false),
            };
            let expired = applied == Applied::Expired;
            outbox.applied.push(AppliedEntry { entry: entry.id(), carried_out, repetition, expired });
            if let Some((term, requests)) = self.waiting.end(&entry) {
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
        }
    }

    fn answer_read(&mut self, request: RequestId, age: Option<Duration>, outbox: &mut Outbox) {
        let query = self.calls.get(&request).and_then(|caller| caller.query.clone());
        let query = query.expect("a read keeps its question until it is answered");
        let response = match self.machine.query(&query) {
            Ok(answer) => Response::Read { applied: self.machine.applied().index, age, answer },
            Err(reason) => Response::Invalid(reason),
        };
        self.answer(request, response, outbox);
    }

    /// Leadership ended: whoever waits for an entry is told at once, for nobody here will.
    fn release_waiting(&mut self, outbox: &mut Outbox) {
        let leader = self.raft.leader();
        for request in self.waiting.end_all() {
            self.answer(request, Response::LeadershipLost { leader }, outbox);
        }
    }

    fn answer(&mut self, request: RequestId, response: Response, outbox: &mut Outbox) {
        let caller = self.calls.remove(&request).expect("each request is answered once");
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
