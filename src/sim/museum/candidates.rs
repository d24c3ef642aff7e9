//! Defects of how votes are judged and counted (5.2, 5.4.1).

use super::Hook::{Arriving, Before, Leaving, Recovering};
use super::{Specimen, arriving};
use crate::raft::message::{Body, Extra, Message};
use crate::raft::role::Role;
use crate::raft::{Raft, Recovered};
use crate::server::{Arrival, Server};
use crate::sim::seeds::Family;
use crate::types::{EntryId, LogIndex, Term};

/// What a candidate that lacks something committed does to the checks.
const UNFIT: &[&str] = &["leader completeness", "commit rule", "state machine safety", "node invariants"];

/// What two leaders in a term, or two votes, do to them.
const TWICE: &[&str] = &["one vote a term", "election safety", "node invariants"];

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("vote-without-log", "5.4.1")
        .defect("a voter does not compare the logs at all")
        .hook(Arriving(|raft, message| judge(raft, message, |_, _, _| true)))
        .caught(Family::Votes, 3, UNFIT),
    Specimen::new("vote-by-last-index-alone", "5.4.1")
        .defect("a voter compares the length of the logs, and not the terms of their last entries")
        .hook(Arriving(|raft, message| judge(raft, message, |theirs, ours, _| theirs.index >= ours.index)))
        .caught(Family::Votes, 27, UNFIT),
    Specimen::new("vote-by-last-term-alone", "5.4.1")
        .defect("a voter compares the terms of the last entries, and not the length of the logs")
        .hook(Arriving(|raft, message| judge(raft, message, |theirs, ours, _| theirs.term >= ours.term)))
        .caught(Family::Votes, 4, UNFIT),
    Specimen::new("vote-by-index-before-term", "5.4.1")
        .defect("a voter compares the lengths of the logs first, and the terms of the last entries only then")
        .hook(Arriving(|raft, message| {
            judge(raft, message, |theirs, ours, _| (theirs.index, theirs.term) >= (ours.index, ours.term));
        }))
        .caught(Family::Votes, 27, UNFIT),
    Specimen::new("vote-by-commit-index", "5.4.1")
        .defect("a voter asks for its committed entries, and not for all that it has acknowledged")
        .hook(Arriving(|raft, message| judge(raft, message, |theirs, _, commit| theirs.index >= commit)))
        .caught(Family::Votes, 3, UNFIT),
    Specimen::new("vote-for-one-entry-less", "5.4.1")
        .defect("a voter votes for a candidate whose log is one entry shorter than its own")
        .hook(Arriving(|raft, message| {
            judge(raft, message, |theirs, ours, _| {
                theirs.term == ours.term && theirs.index.next() >= ours.index || theirs >= ours
            });
        }))
        .caught(Family::Votes, 8, UNFIT),
    Specimen::new("candidate-claims-its-term", "5.4.1")
        .defect("a candidate sends its own term as that of its last entry")
        .hook(Leaving(claim_term))
        .caught(Family::Votes, 3, UNFIT),
    Specimen::new("candidate-votes-for-rival", "5.2")
        .defect("a candidate that has voted for itself votes for a rival of the same term too")
        .hook(Before(vote_for_rival))
        .caught(Family::Votes, 1, TWICE),
    Specimen::new("term-from-log-at-restart", "5.1")
        .defect("a restart takes the term of the last entry for the current one")
        .hook(Recovering(take_term_of_log))
        .caught(Family::Votes, 1, &["one vote a term"]),
    Specimen::new("refused-vote-counted", "5.2")
        .defect("a candidate counts each answer as a vote")
        .hook(Arriving(count_refusals))
        .caught(Family::Votes, 2, &["election safety", "node invariants", "leader completeness"]),
    Specimen::new("pre-vote-counts-as-vote", "9.6 of the dissertation")
        .defect("a candidate counts a late answer to its pre-vote as a vote")
        .hook(Before(count_pre_votes))
        .caught(Family::General, 4, &["election safety", "node invariants", "leader completeness"]),
];

/// Lets a voter judge a candidate's last entry by this rule, which is told its own last entry and its commit index.
fn judge(raft: &Raft, message: &mut Message, fit: fn(EntryId, EntryId, LogIndex) -> bool) {
    let (ours, commit) = (raft.log().last(), raft.commit_index());
    if let Body::Extra(Extra::PreVote { last, .. }) | Body::RequestVote { last, .. } = &mut message.body {
        *last = if fit(*last, ours, commit) { ours } else { EntryId::ZERO };
    }
}

fn claim_term(_raft: &Raft, message: &mut Message) {
    if let Body::RequestVote { last, .. } = &mut message.body {
        last.term = message.term;
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

fn take_term_of_log(recovered: &mut Recovered) {
    let last = recovered.entries.last().map_or(recovered.base.term, |entry| entry.term);
    let state = &mut recovered.hard_state;
    if last < state.current_term && last > Term(0) {
        (state.current_term, state.voted_for) = (last, None);
    }
}

fn count_refusals(_raft: &Raft, message: &mut Message) {
    if message.body == (Body::VoteReply { granted: false }) {
        message.body = Body::VoteReply { granted: true };
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
