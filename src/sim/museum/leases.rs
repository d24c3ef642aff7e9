//! Defects of leases, and of the promises that they rest on (6.4.1 of the dissertation).

use std::collections::BTreeSet;

use super::Hook::{Arriving, Before, Other, Recovering, Timed};
use super::{Specimen, arriving};
use crate::protocol::{Call, Packet, ReadMode, Request};
use crate::raft::message::{Body, Cause, Extra, Message, Round};
use crate::raft::role::Role;
use crate::raft::{Raft, Recovered};
use crate::server::{Arrival, Outbox, Server};
use crate::sim::mutation::Mutation;
use crate::sim::seeds::Family;
use crate::types::{NodeId, Time};

/// What a stale read does to the checks.
const STALE: &[&str] = &["linearizable"];

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("lease-kept-after-stepping-down", "6.4.1 of the dissertation")
        .defect("a leader that stepped down keeps answering by its lease until it follows another")
        .hook(Other(|| Box::<KeepsLease>::default()))
        .caught(Family::Reads, 33, STALE),
    Specimen::new("lease-before-no-op", "6.4.1 of the dissertation")
        .defect("a new leader reads by lease before the no-op of its term is committed")
        .hook(Timed(read_before_no_op))
        .caught(Family::Reads, 34, STALE),
    Specimen::new("promise-broken-for-ordered-vote", "6.4.1 of the dissertation")
        .defect("a node that promised to withhold its vote votes in an election on request")
        .hook(Before(vote_when_ordered))
        .caught(Family::Reads, 50, STALE),
    Specimen::new("promise-broken-by-own-campaign", "6.4.1 of the dissertation")
        .defect("a node that promised to withhold its vote campaigns as soon as it is asked to")
        .hook(Before(campaign_when_ordered))
        .caught(Family::Reads, 5, STALE),
    Specimen::new("promise-forgotten-at-restart", "6.4.1 of the dissertation")
        .defect("a node that restarts does not know that it promised to withhold its vote")
        .hook(Recovering(forget_promise))
        .caught(Family::Reads, 5, STALE),
    Specimen::new("promise-cut-short", "6.4.1 of the dissertation")
        .defect("a promise to withhold votes ends after a third of the shortest election timeout")
        .hook(Timed(cut_short))
        .caught(Family::Reads, 3, STALE),
    Specimen::new("lease-kept-while-handing-over", "3.10 and 6.4.1 of the dissertation")
        .defect("a leader that hands over keeps answering by the lease that it had")
        .hook(Timed(read_while_handing_over))
        .caught(Family::Transfers, 2, STALE),
    Specimen::new("late-order-obeyed", "3.10 of the dissertation")
        .defect("an order to start an election is taken for new, however late it comes")
        .hook(Arriving(take_for_new))
        .caught(Family::Transfers, 1, STALE),
    Specimen::new("promise-released-by-name", "3.10 and 6.4.1 of the dissertation")
        .defect("a waiver frees a vote that was withheld for a later round of the same leader")
        .hook(Arriving(waive_all))
        .caught(Family::Transfers, 5, STALE),
    Specimen::new("removed-leader-holds-lease", "4.2.2 and 6.4.1 of the dissertation")
        .defect("a leader that is left out takes itself for the only new voter, and answers by its lease")
        .hook(Before(read_though_left_out))
        .caught_by_scenario("a leader of two leaves itself out, and the other leads before it hears of that"),
];

/// Nodes that held a lease when they last led, and follow no leader yet.
#[derive(Default)]
struct KeepsLease(BTreeSet<NodeId>);

impl Mutation for KeepsLease {
    fn before(&mut self, _now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
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

fn read_before_no_op(now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft();
    let Role::Leader(leader) = raft.role() else { return };
    let confirmed = raft.confirmed_round();
    let claimed = leader.rounds.lease_from.is_some_and(|from| from <= confirmed);
    let began = leader.rounds.began.at(confirmed).filter(|_| claimed && raft.commit_index() < leader.no_op);
    if began.is_some_and(|began| now < began + raft.settings.lease()) {
        by_lease(arrivals).for_each(|mode| *mode = ReadMode::Stale);
    }
}

fn vote_when_ordered(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    if arriving(arrivals).any(|message| {
        matches!(message.body, Body::RequestVote { cause: Cause::Request | Cause::Transfer(_), .. })
    }) {
        server.raft_mut().beyond.vote_hold.until = Time::ZERO;
    }
}

fn campaign_when_ordered(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    if arrivals.iter().any(|arrival| matches!(arrival, Arrival::Campaign)) {
        server.raft_mut().beyond.vote_hold.until = Time::ZERO;
    }
}

fn forget_promise(recovered: &mut Recovered) {
    recovered.hard_state.withheld_votes = false;
}

fn cut_short(now: Time, server: &mut Server, _arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    raft.beyond.vote_hold.until = raft.beyond.vote_hold.until.min(now + raft.settings.election_min / 3);
}

fn read_though_left_out(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft();
    let left_out = raft.configuration().voters.len() == 1 && !raft.configuration().is_voter(raft.member());
    if matches!(raft.role(), Role::Leader(_)) && left_out {
        by_lease(arrivals).for_each(|mode| *mode = ReadMode::Stale);
    }
}

fn read_while_handing_over(now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft();
    let Role::Leader(leader) = raft.role() else { return };
    let began = leader.rounds.began.at(raft.confirmed_round()).filter(|_| raft.hands_over_to().is_some());
    if began.is_some_and(|began| now < began + raft.settings.lease()) {
        by_lease(arrivals).for_each(|mode| *mode = ReadMode::Stale);
    }
}

fn take_for_new(raft: &Raft, message: &mut Message) {
    if let Body::Extra(Extra::TimeoutNow { round, last }) = &mut message.body {
        (*round, *last) = (raft.beyond.transfers.heard.1, raft.log().last());
    }
}

fn waive_all(_raft: &Raft, message: &mut Message) {
    if let Body::RequestVote { cause: Cause::Transfer(waiver), .. } = &mut message.body {
        waiver.round = Round::MAX;
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
