//! Pre-vote (D 9.6): a node asks whether an election would succeed before it starts one, so that a node that was cut off
//! does not raise the others' terms.

use super::message::Extra;
use crate::raft::Raft;
use crate::raft::event::{Event, VoteReason};
use crate::raft::message::{Body, Cause};
use crate::raft::role::{Follower, Role, Votes};
use crate::types::{EntryId, Member, Term, Time};

impl Raft {
    pub(super) fn become_pre_candidate(&mut self, now: Time) {
        let next_term = self.current_term.next();
        self.note(Event::PreVoteStarted { next_term });
        // The leader is doubted from here on: clients are not sent to it any more.
        let votes = self.take_votes();
        self.role = Role::PreCandidate { pre_votes: Votes::default(), votes };
        self.reset_election_timer(now);
        self.send_to_voters(&Body::Extra(Extra::PreVote { next_term, last: self.log.last() }));
        self.count_pre_vote(now, self.member(), true);
    }

    /// The election timer ran out in vain: a candidate stays one, others doubt their leader.
    pub(super) fn stay_without_election(&mut self, now: Time) {
        self.role = self.take_votes().map_or(Role::Follower(Follower::default()), Role::Candidate);
        self.reset_election_timer(now);
    }

    /// Leaves the current role and returns the votes of this term, which still count, however late they are.
    fn take_votes(&mut self) -> Option<Votes> {
        match std::mem::replace(&mut self.role, Role::Follower(Follower::default())) {
            Role::Candidate(votes) => Some(votes),
            Role::PreCandidate { votes, .. } => votes,
            Role::Follower(_) | Role::Leader(_) => None,
        }
    }

    pub(super) fn handle_pre_vote(&mut self, now: Time, from: Member, next_term: Term, last: EntryId) {
        let ours = self.log.last();
        let reason = match self.withholds_vote(now, false) {
            _ if !self.is_hard_state_durable() => VoteReason::VotePending,
            Some(reason) => reason,
            None if next_term <= self.current_term => VoteReason::StaleTerm,
            None if last < ours => VoteReason::LogBehind { theirs: last, ours },
            None => VoteReason::Granted,
        };
        let granted = reason.granted();
        self.note(Event::VoteDecided { candidate: from.node, term: next_term, pre: true, reason });
        // No answer counts as a refusal, and a reply would have to wait for the disk.
        if reason != VoteReason::VotePending {
            self.reply(from, Body::Extra(Extra::PreVoteReply { next_term, granted }));
        }
    }

    pub(super) fn handle_pre_vote_reply(&mut self, now: Time, from: Member, next_term: Term, granted: bool) {
        if next_term == self.current_term.next() {
            self.count_pre_vote(now, from, granted);
        }
    }

    /// Counts a pre-vote, and starts the election if it would succeed.
    fn count_pre_vote(&mut self, now: Time, from: Member, granted: bool) {
        let configuration = self.configurations.effective();
        let Role::PreCandidate { pre_votes, .. } = &mut self.role else { return };
        pre_votes.count(from, granted);
        let succeeds = pre_votes.elect(configuration);
        let (total, quorum) = configuration.tally(|voter| pre_votes.granted.contains(&voter));
        self.note(Event::VoteReceived { from: from.node, pre: true, granted, total, quorum });
        if succeeds {
            self.become_candidate(now, Cause::Timer);
        }
    }
}
