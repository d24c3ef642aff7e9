//! Members of an etcd as processes of this program: in a folder, on loopback, and ended with it.
//!
//! A member is started by way of this program ([`run_member`]), which asks the system to kill it when its starter ends, and
//! then becomes `etcd`.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::lab::{LabError, Life};
use crate::supervisor::{Child, Condition, Program, STOP_PATIENCE, Table, Tell};
use crate::types::NodeId;

/// The program that a member is.
const ETCD: &str = "etcd";

/// Members that this program has started. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Members {
    program: Program,
    folder: PathBuf,
    /// Where each listens for clients, and for the others.
    listens: BTreeMap<NodeId, (SocketAddr, SocketAddr)>,
    children: BTreeMap<NodeId, Child>,
    table: Table,
    /// What each said last.
    said: Arc<Mutex<BTreeMap<String, String>>>,
    /// Whether the process of one has ended, so that what it used of the machine is no longer known.
    has_lost_one: bool,
}

impl Members {
    /// Starts this many new members with their files in this folder, which is empty.
    ///
    /// # Errors
    /// There is no etcd, or the system starts no process.
    pub fn start(count: u8, folder: &Path, program: Program) -> Result<Members, LabError> {
        find()?;
        let nodes = NodeId::first(count);
        let listens = free_addresses(&nodes)
            .map_err(|error| LabError::new(format!("the system gives no ports: {error}")))?;
        let mut members = Members {
            program,
            folder: folder.to_path_buf(),
            listens,
            children: BTreeMap::new(),
            table: Table::default(),
            said: Arc::default(),
            has_lost_one: false,
        };
        nodes.into_iter().try_for_each(|node| members.spawn(node))?;
        Ok(members)
    }

    /// Where clients ask them.
    pub fn addresses(&self) -> Arc<[String]> {
        self.listens.values().map(|(clients, _)| url(*clients)).collect()
    }

    /// The numbers of their processes; none if one has ended meanwhile.
    pub fn processes(&self) -> Option<Vec<u32>> {
        (!self.has_lost_one).then(|| self.children.values().map(Child::number).collect())
    }

    /// Whether a member's process has ended or is frozen, and what it said last.
    pub fn life(&self, node: NodeId) -> Option<Life> {
        let said = || self.said.lock().get(&format!("[{node}]")).map(|said| format!(": {said}"));
        match self.table.life(node)? {
            Life::Down(why) => Some(Life::Down(format!("{why}{}", said().unwrap_or_default()))),
            life => Some(life),
        }
    }

    /// Ends a member at once (SIGKILL).
    pub fn kill(&mut self, node: NodeId) -> Result<String, LabError> {
        self.running(node)?.kill();
        self.await_end(node)?;
        Ok("its files stay".to_string())
    }

    /// Ends a member politely (SIGTERM).
    pub fn stop(&mut self, node: NodeId) -> Result<String, LabError> {
        self.running(node)?;
        let child = self.children.get_mut(&node).expect("it runs");
        terminate(child).map_err(|error| signalled(node, &error))?;
        // One that is frozen is woken, and its end is told to no person.
        child.stop();
        self.await_end(node)?;
        Ok(String::new())
    }

    /// Lets a member make no step (SIGSTOP).
    pub fn freeze(&mut self, node: NodeId) -> Result<String, LabError> {
        if matches!(self.table.get(node), Some(Condition::Frozen(_))) {
            return Err(LabError::new(format!("{node} is paused already")));
        }
        freeze(self.running(node)?).map_err(|error| signalled(node, &error))?;
        self.table.set(node, Condition::Frozen(Instant::now()));
        Ok(String::new())
    }

    /// Lets a frozen member make steps again (SIGCONT).
    pub fn thaw(&mut self, node: NodeId) -> Result<String, LabError> {
        let Some(Condition::Frozen(since)) = self.table.get(node) else {
            return Err(LabError::new(format!("{node} is not paused")));
        };
        thaw(self.running(node)?).map_err(|error| signalled(node, &error))?;
        self.table.set(node, Condition::Runs);
        Ok(format!("it stood still for {:.1} s", since.elapsed().as_secs_f64()))
    }

    /// Starts a member that has ended, on its files.
    pub fn restart(&mut self, node: NodeId) -> Result<String, LabError> {
        if self.running(node).is_ok() {
            return Err(LabError::running(node));
        }
        self.spawn(node)?;
        Ok("from its files".to_string())
    }

    fn running(&self, node: NodeId) -> Result<&Child, LabError> {
        let runs = matches!(self.table.get(node), Some(Condition::Runs | Condition::Frozen(_)));
        let child = self.children.get(&node).filter(|_| runs);
        child.ok_or_else(|| LabError::down(node))
    }

    fn await_end(&mut self, node: NodeId) -> Result<(), LabError> {
        self.has_lost_one = true;
        let ended = self.children[&node].has_ended(Instant::now() + STOP_PATIENCE);
        ended.then_some(()).ok_or_else(|| LabError::new(format!("{node}'s process has not ended yet")))
    }

    fn spawn(&mut self, node: NodeId) -> Result<(), LabError> {
        let parent = std::process::id().to_string();
        let words = std::iter::once(OsString::from(parent)).chain(self.options(node));
        let mut command = self.program.command(words);
        // An environment that configures etcd means another one.
        let of_etcd = env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.to_string_lossy().starts_with("ETCD_") && name != "ETCD_UNSUPPORTED_ARCH");
        for name in of_etcd {
            command.env_remove(name);
        }
        let said = Arc::clone(&self.said);
        let tell: Tell = Arc::new(move |line: &str| {
            if let Some((who, what)) = line.split_once(' ') {
                said.lock().insert(who.to_string(), what.to_string());
            }
        });
        let child = Child::spawn(command, node, &self.table, &tell)
            .map_err(|error| LabError::new(format!("{node}'s process cannot be started: {error}")))?;
        self.children.insert(node, child);
        Ok(())
    }

    fn options(&self, node: NodeId) -> Vec<OsString> {
        let (clients, peers) = self.listens[&node];
        let all: Vec<String> =
            self.listens.iter().map(|(node, (_, peers))| format!("{node}={}", url(*peers))).collect();
        let folder = self.folder.join(node.to_string());
        let named = [
            ("--name", node.to_string()),
            ("--listen-client-urls", url(clients)),
            ("--advertise-client-urls", url(clients)),
            ("--listen-peer-urls", url(peers)),
            ("--initial-advertise-peer-urls", url(peers)),
            ("--initial-cluster", all.join(",")),
            ("--initial-cluster-state", "new".to_string()),
            ("--logger", "zap".to_string()),
            ("--log-level", "error".to_string()),
        ];
        let named = named.into_iter().flat_map(|(name, value)| [name.into(), value.into()]);
        named.chain(["--data-dir".into(), folder.into()]).collect()
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        // Nothing is kept: how they end is all one.
        self.children.values().for_each(Child::kill);
        let deadline = Instant::now() + STOP_PATIENCE;
        for child in self.children.values() {
            child.has_ended(deadline);
        }
    }
}

/// Becomes an etcd with these options, behind the number of the process that starts it. Returns only if that fails.
pub fn run_member(words: &[OsString]) -> io::Error {
    let Some((parent, options)) = words.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "the starter's number is missing");
    };
    end_with_parent();
    let is_parent = |number: u32| parent.to_string_lossy() == number.to_string();
    if !parent_number().is_none_or(is_parent) {
        return io::Error::other("its starter has ended");
    }
    let mut command = Command::new(ETCD);
    command.args(options);
    #[cfg(unix)]
    return std::os::unix::process::CommandExt::exec(&mut command);
    #[cfg(not(unix))]
    command.status().err().unwrap_or_else(|| io::Error::other("it has ended"))
}

fn end_with_parent() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // Without it a member outlives a starter that is killed.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
}

#[cfg(unix)]
fn parent_number() -> Option<u32> {
    rustix::process::getppid().and_then(|number| u32::try_from(number.as_raw_pid()).ok())
}

#[cfg(not(unix))]
fn parent_number() -> Option<u32> {
    None
}

fn find() -> Result<(), LabError> {
    let asked = Command::new(ETCD).arg("--version").stdin(Stdio::null()).output();
    asked.map(drop).map_err(|error| {
        let advice = "install it (Debian's etcd-server), or name one that runs: etcd=http://127.0.0.1:2379";
        LabError::new(format!("no etcd can be started ({error})")).advising(advice)
    })
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Two addresses for each, which were free a moment ago.
fn free_addresses(nodes: &[NodeId]) -> io::Result<BTreeMap<NodeId, (SocketAddr, SocketAddr)>> {
    let free = || TcpListener::bind("127.0.0.1:0");
    // All are held until the last is found, so that no two are the same.
    let held: Vec<(TcpListener, TcpListener)> =
        nodes.iter().map(|_| Ok((free()?, free()?))).collect::<io::Result<_>>()?;
    let pairs: io::Result<Vec<_>> =
        held.iter().map(|(clients, peers)| Ok((clients.local_addr()?, peers.local_addr()?))).collect();
    Ok(nodes.iter().copied().zip(pairs?).collect())
}

fn signalled(node: NodeId, error: &io::Error) -> LabError {
    LabError::new(format!("{node}'s process takes no signal: {error}"))
}

#[cfg(unix)]
use rustix::process::Signal;

#[cfg(unix)]
fn terminate(child: &Child) -> io::Result<()> {
    child.signal(Signal::TERM)
}

#[cfg(unix)]
fn freeze(child: &Child) -> io::Result<()> {
    child.signal(Signal::STOP)
}

#[cfg(unix)]
fn thaw(child: &Child) -> io::Result<()> {
    child.signal(Signal::CONT)
}

#[cfg(not(unix))]
use self::{unsupported as freeze, unsupported as terminate, unsupported as thaw};

#[cfg(not(unix))]
fn unsupported(_: &Child) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no such signals; 'crash' ends it"))
}
