//! Defects at the seam to the clients (section 8).

use std::collections::BTreeMap;

use super::{Caught, Specimen};
use crate::net::packet::{Call, Packet, Request, Response};
use crate::payload::Payload;
use crate::raft::Recovered;
use crate::raft::effects::{Refusal, RequestId};
use crate::raft::log::{Content, Entry, Origin};
use crate::server::{Arrival, Caller, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::state_machine::image::{Image, LoadImage};
use crate::state_machine::kv::KeyValue;
use crate::state_machine::sessions::Sessions;
use crate::state_machine::{Applied, Machine, Replica};
use crate::types::{EntryId, LogIndex, NodeId, Term};

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "waiting-by-index-alone",
        defect: "a deposed leader's clients wait on, and are told of whatever is applied at their place in the log",
        section: "8",
        caught: Caught::BySeeds { first: 213, complaints: &["only one client creates", "own."] },
        exhibit: || Box::<WaitsByIndex>::default(),
    },
    Specimen {
        name: "dead-leader-named",
        defect: "a node that doubts its leader still sends clients to it",
        section: "8",
        caught: Caught::ByScenario("a client asks the one survivor who leads"),
        exhibit: || Box::<NamesTheDead>::default(),
    },
    Specimen {
        name: "repetitions-carried-out",
        defect: "a command that a client repeats is taken for another command",
        section: "8",
        caught: Caught::BySeeds { first: 1, complaints: &["only one client creates", "linearizable"] },
        exhibit: || Box::<CarriesOutRepetitions>::default(),
    },
    Specimen {
        name: "snapshot-without-sessions",
        defect: "a node that starts from a snapshot of the state has lost the table of sessions",
        section: "8; 6.3 of the dissertation",
        caught: Caught::BySeeds { first: 1, complaints: &["state machine safety"] },
        exhibit: || Box::new(ForgetsSessions),
    },
];

type Waiting = BTreeMap<LogIndex, (Term, Vec<(RequestId, Caller)>)>;

/// Keeps clients waiting across the end of a leadership, and pretends that whatever stands at their place is theirs.
#[derive(Default)]
struct WaitsByIndex {
    waiting: BTreeMap<NodeId, Waiting>,
}

impl Exhibit for WaitsByIndex {
    fn before(&mut self, server: &mut Server, _arrivals: &mut Vec<Arrival>) {
        let log = server.raft().log();
        let command = |index: &LogIndex| log.get(*index).filter(|entry| entry.content != Content::NoOp);
        let found: Vec<_> =
            server.waiting.by_index.keys().map(|index| command(index).map(|entry| entry.term)).collect();
        for ((term, _), found) in server.waiting.by_index.values_mut().zip(found) {
            *term = found.unwrap_or(*term);
        }
        let with_caller = |id: &RequestId| (*id, server.calls[id].clone());
        let waiting =
            server.waiting.by_index.iter().map(|(index, (term, requests))| {
                (*index, (*term, requests.iter().map(with_caller).collect()))
            });
        self.waiting.insert(server.raft().id(), waiting.collect());
    }

    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        let waiting = self.waiting.remove(&server.raft().id()).unwrap_or_default();
        let applied = server.machine().applied().index;
        for (index, (term, requests)) in waiting.into_iter().filter(|(index, _)| *index > applied) {
            let ids = requests.iter().map(|(id, _)| *id).collect();
            server.waiting.by_index.entry(index).or_insert((term, ids));
            for (id, caller) in requests {
                let attempt = caller.attempt;
                outbox.envelopes.retain(|envelope| match &envelope.packet {
                    Packet::Reply(reply) => {
                        let lost = matches!(reply.response, Response::LeadershipLost { .. });
                        reply.attempt != attempt || !lost
                    }
                    Packet::Raft(_) | Packet::Request(_) => true,
                });
                server.calls.entry(id).or_insert(caller);
            }
        }
    }
}

/// Remembers each node's last leader for good.
#[derive(Default)]
struct NamesTheDead(BTreeMap<NodeId, NodeId>);

impl Exhibit for NamesTheDead {
    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        if let Some(leader) = server.raft().leader() {
            self.0.insert(server.raft().id(), leader);
        }
        let known = self.0.get(&server.raft().id()).copied();
        for envelope in &mut outbox.envelopes {
            if let Packet::Reply(reply) = &mut envelope.packet
                && let Response::Refused(Refusal::NotLeader { leader }) = &mut reply.response
            {
                *leader = leader.or(known);
            }
        }
    }
}

/// Gives each attempt of a command a number of its own.
#[derive(Default)]
struct CarriesOutRepetitions(u64);

impl Exhibit for CarriesOutRepetitions {
    fn before(&mut self, _server: &mut Server, arrivals: &mut Vec<Arrival>) {
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

/// Takes the first half of the log that a disk held for covered by a snapshot, which holds the state alone.
struct ForgetsSessions;

impl Exhibit for ForgetsSessions {
    fn machine(&mut self, recovered: &Recovered, replica: Replica<KeyValue>) -> Box<dyn Machine> {
        let half = recovered.entries.get(recovered.entries.len() / 2);
        Box::new(Forgetful { replica, after: half.map(|entry| entry.index) })
    }
}

struct Forgetful {
    replica: Replica<KeyValue>,
    /// When this entry has been applied, the sessions are gone.
    after: Option<LogIndex>,
}

impl Machine for Forgetful {
    fn check(&self, command: &Payload) -> Result<(), String> {
        Machine::check(&self.replica, command)
    }

    fn apply(&mut self, entry: &Entry) -> Applied {
        let applied = self.replica.apply(entry);
        if self.after == Some(entry.index) {
            self.replica.sessions = Sessions::default();
        }
        applied
    }

    fn query(&self, query: &Payload) -> Result<Payload, String> {
        self.replica.query(query)
    }

    fn applied(&self) -> EntryId {
        self.replica.applied()
    }

    fn items(&self) -> Vec<(String, String)> {
        Machine::items(&self.replica)
    }

    fn size(&self) -> usize {
        Machine::size(&self.replica)
    }

    fn image(&self) -> Box<dyn Image> {
        self.replica.image()
    }

    fn adopt(&mut self, applied: EntryId, image: Box<dyn Image>) {
        self.replica.adopt(applied, image);
    }

    fn load_image(&self) -> LoadImage {
        self.replica.load_image()
    }
}
