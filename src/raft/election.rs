//! Leader election (5.2), its restriction (5.4.1), pre-vote (9.6) and what a quorum's silence means (6.2).
//!
//! A vote is given at most once a term and leaves only when it is durable; a candidate's vote for itself counts only
//! then too.

use std::collections::BTreeSet;

use super::event::{Event, StepDownReason, VoteReason};
use super::log::{Content, Entry};
use super::message::Body;
use super::role::{Follower, Leader, PreVotes, Progress, Role, Votes};
use super::rounds::RoundTimes;
use super::{Few, Raft};
use crate::types::{EntryId, LogIndex, NodeId, Term, Time};

impl Raft {
    /// The election timer ran out: ask first whether an election would succeed, or start it.
    pub(super) fn election_timer_ran_out(&mut self, now: Time) {
        if self.joining || self.disk_stalls(now) || !self.is_hard_state_durable() {
            self.role = self.take_votes().map_or(Role::Follower(Follower::default()), Role::Candidate);
            self.reset_election_timer(now);
        } else if self.settings.pre_vote {
            self.become_pre_candidate(now);
        } else {
            self.become_candidate(now, false);
        }
    }

    /// An election that was ordered: no pre-vote, and others vote although they hear from a leader.
    pub(super) fn campaign(&mut self, now: Time) {
        match self.role {
            Role::Leader(_) => {}
            _ if self.joining => self.effects.events.push(Event::CampaignRejected),
            _ if self.is_bound(now) => self.hold_campaign_back(now),
            _ => self.become_candidate(now, true),
        }
    }

    fn become_pre_candidate(&mut self, now: Time) {
        let next_term = self.current_term.next();
        self.effects.events.push(Event::PreVoteStarted { next_term });
        // The leader is doubted from here on: clients are not sent to it any more.
        let votes = self.take_votes();
        self.role = Role::PreCandidate(PreVotes { votes, ..PreVotes::default() });
        self.reset_election_timer(now);
        self.send_to_others(&Body::PreVote { next_term, last: self.log.last() });
        self.count_pre_vote(now, self.id, true);
    }

    /// Ends a role that is no leader's. The votes of this term are kept: they decide it, however late they are.
    fn take_votes(&mut self) -> Option<Votes> {
        match std::mem::replace(&mut self.role, Role::Follower(Follower::default())) {
            Role::Candidate(votes) => Some(votes),
            Role::PreCandidate(votes) => votes.votes,
            Role::Follower(_) | Role::Leader(_) => None,
        }
    }

    pub(super) fn become_candidate(&mut self, now: Time, transfer: bool) {
        assert!(!self.is_bound(now), "who promised its vote to nobody does not vote for itself (6.4.1)");
        // Figure 2, Candidates 1: increment currentTerm, vote for self, reset the timer, send RequestVote to all.
        self.current_term = self.current_term.next();
        self.voted_for = Some(self.id);
        self.role = Role::Candidate(Votes::default());
        self.campaigns.note(self.current_term, now);
        self.reset_election_timer(now);
        self.effects.events.push(Event::ElectionStarted { term: self.current_term, transfer });
        self.send_to_others(&Body::RequestVote { last: self.log.last(), transfer });
    }

    /// A candidate's own vote is durable.
    pub(super) fn count_own_vote(&mut self, now: Time) {
        if let Role::Candidate(votes) = &self.role
            && !votes.granted.contains(&self.id)
        {
            self.count_vote(now, self.id, true);
        }
    }

    /// Whether this node has reason to believe that a leader is at work: it is one, or heard one within the shortest
    /// election timeout (4.2.3). Sound only together with check-quorum: otherwise a leader that nobody else hears
    /// could keep its one listener from ever voting.
    pub(super) fn hears_leader(&self, now: Time) -> bool {
        if !self.settings.check_quorum {
            return false;
        }
        match &self.role {
            Role::Leader(_) => true,
            Role::Follower(follower) => {
                follower.leader.is_some_and(|(_, heard)| now < heard + self.settings.election_min)
            }
            Role::PreCandidate(_) | Role::Candidate(_) => false,
        }
    }

    pub(super) fn handle_pre_vote(&mut self, now: Time, from: NodeId, next_term: Term, last: EntryId) {
        let ours = self.log.last();
        let reason = match self.leader() {
            _ if !self.is_hard_state_durable() => VoteReason::VotePending,
            _ if self.joining => VoteReason::Joining,
            Some(leader) if self.hears_leader(now) => VoteReason::LeaderAlive(leader),
            _ if self.is_bound(now) => VoteReason::Withheld,
            _ if next_term <= self.current_term => VoteReason::StaleTerm,
            _ if last < ours => VoteReason::LogBehind { theirs: last, ours },
            _ => VoteReason::Granted,
        };
        let granted = reason.granted();
        self.effects.events.push(Event::VoteDecided { candidate: from, term: next_term, pre: true, reason });
        // Silence refuses as well, and an answer would be one more thing that waits for the disk.
        if reason != VoteReason::VotePending {
            self.send(from, Body::PreVoteReply { next_term, granted });
        }
    }

    pub(super) fn handle_pre_vote_reply(&mut self, now: Time, from: NodeId, next_term: Term, granted: bool) {
        if next_term == self.current_term.next() {
            self.count_pre_vote(now, from, granted);
        }
    }

    /// A vote that was not ordered is not given, and its term not taken over, while a leader is heard (4.2.3): a
    /// node that was cut off, or removed, cannot depose it. While a promise binds this node, no vote is given at all.
    pub(super) fn ignore_request_vote(&mut self, now: Time, from: NodeId, term: Term) {
        let reason = match self.leader() {
            Some(leader) if self.hears_leader(now) => VoteReason::LeaderAlive(leader),
            _ => VoteReason::Withheld,
        };
        self.effects.events.push(Event::VoteDecided { candidate: from, term, pre: false, reason });
    }

    pub(super) fn handle_request_vote(&mut self, now: Time, from: NodeId, term: Term, last: EntryId) {
        let ours = self.log.last();
        let reason = match self.voted_for {
            // Figure 2, RequestVote 1: refuse if the term is over.
            _ if term < self.current_term => VoteReason::StaleTerm,
            _ if self.joining => VoteReason::Joining,
            Some(candidate) if candidate == from => VoteReason::AlreadyGranted,
            Some(candidate) => VoteReason::VotedFor(candidate),
            // Figure 2, RequestVote 2: grant if there is no other vote and the log is at least as up-to-date (5.4.1).
            None if last < ours => VoteReason::LogBehind { theirs: last, ours },
            None => VoteReason::Granted,
        };
        let granted = reason.granted();
        if granted {
            self.voted_for = Some(from);
            if matches!(self.role, Role::PreCandidate(_)) {
                // It asked for itself before; a late answer must not set it against the candidate it votes for.
                self.role = Role::Follower(Follower::default());
            }
            // Only a vote that was given holds this node's own election back; a refusal does not (5.2).
            self.reset_election_timer(now);
        }
        self.effects.events.push(Event::VoteDecided { candidate: from, term, pre: false, reason });
        self.send(from, Body::VoteReply { granted });
    }

    /// Counts a pre-vote, and starts the election if it would succeed.
    fn count_pre_vote(&mut self, now: Time, from: NodeId, granted: bool) {
        let quorum = self.quorum();
        let Role::PreCandidate(votes) = &mut self.role else { return };
        if granted {
            votes.granted.insert(from);
        }
        let total = votes.granted.len();
        self.effects.events.push(Event::VoteReceived { from, pre: true, granted, total, quorum });
        if total >= quorum {
            self.become_candidate(now, false);
        }
    }

    /// Counts a vote in this node's term, in which it is a candidate, or was one and asks about the next.
    pub(super) fn count_vote(&mut self, now: Time, from: NodeId, granted: bool) {
        let quorum = self.quorum();
        let (Role::Candidate(votes) | Role::PreCandidate(PreVotes { votes: Some(votes), .. })) =
            &mut self.role
        else {
            return;
        };
        if granted {
            votes.granted.insert(from);
        }
        let total = votes.granted.len();
        self.effects.events.push(Event::VoteReceived { from, pre: false, granted, total, quorum });
        // Figure 2, Candidates 2: votes from a majority: become leader.
        if total >= quorum {
            self.become_leader(now);
        }
    }

    fn become_leader(&mut self, now: Time) {
        assert_eq!(
            self.voted_for,
            Some(self.id),
            "only a candidate of this term becomes its leader (Figure 4)"
        );
        let next_index = self.log.last().index.next();
        let uncommitted =
            self.log.range(self.commit_index.next(), self.log.last().index.max(self.commit_index));
        let uncommitted_bytes = uncommitted.map(Entry::weight).sum();
        self.role = Role::Leader(Leader {
            followers: self.others().map(|member| (member, Progress::new(next_index, now))).collect(),
            no_op: next_index,
            round: 0,
            // Figure 2, Leaders 1: on election send a first AppendEntries to each server, then at every heartbeat.
            heartbeat_due: now,
            gathered: Vec::new(),
            gather_until: now,
            uncommitted_bytes,
            reads: std::collections::VecDeque::new(),
            round_wanted: false,
            sent: RoundTimes::default(),
            confirmed: 0,
            lease_wanted_until: Time::ZERO,
            caught_up: LogIndex(0),
            lease_from: None,
        });
        self.effects.events.push(Event::BecameLeader { term: self.current_term });
        // Section 8: an entry of its own term is what lets a leader commit what is there from earlier terms.
        let entry = Entry { index: next_index, term: self.current_term, content: Content::NoOp };
        self.effects.events.push(Event::NoOpAppended { entry: entry.id() });
        self.log.append(entry);
    }

    /// When a leader that hears nothing more has gone without a quorum for the longest election timeout.
    pub(super) fn quorum_doubted_at(&self, leader: &Leader) -> Time {
        if !self.settings.check_quorum {
            return Time::NEVER;
        }
        self.quorum_heard(leader) + self.settings.election_max
    }

    /// When this leader last had heard a quorum, itself included; never ending when it is one alone.
    pub(super) fn quorum_heard(&self, leader: &Leader) -> Time {
        let needed = self.quorum() - 1;
        if needed == 0 {
            return Time::NEVER;
        }
        let counted = |progress: &Progress| if progress.joining { Time::ZERO } else { progress.heard };
        let mut heard: Few<Time> = leader.followers.values().map(counted).collect();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        heard[needed - 1]
    }

    /// A leader that a quorum no longer answers steps down (6.2): its clients look elsewhere, and its followers may
    /// vote again.
    pub(super) fn lose_quorum(&mut self, now: Time) {
        if let Role::Leader(leader) = &self.role {
            let since = now - self.settings.election_max;
            let heard: BTreeSet<NodeId> = leader
                .followers
                .iter()
                .filter(|(_, progress)| !progress.joining && progress.heard > since)
                .map(|(follower, _)| *follower)
                .collect();
            self.effects.events.push(Event::QuorumLost { heard: heard.len() + 1, quorum: self.quorum() });
        }
        self.become_follower(now, self.current_term, StepDownReason::NoQuorum);
    }
}
