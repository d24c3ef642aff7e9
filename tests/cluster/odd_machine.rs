//! A state machine that can do everything wrong, on request: hold what JSON cannot, and panic wherever its code is called.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use raftlab::StateMachine;
use raftlab::cluster::{Builder, Cluster};
use serde::{Deserialize, Serialize, Serializer};

use crate::PATIENCE;

/// A map that JSON cannot hold, unless it is empty.
pub type Pairs = BTreeMap<(u8, u8), u8>;

pub fn pairs() -> Pairs {
    Pairs::from([((1, 2), 3)])
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
pub enum Command {
    Add(u64),
    /// Adds one, whatever is in it.
    Pairs(Pairs),
    Number(f64),
    /// Adds one, and answers with it.
    AnswerPairs(Pairs2),
    /// The state holds this from then on.
    Keep(Kept),
    /// `check` panics.
    PanicInCheck,
    /// `apply` panics, unless the machine is repaired: then it adds a hundred.
    Panic,
    /// The caller's own type panics while it is written.
    PanicInSerialize(Wild),
    /// Takes so long that the machine moves to a thread of its own.
    Slow,
    /// From then on dropping the machine panics.
    PanicInDrop,
}

/// A list of pairs, which JSON can hold.
pub type Pairs2 = Vec<((u8, u8), u8)>;

/// What a snapshot cannot be made of.
#[derive(Clone, Copy, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub enum Kept {
    Nothing,
    Pairs,
    NotANumber,
    PanicInSnapshot,
    PanicInSerialize,
    PanicInRestore,
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
pub enum Query {
    Total,
    Pairs(Pairs),
    AnswerPairs,
    Panic,
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
pub enum Answer {
    Total(u64),
    Pairs(Pairs),
}

#[derive(Serialize, Deserialize)]
pub struct Snapshot {
    total: u64,
    kept: Kept,
    pairs: Pairs,
    number: f64,
    wild: Wild,
}

/// Panics while it is written, if it holds true.
#[derive(Clone, Deserialize, PartialEq, Debug, Default)]
#[serde(transparent)]
pub struct Wild(pub bool);

impl Serialize for Wild {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!self.0, "too wild to be written");
        serializer.serialize_bool(false)
    }
}

pub struct Odd {
    total: u64,
    kept: Kept,
    repaired: Arc<AtomicBool>,
    explosive: Cell<bool>,
}

impl Odd {
    pub fn new(repaired: &Arc<AtomicBool>) -> Odd {
        Odd { total: 0, kept: Kept::Nothing, repaired: Arc::clone(repaired), explosive: Cell::new(false) }
    }
}

impl StateMachine for Odd {
    type Command = Command;
    type Query = Query;
    type Answer = Answer;
    type Snapshot = Snapshot;

    fn apply(&mut self, command: &Command) -> Answer {
        match command {
            Command::Add(number) => self.total += number,
            Command::Panic if self.repaired.load(Ordering::SeqCst) => self.total += 100,
            Command::Panic => panic!("a poisonous command at {}", self.total),
            Command::Keep(kept) => self.kept = *kept,
            Command::Slow => {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(60) {
                    std::hint::spin_loop();
                }
            }
            Command::PanicInDrop => self.explosive.set(true),
            Command::AnswerPairs(pairs) => {
                self.total += 1;
                return Answer::Pairs(pairs.iter().copied().collect());
            }
            Command::Pairs(_) | Command::Number(_) | Command::PanicInCheck | Command::PanicInSerialize(_) => {
                self.total += 1;
            }
        }
        Answer::Total(self.total)
    }

    fn query(&self, query: &Query) -> Answer {
        match query {
            Query::Total | Query::Pairs(_) => Answer::Total(self.total),
            Query::AnswerPairs => Answer::Pairs(pairs()),
            Query::Panic => panic!("a poisonous question"),
        }
    }

    fn check(&self, command: &Command) -> Result<(), String> {
        assert_ne!(*command, Command::PanicInCheck, "a poisonous check");
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let repaired = self.repaired.load(Ordering::SeqCst);
        let kept = if repaired { Kept::Nothing } else { self.kept };
        assert_ne!(kept, Kept::PanicInSnapshot, "no state is handed out");
        Snapshot {
            total: self.total,
            kept: self.kept,
            pairs: if kept == Kept::Pairs { pairs() } else { Pairs::new() },
            number: if kept == Kept::NotANumber { f64::NAN } else { 0.0 },
            wild: Wild(kept == Kept::PanicInSerialize),
        }
    }

    fn restore(&mut self, snapshot: Snapshot) {
        let repaired = self.repaired.load(Ordering::SeqCst);
        assert!(repaired || snapshot.kept != Kept::PanicInRestore, "no state is taken over");
        (self.total, self.kept) = (snapshot.total, snapshot.kept);
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        assert!(!self.explosive.get() || std::thread::panicking(), "it does not want to go");
    }
}

/// Three such machines, patient with a busy computer.
pub fn odd_cluster(
    repaired: &Arc<AtomicBool>,
    with: impl FnOnce(Builder) -> Builder,
) -> Result<Cluster<Odd>, raftlab::cluster::StartError> {
    let repaired = Arc::clone(repaired);
    let builder = Cluster::builder().seed(7).client_timeout(PATIENCE).heartbeat(Duration::from_millis(50));
    let builder = builder.election(Duration::from_millis(300)..=Duration::from_millis(600));
    with(builder).start_with(move || Odd::new(&repaired))
}

pub fn unrepaired() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

pub fn total(cluster: &Cluster<Odd>) -> Answer {
    cluster.client().read(Query::Total).expect("a leader answers").answer
}
