//! Defects at the seam to the clients (section 8).

use std::collections::BTreeMap;

use super::Hook::Other;
use super::Specimen;
use crate::protocol::{Call, Packet, Request, Response};
use crate::raft::effects::{RejectReason, RequestId};
use crate::raft::entry::{Content, Origin};
use crate::server::waiting::PendingEntry;
use crate::server::{Arrival, Caller, Outbox, Server};
use crate::sim::mutation::Mutation;
use crate::sim::seeds::Family;
use crate::types::{LogIndex, NodeId, Time};

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("waiting-by-index-alone", "8")
        .defect("a deposed leader's clients wait on, and are told of what is applied at their index")
        .hook(Other(|| Box::<WaitsByIndex>::default()))
        .caught(Family::General, 213, &["only one client creates", "own."]),
    Specimen::new("dead-leader-named", "8")
        .defect("a node that doubts its leader still sends clients to it")
        .hook(Other(|| Box::<NamesTheDead>::default()))
        .caught_by_scenario("a client asks the one survivor who leads"),
    Specimen::new("repetitions-carried-out", "8")
        .defect("a command that a client repeats is taken for another command")
        .hook(Other(|| Box::<CarriesOutRepetitions>::default()))
        .caught(Family::General, 2, &["only one client creates", "linearizable"]),
];

type Waiting = BTreeMap<LogIndex, (PendingEntry, Vec<(RequestId, Caller)>)>;

/// Keeps clients waiting across the end of a leadership, and pretends that any entry at their index is theirs.
#[derive(Default)]
struct WaitsByIndex {
    waiting: BTreeMap<NodeId, Waiting>,
}

impl Mutation for WaitsByIndex {
    fn before(&mut self, _now: Time, server: &mut Server, _arrivals: &mut Vec<Arrival>) {
        let log = server.raft().log();
        let command = |index: LogIndex| log.get(index).filter(|entry| entry.content != Content::NoOp);
        let found: Vec<_> = server
            .ledger
            .waiting
            .by_index
            .iter()
            .map(|(index, _)| command(index).map(|entry| entry.term))
            .collect();
        for ((_, place), found) in server.ledger.waiting.by_index.iter_mut().zip(found) {
            place.term = found.unwrap_or(place.term);
        }
        let with_caller = |id: &RequestId| (*id, server.ledger.calls.get(*id).expect("it waits").clone());
        let waiting =
            server.ledger.waiting.by_index.iter().map(|(index, place)| {
                (index, (place.clone(), place.requests.iter().map(with_caller).collect()))
            });
        self.waiting.insert(server.raft().id(), waiting.collect());
    }

    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        let waiting = self.waiting.remove(&server.raft().id()).unwrap_or_default();
        let applied = server.applied().index;
        for (index, (place, requests)) in waiting.into_iter().filter(|(index, _)| *index > applied) {
            if server.ledger.waiting.by_index.get(index).is_none() {
                server.ledger.waiting.by_index.insert(index, place);
            }
            for (id, caller) in requests {
                let attempt = caller.attempt;
                outbox.envelopes.retain(|envelope| match &envelope.packet {
                    Packet::Reply(reply) => {
                        let lost = matches!(reply.response, Response::LeadershipLost { .. });
                        reply.attempt != attempt || !lost
                    }
                    Packet::Raft(_) | Packet::Request(_) | Packet::ConnectionLost => true,
                });
                if server.ledger.calls.get(id).is_none() {
                    server.ledger.calls.insert(id, caller);
                }
            }
        }
    }
}

/// Remembers each node's last leader for good.
#[derive(Default)]
struct NamesTheDead(BTreeMap<NodeId, NodeId>);

impl Mutation for NamesTheDead {
    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        if let Some(leader) = server.raft().leader() {
            self.0.insert(server.raft().id(), leader);
        }
        let known = self.0.get(&server.raft().id()).copied();
        for envelope in &mut outbox.envelopes {
            if let Packet::Reply(reply) = &mut envelope.packet
                && let Response::Rejected(RejectReason::NotLeader { leader }) = &mut reply.response
            {
                *leader = leader.or(known);
            }
        }
    }
}

/// Gives each attempt of a command a number of its own.
#[derive(Default)]
struct CarriesOutRepetitions(u64);

impl Mutation for CarriesOutRepetitions {
    fn before(&mut self, _now: Time, _server: &mut Server, arrivals: &mut Vec<Arrival>) {
        for arrival in arrivals {
            if let Arrival::Envelope(envelope) = arrival
                && let Packet::Request(Request { call: Call::Command { origin, .. }, .. }) =
                    &mut envelope.packet
            {
                self.0 += 1;
                *origin = Origin { serial: self.0, acknowledged: 0, ..*origin };
            }
        }
    }
}
