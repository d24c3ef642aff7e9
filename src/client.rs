//! The client's side of the contract (section 8): what may be asked and how each call ends.
//!
//! Every call ends within its deadline in exactly one [`Outcome`]. A time-out never reads as success, and a refusal
//! never hides a command that may have been applied.
//!
//! [`ClientCore`] holds the rules, without clock or threads; the simulator drives it in virtual time. [`Client`] drives
//! it on a real clock, in the threads of those who wait: it has none of its own.

pub mod blocking;
mod call;
pub mod core;
mod gathering;
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
pub(crate) use self::gathering::{Gathering, Group};
pub use self::pipeline::Pipeline;
pub use self::settings::{CALLS_MAX, ClientSettings, WhenFull};
pub use self::ticket::Ticket;
pub use crate::types::Token;

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payload::{Batch, Payload};
use crate::protocol::ReadMode;
use crate::types::{LogIndex, NodeId, Part, Term};

/// One call of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// What is asked.
    pub what: What,
    /// Ask this node and no other; otherwise the leader is found.
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
    /// Say what became of this command. If nothing did, nothing will: it is given up.
    Settle(Token),
    /// Answer this question.
    Read {
        /// The question.
        query: Payload,
        /// How true the answer has to be.
        mode: ReadMode,
    },
}

impl Ask {
    /// Whether JSON can hold what is asked. The caller's own types are walked here, once: what they say is kept.
    pub(crate) fn check(&self) -> Result<(), &str> {
        match &self.what {
            What::Command(payload) | What::Read { query: payload, .. } => payload.check(),
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
    /// No answer in time, and a node's state machine has panicked at the command, in these words. It is committed and stands
    /// in the log; the token asks about it later.
    Panicked(Token, String),
    /// What became of the command that was asked about.
    Settled(Fate<Answered>),
}

/// What became of a command whose outcome was unknown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate<A> {
    /// It was applied, once, with this answer.
    Applied(A),
    /// It was not applied, and never will be.
    NeverApplied,
    /// Nobody can say any more: it was asked and told before, or the client has begun too many commands since.
    Forgotten,
    /// Its session has expired, and with it what was known: it may have been applied before that, and will not be any
    /// more.
    Expired,
}

/// An answer and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The state machine's answer: to a command, a [`Batch`] with an answer to each command of its
    /// entry, of which [`Answered::own`] gives those that are this call's.
    pub answer: Payload,
    /// Who answered.
    pub node: NodeId,
    /// Its term.
    pub term: Term,
    /// A command's place in the log; for a read, the index up to which the state was applied.
    pub index: LogIndex,
    /// For a stale read: the state held all that was answered to any client longer ago than this; none when the node
    /// could not tell.
    pub age: Option<Duration>,
    /// Which of the answers are to this call, when others share its entry; none: all.
    pub part: Option<Part>,
}

/// Why a call had no effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// The command or question is not valid.
    Invalid(String),
    /// The state machine panicked when it was asked about the command or answered the question, in these words. Nothing
    /// was changed.
    Panicked(String),
    /// JSON cannot hold the command or question, for this reason. Nothing was sent.
    Unwritable(String),
    /// Somebody asked what had become of the command before anything had, and so gave it up.
    GivenUp,
    /// The cluster has ended, or what could interrupt this client has: no call of it is answered any more.
    Closed,
    /// No leader was found in time.
    NoLeader,
    /// The node that was asked, and no other was to be, does not lead.
    NotLeader {
        /// Who does, as far as it knows; none when it knew of no leader until the call's time was over.
        leader: Option<NodeId>,
    },
    /// The leader has more uncommitted bytes than it may take.
    Busy,
    /// As many calls of this client are in flight as may be.
    Full,
    /// The node that was asked, and no other was to be, is down.
    Unreachable(NodeId),
    /// Nobody answered in time, and nothing was changed: it was a read, or a command that never got its session.
    NoAnswer,
}

impl Answered {
    /// Those of an entry's answers that are to this call; none if it has not as many.
    pub fn own<'a, A>(&self, all: &'a [A]) -> Option<&'a [A]> {
        self.part.map_or(Some(all), |part| part.of(all))
    }

    /// The answers to this call's commands; none if they are no such answers, as to a read.
    pub fn answers<A: DeserializeOwned + Send + Sync + 'static>(&self) -> Option<&[A]> {
        self.own(self.answer.value::<Batch<A>>().ok()?)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::Invalid(reason) => f.write_str(reason),
            Rejection::Panicked(reason) => write!(f, "the state machine panicked: {reason}"),
            Rejection::Unwritable(reason) => write!(f, "JSON cannot hold it: {reason}"),
            Rejection::GivenUp => f.write_str("it was given up before it was applied"),
            Rejection::Closed => f.write_str("the cluster has ended, and this client with it"),
            Rejection::NoLeader => f.write_str("no leader was found in time; try again, or see 'status'"),
            Rejection::NotLeader { leader: Some(leader) } => write!(f, "it does not lead; {leader} does"),
            Rejection::NotLeader { leader: None } => f.write_str("it does not lead, and knows no leader"),
            Rejection::Busy => f.write_str("the leader has too many requests waiting; try again"),
            Rejection::Full => {
                f.write_str("too many calls of this client are in flight; wait for some of them")
            }
            Rejection::Unreachable(node) => write!(f, "{node} is down"),
            Rejection::NoAnswer => f.write_str("no answer in time"),
        }
    }
}
