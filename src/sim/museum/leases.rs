//! Defects of leases, and of the promises that they rest on (6.4.1 of the dissertation).

use std::collections::BTreeSet;

use super::{Before, Caught, READS, Specimen, arriving};
use crate::protocol::{Call, Packet, ReadMode, Request};
use crate::raft::Recovered;
use crate::raft::message::Body;
use crate::raft::role::Role;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::types::{NodeId, Time};

/// What a stale read does to the checks.
const STALE: &[&str] = &["linearizable"];

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "lease-kept-after-stepping-down",
        defect: "a leader that stepped down keeps answering by its lease until it follows another",
        section: "6.4.1 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 33, complaints: STALE },
        exhibit: || Box::<KeepsLease>::default(),
    },
    Specimen {
        name: "lease-before-no-op",
        defect: "a new leader reads by lease before the no-op of its term is committed",
        section: "6.4.1 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 34, complaints: STALE },
        exhibit: || Box::<ReadsBeforeNoOp>::default(),
    },
    Specimen {
        name: "promise-broken-for-ordered-vote",
        defect: "a node that promised to withhold its vote votes in an election on request",
        section: "6.4.1 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 50, complaints: STALE },
        exhibit: || Box::new(Before(vote_when_ordered)),
    },
    Specimen {
        name: "promise-broken-by-own-campaign",
        defect: "a node that promised to withhold its vote campaigns as soon as it is asked to",
        section: "6.4.1 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 5, complaints: STALE },
        exhibit: || Box::new(Before(campaign_when_ordered)),
    },
    Specimen {
        name: "promise-forgotten-at-restart",
        defect: "a node that restarts does not know that it promised to withhold its vote",
        section: "6.4.1 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 5, complaints: STALE },
        exhibit: || Box::new(ForgetsPromise),
    },
    Specimen {
        name: "promise-cut-short",
        defect: "a promise to withhold votes ends after a third of the shortest election timeout",
        section: "6.4.1 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 3, complaints: STALE },
        exhibit: || Box::<CutsShort>::default(),
    },
];

/// Nodes that held a lease when they last led, and follow no leader yet.
#[derive(Default)]
struct KeepsLease(BTreeSet<NodeId>);

impl Exhibit for KeepsLease {
    fn before(&mut self, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        if self.0.contains(&server.raft().id()) && server.raft().leader().is_none() {
            by_lease(arrivals).for_each(|mode| *mode = ReadMode::Stale);
        }
    }

    fn after(&mut self, server: &mut Server, _outbox: &mut Outbox) {
        let raft = server.raft();
        if raft.lease_until().is_some() {
            self.0.insert(raft.id());
        } else if raft.leader().is_some() {
            self.0.remove(&raft.id());
        }
    }

    fn recovered(&mut self, node: NodeId, _recovered: &mut Recovered) {
        self.0.remove(&node);
    }
}

#[derive(Default)]
struct ReadsBeforeNoOp(Time);

impl Exhibit for ReadsBeforeNoOp {
    fn tell_time(&mut self, now: Time) {
        self.0 = now;
    }

    fn before(&mut self, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        let raft = server.raft();
        let Role::Leader(leader) = raft.role() else { return };
        let confirmed = leader.confirmed_round();
        let claimed = leader.rounds.lease_from.is_some_and(|from| from <= confirmed);
        let began =
            leader.rounds.began.at(confirmed).filter(|_| claimed && raft.commit_index() < leader.no_op);
        if began.is_some_and(|began| self.0 < began + raft.settings.lease()) {
            by_lease(arrivals).for_each(|mode| *mode = ReadMode::Stale);
        }
    }
}

fn vote_when_ordered(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    if arriving(arrivals).any(|message| matches!(message.body, Body::RequestVote { transfer: true, .. })) {
        server.raft_mut().beyond.vote_hold.until = Time::ZERO;
    }
}

fn campaign_when_ordered(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    if arrivals.iter().any(|arrival| matches!(arrival, Arrival::Campaign)) {
        server.raft_mut().beyond.vote_hold.until = Time::ZERO;
    }
}

struct ForgetsPromise;

impl Exhibit for ForgetsPromise {
    fn recovered(&mut self, _node: NodeId, recovered: &mut Recovered) {
        recovered.hard_state.withheld_votes = false;
    }
}

#[derive(Default)]
struct CutsShort(Time);

impl Exhibit for CutsShort {
    fn tell_time(&mut self, now: Time) {
        self.0 = now;
    }

    fn after(&mut self, server: &mut Server, _outbox: &mut Outbox) {
        let raft = server.raft_mut();
        raft.beyond.vote_hold.until =
            raft.beyond.vote_hold.until.min(self.0 + raft.settings.election_min / 3);
    }
}

/// The reads by lease that clients ask for.
fn by_lease(arrivals: &mut [Arrival]) -> impl Iterator<Item = &mut ReadMode> {
    arrivals.iter_mut().filter_map(|arrival| match arrival {
        Arrival::Envelope(envelope) => match &mut envelope.packet {
            Packet::Request(Request { call: Call::Read { mode, .. }, .. }) if *mode == ReadMode::Lease => {
                Some(mode)
            }
            _ => None,
        },
        _ => None,
    })
}
