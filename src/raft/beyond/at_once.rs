//! Disks that take no time: the driver makes a write durable before it sends any message of the step that handed it out, as
//! it can with a store in memory.
//!
//! The core takes such a write for durable in the same step. What waits for it needs no further step, which would cost as
//! much as the first. A node that decides alone commits by its own disk: the completions of its writes are reported, and
//! so each comes with a step that commits. All others commit by answers, which come later than the write.

use crate::raft::Raft;
use crate::raft::effects::WriteId;
use crate::types::Time;

impl Raft {
    /// Whether the driver of this node makes each write durable before it sends a message.
    pub fn expect_writes_at_once(&mut self, at_once: bool) {
        self.beyond.at_once = at_once;
    }

    /// A write is handed out. Whether it is durable at once.
    pub(in crate::raft) fn complete_if_at_once(&mut self, now: Time, id: WriteId) -> bool {
        let at_once = self.beyond.at_once && !self.is_alone();
        if at_once {
            self.persisted(now, id);
        }
        at_once
    }
}

#[cfg(test)]
mod tests {
    use crate::config::RaftSettings;
    use crate::raft::bench::{Bench, entries, id, recovered};
    use crate::raft::effects::Input;
    use crate::raft::message::{Beat, Body, Files, Message};
    use crate::raft::{Raft, Recovered};
    use crate::types::{EntryId, LogIndex, NodeId, Random, RoleName, Term, Time};

    #[test]
    fn what_is_durable_at_once_is_acknowledged_in_the_same_step_unless_a_node_decides_alone() {
        let mut raft = Bench::follower(1, &RaftSettings::default(), recovered(EntryId::ZERO, 2, 1)).raft;
        raft.expect_writes_at_once(true);
        let beat = Beat { round: 1, ..Beat::default() };
        let entries = entries(3, 4, 1);
        let body = Body::AppendEntries { prev: id(2, 1), entries, commit: LogIndex(0), beat };
        let (from, to) = (NodeId::new(2), NodeId::new(1));
        let message = Message { from, to, term: Term(1), files: Files::FOUNDERS, body };
        let effects = raft.step(Time::ZERO, &mut vec![Input::Message(message)]);
        let write = effects.write.expect("entries are written");
        assert_eq!((write.then.len(), raft.durable_index()), (1, LogIndex(4)), "one acknowledgement");
        assert!(write.at_once);

        let alone = Recovered::founder([to]);
        let mut raft = Raft::new(to, RaftSettings::default(), alone, Random::new(1), Time::ZERO);
        raft.expect_writes_at_once(true);
        let vote = raft.step(Time::ZERO, &mut vec![Input::Campaign]);
        assert_eq!(raft.role_name(), RoleName::Candidate, "its vote is not known to be durable");
        let id = vote.write.expect("a vote is written").id;
        let no_op = raft.step(Time::ZERO, &mut vec![Input::Persisted(id)]);
        let write = no_op.write.expect("the no-op is written");
        assert_eq!((write.at_once, raft.commit_index()), (false, LogIndex(0)));
        raft.step(Time::ZERO, &mut vec![Input::Persisted(write.id)]);
        assert_eq!(raft.commit_index(), LogIndex(1));
    }
}
