//! Linearizable reads without a log entry (section 8; the dissertation's 6.4, read-index).
//!
//! A leader may have been deposed without knowing. So a read waits until a quorum has answered a heartbeat round that
//! began after the read, and until the no-op of the leader's term is committed: the state up to the commit index of
//! that moment then holds every write that was answered before.

use super::Raft;
use super::effects::{Refusal, RequestId};
use super::event::Event;
use super::message::Round;
use super::role::{Role, WaitingRead};

impl Raft {
    /// Takes in a read. All reads of one step share one round.
    pub(super) fn read(&mut self, id: RequestId) {
        let leader_known = self.leader();
        let commit_index = self.commit_index;
        if let Role::Leader(leader) = &mut self.role {
            leader.round_wanted = true;
            let round = leader.round + 1;
            leader.reads.push_back(WaitingRead { id, round, index: commit_index.max(leader.no_op) });
        } else {
            self.effects.events.push(Event::ClientRefused { leader: leader_known, busy: false });
            self.effects.reads.push((id, Err(Refusal::NotLeader { leader: leader_known })));
        }
    }

    /// Releases the reads whose round a quorum has answered.
    pub(super) fn confirm_reads(&mut self) {
        let confirmed = self.confirmed_round();
        let commit_index = self.commit_index;
        let Role::Leader(leader) = &mut self.role else { return };
        let ready = |read: &mut WaitingRead| read.round <= confirmed && read.index <= commit_index;
        while let Some(read) = leader.reads.pop_front_if(ready) {
            self.effects.reads.push((read.id, Ok(read.index)));
        }
    }

    /// The newest round that a quorum has answered, the leader itself included.
    fn confirmed_round(&self) -> Round {
        let Role::Leader(leader) = &self.role else { return 0 };
        let mut rounds: Vec<Round> = leader.followers.values().map(|progress| progress.round).collect();
        rounds.push(leader.round);
        rounds.sort_unstable_by(|a, b| b.cmp(a));
        rounds[self.quorum() - 1]
    }
}
