//! The store of legible files through its public face: what survives which fault, and what is refused.

mod crash;
mod damage;
mod failure;
mod opening;

use raftlab::payload::Payload;
use raftlab::raft::effects::{HardState, Write};
use raftlab::raft::log::{Content, Entry, Origin};
use raftlab::storage::disk::Disk;
use raftlab::storage::json_store::JsonStore;
use raftlab::storage::{ClusterId, Identity, Recovered, Storage, StorageError};
use raftlab::types::{LogIndex, NodeId, SessionId, Term};

/// So small that a segment holds three entries.
const SEGMENT_BYTES: u64 = 250;

fn identity() -> Identity {
    Identity { cluster: ClusterId(0xc1), node: NodeId::new(1), members: NodeId::first(3) }
}

fn open<D: Disk>(disk: D) -> Result<(JsonStore<D>, Recovered), StorageError> {
    JsonStore::open(disk, &identity(), SEGMENT_BYTES)
}

/// The refusal's message, which is one line.
fn refusal<T>(result: Result<T, StorageError>) -> String {
    let message = result.err().expect("it is refused").to_string();
    assert!(!message.contains('\n') && message.contains("n1"), "one line that names the place: {message}");
    message
}

fn entry(index: u64, term: u64) -> Entry {
    let origin = Origin { session: SessionId(7), serial: index, acknowledged: index - 1 };
    let command = Payload::from_text(format!("{{\"put\":[\"k{index}\",\"{term}\"]}}"));
    Entry { index: LogIndex(index), term: Term(term), content: Content::Command { origin, command } }
}

fn opens_term(index: u64, term: u64) -> Entry {
    Entry { index: LogIndex(index), term: Term(term), content: Content::NoOp }
}

fn voting(term: u64, node: u8) -> Write {
    let voted_for = Some(NodeId::new(node));
    Write {
        hard_state: Some(HardState { current_term: Term(term), voted_for, ..HardState::default() }),
        ..Write::default()
    }
}

fn appending(entries: &[Entry]) -> Write {
    Write { entries: entries.to_vec(), ..Write::default() }
}

fn truncating(from: u64) -> Write {
    Write { truncate_from: Some(LogIndex(from)), ..Write::default() }
}

/// What a run asks of the store.
enum Action {
    Write(Write),
    Sync,
}

/// A run that does everything a store can be asked to: votes, appends over several segments, several writes under one
/// sync, truncations within a segment, over segments, in a term of its own or later, and of entries that were not yet
/// synced.
fn run_of_everything() -> Vec<Action> {
    let after_election = Write {
        truncate_from: Some(LogIndex(5)),
        entries: vec![opens_term(5, 2), entry(6, 2)],
        ..voting(2, 2)
    };
    let far_back =
        Write { truncate_from: Some(LogIndex(2)), entries: vec![opens_term(2, 4)], ..voting(4, 3) };
    vec![
        Action::Write(voting(1, 1)),
        Action::Sync,
        Action::Write(appending(&[opens_term(1, 1), entry(2, 1), entry(3, 1)])),
        Action::Sync,
        Action::Write(appending(&[entry(4, 1), entry(5, 1), entry(6, 1)])),
        Action::Write(appending(&[entry(7, 1)])),
        Action::Sync,
        Action::Write(after_election),
        Action::Sync,
        Action::Write(appending(&[entry(7, 2), entry(8, 2), entry(9, 2)])),
        Action::Write(voting(3, 3)),
        Action::Sync,
        Action::Write(far_back),
        Action::Sync,
        Action::Write(appending(&[entry(3, 4), entry(4, 4), entry(5, 4), entry(6, 4)])),
        Action::Write(truncating(5)),
        Action::Write(appending(&[entry(5, 4)])),
        Action::Sync,
        Action::Write(appending(&[entry(6, 4), entry(7, 4)])),
        Action::Sync,
        Action::Write(voting(5, 1)),
        Action::Write(truncating(7)),
        Action::Sync,
        Action::Write(appending(&[entry(7, 5), entry(8, 5), entry(9, 5)])),
        Action::Write(Write { truncate_from: Some(LogIndex(9)), ..voting(6, 1) }),
        Action::Write(appending(&[entry(9, 6)])),
    ]
}

/// Every state that a store may be in after a crash, in their order, and which of them the run has reached.
struct Model {
    states: Vec<(HardState, Vec<Entry>)>,
    /// Nothing before this one may be found any more.
    synced: usize,
}

impl Model {
    fn new() -> Model {
        Model { states: vec![(HardState::default(), Vec::new())], synced: 0 }
    }

    /// First term and vote change, then entries go one by one, then entries come one by one.
    fn begins(&mut self, write: &Write) {
        let (mut hard_state, mut log) = self.states.last().expect("never empty").clone();
        hard_state = write.hard_state.unwrap_or(hard_state);
        self.states.push((hard_state, log.clone()));
        while write.truncate_from.is_some_and(|from| log.last().is_some_and(|last| last.index >= from)) {
            log.pop();
            self.states.push((hard_state, log.clone()));
        }
        for entry in &write.entries {
            log.push(entry.clone());
            self.states.push((hard_state, log.clone()));
        }
    }

    fn synced(&mut self) {
        self.synced = self.states.len() - 1;
    }

    /// Term and vote may be ahead of the log, never behind it.
    fn check(&self, recovered: &Recovered, context: &str) {
        let allowed = self.states[self.synced..].iter().enumerate().any(|(place, (_, log))| {
            let later = &self.states[self.synced + place..];
            *log == recovered.entries && later.iter().any(|(state, _)| *state == recovered.hard_state)
        });
        let found: Vec<String> = recovered.entries.iter().map(|entry| entry.id().to_string()).collect();
        assert!(allowed, "{context}: found {:?} and the log {found:?}", recovered.hard_state);
    }
}

/// Carries the actions out until one fails. The store is poisoned then.
fn carry_out(store: &mut impl Storage, actions: &[Action], model: &mut Model) -> Result<(), StorageError> {
    for action in actions {
        let result = match action {
            Action::Write(write) => {
                model.begins(write);
                store.write(write)
            }
            Action::Sync => store.sync(),
        };
        if let Err(error) = result {
            assert!(
                matches!(store.sync(), Err(StorageError::Poisoned { .. })),
                "a failed fsync is not retried"
            );
            let later = store.write(&Write::default());
            assert!(matches!(later, Err(StorageError::Poisoned { .. })), "nothing more is written");
            return Err(error);
        }
        if matches!(action, Action::Sync) {
            model.synced();
        }
    }
    Ok(())
}
