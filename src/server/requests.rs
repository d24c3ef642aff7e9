//! Clients' requests: admission, what they wait for, and the answers.

use std::time::Duration;

use super::Server;
use super::applier::Task;
use super::exchange::Outbox;
use super::waiting::Join;
use crate::panics::caught;
use crate::payload::Payload;
use crate::protocol::{Address, Attempt, Call, Envelope, Packet, ReadMode, Reply, Request, Response};
use crate::raft::effects::{Input, Proposal, ReadRequest, RejectReason, RequestId};
use crate::raft::entry::Content;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Caller {
    address: Address,
    pub(crate) attempt: Attempt,
    query: Option<Payload>,
}

impl Server {
    /// Takes in a client's request. An invalid one is rejected before it can enter the log.
    pub(super) fn admit(
        &mut self,
        from: Address,
        request: Request,
        stale_reads: &mut Vec<RequestId>,
        outbox: &mut Outbox,
    ) -> Option<Input> {
        let Address::Client(client) = from else { return None };
        self.ledger.last_request += 1;
        let id = self.ledger.last_request;
        let mut caller = Caller { address: from, attempt: request.attempt, query: None };
        if request.call.is_logged() && self.lags() {
            self.reply(&caller, Response::Rejected(RejectReason::Busy), outbox);
            return None;
        }
        let content = match request.call {
            Call::Open => Content::Open { client, sessions_max: self.settings.sessions_max },
            Call::Command { origin, command } => Content::Command { origin, command },
            Call::Settle { origin } => Content::Settle { origin },
            Call::Read { query, mode, here } => {
                caller.query = Some(query);
                self.ledger.calls.insert(id, caller);
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
        if let Join::Entry { displaced } = self.ledger.waiting.join(&content, id) {
            displaced.and_then(|displaced| self.ledger.calls.remove(displaced));
            self.ledger.calls.insert(id, caller);
            return None;
        }
        if let Content::Command { command, .. } = &content
            && let Some(refusal) = self.rejection_of(command)
        {
            self.reply(&caller, refusal, outbox);
            return None;
        }
        self.ledger.calls.insert(id, caller);
        Some(Input::Propose(Proposal { id, content }))
    }

    /// Why this command is rejected; none if it is valid. A panic of the check has changed nothing, so it concerns the
    /// command and not the node.
    fn rejection_of(&self, command: &Payload) -> Option<Response> {
        match caught(|| self.limits.check(command)) {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(Response::Invalid(reason)),
            Err(reason) => Some(Response::Panicked { entry: None, reason }),
        }
    }

    pub(super) fn answer_read(
        &mut self,
        request: RequestId,
        staleness: Option<Duration>,
        outbox: &mut Outbox,
    ) {
        let query = self.ledger.calls.get(request).and_then(|caller| caller.query.clone());
        let query = query.expect("a read keeps its question until it is answered");
        self.give(Task::Query { request, query, staleness }, outbox);
    }

    /// Leadership ended: the clients that wait for an entry are told at once, and after a transfer when the new leader is
    /// known.
    pub(super) fn release_waiting(&mut self, outbox: &mut Outbox) {
        let leader = self.raft.leader();
        for request in self.ledger.waiting.end_all() {
            self.answer(request, Response::LeadershipLost { leader }, outbox);
        }
    }

    pub(super) fn answer(&mut self, request: RequestId, response: Response, outbox: &mut Outbox) {
        let caller = self.ledger.calls.remove(request).expect("each request is answered once");
        self.reply(&caller, response, outbox);
    }

    pub(super) fn reply(&self, caller: &Caller, response: Response, outbox: &mut Outbox) {
        let reply = Reply { attempt: caller.attempt, term: self.raft.current_term(), response };
        let from = Address::Node(self.raft.id());
        outbox.envelopes.push(Envelope::new(from, caller.address, Packet::Reply(reply)));
    }
}
