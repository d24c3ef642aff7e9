//! What the parts of a node cost by themselves: a step of the core, an append to the log, an entry's text, applying a
//! command, a range of a million keys, the router.
//!
//! `cargo bench --bench parts` measures all; a word behind `--` chooses those whose name holds it. All go through the
//! library's public face. A figure is that of a group of entries or messages; criterion divides it by their number.

use std::cell::Cell;
use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use raftlab::clock::Clock;
use raftlab::config::RaftSettings;
use raftlab::net::Transport;
use raftlab::net::inbox::inbox;
use raftlab::net::router::{Router, RouterSettings};
use raftlab::payload::{Batch, Payload};
use raftlab::protocol::{Address, Envelope, Packet};
use raftlab::raft::effects::{Effects, HardState, Input, Proposal, Write};
use raftlab::raft::entry::{Content, Entry, Origin};
use raftlab::raft::message::{self, Beat, Body, Message};
use raftlab::raft::role::Role;
use raftlab::raft::{Raft, Recovered};
use raftlab::state_machine::kv::{Command, Direction, KeyValue, Keys, Query, Range, SortBy};
use raftlab::state_machine::{Machine, Replica, StateMachine};
use raftlab::storage::json_store::{JsonStore, SEGMENT_BYTES};
use raftlab::storage::memory::{Files, MemoryDisk};
use raftlab::storage::memory_store::MemoryContent;
use raftlab::storage::{ClusterId, Identity, NewStore, Storage, no_image};
use raftlab::types::{ClientId, EntryId, Epoch, LogIndex, NodeId, Random, SessionId, Term, Time};

/// As in the programs: commands are made on one thread and let go on others.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Entries, commands or messages in a group.
const GROUP: u64 = 64;
/// Keys that the commands are about.
const KEYS: u64 = 10_000;
/// How long a message may take through the router before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for part in [core, log, codec, apply, ranges, router] {
        part(&mut criterion);
    }
    criterion.final_summary();
}

/// Three cores in memory, whose disks complete each write at once and whose messages arrive at once.
#[derive(Clone)]
struct Cores {
    nodes: Vec<Raft>,
    now: Time,
    proposed: u64,
}

/// A leader proposes, replicates and commits; its followers learn of it.
fn core(criterion: &mut Criterion) {
    let elected = Cores::elected();
    let mut group = criterion.benchmark_group("core");
    for count in [1, GROUP] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} proposed, replicated, committed by three"), |bencher| {
            let begin = || (elected.clone(), (1..=count).map(content).collect());
            let commit =
                |(cores, contents): &mut (Cores, Vec<Content>)| cores.commit(std::mem::take(contents));
            bencher.iter_batched_ref(begin, commit, BatchSize::SmallInput);
        });
    }
    group.finish();
}

impl Cores {
    /// The first node leads, and all have its no-op.
    fn elected() -> Cores {
        let names = NodeId::first(3);
        let start = |name: &NodeId| {
            let random = Random::new(u64::from(name.number()));
            let settings = RaftSettings::default();
            Raft::new(*name, settings, Recovered::founder(names.clone()), random, Time::ZERO)
        };
        let mut cores = Cores { nodes: names.iter().map(start).collect(), now: Time::ZERO, proposed: 0 };
        cores.run(0, vec![Input::Campaign]);
        assert!(matches!(cores.nodes[0].role(), Role::Leader(_)), "the others vote for it");
        cores
    }

    fn commit(&mut self, contents: Vec<Content>) {
        self.proposed += contents.len() as u64;
        let proposals = contents.into_iter().map(|content| Input::Propose(Proposal { id: 1, content }));
        self.run(0, proposals.collect());
        let committed = LogIndex(self.proposed + 1);
        assert_eq!(self.nodes[0].commit_index(), committed, "a quorum has all that was proposed");
    }

    /// Gives a node these inputs, and all nodes what follows from them, until nobody has anything to say.
    fn run(&mut self, node: usize, inputs: Vec<Input>) {
        let mut waiting = VecDeque::from([(node, inputs)]);
        while let Some((node, mut inputs)) = waiting.pop_front() {
            let Effects { mut messages, write, .. } = self.nodes[node].step(self.now, &mut inputs);
            if let Some(write) = write {
                messages.extend(write.then);
                waiting.push_front((node, vec![Input::Persisted(write.id)]));
            }
            for message in messages {
                let to = usize::from(message.to.number()) - 1;
                waiting.push_back((to, vec![Input::Message(message)]));
            }
        }
    }
}

/// A group of entries taken in by a node's store, short of the sync.
fn log(criterion: &mut Criterion) {
    const WRITES: u64 = 16;
    let identity = identity();
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(WRITES * GROUP));
    group.bench_function("append to the store in memory", |bencher| {
        let open = || {
            let content = MemoryContent::new(identity);
            (
                content.open(&NewStore::founding(NodeId::first(3)), no_image).expect("an empty store").0,
                log_writes(WRITES),
            )
        };
        bencher.iter_batched_ref(
            open,
            |(store, writes)| append(store, writes.drain(..)),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("append to a segment of lines, text and checksum included", |bencher| {
        let open = || (new_lines(empty_disk(), &identity), log_writes(WRITES));
        bencher.iter_batched_ref(
            open,
            |(store, writes)| append(store, writes.drain(..)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn append(store: &mut impl Storage, writes: impl IntoIterator<Item = Write>) {
    for write in writes {
        store.write(write).expect("the store takes it");
    }
}

/// Entries in groups, whose text nobody has made yet.
fn log_writes(count: u64) -> Vec<Write> {
    let group = |number: u64| Write {
        id: number + 1,
        entries: (1..=GROUP).map(|place| entry(number * GROUP + place)).collect(),
        ..Write::default()
    };
    (0..count).map(group).collect()
}

fn open_lines(disk: MemoryDisk, identity: &Identity) -> (JsonStore<MemoryDisk>, Vec<Entry>) {
    let opened =
        JsonStore::open(disk, identity, SEGMENT_BYTES, &NewStore::founding(NodeId::first(3)), no_image);
    let (store, recovered) = opened.expect("the files are right");
    (store, recovered.entries)
}

/// A node's files on this disk, which is empty, in the term of the entries that are to come.
fn new_lines(disk: MemoryDisk, identity: &Identity) -> JsonStore<MemoryDisk> {
    let (mut store, _) = open_lines(disk, identity);
    let hard_state = HardState { current_term: Term(1), ..HardState::default() };
    append(&mut store, [Write { hard_state: Some(hard_state), ..Write::default() }]);
    store
}

fn empty_disk() -> MemoryDisk {
    MemoryDisk::new("memory", Files::new())
}

/// A command's two faces, each made from the other, and a log read back from its lines.
fn codec(criterion: &mut Criterion) {
    const WRITES: u64 = 64;
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    group.bench_function("a command to its text", |bencher| {
        let begin = || Payload::batch([command(7)]);
        bencher.iter_batched_ref(begin, |payload| payload.text().len(), BatchSize::SmallInput);
    });
    let text = Payload::batch([command(7)]).text().to_string();
    group.bench_function("a command from its text", |bencher| {
        let begin = || Payload::from_text(text.as_str());
        let decode = |payload: &mut Payload| payload.value::<Batch<Command>>().expect("its own text").len();
        bencher.iter_batched_ref(begin, decode, BatchSize::SmallInput);
    });

    let identity = identity();
    let disk = empty_disk();
    let mut store = new_lines(disk.clone(), &identity);
    append(&mut store, log_writes(WRITES));
    store.sync().expect("memory does not fail");
    let files = disk.files();
    group.throughput(Throughput::Elements(WRITES * GROUP));
    group.bench_function(
        "entries from their lines, checksums and the opening of the store included",
        |bencher| {
            let copy = || MemoryDisk::new("memory", files.clone());
            bencher.iter_batched(copy, |disk| open_lines(disk, &identity), BatchSize::SmallInput);
        },
    );
    group.finish();
}

/// Ranges of a store with a million keys: the first, which sorts them; those that follow; and a change of a value beside them.
fn ranges(criterion: &mut Criterion) {
    const MANY: u64 = 1_000_000;
    let mut filled = KeyValue::default();
    for key in 0..MANY {
        filled.apply(&Command::put(format!("user:{key:07}"), "1"));
    }
    let all = || Keys::From("".into());
    let tenth = || Keys::Between("user:0500000".into(), "user:0600000".into());
    let query = |range| Query::Range(Box::new(range));
    let limited = |keys, limit| Range { limit, ..Range::of(keys) };
    let restored = || {
        let mut store = KeyValue::default();
        store.restore(filled.snapshot());
        store
    };
    let mut group = criterion.benchmark_group("a million keys");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    let first = query(limited(tenth(), 1));
    group.bench_function("the first range sorts them", |bencher| {
        bencher.iter_batched_ref(restored, |store| store.query(&first), BatchSize::PerIteration);
    });
    let mut store = restored();
    store.query(&first);
    let newest =
        Range { direction: Some(Direction::Descending), sort_by: SortBy::Modified, ..limited(all(), 1_000) };
    for (name, range) in [
        ("one key", Range::of(Keys::One("user:0500000".into()))),
        ("1,000 of all, and their count", limited(all(), 1_000)),
        ("the last 1,000 of all", Range { direction: Some(Direction::Descending), ..limited(all(), 1_000) }),
        ("the newest 1,000 of all", newest),
        ("1,000 of a range of 100,000, and their count", limited(tenth(), 1_000)),
        ("all of a range of 100,000", Range::of(tenth())),
        ("the count of all", Range { only_count: true, ..Range::of(all()) }),
        ("all, refused as too many", Range::of(all())),
    ] {
        let query = query(range);
        group.bench_function(name, |bencher| bencher.iter(|| black_box(store.query(&query))));
    }
    let put = Command::put("user:0500000", "2");
    group.bench_function("a put beside an index", |bencher| bencher.iter(|| black_box(store.apply(&put))));
    let mut plain = restored();
    group.bench_function("a put without one", |bencher| bencher.iter(|| black_box(plain.apply(&put))));
    group.finish();
}

/// Committed commands applied to a key-value store with sessions.
fn apply(criterion: &mut Criterion) {
    let mut replica = Replica::new(KeyValue::default());
    let open = Content::Open { client: ClientId(1), sessions_max: 10 };
    replica.apply(&Entry { index: LogIndex(1), term: Term(1), content: open });
    // One replica for all, so that its log goes on from sample to sample.
    let last = Cell::new(1);
    let mut group = criterion.benchmark_group("apply");
    group.throughput(Throughput::Elements(GROUP));
    group.bench_function("puts of a session, answers kept", |bencher| {
        let begin = || {
            let first = last.get() + 1;
            last.set(last.get() + GROUP);
            (first..first + GROUP).map(entry).collect::<Vec<Entry>>()
        };
        let apply = |entries: &mut Vec<Entry>| {
            for entry in &*entries {
                black_box(replica.apply(entry));
            }
        };
        bencher.iter_batched_ref(begin, apply, BatchSize::PerIteration);
    });
    group.finish();
}

/// A group of envelopes from one node to another, through the router's thread.
fn router(criterion: &mut Criterion) {
    let names = NodeId::first(2);
    let (from, to) = (Address::Node(names[0]), Address::Node(names[1]));
    let mut group = criterion.benchmark_group("router");
    group.throughput(Throughput::Elements(GROUP));
    for (what, express) in [("through its thread", false), ("on an express lane", true)] {
        let settings = RouterSettings { express, ..RouterSettings::default() };
        let router = Router::start(&names, &settings, Clock::start(), Random::new(1)).expect("a thread");
        let handle = router.handle();
        let (sender, receiver) = inbox(1 << 10, 64 << 20);
        handle.register(to, sender);
        group.bench_function(format!("a group of {GROUP}, until it is there, {what}"), |bencher| {
            let begin = || (1..=GROUP).map(|number| envelope(from, to, number)).collect::<Vec<Envelope>>();
            let send = |group: &mut Vec<Envelope>| {
                handle.send(group);
                let until = Instant::now() + PATIENCE;
                let arrived = receiver.recv_deadline(until).expect("nothing is lost on a link without rules");
                assert_eq!(arrived.len() as u64, GROUP, "a group stays together");
                arrived
            };
            bencher.iter_batched_ref(begin, send, BatchSize::SmallInput);
        });
        router.stop();
    }
    group.finish();
}

fn envelope(from: Address, to: Address, number: u64) -> Envelope {
    let body = Body::AppendEntries {
        prev: EntryId::new(Term(1), LogIndex(number)),
        entries: vec![entry(number + 1)],
        commit: LogIndex(number),
        beat: Beat { round: 1, ..Beat::default() },
    };
    let message = Message {
        from: NodeId::new(1),
        to: NodeId::new(2),
        term: Term(1),
        files: message::Files::FOUNDERS,
        body,
    };
    Envelope::new(from, to, Packet::Raft(message))
}

/// The command at this place of a log whose first entry opened the session.
fn entry(index: u64) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), content: content(index) }
}

fn content(number: u64) -> Content {
    let origin = Origin { session: SessionId(1), serial: number, acknowledged: number };
    Content::Command { origin, command: Payload::batch([command(number)]) }
}

fn command(number: u64) -> Command {
    // Neighbors in the log are strangers among the keys.
    Command::put(format!("k{}", number.wrapping_mul(7_919) % KEYS), "0123456789abcdef")
}

fn identity() -> Identity {
    Identity { cluster: ClusterId(1), epoch: Epoch::FIRST, node: NodeId::new(1) }
}
