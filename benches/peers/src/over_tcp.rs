//! raftlab as three processes on a disk: the programs `cluster` and `node`, which must be built, and clients over TCP.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use raftlab::NodeId;
use raftlab::client::Client as Caller;
use raftlab::config::Settings;
use raftlab::links::Notices;
use raftlab::remote::RemoteCluster;
use raftlab::remote::clients::RemoteClients;
use raftlab::state_machine::kv::{Command as Change, KeyValue};
use raftlab::tls::{Certificates, Holder, Security};
use raftlab::types::HostPort;

use crate::driver::{self, Client, Figure, PATIENCE, Plan, Tally};
use crate::map::Put;
use crate::process::{Child, Folder, free_addresses};

/// Where the programs of raftlab are: `--profile dist` builds them there.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/dist");

/// How processes are connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// As bytes are.
    Plain,
    /// By TLS, with certificates on both ends.
    Encrypted,
}

/// Three running nodes. Dropping them ends them.
pub struct Processes {
    nodes: Vec<Child>,
    remote: RemoteCluster,
    _folder: Folder,
}

impl Processes {
    /// Founds a cluster with these settings, lines of `cluster.toml`, and starts its nodes.
    pub fn start(settings: &str, links: Links) -> Result<Processes, String> {
        let folder = Folder::new()?;
        let command = |program: &str| {
            let mut command = Command::new(PathBuf::from(PROGRAMS).join(program));
            command
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let ended = |mut command: Command| match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{command:?}: {status}")),
            Err(error) => Err(format!(
                "{command:?}: {error}: 'cargo build --profile dist --features tls --bins' builds it"
            )),
        };
        let mut writes = command("cluster");
        writes.args(["3", "--write-config", "cluster.toml"]);
        ended(writes)?;
        let path = folder.path().join("cluster.toml");
        let mut text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let addresses = free_addresses(3)?;
        for (address, port) in addresses.iter().zip(7001..) {
            text = text.replace(&format!("127.0.0.1:{port}"), &address.to_string());
        }
        text = text.replace("[addresses]", &format!("{settings}\n[addresses]"));
        let nodes = NodeId::first(3);
        let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        if links == Links::Encrypted {
            text = format!("certificates = \"certs\"\n{text}");
        }
        fs::write(&path, &text).map_err(|error| error.to_string())?;
        if links == Links::Encrypted {
            let holders = names.iter().map(|name| ["node", name.as_str()]).chain([["client", "bench"]]);
            let made = std::iter::once(vec!["new-ca"]).chain(holders.map(Vec::from));
            for words in made {
                let mut certs = command("node");
                certs.arg("certs").args(words);
                ended(certs)?;
            }
        }
        for name in &names {
            let mut init = command("node");
            init.args([name, "--init"]);
            ended(init)?;
        }
        let start = |name: &String| Child::start(command("node").arg(name));
        let started = names.iter().map(start).collect::<Result<Vec<_>, _>>()?;
        let remote = remote(&text, &addresses, links, folder.path())?;
        Ok(Processes { nodes: started, remote, _folder: folder })
    }

    /// Links to all nodes, for clients of this process.
    pub fn clients(&self) -> Result<RemoteClients, String> {
        let quiet = Arc::new(Notices::new(|_| {}));
        RemoteClients::start(self.remote.clone(), quiet).map_err(|error| error.to_string())
    }

    /// Kills this node.
    pub fn kill(&mut self, node: NodeId) {
        let at = NodeId::first(3).iter().position(|other| *other == node).expect("it is one of three");
        self.nodes[at].kill();
    }
}

/// Who the cluster is, by its file.
fn remote(
    text: &str,
    addresses: &[SocketAddr],
    links: Links,
    folder: &Path,
) -> Result<RemoteCluster, String> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
        let line = line.ok_or_else(|| format!("cluster.toml has no {key}"))?;
        Ok::<String, String>(line.trim().trim_matches('"').to_string())
    };
    let nodes = NodeId::first(3).into_iter();
    let cluster = value("cluster")?.parse()?;
    let security = match links {
        Links::Plain => Security::Loopback,
        Links::Encrypted => {
            let certificates = Certificates::open(&folder.join("certs"), &Holder::Person(None), cluster)?;
            Security::Certificates(Arc::new(certificates))
        }
    };
    Ok(RemoteCluster {
        cluster,
        security,
        token: value("token")?,
        addresses: nodes.zip(addresses.iter().copied().map(HostPort::from)).collect(),
        settings: Settings::default(),
    })
}

/// Runs the plan on nodes of their own.
pub fn run(plan: &Plan, links: Links) -> Result<Figure, String> {
    let processes = Processes::start("", links)?;
    let links = (0..plan.connections).map(|_| processes.clients()).collect::<Result<Vec<_>, _>>()?;
    let client = |at: usize| links[at % links.len()].client::<KeyValue>().with_timeout(PATIENCE);
    // A leader is known, and all are connected, before anything counts.
    for at in 0..links.len() {
        put(&client(at), Put { key: "k0".to_string(), value: String::new() })?;
    }
    let tallies = driver::drive(plan, (0..plan.clients).map(|at| Blocking(client(at))).collect())?;
    links.into_iter().for_each(RemoteClients::stop);
    Ok(Tally::sum(plan, &tallies).1)
}

/// A blocking caller, one command at a time.
struct Blocking(Caller<KeyValue>);

impl Client for Blocking {
    fn send(&mut self, puts: Vec<Put>) -> Result<(), String> {
        puts.into_iter().try_for_each(|one| put(&self.0, one).map(drop))
    }

    fn wait(&mut self) -> Result<usize, String> {
        Ok(1)
    }
}

/// Puts, and tells which node answered.
pub fn put(caller: &Caller<KeyValue>, Put { key, value }: Put) -> Result<NodeId, String> {
    let done = caller.submit(Change::put(key, value));
    done.map(|committed| committed.node).map_err(|failure| failure.to_string())
}
