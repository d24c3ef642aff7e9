//! Defects of elections (5.2, 5.4.1, 9.6).

use std::time::Duration;

use super::{After, Before, Caught, GENERAL, Specimen, arriving, keep_messages, leaving};
use crate::raft::Recovered;
use crate::raft::event::Event;
use crate::raft::message::{Body, Extra};
use crate::raft::role::{Follower, Role};
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::sim::seeds::Family;
use crate::types::NodeId;

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "vote-cleared-on-following",
        defect: "a node that becomes a follower within its term forgets its vote of that term",
        section: "5.2",
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 2,
            complaints: &["one vote a term", "nothing promised early", "election safety"],
        },
        exhibit: || Box::new(After(forget_vote)),
    },
    Specimen {
        name: "vote-forgotten-at-restart",
        defect: "the vote is not kept across a restart",
        section: "5.2",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["one vote a term"] },
        exhibit: || Box::new(ForgetsVote),
    },
    Specimen {
        name: "vote-given-twice",
        defect: "a node that has voted votes for the next candidate of the term too",
        section: "5.2",
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 1,
            complaints: &["one vote a term", "election safety"],
        },
        exhibit: || Box::new(After(vote_twice)),
    },
    Specimen {
        name: "vote-replies-without-term",
        defect: "a candidate counts votes that it was given in an earlier term",
        section: "5.2",
        caught: Caught::ByScenario("votes that are held back until their candidate asks for the next term"),
        exhibit: || Box::new(Before(count_old_votes)),
    },
    Specimen {
        name: "own-vote-not-counted",
        defect: "a candidate does not count its own vote, so that a cluster of one elects no leader",
        section: "5.2",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["not healed"] },
        exhibit: || Box::new(Before(ignore_own_vote)),
    },
    Specimen {
        name: "votes-beside-a-leader",
        defect: "a follower that hears its leader votes for every candidate",
        section: "4.2.3 of the dissertation",
        caught: Caught::ByScenario("a follower that its leader cannot reach deposes it"),
        exhibit: || Box::new(Before(forget_leader)),
    },
    Specimen {
        name: "refused-vote-resets-timer",
        defect: "a follower resets its election timer after a vote that it refused",
        section: "5.2",
        caught: Caught::BySeeds { family: Family::Stalls, first: 13, complaints: &["not healed"] },
        exhibit: || Box::new(Before(reset_timer)),
    },
    Specimen {
        name: "refused-pre-vote-without-term",
        defect: "a node does not learn the newer term from a refused pre-vote",
        section: "9.6 of the dissertation",
        caught: Caught::ByScenario("a long log of a low term and a short log of a high term elect no leader"),
        exhibit: || Box::new(Before(ignore_refused_pre_votes)),
    },
    Specimen {
        name: "ordered-vote-ignores-log",
        defect: "in an election on request followers vote for a candidate whose log lacks what theirs holds",
        section: "5.4.1; 3.10 of the dissertation",
        caught: Caught::BySeeds {
            family: Family::Votes,
            first: 2,
            complaints: &["leader completeness", "commit rule", "node invariants", "state machine safety"],
        },
        exhibit: || Box::new(Before(ignore_logs_if_ordered)),
    },
    Specimen {
        name: "loyal-without-check-quorum",
        defect: "followers refuse votes while they hear a leader, but that leader never steps down",
        section: "4.2.3 of the dissertation",
        caught: Caught::ByScenario("the one node that hears the leader freezes a connected majority"),
        exhibit: || Box::new(Before(stay_loyal)),
    },
];

struct ForgetsVote;

impl Exhibit for ForgetsVote {
    fn recovered(&mut self, _node: NodeId, recovered: &mut Recovered) {
        recovered.hard_state.voted_for = None;
    }
}

fn forget_vote(server: &mut Server, outbox: &mut Outbox) {
    let becomes = |event: &Event| matches!(event, Event::Following { .. } | Event::SteppedDown { .. });
    let raft = server.raft_mut();
    if outbox.events.iter().any(becomes) && matches!(raft.role, Role::Follower(_)) {
        raft.voted_for = None;
    }
}

fn vote_twice(server: &mut Server, outbox: &mut Outbox) {
    let term = server.raft().current_term();
    let voted = server.raft().voted_for().is_some();
    for message in leaving(server, outbox) {
        if voted && message.term == term && message.body == (Body::VoteReply { granted: false }) {
            message.body = Body::VoteReply { granted: true };
        }
    }
}

fn count_old_votes(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let term = server.raft().current_term();
    for message in arriving(arrivals) {
        if message.body == (Body::VoteReply { granted: true }) {
            message.term = message.term.max(term);
        }
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

fn ignore_logs_if_ordered(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let ours = server.raft().log().last();
    for message in arriving(arrivals) {
        if let Body::RequestVote { last, transfer: true } = &mut message.body {
            *last = ours.max(*last);
        }
    }
}

fn stay_loyal(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    if matches!(server.raft().role(), Role::Follower(Follower { leader: Some(_) })) {
        keep_messages(arrivals, |message| {
            !matches!(
                message.body,
                Body::Extra(Extra::PreVote { .. }) | Body::RequestVote { transfer: false, .. }
            )
        });
    }
}
