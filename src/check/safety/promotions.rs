//! A learner becomes a voter only while it answers: one that is dead holds all that an idle cluster has, too (D 4.2.1). What
//! a leader was told is followed from the messages that reached it.

use super::record::Record;
use super::{Safety, Step};
use crate::check::property::Property;
use crate::raft::Raft;
use crate::raft::membership::Configured;
use crate::raft::message::{Body, Message};
use crate::raft::role::Role;
use crate::types::Member;

/// Those whose answers are among the messages that reach a leader, before its step.
pub fn answering<'a>(raft: &Raft, arriving: impl Iterator<Item = &'a Message>) -> Vec<Member> {
    if !matches!(raft.role(), Role::Leader(_)) {
        return Vec::new();
    }
    let is_answer = |message: &&Message| {
        message.term == raft.current_term()
            && message.files.answered == raft.store_id()
            && matches!(message.body, Body::AppendReply { .. } | Body::InstallReply { .. })
    };
    let sender = |message: &Message| Member { node: message.from, store_id: message.files.sender };
    arriving.filter(is_answer).map(sender).collect()
}

impl Safety {
    /// A leader appends `next` behind `before`.
    pub(super) fn check_promoted(
        &mut self,
        step: &Step<'_>,
        record: &Record,
        [before, next]: [&Configured; 2],
    ) {
        let promoted = |learner: &Member| {
            next.configuration.voters.get(&learner.node) == Some(&learner.store_id)
                // A voter that was about to become a learner stays one when that is taken back.
                && !before.configuration.is_voter(*learner)
        };
        let answers = |learner: &Member| {
            let answered = record.answered.get(learner);
            answered.is_some_and(|at| step.now < *at + step.election_min)
                || record.seen_since.is_some_and(|since| step.now < since + step.election_min)
        };
        let learners = before.configuration.learners.iter();
        let learners = learners.map(|(&node, learner)| Member { node, store_id: learner.store_id });
        if let Some(silent) = learners.filter(promoted).find(|learner| !answers(learner)) {
            let detail = format!(
                "{} makes {silent} a voter at {}, which does not answer",
                step.shown.member.node, next.index
            );
            self.report(Property::ChangesInOrder, detail);
        }
    }
}
