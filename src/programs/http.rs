//! `--http`: the gateway of a program that has a node, or several.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use clap::Args;

use crate::cluster::Cluster;
use crate::gateway::{Door, Gateway, Site};
use crate::links::Notices;
use crate::node::{Boards, Measures};
use crate::process::Process;
use crate::remote::RemoteCluster;
use crate::remote::clients::RemoteClients;
use crate::remote::lab::RemoteLab;
use crate::state_machine::kv::KeyValue;
use crate::types::NodeId;

/// The option of a gateway.
#[derive(Args)]
pub(super) struct HttpOptions {
    /// Answers HTTP in etcd's JSON at this address of this machine, such as 127.0.0.1:2379 (feature http)
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
}

/// A gateway before it answers, if one is wanted.
pub(super) struct OpenDoor(Option<Door>);

/// A gateway that answers, if one is wanted.
pub(super) struct OpenGateway(Option<Gateway>);

impl HttpOptions {
    /// Takes the address.
    ///
    /// # Errors
    /// One line: the address cannot be had.
    pub(super) fn open(&self) -> Result<OpenDoor, String> {
        self.http.as_deref().map(Door::open).transpose().map(OpenDoor)
    }
}

impl OpenDoor {
    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// The line that says where it is.
    pub(super) fn line(&self) -> Option<String> {
        self.0.as_ref().map(|door| format!("http: http://{}/", door.address()))
    }

    /// Answers for this cluster.
    ///
    /// # Errors
    /// One line: the system gives no thread.
    pub(super) fn serve(self, site: impl FnOnce() -> Result<Site, String>) -> Result<OpenGateway, String> {
        self.0.map(|door| door.serve(site()?)).transpose().map(OpenGateway)
    }
}

impl OpenGateway {
    /// The cluster is about to end.
    pub(super) fn close(&self) {
        if let Some(gateway) = &self.0 {
            gateway.close();
        }
    }
}

/// Nodes on threads, all behind one gateway.
pub(super) fn of_threads(cluster: &Cluster) -> Site {
    let (boards, network) = (cluster.boards(), cluster.network());
    Site {
        cluster: cluster.id(),
        home: None,
        clients: Box::new(cluster.client_maker()),
        measures: Box::new(measures_of(&boards)),
        statuses: Box::new(move || boards.statuses()),
        addresses: Box::new(Default::default),
        messages: Box::new(move || network.counts()),
    }
}

/// The node of a process. Its gateway's clients reach all nodes as other clients do.
pub(super) fn of_process(
    process: &Process<KeyValue>,
    remote: RemoteCluster,
    node: NodeId,
) -> Result<Site, String> {
    let cluster = remote.cluster;
    let clients =
        RemoteClients::start(remote, Arc::new(Notices::new(|_| {}))).map_err(|error| no_thread(&error))?;
    let (boards, network, book) = process.seen();
    Ok(Site {
        cluster,
        home: Some(node),
        clients: Box::new(move || clients.client()),
        measures: Box::new(measures_of(&boards)),
        statuses: Box::new(move || boards.statuses()),
        addresses: Box::new(move || book.all()),
        messages: Box::new(move || network.counts()),
    })
}

/// Nodes in processes, behind the gateway of their console.
pub(super) fn of_processes(lab: &RemoteLab) -> Site {
    let (book, nodes) = (lab.book(), lab.respondents());
    let (measured, counting) = (nodes.clone(), nodes.clone());
    Site {
        cluster: lab.cluster(),
        home: None,
        clients: Box::new(lab.client_maker()),
        statuses: Box::new(move || nodes.statuses()),
        measures: Box::new(move || measured.measures()),
        addresses: Box::new(move || book.all()),
        messages: Box::new(move || counting.network_counts()),
    }
}

fn measures_of(boards: &Arc<Boards>) -> impl Fn() -> BTreeMap<NodeId, Measures> + Send + Sync + use<> {
    let boards = Arc::clone(boards);
    move || boards.measures()
}

fn no_thread(error: &io::Error) -> String {
    format!("the system gives no more threads: {error}")
}
