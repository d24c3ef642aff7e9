//! Leader election (5.2) and its restriction (5.4.1).
//!
//! A vote is given at most once a term and leaves only when it is durable; a candidate's vote for itself counts only
//! then too.

use std::collections::BTreeMap;

use super::Raft;
use super::entry::{Content, Entry};
use super::event::{Event, StepDownReason, VoteReason};
use super::membership::led::LeaderChange;
use super::message::{Body, Cause};
use super::role::{Follower, Leader, Role, Rounds, Votes};
use crate::types::{EntryId, Member, Term, Time};

impl Raft {
    pub(super) fn elapse(&mut self, now: Time) {
        if matches!(self.role, Role::Leader(_)) {
            return self.resign_if_due(now);
        }
        // Figure 2, Followers 2: no heartbeat and no vote given for an election timeout: start an election.
        // Figure 2, Candidates 4: an election without a winner in that time: start another.
        let due = now >= self.election_due;
        if self.prepare_election(now, due) {
            self.become_candidate(now, Cause::Timer);
        }
    }

    pub(super) fn reset_election_timer(&mut self, now: Time) {
        let (low, high) = (self.settings.election_min, self.settings.election_max);
        self.election_due = now + self.random.duration(low, high);
    }

    /// The one way into the role of follower. A vote is cleared only with its term.
    pub(super) fn become_follower(&mut self, now: Time, term: Term, reason: StepDownReason) {
        let left = self.current_term;
        if term > self.current_term {
            self.current_term = term;
            self.voted_for = None;
        }
        match std::mem::replace(&mut self.role, Role::Follower(Follower::default())) {
            Role::Leader(leader) => {
                self.note(Event::SteppedDown { term: left, led: true, reason });
                self.leave_office(now, leader, reason);
                // A leader has no election timer; one starts here. Other roles keep theirs running.
                self.reset_election_timer(now);
            }
            Role::Candidate(_) => self.note(Event::SteppedDown { term: left, led: false, reason }),
            Role::Follower(_) | Role::PreCandidate { .. } => {}
        }
    }

    pub(super) fn become_candidate(&mut self, now: Time, cause: Cause) {
        assert_eq!(self.withholds_vote(now, true), None, "a node that may not vote does not vote for itself");
        // Figure 2, Candidates 1: increment currentTerm, vote for self, reset the timer, send RequestVote to all.
        self.current_term = self.current_term.next();
        self.voted_for = Some(self.member());
        self.role = Role::Candidate(Votes::default());
        self.note_election(now);
        self.reset_election_timer(now);
        self.note(Event::ElectionStarted { term: self.current_term, transfer: cause != Cause::Timer });
        self.send_to_voters(&Body::RequestVote { last: self.log.last(), cause });
    }

    /// Figure 2, RequestVote. `handle_before_term_rule` has taken the requests for which this node withholds its vote.
    pub(super) fn handle_request_vote(&mut self, now: Time, from: Member, term: Term, last: EntryId) {
        assert_eq!(self.withholds_vote(now, true), None, "a vote that is withheld is not decided here");
        let ours = self.log.last();
        let reason = match self.voted_for {
            // Figure 2, RequestVote 1: reject if the term is over.
            _ if term < self.current_term => VoteReason::StaleTerm,
            Some(candidate) if candidate == from => VoteReason::AlreadyGranted,
            Some(candidate) => VoteReason::VotedFor(candidate.node),
            // Figure 2, RequestVote 2: grant if there is no other vote and the log is at least as up-to-date (5.4.1).
            None if last < ours => VoteReason::LogBehind { theirs: last, ours },
            None => VoteReason::Granted,
        };
        let granted = reason.granted();
        if granted {
            self.voted_for = Some(from);
            if matches!(self.role, Role::PreCandidate { .. }) {
                // It stops collecting pre-votes: a late one must not start an election against this candidate.
                self.role = Role::Follower(Follower::default());
            }
            // Only a vote that was given holds this node's own election back; a refusal does not (5.2).
            self.reset_election_timer(now);
        }
        self.note(Event::VoteDecided { candidate: from.node, term, pre: false, reason });
        // Figure 2, Followers 1, candidates: answer their requests.
        self.reply(from, Body::VoteReply { granted });
    }

    /// A candidate's own vote counts once it is durable.
    pub(super) fn count_own_vote(&mut self, now: Time) {
        if matches!(&self.role, Role::Candidate(votes) if !votes.granted.contains(&self.member())) {
            self.count_vote(now, self.member(), true);
        }
    }

    /// Counts a vote in this node's term.
    pub(super) fn count_vote(&mut self, now: Time, from: Member, granted: bool) {
        let configuration = self.configurations.effective();
        let Some(votes) = self.role.votes_mut() else { return };
        votes.count(from, granted);
        let elected = votes.elect(configuration);
        let (total, quorum) = configuration.tally(|voter| votes.granted.contains(&voter));
        self.note(Event::VoteReceived { from: from.node, pre: false, granted, total, quorum });
        // Figure 2, Candidates 2: votes from a majority: become leader.
        if elected {
            self.become_leader(now);
        }
    }

    fn become_leader(&mut self, now: Time) {
        let ran = self.voted_for == Some(self.member());
        assert!(ran, "only a candidate of this term becomes its leader (Figure 4)");
        let last = self.log.last().index;
        let next_index = last.next();
        let uncommitted_bytes = self.log.weight(self.commit_index.next(), last);
        self.role = Role::Leader(Leader {
            followers: BTreeMap::new(),
            no_op: next_index,
            heartbeat_due: now,
            gathered: Vec::new(),
            gather_until: now,
            uncommitted_bytes,
            rounds: Rounds::default(),
            change: LeaderChange::default(),
        });
        self.fit_followers(now);
        self.tell_predecessor(now);
        self.note(Event::BecameLeader { term: self.current_term });
        // Section 8: an entry of its own term is what lets a leader commit what is there from earlier terms.
        let entry = Entry { index: next_index, term: self.current_term, content: Content::NoOp };
        self.note(Event::NoOpAppended { entry: entry.id() });
        self.append(entry);
    }
}
