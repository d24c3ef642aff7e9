//! What travels between nodes and clients: one envelope, three kinds of content.

use std::str::FromStr;
use std::time::Duration;

use derive_more::{Display, From};
use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::raft::effects::RejectReason;
use crate::raft::entry::Origin;
use crate::raft::message::Message;
use crate::state_machine::Applied;
use crate::types::{ClientId, EntryId, LogIndex, NodeId, Term};

/// A sender or receiver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Display, From, Serialize, Deserialize)]
pub enum Address {
    Node(NodeId),
    Client(ClientId),
}

/// One message on its way.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub from: Address,
    pub to: Address,
    pub packet: Packet,
    /// Fixed when it is made, though the payload may weigh something else later.
    weight: usize,
    /// See [`Envelope::flight`].
    flight: u64,
}

/// What an envelope carries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Packet {
    /// From node to node.
    Raft(Message),
    /// From client to node.
    Request(Request),
    /// From node to client.
    Reply(Reply),
    /// From the network to a client, in the name of a node: the connection to it has broken. What was under way may have
    /// arrived.
    #[serde(skip)]
    ConnectionLost,
}

/// The client's own number for one attempt; the reply returns it.
pub type Attempt = u64;

/// What a client asks of a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    pub attempt: Attempt,
    pub call: Call,
}

/// What can be asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Call {
    /// Open a session for the client, in which its commands are numbered (D 6.3).
    Open,
    /// Replicate and apply this command, once, however often it is asked.
    Command {
        /// Session, number, and what the client needs no answer to any more.
        origin: Origin,
        command: Payload,
    },
    /// Say what became of this command; if it was not applied, it never will be.
    Settle { origin: Origin },
    /// Answer from the state as it is now.
    Read {
        query: Payload,
        /// How consistent the answer must be.
        mode: ReadMode,
        /// This node is to answer even if it does not lead. Otherwise a follower names the leader.
        here: bool,
    },
}

/// The consistency of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReadMode {
    /// At least as new as every write answered before the read began (section 8).
    #[default]
    Linearizable,
    /// The same, as long as no clock runs faster than another by more than `clock_drift_percent`: a leader that holds a
    /// lease answers at once (D 6.4.1). Without one, and at a follower, as a linearizable read.
    Lease,
    /// What the node has applied so far.
    Stale,
}

/// A node's answer to a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    pub attempt: Attempt,
    pub term: Term,
    pub response: Response,
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Response {
    /// Its entry was committed and applied, with this result. One that is not valid is answered as [`Response::Invalid`].
    Entry(Applied),
    /// The read's answer, from the state after applying up to this index.
    Read {
        applied: LogIndex,
        /// The staleness bound of a stale read: the state holds all that any client was told longer ago than this. None
        /// when the node has no bound.
        staleness: Option<Duration>,
        answer: Payload,
    },
    /// This node did not take the request in.
    Rejected(RejectReason),
    /// The node is down, and the network says so at once, as a host rejects connections to a process that is gone. The
    /// request had no effect.
    Unreachable,
    /// Taken in, but the node lost its leadership before it was committed: it may or may not be yet.
    LeadershipLost { leader: Option<NodeId> },
    /// The command cannot be decoded, or is over the size limit: never applied.
    Invalid(String),
    /// The state machine panicked.
    Panicked {
        /// At this entry, which holds the command and stays in the log; none when it was asked something, which has changed
        /// nothing.
        entry: Option<EntryId>,
        reason: String,
    },
}

impl Call {
    /// Whether it takes an entry in the log.
    pub fn is_logged(&self) -> bool {
        !matches!(self, Call::Read { .. })
    }

    fn weight(&self) -> usize {
        match self {
            Call::Command { command: payload, .. } | Call::Read { query: payload, .. } => payload.weight(),
            Call::Open | Call::Settle { .. } => 0,
        }
    }
}

impl Response {
    fn weight(&self) -> usize {
        match self {
            Response::Entry(Applied::Answered { answer, .. }) | Response::Read { answer, .. } => {
                answer.weight()
            }
            Response::Invalid(reason) | Response::Panicked { reason, .. } => reason.len(),
            Response::Entry(_)
            | Response::Rejected(_)
            | Response::Unreachable
            | Response::LeadershipLost { .. } => 0,
        }
    }
}

impl Envelope {
    /// From one to the other. It is weighed here, once.
    pub fn new(from: Address, to: Address, packet: Packet) -> Envelope {
        Envelope { weight: packet.weight(), from, to, packet, flight: 0 }
    }

    /// The same as this flight.
    #[must_use]
    pub fn numbered(self, flight: u64) -> Envelope {
        Envelope { flight, ..self }
    }

    /// Which message of its sender it is, for those who follow its way: copies have the same number. Zero if it has none.
    pub fn flight(&self) -> u64 {
        self.flight
    }

    /// The message that it carries from node to node.
    pub fn message(&self) -> Option<&Message> {
        match &self.packet {
            Packet::Raft(message) => Some(message),
            Packet::Request(_) | Packet::Reply(_) | Packet::ConnectionLost => None,
        }
    }

    /// The answer to the request that it carries, on its way back.
    pub fn reply(&self, term: Term, response: Response) -> Option<Envelope> {
        let Packet::Request(Request { attempt, .. }) = self.packet else { return None };
        let packet = Packet::Reply(Reply { attempt, term, response });
        Some(Envelope::new(self.to, self.from, packet))
    }

    /// The network's answer to a request for a node that is down; none for other envelopes.
    pub fn unreachable(&self) -> Option<Envelope> {
        self.reply(Term(0), Response::Unreachable)
    }

    /// Bytes that it weighs in queues: what it carries, and a little for itself.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

impl PartialEq for Envelope {
    fn eq(&self, other: &Envelope) -> bool {
        (self.from, self.to) == (other.from, other.to) && self.packet == other.packet
    }
}

impl Eq for Envelope {}

impl Packet {
    /// Bytes in queues. No payload's text is made for it: within one process none may ever be needed.
    fn weight(&self) -> usize {
        const ITSELF: usize = 64;
        match self {
            Packet::Raft(message) => message.body.weight(),
            Packet::Request(request) => ITSELF + request.call.weight(),
            Packet::Reply(reply) => ITSELF + reply.response.weight(),
            Packet::ConnectionLost => ITSELF,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        match text.strip_prefix('c').map(str::parse) {
            Some(Ok(number)) => Ok(Address::Client(ClientId(number))),
            _ => text.parse().map(Address::Node),
        }
    }
}
