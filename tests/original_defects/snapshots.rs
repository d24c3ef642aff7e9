//! S3, S4, S13, L14, L15 again, with snapshots. On threads, L14 is shown in `tests/endurance.rs`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use raftlab::faults::{LinkScope, NetChange};
use raftlab::lab::{DiskChange, Lab, Life, NodeOrder};
use raftlab::protocol::{Address, Envelope, Packet};
use raftlab::raft::effects::{HardState, Rebase, Write};
use raftlab::raft::entry::{Content, Entry};
use raftlab::raft::event::Event;
use raftlab::raft::membership::Configured;
use raftlab::raft::message::{Body, Message};
use raftlab::raft::role::{ProgressState, Role};
use raftlab::server::{Arrival, Outbox, Server};
use raftlab::sim::mutation::Mutation;
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::state_machine::image;
use raftlab::state_machine::kv::KeyValue;
use raftlab::state_machine::{Machine, Replica};
use raftlab::storage::json_store::JsonStore;
use raftlab::storage::simulated::{DiskFailure, SimulatedDisk};
use raftlab::storage::snapshots::{SnapshotFiles, Snapshots};
use raftlab::storage::{ClusterId, Identity, NewStore, Recovered, Storage, StorageError};
use raftlab::trace::{Flight, TraceEvent, What};
use raftlab::types::{ClientId, EntryId, Epoch, LogIndex, NodeId, Random, Term, Time};

use crate::{Counter, START, cluster, create, followers, is_caught, leader, run_for};

#[test]
fn s3_a_suffix_of_another_term_is_not_kept_behind_a_snapshot() {
    is_caught("foreign-suffix-kept");
}

#[test]
fn s13_a_late_snapshot_moves_nothing_back() {
    is_caught("applied-set-back");
    is_caught("old-snapshot-wipes-log");
}

#[test]
fn s4_a_power_cut_between_a_snapshot_and_its_log_shifts_no_entry() {
    const ENTRIES: u64 = 12;
    const COVERED: u64 = 9;
    let mut shifted = 0;
    for (operation, seed) in (1..=30).flat_map(|operation| (0..10).map(move |seed| (operation, seed))) {
        let disk = disk_with_entries(ENTRIES);
        disk.fail_at(disk.operations() + operation, DiskFailure::PowerCut);
        // As far as it comes.
        let _ = compact(&disk, COVERED);
        disk.power_cut(&mut Random::new(seed));
        let (_, recovered) = open(&disk).expect("whatever was cut off, the rest fits together");
        let covered = recovered.snapshot.map_or(0, |snapshot| snapshot.id.index.0);
        assert!(recovered.base.index.0 <= covered, "no entry is missing behind the snapshot");
        let expected: Vec<Entry> = (recovered.base.index.0 + 1..=ENTRIES).map(entry).collect();
        assert_eq!(recovered.entries, expected, "each entry is where it was");

        // The original's log: the first line is the entry that follows the snapshot.
        let first = recovered.entries.first().map(|entry| entry.index.0);
        shifted += u64::from(first.is_some_and(|first| first != covered + 1));
    }
    assert!(shifted > 0, "the defect shows: a cut between the two, and entries read at other places");
}

/// Takes a snapshot, then removes from the log what it covers.
fn compact(disk: &SimulatedDisk, covered: u64) -> Result<(), StorageError> {
    let (mut store, _) = open(disk)?;
    let mut snapshots = Snapshots::new(disk.clone(), identity().cluster);
    let last = EntryId::new(Term(1), LogIndex(covered));
    snapshots.save(
        last,
        &Configured::founders(NodeId::first(3)),
        &*Replica::new(KeyValue::default()).image(),
        &|| true,
    )?;
    store.write(Write { id: 2, rebase: Some(Rebase::Compact(last)), ..Write::default() })?;
    store.sync()
}

fn open(disk: &SimulatedDisk) -> Result<(JsonStore<SimulatedDisk>, Recovered), StorageError> {
    // Three entries or so.
    const SEGMENT_BYTES: u64 = 200;
    JsonStore::open(
        disk.clone(),
        &identity(),
        SEGMENT_BYTES,
        &NewStore::founding(NodeId::first(3)),
        image::load::<KeyValue>,
    )
}

fn identity() -> Identity {
    Identity { cluster: ClusterId(1), epoch: Epoch::FIRST, node: NodeId::new(1) }
}

fn entry(index: u64) -> Entry {
    let content = Content::Open { client: ClientId(1000 + index), sessions_max: 9 };
    Entry { index: LogIndex(index), term: Term(1), content }
}

fn disk_with_entries(count: u64) -> SimulatedDisk {
    let disk = SimulatedDisk::new("n1");
    let (mut store, _) = open(&disk).expect("an empty disk is no obstacle");
    for index in 1..=count {
        let hard_state = Some(HardState { current_term: Term(1), ..HardState::default() });
        let write = Write { id: index, hard_state, entries: vec![entry(index)], ..Write::default() };
        store.write(write).and_then(|()| store.sync()).expect("the disk works");
    }
    disk
}

#[test]
fn l14_neither_saving_a_snapshot_nor_applying_delays_heartbeats() {
    // Longer than any election timeout.
    const SAVING: Duration = Duration::from_millis(400);
    const APPLYING: Duration = Duration::from_millis(200);
    let elections = |on_one_thread| {
        let mut settings = SimulationSettings::new(3, 1);
        settings.machine_delay = APPLYING;
        settings.raft.snapshot_entries = 5;
        settings.raft.trailing_entries = 0;
        let mut simulation = cluster(settings, None);
        let before = *simulation.tally();
        let first = leader(&mut simulation);
        simulation.order(first, NodeOrder::Disk(DiskChange::Slow(SAVING))).expect("a disk can be slow");
        for _ in 0..20 {
            create(&mut simulation, None, 5, 1);
            if on_one_thread {
                // The original's node has one thread for all: what it saves holds up what it says.
                let leader = leader(&mut simulation);
                simulation.order(leader, NodeOrder::Pause).expect("it runs");
                run_for(&mut simulation, SAVING);
                simulation.order(leader, NodeOrder::Resume).expect("it is paused");
            }
            run_for(&mut simulation, Duration::from_secs(2));
        }
        let tally = simulation.tally();
        assert!(tally.snapshots_saved >= before.snapshots_saved + 20, "snapshots were saved, by all nodes");
        tally.elections - before.elections
    };
    assert_eq!(elections(false), 0, "the disk and the state machine are slow, and no node doubts the leader");
    assert!(elections(true) > 0, "the defect shows");
}

/// Sends the last part again at each of its steps, as long as the follower needs it.
#[derive(Default)]
struct SendsAgain(Option<Envelope>);

impl Mutation for SendsAgain {
    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        let Role::Leader(leader) = server.raft().role() else { return };
        let sent = outbox.envelopes.iter().rfind(|envelope| part_of(envelope).is_some()).cloned();
        self.0 = sent.or(self.0.take());
        let needs_it = |to: Address| {
            leader.followers.iter().any(|(name, progress)| {
                to == Address::Node(*name) && matches!(progress.state, ProgressState::Snapshot(_))
            })
        };
        outbox.envelopes.extend(self.0.clone().filter(|envelope| needs_it(envelope.to)));
    }
}

/// The bytes of a snapshot in an envelope, if it carries some.
fn part_of(envelope: &Envelope) -> Option<usize> {
    match &envelope.packet {
        Packet::Raft(Message { body: Body::InstallSnapshot { data, .. }, .. }) => Some(data.len()),
        _ => None,
    }
}

#[test]
fn l15_a_snapshot_travels_in_bounded_parts_and_each_of_them_once() {
    const PART: usize = 2_000;
    // The largest part, and how often the whole snapshot was sent.
    let sent = |part_bytes, mutation: Option<Box<dyn Mutation>>| {
        let mut settings = SimulationSettings::new(3, 1);
        settings.raft.snapshot_part_bytes = part_bytes;
        settings.raft.trailing_entries = 0;
        let mut simulation = cluster(settings, None);
        create(&mut simulation, None, 50, 1_000);
        let (leader, empty) = (leader(&mut simulation), followers(&mut simulation)[0]);
        simulation.order(leader, NodeOrder::TakeSnapshot).expect("it runs");
        run_for(&mut simulation, Duration::from_secs(1));
        let size = simulation.view(leader).status.snapshot.bytes;
        assert!(size > 50_000, "a snapshot of all values");
        // An answer takes nearly a round of heartbeats.
        let (delay, jitter, scope) = (Duration::from_millis(20), Duration::ZERO, LinkScope::All);
        simulation.change(&NetChange::Delay { delay, jitter, scope }).expect("links can be slow");
        let (largest, bytes) = (Arc::new(Mutex::new(0)), Counter::default());
        let (seen, counter) = (Arc::clone(&largest), bytes.clone());
        simulation.set_observer(Some(Arc::new(move |event: &TraceEvent| {
            let What::MessageSent { flight: Flight { message, .. }, .. } = &event.what else {
                return;
            };
            if let Body::InstallSnapshot { data, .. } = &message.body {
                let mut largest = seen.lock().expect("nobody panicked");
                *largest = data.len().max(*largest);
                counter.add(data.len());
            }
        })));
        if let Some(mutation) = mutation {
            simulation.break_rule(mutation);
        }
        simulation.order(empty, NodeOrder::Crash).expect("it runs");
        simulation.order(empty, NodeOrder::Wipe).expect("it starts from nothing");
        run_for(&mut simulation, Duration::from_secs(20));
        let caught_up =
            simulation.items(empty).expect("it runs") == simulation.items(leader).expect("it runs");
        assert!(caught_up, "it has everything");
        let largest = *largest.lock().expect("nobody panicked");
        (largest, bytes.get() / size)
    };
    assert_eq!(sent(PART, None), (PART, 1));
    let (largest, _) = sent(usize::MAX, None);
    assert!(largest > 50_000, "the defect shows: one message, however large the state is");
    let (_, times) = sent(PART, Some(Box::<SendsAgain>::default()));
    assert!(times > 1, "the defect shows: it is sent again and again");
}

/// Changes the first part of a snapshot that arrives, and keeps what it made of it.
struct Damages {
    change: fn(&mut Vec<u8>),
    made: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Mutation for Damages {
    fn before(&mut self, _now: Time, _server: &mut Server, arrivals: &mut Vec<Arrival>) {
        for arrival in arrivals {
            let Arrival::Envelope(Envelope { packet: Packet::Raft(message), .. }) = arrival else { continue };
            let Body::InstallSnapshot { data, .. } = &mut message.body else { continue };
            let mut made = self.made.lock().expect("nobody panicked");
            if made.is_none() {
                let mut bytes = data.to_vec();
                (self.change)(&mut bytes);
                *data = Arc::from(&bytes[..]);
                *made = Some(bytes);
            }
        }
    }
}

#[test]
fn l15_a_snapshot_that_is_damaged_or_longer_than_it_should_be_is_refused_and_sent_anew() {
    let one_letter = |bytes: &mut Vec<u8>| {
        let place = bytes.windows(3).position(|three| three == b"vvv").expect("a value is in it");
        bytes[place] = b'w';
    };
    let longer = |bytes: &mut Vec<u8>| bytes.extend([b' '; 10_000]);
    for change in [one_letter, longer] {
        let mut settings = SimulationSettings::new(3, 1);
        settings.raft.trailing_entries = 0;
        let mut simulation = cluster(settings, None);
        create(&mut simulation, None, 5, 10);
        let (leader, empty) = (leader(&mut simulation), followers(&mut simulation)[0]);
        simulation.order(leader, NodeOrder::TakeSnapshot).expect("it runs");
        run_for(&mut simulation, Duration::from_secs(1));
        let refused = Counter::default();
        let counter = refused.clone();
        simulation.set_observer(Some(Arc::new(move |event: &TraceEvent| {
            counter.add(usize::from(matches!(event.what, What::Raft(Event::SnapshotUnusable { .. }))));
        })));
        let made = Arc::new(Mutex::new(None));
        simulation.break_rule(Box::new(Damages { change, made: Arc::clone(&made) }));
        simulation.order(empty, NodeOrder::Crash).expect("it runs");
        simulation.order(empty, NodeOrder::Wipe).expect("it starts from nothing");
        run_for(&mut simulation, Duration::from_secs(5));
        assert_eq!(refused.get(), 1, "the damage is noticed");
        let caught_up =
            simulation.items(empty).expect("it runs") == simulation.items(leader).expect("it runs");
        assert!(caught_up, "it was sent anew");
        assert_eq!(simulation.safety().violations(), []);

        // The original takes whatever can be read.
        let made = made.lock().expect("nobody panicked").clone().expect("a part was changed");
        assert!(
            serde_json::from_slice::<serde_json::Value>(&made).is_ok(),
            "the defect shows: it can be read"
        );
    }
}

/// A leader with a snapshot that a follower needs, which is down: how many transfers began, and how many snapshots arrived
/// unusable.
fn with_a_follower_that_is_behind(part_bytes: usize) -> (Simulation, NodeId, NodeId, [Counter; 2]) {
    let mut settings = SimulationSettings::new(3, 1);
    settings.raft.trailing_entries = 0;
    settings.raft.snapshot_part_bytes = part_bytes;
    let mut simulation = cluster(settings, None);
    let (leader, behind) = (leader(&mut simulation), followers(&mut simulation)[0]);
    simulation.order(behind, NodeOrder::Crash).expect("it runs");
    create(&mut simulation, None, 50, 100);
    simulation.order(leader, NodeOrder::TakeSnapshot).expect("it runs");
    run_for(&mut simulation, Duration::from_secs(1));
    let [begun, refused] = [Counter::default(), Counter::default()];
    let counters = [begun.clone(), refused.clone()];
    simulation.set_observer(Some(Arc::new(move |event: &TraceEvent| {
        begun.add(usize::from(matches!(event.what, What::Raft(Event::SnapshotSending { .. }))));
        refused.add(usize::from(matches!(event.what, What::Raft(Event::SnapshotUnusable { .. }))));
    })));
    (simulation, leader, behind, counters)
}

/// Changes a byte at the end of the newest snapshot of this node. Its file.
fn damage(simulation: &mut Simulation, node: NodeId) -> String {
    let snapshot = simulation.view(node).status.snapshot;
    let file = format!("snapshot-{:020}.json", snapshot.last.index.0);
    let place = usize::try_from(snapshot.bytes).expect("a small file") - 100;
    simulation.disk_of(node).flip(&file, place, 1);
    file
}

/// The same file would be sent ten times a second, and thrown away, without end.
#[test]
fn a_leader_whose_snapshot_is_damaged_ends_and_names_the_file() {
    let (mut simulation, leader, behind, [_, refused]) = with_a_follower_that_is_behind(1 << 20);
    let file = damage(&mut simulation, leader);
    simulation.order(behind, NodeOrder::Restart).expect("it starts");
    run_for(&mut simulation, Duration::from_secs(5));
    assert_eq!(refused.get(), 1, "it is sent once");
    let Life::Down(reason) = simulation.view(leader).life else { panic!("{leader} holds damage and runs") };
    assert!(reason.contains(&format!("{leader}/{file} is damaged")), "{reason}");
    let successor = crate::leader(&mut simulation);
    assert_eq!(simulation.items(behind).expect("it runs"), simulation.items(successor).expect("it runs"));
    assert_eq!(simulation.safety().violations(), []);
}

#[test]
fn of_a_snapshot_that_is_damaged_on_the_leaders_disk_the_newest_takes_the_place() {
    let (mut simulation, leader, behind, [begun, refused]) = with_a_follower_that_is_behind(100);
    let older = simulation.view(leader).status.snapshot.last;
    simulation.order(behind, NodeOrder::Restart).expect("it starts");
    while begun.get() == 0 {
        assert!(simulation.now() < START + Duration::from_secs(20), "the follower needs a snapshot");
        run_for(&mut simulation, Duration::from_millis(1));
    }
    damage(&mut simulation, leader);
    create(&mut simulation, None, 1, 10);
    simulation.order(leader, NodeOrder::TakeSnapshot).expect("it runs");
    run_for(&mut simulation, Duration::from_secs(5));
    assert_eq!(refused.get(), 1, "the older one, which is damaged");
    let view = simulation.view(leader);
    assert_eq!(view.life, Life::Up, "its newest snapshot is whole");
    assert!(view.status.snapshot.last.index > older.index);
    assert_eq!(simulation.items(behind).expect("it runs"), simulation.items(leader).expect("it runs"));
    assert_eq!(simulation.safety().violations(), []);
}
