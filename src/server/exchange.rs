//! What goes into a server and what comes out of it.

use std::time::Duration;

use super::SnapshotInfo;
use super::applier::{Done, Task};
use super::snapshots::SnapshotWork;
use crate::protocol::Envelope;
use crate::raft::Recovered;
use crate::raft::effects::{SnapshotReport, Write, WriteId};
use crate::raft::event::Event;
use crate::state_machine::AppliedEntry;
use crate::state_machine::image::Image;
use crate::storage;
use crate::types::EntryId;

/// What a driver hands to a server.
pub enum Arrival {
    /// Something came over the network.
    Envelope(Envelope),
    /// This write, and every earlier one, is durable.
    Persisted(WriteId),
    /// The state machine, on its own thread, has done something.
    Done(Done),
    /// Take a snapshot of what has been applied.
    TakeSnapshot,
    /// This node's own snapshot is durable.
    SnapshotSaved {
        /// The last entry that it covers.
        last: EntryId,
        /// Its size.
        bytes: u64,
    },
    /// This node's own snapshot was not made: JSON cannot hold the state.
    SnapshotUnwritable {
        /// The last entry that it would have covered.
        last: EntryId,
        /// Why, in one line.
        reason: String,
    },
    /// A leader's snapshot is durable, and was read.
    SnapshotInstalled {
        /// The last entry that it covers.
        last: EntryId,
        /// Its size.
        bytes: u64,
        /// The state.
        image: Box<dyn Image>,
    },
    /// Something else became of a snapshot, or of a part of one.
    Snapshot(SnapshotReport),
    /// Start an election now.
    Campaign,
    /// Let the election timer run out after this time.
    SetElectionTimer(Duration),
}

/// What a server wants done, in this order.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To be sent now.
    pub envelopes: Vec<Envelope>,
    /// To be made durable and reported as [`Arrival::Persisted`]. The messages that wait for it stay in the server.
    pub write: Option<Write>,
    /// To be done with the files of snapshots, in this order.
    pub snapshots: Vec<SnapshotWork>,
    /// To be done by the state machine, in this order, when it is on a thread of its own, or has to move to one.
    pub tasks: Vec<Task>,
    /// What happened in the core, for logs, narration and checks.
    pub events: Vec<Event>,
    /// The snapshots whose state was taken over, each after so many entries of `applied`: a machine on its own thread may
    /// have told of several things at once.
    pub adopted: Vec<(usize, EntryId)>,
    /// What was applied, in order.
    pub applied: Vec<AppliedEntry>,
    /// The newest write that was reported as durable.
    pub persisted: Option<WriteId>,
    /// This node's own snapshot that was reported as durable, and its bytes.
    pub saved: Option<(EntryId, u64)>,
    /// The last entry of this node's own snapshot that was reported as not to be made, and why.
    pub not_saved: Option<(EntryId, String)>,
    /// The state machine has panicked, in these words: the node must end once the envelopes are sent.
    pub failed: Option<String>,
}

/// What a server starts from. By default it is new.
#[derive(Default)]
pub struct Start {
    /// What the core starts from.
    pub recovered: Recovered,
    /// The newest snapshot.
    pub snapshot: SnapshotInfo,
    /// Its state, if there is one.
    pub image: Option<Box<dyn Image>>,
}

impl Start {
    /// From what a disk held: with what was repaired there, and whether nothing was there.
    pub fn of(recovered: storage::Recovered) -> (Start, Vec<String>, bool) {
        let storage::Recovered { hard_state, snapshot, base, entries, repaired, fresh } = recovered;
        let (snapshot, image) = match snapshot {
            Some(found) => {
                let size = found.image.size();
                (SnapshotInfo { last: found.id, bytes: found.bytes, size }, Some(found.image))
            }
            None => (SnapshotInfo::default(), None),
        };
        let recovered = Recovered { hard_state, snapshot: snapshot.last, base, entries };
        (Start { recovered, snapshot, image }, repaired, fresh)
    }
}
