//! One row for each event: its level in logs, its topic, when the console shows it, and the section that speaks of it.

use log::Level::{self, Debug, Error, Info, Trace, Warn};

use super::Narration::{self, Answered, Heartbeat, OnRequest, Traced, Unasked};
use super::Topic::{self, Client, Election, Net, Process, Replication, Storage};
use super::What;
use crate::raft::effects::RejectReason;
use crate::raft::event::{AppendOutcome, Event, TransferReason, VoteReason};

/// The last is the section of the paper, or with a D of the dissertation, that it belongs to; empty where none speaks of it.
pub(super) type Row = (Level, Topic, Narration, &'static str);

/// The level at which it is logged.
pub(crate) fn level(what: &What) -> Level {
    row(what).0
}

#[expect(clippy::match_same_arms, reason = "a row for each event")]
pub(super) fn row(what: &What) -> Row {
    match what {
        What::Raft(event) => raft_row(event),
        What::Started { repaired: None, .. } => (Info, Process, Answered, ""),
        What::Started { repaired: Some(_), .. } => (Warn, Process, Unasked, ""),
        What::Added | What::Stopped | What::Restarted | What::Paused | What::Resumed => {
            (Info, Process, Answered, "")
        }
        What::Crashed { .. } => (Warn, Process, Answered, ""),
        What::Ordered { .. } => (Info, Process, Answered, ""),
        What::FaultEnded { .. } => (Info, Process, Unasked, ""),
        What::Panicked { .. } | What::MachineFailed { .. } => (Error, Process, Unasked, ""),
        What::StorageFailed { .. } => (Error, Storage, Unasked, ""),
        What::LogDurable { .. } => (Trace, Replication, Traced, "Figure 2"),
        What::FlightSaved { .. } => (Error, Process, Unasked, ""),
        What::MachineSlow { .. } => (Warn, Process, Unasked, ""),
        What::Applied { .. } => (Debug, Replication, OnRequest, "5.3"),
        What::SnapshotCreated { .. } => (Info, Storage, OnRequest, "7"),
        What::SnapshotUnwritable { .. } => (Warn, Storage, Unasked, "7"),
        What::MessageDropped { flight, .. } => (Debug, Net, message_narration(&flight.message), "5.5"),
        What::MessageHeld { flight, .. } => (Debug, Net, message_narration(&flight.message), "5.1"),
        What::MessageSent { flight, .. } => (Trace, Net, message_narration(&flight.message), ""),
        What::MessageArrived(_) => (Trace, Net, Heartbeat, ""),
        What::State(_) => (Trace, Process, Traced, ""),
        What::RequestReceived { .. } => (Debug, Client, OnRequest, "8"),
        What::Replied { .. } => (Trace, Client, Traced, "8"),
        What::RequestLost { .. } | What::ReplyLost { .. } => (Debug, Client, OnRequest, "8"),
        What::RequestInvalid { .. } => (Warn, Client, OnRequest, "8"),
    }
}

#[expect(clippy::match_same_arms, reason = "a row for each event")]
fn raft_row(event: &Event) -> Row {
    match event {
        Event::TermAdvanced { .. } => (Info, Election, OnRequest, "5.1"),
        Event::PreVoteStarted { .. } => (Info, Election, OnRequest, "D 9.6"),
        Event::ElectionStarted { transfer: true, .. } => (Info, Election, Answered, "5.2"),
        Event::ElectionStarted { transfer: false, .. } => (Info, Election, Unasked, "5.2"),
        Event::VoteDecided { pre, reason, .. } => (Info, Election, OnRequest, of_vote(*pre, *reason)),
        Event::VoteReceived { .. } => (Info, Election, OnRequest, "5.2"),
        Event::BecameLeader { .. } => (Info, Election, Unasked, "5.2"),
        Event::Following { .. } => (Info, Election, OnRequest, "5.2"),
        Event::SteppedDown { led: true, .. } => (Warn, Election, Unasked, "5.1"),
        Event::SteppedDown { led: false, .. } => (Info, Election, OnRequest, "5.1"),
        Event::ElectionHeldBack { .. } => (Info, Election, OnRequest, "D 6.4.1"),
        Event::QuorumLost { .. } => (Warn, Election, Unasked, "D 6.2"),
        Event::CampaignRejected => (Warn, Election, Unasked, "6"),
        Event::TransferStarted { reason: TransferReason::Request, .. } => {
            (Info, Election, Answered, "D 3.10")
        }
        Event::TransferStarted { .. } => (Warn, Election, Unasked, "D 3.10"),
        Event::TimeoutNowSent { .. } => (Info, Election, OnRequest, "D 3.10"),
        Event::TransferGivenUp { .. } => (Warn, Election, Unasked, "D 3.10"),
        Event::TransferRefused { .. } => (Info, Election, Answered, "D 3.10"),
        Event::TimeoutNowIgnored { .. } => (Info, Election, OnRequest, "D 3.10"),
        Event::AcknowledgedLost { .. } => (Warn, Election, Unasked, "5.2"),
        Event::Rejoining => (Warn, Election, Unasked, "6"),
        Event::MembersProposed { .. } | Event::MembersTakenBack { .. } => (Info, Election, Unasked, "6"),
        Event::MembersCommitted { .. } => (Info, Election, OnRequest, "6"),
        Event::MembersAppended { .. } => (Debug, Election, OnRequest, "6"),
        Event::MembersTruncated { .. } | Event::Retired => (Info, Election, Unasked, "6"),
        Event::ChangeRefused { .. } => (Warn, Election, OnRequest, "6"),

        Event::NoOpAppended { .. } => (Info, Replication, OnRequest, "8"),
        Event::CommandsAppended { .. } => (Debug, Replication, OnRequest, "5.3"),
        Event::AppendSent { count: 0, .. } => (Trace, Replication, Heartbeat, "5.3"),
        Event::AppendSent { .. } => (Debug, Replication, Heartbeat, "5.3"),
        Event::AppendReceived { outcome: AppendOutcome::Heartbeat, .. } => {
            (Trace, Replication, Heartbeat, "5.3")
        }
        Event::AppendReceived {
            outcome: AppendOutcome::NoConflict | AppendOutcome::AlreadyThere, ..
        } => (Debug, Replication, OnRequest, "5.3"),
        Event::AppendReceived { .. } => (Warn, Replication, OnRequest, "5.3"),
        Event::AppendSucceeded { .. } => (Trace, Replication, Heartbeat, "5.3"),
        Event::AppendFailed { .. } => (Debug, Replication, OnRequest, "5.3"),
        Event::Truncated { .. } => (Warn, Replication, Unasked, "5.3"),
        Event::CommitAdvanced { .. } => (Debug, Replication, OnRequest, "5.3"),

        Event::LogCompacted { .. } => (Info, Storage, OnRequest, "7"),
        Event::SnapshotSending { .. } => (Info, Replication, Unasked, "7"),
        Event::SnapshotSent { .. } => (Info, Replication, OnRequest, "7"),
        Event::SnapshotReceiving { .. } => (Info, Replication, OnRequest, "7"),
        Event::SnapshotInstalled { .. } => (Info, Replication, Unasked, "7"),
        Event::SnapshotUnusable { .. } => (Warn, Replication, Unasked, "7"),
        Event::SnapshotRejected { .. } => (Warn, Replication, Unasked, "7"),

        Event::ClientRejected { reason: RejectReason::Busy, .. } => (Warn, Client, OnRequest, "8"),
        Event::ClientRejected { .. } => (Debug, Client, OnRequest, "8"),
        Event::FollowerRead { .. } => (Debug, Client, OnRequest, "D 6.4"),
        Event::LeaseRead { .. } => (Debug, Client, OnRequest, "D 6.4.1"),
        Event::LeaseRenounced { .. } => (Warn, Client, Unasked, "D 6.4.1"),
    }
}

/// The section that decides a vote.
fn of_vote(pre: bool, reason: VoteReason) -> &'static str {
    match reason {
        VoteReason::LogBehind { .. } => "5.4.1",
        VoteReason::StaleTerm => "5.1",
        VoteReason::LeaderAlive(_) => "D 4.2.3",
        VoteReason::Withheld => "D 6.4.1",
        VoteReason::Granted
        | VoteReason::AlreadyGranted
        | VoteReason::VotedFor(_)
        | VoteReason::VotePending => {
            if pre {
                "D 9.6"
            } else {
                "5.2"
            }
        }
    }
}

fn message_narration(message: &crate::raft::message::Message) -> Narration {
    if message.body.is_heartbeat() { Heartbeat } else { OnRequest }
}
