//! A trace tells the same of a run on threads and of one in virtual time: each message's way from end to end, and what each
//! node is after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raftlab::Cluster;
use raftlab::client::{Ask, What as Asked};
use raftlab::faults::{LinkScope, NetChange};
use raftlab::lab::{DiskChange, Lab, NodeOrder};
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::state_machine::kv::Command;
use raftlab::trace::{ReplyKind, TraceEvent, TraceLines, What};
use raftlab::types::{LogIndex, NodeId, Random};
use serde_json::{Map, Value};

use super::{converge, folder, leader, put, settings, wait_until};

/// Reads a trace as a program does that knows its format and nothing else.
#[derive(Default)]
struct Reader {
    lines: TraceLines,
    count: u64,
    /// What each node is, by its views and states.
    states: BTreeMap<String, Map<String, Value>>,
    /// How many copies of each flight are under way, of the flights that were sent.
    flights: BTreeMap<u64, i64>,
    /// Whether states and ends of flights were seen.
    compared: usize,
    ended: usize,
    /// Requests of clients without an answer so far, and how many have one.
    requests: BTreeSet<(String, u64, String)>,
    answered: usize,
    /// Ends of flights that were not sent while the trace was read.
    unknown: usize,
}

/// What happened, to be read when the run is over: a panic in an observer ends no run.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<TraceEvent>>>);

fn recorded() -> Recorded {
    Recorded::default()
}

impl Recorded {
    fn observer(&self) -> Arc<dyn Fn(&TraceEvent) + Send + Sync> {
        let Recorded(events) = self.clone();
        Arc::new(move |event| events.lock().push(event.clone()))
    }

    fn read(&self) -> Reader {
        let mut reader = Reader::default();
        self.0.lock().iter().for_each(|event| reader.read(event));
        reader
    }
}

impl Reader {
    fn read(&mut self, event: &TraceEvent) {
        for line in self.lines.event(event) {
            let Value::Object(line) = serde_json::from_str(&line.text).expect("a line is JSON") else {
                panic!("a line is an object: {}", line.text);
            };
            self.count += 1;
            assert_eq!(line["k"], self.count, "lines are counted from 1");
            self.take(line);
        }
        if let What::State(state) = &event.what {
            let Ok(Value::Object(told)) = serde_json::to_value(state) else { panic!("a state has fields") };
            assert_eq!(self.states[&event.node.to_string()], told, "{event}");
            self.compared += 1;
        }
    }

    fn take(&mut self, line: Map<String, Value>) {
        let at = line["at"].as_str().expect("a place").to_string();
        let number = |name: &str| line[name].as_u64().expect("a number");
        match line["e"].as_str().expect("a name") {
            "view" => drop(self.states.insert(at, fields(line))),
            "state" => self.states.get_mut(&at).expect("a view comes first").extend(fields(line)),
            "sent" => {
                let copies = i64::try_from(number("copies")).expect("one or two");
                let before = self.flights.insert(number("flight"), copies);
                assert_eq!(before, None, "a flight has one number: {line:?}");
            }
            "arrived" | "lost" => {
                let Some(left) = self.flights.get_mut(&number("flight")) else {
                    return self.unknown += 1;
                };
                *left -= 1;
                assert!(*left >= 0, "a copy ends once: {line:?}");
                self.ended += 1;
            }
            "request_received" => drop(self.requests.insert(request(&line))),
            "replied" => {
                assert!(
                    self.requests.remove(&request(&line)),
                    "an answer that is told had its request told: {line:?}"
                );
                self.answered += 1;
            }
            _ => {}
        }
    }

    /// Flights that have not ended.
    fn under_way(&self) -> usize {
        self.flights.values().filter(|left| **left > 0).count()
    }
}

/// What joins a client's request and its answer.
fn request(line: &Map<String, Value>) -> (String, u64, String) {
    let text = |name: &str| line[name].as_str().expect("a name").to_string();
    (text("client"), line["attempt"].as_u64().expect("a number"), text("at"))
}

/// A line without what every line has.
fn fields(mut line: Map<String, Value>) -> Map<String, Value> {
    for name in ["t", "k", "at", "e"] {
        line.remove(name);
    }
    line
}

#[test]
fn a_hundred_seeds_are_told_whole() {
    let (mut compared, mut ended, mut answered) = (0, 0, 0);
    for seed in 1..=100 {
        let events = recorded();
        let mut random = Random::new(seed);
        let nodes = if seed % 2 == 0 { 3 } else { 5 };
        let mut run = Simulation::new(SimulationSettings::new(nodes, seed), Some(events.observer()));
        run.follow_steps(true);
        for _ in 0..20 {
            let node = *random.pick(&NodeId::first(nodes)).expect("there are nodes");
            // An order that does not fit changes nothing.
            let _ = match random.below(8) {
                0 => run.order(node, NodeOrder::Crash),
                1 | 2 => run.order(node, NodeOrder::Restart),
                3 => run.order(node, NodeOrder::Pause),
                4 => run.order(node, NodeOrder::Resume),
                5 => run.change_network(&NetChange::Isolate(node)),
                6 => {
                    run.change_network(&NetChange::Duplicate { per_million: 100_000, scope: LinkScope::All })
                }
                _ => run.change_network(&NetChange::Reset),
            };
            run.ask(vec![Ask {
                what: Asked::commands([Command::put(node.to_string(), "1")]),
                at: None,
                timeout: Duration::from_millis(20),
            }]);
            run.run_until(run.now() + Duration::from_millis(100));
        }
        let reader = events.read();
        compared += reader.compared;
        ended += reader.ended;
        answered += reader.answered;
        assert_eq!(reader.unknown, 0, "seed {seed}: what ends was sent");
        assert!(reader.under_way() < 50, "seed {seed}: {} flights never end", reader.under_way());
    }
    assert!(compared > 10_000 && ended > 10_000, "{compared} states and {ended} ends of flights were read");
    assert!(answered > 500, "{answered} answers to clients were read");
}

#[test]
fn threads_tell_of_flights_and_states_as_virtual_time_does() {
    let folder = folder();
    let events = recorded();
    let mut cluster = Cluster::start(&settings(&folder, 3), Some(events.observer())).unwrap();
    let first = leader(&cluster);
    cluster.follow_steps(true);
    let follower = NodeId::first(3).into_iter().find(|node| *node != first).expect("two follow");
    for key in ["a", "b", "c"] {
        put(&cluster, key);
    }
    cluster.change_network(&NetChange::Isolate(follower)).unwrap();
    put(&cluster, "d");
    cluster.change_network(&NetChange::Reset).unwrap();
    cluster.order(follower, NodeOrder::Crash).unwrap();
    put(&cluster, "e");
    cluster.order(follower, NodeOrder::Restart).unwrap();
    converge(&mut cluster);
    cluster.shutdown();
    let reader = events.read();
    assert!(reader.compared > 10 && reader.ended > 10);
    assert!(reader.answered >= 5, "{} answers: each put has one", reader.answered);
    assert_eq!(reader.states.len(), 3, "all nodes are told of");
    assert!(reader.unknown < 20, "only what was under way at the beginning ends without having been sent");
}

#[test]
fn a_request_that_a_disk_has_no_room_for_is_told_with_its_answer() {
    let folder = folder();
    let events = recorded();
    let mut settings = settings(&folder, 1);
    // So the bound on what waits for the disk is reached, and no other.
    settings.raft.uncommitted_bytes_max = 1 << 30;
    let mut cluster = Cluster::start(&settings, Some(events.observer())).unwrap();
    let node = leader(&cluster);
    let client = cluster.client();
    client.submit(Command::put("a", "1")).expect("its session is open from then on");
    cluster.follow_steps(true);
    cluster.order(node, NodeOrder::Disk(DiskChange::Stall(Duration::from_secs(3600)))).unwrap();
    // Beyond 64 MiB in the log that are not on the disk, and then one more.
    let value = "v".repeat(1 << 19);
    let put = |number: u64| client.submit_async(Command::put(format!("k{number}"), value.as_str()));
    let rejected = |what: &What| matches!(what, What::Replied { outcome: ReplyKind::Rejected, .. });
    let is_rejected = || events.0.lock().iter().any(|event| rejected(&event.what));
    let full = LogIndex(cluster.view(node).status.last.index.0 + 130);
    let mut under_way: Vec<_> = (0..130).map(put).collect();
    wait_until(&mut cluster, "the log is as long, or has no more room", |cluster| {
        cluster.view(node).status.last.index >= full || is_rejected()
    });
    under_way.push(put(130));
    wait_until(&mut cluster, "a request is rejected", |_| is_rejected());
    cluster.order(node, NodeOrder::Disk(DiskChange::Stall(Duration::ZERO))).unwrap();
    drop(under_way);
    cluster.shutdown();
    let events = events.0.lock();
    let refused = events.iter().find_map(|event| match event.what {
        What::Replied { client, attempt, outcome: ReplyKind::Rejected } => Some((client, attempt)),
        _ => None,
    });
    let asked = events.iter().any(|event| match event.what {
        What::RequestReceived { client, attempt, .. } => Some((client, attempt)) == refused,
        _ => false,
    });
    assert!(asked, "the request of {refused:?} was told, too");
}
