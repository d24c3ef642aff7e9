//! One survivor becomes a cluster of one, in the next epoch: the last resort when a quorum is lost for good.
//!
//! In this order, so that the power may fail at any point. First a record of what is done and what it costs. Then
//! `state.json` with the next epoch, and a term above all that any survivor knows: from here on the files of the others are
//! of an earlier history, and a start refuses them. Then the entry that makes this node the only voter. A survivor that
//! lacks it elects no leader, since the others are refused, and the same rescue, made again, adds it.

use std::any::Any;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::error::StorageError;
use super::json_store::{JsonStore, SEGMENT_BYTES};
use super::state_file::{NAME as STATE, StateFile};
use super::survivors::Choice;
use super::{ClusterId, Identity, NewStore, Storage, files, recovery};
use crate::raft::effects::{HardState, Write};
use crate::raft::entry::{Content, Entry};
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::state_machine::image::Image;
use crate::types::{Epoch, LogIndex, Member, Term};

/// What a rescue does, and what it costs. Its record lies in the survivor's folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rescue {
    pub cluster: ClusterId,
    /// The epoch that begins.
    pub epoch: Epoch,
    /// The term of the entry that makes it the only voter.
    pub term: Term,
    pub survivor: String,
    /// Up to here its entries are certain to have been committed.
    pub certain: LogIndex,
    /// What was told before it was done, line by line.
    pub told: Vec<String>,
}

impl Rescue {
    /// The name of its record.
    pub fn record_name(epoch: Epoch) -> String {
        format!("recovered-{epoch}.json")
    }

    /// The rescue by this choice, of which these lines tell what it costs. `term` is above every survivor's.
    pub fn of(
        cluster: ClusterId,
        epoch: Epoch,
        term: Term,
        survivor: Member,
        choice: &Choice,
        told: &[String],
    ) -> Rescue {
        Rescue {
            cluster,
            epoch,
            term,
            survivor: survivor.to_string(),
            certain: choice.certain,
            told: told.to_vec(),
        }
    }

    /// Makes it so. The survivor must not run.
    pub fn perform<D: Disk>(&self, open: impl Fn() -> D) -> Result<(), StorageError> {
        let mut disk = open();
        let lock = super::json_store::lock(&mut disk)?;
        let state = recovery::read_state(&disk)?;
        let Some(state) = state else {
            let (file, what) = (disk.describe(STATE), "it is missing".to_string());
            return Err(StorageError::Damaged { file, line: None, what });
        };
        self.write_record(&mut disk)?;
        if state.identity.epoch < self.epoch {
            let identity = Identity { epoch: self.epoch, ..state.identity };
            let hard_state =
                HardState { current_term: self.term, voted_for: None, retired: false, ..state.hard_state };
            let state = StateFile { identity, hard_state, ..state };
            files::replace(&mut disk, STATE, &state.encode())?;
        }
        // The store takes the lock itself.
        drop(lock);
        drop(disk);
        self.add_entry(open())
    }

    fn write_record(&self, disk: &mut impl Disk) -> Result<(), StorageError> {
        let mut text = serde_json::to_vec_pretty(self).expect("numbers and texts always serialize");
        text.push(b'\n');
        files::replace(disk, &Rescue::record_name(self.epoch), &text)
    }

    fn add_entry<D: Disk>(&self, disk: D) -> Result<(), StorageError> {
        let Some(StateFile { identity, hard_state, .. }) = recovery::read_state(&disk)? else {
            unreachable!("it was written just now");
        };
        // They are there: none are made.
        let unused = NewStore::founding([identity.node]);
        let (mut store, found) = JsonStore::open(disk, &identity, SEGMENT_BYTES, &unused, skip_image)?;
        let alone = Configuration {
            voters: [(identity.node, hard_state.store_id)].into(),
            epoch: Some(self.epoch),
            ..Configuration::default()
        };
        let is_done = |configured: &Configured| *configured.configuration == alone;
        if found.last().term < self.term || !found.configured().as_ref().is_some_and(is_done) {
            let content = Content::Members(alone.into());
            let entry = Entry { index: found.last().index.next(), term: self.term, content };
            store.write(Write { entries: vec![entry], ..Write::default() })?;
            store.sync()?;
        }
        store.note_commit(self.certain);
        store.save_floor()
    }
}

/// A state that is not looked at.
struct Skipped;

impl Image for Skipped {
    fn write(&self, _: &mut dyn io::Write) -> io::Result<()> {
        Err(io::Error::other("this state was not read"))
    }

    fn size(&self) -> usize {
        0
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

fn skip_image(text: &mut dyn Read) -> Result<Box<dyn Image>, String> {
    io::copy(text, &mut io::sink()).map_err(|error| error.to_string())?;
    Ok(Box::new(Skipped))
}

#[cfg(test)]
mod tests;
