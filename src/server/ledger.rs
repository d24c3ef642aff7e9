//! What a server keeps beside its core and its state machine: what was applied, and what waits. A recording's frame holds it.

use std::collections::VecDeque;

use super::SnapshotInfo;
use super::requests::Caller;
use super::snapshots::Schedule;
use super::waiting::Waiting;
use crate::ascending::Ascending;
use crate::raft::effects::{ChangeError, RequestId, WriteId};
use crate::raft::message::Message;
use crate::state_machine::Machine;
use crate::types::{EntryId, LogIndex, Time};

/// Recordings have the fields in this order.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Ledger {
    /// The last entry that was reported applied.
    pub(super) applied: EntryId,
    /// Items of the state after that entry.
    pub(super) size: usize,
    /// The last index handed to the state machine.
    pub handed: LogIndex,
    /// Bytes handed over and not yet reported applied.
    pub(super) unapplied_bytes: usize,
    pub(super) schedule: Schedule,
    /// Messages that leave when their write is durable.
    pub held: VecDeque<(WriteId, Vec<Message>)>,
    /// Requests without an answer yet.
    pub calls: Ascending<RequestId, Caller>,
    /// The requests behind the entries that this leader appended.
    pub waiting: Waiting,
    pub(super) last_request: RequestId,
    /// The number of its newest message. A node counts on from its start's time, so that no flight of an earlier life has it.
    pub(super) last_flight: u64,
    /// It led, and the clients that wait for its entries are not told yet.
    pub(super) lost_office: bool,
    /// What became of the newest change of the members that was asked of it.
    pub(super) changed: Option<Result<LogIndex, ChangeError>>,
    /// Since when it has known its present leader.
    pub(super) leader_since: Time,
}

impl Ledger {
    /// That of a server that starts with this state machine, as its newest snapshot has it.
    pub fn at_start(machine: &dyn Machine, snapshot: SnapshotInfo, now: Time) -> Ledger {
        Ledger {
            applied: machine.applied(),
            size: machine.size(),
            handed: machine.applied().index,
            unapplied_bytes: 0,
            schedule: Schedule::recovered(snapshot),
            held: VecDeque::new(),
            calls: Ascending::default(),
            waiting: Waiting::default(),
            last_request: 0,
            last_flight: now.as_nanos() / 1_000,
            lost_office: false,
            changed: None,
            leader_since: now,
        }
    }
}
