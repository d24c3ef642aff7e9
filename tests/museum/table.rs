//! Servers at a table: the test delivers each message by hand, so a schedule happens as it is written. Each has its files
//! on a simulated disk. A write is durable at once, or lost with its node's memory while the disk is stalled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raftlab::check::property::Violation;
use raftlab::check::safety::{Safety, Step, Written, answering};
use raftlab::config::RaftSettings;
use raftlab::payload::Payload;
use raftlab::protocol::{Address, Call, Envelope, Packet, ReadMode, Reply, Request, Response};
use raftlab::raft::Raft;
use raftlab::raft::effects::{Change, ChangeRequest, StoreId, Write};
use raftlab::raft::message::Message;
use raftlab::raft::role::Role;
use raftlab::server::snapshots::SnapshotWork;
use raftlab::server::{Arrival, Outbox, Server, Start};
use raftlab::sim::museum;
use raftlab::sim::mutation::Mutation;
use raftlab::state_machine::kv::{KeyValue, Query};
use raftlab::state_machine::{Machine, Replica, image};
use raftlab::storage::error::StorageError;
use raftlab::storage::json_store::JsonStore;
use raftlab::storage::simulated::SimulatedDisk;
use raftlab::storage::snapshots::Snapshots;
use raftlab::storage::{ClusterId, Identity, NewStore, Storage};
use raftlab::types::{ClientId, Epoch, LogIndex, Member, NodeId, Random, Time};

pub struct Table {
    now: Time,
    founders: Vec<NodeId>,
    servers: BTreeMap<NodeId, Server>,
    disks: BTreeMap<NodeId, Files>,
    stalled: BTreeSet<NodeId>,
    /// Nodes whose work on snapshots waits.
    slow: BTreeSet<NodeId>,
    waiting: Vec<(NodeId, SnapshotWork)>,
    /// In the order in which they were sent.
    sent: Vec<Message>,
    late: Vec<Message>,
    /// The newest answer to a read.
    answered: Option<LogIndex>,
    defect: Option<Box<dyn Mutation>>,
    safety: Safety,
}

/// A node's disk, and what it has open there while it runs.
struct Files {
    disk: SimulatedDisk,
    new_store: NewStore,
    open: Option<(JsonStore<SimulatedDisk>, Snapshots<SimulatedDisk>)>,
}

/// A snapshot is sent in one part.
const PART_BYTES: usize = 1 << 20;

const CLUSTER: ClusterId = ClusterId(1);

pub fn n(number: u8) -> NodeId {
    NodeId::new(number)
}

impl Table {
    /// Nodes that begin a cluster together, with a specimen in all of them.
    pub fn new(founders: &[u8], defect: Option<&str>) -> Table {
        let specimen = defect.map(|name| museum::specimen(name).expect("a specimen of this name"));
        let mut table = Table {
            now: Time::ZERO,
            founders: founders.iter().copied().map(n).collect(),
            servers: BTreeMap::new(),
            disks: BTreeMap::new(),
            stalled: BTreeSet::new(),
            slow: BTreeSet::new(),
            waiting: Vec::new(),
            sent: Vec::new(),
            late: Vec::new(),
            answered: None,
            defect: specimen.map(museum::Specimen::mutation),
            safety: Safety::default(),
        };
        for &name in founders {
            table.begin(name, NewStore::founding(&table.founders));
        }
        table
    }

    /// A node with new files, which knows no member.
    pub fn add(&mut self, name: u8, store_id: StoreId) -> Member {
        self.begin(name, NewStore::joining(store_id));
        Member { node: n(name), store_id }
    }

    fn begin(&mut self, name: u8, new_store: NewStore) {
        let disk = SimulatedDisk::new(&n(name).to_string());
        self.disks.insert(n(name), Files { disk, new_store, open: None });
        self.restart(name);
    }

    /// A node starts from what its disk holds, unless that refuses since it was removed. What it had in memory is gone.
    pub fn restart(&mut self, name: u8) {
        self.stalled.remove(&n(name));
        self.slow.remove(&n(name));
        self.waiting.retain(|(node, _)| *node != n(name));
        let files = self.disks.get_mut(&n(name)).expect("a node has a disk");
        files.open = None;
        let identity = Identity { cluster: CLUSTER, epoch: Epoch::FIRST, node: n(name) };
        let disk = || files.disk.clone();
        let opened = JsonStore::open(disk(), &identity, u64::MAX, &files.new_store, image::load::<KeyValue>);
        if let Err(StorageError::Retired { .. }) = opened {
            self.servers.remove(&n(name));
            return;
        }
        let (store, recovered) = opened.expect("its files are in order");
        files.open = Some((store, Snapshots::new(disk(), CLUSTER)));
        let (mut start, _, _) = Start::of(recovered);
        if let Some(defect) = &mut self.defect {
            defect.recovered(n(name), &mut start.recovered);
        }
        // One entry a message, so that a log can be cut off anywhere.
        let settings = RaftSettings { message_bytes_max: 1, trailing_entries: 0, ..RaftSettings::default() };
        let blank = || Box::new(Replica::new(KeyValue::default())) as Box<dyn Machine>;
        let server = Server::new(n(name), settings, start, &blank, Random::new(name.into()), self.now);
        self.safety.started(server.raft());
        self.servers.insert(n(name), server);
    }

    /// From now on its disk completes nothing.
    pub fn stall(&mut self, name: u8) {
        self.stalled.insert(n(name));
    }

    /// From now on its work on snapshots waits.
    pub fn slow_snapshots(&mut self, name: u8) {
        self.slow.insert(n(name));
    }

    /// That work is done, and the node is not told: it must be started again.
    pub fn end_behind_snapshots(&mut self, name: u8) {
        for (_, work) in self.waiting.extract_if(.., |(node, _)| *node == n(name)) {
            perform(&mut self.disks, n(name), work);
        }
        self.servers.remove(&n(name));
    }

    pub fn raft(&self, name: u8) -> &Raft {
        self.servers[&n(name)].raft()
    }

    pub fn leads(&self, name: u8) -> bool {
        matches!(self.raft(name).role(), Role::Leader(_))
    }

    /// It takes a snapshot of what it has applied.
    pub fn take_snapshot(&mut self, name: u8) {
        self.step(n(name), vec![Arrival::TakeSnapshot]);
    }

    /// A leader is to hand over to this node.
    pub fn transfer(&mut self, name: u8, to: u8) {
        self.step(n(name), vec![Arrival::Transfer(Some(n(to)))]);
    }

    /// A client asks it to read by lease: up to where the answer's state goes, if it answers at once.
    pub fn read_by_lease(&mut self, name: u8) -> Option<LogIndex> {
        let client = Address::Client(ClientId(1));
        let call = Call::Read { query: Payload::new(Query::Keys {}), mode: ReadMode::Lease, here: false };
        let packet = Packet::Request(Request { attempt: 1, call });
        self.answered = None;
        self.step(n(name), vec![Arrival::Envelope(Envelope::new(client, n(name).into(), packet))]);
        self.answered
    }

    pub fn campaign(&mut self, name: u8) {
        self.step(n(name), vec![Arrival::Campaign]);
    }

    /// It is asked for this change of the newest members that it knows.
    pub fn change(&mut self, name: u8, change: Change) {
        let made_for = self.raft(name).configurations().newest().map_or(LogIndex(0), |newest| newest.index);
        self.step(n(name), vec![Arrival::Change(ChangeRequest::new(change, made_for, false))]);
    }

    /// Time passes until the next heartbeat, which this node sends if it leads.
    pub fn tick(&mut self, name: u8) {
        self.now = self.now + Duration::from_millis(50);
        self.step(n(name), Vec::new());
    }

    /// Hands over what the one has sent to the other, and what that makes the one send; all else stays on its way.
    pub fn deliver(&mut self, from: u8, to: u8) {
        while self.deliver_one(from, to) {}
    }

    /// Hands over the first message of those.
    pub fn deliver_one(&mut self, from: u8, to: u8) -> bool {
        let first = self.sent.iter().position(|message| message.from == n(from) && message.to == n(to));
        if let Some(place) = first {
            let message = self.sent.remove(place);
            let envelope = Envelope::new(n(from).into(), n(to).into(), Packet::Raft(message));
            self.step(n(to), vec![Arrival::Envelope(envelope)]);
        }
        first.is_some()
    }

    /// All that these nodes say to one another arrives, until none has more to say.
    pub fn talk(&mut self, names: &[u8]) {
        let pairs = || names.iter().flat_map(|from| names.iter().map(move |to| (*from, *to)));
        while pairs().any(|(from, to)| self.deliver_one(from, to)) {}
    }

    /// This node leads some heartbeats long, and these hear it.
    pub fn lead(&mut self, leader: u8, followers: &[u8]) {
        for _ in 0..4 {
            self.tick(leader);
            self.talk(&[&[leader], followers].concat());
        }
    }

    /// What is on its way never arrives.
    pub fn lose_all(&mut self) {
        self.sent.clear();
    }

    /// These messages are late: they arrive after all others.
    pub fn hold_back(&mut self, is_late: impl Fn(&Message) -> bool) {
        self.late.extend(self.sent.extract_if(.., |message| is_late(message)));
    }

    pub fn release(&mut self) {
        self.sent.append(&mut self.late);
    }

    pub fn violations(&self) -> &[Violation] {
        self.safety.violations()
    }

    fn step(&mut self, name: NodeId, arrivals: Vec<Arrival>) {
        let mut waiting = arrivals;
        loop {
            let (write, works) = self.one_step(name, std::mem::take(&mut waiting));
            if self.slow.contains(&name) {
                self.waiting.extend(works.into_iter().map(|work| (name, work)));
            } else {
                waiting.extend(works.into_iter().filter_map(|work| perform(&mut self.disks, name, work)));
            }
            if let Some(write) = write.filter(|_| !self.stalled.contains(&name)) {
                waiting.push(Arrival::Persisted(write.id));
                let (store, _) = open(&mut self.disks, name);
                store.write(write).and_then(|()| store.sync()).expect("the disk is in order");
            }
            if waiting.is_empty() {
                return;
            }
        }
    }

    fn one_step(&mut self, name: NodeId, mut arrivals: Vec<Arrival>) -> (Option<Write>, Vec<SnapshotWork>) {
        let server = self.servers.get_mut(&name).expect("a node at this table");
        let answering = &answering(server.raft(), arrivals.iter().filter_map(Arrival::message));
        if let Some(defect) = &mut self.defect {
            defect.before(self.now, server, &mut arrivals);
        }
        let mut outbox = server.handle(self.now, &mut arrivals);
        if let Some(defect) = &mut self.defect {
            defect.after(server, &mut outbox);
        }
        let Outbox { persisted, write, adopted, applied, .. } = &outbox;
        let write = write.as_ref().map(|write| Written::of(server.raft(), write));
        let idle = Step::idle(server.raft(), self.now);
        let step = Step { answering, persisted: *persisted, write, adopted, applied, ..idle };
        self.safety.observe(&step, outbox.messages());
        for work in &outbox.snapshots {
            if let SnapshotWork::Save { last, configured, .. } = work {
                self.safety.check_configured(name, last.index, Some(configured));
            }
        }
        for envelope in outbox.envelopes {
            match envelope.packet {
                Packet::Raft(message) => self.sent.push(message),
                Packet::Reply(Reply { response: Response::Read { applied, .. }, .. }) => {
                    self.answered = Some(applied);
                }
                Packet::Request(_) | Packet::Reply(_) | Packet::ConnectionLost => {}
            }
        }
        (outbox.write, outbox.snapshots)
    }
}

fn open(
    disks: &mut BTreeMap<NodeId, Files>,
    name: NodeId,
) -> &mut (JsonStore<SimulatedDisk>, Snapshots<SimulatedDisk>) {
    let files = disks.get_mut(&name).expect("a node has a disk");
    files.open.as_mut().expect("it runs")
}

fn perform(disks: &mut BTreeMap<NodeId, Files>, name: NodeId, work: SnapshotWork) -> Option<Arrival> {
    let (_, files) = open(disks, name);
    let done = work.perform(files, image::load::<KeyValue>, PART_BYTES, &|| true);
    done.expect("the disk is in order")
}
