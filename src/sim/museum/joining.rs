//! Defects of readmission: what a node may do that lost its files, and what a leader makes of it (`src/raft/beyond/readmission.rs`).

use super::Hook::{After, Before, Leaving, Other, Recovering};
use super::logs::{commit, held};
use super::{Specimen, arriving};
use crate::raft::entry::Content;
use crate::raft::event::Event;
use crate::raft::message::{Ack, Body, Extra, Message};
use crate::raft::{Raft, Recovered};
use crate::server::{Arrival, Outbox, Server};
use crate::sim::mutation::Mutation;
use crate::sim::seeds::Family;
use crate::types::{Term, Time};

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("joining-node-votes", "5.2; readmission")
        .defect("a node that lost its files votes before it is readmitted")
        .hook(Other(|| Box::<VotesWhileJoining>::default()))
        .caught(Family::Joining, 1, LOST),
    Specimen::new("joining-node-campaigns", "5.2; readmission")
        .defect("a node that lost its files campaigns when it hears no leader")
        .hook(Before(campaign_while_joining))
        .caught(Family::Joining, 1, LOST),
    Specimen::new("joining-forgotten-at-restart", "Figure 2, persistent state; readmission")
        .defect("a node that lost its files and starts again takes itself for a member like the others")
        .hook(Recovering(forget_joining))
        .caught(Family::Joining, 4, LOST),
    Specimen::new("joining-copies-commit", "5.4.2; readmission")
        .defect("the copies of a node that lost its files count for a majority")
        .hook(After(commit_with_joining))
        .caught(Family::Joining, 29, LOST),
    Specimen::new("joining-not-said", "5.4.2; readmission")
        .defect("a node that lost its files does not say so in its answers")
        .hook(Leaving(say_nothing_of_joining))
        .caught(Family::Joining, 29, LOST),
    Specimen::new("readmitted-by-uncommitted-entry", "5.4; readmission")
        .defect("a node is readmitted by an entry that is not committed")
        .hook(After(believe_uncommitted))
        .caught(Family::Joining, 22, LOST),
    Specimen::new("readmitted-for-other-files", "readmission")
        .defect("a node is readmitted by the entry that readmitted it when it lost its files before")
        .hook(After(believe_older_files))
        .caught(Family::Joining, 336, LOST),
    Specimen::new("files-without-number", "readmission")
        .defect("new files cannot be told from those that were lost")
        .hook(Recovering(number_all_alike))
        .caught(
            Family::Joining,
            42,
            &[
                "one vote a term",
                "commit rule",
                "not healed",
                "election safety",
                "leader completeness",
                "node invariants",
            ],
        ),
];

/// What shows that something committed was lost, or decided twice.
const LOST: &[&str] = &[
    "leader completeness",
    "commit rule",
    "state machine safety",
    "election safety",
    "log matching",
    "node invariants",
    "linearizable",
];

/// Takes a joining node for a member while it is asked for its vote.
#[derive(Default)]
struct VotesWhileJoining(bool);

impl Mutation for VotesWhileJoining {
    fn before(&mut self, _now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        let asked = arriving(arrivals).any(|message| {
            matches!(message.body, Body::RequestVote { .. } | Body::Extra(Extra::PreVote { .. }))
        });
        self.0 = asked && server.raft().joins();
        if self.0 {
            set_joining(server.raft_mut(), false);
        }
    }

    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        if std::mem::take(&mut self.0) {
            set_joining(server.raft_mut(), true);
            if let Some(hard_state) = outbox.write.as_mut().and_then(|write| write.hard_state.as_mut()) {
                hard_state.joining = true;
            }
        }
    }
}

/// As if the disk held it too, so that nothing else comes of it.
fn set_joining(raft: &mut Raft, joining: bool) {
    raft.beyond.joining = joining;
    raft.durability.handed.joining = joining;
}

fn campaign_while_joining(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let called = |arrival: &Arrival| matches!(arrival, Arrival::Campaign);
    // A follower is called without an arrival when its election timer has run out.
    if server.raft().joins() && (arrivals.is_empty() || arrivals.iter().any(called)) {
        set_joining(server.raft_mut(), false);
    }
}

fn forget_joining(recovered: &mut Recovered) {
    // The first start from new files has heard of no term.
    recovered.hard_state.joining &= recovered.hard_state.current_term == Term(0);
}

fn commit_with_joining(server: &mut Server, _outbox: &mut Outbox) {
    let raft = server.raft_mut();
    let Some(mut held) = held(raft, raft.durable_index()) else { return };
    held.sort_unstable_by(|a, b| b.cmp(a));
    commit(raft, held[raft.quorum() - 1]);
}

fn say_nothing_of_joining(_raft: &Raft, message: &mut Message) {
    if let Some(ack) = ack_of(message) {
        ack.joining = false;
    }
}

fn ack_of(message: &mut Message) -> Option<&mut Ack> {
    match &mut message.body {
        Body::AppendReply { ack, .. } | Body::InstallReply { ack, .. } => Some(ack),
        _ => None,
    }
}

fn believe_uncommitted(server: &mut Server, outbox: &mut Outbox) {
    let (node, store_id) = (server.raft().id(), server.raft().store_id());
    let readmits = |content: &Content| *content == Content::Readmit { node, store_id };
    let written = outbox.write.iter().flat_map(|write| &write.entries).any(|entry| readmits(&entry.content));
    if written && server.raft().joins() {
        set_joining(server.raft_mut(), false);
    }
}

fn believe_older_files(server: &mut Server, outbox: &mut Outbox) {
    let raft = server.raft_mut();
    for event in &outbox.events {
        if let Event::CommitAdvanced { from, to } = event
            && raft.beyond.joining
        {
            let first = from.max(&raft.log.base().index).next();
            let named =
                |content: &Content| matches!(content, Content::Readmit { node, .. } if *node == raft.id());
            if first <= *to && raft.log.range(first, *to).any(|entry| named(&entry.content)) {
                set_joining(raft, false);
            }
        }
    }
}

/// Every node's files have the same number.
fn number_all_alike(recovered: &mut Recovered) {
    recovered.hard_state.store_id = 1;
}
