//! What goes into a server and what comes out of it.

use std::time::Duration;

use super::SnapshotInfo;
use super::applier::{Done, Task};
use super::snapshots::SnapshotWork;
use crate::config::RaftSettings;
use crate::protocol::Envelope;
use crate::raft::Recovered;
use crate::raft::effects::{ChangeRequest, SnapshotReport, Write, WriteId};
use crate::raft::event::Event;
use crate::raft::membership::Configured;
use crate::raft::message::Message;
use crate::state_machine::AppliedEntry;
use crate::state_machine::image::Image;
use crate::storage;
use crate::types::{EntryId, LogIndex, NodeId, Time};

/// What a driver hands to a server.
pub enum Arrival {
    Envelope(Envelope),
    /// This write, and every earlier one, is durable.
    Persisted(WriteId),
    /// A result of the state machine on its own thread.
    Done(Done),
    TakeSnapshot,
    SnapshotSaved {
        last: EntryId,
        bytes: u64,
    },
    /// This node's own snapshot was not made: JSON cannot hold the state.
    SnapshotUnwritable {
        /// The last entry that it would have covered.
        last: EntryId,
        reason: String,
    },
    /// A leader's snapshot is durable, and was read.
    SnapshotInstalled {
        last: EntryId,
        bytes: u64,
        /// The configuration that was effective at its last entry.
        configured: Configured,
        image: Box<dyn Image>,
    },
    /// Any other report on a snapshot or a part of one.
    Snapshot(SnapshotReport),
    Campaign,
    /// Hand the leadership over: to this node, or to any that fits.
    Transfer(Option<NodeId>),
    /// A person changes the members.
    Change(ChangeRequest),
    /// Let the election timer run out after this time.
    SetElectionTimer(Duration),
    /// Run with these settings from now on.
    Configure(Box<RaftSettings>),
    /// The machine's other clock moved this much further than this node's.
    ClockJumped(Duration),
}

impl Arrival {
    /// The message from another node that it is.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Arrival::Envelope(envelope) => envelope.message(),
            _ => None,
        }
    }

    /// Bytes that it carries, and may keep alive.
    pub fn weight(&self) -> usize {
        match self {
            Arrival::Envelope(envelope) => envelope.weight(),
            Arrival::Snapshot(SnapshotReport::Read { data, .. }) => data.len(),
            _ => 0,
        }
    }
}

/// What the driver has to do after a step, in this order.
#[derive(Debug, Default)]
pub struct Outbox {
    pub envelopes: Vec<Envelope>,
    /// Make this durable and report it as [`Arrival::Persisted`]. The messages that wait for it stay in the server. One
    /// that is durable at once comes before all envelopes, and is not reported.
    pub write: Option<Write>,
    /// Work on the files of snapshots, in this order.
    pub snapshots: Vec<SnapshotWork>,
    /// Tasks for the state machine, in this order, when it is on a thread of its own or has to move to one.
    pub tasks: Vec<Task>,
    /// What happened in the core, for logs, narration and checks.
    pub events: Vec<Event>,
    /// The snapshots whose state was adopted, each after this many entries of `applied`: results of a machine on its own
    /// thread may arrive several at once.
    pub adopted: Vec<(usize, EntryId)>,
    pub applied: Vec<AppliedEntry>,
    /// The log is durable up to here, since this step.
    pub durable: Option<LogIndex>,
    /// The newest write that was reported as durable, or is durable at once.
    pub persisted: Option<WriteId>,
    /// This node's own snapshot that was reported as durable, and its bytes.
    pub saved: Option<(EntryId, u64)>,
    /// The last entry of this node's own snapshot that could not be made, and why.
    pub not_saved: Option<(EntryId, String)>,
    /// The state machine has panicked, with this text: the node must end once the envelopes are sent.
    pub failed: Option<String>,
    /// When to call the server again though nothing arrives, unless its core is changed meanwhile.
    pub deadline: Time,
}

impl Outbox {
    /// Whether its write is durable at once.
    pub fn writes_at_once(&self) -> bool {
        self.write.as_ref().is_some_and(|write| write.at_once)
    }
}

/// What a server starts from. By default it is new.
#[derive(Default)]
pub struct Start {
    pub recovered: Recovered,
    pub snapshot: SnapshotInfo,
    /// Its state, if there is one.
    pub image: Option<Box<dyn Image>>,
    /// Its driver makes each write durable before an envelope leaves.
    pub at_once: bool,
}

impl Start {
    /// From what a disk held. Also returns what was repaired there, and whether it was empty.
    pub fn of(recovered: storage::Recovered) -> (Start, Vec<String>, bool) {
        let storage::Recovered { hard_state, snapshot, base, entries, configuration, repaired, fresh } =
            recovered;
        let (snapshot, image) = match snapshot {
            Some(found) => {
                let size = found.image.size();
                (SnapshotInfo { last: found.id, bytes: found.bytes, size }, Some(found.image))
            }
            None => (SnapshotInfo::default(), None),
        };
        let recovered = Recovered { hard_state, snapshot: snapshot.last, base, entries, configuration };
        (Start { recovered, snapshot, image, at_once: false }, repaired, fresh)
    }
}
