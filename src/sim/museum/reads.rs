//! Defects of reads (section 8; 6.4 of the dissertation).

use super::Hook::{Arriving, Before, Leaving, Timed};
use super::{Specimen, arriving};
use crate::protocol::{Address, Call, Envelope, Packet, ReadMode, Request};
use crate::raft::Raft;
use crate::raft::message::{Body, Extra, Message};
use crate::raft::role::Role;
use crate::server::{Arrival, Server};
use crate::sim::seeds::Family;
use crate::types::Time;

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("read-before-no-op", "6.4 of the dissertation")
        .defect("a new leader serves reads before the no-op of its term is committed")
        .hook(Before(forget_no_op))
        .caught(Family::General, 91, &["linearizable"]),
    Specimen::new("answers-without-round", "6.4 of the dissertation")
        .defect("an answer to an older round confirms the newest one")
        .hook(Before(confirm_newest))
        .caught(Family::Reads, 1, STALE),
    Specimen::new("lease-never-confirmed", "6.4.1 of the dissertation")
        .defect("a lease that no answer has ever confirmed counts as held")
        .hook(Before(hold_unconfirmed))
        .caught(Family::Stalls, 3, &["staleness bound"]),
    Specimen::new("lease-from-own-send", "6.4.1 of the dissertation")
        .defect("a leader's own heartbeat renews its lease, without an answer")
        .hook(Before(renew_by_sending))
        .caught(Family::Reads, 1, STALE),
    Specimen::new("expired-lease-not-awaited", "6.4.1 of the dissertation")
        .defect("a read by lease that finds none fails instead of waiting for a round")
        .hook(Before(fail_without_lease))
        .caught_by_scenario("reads by lease in a cluster at rest"),
    Specimen::new("lease-without-quorum", "6.4.1 of the dissertation")
        .defect("a leader claims leases though no quorum answers, without check-quorum")
        .hook(Leaving(claim_lease))
        .caught_by_scenario("the one node that hears the leader freezes a connected majority"),
    Specimen::new("round-without-quorum", "6.4 of the dissertation")
        .defect("one node less than a quorum confirms a round")
        .hook(Before(confirm_with_less))
        .caught(Family::Reads, 1, STALE),
    Specimen::new("read-index-for-a-later-question", "6.4 of the dissertation")
        .defect("a follower takes the late answer to an earlier question for that to its newest one")
        .hook(Arriving(take_for_newest))
        .caught(Family::Reads, 13, STALE),
    Specimen::new("read-index-not-awaited", "6.4 of the dissertation")
        .defect("a follower that is told the read index answers before it has applied as far")
        .hook(Arriving(lower_read_index))
        .caught(Family::Reads, 3, STALE),
    Specimen::new("follower-asks-no-leader", "6.4 of the dissertation")
        .defect("a follower answers linearizable reads from its own state, without asking its leader")
        .hook(Before(answer_alone))
        .caught(Family::Reads, 1, STALE),
    Specimen::new("age-from-heartbeat", "6.4 of the dissertation")
        .defect("a follower counts the age of its state from when it last heard its leader")
        .hook(Timed(claim_from_heartbeat))
        .caught(Family::Reads, 3, AGES),
    Specimen::new("age-of-leader-is-zero", "6.4 of the dissertation")
        .defect("a node that believes to lead says that its state is up to date")
        .hook(Timed(claim_while_leading))
        .caught(Family::Reads, 5, AGES),
    Specimen::new("age-of-what-is-not-there", "6.4 of the dissertation")
        .defect("a follower counts the age of a commit index that it has not reached")
        .hook(Before(claim_pending))
        .caught(Family::Reads, 14, AGES),
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

fn take_for_newest(raft: &Raft, message: &mut Message) {
    let newest = raft.beyond.reads.newest;
    if let Body::Extra(Extra::ReadIndexReply { number, index: Some(_) }) = &mut message.body {
        *number = newest.unwrap_or(*number);
    }
}

fn lower_read_index(raft: &Raft, message: &mut Message) {
    let reached = raft.commit_index();
    if let Body::Extra(Extra::ReadIndexReply { index: Some(index), .. }) = &mut message.body {
        *index = reached.min(*index);
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

fn claim_from_heartbeat(now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    let heard = arriving(arrivals).any(|message| {
        message.term == raft.current_term && matches!(message.body, Body::AppendEntries { .. })
    });
    claim(raft, heard.then_some(now));
}

fn claim_while_leading(now: Time, server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    claim(raft, matches!(raft.role, Role::Leader(_)).then_some(now));
}

fn claim_pending(server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    claim(raft, raft.beyond.freshness.pending.map(|(_, as_of)| as_of));
}

/// Says that the state is as new as this.
fn claim(raft: &mut Raft, as_of: Option<Time>) {
    raft.beyond.freshness.as_of = raft.beyond.freshness.as_of.max(as_of);
}

/// Lets every round of every leader claim a lease.
fn claim_lease(raft: &Raft, message: &mut Message) {
    if let Body::AppendEntries { beat, .. } = &mut message.body {
        beat.lease = Some(raft.settings.election_min);
    }
}
