//! What a message promises is held against its sender's disk, and what it acknowledges against the leader's log.

use super::{Record, Safety};
use crate::check::property::Property;
use crate::raft::Raft;
use crate::raft::effects::HardState;
use crate::raft::message::{AppendResult, Body, InstallResult, Message};
use crate::types::{EntryId, LogIndex, NodeId, Term};

impl Safety {
    /// A node is about to send this.
    pub(super) fn check_message(&mut self, raft: &Raft, record: &Record, message: &Message) {
        let (node, term) = (message.from, message.term);
        match message.body {
            Body::AppendEntries { .. } => self.note_leader(term, node),
            Body::VoteReply { granted: true } => self.check_vote(raft, record, term, message.to),
            Body::RequestVote { .. } => self.check_vote(raft, record, term, node),
            Body::AppendReply { result: AppendResult::Matched(index), .. } => {
                self.check_acknowledged(raft, record, term, index);
            }
            Body::InstallReply { last, result: InstallResult::Installed, .. } => {
                self.check_installed(node, record, last);
            }
            _ => {}
        }
    }

    /// A follower says that its durable log equals that of the term's leader up to here. In a newer term the entry may be
    /// gone again, rightly: then it was not committed, and it was durable once.
    fn check_acknowledged(&mut self, raft: &Raft, record: &Record, term: Term, index: LogIndex) {
        let node = raft.id();
        let overtaken = term < raft.current_term();
        if index > record.durable_index && !overtaken {
            let detail = format!("{node} acknowledged entry {index}, durable is {}", record.durable_index);
            return self.report(Property::NothingPromisedEarly, detail);
        }
        // No one counts what is said to a leader that leads no more.
        let Some(leader) = self.leaders.get(&term) else { return };
        let Some(theirs) = self.nodes.get(leader).filter(|leader| leader.led == Some(term)) else { return };
        if index == LogIndex(0) || theirs.chain.is_gone(index) || record.chain.is_gone(index) {
            return;
        }
        let wanted = theirs.chain.get(index);
        let held = index <= record.durable_index && record.chain.get(index) == wanted;
        let was_held = overtaken
            && record.removed.iter().any(|entry| {
                entry.index == index && Some(entry.hash) == wanted && entry.id <= record.persisted
            });
        if wanted.is_none() || !(held || was_held) {
            let detail = format!(
                "{node} acknowledged entry {index} to {leader}, the leader of term {term}, and holds another one"
            );
            self.report(Property::NothingPromisedEarly, detail);
        }
    }

    /// A follower says that it holds, durably, all that a snapshot covers.
    fn check_installed(&mut self, node: NodeId, record: &Record, last: EntryId) {
        let committed = self.committed.get(last.index);
        let detail = if record.durable_index < last.index {
            let durable = record.durable_index;
            format!("{node} says that it installed the snapshot at {last}, durable is {durable}")
        } else if !self.committed.is_gone(last.index) && committed.map(|(term, _)| term) != Some(last.term) {
            format!("{node} says that it installed a snapshot at {last}, which is not committed")
        } else if committed.is_some_and(|(_, hash)| record.chain.get(last.index) != Some(hash)) {
            format!("{node} says that it installed the snapshot at {last}, and holds another log")
        } else {
            return;
        };
        self.report(Property::NothingPromisedEarly, detail);
    }

    fn check_vote(&mut self, raft: &Raft, record: &Record, term: Term, candidate: NodeId) {
        let node = raft.id();
        let known = *self.votes.entry((node, raft.store_id(), term)).or_insert(candidate);
        if known != candidate {
            let detail = format!("{node} voted for {known} and for {candidate} in term {term}");
            self.report(Property::OneVote, detail);
        }
        let HardState { current_term, voted_for, .. } = record.durable_hard_state;
        if current_term < term || (current_term == term && voted_for != Some(candidate)) {
            let detail = format!("{node}'s vote for {candidate} in term {term} left before it was durable");
            self.report(Property::NothingPromisedEarly, detail);
        }
    }
}
