//! The client's side of the contract (section 8): what may be asked and how each call ends.
//!
//! Every call ends within its deadline in exactly one [`Outcome`]. A time-out never reads as success, and a command that may
//! have been applied is never rejected.
//!
//! [`ClientCore`] holds the rules, without clock or threads; the simulator drives it in virtual time. [`Client`] drives
//! it on a real clock, in the threads of its callers: it has none of its own.

pub mod blocking;
mod call;
pub mod core;
mod gathering;
mod nodes;
mod pipeline;
mod session;
mod settings;
mod shared;
mod ticket;
mod timers;

pub use self::blocking::{Client, Committed, Failure, Observed};
pub use self::call::CallId;
pub use self::core::{ClientCore, Ended};
pub use self::gathering::GATHERED_MAX;
#[cfg(feature = "cli")]
pub(crate) use self::gathering::gathered_max;
pub(crate) use self::gathering::{Gathering, Groups};
pub(crate) use self::nodes::SharedNodes;
pub use self::pipeline::Pipeline;
pub use self::settings::{CALLS_MAX, ClientSettings, WhenFull};
pub use self::ticket::Ticket;
pub use crate::types::Token;

use std::time::Duration;

use derive_more::Display;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payload::{Batch, Payload};
use crate::protocol::ReadMode;
use crate::raft::entry::Origin;
use crate::types::{Epoch, LogIndex, NodeId, Part, Term};

/// One call of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    pub what: What,
    /// The only node to ask; without one the leader is found.
    pub at: Option<NodeId>,
    /// The call ends within this time.
    pub timeout: Duration,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Apply this batch of commands, once, as [`What::commands`] makes it. One batch is one log entry: all of it is
    /// committed or none.
    Command(Payload),
    /// Apply this batch of commands under a name that the caller gives it: in a session that was opened with
    /// [`Client::new_session`], not in this client's own.
    Named {
        /// Session and number, and the lowest number whose answer the caller still needs.
        origin: Origin,
        commands: Payload,
    },
    /// Say what became of this command. If it was not applied, it never will be: it is given up.
    Settle(Token),
    /// Answer this query.
    Read {
        query: Payload,
        /// How consistent the answer must be.
        mode: ReadMode,
    },
}

impl Ask {
    /// Whether JSON can hold what is asked. Walks the caller's own types, once, and keeps the result.
    pub(crate) fn check(&self) -> Result<(), &str> {
        match &self.what {
            What::Command(payload)
            | What::Named { commands: payload, .. }
            | What::Read { query: payload, .. } => payload.check(),
            What::Settle(_) => Ok(()),
        }
    }
}

impl What {
    /// Apply these commands, as one batch.
    pub fn commands<C: Serialize + Send + Sync + 'static>(commands: impl IntoIterator<Item = C>) -> What {
        What::Command(Payload::batch(commands))
    }
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The state machine's answer. A command was committed, and applied exactly once.
    Answered(Answered),
    /// Certainly not applied, now or later.
    Rejected(Rejection),
    /// No answer in time: a command that may have been applied, or may yet be. The token asks about it later.
    Unknown(Token),
    /// No answer in time, and a node's state machine panicked at the command, with this text. The command is committed and
    /// stays in the log; the token asks about it later.
    Panicked(Token, String),
    /// What became of the command that was asked about, or of a named one that its session no longer knows.
    Settled(Fate<Answered>),
}

/// What became of a command whose outcome was unknown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate<A> {
    /// It was applied, once, with this answer.
    Applied(A),
    /// It was not applied, and never will be.
    NeverApplied,
    /// It is no longer known: the client has been told before, or has begun too many commands since.
    Forgotten,
    /// Its session has expired, and with it what was known: it may have been applied before, and will not be later.
    Expired,
    /// A quorum was lost, and the cluster recovered since, in this epoch: what it did may be lost, and it will not be applied
    /// later.
    Lost { epoch: Epoch },
}

/// An answer and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The state machine's answer: to a command, a [`Batch`] with an answer to each command of its
    /// entry, of which [`Answered::own`] gives those that are this call's.
    pub answer: Payload,
    pub node: NodeId,
    pub term: Term,
    /// A command's place in the log; for a read, the index up to which the state was applied.
    pub index: LogIndex,
    /// The staleness bound of a stale read: the state held all that any client was told longer ago than this. None when
    /// the node had no bound.
    pub staleness: Option<Duration>,
    /// Which of the answers are to this call, when others share its entry; all, if none.
    pub part: Option<Part>,
}

/// Why a call had no effect.
#[derive(Clone, PartialEq, Eq, Debug, Display)]
#[non_exhaustive]
pub enum Rejection {
    /// The command or query is not valid.
    #[display("{_0}")]
    Invalid(String),
    /// The state machine panicked when it checked the command or answered the query, with this text. Nothing was changed.
    #[display("the state machine panicked: {_0}")]
    Panicked(String),
    /// JSON cannot hold the command or query, for this reason. Nothing was sent.
    #[display("JSON cannot hold it: {_0}")]
    Unwritable(String),
    /// It was given up: its outcome was asked for before it was applied.
    #[display("it was given up before it was applied")]
    GivenUp,
    /// The cluster has ended, or the channel that could interrupt this client is closed: no call is answered any more.
    #[display("the cluster has ended, and this client with it")]
    Closed,
    /// No leader was found in time.
    #[display("no leader was found in time")]
    NoLeader,
    /// The only node to ask does not lead.
    #[display("it does not lead{}", match leader {
        Some(leader) => format!("; {leader} does"),
        None => ", and knows no leader".to_string(),
    })]
    NotLeader {
        /// The leader that it knows; none when it knew none until the deadline.
        leader: Option<NodeId>,
    },
    /// The leader has as many uncommitted bytes as it may have.
    #[display("the leader has too many requests waiting; try again")]
    Busy,
    /// As many calls of this client are in flight as may be.
    #[display("too many calls of this client are in flight; wait for some of them")]
    Full,
    /// The only node to ask is down.
    #[display("{_0} is down")]
    Unreachable(NodeId),
    /// No answer in time, and nothing was changed: it was a read, or a command that never got its session.
    #[display("no answer in time")]
    NoAnswer,
}

/// How long these calls may wait for a session before they begin; none if one of them needs none.
pub(crate) fn session_patience(asks: &[Ask], least: Duration) -> Option<Duration> {
    let commands = asks.iter().all(|ask| matches!(ask.what, What::Command(_)));
    let longest = asks.iter().map(|ask| ask.timeout).max()?;
    commands.then(|| longest.max(least))
}

impl Answered {
    /// The answers to this call among those to its entry; none if there are too few.
    pub fn own<'a, A>(&self, all: &'a [A]) -> Option<&'a [A]> {
        self.part.map_or(Some(all), |part| part.of(all))
    }

    /// The answers to this call's commands; none if they are of another type, as to a read.
    pub fn answers<A: DeserializeOwned + Send + Sync + 'static>(&self) -> Option<&[A]> {
        self.own(self.answer.value::<Batch<A>>().ok()?)
    }
}
