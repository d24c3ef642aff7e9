//! One line for each thing that happened: what log files, the console's narration and transcripts show.
//!
//! An event reports and explains; nothing is ever decided by one. How much is shown is up to the reader: each event
//! has a level for log files, a topic for the console's `events`, and is or is not worth telling unasked.

mod logs;
mod merge;

use std::fmt;
use std::time::Duration;

use log::Level;

pub(crate) use logs::log_files;
pub use logs::{LogsError, NodeLogs, TARGET};
pub use merge::{Following, LogLine, Merge, merge};

use crate::faults::DropReason;
use crate::protocol::Call;
use crate::raft::effects::RejectReason;
use crate::raft::entry::Origin;
use crate::raft::event::{AppendOutcome, Event};
use crate::raft::message::Message;
use crate::types::{ClientId, EntryId, LogIndex, NodeId, Term, Time};

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceEvent {
    /// When.
    pub time: Time,
    /// At which node.
    pub node: NodeId,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// In the consensus core.
    Raft(Event),
    /// The node runs, with this state.
    Started {
        /// Its term.
        term: Term,
        /// Its vote in that term.
        vote: Option<NodeId>,
        /// Its last log entry.
        last: EntryId,
        /// It had no state before.
        fresh: bool,
        /// What was repaired in its files while they were read.
        repaired: Option<String>,
    },
    /// It ended politely.
    Stopped,
    /// It ended at once: what it held in memory is gone.
    Crashed {
        /// As by a power cut: un-synced writes are gone, too.
        power: bool,
    },
    /// It is started again.
    Restarted,
    /// Its thread is frozen.
    Paused,
    /// Its thread goes on.
    Resumed,
    /// It ended by a defect of this program.
    Panicked {
        /// The panic's words.
        reason: String,
    },
    /// It ended because its state machine panicked.
    MachineFailed {
        /// At what, and the panic's words.
        reason: String,
    },
    /// It ended because its disk failed.
    StorageFailed {
        /// What failed.
        reason: String,
    },
    /// Entries were applied to the state machine.
    Applied {
        /// The first of them.
        first: LogIndex,
        /// The last of them.
        last: LogIndex,
    },
    /// The state machine is slow: it works on a thread of its own from now on.
    MachineSlow {
        /// How long it took once.
        took: Duration,
    },
    /// A snapshot of the state machine was made.
    SnapshotCreated {
        /// The last entry that it covers.
        last: EntryId,
        /// Its size.
        bytes: u64,
    },
    /// A snapshot of the state machine was not made: JSON cannot hold the state. The log stays as it is.
    SnapshotUnwritable {
        /// The last entry that it would have covered.
        last: EntryId,
        /// Why.
        reason: String,
    },
    /// A leader may serve reads from its own state for this long.
    LeaseRefreshed {
        /// How long.
        remaining: Duration,
    },
    /// A message left this node.
    MessageSent(Message),
    /// A message of this node was lost.
    MessageDropped {
        /// The message.
        message: Message,
        /// Why.
        reason: DropReason,
    },
    /// A message of this node is held back on its way.
    MessageDelayed {
        /// The message.
        message: Message,
        /// For how long.
        delay: Duration,
    },
    /// A message of this node was copied: it arrives twice.
    MessageDuplicated(Message),
    /// A message could not be handed to the network.
    SendFailed {
        /// To whom.
        to: NodeId,
        /// Why.
        reason: String,
    },
    /// A client's request arrived.
    RequestReceived {
        /// Whose.
        client: ClientId,
        /// What it asks.
        call: Call,
    },
    /// A client's request was not understood, or is over a limit.
    RequestInvalid {
        /// Whose.
        client: ClientId,
        /// What is wrong.
        reason: String,
    },
    /// A client's connection failed.
    ClientConnectionFailed {
        /// Whose, when it had said so.
        client: Option<ClientId>,
        /// Why.
        reason: String,
    },
}

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Topic {
    /// Terms, votes and leaders.
    Election,
    /// Entries on their way into logs and state machines.
    Replication,
    /// Messages.
    Net,
    /// Clients and their requests.
    Client,
    /// Disks and snapshots.
    Storage,
    /// The nodes' starts and ends.
    Process,
}

impl TraceEvent {
    /// How loud it is in log files.
    pub fn level(&self) -> Level {
        self.what.level()
    }

    /// What it is about.
    pub fn topic(&self) -> Topic {
        self.what.topic()
    }

    /// Whether the console tells it unasked: elections, leaders, crashes and trouble, never what happens all the time.
    pub fn is_narrated(&self) -> bool {
        self.what.is_narrated()
    }
}

impl What {
    fn level(&self) -> Level {
        match self {
            What::Raft(event) => event_level(event),
            What::Panicked { .. } | What::MachineFailed { .. } | What::StorageFailed { .. } => Level::Error,
            What::Crashed { .. }
            | What::MachineSlow { .. }
            | What::SnapshotUnwritable { .. }
            | What::Started { repaired: Some(_), .. }
            | What::SendFailed { .. }
            | What::RequestInvalid { .. }
            | What::ClientConnectionFailed { .. } => Level::Warn,
            What::Started { .. }
            | What::Stopped
            | What::Restarted
            | What::Paused
            | What::Resumed
            | What::SnapshotCreated { .. } => Level::Info,
            What::Applied { .. } | What::RequestReceived { .. } | What::MessageDropped { .. } => Level::Debug,
            What::LeaseRefreshed { .. }
            | What::MessageSent(_)
            | What::MessageDelayed { .. }
            | What::MessageDuplicated(_) => Level::Trace,
        }
    }

    fn topic(&self) -> Topic {
        match self {
            What::Raft(event) => event_topic(event),
            What::Started { .. }
            | What::Stopped
            | What::Crashed { .. }
            | What::Restarted
            | What::Paused
            | What::Resumed
            | What::MachineSlow { .. }
            | What::Panicked { .. }
            | What::MachineFailed { .. } => Topic::Process,
            What::StorageFailed { .. } | What::SnapshotCreated { .. } | What::SnapshotUnwritable { .. } => {
                Topic::Storage
            }
            What::Applied { .. } => Topic::Replication,
            What::LeaseRefreshed { .. } => Topic::Election,
            What::MessageSent(_)
            | What::MessageDropped { .. }
            | What::MessageDelayed { .. }
            | What::MessageDuplicated(_)
            | What::SendFailed { .. } => Topic::Net,
            What::RequestReceived { .. }
            | What::RequestInvalid { .. }
            | What::ClientConnectionFailed { .. } => Topic::Client,
        }
    }

    fn is_narrated(&self) -> bool {
        match self {
            What::Raft(event) => matches!(
                event,
                Event::ElectionStarted { .. }
                    | Event::BecameLeader { .. }
                    | Event::SteppedDown { led: true, .. }
                    | Event::QuorumLost { .. }
                    | Event::Truncated { .. }
                    | Event::SnapshotSending { .. }
                    | Event::SnapshotInstalled { .. }
                    | Event::SnapshotUnusable { .. }
                    | Event::AcknowledgedLost { .. }
                    | Event::Rejoining
                    | Event::SnapshotRejected { .. }
                    | Event::Readmitted
                    | Event::CampaignRejected
                    | Event::DiskStalled { .. }
            ),
            What::SnapshotCreated { .. } => false,
            _ => matches!(self.topic(), Topic::Process | Topic::Storage),
        }
    }
}

fn event_level(event: &Event) -> Level {
    match event {
        Event::SteppedDown { led: true, .. }
        | Event::QuorumLost { .. }
        | Event::Truncated { .. }
        | Event::SnapshotUnusable { .. }
        | Event::AcknowledgedLost { .. }
        | Event::Rejoining
        | Event::SnapshotRejected { .. }
        | Event::CampaignRejected
        | Event::DiskStalled { .. }
        | Event::ClientRejected { reason: RejectReason::Busy, .. }
        | Event::AppendReceived {
            outcome:
                AppendOutcome::StaleTerm
                | AppendOutcome::NoEntryAtPrevious
                | AppendOutcome::TermsMismatch { .. }
                | AppendOutcome::Conflict(_),
            ..
        } => Level::Warn,
        Event::TermAdvanced { .. }
        | Event::PreVoteStarted { .. }
        | Event::ElectionStarted { .. }
        | Event::VoteDecided { .. }
        | Event::VoteReceived { .. }
        | Event::BecameLeader { .. }
        | Event::Following { .. }
        | Event::SteppedDown { led: false, .. }
        | Event::ElectionHeldBack { .. }
        | Event::LogCompacted { .. }
        | Event::SnapshotSending { .. }
        | Event::SnapshotSent { .. }
        | Event::SnapshotReceiving { .. }
        | Event::SnapshotInstalled { .. }
        | Event::Readmitting { .. }
        | Event::Readmitted
        | Event::NoOpAppended { .. } => Level::Info,
        Event::AppendSent { count: 0, .. }
        | Event::AppendReceived { outcome: AppendOutcome::Heartbeat, .. }
        | Event::AppendSucceeded { .. } => Level::Trace,
        Event::CommandsAppended { .. }
        | Event::ClientRejected { .. }
        | Event::FollowerRead { .. }
        | Event::LeaseRead { .. }
        | Event::AppendSent { .. }
        | Event::AppendReceived { .. }
        | Event::AppendFailed { .. }
        | Event::CommitAdvanced { .. } => Level::Debug,
    }
}

fn event_topic(event: &Event) -> Topic {
    match event {
        Event::TermAdvanced { .. }
        | Event::PreVoteStarted { .. }
        | Event::ElectionStarted { .. }
        | Event::VoteDecided { .. }
        | Event::VoteReceived { .. }
        | Event::BecameLeader { .. }
        | Event::Following { .. }
        | Event::SteppedDown { .. }
        | Event::ElectionHeldBack { .. }
        | Event::Readmitting { .. }
        | Event::Readmitted
        | Event::AcknowledgedLost { .. }
        | Event::Rejoining
        | Event::CampaignRejected
        | Event::DiskStalled { .. }
        | Event::QuorumLost { .. } => Topic::Election,
        Event::LogCompacted { .. } => Topic::Storage,
        Event::NoOpAppended { .. }
        | Event::CommandsAppended { .. }
        | Event::AppendSent { .. }
        | Event::AppendReceived { .. }
        | Event::AppendSucceeded { .. }
        | Event::AppendFailed { .. }
        | Event::Truncated { .. }
        | Event::SnapshotSending { .. }
        | Event::SnapshotSent { .. }
        | Event::SnapshotReceiving { .. }
        | Event::SnapshotInstalled { .. }
        | Event::SnapshotUnusable { .. }
        | Event::SnapshotRejected { .. }
        | Event::CommitAdvanced { .. } => Topic::Replication,
        Event::ClientRejected { .. } | Event::FollowerRead { .. } | Event::LeaseRead { .. } => Topic::Client,
    }
}

impl fmt::Display for TraceEvent {
    /// `12.000450 n2 leads term 4`: seconds of the run, node, sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.time, self.node, self.what)
    }
}

impl fmt::Display for What {
    /// The sentence alone, which begins behind the node's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Raft(event) => event.fmt(f),
            What::Started { term, vote, last, fresh, repaired } => {
                match (fresh, vote) {
                    (true, _) => f.write_str("started with a new, empty state")?,
                    (false, Some(vote)) => {
                        write!(f, "started: term {term}, vote for {vote}, log up to {last}")?;
                    }
                    (false, None) => write!(f, "started: term {term}, no vote, log up to {last}")?,
                }
                repaired.iter().try_for_each(|repair| write!(f, "; repaired: {repair}"))
            }
            What::Stopped => f.write_str("stopped"),
            What::Crashed { power: false } => f.write_str("crashed"),
            What::Crashed { power: true } => f.write_str("crashed by a power cut"),
            What::Restarted => f.write_str("restarts"),
            What::Paused => f.write_str("paused"),
            What::Resumed => f.write_str("goes on"),
            What::Panicked { reason } => write!(f, "is down, by a defect of this program: {reason}"),
            What::MachineFailed { reason } => write!(
                f,
                "is down: {reason}; what its log holds stays there: restart it with a state machine that can go on from that"
            ),
            What::StorageFailed { reason } => write!(f, "is down, its disk failed: {reason}"),
            What::Applied { first, last } if first == last => write!(f, "applied entry {first}"),
            What::Applied { first, last } => {
                let count = (last.0 + 1).saturating_sub(first.0);
                write!(f, "applied a batch of {count}: entries {first}..{last}")
            }
            What::MachineSlow { took } => write!(
                f,
                "its state machine took {} ms: it works on a thread of its own now",
                took.as_millis()
            ),
            What::SnapshotCreated { last, bytes } => {
                write!(f, "snapshot created up to {last}, {bytes} bytes")
            }
            What::SnapshotUnwritable { last, reason } => write!(
                f,
                "made no snapshot up to {last}, since JSON cannot hold the state: {reason}; its log grows until one is made"
            ),
            What::LeaseRefreshed { remaining } => write!(f, "lease refreshed for {remaining:?}"),
            What::MessageSent(message) => message.fmt(f),
            What::MessageDropped { message: Message { from, to, term, body }, reason } => {
                write!(f, "{from}@{term} x {to} {body} ({reason})")
            }
            What::MessageDelayed { message, delay } => write!(f, "{message} (delayed {delay:?})"),
            What::MessageDuplicated(message) => write!(f, "{message} (twice)"),
            What::SendFailed { to, reason } => write!(f, "cannot send to {to}: {reason}"),
            What::RequestReceived { client, call } => match call {
                Call::Open => write!(f, "{client} asks for a session"),
                Call::Command { origin: Origin { serial, .. }, command } => {
                    write!(f, "command {serial} of {client} received, {} bytes", command.len())
                }
                Call::Settle { origin: Origin { serial, .. } } => {
                    write!(f, "{client} asks what became of its command {serial}")
                }
                Call::Read { .. } => write!(f, "read of {client} received"),
            },
            What::RequestInvalid { client, reason } => write!(f, "request of {client} refused: {reason}"),
            What::ClientConnectionFailed { client: Some(client), reason } => {
                write!(f, "connection of {client} failed: {reason}")
            }
            What::ClientConnectionFailed { client: None, reason } => {
                write!(f, "a client's connection failed: {reason}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::message::{Beat, Body};

    fn event(what: What) -> TraceEvent {
        TraceEvent { time: Time::from_nanos(12_000_450_000), node: NodeId::new(2), what }
    }

    fn heartbeat() -> Message {
        let body = Body::AppendEntries {
            prev: EntryId::new(Term(2), LogIndex(4)),
            entries: Vec::new(),
            commit: LogIndex(4),
            beat: Beat { round: 9, ..Beat::default() },
        };
        Message { from: NodeId::new(2), to: NodeId::new(3), term: Term(2), body }
    }

    #[test]
    fn a_leader_is_told_to_everyone() {
        let leads = event(What::Raft(Event::BecameLeader { term: Term(4) }));
        assert_eq!(leads.to_string(), "12.000450 n2 leads term 4");
        assert_eq!((leads.level(), leads.topic()), (Level::Info, Topic::Election));
        assert!(leads.is_narrated());
    }

    #[test]
    fn heartbeats_are_told_to_nobody_unasked() {
        let received = Event::AppendReceived {
            from: NodeId::new(1),
            prev: EntryId::ZERO,
            count: 0,
            outcome: AppendOutcome::Heartbeat,
        };
        for what in [What::Raft(received), What::MessageSent(heartbeat())] {
            let event = event(what);
            assert_eq!(event.level(), Level::Trace);
            assert!(!event.is_narrated(), "{event}");
        }
    }

    #[test]
    fn a_lost_message_is_crossed_out_and_says_why() {
        let lost = event(What::MessageDropped { message: heartbeat(), reason: DropReason::Partition });
        let line = "12.000450 n2 n2@2 x n3 AppendEntries prev=4@2 heartbeat commit=4 round=9 (partition)";
        assert_eq!(lost.to_string(), line);
        assert_eq!(lost.topic(), Topic::Net);
    }

    #[test]
    fn a_start_tells_what_was_found_on_disk() {
        let started = |fresh, repaired| What::Started {
            term: Term(3),
            vote: Some(NodeId::new(1)),
            last: EntryId::new(Term(2), LogIndex(7)),
            fresh,
            repaired,
        };
        assert_eq!(started(true, None).to_string(), "started with a new, empty state");
        let repaired = event(started(false, Some("a torn last line was cut off".to_string())));
        assert_eq!(
            repaired.what.to_string(),
            "started: term 3, vote for n1, log up to 7@2; repaired: a torn last line was cut off"
        );
        assert_eq!(repaired.level(), Level::Warn);
    }

    #[test]
    fn trouble_is_loud() {
        let reason = || "no space left".to_string();
        for what in [What::Panicked { reason: reason() }, What::StorageFailed { reason: reason() }] {
            let event = event(what);
            assert_eq!(event.level(), Level::Error);
            assert!(event.is_narrated() && event.to_string().ends_with("no space left"));
        }
    }
}
