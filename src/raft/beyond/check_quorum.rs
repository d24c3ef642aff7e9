//! Check-quorum (D 6.2): a leader that no quorum answers steps down. With it goes stickiness (D 4.2.3): a node that hears a
//! leader gives no vote. One is sound only with the other: otherwise a leader that only one node hears could
//! keep that node from ever voting.

use crate::raft::Raft;
use crate::raft::event::{Event, StepDownReason};
use crate::raft::role::{Leader, Progress, Role};
use crate::types::{Member, Time};

impl Raft {
    /// Whether this node has reason to believe that a leader is at work: it is one, or heard one within the shortest
    /// election timeout.
    pub(super) fn hears_leader(&self, now: Time) -> bool {
        if !self.settings.check_quorum {
            return false;
        }
        match &self.role {
            Role::Leader(_) => true,
            Role::Follower(follower) => {
                follower.leader.is_some_and(|(_, heard)| now < heard + self.settings.election_min)
            }
            Role::PreCandidate { .. } | Role::Candidate(_) => false,
        }
    }

    /// When a leader that hears nothing more has gone without a quorum for the longest election timeout.
    pub(super) fn quorum_doubted_at(&self, leader: &Leader) -> Time {
        if self.settings.check_quorum { self.quorum_silent_at(leader) } else { Time::NEVER }
    }

    /// The same whether the rule is on or off: a leader that no quorum answers claims no lease either.
    pub(super) fn quorum_silent_at(&self, leader: &Leader) -> Time {
        let own = (self.member(), Time::NEVER);
        leader.quorum_value(self.configuration(), own, |progress| progress.answers.heard)
            + self.settings.election_max
    }

    /// A leader that a quorum no longer answers steps down: its clients look elsewhere, and its followers may vote again.
    pub(super) fn lose_quorum(&mut self, now: Time) {
        if let Role::Leader(leader) = &self.role {
            let (since, own) = (now - self.settings.election_max, self.member());
            let answers = |member: Member| {
                let heard = |progress: &Progress| progress.answers.heard > since;
                member == own || leader.progress_of(member).is_some_and(heard)
            };
            let (heard, quorum) = self.configuration().tally(answers);
            self.note(Event::QuorumLost { heard, quorum });
        }
        self.become_follower(now, self.current_term, StepDownReason::NoQuorum);
    }
}
