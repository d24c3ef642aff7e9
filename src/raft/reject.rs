//! Requests of clients that a node does not take in. They have certainly had no effect.

pub mod reason;

use self::reason::RejectReason;
use super::Raft;
use super::effects::RequestId;
use super::event::Event;
use super::role::Leader;

impl Raft {
    /// Why this node takes no client's request. One that was removed names a member that was left: its word is as old as its
    /// log, and the one that is named knows more.
    pub(super) fn not_leader(&self) -> RejectReason {
        match self.leader() {
            None if self.retired => {
                RejectReason::Retired { member: self.configuration().voters.keys().next().copied() }
            }
            leader => RejectReason::NotLeader { leader },
        }
    }

    /// Tells a client that its request was not taken in. After a transfer it is told when the new leader is known.
    pub(super) fn reject(&mut self, id: RequestId, read: bool, reason: RejectReason) {
        if self.wait_for_successor(id, read, reason) {
            return;
        }
        self.note(Event::ClientRejected { read, reason });
        if read {
            self.effects.reads.push((id, Err(reason)));
        } else {
            self.effects.proposals.push((id, Err(reason)));
        }
    }

    /// Rejects the requests that were waiting for this leader, which has stepped down.
    pub(super) fn reject_waiting(&mut self, leader: Leader) {
        for proposal in leader.gathered {
            self.reject(proposal.id, false, RejectReason::NotLeader { leader: None });
        }
        self.reject_waiting_reads(leader.rounds);
    }
}
