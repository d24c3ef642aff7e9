//! Defects of replication and of commitment (5.3, 5.4).

use std::collections::{BTreeMap, VecDeque};

use super::Hook::{After, Arriving, Before, Leaving, Other};
use super::{Specimen, arriving};
use crate::raft::entry::Entry;
use crate::raft::message::{AppendResult, Body, Message};
use crate::raft::role::{Leader, ProgressState, Role};
use crate::raft::{Raft, Recovered};
use crate::server::{Arrival, Outbox, Server};
use crate::sim::mutation::Mutation;
use crate::sim::seeds::Family;
use crate::types::{LogIndex, NodeId};

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("last-index-acknowledged", "Figure 2, AppendEntries")
        .defect("a follower acknowledges its last entry instead of the last one that it was sent")
        .hook(Leaving(acknowledge_last))
        .caught(
            Family::General,
            135,
            &["nothing promised early", "commit rule", "node invariants", "leader completeness"],
        ),
    Specimen::new("suffix-kept-without-term", "5.3")
        .defect("a follower keeps the entries that it has, of any term")
        .hook(Arriving(keep_suffix))
        .caught(
            Family::General,
            11,
            &["nothing promised early", "log matching", "commit rule", "node invariants"],
        ),
    Specimen::new("cut-behind-previous", "5.3")
        .defect("a follower removes all that is behind the previous entry, even what it acknowledged")
        .hook(Before(cut_behind_previous))
        .caught(Family::General, 11, &["nothing promised early", "commit rule", "leader completeness"]),
    Specimen::new("commit-goes-back", "5.3")
        .defect("a late message with an older commit index sets the commit index back")
        .hook(Before(set_commit_back))
        .caught(Family::General, 1, &["state machine safety"]),
    Specimen::new("half-is-a-majority", "5.4.2")
        .defect("half of an even number of nodes is taken for a majority")
        .hook(After(commit_with_half))
        .caught(Family::General, 6, &["commit rule"]),
    Specimen::new("old-term-committed-by-counting", "5.4.2, Figure 8")
        .defect("a leader commits an entry of an earlier term as soon as a majority holds it")
        .hook(After(commit_old_terms))
        .caught(Family::General, 3, &["commit rule"]),
    Specimen::new("unsorted-match-indexes", "Figure 2, Leaders")
        .defect("the commit index is read from match indexes that are not in order")
        .hook(After(commit_unsorted))
        .caught(Family::General, 1, &["commit rule"]),
    Specimen::new("own-copy-before-fsync", "10.2.1 of the dissertation")
        .defect("a leader counts its own copy of an entry before its disk holds it")
        .hook(After(commit_own_at_once))
        .caught(Family::General, 9, &["commit rule"]),
    Specimen::new("stale-refusal-lowers-next", "5.3")
        .defect("a late refusal sets a follower's next index back below what it is known to hold")
        .hook(Before(believe_stale_refusals))
        .caught(Family::General, 1, &["node invariants"]),
    Specimen::new("short-back-off", "5.3")
        .defect("a leader stops looking for the place where the logs agree after 50 entries")
        .hook(Before(stop_looking))
        .caught(Family::General, 1, &["not healed"]),
    Specimen::new("whole-tail-each-step", "10.2.2 of the dissertation")
        .defect("a leader sends all that is not acknowledged again at each of its steps")
        .hook(After(forget_in_flight))
        .caught_by_scenario("bytes sent to a follower that is cut off"),
    Specimen::new("truncated-entries-come-back", "5.3")
        .defect("a restart reads entries that had been truncated, instead of those that took their places")
        .hook(Other(|| Box::<ReadsTruncated>::default()))
        .caught(Family::General, 49, &["committed is durable", "log matching"]),
];

/// How far a leader that stops looking goes back.
const BACK_OFF_MAX: u64 = 50;

#[derive(Default)]
struct ReadsTruncated {
    logs: BTreeMap<NodeId, Vec<Entry>>,
    /// The logs before they were last truncated.
    before: BTreeMap<NodeId, Vec<Entry>>,
}

impl Mutation for ReadsTruncated {
    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        let Some(write) = &outbox.write else { return };
        let log = self.logs.entry(server.raft().id()).or_default();
        if let Some(index) = write.truncate_from {
            self.before.insert(server.raft().id(), log.clone());
            log.retain(|entry| entry.index < index);
        }
        log.extend(write.entries.iter().cloned());
    }

    fn recovered(&mut self, node: NodeId, recovered: &mut Recovered) {
        if let Some(before) = self.before.remove(&node) {
            recovered.entries = before;
        }
        self.logs.insert(node, recovered.entries.clone());
    }
}

fn acknowledge_last(raft: &Raft, message: &mut Message) {
    let durable = raft.durable_index();
    if let Body::AppendReply { result: AppendResult::Matched(index), .. } = &mut message.body {
        *index = durable.max(*index);
    }
}

fn keep_suffix(raft: &Raft, message: &mut Message) {
    let log = raft.log();
    if let Body::AppendEntries { entries, .. } = &mut message.body {
        for entry in entries {
            *entry = log.get(entry.index).unwrap_or(entry).clone();
        }
    }
}

fn cut_behind_previous(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    for message in arriving(arrivals) {
        let Body::AppendEntries { prev, .. } = message.body else { continue };
        let from = prev.index.max(raft.commit_index).next();
        let follows = matches!(raft.role, Role::Follower(_)) && message.term == raft.current_term;
        if follows && raft.log.term_at(prev.index) == Some(prev.term) && from <= raft.log.last().index {
            raft.log.truncate_from(from);
            raft.durability.truncated_from(from);
        }
    }
}

fn set_commit_back(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    for message in arriving(arrivals) {
        if let Body::AppendEntries { commit, .. } = message.body {
            raft.commit_index = raft.commit_index.min(commit);
        }
    }
}

fn commit_with_half(server: &mut Server, _outbox: &mut Outbox) {
    let raft = server.raft_mut();
    let half = raft.configuration().voters.len().div_ceil(2);
    let Some(mut held) = held(raft, raft.durable_index()) else { return };
    held.sort_unstable_by(|a, b| b.cmp(a));
    commit(raft, held[half - 1]);
}

fn commit_unsorted(server: &mut Server, _outbox: &mut Outbox) {
    let raft = server.raft_mut();
    let Some(held) = held(raft, raft.durable_index()) else { return };
    commit(raft, held[majority(raft) - 1]);
}

fn commit_own_at_once(server: &mut Server, _outbox: &mut Outbox) {
    let raft = server.raft_mut();
    let Some(mut held) = held(raft, raft.log.last().index) else { return };
    held.sort_unstable_by(|a, b| b.cmp(a));
    commit(raft, held[majority(raft) - 1]);
}

fn commit_old_terms(server: &mut Server, _outbox: &mut Outbox) {
    let raft = server.raft_mut();
    let Some(mut held) = held(raft, raft.durable_index()) else { return };
    held.sort_unstable_by(|a, b| b.cmp(a));
    raft.commit_index = raft.commit_index.max(held[majority(raft) - 1]);
}

pub(super) fn majority(raft: &Raft) -> usize {
    raft.configuration().voters.len() / 2 + 1
}

/// Up to where each member holds a leader's log.
pub(super) fn held(raft: &Raft, own: LogIndex) -> Option<Vec<LogIndex>> {
    let Role::Leader(leader) = &raft.role else { return None };
    Some(leader.followers.values().map(|progress| progress.match_index).chain([own]).collect())
}

pub(super) fn commit(raft: &mut Raft, index: LogIndex) {
    if raft.log.term_at(index) == Some(raft.current_term) {
        raft.commit_index = raft.commit_index.max(index);
    }
}

fn believe_stale_refusals(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    for message in arriving(arrivals) {
        let Body::AppendReply { result: AppendResult::Conflict { first, .. }, .. } = message.body else {
            continue;
        };
        if let Role::Leader(Leader { followers, .. }) = &mut raft.role
            && message.term == raft.current_term
            && let Some(progress) = followers.get_mut(&message.from)
        {
            progress.next_index = progress.next_index.min(first);
            progress.state = ProgressState::Probe { waiting: false };
        }
    }
}

fn stop_looking(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let Role::Leader(leader) = server.raft().role() else { return };
    let lowest = leader.no_op.0.saturating_sub(BACK_OFF_MAX);
    for message in arriving(arrivals) {
        if let Body::AppendReply { result: AppendResult::Conflict { rejected, first, .. }, .. } =
            &mut message.body
            && first.0 < lowest
        {
            // An answer to something that was never asked: heard, and of no further use.
            *rejected = LogIndex(0);
        }
    }
}

fn forget_in_flight(server: &mut Server, _outbox: &mut Outbox) {
    let Role::Leader(leader) = &mut server.raft_mut().role else { return };
    for progress in leader.followers.values_mut() {
        progress.state = match progress.state {
            ProgressState::Probe { .. } => ProgressState::Probe { waiting: false },
            ProgressState::Replicate { .. } => {
                progress.next_index = progress.match_index.next();
                ProgressState::Replicate { in_flight: VecDeque::new() }
            }
            ProgressState::Snapshot(transfer) => ProgressState::Snapshot(transfer),
        };
    }
}
