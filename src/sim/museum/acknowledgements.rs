//! Defects of what followers say that they hold, and of what leaders make of it (5.3, 5.4.2, 7).

use std::collections::BTreeMap;

use super::Hook::{After, Arriving, Leaving, Other};
use super::{Specimen, arriving};
use crate::payload::Payload;
use crate::raft::Raft;
use crate::raft::entry::Content;
use crate::raft::message::{Ack, AppendResult, Body, Files, InstallResult, Message};
use crate::raft::role::{ProgressState, Role};
use crate::server::{Arrival, Outbox, Server};
use crate::sim::mutation::Mutation;
use crate::sim::seeds::Family;
use crate::types::{EntryId, LogIndex, NodeId, Time};

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("previous-term-unchecked", "Figure 2, AppendEntries 2")
        .defect("a follower asks only whether it has an entry at the previous index, of any term")
        .hook(Arriving(forgive_previous_term))
        .caught(Family::Votes, 1, &["log matching", "nothing promised early", "node invariants"]),
    Specimen::new("command-changed-on-the-way", "5.3")
        .defect("a follower stores another command than the leader sent, under the same index and term")
        .hook(Arriving(change_command))
        .caught(Family::General, 1, &["log matching"]),
    Specimen::new("entries-stamped-again", "5.4.2")
        .defect("a leader sends entries of earlier terms under its own term")
        .hook(Leaving(stamp_again))
        .caught(Family::Votes, 1, &["log matching", "nothing promised early", "node invariants"]),
    Specimen::new("commit-beyond-what-was-sent", "Figure 2, AppendEntries 5")
        .defect(
            "a follower commits up to its leader's commit index, even beyond what it has of the leader's log",
        )
        .hook(Other(|| Box::<CommitsBeyond>::default()))
        .caught(Family::Votes, 1, &["state machine safety", "commit rule", "node invariants"]),
    Specimen::new("sent-counts-as-held", "5.3")
        .defect("a leader counts what it has sent as held")
        .hook(After(count_sent))
        .caught(Family::General, 1, &["commit rule"]),
    Specimen::new("hint-counts-as-held", "5.3")
        .defect("a leader takes the hint of a refusal for an acknowledgement of what is before it")
        .hook(Arriving(believe_hints))
        .caught(Family::Votes, 4, &["commit rule", "node invariants", "leader completeness"]),
    Specimen::new("heartbeat-acknowledges-all", "10.2.1 of the dissertation")
        .defect("a follower answers a heartbeat with the entry before it, durable or not")
        .hook(Other(|| Box::<AcknowledgesHeartbeats>::default()))
        .caught(Family::General, 2, &["nothing promised early"]),
    Specimen::new("install-reply-before-durable", "Figure 13, InstallSnapshot")
        .defect("a follower says that it installed a snapshot before the disk holds its last part")
        .hook(Other(|| Box::<InstallsEarly>::default()))
        .caught(Family::Snapshots, 1, &["nothing promised early"]),
    Specimen::new("part-taken-for-whole", "Figure 13, InstallSnapshot")
        .defect("a leader takes the answer to a part of a snapshot for that to the whole of it")
        .hook(Arriving(take_part_for_whole))
        .caught(Family::Snapshots, 1, &["commit rule", "node invariants", "not healed"]),
];

/// The entries' place in a log decides which of them are changed.
const CHANGED_EACH: u64 = 10;

fn forgive_previous_term(raft: &Raft, message: &mut Message) {
    let log = raft.log();
    if let Body::AppendEntries { prev, .. } = &mut message.body
        && prev.index > raft.commit_index()
    {
        prev.term = log.term_at(prev.index).unwrap_or(prev.term);
    }
}

fn change_command(raft: &Raft, message: &mut Message) {
    let name = raft.id().number();
    let Body::AppendEntries { entries, .. } = &mut message.body else { return };
    for entry in entries.iter_mut().filter(|entry| entry.index.0 % CHANGED_EACH == u64::from(name)) {
        if let Content::Command { command, .. } = &mut entry.content {
            *command = Payload::from_text("[]");
        }
    }
}

fn stamp_again(_raft: &Raft, message: &mut Message) {
    if let Body::AppendEntries { entries, .. } = &mut message.body {
        for entry in entries {
            entry.term = message.term;
        }
    }
}

/// The newest commit index that each node's leader has named.
#[derive(Default)]
struct CommitsBeyond(BTreeMap<NodeId, LogIndex>);

impl Mutation for CommitsBeyond {
    fn before(&mut self, _now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
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

fn believe_hints(_raft: &Raft, message: &mut Message) {
    if let Body::AppendReply { result, .. } = &mut message.body
        && let AppendResult::Conflict { first, .. } = *result
    {
        *result = AppendResult::Matched(first.previous());
    }
}

/// The entry before the heartbeat that each node hears in a step.
#[derive(Default)]
struct AcknowledgesHeartbeats(BTreeMap<NodeId, LogIndex>);

impl Mutation for AcknowledgesHeartbeats {
    fn before(&mut self, _now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
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

impl Mutation for InstallsEarly {
    fn before(&mut self, _now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
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
        let ack = Ack::default();
        let body = Body::InstallReply { last, result: InstallResult::Installed, ack };
        outbox.envelopes.push(super::sent(Message {
            from: raft.id(),
            to,
            term: raft.current_term(),
            files: Files::of(raft.store_id()),
            body,
        }));
    }
}

fn take_part_for_whole(_raft: &Raft, message: &mut Message) {
    if let Body::InstallReply { result, .. } = &mut message.body
        && matches!(result, InstallResult::Next(next) if *next > 0)
    {
        *result = InstallResult::Installed;
    }
}
