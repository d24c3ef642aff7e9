//! Defects of what followers say that they hold, and of what leaders make of it (5.3, 5.4.2, 7).

use std::collections::BTreeMap;

use super::{After, Before, Caught, GENERAL, SNAPSHOTS, Specimen, VOTES, arriving, leaving};
use crate::payload::Payload;
use crate::raft::entry::Content;
use crate::raft::message::{Ack, AppendResult, Body, InstallResult, Message};
use crate::raft::role::{ProgressState, Role};
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::types::{EntryId, LogIndex, NodeId};

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "previous-term-unchecked",
        defect: "a follower asks only whether it has an entry at the previous index, whatever its term",
        section: "Figure 2, AppendEntries 2",
        caught: Caught::BySeeds {
            family: VOTES,
            first: 1,
            complaints: &["log matching", "nothing promised early", "node invariants"],
        },
        exhibit: || Box::new(Before(forgive_previous_term)),
    },
    Specimen {
        name: "command-changed-on-the-way",
        defect: "a follower stores another command than the leader sent, under the same index and term",
        section: "5.3",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["log matching"] },
        exhibit: || Box::new(Before(change_command)),
    },
    Specimen {
        name: "entries-stamped-again",
        defect: "a leader sends entries of earlier terms under its own term",
        section: "5.4.2",
        caught: Caught::BySeeds {
            family: VOTES,
            first: 1,
            complaints: &["log matching", "nothing promised early", "node invariants"],
        },
        exhibit: || Box::new(After(stamp_again)),
    },
    Specimen {
        name: "commit-beyond-what-was-sent",
        defect: "a follower commits up to its leader's commit index, whatever it has of the leader's log",
        section: "Figure 2, AppendEntries 5",
        caught: Caught::BySeeds {
            family: VOTES,
            first: 1,
            complaints: &["state machine safety", "commit rule", "node invariants"],
        },
        exhibit: || Box::<CommitsBeyond>::default(),
    },
    Specimen {
        name: "sent-counts-as-held",
        defect: "a leader counts what it has sent as held",
        section: "5.3",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["commit rule"] },
        exhibit: || Box::new(After(count_sent)),
    },
    Specimen {
        name: "hint-counts-as-held",
        defect: "a leader takes the hint of a refusal for an acknowledgement of what is before it",
        section: "5.3",
        caught: Caught::BySeeds {
            family: VOTES,
            first: 4,
            complaints: &["commit rule", "node invariants", "leader completeness"],
        },
        exhibit: || Box::new(Before(believe_hints)),
    },
    Specimen {
        name: "heartbeat-acknowledges-all",
        defect: "a follower answers a heartbeat with the entry before it, durable or not",
        section: "10.2.1 of the dissertation",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["nothing promised early"] },
        exhibit: || Box::<AcknowledgesHeartbeats>::default(),
    },
    Specimen {
        name: "install-reply-before-durable",
        defect: "a follower says that it installed a snapshot before the disk holds its last part",
        section: "Figure 13, InstallSnapshot",
        caught: Caught::BySeeds { family: SNAPSHOTS, first: 1, complaints: &["nothing promised early"] },
        exhibit: || Box::<InstallsEarly>::default(),
    },
    Specimen {
        name: "part-taken-for-whole",
        defect: "a leader takes the answer to a part of a snapshot for that to the whole of it",
        section: "Figure 13, InstallSnapshot",
        caught: Caught::BySeeds {
            family: SNAPSHOTS,
            first: 1,
            complaints: &["commit rule", "node invariants", "not healed"],
        },
        exhibit: || Box::new(Before(take_part_for_whole)),
    },
];

/// The entries' place in a log decides which of them are changed.
const CHANGED_EACH: u64 = 10;

fn forgive_previous_term(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let log = server.raft().log();
    for message in arriving(arrivals) {
        if let Body::AppendEntries { prev, .. } = &mut message.body
            && prev.index > server.raft().commit_index()
        {
            prev.term = log.term_at(prev.index).unwrap_or(prev.term);
        }
    }
}

fn change_command(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let name = server.raft().id().number();
    for message in arriving(arrivals) {
        let Body::AppendEntries { entries, .. } = &mut message.body else { continue };
        for entry in entries.iter_mut().filter(|entry| entry.index.0 % CHANGED_EACH == u64::from(name)) {
            if let Content::Command { command, .. } = &mut entry.content {
                *command = Payload::from_text("[]");
            }
        }
    }
}

fn stamp_again(server: &mut Server, outbox: &mut Outbox) {
    for message in leaving(server, outbox) {
        if let Body::AppendEntries { entries, .. } = &mut message.body {
            for entry in entries {
                entry.term = message.term;
            }
        }
    }
}

/// The newest commit index that each node's leader has named.
#[derive(Default)]
struct CommitsBeyond(BTreeMap<NodeId, LogIndex>);

impl Exhibit for CommitsBeyond {
    fn before(&mut self, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        let raft = server.raft();
        for message in arriving(arrivals) {
            if let Body::AppendEntries { commit, .. } = message.body
                && message.term >= raft.current_term()
            {
                let known = self.0.entry(raft.id()).or_default();
                *known = commit.max(*known);
            }
        }
    }

    fn after(&mut self, server: &mut Server, _outbox: &mut Outbox) {
        let raft = server.raft_mut();
        if let (Role::Follower(_), Some(known)) = (&raft.role, self.0.get(&raft.id())) {
            raft.commit_index = raft.commit_index.max((*known).min(raft.log.last().index));
        }
    }
}

fn count_sent(server: &mut Server, _outbox: &mut Outbox) {
    let Role::Leader(leader) = &mut server.raft_mut().role else { return };
    for progress in leader.followers.values_mut() {
        if matches!(progress.state, ProgressState::Replicate { .. }) {
            progress.match_index = progress.next_index.previous();
        }
    }
}

fn believe_hints(_server: &mut Server, arrivals: &mut Vec<Arrival>) {
    for message in arriving(arrivals) {
        if let Body::AppendReply { result, .. } = &mut message.body
            && let AppendResult::Conflict { first, .. } = *result
        {
            *result = AppendResult::Matched(first.previous());
        }
    }
}

/// The entry before the heartbeat that each node hears in a step.
#[derive(Default)]
struct AcknowledgesHeartbeats(BTreeMap<NodeId, LogIndex>);

impl Exhibit for AcknowledgesHeartbeats {
    fn before(&mut self, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        let raft = server.raft();
        self.0.remove(&raft.id());
        for message in arriving(arrivals) {
            if let Body::AppendEntries { prev, entries, .. } = &message.body
                && entries.is_empty()
                && message.term == raft.current_term()
                && raft.log().term_at(prev.index) == Some(prev.term)
            {
                self.0.insert(raft.id(), prev.index);
            }
        }
    }

    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        let Some(heard) = self.0.remove(&server.raft().id()) else { return };
        for envelope in &mut outbox.envelopes {
            if let Some(Message {
                body: Body::AppendReply { result: AppendResult::Matched(index), .. },
                ..
            }) = super::message_mut(&mut envelope.packet)
            {
                *index = heard.max(*index);
            }
        }
    }
}

/// What the last part of a snapshot that each node has just heard belongs to, and who sent it.
#[derive(Default)]
struct InstallsEarly(BTreeMap<NodeId, (NodeId, EntryId)>);

impl Exhibit for InstallsEarly {
    fn before(&mut self, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        let raft = server.raft();
        for message in arriving(arrivals) {
            if let Body::InstallSnapshot { last, done: true, .. } = message.body
                && message.term == raft.current_term()
            {
                self.0.insert(raft.id(), (message.from, last));
            }
        }
    }

    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        let raft = server.raft();
        let Some((to, last)) = self.0.remove(&raft.id()) else { return };
        let ack = Ack { round: 0, boot_id: 0, store_id: raft.store_id(), joining: raft.joins() };
        let body = Body::InstallReply { last, result: InstallResult::Installed, ack };
        outbox.envelopes.push(super::sent(Message { from: raft.id(), to, term: raft.current_term(), body }));
    }
}

fn take_part_for_whole(_server: &mut Server, arrivals: &mut Vec<Arrival>) {
    for message in arriving(arrivals) {
        if let Body::InstallReply { result, .. } = &mut message.body
            && matches!(result, InstallResult::Next(next) if *next > 0)
        {
            *result = InstallResult::Installed;
        }
    }
}
