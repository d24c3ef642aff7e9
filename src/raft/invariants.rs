//! What must hold after every step and from each step to the next: one node's share of Figure 3.
//!
//! The checks stay on in release builds. One that fails stops this node, never the process: a node that is down is
//! a fault that Raft survives, a node that continues wrongly is not.

use super::Raft;
use super::effects::HardState;
use super::role::Role;
use crate::types::{EntryId, LogIndex};

/// What a step may change only in certain ways, noted before it.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    pub hard_state: HardState,
    commit_index: LogIndex,
    snapshot: EntryId,
    last: EntryId,
    led: bool,
}

impl Marks {
    pub fn of(raft: &Raft) -> Marks {
        Marks {
            hard_state: raft.hard_state(),
            commit_index: raft.commit_index,
            snapshot: raft.snapshot,
            last: raft.log.last(),
            led: matches!(raft.role, Role::Leader(_)),
        }
    }

    /// Compares with the state after the step.
    pub fn check(&self, raft: &Raft) {
        let HardState { current_term, voted_for, .. } = self.hard_state;
        assert!(raft.current_term >= current_term, "a term never goes back (5.1)");
        assert!(raft.commit_index >= self.commit_index, "the commit index never goes back (5.3)");
        assert!(raft.snapshot.index >= self.snapshot.index, "a newer snapshot covers more (7)");
        let same_term = raft.current_term == current_term;
        if same_term && voted_for.is_some() {
            assert_eq!(raft.voted_for, voted_for, "at most one vote a term (5.2)");
        }
        if same_term && self.led && matches!(raft.role, Role::Leader(_)) {
            let kept = raft.log.term_at(self.last.index);
            let compacted = self.last.index < raft.log.base().index;
            assert!(
                compacted || kept == Some(self.last.term),
                "a leader only appends (Figure 3, Leader Append-Only)"
            );
        }
        check_state(raft);
    }
}

fn check_state(raft: &Raft) {
    let last = raft.log.last();
    assert!(raft.log.base().index <= raft.snapshot.index, "what the log lacks, a snapshot covers (7)");
    assert!(raft.snapshot.index <= raft.commit_index, "only what is committed is covered by a snapshot (7)");
    assert!(raft.commit_index <= last.index, "what is committed is in the log");
    assert!(last.term <= raft.current_term, "an entry's term was this node's term once");
    assert!(raft.durable_index() <= last.index, "only what is in the log is durable in it");
    match &raft.role {
        Role::Follower(_) | Role::PreCandidate { .. } => {}
        Role::Candidate(votes) => {
            assert_eq!(raft.voted_for, Some(raft.member()), "a candidate voted for itself (5.2)");
            assert!(!votes.elect(raft.configuration()), "a candidate with a quorum leads");
        }
        Role::Leader(leader) => {
            assert_eq!(raft.voted_for, Some(raft.member()), "a leader voted for itself (5.2)");
            let opened = raft.log.term_at(leader.no_op) == Some(raft.current_term);
            assert!(opened || leader.no_op < raft.log.base().index, "a term opens with a no-op (8)");
            for progress in leader.followers.values() {
                assert!(progress.match_index < progress.next_index, "nextIndex lies above matchIndex");
                assert!(progress.next_index <= last.index.next(), "nothing beyond the log is sent");
                assert!(progress.match_index <= last.index, "a follower matches no more than there is");
            }
        }
    }
}
