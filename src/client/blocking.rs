//! The client on a real clock: each call blocks its caller until it has ended.
//!
//! All rules are the core's. This file only waits: for envelopes, for the core's deadline, or for an interruption. It
//! must never poll, and never wait for longer than a call may take.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError, at, select};
use serde::de::DeserializeOwned;

use super::core::{ClientCore, Ended};
use super::{Answered, Ask, Outcome, Rejection, What};
use crate::clock::Clock;
use crate::net::Transport;
use crate::net::packet::{Envelope, ReadMode};
use crate::payload::Payload;
use crate::state_machine::StateMachine;
use crate::types::{ClientId, LogIndex, NodeId, Term};

/// How long a call may take unless it says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// A blocking client of a cluster that replicates `M`.
///
/// ```
/// use std::time::Duration;
///
/// use raftlab::client::{Client, Failure};
/// use raftlab::state_machine::kv::{Answer, Command, KeyValue, Query};
///
/// fn move_in(client: &mut Client<KeyValue>) -> Result<(), Failure> {
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
///     let seen = client.read(Query::Read { key: "y".to_string() })?;
///     assert_eq!(seen.answer, Answer::Value("2".to_string()));
///     Ok(())
/// }
/// ```
pub struct Client<M> {
    core: ClientCore,
    transport: Box<dyn Transport>,
    inbox: Receiver<Vec<Envelope>>,
    clock: Clock,
    timeout: Duration,
    interrupt: Option<Receiver<()>>,
    machine: PhantomData<fn() -> M>,
}

/// The same calls with another timeout. See [`Client::within`].
pub struct Within<'a, M> {
    client: &'a mut Client<M>,
    timeout: Duration,
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
    /// The place of the command in the log.
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
}

/// Why a call has no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Certainly not applied, now or later.
    Rejected(Rejection),
    /// No answer in time: a command that may have been applied, or may yet be.
    Unknown,
    /// Carried out, but the answer is none of this state machine: the cluster replicates another one.
    Unreadable(String),
}

/// What ended the wait.
enum Woken {
    Arrived(Vec<Envelope>),
    Due,
    /// An interruption, or the end of the network: nothing will come.
    Stop,
}

impl<M> Client<M> {
    /// A client that sends by this transport and gets its answers from this inbox, which belongs to the address of
    /// the core's client.
    pub fn new(
        core: ClientCore,
        transport: impl Transport + 'static,
        inbox: Receiver<Vec<Envelope>>,
        clock: Clock,
    ) -> Client<M> {
        Client {
            core,
            transport: Box::new(transport),
            inbox,
            clock,
            timeout: TIMEOUT,
            interrupt: None,
            machine: PhantomData,
        }
    }

    /// This client with another timeout for its calls.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Client<M> {
        Client { timeout, ..self }
    }

    /// This client, to be interrupted: a message ends the calls that run when it comes, as their deadline would, and
    /// is lost when none runs. When the sender is gone, every call ends at once.
    #[must_use]
    pub fn with_interrupt(self, interrupt: Receiver<()>) -> Client<M> {
        Client { interrupt: Some(interrupt), ..self }
    }

    /// Who this client is.
    pub fn id(&self) -> ClientId {
        self.core.id()
    }

    /// The node that it believes to lead.
    pub fn leader(&self) -> Option<NodeId> {
        self.core.leader()
    }

    /// The same calls, with this timeout instead of the client's.
    pub fn within(&mut self, timeout: Duration) -> Within<'_, M> {
        Within { client: self, timeout }
    }

    /// Carries out these calls, all under way at once, and returns when each has ended: how, when it began and how
    /// long it took, in the order of asking. They may take effect in any order.
    pub fn ask_all(&mut self, asks: Vec<Ask>) -> Vec<Ended> {
        let connected = self.is_connected();
        let now = self.clock.now();
        let count = asks.len();
        for ask in asks {
            // Without a network a call has no time: nothing is sent, so nothing is unknown.
            let timeout = if connected { ask.timeout } else { Duration::ZERO };
            self.core.ask(now, Ask { timeout, ..ask });
        }
        let mut ended = self.run();
        assert_eq!(ended.len(), count, "each call ends in exactly one outcome");
        ended.sort_unstable_by_key(|ended| ended.ticket);
        ended
    }

    /// Carries out one call.
    pub fn ask(&mut self, ask: Ask) -> Ended {
        self.ask_all(vec![ask]).pop().expect("one outcome for one call")
    }

    /// Drives the core until no call is under way.
    fn run(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        loop {
            let mut outgoing = self.core.take_outgoing();
            if !outgoing.is_empty() {
                self.transport.send(&mut outgoing);
            }
            ended.append(&mut self.core.take_ended());
            if self.core.is_idle() {
                return ended;
            }
            match self.wait() {
                Woken::Arrived(group) => {
                    self.receive(group);
                    self.receive_waiting();
                }
                Woken::Due => {}
                Woken::Stop => {
                    // What is here already may still answer.
                    self.receive_waiting();
                    self.core.give_up(self.clock.now());
                }
            }
            self.core.tick(self.clock.now());
        }
    }

    /// Waits for whatever comes first.
    fn wait(&self) -> Woken {
        let until = self.clock.instant(self.core.deadline());
        match &self.interrupt {
            None => match self.inbox.recv_deadline(until) {
                Ok(group) => Woken::Arrived(group),
                Err(RecvTimeoutError::Timeout) => Woken::Due,
                Err(RecvTimeoutError::Disconnected) => Woken::Stop,
            },
            Some(interrupt) => select! {
                recv(self.inbox) -> group => group.map_or(Woken::Stop, Woken::Arrived),
                recv(interrupt) -> _ => Woken::Stop,
                recv(at(until)) -> _ => Woken::Due,
            },
        }
    }

    fn receive(&mut self, group: Vec<Envelope>) {
        let now = self.clock.now();
        for envelope in group {
            self.core.receive(now, envelope);
        }
    }

    /// Takes in what is already here, and says whether more can come.
    fn receive_waiting(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(group) => self.receive(group),
                Err(reason) => return reason == TryRecvError::Empty,
            }
        }
    }

    /// Clears away what came too late for the calls before, and says whether new ones can be carried out.
    fn is_connected(&mut self) -> bool {
        let open = self.interrupt.as_ref().is_none_or(|interrupt| {
            let last = std::iter::repeat_with(|| interrupt.try_recv()).find_map(Result::err);
            last == Some(TryRecvError::Empty)
        });
        self.receive_waiting() && open
    }
}

impl<M: StateMachine<Answer: Clone>> Client<M> {
    /// Has this command applied, exactly once.
    pub fn submit(&mut self, command: M::Command) -> Result<Committed<M::Answer>, Failure> {
        self.within(self.timeout).submit(command)
    }

    /// Has these commands applied, exactly once, as one entry: all in this order with nothing between them, or none.
    /// A command that the state machine answers with a refusal, such as "exists", does not undo the others.
    pub fn submit_batch(&mut self, commands: Vec<M::Command>) -> Result<Committed<Vec<M::Answer>>, Failure> {
        self.within(self.timeout).submit_batch(commands)
    }

    /// Asks for the state, at least as new as every write that was answered before.
    pub fn read(&mut self, query: M::Query) -> Result<Observed<M::Answer>, Failure> {
        self.within(self.timeout).read(query)
    }

    /// Asks for the state, as true as this mode says.
    pub fn read_with(&mut self, query: M::Query, mode: ReadMode) -> Result<Observed<M::Answer>, Failure> {
        self.within(self.timeout).read_with(query, mode)
    }
}

impl<M: StateMachine<Answer: Clone>> Within<'_, M> {
    /// See [`Client::submit`].
    pub fn submit(&mut self, command: M::Command) -> Result<Committed<M::Answer>, Failure> {
        let Committed { answer, node, term, index } = self.submit_batch(vec![command])?;
        let answer = answer.into_iter().next().expect("as many answers as commands");
        Ok(Committed { answer, node, term, index })
    }

    /// See [`Client::submit_batch`].
    pub fn submit_batch(&mut self, commands: Vec<M::Command>) -> Result<Committed<Vec<M::Answer>>, Failure> {
        let count = commands.len();
        let Answered { answer, node, term, index } = self.ask(What::Command(Payload::new(commands)))?;
        let answer: Vec<M::Answer> = decode(&answer)?;
        if answer.len() != count {
            return Err(Failure::Unreadable(format!("{} answers to {count} commands", answer.len())));
        }
        Ok(Committed { answer, node, term, index })
    }

    /// See [`Client::read`].
    pub fn read(&mut self, query: M::Query) -> Result<Observed<M::Answer>, Failure> {
        self.read_with(query, ReadMode::default())
    }

    /// See [`Client::read_with`].
    pub fn read_with(&mut self, query: M::Query, mode: ReadMode) -> Result<Observed<M::Answer>, Failure> {
        let what = What::Read { query: Payload::new(query), mode };
        let Answered { answer, node, term, index } = self.ask(what)?;
        Ok(Observed { answer: decode(&answer)?, node, term, index })
    }

    fn ask(&mut self, what: What) -> Result<Answered, Failure> {
        match self.client.ask(Ask { what, at: None, timeout: self.timeout }).outcome {
            Outcome::Answered(answered) => Ok(answered),
            Outcome::Rejected(rejection) => Err(Failure::Rejected(rejection)),
            Outcome::Unknown => Err(Failure::Unknown),
        }
    }
}

impl<M> fmt::Debug for Client<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = &mut f.debug_struct("Client");
        fields.field("id", &self.id()).field("leader", &self.leader()).finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for Within<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").field("client", self.client).field("timeout", &self.timeout).finish()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Rejected(rejection) => rejection.fmt(f),
            Failure::Unknown => f.write_str("no answer in time; the command may have been applied"),
            Failure::Unreadable(reason) => write!(f, "carried out, but the answer cannot be read: {reason}"),
        }
    }
}

impl Error for Failure {}

/// The payload's value. The text has the last word: an answer that another type made is read from its text.
fn decode<T: DeserializeOwned + Clone + Send + Sync + 'static>(payload: &Payload) -> Result<T, Failure> {
    match payload.value::<T>() {
        Ok(value) => Ok(value.clone()),
        Err(_) => {
            serde_json::from_str(payload.text()).map_err(|error| Failure::Unreadable(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests;
