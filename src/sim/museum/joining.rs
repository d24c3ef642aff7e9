//! Defects of readmission: what a node may do that lost its files, and what a leader makes of it (`src/raft/beyond/readmission.rs`).

use super::logs::{commit, held};
use super::{After, Before, Caught, JOINING, Specimen, arriving, leaving};
use crate::raft::entry::Content;
use crate::raft::event::Event;
use crate::raft::message::{Ack, Body, Extra, Message};
use crate::raft::{Raft, Recovered};
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::types::{NodeId, Term};

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "joining-node-votes",
        defect: "a node that lost its files votes before it is readmitted",
        section: "5.2; readmission",
        caught: Caught::BySeeds { family: JOINING, first: 1, complaints: LOST },
        exhibit: || Box::<VotesWhileJoining>::default(),
    },
    Specimen {
        name: "joining-node-campaigns",
        defect: "a node that lost its files campaigns when it hears no leader",
        section: "5.2; readmission",
        caught: Caught::BySeeds { family: JOINING, first: 1, complaints: LOST },
        exhibit: || Box::new(Before(campaign_while_joining)),
    },
    Specimen {
        name: "joining-forgotten-at-restart",
        defect: "a node that lost its files and starts again takes itself for a member like the others",
        section: "Figure 2, persistent state; readmission",
        caught: Caught::BySeeds { family: JOINING, first: 4, complaints: LOST },
        exhibit: || Box::new(ForgetsJoining),
    },
    Specimen {
        name: "joining-copies-commit",
        defect: "the copies of a node that lost its files count for a majority",
        section: "5.4.2; readmission",
        caught: Caught::BySeeds { family: JOINING, first: 29, complaints: LOST },
        exhibit: || Box::new(After(commit_with_joining)),
    },
    Specimen {
        name: "joining-not-said",
        defect: "a node that lost its files does not say so in its answers",
        section: "5.4.2; readmission",
        caught: Caught::BySeeds { family: JOINING, first: 29, complaints: LOST },
        exhibit: || Box::new(After(say_nothing_of_joining)),
    },
    Specimen {
        name: "readmitted-by-uncommitted-entry",
        defect: "a node is readmitted by an entry that is not committed",
        section: "5.4; readmission",
        caught: Caught::BySeeds { family: JOINING, first: 22, complaints: LOST },
        exhibit: || Box::new(After(believe_uncommitted)),
    },
    Specimen {
        name: "readmitted-for-other-files",
        defect: "a node is readmitted by the entry that readmitted it when it lost its files before",
        section: "readmission",
        caught: Caught::BySeeds { family: JOINING, first: 336, complaints: LOST },
        exhibit: || Box::new(After(believe_older_files)),
    },
    Specimen {
        name: "files-without-number",
        defect: "new files cannot be told from those that were lost",
        section: "readmission",
        caught: Caught::BySeeds {
            family: JOINING,
            first: 42,
            complaints: &[
                "one vote a term",
                "commit rule",
                "not healed",
                "election safety",
                "leader completeness",
                "node invariants",
            ],
        },
        exhibit: || Box::new(WithoutNumber),
    },
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

impl Exhibit for VotesWhileJoining {
    fn before(&mut self, server: &mut Server, arrivals: &mut Vec<Arrival>) {
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

struct ForgetsJoining;

impl Exhibit for ForgetsJoining {
    fn recovered(&mut self, _node: NodeId, recovered: &mut Recovered) {
        // The first start from new files has heard of no term.
        recovered.hard_state.joining &= recovered.hard_state.current_term == Term(0);
    }
}

fn commit_with_joining(server: &mut Server, _outbox: &mut Outbox) {
    let raft = server.raft_mut();
    let Some(mut held) = held(raft, raft.durable_index()) else { return };
    held.sort_unstable_by(|a, b| b.cmp(a));
    commit(raft, held[raft.quorum() - 1]);
}

fn say_nothing_of_joining(server: &mut Server, outbox: &mut Outbox) {
    for message in leaving(server, outbox) {
        if let Some(ack) = ack_of(message) {
            ack.joining = false;
        }
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
struct WithoutNumber;

impl Exhibit for WithoutNumber {
    fn recovered(&mut self, _node: NodeId, recovered: &mut Recovered) {
        recovered.hard_state.store_id = 1;
    }
}
