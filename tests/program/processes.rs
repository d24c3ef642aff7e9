//! Nodes in processes of their own: founded once, killed, restarted, stopped, and nothing that was answered is lost.

mod backups;
mod disks;
#[cfg(feature = "tls")]
mod encrypted;
#[cfg(feature = "http")]
mod gateways;
mod strangers;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raftlab::config::cluster_file::ClusterFile;
use raftlab::kv::{Answer, Command, KeyValue, Query};
use raftlab::links::Notices;
use raftlab::remote::RemoteCluster;
use raftlab::remote::clients::RemoteClients;
use raftlab::tls::Security;
use raftlab::{Client, NodeId};

use crate::{Folder, PATIENCE, Ran, Running};

/// How long a node that was told to stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How many leaders are killed.
const ROUNDS: usize = 20;

/// A cluster of three whose nodes are processes.
pub struct Processes {
    pub folder: Folder,
    pub running: BTreeMap<NodeId, Running>,
    /// Held while they run: several clusters of processes at once leave too little of a small machine for other tests.
    _turn: Option<MutexGuard<'static, ()>>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Processes {
    fn new() -> Processes {
        Processes { _turn: Some(Processes::turn()), ..Processes::alone() }
    }

    fn alone() -> Processes {
        Processes { folder: Folder::new(), running: BTreeMap::new(), _turn: None }
    }

    /// Waits until no other cluster of processes runs.
    pub fn turn() -> MutexGuard<'static, ()> {
        // A test that failed has left nothing behind.
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the file, with ports that are free, and makes the founders' files.
    fn founded() -> Processes {
        let processes = Processes::new();
        processes.folder.cluster(&["3", "--write-config", "cluster.toml"], "").exits(0);
        processes.use_free_ports();
        for node in NodeId::first(3) {
            processes.node(node, &["--init"]).exits(0);
        }
        processes
    }

    /// Puts ports that are free into the file.
    fn use_free_ports(&self) {
        let mut text = self.folder.read("cluster.toml");
        for (address, port) in free_addresses(3).into_iter().zip(7001..) {
            text = text.replace(&format!("127.0.0.1:{port}"), &address);
        }
        self.folder.write("cluster.toml", &text);
    }

    /// The same with long election timeouts: a transfer has as long as the shortest, and machines that test are busy.
    pub fn patient() -> Processes {
        let processes = Processes::founded();
        processes.set("election_min = \"800ms\"\nelection_max = \"1600ms\"");
        processes
    }

    /// Puts settings into the file.
    pub fn set(&self, lines: &str) {
        let text = self.folder.read("cluster.toml");
        self.folder.write("cluster.toml", &text.replace("[addresses]", &format!("{lines}\n\n[addresses]")));
    }

    /// Runs the program of this node to its end.
    fn node(&self, node: NodeId, options: &[&str]) -> Ran {
        let name = node.to_string();
        let options: Vec<&str> = [name.as_str()].into_iter().chain(options.iter().copied()).collect();
        self.folder.run(env!("CARGO_BIN_EXE_node"), &options, "")
    }

    pub fn start(&mut self, node: NodeId) {
        self.start_with(node, &[]);
    }

    pub fn start_with(&mut self, node: NodeId, options: &[&str]) {
        let name = node.to_string();
        let options: Vec<&str> = [name.as_str()].into_iter().chain(options.iter().copied()).collect();
        let running = Running::of(self.folder.command(env!("CARGO_BIN_EXE_node"), &options));
        running.answer("listens on");
        self.running.insert(node, running);
    }

    pub fn start_all(&mut self) {
        for node in NodeId::first(3) {
            self.start(node);
        }
    }

    pub fn kill(&mut self, node: NodeId) {
        let mut running = self.running.remove(&node).expect("it runs");
        running.child.kill().expect("it runs");
        running.child.wait().expect("its parent may wait");
    }

    /// The line of `status` that says who leads.
    fn leads(&self) -> String {
        let ran = self.folder.run(env!("CARGO_BIN_EXE_client"), &[], "wait leader\nstatus\n").exits(0);
        let line = ran.out.lines().find(|line| line.contains(" leads term ")).map(str::to_string);
        line.unwrap_or_else(|| panic!("a leader: {}", ran.out))
    }

    /// The cluster that a file describes.
    pub fn remote(file: ClusterFile) -> RemoteCluster {
        RemoteCluster {
            cluster: file.cluster.parse().expect("a number"),
            security: Security::Loopback,
            token: file.token,
            addresses: file.addresses,
            settings: file.settings,
        }
    }

    fn clients(&self) -> RemoteClients {
        let file = ClusterFile::read(&self.folder.read("cluster.toml")).expect("a good file");
        RemoteClients::start(Processes::remote(file), Arc::new(Notices::new(|_| {}))).expect("threads")
    }
}

/// Addresses at which nothing listens.
pub fn free_addresses(count: usize) -> Vec<String> {
    // All are taken at one time, so they differ.
    let taken: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    taken.iter().map(|listener| listener.local_addr().expect("it listens").to_string()).collect()
}

/// Puts a value, and tells which node answered.
#[track_caller]
fn put(client: &Client<KeyValue>, key: &str, value: &str) -> NodeId {
    client.submit(Command::put(key, value)).expect("a leader answers in time").node
}

#[track_caller]
fn assert_holds(client: &Client<KeyValue>, keys: usize) {
    for at in 0..keys {
        let seen =
            client.read(Query::Read { key: format!("k{at}").into() }).expect("a leader answers in time");
        assert_eq!(seen.answer, Answer::Value(format!("v{at}").into()), "k{at}");
    }
}

#[test]
fn a_node_never_makes_its_files_by_itself_and_a_founder_makes_them_once() {
    let mut processes = Processes::founded();
    let (n1, n2) = (NodeId::new(1), NodeId::new(2));
    let again = processes.node(n1, &["--init"]).exits(78);
    assert!(again.err.contains("n1 has files already"), "{}", again.err);
    processes.start_all();
    let clients = processes.clients();
    put(&clients.client::<KeyValue>().with_timeout(PATIENCE), "k0", "v0");
    processes.kill(n2);
    std::fs::remove_dir_all(processes.folder.path("states/n2")).expect("its files are there");
    let empty = processes.node(n2, &[]).exits(78);
    assert!(empty.err.contains("n2's files are missing: put them back"), "{}", empty.err);
    let refused = processes.node(n2, &["--init"]).exits(78);
    assert!(refused.err.contains("says that the cluster has run"), "{}", refused.err);
    assert!(!processes.folder.path("states/n2").exists(), "nothing was made");
    clients.stop();
}

#[test]
fn leaders_are_killed_one_after_the_other_and_nothing_answered_is_lost() {
    let mut processes = Processes::founded();
    processes.start_all();
    let clients = processes.clients();
    let client: Client<KeyValue> = clients.client().with_timeout(PATIENCE);
    for at in 0..ROUNDS {
        let leader = put(&client, &format!("k{at}"), &format!("v{at}"));
        processes.kill(leader);
        processes.start(leader);
    }
    assert_holds(&client, ROUNDS);
    for node in NodeId::first(3) {
        processes.kill(node);
    }
    processes.start_all();
    assert_holds(&client, ROUNDS);
    clients.stop();
}

#[test]
fn a_signal_hands_over_and_ends_the_node_politely() {
    let mut processes = Processes::patient();
    processes.start_all();
    let clients = processes.clients();
    let client: Client<KeyValue> = clients.client().with_timeout(PATIENCE);
    for at in 0..3 {
        let leader = put(&client, &format!("k{at}"), &format!("v{at}"));
        let mut running = processes.running.remove(&leader).expect("it runs");
        let begun = Instant::now();
        running.signal("TERM");
        let (status, said) = running.end();
        assert_eq!(status.code(), Some(0), "{said:?}");
        assert!(begun.elapsed() < STOP_WITHIN, "{:?}: {said:?}", begun.elapsed());
        assert!(said.iter().any(|line| line.contains("steps down as leader")), "it hands over: {said:?}");
        processes.start(leader);
    }
    assert_holds(&client, 3);
    clients.stop();
}

#[test]
fn a_console_drives_processes_as_it_drives_threads() {
    let mut processes = Processes::patient();
    processes.start_all();
    let script = "wait leader\ncreate x 1\ntransfer any\ncrash leader\nwait leader\nrestart all\nwait converged\n\
                  partition n1 / n2 n3\nwait stable\nput x 2\nheal\nwait converged\npause n2\nresume n2\n\
                  crash n3 --power\nrestart n3 --wipe\nwait members n1 n2 n3\nwait converged\nread x\ncheck\n";
    let ran = processes.folder.run(env!("CARGO_BIN_EXE_client"), &["--echo"], script).exits(0);
    for part in [
        "OK created x=1 [n",
        "> transfer any\nOK n",
        " restarts: term ",
        "[n1] x [n2 n3]; majority side n2 n3",
        "OK put x=2 [n",
        "n3 restarts from nothing",
        "OK x=2 [n",
        "PASS exactly once",
        "PASS log matching",
        "PASS linearizable (3 operations on 1 key)",
    ] {
        assert!(ran.out.contains(part), "no {part:?} in {}", ran.out);
    }
    // A console that comes later finds the rules that another one has left.
    processes.folder.run(env!("CARGO_BIN_EXE_client"), &[], "cut n1>n3\n").exits(0);
    let net = processes.folder.run(env!("CARGO_BIN_EXE_client"), &[], "net\nheal\n").exits(0);
    assert!(net.out.contains("rule  cut n1>n3"), "{}", net.out);
}

#[test]
fn every_process_is_replaced_and_the_cluster_starts_again_without_the_first_ones() {
    let mut processes = Processes::founded();
    processes.start_all();
    let clients = processes.clients();
    let client: Client<KeyValue> = clients.client().with_timeout(PATIENCE);
    put(&client, "k0", "v0");
    let addresses = free_addresses(3);
    let added: Vec<(NodeId, &String)> = [4, 5, 6].map(NodeId::new).into_iter().zip(&addresses).collect();
    for (old, &(new, address)) in NodeId::first(3).into_iter().zip(&added) {
        processes.start_with(new, &["--wipe", "--bind", address]);
        let script = format!("wait leader\nreplace {old} with {new}\nwait converged\nmembers\n");
        let ran = processes.folder.run(env!("CARGO_BIN_EXE_client"), &[], script).exits(0);
        assert!(ran.out.contains(&format!("replaced {old} with {new}")), "{}", ran.out);
        assert!(ran.out.lines().any(|line| line.ends_with(address.as_str())), "{}", ran.out);
    }
    for old in NodeId::first(3) {
        processes.kill(old);
    }
    put(&client, "k1", "v1");
    // The file names none that is left: a console says what to do. One that is told of a node finds the others, and no node
    // that was removed.
    let alone = processes.folder.run(env!("CARGO_BIN_EXE_client"), &[], "status\n").exits(0);
    assert!(
        alone.err.contains("none of the nodes in cluster.toml answers: start one, or write"),
        "{}",
        alone.err
    );
    let text = processes.folder.read("cluster.toml");
    processes.folder.write("cluster.toml", &format!("{text}n4 = \"{}\"\n", addresses[0]));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ran = processes.folder.run(env!("CARGO_BIN_EXE_client"), &[], "wait leader\nstatus\n").exits(0);
        let names_removed = ran.out.lines().any(|line| line.starts_with("n1 "));
        if !names_removed && ran.out.contains("3 of 3 up, quorum 2: can commit") {
            break;
        }
        assert!(Instant::now() < deadline, "{}", ran.out);
    }
    processes.folder.write("cluster.toml", &text);
    // Where they are stands in their logs alone.
    for &(new, _) in &added {
        processes.kill(new);
    }
    for &(new, address) in &added {
        processes.start_with(new, &["--bind", address]);
    }
    assert_holds(&client, 2);
    clients.stop();
}

/// The lines of the README's section, with the programs in place of cargo.
#[test]
fn the_readmes_lines_start_a_cluster_of_processes() {
    let readme = include_str!("../../README.md");
    let section = readme.split("\n## Several processes\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let lines = section.expect("the README has it").lines();
    let typed = lines.filter_map(|line| line.strip_prefix("cargo run --release --bin ")).map(str::to_string);
    let mut processes = Processes::new();
    let mut seen = Vec::new();
    for line in typed {
        let (program, options) = line.split_once(" -- ").unwrap_or((&line, ""));
        let options: Vec<&str> = options.split_whitespace().collect();
        seen.push(program.to_string());
        match (program, options.as_slice()) {
            ("cluster", ["3", "--processes"]) => {
                // A reader may have had other files there.
                let options = [options.as_slice(), &["--states", "of-children"]].concat();
                let script =
                    "wait leader\nkill leader\nwait leader\nrestart all\ncreate x 1\nread x\nexpect ok x=1\n";
                processes.folder.cluster(&options, script).exits(0);
            }
            ("cluster", _) => {
                processes.folder.cluster(&options, "").exits(0);
                // Tests run side by side: these need ports of their own.
                processes.use_free_ports();
            }
            ("node", [node, "--init"]) => {
                processes.node(node.parse().expect("a node"), &["--init"]).exits(0);
            }
            ("node", [node]) => processes.start(node.parse().expect("a node")),
            ("client", []) => {
                let script = "wait leader\ncreate x 1\nread x\n";
                let ran = processes.folder.run(env!("CARGO_BIN_EXE_client"), &[], script).exits(0);
                assert!(ran.out.contains("OK x=1"), "{}", ran.out);
            }
            ("client_load", ["--connect", "cluster.toml", ..]) => {
                processes.folder.client_load(&["--connect", "cluster.toml", "--duration", "1s"]).exits(0);
            }
            _ => panic!("a line that this test does not type: {line}"),
        }
    }
    let expected =
        ["cluster", "cluster", "node", "node", "node", "node", "node", "node", "client", "client_load"];
    assert_eq!(seen, expected);
}

#[test]
fn a_load_over_tcp_is_judged_as_one_on_threads() {
    let mut processes = Processes::patient();
    processes.start_all();
    let options = "--connect cluster.toml --clients 4 --duration 4s --timeout 20s --json";
    let faults =
        ["--at", "500ms", "transfer any", "--at", "1s", "crash leader", "--at", "1500ms", "restart all"];
    let options: Vec<&str> = options.split(' ').chain(faults).collect();
    let ran = processes.folder.client_load(&options).exits(0);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(report["verdict"]["pass"], true, "{report}");
    assert_eq!((&report["failed"], &report["unknown"]), (&0.into(), &0.into()), "{report}");
}

#[test]
fn faults_are_refused_where_the_file_does_not_allow_them() {
    let mut processes = Processes::patient();
    let text = processes.folder.read("cluster.toml").replace("faults = true", "faults = false");
    processes.folder.write("cluster.toml", &text);
    processes.start_all();
    let script = "wait leader\ncrash n1\ncut n1>n2\ntransfer any\n";
    let ran = processes.folder.run(env!("CARGO_BIN_EXE_client"), &["--keep-going"], script).exits(1);
    assert_eq!(ran.out.matches("faults are not allowed here").count(), 2, "{}", ran.out);
    assert!(ran.out.contains("OK n"), "a transfer is no fault: {}", ran.out);
}

#[test]
fn strangers_are_told_why_they_are_not_let_in() {
    let mut processes = Processes::founded();
    let text = processes.folder.read("cluster.toml");
    let token = text.lines().find(|line| line.starts_with("token")).expect("a token").to_string();
    let strangers = [
        (token.as_str(), "token = \"another\"", "another token"),
        ("cluster = \"", "cluster = \"0000000000000000\" #", "belongs to cluster 0000000000000000"),
    ];
    let founded = strangers.map(|(from, to, expected)| {
        let other = Processes::alone();
        other.folder.write("cluster.toml", &text.replacen(from, to, 1));
        make_private(&other.folder);
        let asked = other.node(NodeId::new(2), &["--init"]).exits(0);
        assert!(asked.err.contains("not asked whether the cluster has run"), "{}", asked.err);
        (other, expected)
    });
    processes.start(NodeId::new(1));
    for (other, expected) in founded {
        let n2 = Running::of(other.folder.command(env!("CARGO_BIN_EXE_node"), &["n2"]));
        n2.warning(expected);
        processes.running[&NodeId::new(1)].warning("not let in");
        let refused = other.node(NodeId::new(3), &["--init"]).exits(78);
        assert!(refused.err.contains("does not say whether the cluster has run"), "{}", refused.err);
    }
}

pub fn make_private(folder: &Folder) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.path("cluster.toml"), mode).expect("its owner may");
    }
}
