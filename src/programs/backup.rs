//! `backup FILE` and `restore FILE NODE`: a copy of a cluster's state, and a new cluster that begins with it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use super::{Start, cluster_file};
use crate::console::printer::{Output, Style};
use crate::lab::Lab;
use crate::links::Notices;
use crate::remote::lab::RemoteLab;
use crate::server::RoleName;
use crate::state_machine::kv::KeyValue;
use crate::state_machine::{Replica, image};
use crate::storage::backup::{self, Backup};
use crate::types::NodeId;

/// Nothing was made.
const REFUSED: u8 = 1;

/// Copies the state of a cluster of processes to a file, from a node that runs or from the files of one that does not.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "A backup of the leader holds all that was answered before it began. The file is checked once it is written.\n\n\
                  Exit code 0: it was made; 1: it was not, and why; 2: wrong usage."
)]
pub(super) struct BackupOptions {
    /// The file that is written
    file: PathBuf,
    /// The node whose state it is [default: the leader]
    #[arg(long, value_name = "NODE", conflicts_with = "files")]
    node: Option<NodeId>,
    /// Reads this folder of a node that does not run, as far as its log is known to be committed
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// The file that describes the cluster
    #[arg(long, value_name = "FILE", default_value = "cluster.toml")]
    config: PathBuf,
    /// Whose certificate it shows [default: the only one in the folder]
    #[arg(long, value_name = "NAME")]
    r#as: Option<String>,
}

/// Makes the files of the first node of a new cluster from a backup.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "The file of the new cluster has a number of its own: 'cluster 1 --write-config new.toml' writes one. The node is its \
                  only member: start it, then start others with --wipe and 'add' them.\n\n\
                  Exit code 0: they were made; 1: nothing was made, and why; 2: wrong usage."
)]
pub(super) struct RestoreOptions {
    /// The backup
    file: PathBuf,
    /// The node whose files are made
    node: NodeId,
    /// The file that describes the new cluster
    #[arg(long, value_name = "FILE", default_value = "cluster.toml")]
    config: PathBuf,
    /// The folder with the nodes' state [default: states]
    #[arg(long, value_name = "DIR")]
    states: Option<PathBuf>,
}

pub fn back_up(start: &Start) -> ExitCode {
    start.options().map_or_else(|code| code, |options| told(save(&options)))
}

pub fn restore(start: &Start) -> ExitCode {
    start.options().map_or_else(|code| code, |options| told(begin(&options)))
}

fn told(done: Result<String, String>) -> ExitCode {
    let output = Output::standard(Style::default());
    match done {
        Ok(text) => {
            output.progress(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            output.warn(&format!("error: {text}"));
            ExitCode::from(REFUSED)
        }
    }
}

fn save(options: &BackupOptions) -> Result<String, String> {
    let bytes = match &options.files {
        Some(folder) => {
            let machine = Box::new(Replica::new(KeyValue::default()));
            backup::of_files(folder, machine, image::load::<KeyValue>)?
        }
        None => of_running(options)?,
    };
    let saved = backup::save(&options.file, &bytes)?;
    let (file, bytes) = (options.file.display(), bytes.len());
    Ok(format!("{file} holds cluster {} up to entry {}, {bytes} bytes", saved.cluster, saved.last.index))
}

fn of_running(options: &BackupOptions) -> Result<Vec<u8>, String> {
    let file = cluster_file::read(&options.config)?;
    let remote = cluster_file::remote(&options.config, &file, options.r#as.as_deref())?;
    let notices = Arc::new(Notices::new(|_| {}));
    let name = format!("backup {}", std::process::id());
    let mut lab = RemoteLab::connect(remote, &name, notices, Arc::new(|_| {}))
        .map_err(|error| format!("the system gives no more threads: {error}"))?;
    let leads = |lab: &mut RemoteLab| {
        let nodes = lab.nodes();
        nodes.into_iter().find(|node| lab.view(*node).status.role == RoleName::Leader)
    };
    let node = options.node.or_else(|| leads(&mut lab));
    let node =
        node.ok_or("no leader answers: choose a node with --node, or the files of one with --files")?;
    let text = lab.backup(node).map_err(|error| error.to_string());
    lab.leave();
    text.map(String::into_bytes)
}

fn begin(options: &RestoreOptions) -> Result<String, String> {
    let RestoreOptions { file: path, node, config, states } = options;
    let file = cluster_file::read(config)?;
    let cluster = file.cluster.parse()?;
    let saved = Backup::open(path)?;
    let folder = states.as_ref().unwrap_or(&file.settings.states).join(node.to_string());
    let member = saved.restore(&folder, *node, cluster, image::load::<KeyValue>)?;
    let states = states.as_ref().map(|states| format!(" --states {}", states.display())).unwrap_or_default();
    let bind = if file.addresses.contains_key(node) { "" } else { " --bind HOST:PORT" };
    Ok(format!(
        "{member} is the only member of cluster {cluster}, which begins with cluster {} up to entry {}: start it with 'node {node} \
         --config {}{states}{bind}'",
        saved.cluster,
        saved.last.index,
        config.display()
    ))
}
