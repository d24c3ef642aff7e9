//! U1 to U4, U8: what a person types and sets means what it says, or is refused.

use std::path::Path;
use std::time::Duration;

use raftlab::config::{RaftSettings, Settings};
use raftlab::console::executor::operation::{DataAnswer, DataOutcome, Operation};
use raftlab::console::executor::{Console, Context, Script, parse};
use raftlab::console::language::{self, Outcome};
use raftlab::console::narrator::Narrator;
use raftlab::console::printer::{Output, Style};
use raftlab::payload::Payload;
use raftlab::protocol::{Address, Call, Envelope, Packet, Request, Response};
use raftlab::raft::Recovered;
use raftlab::raft::entry::{Entry, Origin};
use raftlab::server::{Arrival, Server, Start};
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::state_machine::image::Image;
use raftlab::state_machine::kv::{Answer, Command, KeyValue, Query};
use raftlab::state_machine::{Applied, Machine, Replica, StateMachine};
use raftlab::storage::json_store::{JsonStore, SEGMENT_BYTES};
use raftlab::storage::real::RealDisk;
use raftlab::storage::{ClusterId, Identity, NewStore, no_image};
use raftlab::trace::NodeLogs;
use raftlab::types::{ClientId, EntryId, Epoch, LogIndex, NodeId, Random, SessionId, Token};

use crate::START;

#[test]
fn u1_an_upper_case_verb_is_understood_and_an_unknown_one_never_enters_the_log() {
    assert_eq!(parse("CREATE x 1"), parse("create x 1"));
    assert!(parse("create x 1").is_ok_and(|line| line.is_some()), "it is a directive");

    let upper = || Payload::from_text(r#"[{"op":"CREATE","key":"x","value":"1"}]"#);
    let replica = || -> Box<dyn Machine> { Box::new(Replica::new(KeyValue::default())) };
    let (answers, last) = send_to_server_of_one(&replica, upper());
    assert!(matches!(answers[..], [Response::Invalid(_)]), "it is refused: {answers:?}");
    assert_eq!(last, LogIndex(2), "the log holds the no-op and the session");

    let unchecked = || -> Box<dyn Machine> { Box::new(Unchecked(Replica::new(KeyValue::default()))) };
    let (answers, last) = send_to_server_of_one(&unchecked, upper());
    assert!(matches!(answers[..], [Response::Invalid(_)]), "{answers:?}");
    assert_eq!(last, LogIndex(3), "the defect shows: it is committed, then answered as invalid");
}

/// A machine that the original's server would have: nothing is looked at before it is committed.
struct Unchecked(Replica<KeyValue>);

impl Machine for Unchecked {
    fn check(&self, _command: &Payload) -> Result<(), String> {
        Ok(())
    }

    fn apply(&mut self, entry: &Entry) -> Applied {
        self.0.apply(entry)
    }

    fn query(&self, query: &Payload) -> Result<Payload, String> {
        Machine::query(&self.0, query)
    }

    fn applied(&self) -> EntryId {
        self.0.applied()
    }

    fn items(&self) -> Vec<(String, String)> {
        Machine::items(&self.0)
    }

    fn size(&self) -> usize {
        Machine::size(&self.0)
    }

    fn image(&self) -> Box<dyn Image> {
        self.0.image()
    }

    fn adopt(&mut self, applied: EntryId, image: Box<dyn Image>) {
        self.0.adopt(applied, image);
    }
}

/// What a cluster of one answers to a command, and its last index then. Its disk is done at once.
fn send_to_server_of_one(
    machine: &dyn Fn() -> Box<dyn Machine>,
    command: Payload,
) -> (Vec<Response>, LogIndex) {
    let node = NodeId::new(1);
    let start = Start { recovered: Recovered::founder([node]), ..Start::default() };
    let settings = RaftSettings::default();
    let mut server = Server::new(node, settings, start, machine, Random::new(1), START);
    let origin = Origin { session: SessionId(2), serial: 1, acknowledged: 0 };
    let from = Address::Client(ClientId(1));
    let [open, request] = [Call::Open, Call::Command { origin, command }].map(|call| {
        let packet = Packet::Request(Request { attempt: 1, call });
        Arrival::Envelope(Envelope::new(from, node.into(), packet))
    });
    let mut answers = Vec::new();
    for first in [Arrival::Campaign, open, request] {
        let mut arrivals = vec![first];
        while !arrivals.is_empty() {
            let outbox = server.handle(START, &mut arrivals);
            arrivals.extend(outbox.write.map(|write| Arrival::Persisted(write.id)));
            answers.extend(outbox.envelopes.into_iter().filter_map(|envelope| match envelope.packet {
                Packet::Reply(reply)
                    if !matches!(reply.response, Response::Entry(Applied::Opened { .. })) =>
                {
                    Some(reply.response)
                }
                Packet::Reply(_) | Packet::Raft(_) | Packet::Request(_) | Packet::ConnectionLost => None,
            }));
        }
    }
    (answers, server.raft().log().last().index)
}

#[test]
fn u2_a_key_with_an_empty_value_is_present_and_a_value_left_out_is_an_error() {
    let is_present = |read: &dyn Fn(&KeyValue) -> bool| {
        let mut store = KeyValue::default();
        store.apply(&Command::create("x", ""));
        read(&store)
    };
    let query = Query::Read { key: "x".into() };
    assert!(is_present(&|store| store.query(&query) == Answer::Value("".into())), "it was created");
    // The original's read: an empty value counts as none.
    let truthy = |store: &KeyValue| matches!(store.query(&query), Answer::Value(value) if !value.is_empty());
    assert!(!is_present(&truthy), "the defect shows");

    let error = parse("create x").expect_err("a create has a value").to_string();
    assert!(
        error.starts_with("create with which value? create KEY VALUE"),
        "it says what is missing: {error}"
    );
    let empty = parse("create x \"\"").expect("an empty value is a value").expect("a directive");
    assert_eq!(empty.to_string(), "create x \"\"");
}

#[test]
fn u3_a_time_out_never_reads_as_success() {
    let asked = Operation::Write(Command::create("x", "1"));
    let token = Token { session: SessionId(2), serial: 5, part: None };
    let outcome = DataOutcome::unanswered(Duration::from_secs(2), token);
    let ours = DataAnswer { operation: asked, outcome, took: Duration::from_secs(2) };
    assert_eq!(ours.to_string(), "UNKNOWN no answer in 2 s: may have been applied; 'outcome 2.5' asks");
    assert!(!counts_as_success(&ours.to_string()));
    let answer = language::Answer::from(&ours);
    assert_eq!(answer.outcome, Outcome::Unknown);
    assert!(answer.json().contains(r#""ok":false,"outcome":"unknown""#), "{}", answer.json());
    // And so it is at the end of a script: it is told apart from success and from failure.
    let simulation = Simulation::new(SimulationSettings::new(3, 1), None);
    let output = Output::memory(Style::default());
    let narrator = Narrator::direct(output.clone());
    let mut console = Console::new(simulation, Context::default(), output, narrator);
    let mut script = Script::typed();
    for line in ["wait leader", "create x 1", "isolate followers", "update x 2 --timeout 100ms"] {
        console.run_line(&mut script, Ok(line));
    }
    console.settle(&mut script);
    assert_eq!(script.worst(), Outcome::Unknown);

    // The original answers a time-out with "OK" and its reason, and its load test counts that.
    assert!(counts_as_success("OK timed out"), "the defect shows");
}

/// As the original's load test tells success.
fn counts_as_success(answer: &str) -> bool {
    answer.starts_with("OK")
}

#[test]
fn u4_a_node_that_cannot_have_its_place_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let occupied = folder.path().join("occupied");
    std::fs::write(&occupied, "not a folder").expect("a file");
    assert!(fails_by_name(open_store, &occupied), "a file stands where its folder should be");
    assert!(fails_by_name(open_logs, &occupied), "and where its log files should be");

    let held = folder.path().join("n1");
    let holder = JsonStore::open(
        RealDisk::new(&held),
        &identity(),
        SEGMENT_BYTES,
        &NewStore::founding(NodeId::first(3)),
        no_image,
    )
    .expect("the place is free");
    assert!(fails_by_name(open_store, &held), "another holds it");
    drop(holder);
    assert_eq!(open_store(&held), Ok(()), "it is free again");

    // The original: whatever happens to its listener, the node goes on.
    let silent = |path: &Path| open_store(path).or(Ok(()));
    assert!(!fails_by_name(silent, &occupied), "the defect shows");
}

fn fails_by_name(open: impl Fn(&Path) -> Result<(), String>, path: &Path) -> bool {
    open(path).is_err_and(|message| message.contains(&*path.to_string_lossy()))
}

fn open_store(path: &Path) -> Result<(), String> {
    let opened = JsonStore::open(
        RealDisk::new(path),
        &identity(),
        SEGMENT_BYTES,
        &NewStore::founding(NodeId::first(3)),
        no_image,
    );
    opened.map(|_| ()).map_err(|error| error.to_string())
}

fn open_logs(path: &Path) -> Result<(), String> {
    NodeLogs::open(path, &[NodeId::new(1)], None).map(|_| ()).map_err(|error| error.to_string())
}

fn identity() -> Identity {
    Identity { cluster: ClusterId(1), epoch: Epoch::FIRST, node: NodeId::new(1) }
}

#[test]
fn u8_settings_that_cannot_work_are_refused_with_the_setting_and_the_rule() {
    let wrong = [
        ("nodes = 0", "nodes"),
        ("heartbeat = '200ms'", "heartbeat"),
        ("election_min = '400ms'", "election_min"),
        ("client_timeout = '0s'", "client_timeout"),
        ("heartbaet = '50ms'", "heartbaet"),
    ];
    let refuses_all = |read: &dyn Fn(&str) -> Result<(), String>| {
        wrong.iter().all(|(text, setting)| read(text).is_err_and(|message| message.contains(setting)))
    };
    let ours = |text: &str| Settings::from_toml(text).map(|_| ()).map_err(|error| error.to_string());
    assert!(refuses_all(&ours), "each is refused by name");
    assert_eq!(ours("nodes = 5\nheartbeat = '20ms'"), Ok(()), "and what can work is not");
    // The original: whatever the text says is taken.
    let believing = |text: &str| text.parse::<toml::Table>().map(|_| ()).map_err(|error| error.to_string());
    assert!(!refuses_all(&believing), "the defect shows");
}
