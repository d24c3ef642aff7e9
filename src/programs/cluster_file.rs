//! The file of a cluster of processes, on disk: others must not be able to read it, since it holds a token.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cluster::entropy;
use crate::config::Settings;
use crate::config::cluster_file::ClusterFile;
use crate::remote::RemoteCluster;
use crate::storage::{ClusterId, private};
use crate::text::nodes::spaced;
use crate::text::{counted, plain};
use crate::tls::{Certificates, Holder, Security};
use crate::types::NodeId;

/// The port of n1; the others' follow.
const FIRST_PORT: u16 = 7001;

/// Reads the file, which others must not be able to read.
pub(super) fn read(path: &Path) -> Result<ClusterFile, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{shown} is not there: 'cluster 3 --write-config {shown}' writes one")
        }
        _ => format!("{shown}: {}", plain(&error)),
    })?;
    private::check(path)?;
    ClusterFile::read(&text).map_err(|error| format!("{shown}: {error}"))
}

/// Writes the file of a new cluster with these settings, whose nodes all listen on this machine. Returns what to do next.
///
/// # Errors
/// It is there already, or cannot be written.
pub(super) fn write(path: &Path, settings: Settings) -> Result<String, String> {
    let shown = path.display();
    let nodes = NodeId::first(settings.nodes);
    let addresses = nodes.iter().copied().zip(FIRST_PORT..);
    let file = ClusterFile {
        cluster: ClusterId(entropy()).to_string(),
        token: secret()?,
        certificates: None,
        faults: true,
        addresses: addresses
            .map(|(node, port)| (node, SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()))
            .collect(),
        settings,
    };
    let new = private::options().write(true).create_new(true).open(path);
    let written = new.and_then(|mut opened| opened.write_all(file.text().as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{shown} is there already: choose another name, or remove it")
        }
        _ => format!("{shown}: {}", plain(&error)),
    })?;
    let names = spaced(&nodes, |node| node.to_string());
    Ok(format!(
        "{shown} describes a cluster of {}: {names}. For n1, and so for the others, each in a terminal of its own:\n\
         node n1 --config {shown} --init\n\
         node n1 --config {shown}",
        counted(nodes.len(), "node")
    ))
}

/// A word that no one guesses.
pub(super) fn secret() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// The cluster that the file describes, for a client or a console by this name.
pub(super) fn remote(path: &Path, file: &ClusterFile, name: Option<&str>) -> Result<RemoteCluster, String> {
    Ok(RemoteCluster {
        cluster: file.cluster.parse()?,
        security: security(path, file, &Holder::Person(name.map(str::to_string)))?,
        token: file.token.clone(),
        addresses: file.addresses.clone(),
        settings: file.settings.clone(),
    })
}

/// How connections are protected. The folder with certificates is looked for beside the file.
pub(super) fn security(path: &Path, file: &ClusterFile, holder: &Holder) -> Result<Security, String> {
    let Some(folder) = certificates(path, file) else { return Ok(Security::Loopback) };
    let opened = Certificates::open(&folder, holder, file.cluster.parse()?);
    opened.map(|certificates| Security::Certificates(Arc::new(certificates)))
}

/// The folder with certificates that the file names.
pub(super) fn certificates(path: &Path, file: &ClusterFile) -> Option<PathBuf> {
    let folder = file.certificates.as_ref()?;
    Some(path.parent().map_or_else(|| folder.clone(), |beside| beside.join(folder)))
}
