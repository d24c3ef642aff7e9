//! What an answer means to its call.

use super::ClientCore;
use crate::client::call::CallId;
use crate::client::settings::WhenFull;
use crate::client::{Answered, Fate, Outcome, Rejection, What};
use crate::protocol::{Attempt, ReadMode, Reply, Response};
use crate::raft::effects::RejectReason;
use crate::state_machine::Applied;
use crate::types::{NodeId, Term, Time};

impl ClientCore {
    pub(super) fn take_in(&mut self, now: Time, call_id: CallId, node: NodeId, reply: Reply) {
        let Reply { attempt, term, response } = reply;
        let call = self.call(call_id);
        match (response, &call.what, call.token) {
            (Response::Entry(applied), _, _) => {
                self.entry_applied(now, call_id, (attempt, node, term), applied);
            }
            (Response::Read { applied, staleness, answer }, What::Read { mode, .. }, _) => {
                // A node that was asked by name need not lead; otherwise only a leader answers.
                if *mode != ReadMode::Stale && call.at.is_none() {
                    self.leader = Some(node);
                }
                let answered = Answered { answer, node, term, index: applied, staleness, part: None };
                self.end(now, call_id, Outcome::Answered(answered));
            }
            (Response::Invalid(reason), _, _) => {
                self.invalid(now, call_id, attempt, Rejection::Invalid(reason));
            }
            (
                Response::Panicked { entry: Some(_), reason },
                What::Command(_) | What::Named { .. },
                Some(_),
            ) => {
                self.panicked(now, call_id, attempt, node, reason);
            }
            (Response::Panicked { reason, .. }, _, _) => {
                self.invalid(now, call_id, attempt, Rejection::Panicked(reason));
            }
            (Response::Rejected(RejectReason::Busy), _, _) => self.busy(now, call_id, attempt),
            (Response::Unreachable, _, _) => self.unreachable(now, call_id, attempt, node),
            (Response::Rejected(RejectReason::NotLeader { leader }), _, _)
            | (Response::LeadershipLost { leader }, What::Read { .. }, _) => {
                if self.call_mut(call_id).note_refused(attempt, false) {
                    self.redirected(now, call_id, node, leader, term);
                }
            }
            (Response::Rejected(RejectReason::Retired { member }), _, _) => {
                if self.call_mut(call_id).note_refused(attempt, false) {
                    self.sent_away(now, call_id, node, member);
                }
            }
            (
                Response::LeadershipLost { leader },
                What::Command(_) | What::Named { .. } | What::Settle(_),
                _,
            ) => {
                if self.call_mut(call_id).note_lost(attempt) {
                    self.redirected(now, call_id, node, leader, term);
                }
            }
            // An answer to what was not asked is as good as none.
            (Response::Read { .. }, What::Command(_) | What::Named { .. } | What::Settle(_), _) => {}
        }
    }

    fn entry_applied(
        &mut self,
        now: Time,
        call_id: CallId,
        (attempt, node, term): (Attempt, NodeId, Term),
        applied: Applied,
    ) {
        let call = self.call(call_id);
        match (applied, &call.what, call.token) {
            (
                Applied::Answered { entry, answer },
                What::Command(_) | What::Named { .. } | What::Settle(_),
                token,
            ) => {
                let is_question = matches!(call.what, What::Settle(_));
                let part = token.and_then(|token| token.part);
                self.leader = Some(node);
                let answered = Answered { answer, node, term, index: entry.index, staleness: None, part };
                if is_question {
                    self.settled(now, call_id, Fate::Applied(answered));
                } else {
                    self.end(now, call_id, Outcome::Answered(answered));
                }
            }
            (Applied::Opened { session }, What::Command(_), None) => {
                self.leader = Some(node);
                self.opened(call_id, session);
            }
            (Applied::GivenUp, What::Settle(_), _) => self.settled(now, call_id, Fate::NeverApplied),
            (Applied::Forgotten, What::Settle(_), _) => self.settled(now, call_id, Fate::Forgotten),
            (Applied::Expired, What::Settle(_), _) => self.settled(now, call_id, Fate::Expired),
            (Applied::Lost { epoch }, What::Settle(_), _) => {
                self.settled(now, call_id, Fate::Lost { epoch });
            }
            // Its caller numbers it: what the session says of it is the caller's to hear.
            (Applied::Forgotten, What::Named { .. }, _) => {
                self.end(now, call_id, Outcome::Settled(Fate::Forgotten));
            }
            (Applied::Expired, What::Named { .. }, _) => {
                self.end(now, call_id, Outcome::Settled(Fate::Expired));
            }
            (Applied::Lost { epoch }, What::Named { .. }, _) => {
                self.end(now, call_id, Outcome::Settled(Fate::Lost { epoch }));
            }
            (Applied::GivenUp, What::Command(_) | What::Named { .. }, _) => {
                self.end(now, call_id, Outcome::Rejected(Rejection::GivenUp));
            }
            // A session forgets commands that its client has ended, but this one has not: its outcome is lost.
            (Applied::Forgotten, What::Command(_), Some(token)) => {
                self.end(now, call_id, Outcome::Unknown(token));
            }
            (Applied::Expired | Applied::Lost { .. }, What::Command(_), Some(token)) => {
                self.expired(now, call_id, attempt, token);
            }
            // An answer to what was not asked is as good as none.
            _ => {}
        }
    }

    /// The outcome of the command that this call asks about is known.
    fn settled(&mut self, now: Time, call_id: CallId, fate: Fate<Answered>) {
        let token = self.call(call_id).token.expect("it asks about a command");
        if let Some(session) = self.session.as_mut().filter(|session| session.holds(token)) {
            session.settled(token);
        }
        self.end(now, call_id, Outcome::Settled(fate));
    }

    /// One node finds the call not valid. Another one, with other limits, may have taken it in.
    fn invalid(&mut self, now: Time, call_id: CallId, attempt: Attempt, rejection: Rejection) {
        let last = self.call_mut(call_id).note_refused(attempt, false);
        let call = self.call(call_id);
        if last || call.is_harmless() {
            let outcome = call.rejected(rejection);
            self.end(now, call_id, outcome);
        }
    }

    /// The command is committed, and this node's state machine could not apply it. Another's may, unless too many have
    /// failed for a node to lead.
    fn panicked(&mut self, now: Time, call_id: CallId, attempt: Attempt, node: NodeId, words: String) {
        let majority = self.nodes.len() / 2 + 1;
        let call = self.call_mut(call_id);
        let last = call.note_lost(attempt);
        if call.note_panic(node, words) >= majority {
            let outcome = call.unanswered();
            self.end(now, call_id, outcome);
        } else if last {
            self.redirected(now, call_id, node, None, Term(0));
        }
    }

    /// The leader is busy; it is still the node to ask.
    fn busy(&mut self, now: Time, call_id: CallId, attempt: Attempt) {
        if !self.call_mut(call_id).note_refused(attempt, true) {
            return;
        }
        let rejected = self.call(call_id).rejected(Rejection::Busy);
        let certain = matches!(rejected, Outcome::Rejected(_));
        match self.settings.when_full {
            WhenFull::Reject if certain => self.end(now, call_id, rejected),
            WhenFull::Reject | WhenFull::Wait => self.back_off(now, call_id),
        }
    }

    fn unreachable(&mut self, now: Time, call_id: CallId, attempt: Attempt, node: NodeId) {
        if !self.call_mut(call_id).note_refused(attempt, false) {
            return;
        }
        self.doubt(node);
        let call = self.call(call_id);
        if call.at.is_some() {
            let outcome = call.rejected(Rejection::Unreachable(node));
            self.end(now, call_id, outcome);
        } else {
            self.ask_next(now, call_id);
        }
    }

    /// This node does not lead; perhaps `leader` does, in this term.
    fn redirected(&mut self, now: Time, call_id: CallId, node: NodeId, leader: Option<NodeId>, term: Term) {
        self.doubt(node);
        if leader.is_some() {
            self.call_mut(call_id).note_hint(term);
        }
        let call = self.call(call_id);
        if call.at.is_some() {
            // That another node leads is final. A node that knows no leader may know one, or lead, before the deadline.
            return match leader {
                Some(_) => {
                    let outcome = call.rejected(Rejection::NotLeader { leader });
                    self.end(now, call_id, outcome);
                }
                None => self.back_off(now, call_id),
            };
        }
        // A node that was asked in this turn did not answer as a leader: a hint at it is old, or early. One that this client
        // does not know may have come since.
        let news = leader.filter(|leader| !call.has_asked(*leader));
        match news {
            Some(_) => {
                self.leader = news;
                self.ask_next(now, call_id);
            }
            None => self.back_off(now, call_id),
        }
    }

    /// This node was removed: that it knows no leader says nothing about the others, so the next is asked at once. First the
    /// member that it names, unless a leader is known.
    fn sent_away(&mut self, now: Time, call_id: CallId, node: NodeId, member: Option<NodeId>) {
        self.doubt(node);
        let call = self.call(call_id);
        if call.at.is_some() {
            // As with any node that knows no leader, it may know one before the deadline.
            return self.back_off(now, call_id);
        }
        self.leader = self.leader.or(member.filter(|member| !call.has_asked(*member)));
        self.ask_next(now, call_id);
    }
}
