//! The store of legible files through its public face: what survives which fault, and what is refused.

mod crash;
mod damage;
mod failure;
mod full;
mod image;
mod model;
mod opening;
mod recovery;
mod snapshots;
mod stale;

use raftlab::payload::Payload;
use raftlab::raft::effects::{HardState, Write};
use raftlab::raft::entry::{Content, Entry, Origin};
use raftlab::raft::membership::Configured;
use raftlab::storage::disk::Disk;
use raftlab::storage::json_store::JsonStore;
use raftlab::storage::snapshots::{SnapshotFiles, Snapshots};
use raftlab::storage::{ClusterId, Identity, NewStore, Recovered, Storage, StorageError};
use raftlab::types::{Epoch, FOUNDERS_STORE, LogIndex, Member, NodeId, SessionId, Term};

use image::load_table;

/// So small that a segment holds three entries.
const SEGMENT_BYTES: u64 = 250;

fn identity() -> Identity {
    Identity { cluster: ClusterId(0xc1), epoch: Epoch::FIRST, node: NodeId::new(1) }
}

fn founding() -> NewStore {
    NewStore::founding(NodeId::first(3))
}

fn founders() -> Configured {
    Configured::founders(NodeId::first(3))
}

fn open<D: Disk>(disk: D) -> Result<(JsonStore<D>, Recovered), StorageError> {
    JsonStore::open(disk, &identity(), SEGMENT_BYTES, &founding(), load_table)
}

/// The snapshots that lie beside the log in this folder.
fn beside<D: Disk>(disk: D) -> Snapshots<D> {
    Snapshots::new(disk, identity().cluster)
}

/// Removes all that the store has let go of, as its driver does.
fn remove_stale<D: Disk + Clone>(store: &mut impl Storage, disk: &D) {
    for file in store.take_stale() {
        beside(disk.clone()).remove_stale(&file).expect("no failure is planned");
    }
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
        hard_state: Some(HardState {
            current_term: Term(term),
            voted_for: voted_for.map(Member::founder),
            store_id: FOUNDERS_STORE,
            ..HardState::default()
        }),
        ..Write::default()
    }
}

fn appending(entries: &[Entry]) -> Write {
    Write { entries: entries.to_vec(), ..Write::default() }
}

fn truncating(from: u64) -> Write {
    Write { truncate_from: Some(LogIndex(from)), ..Write::default() }
}
