//! A disk that does not answer.
//!
//! A leader goes on without its own disk: a majority of others commits, and heartbeats need no disk. But it can vouch
//! for nothing of its own, and what waits for its disk piles up. So one whose oldest write has not completed for a while
//! hands over: it tells the follower that holds the most to start an election at once (3.10 of the dissertation), and
//! steps down. A node whose disk does not answer starts no election: its own vote could not become durable.

use super::Raft;
use super::event::{Event, StepDownReason};
use super::message::Body;
use super::role::{Flow, Role};
use crate::types::{NodeId, Time};

impl Raft {
    /// When this leader hands over because its own disk does not answer; never while it is a quorum alone, since nobody
    /// could take over.
    pub(super) fn disk_doubted_at(&self) -> Time {
        match self.durability.waits_since() {
            Some(since) if self.quorum() > 1 => since + self.settings.disk_patience,
            _ => Time::NEVER,
        }
    }

    /// Whether the disk has not answered for too long.
    pub(super) fn disk_stalls(&self, now: Time) -> bool {
        now >= self.disk_doubted_at()
    }

    pub(super) fn hand_over(&mut self, now: Time) {
        let successor = self.successor(now);
        self.effects.events.push(Event::DiskStalled { successor });
        if let Some(node) = successor {
            self.send(node, Body::TimeoutNow);
        }
        self.become_follower(now, self.current_term, StepDownReason::DiskStalled);
    }

    /// Of the followers that were heard lately and have a say, the one that holds the most.
    fn successor(&self, now: Time) -> Option<NodeId> {
        let Role::Leader(leader) = &self.role else { return None };
        let heard = |time: Time| now < time + self.settings.election_min;
        let fit = leader.followers.iter().filter(|(_, progress)| {
            !progress.joining && heard(progress.heard) && matches!(progress.flow, Flow::Replicate { .. })
        });
        fit.max_by_key(|(_, progress)| progress.match_index).map(|(node, _)| *node)
    }
}
