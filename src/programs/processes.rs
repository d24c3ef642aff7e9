//! `cluster --processes`: its nodes as child processes, with a file by which other consoles and loads reach them meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::Start;
use super::cluster_file::secret;
use crate::cluster::Residents;
use crate::config::Settings;
use crate::config::cluster_file::ClusterFile;
use crate::console::printer::Output;
use crate::interrupt::Interrupt;
use crate::links::Notices;
use crate::remote::lab::RemoteLab;
use crate::storage::private;
use crate::supervisor::{Plan, Program, Supervisor};
use crate::trace::TraceEvent;
use crate::types::Addresses;

/// Starts the processes, each with these settings.
pub(super) fn start(
    program: Program,
    residents: Residents,
    settings: &Settings,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Supervisor, String> {
    if settings.memory {
        return Err(
            "'memory' is set: a node in a process of its own needs files, so leave it out".to_string()
        );
    }
    let token = secret()?;
    let file = ClusterFile {
        cluster: residents.cluster.to_string(),
        certificates: None,
        token: token.clone(),
        faults: true,
        addresses: BTreeMap::new(),
        settings: settings.clone(),
    };
    let (path, warn) = (file_path(settings), output.clone());
    let on_addresses = move |addresses: &Addresses| {
        if let Err(error) = write(&path, &ClusterFile { addresses: addresses.clone(), ..file.clone() }) {
            warn.warn(&format!(
                "{} cannot be written, so no other console finds the nodes: {error}",
                path.display()
            ));
        }
    };
    let tell = output.clone();
    let plan =
        Plan { program, residents, token, settings: settings.clone(), on_addresses: Box::new(on_addresses) };
    Supervisor::start(plan, Arc::new(move |line| tell.warn(line)), interrupt.receiver())
}

/// The cluster of these processes, for a console.
pub(super) fn lab(
    supervisor: Supervisor,
    on_event: Arc<dyn Fn(&TraceEvent) + Send + Sync>,
    interrupt: &Arc<Interrupt>,
) -> Result<RemoteLab, String> {
    // Which processes run is told by their supervisor.
    let notices = Arc::new(Notices::new(|line| log::info!(target: "raftlab::links", "{line}")));
    let lab = RemoteLab::supervised(supervisor, "the supervisor's console", notices, on_event);
    let mut lab = lab.map_err(|error| format!("the system gives no more threads: {error}"))?;
    let raised = Arc::clone(interrupt);
    lab.set_interrupt(move || raised.is_raised(), interrupt.receiver().clone());
    Ok(lab)
}

/// Where another console finds the nodes.
pub(super) fn place(start: &Start, settings: &Settings) -> String {
    let (client, file) = (start.command_of("client"), file_path(settings));
    format!("each node is a process; another console: {client} --config {}", file.display())
}

/// No node listens there any more.
pub(super) fn forget(settings: &Settings) {
    let _ = fs::remove_file(file_path(settings));
}

fn file_path(settings: &Settings) -> PathBuf {
    settings.states.join("cluster.toml")
}

/// Puts it in the place of an older one: who reads it sees one of the two, whole.
fn write(path: &std::path::Path, file: &ClusterFile) -> io::Result<()> {
    let new = path.with_extension("toml.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    private::create(&new)?.write_all(file.text().as_bytes())?;
    fs::rename(&new, path)
}
