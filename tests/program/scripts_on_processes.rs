//! The same scripts as in virtual time and on threads, on clusters whose nodes are processes: all of `scripts/`, and those of
//! `tests/scripts` that need no virtual time. What a script expects is to hold, and each check is to pass.
//!
//! `SCRIPT=figure-7 cargo test --test program scripts_on_processes` runs those of this name alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use raftlab::NodeId;
use raftlab::cluster::{Apart, NewFiles, make_files};
use raftlab::config::Settings;
use raftlab::config::cluster_file::ClusterFile;
use raftlab::console::executor::{Console, Context, Script, parse};
use raftlab::console::language::Outcome;
use raftlab::console::narrator::Narrator;
use raftlab::console::printer::{Output, Style};
use raftlab::kv::KeyValue;
use raftlab::lab::{Lab, Life};
use raftlab::links::Notices;
use raftlab::remote::RemoteCluster;
use raftlab::remote::lab::RemoteLab;
use raftlab::storage::ClusterId;
use raftlab::text::units::parse_duration;

use super::processes::{Processes, free_addresses, make_private};
use crate::{Folder, PATIENCE, Running};

/// Clusters that run at a time: they mostly wait.
const AT_A_TIME: usize = 4;

/// Scripts that do not run on processes, and why.
const LEFT_OUT: [(&str, &str); 15] = [
    ("client/lease-skewed-clock.txt", "its clocks are ahead by several of virtual time's election timeouts"),
    ("client/lease-set-election.txt", "what it waits for is shorter than elections on a busy machine"),
    (
        "client/lease-transfer.txt",
        "a node is held back as long as a leader waits for it, and a process's wait begins first",
    ),
    ("election/candidate-steps-down.txt", "its two candidates do not split the vote, as two processes may"),
    ("election/late-order.txt", "its delay is to be longer than virtual time's election timeouts"),
    ("election/rewind-and-fork.txt", "only virtual time can be rewound"),
    ("election/slow-disks-pre-vote-off.txt", "it waits half a minute for elections that do not succeed"),
    ("election/slow-disks.txt", "it counts terms, and two processes may split a vote"),
    ("election/stall-over-pre-vote-off.txt", "it waits two minutes for a disk"),
    (
        "election/transfer-refused.txt",
        "a node is to be silent for longer than the shortest election timeout and not as long as the longest",
    ),
    (
        "snapshot/full-disk.txt",
        "a process that ends with its node's disk may not answer the line that ends it: then the outcome is unknown",
    ),
    ("snapshot/stalled-leader.txt", "it counts terms, and two processes may split a vote"),
    ("scripts/figure-7.raft", "its partitions come within a tenth of a second, which a busy machine misses"),
    ("scripts/figure-8.raft", "its partitions come within a tenth of a second, which a busy machine misses"),
    ("scripts/lease.raft", "its lines come within a lease of a second, which a busy machine misses"),
];

/// Times below this pass while a line is on its way to a process.
const SHORTEST: &str = "20ms";

/// How the first leader comes about. A script that orders it must not be forestalled while a busy machine starts the
/// processes, so they wait longer until it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Election {
    /// The script has settings of its own.
    Own,
    Itself,
    Ordered,
}

/// The timeouts with which a script runs, for busy machines.
const ELECTION: &str = "set election 1s..2s";

/// What a script says.
struct Given {
    name: String,
    nodes: u8,
    /// Lines of a configuration file.
    settings: String,
    directives: Vec<String>,
    /// A data command may go unanswered, which a transcript shows; `scripts/` say what they expect.
    is_golden: bool,
}

impl Given {
    /// A script of `scripts/`, with what its first line says.
    fn shown(path: &Path) -> Given {
        let text = fs::read_to_string(path).expect("the script can be read");
        let words: Vec<&str> = text.lines().next().unwrap_or_default().split(' ').collect();
        let nodes = words[2].parse().expect("the first line says how many nodes");
        let config = words.iter().position(|word| *word == "--config").map(|at| words[at + 1]);
        let config = config.map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
        let settings = config.map(|path| fs::read_to_string(path).expect("it is there")).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let directives = lines.map(str::to_string).collect();
        Given { name: name_of(path), nodes, settings, directives, is_golden: false }
    }

    /// A golden script, with its line of settings.
    fn golden(path: &Path) -> Given {
        let text = fs::read_to_string(path).expect("the script can be read");
        let is_number = |rest: &str| rest.starts_with(|next: char| next.is_ascii_digit());
        let mut lists = text.lines().filter_map(|line| line.strip_prefix("# nodes "));
        let list = lists.find(|rest| is_number(rest)).expect("a line of settings");
        let mut items = list.split(", ");
        let nodes = items.next().and_then(|count| count.parse().ok()).expect("how many nodes");
        let mut settings = String::new();
        for (key, value) in items.filter_map(|item| item.split_once(' ')).filter(|(key, _)| *key != "seed") {
            let value = match value {
                "on" => "true",
                "off" => "false",
                number => number,
            };
            settings.extend([key, " = ", value, "\n"]);
        }
        let directives = text.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_string);
        Given { name: name_of(path), nodes, settings, directives: directives.collect(), is_golden: true }
    }

    /// Why it does not run on processes.
    fn is_left_out(&self) -> Option<String> {
        if let Some((_, why)) = LEFT_OUT.iter().find(|(name, _)| *name == self.name) {
            return Some((*why).to_string());
        }
        let shortest = parse_duration(SHORTEST).expect("a time");
        let words = self.directives.iter().flat_map(|line| line.split_whitespace());
        let short = words.filter_map(|word| parse_duration(word).ok().map(|time| (word, time)));
        let mut short = short.filter(|(_, time)| !time.is_zero() && *time < shortest);
        short
            .next()
            .filter(|_| self.is_golden)
            .map(|(word, _)| format!("it needs virtual time for its {word}"))
    }

    /// Runs it, and says what went otherwise than it says.
    fn run(&self) -> Result<(), String> {
        let given_election = self.election();
        let mut cluster = ProcessCluster::start(self);
        let output = Output::memory(Style { transcript: true, ..Style::default() });
        let narrator = Narrator::direct(output.clone());
        let notices = Arc::new(Notices::new(|_| {}));
        let lab =
            RemoteLab::connect(cluster.remote.clone(), "console of a test", notices, narrator.observer());
        let context = Context { client_timeout: PATIENCE / 2, ..Context::default() };
        let mut console = Console::new(lab.expect("threads"), context, output.clone(), narrator);
        console.run_line(&mut Script::typed(), Ok("wait up all 20s"));
        if given_election == Election::Ordered {
            console.run_line(&mut Script::typed(), Ok(ELECTION));
        }
        output.take_transcript();
        let mut text = String::new();
        let mut failed = None;
        for (at, directive) in self.directives.iter().enumerate() {
            let next = self.directives.get(at + 1);
            cluster.start_newcomers(directive, console.lab_mut());
            let ended = cluster.ended(directive, console.lab_mut());
            if let Some(node) = ended.filter(|_| !expects_failure(next)) {
                cluster.start_beside(node, &[], console.lab_mut());
                continue;
            }
            let mut script = Script::typed();
            console.run_line(&mut script, Ok(directive));
            console.settle(&mut script);
            text.push_str(&output.take_transcript());
            let is_forgiven = script.worst() == Outcome::Ok || self.may_fail(directive, next);
            if !is_forgiven && failed.is_none() {
                failed = Some(directive.clone());
            }
        }
        console.into_lab().leave();
        failed.map_or(Ok(()), |directive| Err(format!("{}: '{directive}' failed\n{text}", self.name)))
    }

    fn election(&self) -> Election {
        let first = self.directives.iter().find(|line| !line.starts_with("echo "));
        match first {
            _ if self.settings.contains("election_min") => Election::Own,
            Some(first) if first.starts_with("timeout ") => Election::Ordered,
            _ => Election::Itself,
        }
    }

    fn may_fail(&self, directive: &str, next: Option<&String>) -> bool {
        const DATA: [&str; 6] = ["create", "read", "update", "delete", "put", "cas"];
        let is_data = matches!(parse(directive), Ok(Some(line)) if DATA.contains(&line.name()));
        is_data && self.is_golden || expects_failure(next)
    }
}

fn expects_failure(next: Option<&String>) -> bool {
    next.is_some_and(|next| next.starts_with("expect err") || next.starts_with("expect unknown"))
}

fn name_of(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).expect("it lies in a folder").to_string_lossy();
    format!("{folder}/{}", path.file_name().expect("a file has a name").to_string_lossy())
}

/// The nodes of one script.
struct ProcessCluster {
    remote: RemoteCluster,
    running: BTreeMap<NodeId, Running>,
    folder: Folder,
}

impl ProcessCluster {
    fn start(given: &Given) -> ProcessCluster {
        let folder = Folder::in_memory();
        let election = match given.election() {
            Election::Own => "",
            Election::Itself => "election_min = \"1s\"\nelection_max = \"2s\"\n",
            Election::Ordered => "election_min = \"20s\"\nelection_max = \"40s\"\n",
        };
        let settings = Settings::from_toml(&format!("{election}{}", given.settings)).expect("good settings");
        let founders = NodeId::first(given.nodes);
        let addresses = free_addresses(founders.len());
        let file = ClusterFile {
            cluster: ClusterId(7).to_string(),
            token: "0123456789abcdef0123456789abcdef".to_string(),
            certificates: None,
            faults: true,
            addresses: founders
                .iter()
                .copied()
                .zip(addresses.iter().map(|text| text.parse().expect("an address")))
                .collect(),
            settings: Settings { nodes: given.nodes, ..settings },
        };
        folder.write("cluster.toml", &file.text());
        make_private(&folder);
        let settings = Settings { states: folder.path("states"), ..file.settings.clone() };
        for &node in &founders {
            let peers = founders.iter().copied().filter(|other| *other != node).collect();
            let apart = Apart { cluster: ClusterId(7), node, peers, rules: Vec::new() };
            make_files::<KeyValue>(&settings, &apart, &NewFiles::Founding(founders.clone()))
                .expect("new files");
        }
        let mut cluster =
            ProcessCluster { remote: Processes::remote(file), running: BTreeMap::new(), folder };
        for node in &founders {
            cluster.spawn(*node, &[]);
        }
        cluster.running.values().for_each(|node| drop(node.answer("listens on")));
        cluster
    }

    fn spawn(&mut self, node: NodeId, options: &[&str]) {
        let name = node.to_string();
        let options: Vec<&str> = [name.as_str()].into_iter().chain(options.iter().copied()).collect();
        let running = Running::of(self.folder.command(env!("CARGO_BIN_EXE_node"), &options));
        self.running.insert(node, running);
    }

    /// A line that takes a node in needs its process.
    fn start_newcomers(&mut self, directive: &str, lab: &mut RemoteLab) {
        let adds = directive.starts_with("add ") || directive.starts_with("replace ");
        let words = directive.split_whitespace().filter(|_| adds);
        let nodes: Vec<NodeId> = words.filter_map(|word| word.parse().ok()).collect();
        for node in nodes {
            if self.running.contains_key(&node) || node.number() > 9 {
                continue;
            }
            let address = free_addresses(1).remove(0);
            self.start_beside(node, &["--wipe", "--bind", &address], lab);
        }
    }

    /// Starts a node's process that the console is to hear of.
    fn start_beside(&mut self, node: NodeId, options: &[&str], lab: &mut RemoteLab) {
        self.spawn(node, options);
        self.running[&node].answer("listens on");
        let until = lab.now() + PATIENCE;
        while matches!(lab.view(node).life, Life::Down(_)) {
            assert!(lab.now() < until, "{node} is heard of in time");
            lab.wait(until);
        }
    }

    /// The node that a line restarts, if it has ended by itself: then its process ends, and has to be started instead.
    fn ended(&mut self, directive: &str, lab: &mut RemoteLab) -> Option<NodeId> {
        let node: NodeId = directive.strip_prefix("restart ")?.parse().ok()?;
        let is_down = |lab: &mut RemoteLab, why: &str| {
            let life = lab.view(node).life;
            matches!(life, Life::Down(told) if told.contains(why))
        };
        let process = self.running.get_mut(&node)?;
        if !is_down(lab, "its disk failed") && matches!(process.child.try_wait(), Ok(None)) {
            return None;
        }
        process.end();
        let until = lab.now() + PATIENCE;
        while !is_down(lab, "its process does not answer") {
            assert!(lab.now() < until, "the console sees that the process of {node} has ended");
            lab.wait(until);
        }
        Some(node)
    }
}

fn scripts_in(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("a folder of scripts");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut scripts: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == extension)).collect();
    scripts.sort();
    scripts
}

fn all() -> Vec<Given> {
    const GROUPS: [&str; 7] =
        ["client", "election", "figures", "members", "persistence", "replication", "snapshot"];
    let golden = GROUPS.iter().flat_map(|group| scripts_in(&format!("tests/scripts/{group}"), "txt"));
    let mut all: Vec<Given> = golden.map(|path| Given::golden(&path)).collect();
    all.extend(scripts_in("scripts", "raft").iter().map(|path| Given::shown(path)));
    all
}

#[test]
fn the_same_scripts_are_green_on_processes() {
    let _turn = Processes::turn();
    let only = std::env::var("SCRIPT").ok();
    let runs = |given: &Given| {
        given.is_left_out().is_none() && only.as_ref().is_none_or(|only| given.name.contains(only.as_str()))
    };
    let complaints = run_all(all().into_iter().filter(runs).collect());
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

/// Runs some at a time; what went otherwise than they say.
fn run_all(scripts: Vec<Given>) -> Vec<String> {
    let waiting = Mutex::new(scripts);
    let next = || waiting.lock().expect("no panic").pop();
    let complaints = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(given) = next() {
                    let ran = given.run();
                    complaints.lock().expect("no panic").extend(ran.err());
                }
            });
        }
    });
    complaints.into_inner().expect("no panic")
}

/// A name that is left out belongs to a script, and scripts are not left out by and by.
#[test]
fn few_scripts_are_left_out_and_each_for_a_reason() {
    let all = all();
    for (name, why) in LEFT_OUT {
        assert!(all.iter().any(|given| given.name == name) && !why.is_empty(), "{name}");
    }
    let left_out: BTreeMap<&str, String> =
        all.iter().filter_map(|given| Some((given.name.as_str(), given.is_left_out()?))).collect();
    assert!(
        left_out
            .keys()
            .all(|name| !name.starts_with("scripts/") || LEFT_OUT.iter().any(|(left, _)| left == name))
    );
    assert!(left_out.len() * 2 < all.len(), "{} of {}: {left_out:#?}", left_out.len(), all.len());
}
