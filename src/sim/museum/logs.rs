//! Defects of replication and of commitment (5.3, 5.4).

use std::collections::{BTreeMap, VecDeque};

use super::{After, Before, Caught, GENERAL, Specimen, arriving, leaving};
use crate::raft::entry::Entry;
use crate::raft::message::{AppendResult, Body};
use crate::raft::role::{Leader, ProgressState, Role};
use crate::raft::{Raft, Recovered};
use crate::server::{Arrival, Outbox, Server};
use crate::sim::exhibit::Exhibit;
use crate::types::{LogIndex, NodeId};

pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "last-index-acknowledged",
        defect: "a follower acknowledges its last entry instead of the last one that it was sent",
        section: "Figure 2, AppendEntries",
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 135,
            complaints: &["nothing promised early", "commit rule", "node invariants", "leader completeness"],
        },
        exhibit: || Box::new(After(acknowledge_last)),
    },
    Specimen {
        name: "suffix-kept-without-term",
        defect: "a follower keeps the entries that it has, whatever their terms",
        section: "5.3",
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 11,
            complaints: &["nothing promised early", "log matching", "commit rule", "node invariants"],
        },
        exhibit: || Box::new(Before(keep_suffix)),
    },
    Specimen {
        name: "cut-behind-previous",
        defect: "a follower removes all that is behind the previous entry, even what it acknowledged",
        section: "5.3",
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 1,
            complaints: &["nothing promised early", "commit rule", "leader completeness"],
        },
        exhibit: || Box::new(Before(cut_behind_previous)),
    },
    Specimen {
        name: "commit-goes-back",
        defect: "a late message with an older commit index sets the commit index back",
        section: "5.3",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["state machine safety"] },
        exhibit: || Box::new(Before(set_commit_back)),
    },
    Specimen {
        name: "half-is-a-majority",
        defect: "half of an even number of nodes is taken for a majority",
        section: "5.4.2",
        caught: Caught::BySeeds { family: GENERAL, first: 6, complaints: &["commit rule"] },
        exhibit: || Box::new(After(commit_with_half)),
    },
    Specimen {
        name: "old-term-committed-by-counting",
        defect: "a leader commits an entry of an earlier term as soon as a majority holds it",
        section: "5.4.2, Figure 8",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["commit rule"] },
        exhibit: || Box::new(After(commit_old_terms)),
    },
    Specimen {
        name: "unsorted-match-indexes",
        defect: "the commit index is read from match indexes that are not in order",
        section: "Figure 2, Leaders",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["commit rule"] },
        exhibit: || Box::new(After(commit_unsorted)),
    },
    Specimen {
        name: "own-copy-before-fsync",
        defect: "a leader counts its own copy of an entry before its disk holds it",
        section: "10.2.1 of the dissertation",
        caught: Caught::BySeeds { family: GENERAL, first: 3, complaints: &["commit rule"] },
        exhibit: || Box::new(After(commit_own_at_once)),
    },
    Specimen {
        name: "stale-refusal-lowers-next",
        defect: "a late refusal sets a follower's next index back below what it is known to hold",
        section: "5.3",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["node invariants"] },
        exhibit: || Box::new(Before(believe_stale_refusals)),
    },
    Specimen {
        name: "short-back-off",
        defect: "a leader stops looking for the place where the logs agree after 50 entries",
        section: "5.3",
        caught: Caught::BySeeds { family: GENERAL, first: 1, complaints: &["not healed"] },
        exhibit: || Box::new(Before(stop_looking)),
    },
    Specimen {
        name: "whole-tail-each-step",
        defect: "a leader sends all that is not acknowledged again at each of its steps",
        section: "10.2.2 of the dissertation",
        caught: Caught::ByScenario("bytes sent to a follower that is cut off"),
        exhibit: || Box::new(After(forget_in_flight)),
    },
    Specimen {
        name: "truncated-entries-come-back",
        defect: "a restart reads entries that had been truncated, instead of those that took their places",
        section: "5.3",
        caught: Caught::BySeeds {
            family: GENERAL,
            first: 14,
            complaints: &["committed is durable", "log matching"],
        },
        exhibit: || Box::<ReadsTruncated>::default(),
    },
];

/// How far a leader that stops looking goes back.
const BACK_OFF_MAX: u64 = 50;

#[derive(Default)]
struct ReadsTruncated {
    logs: BTreeMap<NodeId, Vec<Entry>>,
    /// The logs before they were last truncated.
    before: BTreeMap<NodeId, Vec<Entry>>,
}

impl Exhibit for ReadsTruncated {
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

fn acknowledge_last(server: &mut Server, outbox: &mut Outbox) {
    let durable = server.raft().durable_index();
    for message in leaving(server, outbox) {
        if let Body::AppendReply { result: AppendResult::Matched(index), .. } = &mut message.body {
            *index = durable.max(*index);
        }
    }
}

fn keep_suffix(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let log = server.raft().log();
    for message in arriving(arrivals) {
        if let Body::AppendEntries { entries, .. } = &mut message.body {
            for entry in entries {
                *entry = log.get(entry.index).unwrap_or(entry).clone();
            }
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
    let half = raft.members().len().div_ceil(2);
    let Some(mut held) = held(raft, raft.durable_index()) else { return };
    held.sort_unstable_by(|a, b| b.cmp(a));
    commit(raft, held[half - 1]);
}

fn commit_unsorted(server: &mut Server, _outbox: &mut Outbox) {
    let raft = server.raft_mut();
    let Some(held) = held(raft, raft.durable_index()) else { return };
    commit(raft, held[raft.quorum() - 1]);
}

fn commit_own_at_once(server: &mut Server, _outbox: &mut Outbox) {
    let raft = server.raft_mut();
    let Some(mut held) = held(raft, raft.log.last().index) else { return };
    held.sort_unstable_by(|a, b| b.cmp(a));
    commit(raft, held[raft.quorum() - 1]);
}

fn commit_old_terms(server: &mut Server, _outbox: &mut Outbox) {
    let raft = server.raft_mut();
    let Some(mut held) = held(raft, raft.durable_index()) else { return };
    held.sort_unstable_by(|a, b| b.cmp(a));
    raft.commit_index = raft.commit_index.max(held[raft.quorum() - 1]);
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
