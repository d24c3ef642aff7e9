//! Events as sentences. An event of the core has its own: see [`Event`](crate::raft::event::Event).

use std::fmt;

use super::{TraceEvent, What};
use crate::protocol::Call;
use crate::raft::entry::Origin;
use crate::raft::message::Message;

impl What {
    /// Whether the sentence has a subject of its own. In all others it is the node.
    fn has_subject(&self) -> bool {
        matches!(self, What::MachineSlow { .. }) || matches!(self, What::Raft(event) if event.has_subject())
    }
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
}

impl fmt::Display for What {
    /// The sentence without the node's name.
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
            What::Resumed => f.write_str("resumed"),
            What::Panicked { reason } => write!(f, "is down, because of a defect in this program: {reason}"),
            What::MachineFailed { reason } => write!(
                f,
                "is down: {reason}; what its log holds stays there: restart it with a state machine that accepts it"
            ),
            What::StorageFailed { reason } => write!(f, "is down, its disk failed: {reason}"),
            What::Applied { first, last } if first == last => write!(f, "applied entry {first}"),
            What::Applied { first, last } => {
                let count = (last.0 + 1).saturating_sub(first.0);
                write!(f, "applied a batch of {count}: entries {first}..{last}")
            }
            What::MachineSlow { took } => write!(
                f,
                "applying took {} ms, so it moves to a thread of its own (heartbeats continue)",
                took.as_millis()
            ),
            What::SnapshotCreated { last, bytes } => {
                write!(f, "created a snapshot up to {last}, {bytes} bytes")
            }
            What::SnapshotUnwritable { last, reason } => write!(
                f,
                "made no snapshot up to {last}, since JSON cannot hold the state: {reason}; its log grows until one is made"
            ),
            What::MessageSent(message) => message.fmt(f),
            What::MessageDropped { message: Message { from, to, term, body }, reason } => {
                write!(f, "{from}@{term} x {to} {body} ({reason})")
            }
            What::MessageDelayed { message, delay } => write!(f, "{message} (delayed {delay:?})"),
            What::MessageDuplicated(message) => write!(f, "{message} (twice)"),
            What::MessageArrived(message) => write!(f, "{message} (arrived)"),
            What::RequestReceived { client, call } => match call {
                Call::Open => write!(f, "is asked for a session by {client}"),
                Call::Command { origin: Origin { serial, .. }, command } => {
                    write!(f, "receives command {serial} of {client}, {} bytes", command.len())
                }
                Call::Settle { origin: Origin { serial, .. } } => {
                    write!(f, "is asked by {client} for the outcome of its command {serial}")
                }
                Call::Read { .. } => write!(f, "receives a read of {client}"),
            },
            What::RequestInvalid { client, reason } => write!(f, "rejects a request of {client}: {reason}"),
        }
    }
}
