//! Clusters whose files are to be damaged, and what they do when they start from them again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use raftlab::client::{Ask, Outcome, What};
use raftlab::faults::{LinkScope, NetChange};
use raftlab::lab::{Lab, Life, NodeOrder};
use raftlab::server::RoleName;
use raftlab::sim::{Observer, Simulation, SimulationSettings};
use raftlab::state_machine::kv::Command;
use raftlab::storage::disk::Disk;
use raftlab::storage::memory::Files;
use raftlab::storage::simulated::SimulatedDisk;
use raftlab::trace::TraceEvent;
use raftlab::types::{LogIndex, NodeId, Random};

/// What the three nodes of a cluster held on their disks when they ended, and what its clients were told.
pub struct Base {
    pub name: String,
    settings: SimulationSettings,
    /// Each node's files at the end.
    pub files: BTreeMap<NodeId, Files>,
    /// And at some moment before.
    pub earlier: BTreeMap<NodeId, Files>,
    last: BTreeMap<NodeId, LogIndex>,
    answered: BTreeMap<String, String>,
}

/// What came of a start.
pub struct End {
    /// The node whose files were damaged did not start.
    pub refused: bool,
    /// Otherwise: its last entry when it started.
    pub held: LogIndex,
    /// A client was answered.
    pub served: bool,
    /// Answered writes that are not there, if a client was answered.
    pub lost: Vec<String>,
    /// Why nodes stopped themselves.
    pub stopped: Vec<String>,
    /// Properties of Raft that were broken.
    pub broken: Vec<String>,
}

const SECOND: Duration = Duration::from_secs(1);

impl Base {
    /// Lets a cluster work for a while: writes with one node cut off in turn, elections, snapshots in half of them. Half
    /// of them end politely, the others by a kill of the process.
    pub fn make(seed: u64) -> Base {
        let mut random = Random::new(seed);
        let mut settings = SimulationSettings::new(3, seed);
        let (snapshots, polite) = (seed.is_multiple_of(2), seed % 4 < 2);
        if snapshots {
            settings.raft.snapshot_entries = random.within(10, 40);
            settings.raft.trailing_entries = random.below(20);
        }
        let mut simulation = Simulation::new(settings.clone(), None);
        let nodes = NodeId::first(3);
        wait(&mut simulation, SECOND);
        let mut answered = BTreeMap::new();
        let mut earlier = BTreeMap::new();
        for round in 0..6 {
            if round == random.within(1, 4) || earlier.is_empty() && round == 4 {
                earlier = nodes.iter().map(|node| (*node, read_files(&mut simulation, *node))).collect();
            }
            let lonely = *random.pick(&nodes).expect("three nodes");
            simulation.change(&NetChange::Isolate(lonely)).expect("a node can be isolated");
            wait(&mut simulation, SECOND);
            for number in 0..random.within(3, 12) {
                let key = format!("key{round}.{number}");
                let value = "v".repeat(usize::try_from(random.within(1, 300)).expect("a small number"));
                if write(&mut simulation, &key, &value) {
                    answered.insert(key, value);
                }
            }
            // The last one stays behind.
            if round < 5 {
                simulation.change(&NetChange::Heal(LinkScope::All)).expect("links can be healed");
                wait(&mut simulation, SECOND);
            }
        }
        let ends = if polite { "left politely" } else { "killed" };
        let name = format!("cluster {seed}, {}{ends}", if snapshots { "with snapshots, " } else { "" });
        for node in &nodes {
            let ended = if polite {
                simulation.order(*node, NodeOrder::Stop)
            } else {
                simulation.order(*node, NodeOrder::Crash)
            };
            ended.expect("it runs");
        }
        assert!(answered.len() > 10, "{name}: the clients were served");
        let files: BTreeMap<NodeId, Files> =
            nodes.iter().map(|node| (*node, read_files(&mut simulation, *node))).collect();
        let last = nodes.iter().map(|node| (*node, simulation.view(*node).status.last.index)).collect();
        Base { name, settings, files, earlier, last, answered }
    }

    /// The node's last entry when it ended.
    pub fn held(&self, node: NodeId) -> LogIndex {
        self.last[&node]
    }

    /// Up to where its files say that its log was durable.
    pub fn floor(&self, node: NodeId) -> LogIndex {
        let state: serde_json::Value =
            serde_json::from_slice(&self.files[&node]["state.json"]).expect("it is JSON");
        LogIndex(state["log_floor"].as_u64().expect("a number"))
    }
}

/// Starts the cluster again from its files, with those of one node damaged, and perhaps without another node.
pub fn started(base: &Base, victim: NodeId, damaged: &Files, away: Option<NodeId>) -> End {
    let nodes = NodeId::first(3);
    let files = |node| if node == victim { damaged } else { &base.files[&node] };
    let disks = nodes.iter().map(|node| (*node, disk_with(*node, files(*node)))).collect();
    let mut simulation = Simulation::on_disks(base.settings.clone(), disks);
    let mut refused = false;
    let mut held = LogIndex(0);
    for node in nodes.iter().filter(|node| Some(**node) != away) {
        match simulation.order(*node, NodeOrder::Restart) {
            Ok(_) if *node == victim => held = simulation.view(*node).status.last.index,
            Ok(_) => {}
            Err(_) if *node == victim => refused = true,
            Err(error) => panic!("{}: the files of {node} are in order, but {error}", base.name),
        }
    }
    wait(&mut simulation, 5 * SECOND);
    let served = write(&mut simulation, "after", "the start");
    let lost = if served { missing(&mut simulation, &base.answered) } else { Vec::new() };
    let mut stopped = Vec::new();
    for node in nodes {
        if let Life::Down(why) = simulation.view(node).life
            && why.contains("itself")
        {
            stopped.push(format!("{node} {why}"));
        }
    }
    let violations = simulation.safety().violations();
    let broken = violations.iter().map(|broken| format!("{}: {}", broken.property.name(), broken.detail));
    End { refused, held, served, lost, stopped, broken: broken.collect() }
}

/// A cluster that has taken five writes and tells everything that happens; its leader, and a follower.
pub fn at_work(told: &Arc<Mutex<Vec<TraceEvent>>>) -> (Simulation, NodeId, NodeId) {
    let told = Arc::clone(told);
    let observer: Observer = Arc::new(move |event: &TraceEvent| told.lock().push(event.clone()));
    let mut simulation = Simulation::new(SimulationSettings::new(3, 1), Some(observer));
    wait(&mut simulation, SECOND);
    for key in ["a", "b", "c", "d", "e"] {
        assert!(write(&mut simulation, key, "1"), "it has a leader");
    }
    wait(&mut simulation, SECOND);
    let leader = leader(&mut simulation);
    let follower = NodeId::first(3).into_iter().find(|node| *node != leader).expect("two of three follow");
    (simulation, leader, follower)
}

/// Cuts the last lines off the log of a node that is down. The index of the last entry that it held.
pub fn lose_last_entries(simulation: &mut Simulation, node: NodeId, count: usize) -> LogIndex {
    let mut disk = simulation.disk_of(node);
    let log = "log-00000000000000000001.jsonl";
    let content = disk.read(log).expect("it has one segment");
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let kept = lines[..lines.len() - count].concat().len();
    disk.truncate(log, kept as u64).expect("the disk is in order");
    disk.sync(log).expect("the disk is in order");
    LogIndex(lines.len() as u64)
}

fn leader(simulation: &mut Simulation) -> NodeId {
    let leads = |simulation: &mut Simulation, node| simulation.view(node).status.role == RoleName::Leader;
    NodeId::first(3).into_iter().find(|node| leads(simulation, *node)).expect("it answered a moment ago")
}

/// The answered writes that the leader's state does not hold.
fn missing(simulation: &mut Simulation, answered: &BTreeMap<String, String>) -> Vec<String> {
    let leader = leader(simulation);
    let state: BTreeMap<String, String> = simulation.items(leader).expect("it runs").into_iter().collect();
    answered
        .iter()
        .filter(|(key, value)| state.get(*key) != Some(value))
        .map(|(key, _)| key.clone())
        .collect()
}

/// Whether the cluster took this write.
fn write(simulation: &mut Simulation, key: &str, value: &str) -> bool {
    let what = What::commands([Command::put(key, value)]);
    let ended = simulation.ask(vec![Ask { what, at: None, timeout: 3 * SECOND }]);
    ended.iter().all(|ended| matches!(ended.outcome, Outcome::Answered(_)))
}

pub fn wait(simulation: &mut Simulation, span: Duration) {
    let until = simulation.now() + span;
    simulation.run_until(until);
}

fn read_files(simulation: &mut Simulation, node: NodeId) -> Files {
    let disk = simulation.disk_of(node);
    let names = disk.list().expect("the disk is in order");
    names.into_iter().map(|name| (name.clone(), disk.read(&name).expect("the disk is in order"))).collect()
}

fn disk_with(node: NodeId, files: &Files) -> SimulatedDisk {
    let mut disk = SimulatedDisk::new(&node.to_string());
    for (name, content) in files {
        disk.create(name).expect("the disk is in order");
        disk.append(name, content).expect("the disk is in order");
        disk.sync(name).expect("the disk is in order");
    }
    disk.sync_folder().expect("the disk is in order");
    disk
}
