//! The client on a real clock: what an embedding program calls.
//!
//! All rules are the core's, and all waiting is in `src/client/shared/waiting.rs`. This file adds the types.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use derive_more::Debug;
use serde::de::DeserializeOwned;

use super::core::{ClientCore, Ended};
use super::nodes::SharedNodes;
use super::pipeline::Pipeline;
use super::settings::WhenFull;
use super::shared::SharedClient;
use super::ticket::{self, Reading, Ticket};
use super::{Answered, Ask, Fate, Outcome, Rejection, Token, What, session_patience};
use crate::clock::Clock;
use crate::net::Transport;
use crate::net::inbox::InboxReceiver;
use crate::payload::{Batch, Payload};
use crate::protocol::ReadMode;
use crate::state_machine::StateMachine;
use crate::types::{ClientId, LogIndex, NodeId, SessionId, Term, Time};

/// The default timeout of a call.
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// A client of a cluster that replicates `M`.
///
/// Clones are the same client: one session, one limit of calls in flight. They are cheap, and may be used by any
/// number of threads at the same time, as may one client by reference. Commands of threads that wait at the same time may
/// share an entry, and each gets its own answer: so threads that share a client are faster than those with clients of
/// their own.
///
/// ```
/// use std::time::Duration;
///
/// use raftlab::client::{Client, Failure};
/// use raftlab::state_machine::kv::{Answer, Command, KeyValue, Query};
///
/// fn move_in(client: &Client<KeyValue>) -> Result<(), Failure> {
///     let created = client.submit(Command::create("x", "1"))?;
///     match created.answer {
///         Answer::Created => println!("entry {} of term {}", created.index, created.term),
///         other => println!("not created: {other:?}"),
///     }
///
///     // One entry: both are applied, with nothing between them, or none is.
///     let batch = vec![Command::put("y", "2"), Command::delete("x")];
///     let moved = client.within(Duration::from_millis(500)).submit_batch(batch)?;
///     assert_eq!(moved.answer, [Answer::Put, Answer::Deleted]);
///
///     let seen = client.read(Query::Read { key: "y".into() })?;
///     assert_eq!(seen.answer, Answer::Value("2".into()));
///     Ok(())
/// }
/// # let cluster = raftlab::cluster::Cluster::builder().memory().start().expect("three nodes in memory");
/// # move_in(&cluster.client()).expect("a leader answers");
/// ```
///
/// A call that is not waited for at once has a [`Ticket`]:
///
/// ```
/// use raftlab::client::{Client, Failure, Ticket};
/// use raftlab::state_machine::kv::{Command, KeyValue};
///
/// fn fill(client: &Client<KeyValue>) -> Result<(), Failure> {
///     let put = |number| client.submit_async(Command::put(format!("k{number}"), "v"));
///     let tickets: Vec<Ticket<_>> = (0..100).map(put).collect();
///     // All are under way. They may take effect in any order.
///     for ticket in tickets {
///         ticket.wait()?;
///     }
///     Ok(())
/// }
/// # let cluster = raftlab::cluster::Cluster::builder().memory().start().expect("three nodes in memory");
/// # fill(&cluster.client()).expect("a leader answers");
/// ```
///
/// At most [`CALLS_MAX`](super::CALLS_MAX) calls are in flight, those of dropped tickets included.
/// [`Client::with_when_full`] decides what a call does when there is no room for it.
#[derive(Debug)]
#[debug("Client({}, leader {:?})", shared.id(), shared.leader())]
pub struct Client<M> {
    shared: Arc<SharedClient>,
    timeout: Duration,
    /// Its calls ask this node and no other.
    at: Option<NodeId>,
    machine: PhantomData<fn() -> M>,
}

/// A command, or a batch, that was committed and applied exactly once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed<A> {
    /// The state machine's answer; to a batch, the answers in its order.
    pub answer: A,
    /// The node that answered.
    pub node: NodeId,
    /// Its term.
    pub term: Term,
    /// The place of the command's entry in the log.
    pub index: LogIndex,
}

/// What a read saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observed<A> {
    /// The state machine's answer.
    pub answer: A,
    /// The node that answered.
    pub node: NodeId,
    /// Its term.
    pub term: Term,
    /// The read saw the state after this entry.
    pub index: LogIndex,
    /// The staleness bound of a stale read: the state is no older than this, by the node's own clock. None when the node had
    /// no bound.
    pub staleness: Option<Duration>,
}

/// Why a call has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Certainly not applied, now or later.
    #[error("{0}")]
    Rejected(Rejection),
    /// No answer in time: a command that may have been applied, or may yet be. [`Client::outcome`] asks later which.
    #[error("no answer in time; the command may have been applied")]
    Unknown(Token),
    /// A node's state machine panicked at the command, or at another of its entry, and no other node could answer in time. The
    /// command is committed and stays in the log: it is applied once a state machine can. [`StateMachine::apply`] says what to do, and
    /// [`Client::outcome`] asks later what became of the command.
    #[error("a node is down: {reason}; the command stays in the log")]
    Panicked {
        token: Token,
        /// Where, and the text of the panic.
        reason: String,
    },
    /// Applied, but the answer does not decode: the cluster replicates another state machine, or JSON cannot hold the answer.
    #[error("applied, but the answer does not decode: {0}")]
    Unreadable(String),
}

impl<M> Client<M> {
    /// A client that sends by this transport and receives from this inbox, which is registered at the address of the core's
    /// client.
    pub fn new(
        core: ClientCore,
        transport: impl Transport + 'static,
        inbox: InboxReceiver,
        clock: Clock,
    ) -> Client<M> {
        let shared = SharedClient::new(core, Box::new(transport), inbox, clock);
        Client { shared: Arc::new(shared), timeout: TIMEOUT, at: None, machine: PhantomData }
    }

    /// This client with another timeout for its calls. Its other clones keep theirs.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Client<M> {
        Client { timeout, ..self }
    }

    /// How long its calls try.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Lets this client and all its clones follow the nodes that there are.
    pub(crate) fn following(self, nodes: SharedNodes) -> Client<M> {
        self.shared.set_nodes(nodes);
        self
    }

    /// Lets this channel interrupt this client and all its clones: a message ends all running calls, as their deadline
    /// would, and is lost when none runs. When the sender is gone, every call ends at once.
    #[must_use]
    pub fn with_interrupt(self, interrupt: Receiver<()>) -> Client<M> {
        self.shared.set_interrupt(interrupt);
        self
    }

    /// Sets what this client and all its clones do when the leader is busy, or when [`CALLS_MAX`](super::CALLS_MAX) calls are
    /// in flight. By default they wait for room and try again until the call's deadline.
    #[must_use]
    pub fn with_when_full(self, when_full: WhenFull) -> Client<M> {
        self.shared.set_when_full(when_full);
        self
    }

    /// Who this client is.
    pub fn id(&self) -> ClientId {
        self.shared.id()
    }

    /// The node that it believes to lead.
    pub fn leader(&self) -> Option<NodeId> {
        self.shared.leader()
    }

    /// How many calls are in flight, its clones' included: begun, and not known to have ended.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight()
    }

    /// The same client, whose calls have this timeout.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Client<M> {
        self.clone().with_timeout(timeout)
    }

    /// The same client, whose calls ask this node and no other: a follower answers reads, and names the leader to a
    /// command ([`Rejection::NotLeader`]). While it knows no leader it is asked again, until the timeout.
    #[must_use]
    pub fn at(&self, node: NodeId) -> Client<M> {
        Client { at: Some(node), ..self.clone() }
    }

    /// Makes these calls at once and waits until each has ended. The ends are in the order of the calls, which may take effect
    /// in any order. They are sent even beyond [`CALLS_MAX`](super::CALLS_MAX).
    pub fn ask_all(&self, asks: Vec<Ask>) -> Vec<Ended> {
        let end = |call| self.shared.wait(call, Time::NEVER).expect("each call ends by its deadline");
        self.shared.begin_all(asks).into_iter().map(end).collect()
    }

    /// Works towards this client's session, ahead of its first command and without waiting. Says whether it is open.
    pub(crate) fn open_session(&self) -> bool {
        self.shared.open_session(None, self.timeout, self.shared.now())
    }

    /// Opens this client's session, and names it: for a caller that numbers its commands itself ([`What::Named`]) and keeps the
    /// name. None when it could not be opened within the client's timeout.
    pub fn new_session(&self) -> Option<SessionId> {
        let until = self.shared.now() + self.timeout;
        self.shared.open_session(self.at, self.timeout, until);
        self.shared.session()
    }

    /// As [`Client::ask_all`], and commands wait for a session first: so a time-out leaves their outcome unknown, and never
    /// means that the session was not opened in time. That takes at most this client's own timeout, or theirs.
    pub(crate) fn ask_in_session(&self, mut asks: Vec<Ask>) -> Vec<Ended> {
        let begun = self.shared.now();
        if let Some(patience) = session_patience(&asks, self.timeout)
            && !self.shared.open_session(asks[0].at, patience, begun + patience)
        {
            // They had their time.
            for ask in &mut asks {
                ask.timeout = Duration::ZERO;
            }
        }
        self.ask_all(asks).into_iter().map(|ended| ended.counted_from(begun)).collect()
    }

    /// This client as a pipeline: many calls under way, whose ends are taken as they come.
    pub fn into_pipeline(self) -> Pipeline {
        Pipeline::new(self.shared)
    }

    /// Makes one call.
    pub fn ask(&self, ask: Ask) -> Ended {
        self.ask_all(vec![ask]).pop().expect("one outcome for one call")
    }
}

impl<M: StateMachine<Answer: Clone>> Client<M> {
    /// Applies this command, exactly once.
    pub fn submit(&self, command: M::Command) -> Result<Committed<M::Answer>, Failure> {
        committed_one(&self.call(What::commands([command]))?, 1)
    }

    /// Applies these commands, exactly once, in one entry: all in this order with nothing between them, or none.
    /// A command that the state machine declines, such as with "exists", does not undo the others.
    pub fn submit_batch(&self, commands: Vec<M::Command>) -> Result<Committed<Vec<M::Answer>>, Failure> {
        let count = commands.len();
        committed(&self.call(What::commands(commands))?, count)
    }

    /// Reads the state, at least as new as every write that was answered before.
    pub fn read(&self, query: M::Query) -> Result<Observed<M::Answer>, Failure> {
        self.read_async(query).wait()
    }

    /// Reads the state, with this consistency.
    pub fn read_with(&self, query: M::Query, mode: ReadMode) -> Result<Observed<M::Answer>, Failure> {
        self.read_with_async(query, mode).wait()
    }

    /// Says what became of a command that ended as [`Failure::Unknown`] with this token. The answer is final: a command that
    /// was not applied before this question is in the log never will be.
    ///
    /// After a failure the outcome is still unknown: ask again. The answers are a list, also to a single command.
    pub fn outcome(&self, token: Token) -> Result<Fate<Committed<Vec<M::Answer>>>, Failure> {
        let ask = Ask { what: What::Settle(token), at: self.at, timeout: self.timeout };
        let fate = match self.ask(ask).outcome {
            Outcome::Settled(fate) => fate,
            Outcome::Rejected(rejection) => return Err(Failure::Rejected(rejection)),
            Outcome::Answered(_) | Outcome::Unknown(_) | Outcome::Panicked(..) => {
                unreachable!("a question about a command is settled or not")
            }
        };
        Ok(match fate {
            Fate::Applied(answered) => {
                let Answered { node, term, index, .. } = answered;
                let answer = answers(&answered)?;
                Fate::Applied(Committed { answer, node, term, index })
            }
            Fate::NeverApplied => Fate::NeverApplied,
            Fate::Forgotten => Fate::Forgotten,
            Fate::Expired => Fate::Expired,
            Fate::Lost { epoch } => Fate::Lost { epoch },
        })
    }

    /// Sends this command, and waits only for room. See [`Ticket`] for how the call continues.
    pub fn submit_async(&self, command: M::Command) -> Ticket<Committed<M::Answer>> {
        self.begin(What::commands([command]), 1, committed_one::<M::Answer>)
    }

    /// Sends these commands, and waits only for room. See [`Client::submit_batch`].
    pub fn submit_batch_async(&self, commands: Vec<M::Command>) -> Ticket<Committed<Vec<M::Answer>>> {
        let count = commands.len();
        self.begin(What::commands(commands), count, committed::<M::Answer>)
    }

    /// Sends this query, and waits only for room. See [`Client::read`].
    pub fn read_async(&self, query: M::Query) -> Ticket<Observed<M::Answer>> {
        self.read_with_async(query, ReadMode::default())
    }

    /// Sends this query, and waits only for room. See [`Client::read_with`].
    pub fn read_with_async(&self, query: M::Query, mode: ReadMode) -> Ticket<Observed<M::Answer>> {
        self.begin(What::Read { query: Payload::new(query), mode }, 0, observed::<M::Answer>)
    }

    fn call(&self, what: What) -> Result<Answered, Failure> {
        let ask = Ask { what, at: self.at, timeout: self.timeout };
        ticket::answered(self.shared.call(ask).map_or_else(Outcome::Rejected, |ended| ended.outcome))
    }

    fn begin<T>(&self, what: What, count: usize, read: Reading<T>) -> Ticket<T> {
        let ask = Ask { what, at: self.at, timeout: self.timeout };
        Ticket::begin(&self.shared, ask, count, read)
    }
}

/// An answer as a state machine makes it.
trait Readable: DeserializeOwned + Clone + Send + Sync + 'static {}

impl<A: DeserializeOwned + Clone + Send + Sync + 'static> Readable for A {}

fn committed_one<A: Readable>(answered: &Answered, count: usize) -> Result<Committed<A>, Failure> {
    let Committed { answer, node, term, index } = committed(answered, count)?;
    let answer = answer.into_iter().next().expect("as many answers as commands");
    Ok(Committed { answer, node, term, index })
}

fn committed<A: Readable>(answered: &Answered, count: usize) -> Result<Committed<Vec<A>>, Failure> {
    let Answered { node, term, index, .. } = *answered;
    let answer: Vec<A> = answers(answered)?;
    if answer.len() != count {
        return Err(Failure::Unreadable(format!("{} answers to {count} commands", answer.len())));
    }
    Ok(Committed { answer, node, term, index })
}

fn observed<A: Readable>(answered: &Answered, _count: usize) -> Result<Observed<A>, Failure> {
    let Answered { node, term, index, staleness, .. } = *answered;
    Ok(Observed { answer: decode(&answered.answer)?, node, term, index, staleness })
}

fn answers<A: Readable>(answered: &Answered) -> Result<Vec<A>, Failure> {
    let own =
        |all: &Batch<A>| answered.own(all).map(<[A]>::to_vec).ok_or_else(|| format!("{} answers", all.len()));
    let read = answered.answer.read(own).flatten();
    // In place of answers that JSON cannot hold there is a sentence, and no list.
    let sentence = || serde_json::from_str::<String>(answered.answer.text());
    read.map_err(|reason| Failure::Unreadable(sentence().unwrap_or(reason)))
}

fn decode<T: Readable>(payload: &Payload) -> Result<T, Failure> {
    payload.read(T::clone).map_err(Failure::Unreadable)
}

impl<M> Clone for Client<M> {
    fn clone(&self) -> Client<M> {
        Client { shared: Arc::clone(&self.shared), timeout: self.timeout, at: self.at, machine: PhantomData }
    }
}

#[cfg(test)]
mod tests;
