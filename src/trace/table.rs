//! One row for each event: its level in logs, its topic, and when the console shows it.

use log::Level::{self, Debug, Error, Info, Trace, Warn};

use super::Narration::{self, Answered, Heartbeat, OnRequest, Unasked};
use super::Topic::{self, Client, Election, Net, Process, Replication, Storage};
use super::What;
use crate::raft::effects::RejectReason;
use crate::raft::event::{AppendOutcome, Event, TransferReason};

pub(super) type Row = (Level, Topic, Narration);

#[expect(clippy::match_same_arms, reason = "a row for each event")]
pub(super) fn row(what: &What) -> Row {
    match what {
        What::Raft(event) => raft_row(event),
        What::Started { repaired: None, .. } => (Info, Process, Answered),
        What::Started { repaired: Some(_), .. } => (Warn, Process, Unasked),
        What::Added | What::Stopped | What::Restarted | What::Paused | What::Resumed => {
            (Info, Process, Answered)
        }
        What::Crashed { .. } => (Warn, Process, Answered),
        What::Ordered { .. } => (Info, Process, Answered),
        What::FaultEnded { .. } => (Info, Process, Unasked),
        What::Panicked { .. } | What::MachineFailed { .. } => (Error, Process, Unasked),
        What::StorageFailed { .. } => (Error, Storage, Unasked),
        What::MachineSlow { .. } => (Warn, Process, Unasked),
        What::Applied { .. } => (Debug, Replication, OnRequest),
        What::SnapshotCreated { .. } => (Info, Storage, OnRequest),
        What::SnapshotUnwritable { .. } => (Warn, Storage, Unasked),
        What::MessageDropped { message, .. } => (Debug, Net, message_narration(message)),
        What::MessageSent(message)
        | What::MessageDuplicated(message)
        | What::MessageDelayed { message, .. } => (Trace, Net, message_narration(message)),
        What::MessageArrived(_) => (Trace, Net, Heartbeat),
        What::RequestReceived { .. } => (Debug, Client, OnRequest),
        What::RequestInvalid { .. } => (Warn, Client, OnRequest),
    }
}

#[expect(clippy::match_same_arms, reason = "a row for each event")]
fn raft_row(event: &Event) -> Row {
    match event {
        Event::TermAdvanced { .. } => (Info, Election, OnRequest),
        Event::PreVoteStarted { .. } => (Info, Election, OnRequest),
        Event::ElectionStarted { transfer: true, .. } => (Info, Election, Answered),
        Event::ElectionStarted { transfer: false, .. } => (Info, Election, Unasked),
        Event::VoteDecided { .. } => (Info, Election, OnRequest),
        Event::VoteReceived { .. } => (Info, Election, OnRequest),
        Event::BecameLeader { .. } => (Info, Election, Unasked),
        Event::Following { .. } => (Info, Election, OnRequest),
        Event::SteppedDown { led: true, .. } => (Warn, Election, Unasked),
        Event::SteppedDown { led: false, .. } => (Info, Election, OnRequest),
        Event::ElectionHeldBack { .. } => (Info, Election, OnRequest),
        Event::QuorumLost { .. } => (Warn, Election, Unasked),
        Event::CampaignRejected => (Warn, Election, Unasked),
        Event::TransferStarted { reason: TransferReason::Request, .. } => (Info, Election, Answered),
        Event::TransferStarted { .. } => (Warn, Election, Unasked),
        Event::TransferOrdered { .. } => (Info, Election, OnRequest),
        Event::TransferGivenUp { .. } => (Warn, Election, Unasked),
        Event::TransferRefused { .. } => (Info, Election, Answered),
        Event::OrderIgnored { .. } => (Info, Election, OnRequest),
        Event::AcknowledgedLost { .. } => (Warn, Election, Unasked),
        Event::Rejoining => (Warn, Election, Unasked),
        Event::MembersProposed { .. } | Event::MembersTakenBack { .. } => (Info, Election, Unasked),
        Event::MembersCommitted { .. } => (Info, Election, OnRequest),
        Event::MembersAppended { .. } => (Debug, Election, OnRequest),
        Event::MembersTruncated { .. } | Event::Retired => (Info, Election, Unasked),
        Event::ChangeRefused { .. } => (Warn, Election, OnRequest),

        Event::NoOpAppended { .. } => (Info, Replication, OnRequest),
        Event::CommandsAppended { .. } => (Debug, Replication, OnRequest),
        Event::AppendSent { count: 0, .. } => (Trace, Replication, Heartbeat),
        Event::AppendSent { .. } => (Debug, Replication, Heartbeat),
        Event::AppendReceived { outcome: AppendOutcome::Heartbeat, .. } => (Trace, Replication, Heartbeat),
        Event::AppendReceived {
            outcome: AppendOutcome::NoConflict | AppendOutcome::AlreadyThere, ..
        } => (Debug, Replication, OnRequest),
        Event::AppendReceived { .. } => (Warn, Replication, OnRequest),
        Event::AppendSucceeded { .. } => (Trace, Replication, Heartbeat),
        Event::AppendFailed { .. } => (Debug, Replication, OnRequest),
        Event::Truncated { .. } => (Warn, Replication, Unasked),
        Event::CommitAdvanced { .. } => (Debug, Replication, OnRequest),

        Event::LogCompacted { .. } => (Info, Storage, OnRequest),
        Event::SnapshotSending { .. } => (Info, Replication, Unasked),
        Event::SnapshotSent { .. } => (Info, Replication, OnRequest),
        Event::SnapshotReceiving { .. } => (Info, Replication, OnRequest),
        Event::SnapshotInstalled { .. } => (Info, Replication, Unasked),
        Event::SnapshotUnusable { .. } => (Warn, Replication, Unasked),
        Event::SnapshotRejected { .. } => (Warn, Replication, Unasked),

        Event::ClientRejected { reason: RejectReason::Busy, .. } => (Warn, Client, OnRequest),
        Event::ClientRejected { .. } => (Debug, Client, OnRequest),
        Event::FollowerRead { .. } => (Debug, Client, OnRequest),
        Event::LeaseRead { .. } => (Debug, Client, OnRequest),
        Event::LeaseRenounced { .. } => (Warn, Client, Unasked),
    }
}

fn message_narration(message: &crate::raft::message::Message) -> Narration {
    if message.body.is_heartbeat() { Heartbeat } else { OnRequest }
}
