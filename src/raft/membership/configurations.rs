//! The configurations that a node knows: the one where its snapshot ends, or the founders', and those in its log.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Configured;
use super::configuration::Configuration;
use crate::raft::Raft;
use crate::raft::entry::Entry;
use crate::raft::event::Event;
use crate::raft::role::{Follower, Role};
use crate::types::LogIndex;

/// What a node uses that knows no configuration: it decides nothing.
static UNKNOWN: Configuration = Configuration {
    epoch: None,
    voters: BTreeMap::new(),
    outgoing: None,
    learners: BTreeMap::new(),
    preferred: None,
    addresses: BTreeMap::new(),
};

/// In the order of their entries.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Configurations(Vec<Configured>);

impl Configurations {
    /// Those of a node that starts: `base` is what its snapshot says, or the founders'.
    pub(in crate::raft) fn recovered(base: Option<Configured>, entries: &[Entry]) -> Configurations {
        let mut all = Configurations(base.into_iter().collect());
        entries.iter().filter_map(Configured::of).for_each(|configured| all.append(configured));
        all
    }

    pub fn newest(&self) -> Option<&Configured> {
        self.0.last()
    }

    /// The one before the newest, and the newest. A change begins only once the one before it is committed, so the first of
    /// them was committed then; unless it is a joint one that the newest takes back.
    pub fn newest_two(&self) -> [Option<&Configured>; 2] {
        let mut from_end = self.0.iter().rev();
        let newest = from_end.next();
        [from_end.next(), newest]
    }

    /// The one that is used.
    pub fn effective(&self) -> &Configuration {
        self.newest().map_or(&UNKNOWN, |newest| &newest.configuration)
    }

    /// The one that is effective at this index.
    pub fn at(&self, index: LogIndex) -> Option<&Configured> {
        self.from(index).first().filter(|first| first.index <= index)
    }

    /// The one that is effective at this index, and all later ones.
    pub fn from(&self, index: LogIndex) -> &[Configured] {
        let later = self.0.partition_point(|one| one.index <= index);
        &self.0[later.saturating_sub(1)..]
    }

    /// For the museum of broken rules: a mutation uses others than those of the log.
    pub(crate) fn forge(&mut self, used: Vec<Configured>) {
        self.0 = used;
    }

    fn append(&mut self, configured: Configured) {
        // A snapshot's log may begin with the entry whose configuration the snapshot holds too.
        if self.newest().is_none_or(|newest| newest.index < configured.index) {
            self.0.push(configured);
        }
    }

    /// Forgets those that no index from here on needs.
    pub(in crate::raft) fn forget_before(&mut self, index: LogIndex) {
        let needed = self.0.len() - self.from(index).len();
        self.0.drain(..needed);
    }
}

impl Raft {
    pub(in crate::raft) fn note_configuration(&mut self, configured: Configured) {
        let Configured { index, configuration } = configured.clone();
        self.configurations.append(configured);
        self.note(match self.role {
            Role::Leader(_) => Event::MembersProposed { index, configuration },
            _ => Event::MembersAppended { index, configuration },
        });
    }

    /// Entries from this index on are gone, and their configurations with them.
    pub(in crate::raft) fn truncate_configurations(&mut self, from: LogIndex) {
        let kept = self.configurations.0.partition_point(|one| one.index < from);
        if kept < self.configurations.0.len() {
            let gone = Arc::clone(&self.configurations.0[kept].configuration);
            self.configurations.0.truncate(kept);
            let configuration = Arc::new(self.configurations.effective().clone());
            self.note(Event::MembersTruncated { from, gone, configuration });
        }
    }

    /// A snapshot says which configuration is effective at this index. A log that did not begin with the cluster may not
    /// have told.
    pub(in crate::raft) fn learn_configuration(&mut self, index: LogIndex, configured: Configured) {
        if self.configurations.at(index).is_none() {
            self.configurations.0.insert(0, configured);
        }
    }

    /// A snapshot was installed in place of the log: its configuration is the only one.
    pub(in crate::raft) fn reset_configurations(&mut self, configured: Configured) {
        let retired = self.is_left_out_by(&configured.configuration);
        self.configurations.0 = vec![configured];
        self.retire_if(retired);
        // What it collected votes for was another configuration.
        if matches!(self.role, Role::PreCandidate { .. } | Role::Candidate(_)) {
            self.role = Role::Follower(Follower::default());
        }
    }
}
