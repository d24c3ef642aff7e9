//! What a node's thread hands to its disk, and hears of it.

use super::disk::{Completion, Persisted};
use super::event_loop::EventLoop;
use crate::raft::effects::Write;
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, EndReason};

impl EventLoop {
    /// Hands over the write of a step, if there is one.
    pub(super) fn hand_to_disk(&mut self, write: Option<Write>) -> Result<(), EndReason> {
        let Some(write) = write else { return Ok(()) };
        let at_once = write.at_once;
        let durable = self.disk.write(write).map_err(EndReason::StorageFailed)?;
        assert!(
            !at_once || durable.is_some(),
            "what is taken for durable is durable before a message leaves"
        );
        self.arrivals.extend(durable.filter(|_| !at_once).map(Arrival::Persisted));
        Ok(())
    }

    /// Takes in that a write is durable.
    pub(super) fn complete(&mut self, completion: Completion) -> Result<(), EndReason> {
        let Persisted { id, stale } = self.disk.completed(completion).map_err(EndReason::StorageFailed)?;
        self.arrivals.push(Arrival::Persisted(id));
        stale.into_iter().try_for_each(|file| self.work_beside(SnapshotWork::Remove(file)))
    }
}
