//! What the disk is known to hold, and which messages must wait for it.
//!
//! Writing is asynchronous: a step hands out at most one [`Write`], with the messages that may leave only after it, and
//! the driver reports its completion later as an input, unless the disk takes no time. Handlers change terms, votes and
//! entries freely; what has to be written is found here: term and vote by comparing them with what the step began with,
//! entries by what the log notes of its own changes. So no handler can forget it.

use std::collections::VecDeque;

use super::effects::{HardState, Write, WriteId};
use super::log::Changes;
use super::message::{AppendResult, Body, Extra, InstallResult, Message};
use super::{Raft, Time};
use crate::types::LogIndex;

/// What of a node's persistent state is durable, and which writes are under way.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Durability {
    /// The log is durable up to here, and equal to the log in memory.
    log_index: LogIndex,
    /// The newest term and vote that were handed to the disk.
    pub(crate) handed: HardState,
    pub(super) outstanding: VecDeque<Outstanding>,
    last_id: WriteId,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Outstanding {
    pub id: WriteId,
    pub since: Time,
    /// The log's last index once this write is durable; lowered when entries are removed meanwhile.
    pub log_index: LogIndex,
    hard_state: bool,
}

impl Durability {
    /// At the start all that was read is durable.
    pub fn new(log_index: LogIndex, hard_state: HardState) -> Durability {
        Durability { log_index, handed: hard_state, outstanding: VecDeque::new(), last_id: 0 }
    }

    pub fn log_index(&self) -> LogIndex {
        self.log_index
    }

    /// Whether a term or a vote that was handed to the disk is not durable yet.
    pub fn hard_state_pending(&self) -> bool {
        self.outstanding.iter().any(|write| write.hard_state)
    }

    /// Whether this term and vote are durable. Those of the step in progress are not: no write holds them yet.
    pub fn holds(&self, hard_state: HardState) -> bool {
        self.handed == hard_state && !self.hard_state_pending()
    }

    /// Entries from `index` on are gone: neither they nor a write of them under way count any more, not even when
    /// other entries take their places.
    pub fn truncated_from(&mut self, index: LogIndex) {
        let kept = index.previous();
        self.log_index = self.log_index.min(kept);
        for write in &mut self.outstanding {
            write.log_index = write.log_index.min(kept);
        }
    }

    /// The log begins behind this index from now on: a durable snapshot covers what was before.
    pub fn reset(&mut self, index: LogIndex) {
        self.log_index = index;
        for write in &mut self.outstanding {
            write.log_index = index;
        }
    }

    fn begin(&mut self, since: Time, log_index: LogIndex, hard_state: Option<HardState>) -> WriteId {
        self.last_id += 1;
        self.handed = hard_state.unwrap_or(self.handed);
        let hard_state = hard_state.is_some();
        self.outstanding.push_back(Outstanding { id: self.last_id, since, log_index, hard_state });
        self.last_id
    }

    /// This write and every earlier one are durable. Returns when the newest completed term or vote was handed out.
    fn complete(&mut self, id: WriteId) -> Option<Time> {
        let mut owed = None;
        while let Some(write) = self.outstanding.pop_front_if(|write| write.id <= id) {
            self.log_index = self.log_index.max(write.log_index);
            owed = if write.hard_state { Some(write.since) } else { owed };
        }
        owed
    }
}

impl Raft {
    /// This write and every earlier one are durable.
    pub(super) fn persisted(&mut self, now: Time, id: WriteId) {
        let owed = self.durability.complete(id);
        if !self.is_hard_state_durable() {
            return;
        }
        if let Some(since) = owed {
            self.wait_for_votes(now, now.since(since));
        }
        self.count_own_vote(now);
    }

    /// Whether the disk holds the term and the vote.
    pub fn is_hard_state_durable(&self) -> bool {
        self.durability.holds(self.hard_state())
    }

    /// Entries from this index on are gone. Drops this step's acknowledgements of them: no disk will hold those entries.
    pub(super) fn retract(&mut self, index: LogIndex) {
        self.durability.truncated_from(index);
        self.outbox.retain(|message| match message.body {
            Body::AppendReply { result: AppendResult::Matched(last), .. } => last < index,
            _ => true,
        });
    }

    /// Ends a step: finds what has to be written and sorts the messages into those that may leave at once and those
    /// that wait for the disk.
    pub(super) fn write(&mut self, now: Time, before: HardState) {
        let after = self.hard_state();
        let hard_state = (after != before).then_some(after);
        let Changes { rebase, truncate_from, entries } = self.log.take_changes();
        let promises_pending = hard_state.is_some() || self.durability.hard_state_pending();
        let durable = self.durability.log_index();

        let waits = |message: &mut Message| waits_for_disk(&message.body, promises_pending, durable);
        let then: Vec<Message> = self.outbox.extract_if(.., waits).collect();
        self.effects.messages = std::mem::take(&mut self.outbox);

        let mut write = Write { hard_state, rebase, truncate_from, entries, then, ..Write::default() };
        if write != Write::default() {
            write.id = self.durability.begin(now, self.log.last().index, hard_state);
            write.at_once = self.complete_if_at_once(now, write.id);
            self.effects.write = Some(write);
        }
    }
}

/// Whether a message promises something that the disk does not hold yet.
///
/// A leader's AppendEntries promise nothing: its term was durable before it could win, and its own copy of an entry
/// counts only when it is durable (D 10.2.1). Pre-votes promise nothing at all.
fn waits_for_disk(body: &Body, promises_pending: bool, durable: LogIndex) -> bool {
    match body {
        Body::AppendEntries { .. }
        | Body::InstallSnapshot { .. }
        | Body::Extra(Extra::TimeoutNow { .. } | Extra::Rejoin { .. } | Extra::PreVote { .. }) => false,
        Body::AppendReply { result: AppendResult::Matched(index), .. } => {
            promises_pending || *index > durable
        }
        Body::InstallReply { last, result: InstallResult::Installed, .. } => {
            promises_pending || last.index > durable
        }
        Body::AppendReply { .. }
        | Body::InstallReply { .. }
        | Body::RequestVote { .. }
        | Body::VoteReply { .. }
        | Body::Extra(_) => promises_pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RaftSettings;
    use crate::raft::Recovered;
    use crate::raft::bench::{Bench, entries as bench_entries, id, recovered};
    use crate::raft::effects::Input;
    use crate::raft::message::{Beat, Files};
    use crate::raft::role::Role;
    use crate::types::{EntryId, NodeId, Random, Term};

    #[test]
    fn a_write_of_entries_that_are_gone_makes_nothing_durable() {
        let mut durability = Durability::new(LogIndex(3), HardState::default());
        let first = durability.begin(Time::ZERO, LogIndex(8), None);
        durability.truncated_from(LogIndex(5));
        let second = durability.begin(Time::ZERO, LogIndex(6), None);
        durability.complete(first);
        assert_eq!(
            durability.log_index(),
            LogIndex(4),
            "5 to 8 were replaced after this write was handed out"
        );
        durability.complete(second);
        assert_eq!(durability.log_index(), LogIndex(6));
    }

    #[test]
    fn a_completion_covers_all_earlier_writes_and_comes_once() {
        let mut durability = Durability::new(LogIndex(0), HardState::default());
        let first = durability.begin(Time::ZERO, LogIndex(1), Some(HardState::default()));
        let second = durability.begin(Time::ZERO, LogIndex(2), None);
        assert!(durability.hard_state_pending());
        durability.complete(second);
        assert!(!durability.hard_state_pending());
        durability.complete(first);
        assert_eq!(durability.log_index(), LogIndex(2));
    }

    #[test]
    fn what_is_replaced_in_the_step_in_which_it_came_is_not_acknowledged() {
        let mut bench = Bench::follower(1, &RaftSettings::default(), recovered(EntryId::ZERO, 2, 1));
        let entries = |from: u8, term: u64, entries| {
            let beat = Beat { round: 1, ..Beat::default() };
            let body = Body::AppendEntries { prev: id(2, 1), entries, commit: LogIndex(0), beat };
            let files = Files::FOUNDERS;
            Input::Message(Message {
                from: NodeId::new(from),
                to: NodeId::new(1),
                term: Term(term),
                files,
                body,
            })
        };
        let older = entries(2, 1, bench_entries(3, 4, 1));
        let newer = entries(3, 2, bench_entries(3, 3, 2));
        let write = bench.raft.step(Time::ZERO, &mut vec![older, newer]).write.expect("an entry is written");
        assert_eq!(write.entries, bench_entries(3, 3, 2));
        let told: Vec<NodeId> = write.then.iter().map(|message| message.to).collect();
        assert_eq!(told, [NodeId::new(3)], "what n2 sent will never be durable");
    }

    #[test]
    fn a_candidates_own_vote_counts_only_when_the_write_of_this_vote_is_durable() {
        let node = NodeId::new(1);
        let settings = RaftSettings::default();
        let recovered = Recovered::founder([node]);
        let mut raft = Raft::new(node, settings, recovered, Random::new(1), Time::ZERO);
        let first = raft.step(Time::ZERO, &mut vec![Input::Campaign]).write.expect("a vote is written");
        let mut both = vec![Input::Campaign, Input::Persisted(first.id)];
        let second = raft.step(Time::ZERO, &mut both).write.expect("another vote is written");
        assert!(matches!(raft.role(), Role::Candidate(_)), "durable is the vote of the term before");
        raft.step(Time::ZERO, &mut vec![Input::Persisted(second.id)]);
        assert!(matches!(raft.role(), Role::Leader(_)));
    }
}
