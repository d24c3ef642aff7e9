//! Events as sentences. An event of the core has its own: see [`Event`](crate::raft::event::Event).

use std::fmt;

use super::What;
use crate::protocol::Call;
use crate::raft::entry::Origin;
use crate::raft::message::Message;

impl fmt::Display for What {
    /// The sentence, which begins behind the node's name.
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
                "its state machine took {} ms: it runs on a thread of its own now",
                took.as_millis()
            ),
            What::SnapshotCreated { last, bytes } => {
                write!(f, "snapshot created up to {last}, {bytes} bytes")
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
            What::RequestReceived { client, call } => match call {
                Call::Open => write!(f, "{client} asks for a session"),
                Call::Command { origin: Origin { serial, .. }, command } => {
                    write!(f, "command {serial} of {client} received, {} bytes", command.len())
                }
                Call::Settle { origin: Origin { serial, .. } } => {
                    write!(f, "{client} asks for the outcome of its command {serial}")
                }
                Call::Read { .. } => write!(f, "read of {client} received"),
            },
            What::RequestInvalid { client, reason } => write!(f, "request of {client} rejected: {reason}"),
        }
    }
}
