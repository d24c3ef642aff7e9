//! Defects of how votes are judged and counted (5.2, 5.4.1).

use super::{After, Before, Caught, GENERAL, Specimen, VOTES, arriving, leaving};
use crate::raft::Recovered;
use crate::raft::message::{Body, Extra};
use crate::raft::role::Role;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::types::{EntryId, LogIndex, NodeId, Term};

/// What a candidate that lacks something committed does to the checks.
const UNFIT: &[&str] = &["leader completeness", "commit rule", "state machine safety", "node invariants"];

/// What two leaders in a term, or two votes, do to them.
const TWICE: &[&str] = &["one vote a term", "election safety", "node invariants"];

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "vote-without-log",
        defect: "a voter does not compare the logs at all",
        section: "5.4.1",
        caught: Caught::BySeeds { family: VOTES, first: 3, complaints: UNFIT },
        exhibit: || Box::new(Before(|server, arrivals| judge(server, arrivals, |_, _, _| true))),
    },
    Specimen {
        name: "vote-by-last-index-alone",
        defect: "a voter compares the length of the logs, and not the terms of their last entries",
        section: "5.4.1",
        caught: Caught::BySeeds { family: VOTES, first: 27, complaints: UNFIT },
        exhibit: || {
            Box::new(Before(|server, arrivals| {
                judge(server, arrivals, |theirs, ours, _| theirs.index >= ours.index);
            }))
        },
    },
    Specimen {
        name: "vote-by-last-term-alone",
        defect: "a voter compares the terms of the last entries, and not the length of the logs",
        section: "5.4.1",
        caught: Caught::BySeeds { family: VOTES, first: 4, complaints: UNFIT },
        exhibit: || {
            Box::new(Before(|server, arrivals| {
                judge(server, arrivals, |theirs, ours, _| theirs.term >= ours.term);
            }))
        },
    },
    Specimen {
        name: "vote-by-index-before-term",
        defect: "a voter compares the lengths of the logs first, and the terms of the last entries only then",
        section: "5.4.1",
        caught: Caught::BySeeds { family: VOTES, first: 27, complaints: UNFIT },
        exhibit: || {
            Box::new(Before(|server, arrivals| {
                judge(server, arrivals, |theirs, ours, _| {
                    (theirs.index, theirs.term) >= (ours.index, ours.term)
                });
            }))
        },
    },
    Specimen {
        name: "vote-by-commit-index",
        defect: "a voter asks for its committed entries, and not for all that it has acknowledged",
        section: "5.4.1",
        caught: Caught::BySeeds { family: VOTES, first: 3, complaints: UNFIT },
        exhibit: || {
            Box::new(Before(|server, arrivals| {
                judge(server, arrivals, |theirs, _, commit| theirs.index >= commit);
            }))
        },
    },
    Specimen {
        name: "vote-for-one-entry-less",
        defect: "a voter votes for a candidate whose log is one entry shorter than its own",
        section: "5.4.1",
        caught: Caught::BySeeds { family: VOTES, first: 8, complaints: UNFIT },
        exhibit: || {
            Box::new(Before(|server, arrivals| {
                judge(server, arrivals, |theirs, ours, _| {
                    theirs.term == ours.term && theirs.index.next() >= ours.index || theirs >= ours
                });
            }))
        },
    },
    Specimen {
        name: "candidate-claims-its-term",
        defect: "a candidate sends its own term as that of its last entry",
        section: "5.4.1",
        caught: Caught::BySeeds { family: VOTES, first: 3, complaints: UNFIT },
        exhibit: || Box::new(After(claim_term)),
    },
    Specimen {
        name: "candidate-votes-for-rival",
        defect: "a candidate that has voted for itself votes for a rival of the same term too",
        section: "5.2",
        caught: Caught::BySeeds { family: VOTES, first: 1, complaints: TWICE },
        exhibit: || Box::new(Before(vote_for_rival)),
    },
    Specimen {
        name: "term-from-log-at-restart",
        defect: "a restart takes the term of the last entry for the current one",
        section: "5.1",
        caught: Caught::BySeeds { family: VOTES, first: 1, complaints: &["one vote a term"] },
        exhibit: || Box::new(TermFromLog),
    },
    Specimen {
        name: "refused-vote-counted",
        defect: "a candidate counts each answer as a vote",
        section: "5.2",
        caught: Caught::BySeeds {
            family: VOTES,
            first: 2,
            complaints: &["election safety", "node invariants", "leader completeness"],
        },
        exhibit: || Box::new(Before(count_refusals)),
    },
    Specimen {
        name: "pre-vote-counts-as-vote",
        defect: "a candidate counts a late answer to its pre-vote as a vote",
        section: "9.6 of the dissertation",
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 4,
            complaints: &["election safety", "node invariants", "leader completeness"],
        },
        exhibit: || Box::new(Before(count_pre_votes)),
    },
];

/// Lets a voter judge a candidate's last entry by this rule, which is told its own last entry and its commit index.
fn judge(server: &Server, arrivals: &mut [Arrival], fit: fn(EntryId, EntryId, LogIndex) -> bool) {
    let (ours, commit) = (server.raft().log().last(), server.raft().commit_index());
    for message in arriving(arrivals) {
        if let Body::Extra(Extra::PreVote { last, .. }) | Body::RequestVote { last, .. } = &mut message.body {
            *last = if fit(*last, ours, commit) { ours } else { EntryId::ZERO };
        }
    }
}

fn claim_term(server: &mut Server, outbox: &mut Outbox) {
    for message in leaving(server, outbox) {
        if let Body::RequestVote { last, .. } = &mut message.body {
            last.term = message.term;
        }
    }
}

fn vote_for_rival(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    let term = raft.current_term;
    let asked = arriving(arrivals)
        .any(|message| message.term == term && matches!(message.body, Body::RequestVote { .. }));
    if asked && matches!(raft.role, Role::Candidate(_)) {
        raft.voted_for = None;
    }
}

struct TermFromLog;

impl Exhibit for TermFromLog {
    fn recovered(&mut self, _node: NodeId, recovered: &mut Recovered) {
        let last = recovered.entries.last().map_or(recovered.base.term, |entry| entry.term);
        let state = &mut recovered.hard_state;
        if last < state.current_term && last > Term(0) {
            (state.current_term, state.voted_for) = (last, None);
        }
    }
}

fn count_refusals(_server: &mut Server, arrivals: &mut Vec<Arrival>) {
    for message in arriving(arrivals) {
        if message.body == (Body::VoteReply { granted: false }) {
            message.body = Body::VoteReply { granted: true };
        }
    }
}

fn count_pre_votes(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft();
    if !matches!(raft.role(), Role::Candidate(_)) {
        return;
    }
    for message in arriving(arrivals) {
        if message.body
            == (Body::Extra(Extra::PreVoteReply { next_term: raft.current_term(), granted: true }))
        {
            (message.term, message.body) = (raft.current_term(), Body::VoteReply { granted: true });
        }
    }
}
