//! A state machine whose clients' sessions are not what they should be, for specimens to be made of.

use crate::payload::Payload;
use crate::raft::entry::Entry;
use crate::sim::exhibit::Exhibit;
use crate::state_machine::image::Image;
use crate::state_machine::kv::KeyValue;
use crate::state_machine::sessions::Sessions;
use crate::state_machine::{Applied, Machine, Replica};
use crate::types::EntryId;

/// How entries are applied, what becomes of the sessions in an image, and of those that an image brings.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub apply: fn(&mut Replica<KeyValue>, &Entry) -> Applied,
    pub save: fn(&mut Sessions),
    pub adopt: fn(&mut Sessions),
}

impl Rules {
    pub const KEPT: Rules =
        Rules { apply: |replica, entry| replica.apply(entry), save: |_| {}, adopt: |_| {} };
}

pub(super) struct Altered(pub Rules);

impl Exhibit for Altered {
    fn machine(&self, replica: Replica<KeyValue>) -> Box<dyn Machine> {
        Box::new(Altering { replica, rules: self.0 })
    }
}

struct Altering {
    replica: Replica<KeyValue>,
    rules: Rules,
}

impl Machine for Altering {
    fn check(&self, command: &Payload) -> Result<(), String> {
        Machine::check(&self.replica, command)
    }

    fn apply(&mut self, entry: &Entry) -> Applied {
        (self.rules.apply)(&mut self.replica, entry)
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
        (self.rules.save)(&mut copy.sessions);
        copy.image()
    }

    fn adopt(&mut self, applied: EntryId, image: Box<dyn Image>) {
        self.replica.adopt(applied, image);
        (self.rules.adopt)(&mut self.replica.sessions);
    }
}
