//! Defects of elections (5.2, 5.4.1, 9.6).

use std::time::Duration;

use super::Hook::{After, Arriving, Before, Leaving, Recovering};
use super::{Specimen, arriving, keep_messages};
use crate::raft::event::Event;
use crate::raft::message::{Body, Cause, Extra, Message};
use crate::raft::role::{Follower, Role};
use crate::raft::{Raft, Recovered};
use crate::server::{Arrival, Outbox, Server};
use crate::sim::seeds::Family;

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("vote-cleared-on-following", "5.2")
        .defect("a node that becomes a follower within its term forgets its vote of that term")
        .hook(After(forget_vote))
        .caught(Family::General, 2, &["one vote a term", "nothing promised early", "election safety"]),
    Specimen::new("vote-forgotten-at-restart", "5.2")
        .defect("the vote is not kept across a restart")
        .hook(Recovering(forget_vote_at_restart))
        .caught(Family::General, 1, &["one vote a term"]),
    Specimen::new("vote-given-twice", "5.2")
        .defect("a node that has voted votes for the next candidate of the term too")
        .hook(Leaving(vote_twice))
        .caught(Family::General, 2, &["one vote a term", "election safety"]),
    Specimen::new("vote-replies-without-term", "5.2")
        .defect("a candidate counts votes that it was given in an earlier term")
        .hook(Arriving(count_old_votes))
        .caught_by_scenario("votes that are held back until their candidate asks for the next term"),
    Specimen::new("own-vote-not-counted", "5.2")
        .defect("a candidate does not count its own vote, so that a cluster of one elects no leader")
        .hook(Before(ignore_own_vote))
        .caught(Family::General, 2, &["not healed"]),
    Specimen::new("votes-beside-a-leader", "4.2.3 of the dissertation")
        .defect("a follower that hears its leader votes for every candidate")
        .hook(Before(forget_leader))
        .caught_by_scenario("a follower that its leader cannot reach deposes it"),
    Specimen::new("refused-vote-resets-timer", "5.2")
        .defect("a follower resets its election timer after a vote that it refused")
        .hook(Before(reset_timer))
        .caught(Family::Stalls, 13, &["not healed"]),
    Specimen::new("refused-pre-vote-without-term", "9.6 of the dissertation")
        .defect("a node does not learn the newer term from a refused pre-vote")
        .hook(Before(ignore_refused_pre_votes))
        .caught_by_scenario("a long log of a low term and a short log of a high term elect no leader"),
    Specimen::new("ordered-vote-ignores-log", "5.4.1; 3.10 of the dissertation")
        .defect("in an election on request followers vote for a candidate whose log lacks what theirs holds")
        .hook(Arriving(ignore_logs_if_ordered))
        .caught(
            Family::Votes,
            2,
            &["leader completeness", "commit rule", "node invariants", "state machine safety"],
        ),
    Specimen::new("loyal-without-check-quorum", "4.2.3 of the dissertation")
        .defect("followers refuse votes while they hear a leader, but that leader never steps down")
        .hook(Before(stay_loyal))
        .caught_by_scenario("the one node that hears the leader freezes a connected majority"),
];

fn forget_vote_at_restart(recovered: &mut Recovered) {
    recovered.hard_state.voted_for = None;
}

fn forget_vote(server: &mut Server, outbox: &mut Outbox) {
    let becomes = |event: &Event| matches!(event, Event::Following { .. } | Event::SteppedDown { .. });
    let raft = server.raft_mut();
    if outbox.events.iter().any(becomes) && matches!(raft.role, Role::Follower(_)) {
        raft.voted_for = None;
    }
}

fn vote_twice(raft: &Raft, message: &mut Message) {
    let term = raft.current_term();
    let voted = raft.voted_for().is_some();
    if voted && message.term == term && message.body == (Body::VoteReply { granted: false }) {
        message.body = Body::VoteReply { granted: true };
    }
}

fn count_old_votes(raft: &Raft, message: &mut Message) {
    let term = raft.current_term();
    if message.body == (Body::VoteReply { granted: true }) {
        message.term = message.term.max(term);
    }
}

fn ignore_own_vote(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    if matches!(server.raft().role(), Role::Candidate(_)) {
        arrivals.retain(|arrival| !matches!(arrival, Arrival::Persisted(_)));
    }
}

fn forget_leader(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let asked = arriving(arrivals)
        .any(|message| matches!(message.body, Body::Extra(Extra::PreVote { .. }) | Body::RequestVote { .. }));
    let raft = server.raft_mut();
    if asked && matches!(raft.role, Role::Follower(_)) {
        raft.role = Role::Follower(Follower { leader: None });
    }
}

fn reset_timer(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let ours = server.raft().log().last();
    let refused = arriving(arrivals).any(|message| match message.body {
        Body::Extra(Extra::PreVote { last, .. }) | Body::RequestVote { last, .. } => last < ours,
        _ => false,
    });
    if refused {
        arrivals.push(Arrival::SetElectionTimer(TIMEOUT));
    }
}

fn ignore_refused_pre_votes(_server: &mut Server, arrivals: &mut Vec<Arrival>) {
    keep_messages(arrivals, |message| {
        !matches!(message.body, Body::Extra(Extra::PreVoteReply { granted: false, .. }))
    });
}

fn ignore_logs_if_ordered(raft: &Raft, message: &mut Message) {
    let ours = raft.log().last();
    if let Body::RequestVote { last, cause: Cause::Request | Cause::Transfer(_) } = &mut message.body {
        *last = ours.max(*last);
    }
}

fn stay_loyal(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    if matches!(server.raft().role(), Role::Follower(Follower { leader: Some(_) })) {
        keep_messages(arrivals, |message| {
            !matches!(
                message.body,
                Body::Extra(Extra::PreVote { .. }) | Body::RequestVote { cause: Cause::Timer, .. }
            )
        });
    }
}
