//! Events: one line each in log files, the console's narration and transcripts.
//!
//! An event reports and explains; no rule reads one. How much is shown is up to the reader: `table` gives each event its
//! level for logs, its topic for the console's `events`, and when the console shows it. `sentence` says it in words.

mod facade;
mod logs;
mod merge;
mod recording;
mod sentence;
mod table;

use std::fmt;
use std::time::Duration;

use log::Level;

pub(crate) use facade::{is_logged, log_event, target};
pub(crate) use logs::log_files;
pub use logs::{LogsError, NodeLogs, TARGET};
pub use merge::{LogLine, LogTail, Merge, merge};
pub use recording::{Acknowledged, Passage, PassageEnd, Recorded, Recording, distances};

use crate::faults::DropReason;
use crate::protocol::Call;
use crate::raft::event::Event;
use crate::raft::message::Message;
use crate::types::{ClientId, EntryId, LogIndex, NodeId, Term, Time};

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceEvent {
    /// The time of the run.
    pub time: Time,
    /// The node at which it happened.
    pub node: NodeId,
    /// The event itself.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
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
    /// Its thread runs again.
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
    /// A message arrived at this node.
    MessageArrived(Message),
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
}

impl TraceEvent {
    /// The level at which it is logged.
    pub fn level(&self) -> Level {
        table::row(&self.what).0
    }

    /// What it is about.
    pub fn topic(&self) -> Topic {
        table::row(&self.what).1
    }

    /// When the console shows it.
    pub fn narration(&self) -> Narration {
        table::row(&self.what).2
    }
}

impl What {
    /// The message that the event is about, if it is about one.
    pub fn message(&self) -> Option<&Message> {
        match self {
            What::MessageSent(message)
            | What::MessageDuplicated(message)
            | What::MessageArrived(message)
            | What::MessageDelayed { message, .. }
            | What::MessageDropped { message, .. } => Some(message),
            _ => None,
        }
    }
}

impl fmt::Display for TraceEvent {
    /// `12.000450 n2 leads term 4`: seconds of the run, node, sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.time, self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::event::AppendOutcome;
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
        assert_eq!(leads.narration(), Narration::Unasked);
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
            assert_eq!(event.narration(), Narration::Heartbeat, "{event}");
        }
    }

    #[test]
    fn a_lost_message_is_crossed_out_and_says_why() {
        let lost = event(What::MessageDropped { message: heartbeat(), reason: DropReason::Partition });
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
