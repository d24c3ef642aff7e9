//! The replicated state machine (section 2): what a cluster keeps, and how committed entries change it.
//!
//! A user writes a [`StateMachine`], typed at its edges by serde. A [`Replica`] joins it with the clients' sessions
//! behind [`Machine`], which has no type parameters and works on entries and payloads, so that neither server nor node
//! knows what is replicated.
//!
//! An entry's command is a *batch*: a JSON list of commands, a single command being a list of one, and its answer is
//! the list of their answers. The batch is one entry, so it is committed as a whole or not at all, and no other command
//! comes between its own. A command that the machine declines, such as with "exists", does not undo the others.
//!
//! An [`Image`] holds the state and the sessions of one moment: a snapshot is made of it.
//!
//! Every replica must come to the same state from the same entries. Nothing here may read a clock, draw a random
//! number, or depend on whether a payload came as a value or as text.

mod applied;
pub mod image;
pub mod kv;
pub mod sessions;

#[cfg(test)]
mod tests;

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::applied::{Applied, AppliedEntry};

use self::image::{Image, ReplicaImage};
use self::sessions::{Bounds, Sessions};
use crate::payload::{Batch, Payload};
use crate::raft::entry::{Content, Entry, Origin};
use crate::types::EntryId;

/// What is replicated: a deterministic machine, changed by commands and read by queries.
///
/// Commands, queries and answers travel and are stored as JSON. Each must read back from its own JSON as the value
/// it was: some replicas apply the value itself, others what they read from their disk.
///
/// So that the log stays bounded, a machine also hands out its state and takes it over (section 7). The
/// simplest way is a copy, for a state whose copy takes microseconds:
///
/// ```
/// use std::collections::BTreeMap;
///
/// use raftlab::StateMachine;
///
/// /// What each account holds, and what may be paid in at once.
/// struct Bank {
///     accounts: BTreeMap<String, u64>,
///     limit: u64,
/// }
///
/// impl StateMachine for Bank {
///     /// An account, and what is paid in.
///     type Command = (String, u64);
///     type Query = String;
///     type Answer = u64;
///     /// The limit is configured, and no part of the state.
///     type Snapshot = BTreeMap<String, u64>;
///
///     fn apply(&mut self, (account, amount): &(String, u64)) -> u64 {
///         let balance = self.accounts.entry(account.clone()).or_default();
///         *balance += amount;
///         *balance
///     }
///
///     fn query(&self, account: &String) -> u64 {
///         self.accounts.get(account).copied().unwrap_or_default()
///     }
///
///     fn check(&self, (_, amount): &(String, u64)) -> Result<(), String> {
///         if *amount > self.limit { Err(format!("at most {} may be paid in at once", self.limit)) } else { Ok(()) }
///     }
///
///     fn snapshot(&self) -> BTreeMap<String, u64> {
///         self.accounts.clone()
///     }
///
///     fn restore(&mut self, accounts: BTreeMap<String, u64>) {
///         self.accounts = accounts;
///     }
/// }
/// ```
///
/// # What JSON cannot hold
/// Is found before anything is sent or stored, in memory as well as with files, by walking the value once:
///
/// - a map whose keys are neither texts, characters, numbers, truths nor plain names of an enum, such as a
///   `BTreeMap<(u8, u8), u8>`: write it as a list of pairs;
/// - a number that is none: `NaN` and the infinities would become `null`, which is read back as no number;
/// - what lies in more than 127 lists, objects and variants that hold something;
/// - what its own `Serialize` refuses, such as a path that is not UTF-8.
///
/// A command or query with such a thing ends as [`Rejection::Unwritable`](crate::Rejection::Unwritable), on its caller's
/// thread. If it is in the answer to a command, the command has been applied, and the call ends as
/// [`Failure::Unreadable`](crate::Failure::Unreadable); a read with such an answer is rejected. A snapshot with such a
/// thing is not made: the log grows on, and each try is told as a warning.
///
/// Not found is what JSON holds as something else, because it is written without complaint:
///
/// - `Some(())`, `Some(None)` and everything else that is written as `null` inside an `Option` comes back as `None`;
/// - an `#[serde(untagged)]` enum comes back as the first variant that fits; in one, and beside `#[serde(flatten)]` and
///   `#[serde(tag = "..")]`, numbers of 128 bits do not come back;
/// - a field that is skipped comes back as its default.
///
/// All other numbers come back as they were, those of 128 bits and the last digit of a float included; bytes do as a list
/// of numbers, which takes up to four times their length.
///
/// # Panics
/// What a state machine's panic does depends on whether it may have changed the state. In [`StateMachine::check`] and
/// [`StateMachine::query`] it has not: the call ends as [`Rejection::Panicked`](crate::Rejection::Panicked), and the node
/// runs on. In [`StateMachine::items`] the caller gets no answer. In [`StateMachine::apply`],
/// [`StateMachine::snapshot`], [`StateMachine::restore`] and [`StateMachine::size`] the node ends, and says why: in its
/// status, to the observer and the log files, and to the program's own log, or to standard error if it has none. If the
/// `Serialize` of a snapshot panics, the snapshot is not made. While a cluster starts, a panic is the
/// [`StartError`](crate::cluster::StartError).
pub trait StateMachine: Send + 'static {
    /// A change that a client asks for.
    type Command: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// A question that changes nothing and never enters the log.
    type Query: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The answer to a command or a query, refusals such as "exists" included.
    type Answer: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The state at one moment.
    ///
    /// It is all that later answers depend on, and nothing else: what is configured stays out, and so does what
    /// replicas do not have in common. Replicas in the same state must write the same JSON, so it holds nothing whose
    /// order is left to chance, such as that of a `HashMap`. It must read back from its own JSON as the value it was.
    type Snapshot: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Carries out a committed command. The same commands in the same order give the same answers and the same
    /// state on every replica.
    ///
    /// # Panics
    /// It should never panic: it can decline a command by its answer, and [`StateMachine::check`] can keep out what it
    /// cannot apply. If it does, its node ends, since a state that was half changed is not to be trusted. The command is
    /// committed and stays in the log, so every replica comes to it and panics as well, and a restart comes to it again.
    /// The client's call is tried until its time is over or most nodes are known to have failed, and ends as
    /// [`Failure::Panicked`](crate::Failure::Panicked).
    ///
    /// The way on is a state machine that can apply the command, be it as a refusal. Start the cluster with it on the same
    /// states: every node replays its log, and nothing is lost. It must give the answers of before to all commands before
    /// that one. If no replica could apply the command, it has not been answered to anybody, so what becomes of it is free
    /// to choose, as long as it is the same everywhere: no node may go on with the machine of before. [`Client::outcome`](crate::Client::outcome)
    /// tells what it was.
    fn apply(&mut self, command: &Self::Command) -> Self::Answer;

    /// Answers from the state as it is.
    fn query(&self, query: &Self::Query) -> Self::Answer;

    /// Whether the command is within the machine's limits. The leader asks before it takes a command in, and a batch
    /// with one command over a limit is refused whole.
    ///
    /// Limits may be configured, and may differ after a restart, so they are not checked before applying. What the log holds
    /// is applied, and [`StateMachine::apply`] must be able to.
    ///
    /// # Errors
    /// One line: the limit that is broken, and what it is.
    fn check(&self, _command: &Self::Command) -> Result<(), String> {
        Ok(())
    }

    /// The state as it is now. Later commands must not change it: it is written elsewhere meanwhile.
    ///
    /// It is made between two commands, and all clients wait: it should take microseconds. A copy of the whole state is
    /// the simplest way, and good enough for some thousands of items. A machine that holds more shares its parts
    /// with the snapshot and copies one when a command changes it, as [`kv::KeyValue`] does.
    fn snapshot(&self) -> Self::Snapshot;

    /// Replaces the state by this one, which [`StateMachine::snapshot`] made here or on another replica. What is
    /// configured, such as limits, stays as it is. From here on the machine answers as the one did that made it.
    fn restore(&mut self, snapshot: Self::Snapshot);

    /// The bytes of the answer's JSON, exactly: by them replicas bound the answers that they keep. A machine whose
    /// answers are few and short may know them without counting.
    fn answer_bytes(answer: &Self::Answer) -> usize {
        text_length(answer)
    }

    /// The state as names and values, in a fixed order, for consoles that show and compare replicas.
    fn items(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// How many items the state holds.
    fn size(&self) -> usize {
        self.items().len()
    }
}

/// A [`StateMachine`] with its clients' sessions, seen without its types.
pub trait Machine: Send {
    /// Whether the payload is a batch that [`Machine::apply`] would carry out, and within the machine's limits. Asked
    /// before a command is proposed, so that an invalid one is refused and never enters the log.
    ///
    /// # Errors
    /// One line: what does not decode, or which limit is broken.
    fn check(&self, command: &Payload) -> Result<(), String>;

    /// Applies the next committed entry. Limits are not asked for: another node, or this one before it was configured
    /// differently, may have had others when it took the command in, and all replicas must apply the same.
    ///
    /// Entries come in the order of the log, each once; anything else is a defect of the caller and panics, because
    /// going on would make this replica differ from the others for good.
    fn apply(&mut self, entry: &Entry) -> Applied;

    /// Answers a query from the state as it is.
    ///
    /// # Errors
    /// One line: why the payload is no query of this machine.
    fn query(&self, query: &Payload) -> Result<Payload, String>;

    /// The entry applied last; [`EntryId::ZERO`] when none was.
    fn applied(&self) -> EntryId;

    /// The state as names and values, in a fixed order.
    fn items(&self) -> Vec<(String, String)>;

    /// How many items the state holds.
    fn size(&self) -> usize;

    /// The state and the sessions as they are now, cheaply: later entries do not change the image.
    fn image(&self) -> Box<dyn Image>;

    /// Replaces the state and the sessions by an image's. It is that of a replica which had applied `applied` last, and
    /// which [`Machine::image`] made or [`image::load`] read.
    ///
    /// An image of another machine, or one that would take the replica back, is a defect of the caller and panics.
    fn adopt(&mut self, applied: EntryId, image: Box<dyn Image>);
}

/// The state machine of one node and its clients' sessions, which belong to the replicated state (section 8).
#[derive(Clone, Debug, Default)]
pub struct Replica<M> {
    machine: M,
    pub(crate) sessions: Sessions,
    applied: EntryId,
}

impl<M: StateMachine> Replica<M> {
    /// A replica that has applied nothing yet, around a machine in its first state.
    pub fn new(machine: M) -> Replica<M> {
        Replica::bounded(machine, Bounds::default())
    }

    /// The same, with other bounds for what a session keeps: the simulator's, whose runs are too short for the usual ones.
    pub fn bounded(machine: M, bounds: Bounds) -> Replica<M> {
        Replica { machine, sessions: Sessions::new(bounds), applied: EntryId::ZERO }
    }

    pub fn machine(&self) -> &M {
        &self.machine
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    fn apply_command(&mut self, origin: Origin, entry: EntryId, command: &Payload) -> Applied {
        self.unless_settled(origin, entry, |replica| {
            let machine = &mut replica.machine;
            let answer = command.read(|commands: &Batch<M::Command>| {
                told::<M>(commands.iter().map(|each| machine.apply(each)).collect())
            });
            match answer {
                Ok((answer, bytes)) => {
                    replica.sessions.record(origin, entry, answer.clone(), bytes);
                    Applied::Answered { entry, answer }
                }
                // It stays unrecorded: a command that was never applied leaves no answer to repeat.
                Err(reason) => Applied::Invalid(reason),
            }
        })
    }

    /// What became of the command that this entry names; if nothing has yet, what comes of it now.
    fn unless_settled(
        &mut self,
        origin: Origin,
        entry: EntryId,
        now: impl FnOnce(&mut Replica<M>) -> Applied,
    ) -> Applied {
        self.sessions.look_up(entry.index, origin).unwrap_or_else(|| now(self))
    }
}

impl<M: StateMachine> Machine for Replica<M> {
    fn check(&self, command: &Payload) -> Result<(), String> {
        command.read(|commands: &Batch<M::Command>| {
            commands.iter().try_for_each(|each| self.machine.check(each))
        })?
    }

    fn apply(&mut self, entry: &Entry) -> Applied {
        assert_eq!(
            entry.index,
            self.applied.index.next(),
            "entries are applied in the order of the log, each once (5.3)"
        );
        assert!(entry.term >= self.applied.term, "terms never go back along a log (5.3)");
        self.applied = entry.id();
        match &entry.content {
            Content::Members(configuration) => {
                self.sessions.enter(configuration.epoch);
                Applied::NoOp
            }
            Content::NoOp => Applied::NoOp,
            Content::Open { client, sessions_max } => {
                Applied::Opened { session: self.sessions.open(entry.index, *client, *sessions_max) }
            }
            Content::Command { origin, command } => self.apply_command(*origin, entry.id(), command),
            Content::Settle { origin } => self.unless_settled(*origin, entry.id(), |replica| {
                replica.sessions.give_up(*origin);
                Applied::GivenUp
            }),
        }
    }

    fn query(&self, query: &Payload) -> Result<Payload, String> {
        let answer = query.read(|query: &M::Query| Payload::checked(self.machine.query(query)))?;
        answer.map_err(|reason| format!("JSON cannot hold the answer: {reason}"))
    }

    fn applied(&self) -> EntryId {
        self.applied
    }

    fn items(&self) -> Vec<(String, String)> {
        self.machine.items()
    }

    fn size(&self) -> usize {
        self.machine.size()
    }

    fn image(&self) -> Box<dyn Image> {
        let (size, sessions) = (self.machine.size(), self.sessions.clone());
        Box::new(ReplicaImage::<M> { size, sessions, state: self.machine.snapshot() })
    }

    fn adopt(&mut self, applied: EntryId, image: Box<dyn Image>) {
        assert!(applied >= self.applied, "an image never takes a replica back (section 7)");
        let image = image.into_any().downcast::<ReplicaImage<M>>();
        let ReplicaImage { sessions, state, .. } = *image.expect("an image is adopted by its own machine");
        assert!(sessions.last_used() <= applied.index, "only what was applied has used a session (D 6.3)");
        self.machine.restore(state);
        self.sessions = sessions.in_place_of(&self.sessions);
        self.applied = applied;
    }
}

/// The answers to a batch as a payload, and the length of its text.
///
/// The commands have been applied in any case. Answers that JSON cannot hold are lost: a sentence that says why takes their
/// place, the same on every replica, for the client and in the session's table.
fn told<M: StateMachine>(answers: Batch<M::Answer>) -> (Payload, usize) {
    let payload = match Payload::checked(answers) {
        Ok(payload) => payload,
        Err(reason) => {
            let sentence = format!("JSON cannot hold the answer: {reason}");
            let sentence = serde_json::Value::from(sentence).to_string();
            let bytes = sentence.len();
            return (Payload::from_text(sentence), bytes);
        }
    };
    let answers = payload.value::<Batch<M::Answer>>().expect("it was made of them");
    // Brackets, and commas between.
    let bytes = answers.iter().map(|answer| M::answer_bytes(answer) + 1).sum::<usize>().max(1) + 1;
    (payload, bytes)
}

/// The length of the value's text, counted without making the text: a few nanoseconds for a usual answer.
///
/// Most answers are never made text, because they are told as values and acknowledged soon after.
fn text_length<T: Serialize>(value: &T) -> usize {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("JSON can hold it: it was asked");
    count.0
}
