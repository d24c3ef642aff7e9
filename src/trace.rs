//! Events: one line each in log files, the console's narration and transcripts.
//!
//! An event reports and explains; no rule reads one. How much is shown is up to the reader: `table` gives each event its
//! level for logs, its topic for the console's `events`, and when the console shows it.

mod acknowledged;
mod facade;
mod filter;
mod flight;
mod lines;
mod memory;
mod logs;
mod merge;
mod recording;
mod requests;
mod state;
mod table;

use std::time::Duration;

use derive_more::Display;
use log::Level;
use serde::{Deserialize, Serialize};

pub use acknowledged::Acknowledged;
pub(crate) use facade::{is_logged, log_event, target};
pub use filter::EventFilter;
pub use flight::Flight;
pub use lines::{Line, Place, TraceHead, TraceLines};
pub(crate) use logs::log_files;
pub use logs::{LogsError, NodeLogs, TARGET};
pub use memory::{Asked, Memory, Moment, Remembered, Subject};
pub use merge::{LogLine, LogTail, Merge, merge};
pub use recording::{Passage, PassageEnd, Recorded, Recording, distances};
pub use requests::ReplyKind;
pub use state::{FollowerState, NodeState, TermRun};
pub(crate) use table::level;

use crate::faults::DropReason;
use crate::protocol::{Attempt, Call};
use crate::raft::event::Event;
use crate::raft::message::Message;
use crate::types::{ClientId, EntryId, LogIndex, NodeId, Term, Time};

/// Something that happened. Shown as `12.000450 n2 leads term 4`: seconds of the run, and the sentence.
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[display("{time} {}", self.sentence())]
pub struct TraceEvent {
    /// The time of the run.
    pub time: Time,
    pub node: NodeId,
    pub what: What,
}

/// What happened, as a sentence without the node's name.
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[non_exhaustive]
pub enum What {
    /// In the consensus core.
    Raft(Event),
    /// The node runs, with this state.
    #[display(
        "started{}{}",
        state(*fresh, *term, *vote, *last),
        repaired.as_ref().map_or(String::new(), |repair| format!("; repaired: {repair}"))
    )]
    Started {
        term: Term,
        vote: Option<NodeId>,
        last: EntryId,
        /// It had no state before.
        fresh: bool,
        /// What was repaired in its files while they were read.
        repaired: Option<String>,
    },
    /// It ended politely.
    #[display("stopped")]
    Stopped,
    /// It ended at once: what it held in memory is gone.
    #[display("crashed{}", if *power { " by a power cut" } else { "" })]
    Crashed {
        /// As by a power cut: un-synced writes are gone, too.
        power: bool,
    },
    /// It is new: the cluster runs without it so far.
    #[display("is added, with new and empty files")]
    Added,
    /// It is started again.
    #[display("restarts")]
    Restarted,
    /// Its thread is frozen.
    #[display("paused")]
    Paused,
    /// Its thread runs again.
    #[display("resumed")]
    Resumed,
    /// It ended by a defect of this program.
    #[display("is down, because of a defect in this program: {reason}")]
    Panicked { reason: String },
    /// It ended because its state machine panicked.
    #[display(
        "is down: {reason}; what its log holds stays there: restart it with a state machine that accepts it"
    )]
    MachineFailed {
        /// At what, and the panic's words.
        reason: String,
    },
    /// It ended because its disk failed.
    #[display("is down, its disk failed: {reason}")]
    StorageFailed { reason: String },
    /// Entries were applied to the state machine.
    #[display("applied {}", if first == last {
        format!("entry {first}")
    } else {
        format!("a batch of {}: entries {first}..{last}", (last.0 + 1).saturating_sub(first.0))
    })]
    Applied { first: LogIndex, last: LogIndex },
    /// Its disk holds its log up to here.
    #[display("holds its log durably up to {to}")]
    LogDurable { to: LogIndex },
    /// The state machine is slow: it works on a thread of its own from now on.
    #[display(
        "applying took {} ms, so it moves to a thread of its own (heartbeats continue)",
        took.as_millis()
    )]
    MachineSlow {
        /// How long it took once.
        took: Duration,
    },
    /// What went into the newest steps of all nodes was saved: something is wrong with the run.
    #[display("the newest steps of all nodes are in {folder}: 'replay {folder}' makes them again")]
    FlightSaved { folder: String },
    /// A snapshot of the state machine was made.
    #[display("created a snapshot up to {last}, {bytes} bytes")]
    SnapshotCreated {
        /// The last entry that it covers.
        last: EntryId,
        bytes: u64,
    },
    /// A snapshot of the state machine was not made: JSON cannot hold the state. The log stays as it is.
    #[display(
        "made no snapshot up to {last}, since JSON cannot hold the state: {reason}; its log grows until one is made"
    )]
    SnapshotUnwritable {
        /// The last entry that it would have covered.
        last: EntryId,
        reason: String,
    },
    /// A message left this node.
    #[display("{flight}{}", match *delay {
        _ if *twice => " (twice)".to_string(),
        Duration::ZERO => String::new(),
        delay => format!(" (delayed {delay:?})"),
    })]
    MessageSent {
        flight: Flight,
        /// What the network's rules add to its way.
        delay: Duration,
        /// It was copied: it arrives twice.
        twice: bool,
        /// When it arrives, where that is known already: in virtual time.
        arrives: Option<Time>,
    },
    /// A message of this node was lost.
    #[display(
        "{}@{} x {} {} ({reason})",
        flight.message.from, flight.message.term, flight.message.to, flight.message.body
    )]
    MessageDropped { flight: Flight, reason: DropReason },
    /// A message arrived at this node.
    #[display("{_0} (arrived)")]
    MessageArrived(Flight),
    /// All that this node is, after a step. Told only while somebody follows it.
    #[display("is {} of term {}", _0.role, _0.term)]
    State(Box<NodeState>),
    /// A console orders something.
    #[display("is told by {by}: {what}")]
    Ordered {
        /// The console's name.
        by: String,
        what: String,
    },
    /// What a console ordered for a time has ended.
    #[display("{said}")]
    FaultEnded { said: String },
    /// A client's request arrived.
    #[display("{}", match call {
        Call::Open => format!("is asked for a session by {client}"),
        Call::Command { origin, command } => {
            format!("receives command {} of {client}, {} bytes", origin.serial, command.len())
        }
        Call::Settle { origin } => {
            format!("is asked by {client} for the outcome of its command {}", origin.serial)
        }
        Call::Read { .. } => format!("receives a read of {client}"),
    })]
    RequestReceived { client: ClientId, attempt: Attempt, call: Call },
    /// An answer to a client's request leaves this node. Told only while somebody follows it.
    #[display("answers request {attempt} of {client}: {outcome}")]
    Replied { client: ClientId, attempt: Attempt, outcome: ReplyKind },
    /// A client's request was not understood, or is over a limit.
    #[display("rejects a request of {client}: {reason}")]
    RequestInvalid { client: ClientId, reason: String },
    /// A message of this node that is under way arrives later than it would have: a person chose it.
    #[display("{flight} (held back until {arrives})")]
    MessageHeld { flight: Flight, arrives: Time },
    /// A client's request to this node was lost on its way.
    #[display("does not get request {attempt} of {client} ({reason})")]
    RequestLost { client: ClientId, attempt: Attempt, reason: DropReason },
    /// This node's answer to a client's request was lost on its way.
    #[display("answers request {attempt} of {client}, which does not get the answer ({reason})")]
    ReplyLost { client: ClientId, attempt: Attempt, reason: DropReason },
}

/// What a node starts with.
fn state(fresh: bool, term: Term, vote: Option<NodeId>, last: EntryId) -> String {
    match vote {
        _ if fresh => " with a new, empty state".to_string(),
        Some(vote) => format!(": term {term}, vote for {vote}, log up to {last}"),
        None => format!(": term {term}, no vote, log up to {last}"),
    }
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

/// When the console shows an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Narration {
    /// Always: leaders, ends of nodes, trouble.
    Unasked,
    /// Only when everything is shown: it happens on a person's request, and the directive's answer tells it.
    Answered,
    /// When its topic or everything is shown.
    OnRequest,
    /// Never: it comes with each heartbeat, or repeats what the line of a message says.
    Heartbeat,
    /// Never: it is for those who follow each step.
    Traced,
}

impl TraceEvent {
    /// `n2 leads term 4`, or `n2: commit index 3 -> 4` where the sentence has a subject of its own; a message alone, which
    /// begins with its sender.
    pub fn sentence(&self) -> String {
        let TraceEvent { node, what, .. } = self;
        match what.message() {
            Some(_) => what.to_string(),
            None if what.has_subject() => format!("{node}: {what}"),
            None => format!("{node} {what}"),
        }
    }

    /// The level at which it is logged.
    pub fn level(&self) -> Level {
        table::level(&self.what)
    }

    /// What it is about.
    pub fn topic(&self) -> Topic {
        table::row(&self.what).1
    }

    /// The section of the paper, or with a D of the dissertation, that speaks of it.
    pub fn section(&self) -> Option<&'static str> {
        Some(table::row(&self.what).3).filter(|section| !section.is_empty())
    }

    /// When the console shows it.
    pub fn narration(&self) -> Narration {
        table::row(&self.what).2
    }
}

impl What {
    /// Whether the sentence has a subject of its own. In all others it is the node.
    fn has_subject(&self) -> bool {
        match self {
            What::MachineSlow { .. } | What::FlightSaved { .. } => true,
            What::FaultEnded { said } => said.starts_with("its "),
            What::Raft(event) => event.has_subject(),
            _ => false,
        }
    }

    /// The message that the event is about, if it is about one.
    pub fn message(&self) -> Option<&Message> {
        match self {
            What::MessageSent { flight, .. }
            | What::MessageDropped { flight, .. }
            | What::MessageHeld { flight, .. }
            | What::MessageArrived(flight) => Some(&flight.message),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::event::AppendOutcome;
    use crate::raft::message::{Beat, Body, Files};

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
        Message { from: NodeId::new(2), to: NodeId::new(3), term: Term(2), files: Files::FOUNDERS, body }
    }

    #[test]
    fn a_leader_is_told_to_everyone() {
        let leads = event(What::Raft(Event::BecameLeader { term: Term(4) }));
        assert_eq!(leads.to_string(), "12.000450 n2 leads term 4");
        assert_eq!((leads.level(), leads.topic()), (Level::Info, Topic::Election));
        assert_eq!(leads.narration(), Narration::Unasked);
    }

    #[test]
    fn heartbeats_are_told_to_no_one_unasked() {
        let received = Event::AppendReceived {
            from: NodeId::new(1),
            prev: EntryId::ZERO,
            count: 0,
            outcome: AppendOutcome::Heartbeat,
        };
        for what in [What::Raft(received), What::sent(1, heartbeat())] {
            let event = event(what);
            assert_eq!(event.level(), Level::Trace);
            assert_eq!(event.narration(), Narration::Heartbeat, "{event}");
        }
    }

    #[test]
    fn a_lost_message_is_crossed_out_and_says_why() {
        let lost = event(What::lost(1, heartbeat(), DropReason::Partition));
        let line = "12.000450 n2@2 x n3 AppendEntries prev=4@2 heartbeat commit=4 round=9 (partition)";
        assert_eq!(lost.to_string(), line);
        assert_eq!(lost.topic(), Topic::Net);
    }

    #[test]
    fn a_colon_stands_before_a_subject_that_is_not_the_node() {
        let rejected = Event::AppendFailed { from: NodeId::new(3), rejected: LogIndex(5), next: LogIndex(4) };
        let sentence = "n2: n3 rejected the entry at 5, retrying from 4";
        assert_eq!(event(What::Raft(rejected)).sentence(), sentence);
        let slow = What::MachineSlow { took: Duration::from_millis(43) };
        assert!(event(slow).sentence().starts_with("n2: applying took 43 ms, so it moves"));
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
            assert_eq!(event.narration(), Narration::Unasked);
            assert!(event.to_string().ends_with("no space left"));
        }
    }
}
