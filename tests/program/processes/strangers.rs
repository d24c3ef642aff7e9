//! What is wrong between processes is told in a line, on both sides, and holds up nothing.

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;

use raftlab::NodeId;
use raftlab::config::cluster_file::ClusterFile;
use raftlab::links::probe;
use raftlab::tls::Security;
use raftlab::types::{Epoch, Member};
use raftlab::wire::{Caller, Hello, VERSIONS, Welcome};

use super::{Processes, make_private};
use crate::Running;

/// How often a stranger comes who is told the same.
const TRIES: usize = 20;

/// How many strangers stay: more than a node waits for.
const STRANGERS_AT_A_TIME: usize = 300;

impl Processes {
    #[track_caller]
    fn assert_all_run(&self) {
        let leads = self.leads();
        assert!(leads.contains("3 of 3 up"), "{leads}");
    }

    /// A load is served while strangers say nothing, speak another protocol, only begin, or say these lies: a frame of
    /// 4 GiB, a first message that never ends.
    pub(super) fn serves_among_liars(&self, lies: &[&[u8]]) {
        let file = ClusterFile::read(&self.folder.read("cluster.toml")).expect("a good file");
        let mut open = Vec::new();
        for address in file.addresses.values() {
            for bytes in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"raftlab\n"].iter().chain(lies) {
                for _ in 0..40 {
                    let mut stranger = TcpStream::connect(&**address).expect("it listens");
                    // The node may have closed it already.
                    let _ = stranger.write_all(bytes);
                    open.push(stranger);
                }
            }
        }
        self.folder.start_load("cluster.toml", "1s").served_all();
        drop(open);
        self.assert_all_run();
    }

    /// A load is served while 10,000 strangers come, each with one of these beginnings, and a byte more after a while.
    pub(super) fn serves_among_ten_thousand(&self, beginnings: &'static [&'static [u8]]) {
        let file = ClusterFile::read(&self.folder.read("cluster.toml")).expect("a good file");
        let addresses: Vec<_> = file.addresses.into_values().collect();
        let strangers = thread::spawn(move || {
            let mut open = VecDeque::new();
            for at in 0..10_000 {
                let (round, node) = (at / addresses.len(), at % addresses.len());
                let mut stranger = TcpStream::connect(&*addresses[node]).expect("it listens");
                // The node may have closed any of them already.
                let _ = stranger.write_all(beginnings[round % beginnings.len()]);
                open.push_back(stranger);
                let dribbling = open.len() / 2;
                let _ = open[dribbling].write_all(b"\x01");
                if open.len() > STRANGERS_AT_A_TIME {
                    open.pop_front();
                }
            }
        });
        self.folder.start_load("cluster.toml", "2s").served_all();
        strangers.join().expect("each was accepted");
        self.assert_all_run();
    }

    /// A second process with copies of n2's files is told that there is one already, and n1 tells it, too. Both run.
    pub(super) fn tells_a_copy_of_n2(&self) {
        fs::create_dir_all(self.folder.path("copied/n2")).expect("a folder");
        for entry in fs::read_dir(self.folder.path("states/n2")).expect("its files are there") {
            let entry = entry.expect("an entry");
            if entry.file_name() != "lock" {
                fs::copy(entry.path(), self.folder.path("copied/n2").join(entry.file_name()))
                    .expect("a file");
            }
        }
        let options = ["n2", "--states", "copied", "--bind", "127.0.0.1:0"];
        let second = Running::of(self.folder.command(env!("CARGO_BIN_EXE_node"), &options));
        second.warning("another process speaks for n2: stop one of the two");
        self.running[&NodeId::new(1)].warning("another process speaks for n2: stop one of the two");
        self.leads();
    }

    /// What n1 answers to this caller of these versions and this epoch.
    fn answer_of_n1(&self, caller: Caller, versions: (u16, u16), epoch: Epoch) -> Result<Welcome, String> {
        let file = ClusterFile::read(&self.folder.read("cluster.toml")).expect("a good file");
        let (n1, cluster) = (NodeId::new(1), file.cluster.parse().expect("a number"));
        let hello = Hello { versions, cluster, epoch, token: file.token, caller };
        probe(&file.addresses[&n1], n1, &Security::Loopback, hello)
            .map(|welcome| welcome.expect("n1 listens"))
    }
}

fn n2_calls(expects: NodeId) -> Caller {
    let member = Member::founder(NodeId::new(2));
    Caller::Node {
        member,
        life: 7,
        address: "127.0.0.1:1".parse().expect("an address"),
        expects,
        connection: 0,
    }
}

#[test]
fn releases_understand_each_other_as_far_as_their_versions_overlap() {
    let mut processes = Processes::founded();
    let n1 = NodeId::new(1);
    processes.start(n1);
    let (oldest, newest) = VERSIONS;
    for caller in [n2_calls(n1), Caller::Client { expects: n1 }, Caller::Probe { expects: n1 }] {
        let next = processes.answer_of_n1(caller, (newest, newest + 1), Epoch::FIRST);
        assert_eq!(next.map(|welcome| welcome.version), Ok(newest), "the newest that both speak");
    }
    let later = (newest + 1, newest + 2);
    let spoken = |here: &str| {
        format!("speaks versions {} to {} of the protocol, and {here} version {oldest}", later.0, later.1)
    };
    for _ in 0..TRIES {
        let refused = processes.answer_of_n1(n2_calls(n1), later, Epoch::FIRST);
        assert!(refused.as_ref().is_err_and(|why| why.contains(&spoken("the other"))), "{refused:?}");
    }
    let other = processes.answer_of_n1(n2_calls(n1), VERSIONS, Epoch(2));
    assert!(other.is_err_and(|why| why.contains("n2's files are of epoch 2, n1's of epoch 1")));
    let other = processes.answer_of_n1(n2_calls(NodeId::new(3)), VERSIONS, Epoch::FIRST);
    assert!(other.is_err_and(|why| why.contains("looks for n3, and n1 is here")));
    let mut running = processes.running.remove(&n1).expect("it runs");
    running.warning(&format!("not let in: it {}", spoken("this process")));
    running.signal("TERM");
    let (_, said) = running.end();
    let repeated = said.iter().filter(|line| line.contains(&spoken("this process"))).count();
    assert!(repeated < TRIES / 2, "the same is not told each time: {said:?}");
}

#[test]
fn each_mistake_with_addresses_and_files_is_told() {
    let mut processes = Processes::founded();
    let [n1, n2, n3] = [1, 2, 3].map(NodeId::new);
    let file = ClusterFile::read(&processes.folder.read("cluster.toml")).expect("a good file");
    let taken = TcpListener::bind(&*file.addresses[&n1]).expect("it is free");
    let told = processes.node(n1, &[]).exits(1).err;
    assert!(told.contains("is in use: stop what listens there, or --bind another"), "{told}");
    drop(taken);
    let told = processes.node(n1, &["--advertise", "192.0.2.1:7002", "--check-config"]).exits(2).err;
    assert!(told.contains("--advertise: 192.0.2.1 can be reached by others"), "{told}");
    // n3 has no address that resolves; n2 comes later.
    let text = processes.folder.read("cluster.toml").replace(&*file.addresses[&n3], "nowhere.invalid:7003");
    processes.folder.write("cluster.toml", &text);
    make_private(&processes.folder);
    let told = processes.node(n1, &["--check-config"]).exits(2).err;
    assert!(told.contains("n3 = nowhere.invalid:7003: its name does not resolve"), "{told}");
    processes.start(n1);
    processes.running[&n1].warning("nothing listens there");
    processes.running[&n1].warning("nowhere.invalid:7003: its name does not resolve");
    processes.start(n2);
    processes.running[&n1].warning("connected");
    processes.tells_a_copy_of_n2();
}

#[test]
fn idle_dribbling_and_lying_connections_do_not_hold_up_a_load() {
    let mut processes = Processes::patient();
    processes.start_all();
    processes.serves_among_liars(&[b"raftlab\n\xff\xff\xff\xff\x01", b"raftlab\n\x10\0\0\0\x01{"]);
}

#[test]
fn ten_thousand_connections_do_not_hold_up_a_load() {
    let mut processes = Processes::patient();
    processes.start_all();
    processes.serves_among_ten_thousand(&[b"raftlab\n", b"", b"raftlab\n\xff\xff\xff\xff"]);
}
