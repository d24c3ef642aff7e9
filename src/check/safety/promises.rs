//! What a message promises is held against its sender's disk, and what it acknowledges against the leader's log.

use super::Safety;
use super::record::Removed;
use super::step::Shown;
use crate::check::property::Property;
use crate::raft::message::{AppendResult, Body, Cause, Extra, InstallResult, Message};
use crate::types::{EntryId, LogIndex, Member, Term};

impl Safety {
    /// A node is about to send this: one of its files that it has now, or has had.
    pub(super) fn check_message(&mut self, shown: &Shown, message: &Message) {
        let term = message.term;
        let sender = Member { node: message.from, store_id: message.files.sender };
        let receiver = Member { node: message.to, store_id: message.files.answered };
        if !self.records.contains_key(&sender) {
            let detail =
                format!("{} sends in the name of {sender}, whose files it does not have", shown.member);
            return self.report(Property::NothingPromisedEarly, detail);
        }
        match message.body {
            Body::AppendEntries { .. } => self.note_leader(term, sender),
            Body::VoteReply { granted: true } => self.check_vote(sender, term, receiver),
            Body::RequestVote { cause, .. } => {
                self.check_vote(sender, term, sender);
                self.check_campaign(sender, term, cause != Cause::Timer);
            }
            Body::Extra(Extra::PreVoteReply { next_term, granted: true }) => {
                self.note_pre_vote(sender, receiver, next_term);
            }
            Body::AppendReply { result: AppendResult::Matched(index), .. } => {
                if let Some(detail) = self.wrong_acknowledgement(shown, sender, term, index) {
                    self.report(Property::NothingPromisedEarly, detail);
                }
            }
            Body::InstallReply { last, result: InstallResult::Installed, .. } => {
                if let Some(detail) = self.wrong_installation(sender, last) {
                    self.report(Property::NothingPromisedEarly, detail);
                }
            }
            _ => {}
        }
    }

    /// A follower says that its durable log equals that of the term's leader up to here. In a newer term the entry may be
    /// gone again, rightly: then it was not committed, and it was durable once.
    fn wrong_acknowledgement(
        &self,
        shown: &Shown,
        sender: Member,
        term: Term,
        index: LogIndex,
    ) -> Option<String> {
        let record = &self.records[&sender];
        let overtaken = term < shown.term;
        if index > record.durable_index && !overtaken {
            return Some(format!("{sender} acknowledged entry {index}, durable is {}", record.durable_index));
        }
        // No one counts what is said to a leader that leads no more.
        let leader = self.leaders.get(&term)?;
        let theirs = self.records.get(leader).filter(|leader| leader.led == Some(term))?;
        let theirs = Some(theirs).filter(|_| !self.is_unseen(*leader))?;
        if index == LogIndex(0) || theirs.chain.is_gone(index) || record.chain.is_gone(index) {
            return None;
        }
        let wanted = theirs.chain.get(index);
        let held = record.holds(index, wanted);
        let same = |hash| wanted.is_some_and(|(_, wanted)| hash == wanted);
        let was_removed =
            |entry: &Removed| entry.index == index && same(entry.hash) && entry.id <= record.persisted;
        let was_held = overtaken && (record.is_unseen_in(term) || record.removed.iter().any(was_removed));
        (wanted.is_none() || !(held || was_held)).then(|| {
            format!("{sender} acknowledged entry {index} to {leader}, the leader of term {term}, and holds another one")
        })
    }

    /// A follower says that it holds, durably, all that a snapshot covers.
    fn wrong_installation(&self, sender: Member, last: EntryId) -> Option<String> {
        let record = &self.records[&sender];
        let committed = self.committed.get(last.index);
        let compared = !self.committed.is_gone(last.index) && !self.has_unseen(last.term);
        if record.durable_index < last.index {
            let durable = record.durable_index;
            Some(format!("{sender} says that it installed the snapshot at {last}, durable is {durable}"))
        } else if compared && committed.map(|(term, _)| term) != Some(last.term) {
            Some(format!("{sender} says that it installed a snapshot at {last}, which is not committed"))
        } else if committed.is_some() && record.chain.get(last.index) != committed {
            Some(format!("{sender} says that it installed the snapshot at {last}, and holds another log"))
        } else {
            None
        }
    }
}
