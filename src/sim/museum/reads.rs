//! Defects of reads (section 8; 6.4 of the dissertation).

use super::{Before, Caught, GENERAL, READS, Specimen, arriving, leaving};
use crate::protocol::{Address, Call, Envelope, Packet, ReadMode, Request};
use crate::raft::message::{Body, Extra};
use crate::raft::role::Role;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::sim::seeds::Family;
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
        caught: Caught::BySeeds { family: READS, first: 1, complaints: STALE },
        exhibit: || Box::new(Before(confirm_newest)),
    },
    Specimen {
        name: "lease-never-confirmed",
        defect: "a lease that no answer has ever confirmed counts as held",
        section: "6.4.1 of the dissertation",
        caught: Caught::BySeeds { family: Family::Stalls, first: 3, complaints: &["staleness bound"] },
        exhibit: || Box::new(Before(hold_unconfirmed)),
    },
    Specimen {
        name: "lease-from-own-send",
        defect: "a leader's own heartbeat renews its lease, without an answer",
        section: "6.4.1 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 1, complaints: STALE },
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
    Specimen {
        name: "round-without-quorum",
        defect: "one node less than a quorum confirms a round",
        section: "6.4 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 1, complaints: STALE },
        exhibit: || Box::new(Before(confirm_with_less)),
    },
    Specimen {
        name: "read-index-for-a-later-question",
        defect: "a follower takes the late answer to an earlier question for that to its newest one",
        section: "6.4 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 13, complaints: STALE },
        exhibit: || Box::new(Before(take_for_newest)),
    },
    Specimen {
        name: "read-index-not-awaited",
        defect: "a follower that is told the read index answers before it has applied as far",
        section: "6.4 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 3, complaints: STALE },
        exhibit: || Box::new(Before(lower_read_index)),
    },
    Specimen {
        name: "follower-asks-nobody",
        defect: "a follower answers linearizable reads from its own state, without asking its leader",
        section: "6.4 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 1, complaints: STALE },
        exhibit: || Box::new(Before(answer_alone)),
    },
    Specimen {
        name: "age-from-heartbeat",
        defect: "a follower counts the age of its state from when it last heard its leader",
        section: "6.4 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 3, complaints: AGES },
        exhibit: || Box::new(ClaimsAge { now: Time::ZERO, claims: Claims::Heartbeats }),
    },
    Specimen {
        name: "age-of-leader-is-zero",
        defect: "a node that believes to lead says that its state is up to date",
        section: "6.4 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 5, complaints: AGES },
        exhibit: || Box::new(ClaimsAge { now: Time::ZERO, claims: Claims::Leading }),
    },
    Specimen {
        name: "age-of-what-is-not-there",
        defect: "a follower counts the age of a commit index that it has not reached",
        section: "6.4 of the dissertation",
        caught: Caught::BySeeds { family: READS, first: 14, complaints: AGES },
        exhibit: || Box::new(ClaimsAge { now: Time::ZERO, claims: Claims::Pending }),
    },
];

/// What a stale read does to the checks.
const STALE: &[&str] = &["linearizable"];

/// What a local read does that is older than it says.
const AGES: &[&str] = &["staleness bound"];

fn forget_no_op(server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    if let Role::Leader(leader) = &mut raft.role {
        for read in &mut leader.rounds.reads {
            read.index = read.index.min(raft.commit_index);
        }
    }
}

fn confirm_newest(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let Role::Leader(leader) = server.raft().role() else { return };
    let newest = leader.rounds.newest;
    for message in arriving(arrivals) {
        if let Body::AppendReply { ack, .. } = &mut message.body {
            ack.round = newest;
        }
    }
}

fn hold_unconfirmed(server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    let claims = matches!(&raft.role, Role::Leader(leader) if leader.rounds.lease_from.is_some());
    if let (Role::Leader(leader), false) = (&mut raft.role, claims) {
        leader.rounds.lease_from = Some(0);
        std::mem::take(&mut leader.rounds.began);
        leader.rounds.began.note(0, Time::NEVER);
    }
}

fn renew_by_sending(server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let Role::Leader(leader) = &mut server.raft_mut().role else { return };
    let newest = leader.rounds.newest;
    for progress in leader.followers.values_mut() {
        progress.answers.round = newest;
        progress.answers.heard = progress.answers.heard.max(leader.heartbeat_due);
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

fn confirm_with_less(server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let Role::Leader(leader) = &mut server.raft_mut().role else { return };
    let newest = leader.rounds.newest;
    if let Some(progress) = leader.followers.values_mut().min_by_key(|progress| progress.answers.round) {
        progress.answers.round = newest;
    }
}

fn take_for_newest(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let newest = server.raft().beyond.reads.newest;
    for message in arriving(arrivals) {
        if let Body::Extra(Extra::ReadIndexReply { number, index: Some(_) }) = &mut message.body {
            *number = newest.unwrap_or(*number);
        }
    }
}

fn lower_read_index(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let reached = server.raft().commit_index();
    for message in arriving(arrivals) {
        if let Body::Extra(Extra::ReadIndexReply { index: Some(index), .. }) = &mut message.body {
            *index = reached.min(*index);
        }
    }
}

fn answer_alone(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    if matches!(server.raft().role(), Role::Leader(_)) {
        return;
    }
    for arrival in arrivals {
        if let Arrival::Envelope(Envelope { packet, .. }) = arrival
            && let Packet::Request(Request { call: Call::Read { mode, here: true, .. }, .. }) = packet
        {
            *mode = ReadMode::Stale;
        }
    }
}

/// Which moment a state is said to be as new as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claims {
    Heartbeats,
    Leading,
    Pending,
}

struct ClaimsAge {
    now: Time,
    claims: Claims,
}

impl Exhibit for ClaimsAge {
    fn tell_time(&mut self, now: Time) {
        self.now = now;
    }

    fn before(&mut self, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        let raft = server.raft_mut();
        let heard = arriving(arrivals).any(|message| {
            message.term == raft.current_term && matches!(message.body, Body::AppendEntries { .. })
        });
        let claimed = match self.claims {
            Claims::Heartbeats => heard.then_some(self.now),
            Claims::Leading => matches!(raft.role, Role::Leader(_)).then_some(self.now),
            Claims::Pending => raft.beyond.freshness.pending.map(|(_, as_of)| as_of),
        };
        raft.beyond.freshness.as_of = raft.beyond.freshness.as_of.max(claimed);
    }
}

/// Lets every round of every leader claim a lease.
struct ClaimsAlways;

impl Exhibit for ClaimsAlways {
    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        let claimed = server.raft().settings.election_min;
        for message in leaving(server, outbox) {
            if let Body::AppendEntries { beat, .. } = &mut message.body {
                beat.lease = Some(claimed);
            }
        }
    }
}
