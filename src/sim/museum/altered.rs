//! A state machine whose clients' sessions are not what they should be, for specimens to be made of.

use super::Hook;
use crate::payload::Payload;
use crate::raft::entry::Entry;
use crate::state_machine::image::Image;
use crate::state_machine::kv::KeyValue;
use crate::state_machine::{Applied, Machine, Replica};
use crate::types::EntryId;

pub(super) struct Altered {
    pub replica: Replica<KeyValue>,
    pub hook: Hook,
}

impl Machine for Altered {
    fn check(&self, command: &Payload) -> Result<(), String> {
        Machine::check(&self.replica, command)
    }

    fn apply(&mut self, entry: &Entry) -> Applied {
        match self.hook {
            Hook::Applying(apply) => apply(&mut self.replica, entry),
            _ => self.replica.apply(entry),
        }
    }

    fn query(&self, query: &Payload) -> Result<Payload, String> {
        self.replica.query(query)
    }

    fn applied(&self) -> EntryId {
        self.replica.applied()
    }

    fn items(&self) -> Vec<(String, String)> {
        Machine::items(&self.replica)
    }

    fn size(&self) -> usize {
        Machine::size(&self.replica)
    }

    fn image(&self) -> Box<dyn Image> {
        let mut copy = self.replica.clone();
        if let Hook::Saving(change) = self.hook {
            change(&mut copy.sessions);
        }
        copy.image()
    }

    fn adopt(&mut self, applied: EntryId, image: Box<dyn Image>) {
        self.replica.adopt(applied, image);
        if let Hook::Adopting(change) = self.hook {
            change(&mut self.replica.sessions);
        }
    }
}
