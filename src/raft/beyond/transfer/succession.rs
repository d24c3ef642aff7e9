//! After a transfer: the clients of a leader that has handed over wait until it knows the new one.

use super::Transfers;
use crate::raft::Raft;
use crate::raft::effects::{RejectReason, RequestId};
use crate::raft::event::StepDownReason;
use crate::raft::role::{Leader, Role};
use crate::types::Time;

/// Requests that wait for the name of a new leader at most; beyond, they are told at once that none is known.
const WAITING_MAX: usize = 1 << 16;

/// What waits at a node that has handed over: each request, and whether it is a read.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Succession {
    pub until: Time,
    pub requests: Vec<(RequestId, bool)>,
}

impl Raft {
    /// This node leads no longer. If a higher term began while it handed over, its clients are to be sent to the new leader.
    pub(in crate::raft) fn leave_office(&mut self, now: Time, leader: Leader, reason: StepDownReason) {
        let handed_over = self.hands_over() && matches!(reason, StepDownReason::NewerTerm(_));
        let until = now + self.settings.election_min;
        let succession = handed_over.then(|| Succession { until, requests: Vec::new() });
        let heard = self.beyond.transfers.heard;
        self.beyond.transfers = Transfers { succession, heard, ..Transfers::default() };
        self.reject_waiting(leader);
    }

    /// A client's request is rejected. Whether its client waits for the name of the new leader, and is told then.
    pub(in crate::raft) fn wait_for_successor(
        &mut self,
        id: RequestId,
        read: bool,
        reason: RejectReason,
    ) -> bool {
        let is_unknown =
            matches!(reason, RejectReason::NotLeader { leader: None } | RejectReason::Retired { .. });
        let Some(Succession { requests, .. }) = &mut self.beyond.transfers.succession else { return false };
        let waits = is_unknown && requests.len() < WAITING_MAX;
        if waits {
            requests.push((id, read));
        }
        waits
    }

    /// Ends a step: sends the clients that wait to the new leader, or tells them that there is none.
    pub(in crate::raft) fn name_successor(&mut self, now: Time) {
        let leader = self.leader();
        let follows = matches!(self.role, Role::Follower(_));
        let known = |succession: &mut Succession| leader.is_some() || !follows || now >= succession.until;
        let Some(Succession { requests, .. }) = self.beyond.transfers.succession.take_if(known) else {
            return;
        };
        let reason = self.not_leader();
        for (id, read) in requests {
            self.reject(id, read, reason);
        }
    }
}
