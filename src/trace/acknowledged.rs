//! Which acknowledgements say nothing new.

use std::collections::BTreeMap;

use crate::raft::message::{AppendResult, Body, Message};
use crate::types::{LogIndex, NodeId, Term};

/// What each follower was last told to acknowledge to each leader: the same again answers a heartbeat.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Acknowledged(BTreeMap<(NodeId, NodeId), (Term, LogIndex)>);

impl Acknowledged {
    /// Whether a message acknowledges nothing new. What is lost on its way will be told again.
    pub fn repeats(&mut self, message: &Message, is_lost: bool) -> bool {
        let Message { from, to, term, body, .. } = message;
        let Body::AppendReply { result: AppendResult::Matched(index), .. } = body else { return false };
        let known = self.0.entry((*from, *to)).or_default();
        let news = (*term, *index);
        let repeated = news <= *known;
        if !is_lost {
            *known = news.max(*known);
        }
        repeated
    }

    /// What this message acknowledges was lost on its way, and is news when it is told again.
    pub fn forget(&mut self, message: &Message) {
        self.0.remove(&(message.from, message.to));
    }
}
