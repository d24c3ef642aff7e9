//! Defects of reads (section 8; 6.4 of the dissertation).

use super::{Before, Caught, GENERAL, Specimen, arriving, leaving};
use crate::net::packet::{Address, Call, Envelope, Packet, ReadMode, Request};
use crate::raft::message::Body;
use crate::raft::role::Role;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::types::Time;

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "read-before-no-op",
        defect: "a new leader serves reads before the no-op of its term is committed",
        section: "6.4 of the dissertation",
        caught: Caught::BySeeds { family: GENERAL, first: 91, complaints: &["linearizable"] },
        exhibit: || Box::new(Before(forget_no_op)),
    },
    Specimen {
        name: "answers-without-round",
        defect: "an answer to an older round confirms the newest one",
        section: "6.4 of the dissertation",
        caught: Caught::ByScenario("answers that come late reach a leader that is cut off and deposed"),
        exhibit: || Box::new(Before(confirm_newest)),
    },
    Specimen {
        name: "lease-never-confirmed",
        defect: "a lease that no answer has ever confirmed counts as held",
        section: "6.4.1 of the dissertation",
        caught: Caught::ByScenario("the first read by lease comes when the leader is cut off and deposed"),
        exhibit: || Box::new(Before(hold_unconfirmed)),
    },
    Specimen {
        name: "lease-from-own-send",
        defect: "a leader's own heartbeat renews its lease, whoever answers",
        section: "6.4.1 of the dissertation",
        caught: Caught::ByScenario("a leader that is cut off goes on sending and reads by lease"),
        exhibit: || Box::new(Before(renew_by_sending)),
    },
    Specimen {
        name: "expired-lease-not-awaited",
        defect: "a read by lease that finds none fails instead of waiting for a round",
        section: "6.4.1 of the dissertation",
        caught: Caught::ByScenario("reads by lease in a cluster at rest"),
        exhibit: || Box::new(Before(fail_without_lease)),
    },
    Specimen {
        name: "lease-without-quorum",
        defect: "a leader claims leases though no quorum answers, without check-quorum",
        section: "6.4.1 of the dissertation",
        caught: Caught::ByScenario("the one node that hears the leader freezes a connected majority"),
        exhibit: || Box::new(ClaimsAlways),
    },
];

fn forget_no_op(server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    if let Role::Leader(leader) = &mut raft.role {
        for read in &mut leader.reads {
            read.index = read.index.min(raft.commit_index);
        }
    }
}

fn confirm_newest(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let Role::Leader(leader) = server.raft().role() else { return };
    let newest = leader.round;
    for message in arriving(arrivals) {
        if let Body::AppendReply { round, .. } = &mut message.body {
            *round = newest;
        }
    }
}

fn hold_unconfirmed(server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    let claims = matches!(&raft.role, Role::Leader(leader) if leader.lease_from.is_some());
    if let (Role::Leader(leader), false) = (&mut raft.role, claims) {
        leader.lease_from = Some(0);
        std::mem::take(&mut leader.sent);
        leader.sent.note(0, Time::NEVER);
    }
}

fn renew_by_sending(server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let Role::Leader(leader) = &mut server.raft_mut().role else { return };
    let newest = leader.round;
    for progress in leader.followers.values_mut() {
        progress.round = newest;
        progress.heard = progress.heard.max(leader.heartbeat_due);
    }
}

fn fail_without_lease(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    if server.raft().lease_until().is_none() && matches!(server.raft().role(), Role::Leader(_)) {
        arrivals.retain(|arrival| !reads_by_lease(arrival));
    }
}

fn reads_by_lease(arrival: &Arrival) -> bool {
    let Arrival::Envelope(Envelope { from: Address::Client(_), packet, .. }) = arrival else { return false };
    matches!(packet, Packet::Request(Request { call: Call::Read { mode: ReadMode::Lease, .. }, .. }))
}

/// Lets every round of every leader claim a lease.
struct ClaimsAlways;

impl Exhibit for ClaimsAlways {
    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        for message in leaving(server, outbox) {
            if let Body::AppendEntries { standing, .. } = &mut message.body {
                standing.lease = true;
            }
        }
    }
}
