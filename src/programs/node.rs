//! `node NAME --config cluster.toml`: one node of a cluster, in a process of its own.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use crossbeam_channel::{bounded, tick};

use super::http::{self, HttpOptions, OpenDoor};
use super::refusal::{NEEDS_A_PERSON, Refusal, refusal};
use super::{Start, certs, child, cluster_file};
use crate::cluster::{Apart, Cluster, NewFiles, StartError, make_files};
use crate::config::cluster_file::ClusterFile;
use crate::console::narrator::Narrator;
use crate::console::options;
use crate::console::printer::{Output, Style};
use crate::console::session;
use crate::interrupt::Interrupt;
use crate::links::{Notices, Source, probe};
use crate::process::{Place, Process, ProcessError, renew_certificates};
use crate::remote::RemoteCluster;
use crate::state_machine::kv::KeyValue;
use crate::storage::{ClusterId, StorageError};
use crate::text::{joined, plain};
use crate::tls::{Holder, Security};
use crate::types::{Epoch, HostPort, NodeId};
use crate::wire::{Caller, Hello, VERSIONS};

/// How long the system may take to free the address of a process that was killed.
const FREED_WITHIN: Duration = Duration::from_millis(300);

const AFTER_HELP: &str = "\
A node never makes its files by itself: --init does once, before the first start of one of the nodes in the file;
--wipe makes files of a node that the cluster takes in ('add n4' at a console). 'node certs --help' tells how certificates
are made, which nodes on several machines need; SIGHUP makes a node read its own again.

Exit code 0: ended by a signal, politely; 1: the node has ended by itself; 2: wrong usage; 78: the files or the file of
settings need a person.";

/// One node of a Raft cluster, in a process of its own.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
pub(super) struct Options {
    /// Which node this is: n1 to n99
    #[arg(value_name = "NODE")]
    node: NodeId,
    /// The file that describes the cluster
    #[arg(long, value_name = "FILE", default_value = "cluster.toml")]
    config: PathBuf,
    /// Makes the files of a node that begins the cluster, and ends
    #[arg(long, conflicts_with = "wipe")]
    init: bool,
    /// Makes new files, which the cluster has to take in; what was there goes
    #[arg(long)]
    wipe: bool,
    /// Listens here instead of at the address that the file gives
    #[arg(long, value_name = "HOST:PORT")]
    bind: Option<HostPort>,
    /// Tells others this address instead
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<HostPort>,
    #[command(flatten)]
    http: HttpOptions,
    /// The folder with the nodes' state [default: states]
    #[arg(long, value_name = "DIR")]
    states: Option<PathBuf>,
    /// The folder with the nodes' log files [default: logs]
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// Only says whether the file of settings is right
    #[arg(long)]
    check_config: bool,
    /// It is a child of 'cluster --processes', which tells it the rest
    #[arg(long, hide = true, requires = "bind")]
    supervised: bool,
}

pub fn main(start: &Start) -> ExitCode {
    if let Some(start) = start.behind("certs", "node certs") {
        return certs::main(&start);
    }
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let output = Output::standard(Style::default());
    let ran = match &options.bind {
        Some(bind) if options.supervised => child::run(options.node, bind, &output),
        _ => run(&options, &output),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err((text, code)) => {
            output.warn(&format!("error: {text}"));
            ExitCode::from(code)
        }
    }
}

fn run(options: &Options, output: &Output) -> Result<(), Refusal> {
    let needs_a_person = |text: String| (text, NEEDS_A_PERSON);
    let mut file = cluster_file::read(&options.config).map_err(needs_a_person)?;
    file.settings.states = options.states.clone().unwrap_or(file.settings.states);
    file.settings.logs = options.logs.clone().unwrap_or(file.settings.logs);
    file.settings.seed = file.settings.seed.or_else(|| Some(options::fresh_seed()));
    let node = options.node;
    let cluster: ClusterId = file.cluster.parse().map_err(needs_a_person)?;
    let peers: Vec<NodeId> = file.addresses.keys().copied().filter(|other| *other != node).collect();
    let apart = Apart { cluster, node, peers, rules: Vec::new() };
    let security = cluster_file::security(&options.config, &file, &Holder::Peer(node));
    let security = security.map_err(needs_a_person)?;
    if options.check_config {
        return check(options, &file, &security, output);
    }
    if options.init {
        return init(&file, &apart, &security, output);
    }
    let interrupt = Arc::new(Interrupt::new());
    heed_signals(&interrupt, &security, output)?;
    let (listener, advertised) = listen(options, &file, &security)?;
    let door = options.http.open().map_err(|text| (text, options::USAGE))?;
    if options.wipe {
        let made = make_files::<KeyValue>(&file.settings, &apart, &NewFiles::Joining(Epoch::FIRST));
        let member = made.map_err(|error| needs_a_person(error.to_string()))?;
        output.progress(&format!(
            "{node} has new files, {member}: 'add {node}' at a console takes it in, if it is no member"
        ));
    }
    let place = Place {
        apart,
        token: file.token.clone(),
        security,
        addresses: file.addresses.clone(),
        advertised,
        faults: file.faults,
        said_by: Source::File,
    };
    serve(file, place, (listener, door), output, &interrupt)
}

/// A signal ends the node; with certificates SIGHUP makes it read them again.
fn heed_signals(interrupt: &Arc<Interrupt>, security: &Security, output: &Output) -> Result<(), Refusal> {
    let hang_up = match security {
        Security::Loopback => None,
        Security::Certificates(certificates) => {
            let (hang_up, wanted) = bounded(1);
            let output = output.clone();
            let tell = move |line: &str| output.warn(line);
            renew_certificates(Arc::clone(certificates), wanted, tell)
                .map_err(|error| (format!("the system gives no more threads: {error}"), 1))?;
            Some(hang_up)
        }
    };
    session::heed_signals_and_hang_ups(interrupt, hang_up).map_err(|text| (text, options::USAGE))
}

/// Looks at all that the start of this node would look at, and at what it would need of others.
fn check(options: &Options, file: &ClusterFile, security: &Security, output: &Output) -> Result<(), Refusal> {
    address_of(options, file, security)?;
    let advertised = options.advertise.iter().map(|address| ("--advertise".to_string(), address));
    let written = file.addresses.iter().map(|(node, address)| (node.to_string(), address));
    for (whose, address) in written.chain(advertised) {
        let found = address.to_socket_addrs().map_err(|error| {
            (format!("{whose} = {address}: its name does not resolve: {error}"), options::USAGE)
        })?;
        for found in found {
            security.permits(found.ip()).map_err(|why| (format!("{whose}: {why}"), options::USAGE))?;
        }
    }
    let protection = match security {
        Security::Loopback => "connections stay on this machine".to_string(),
        Security::Certificates(certificates) => {
            let until = humantime::format_rfc3339_seconds(certificates.expires());
            format!("connections are encrypted, the certificate ends at {until}")
        }
    };
    let (config, nodes) = (options.config.display(), file.addresses.len());
    output.progress(&format!("{config} is right: {nodes} nodes; {protection}"));
    Ok(())
}

fn serve(
    file: ClusterFile,
    place: Place,
    (listener, door): (TcpListener, OpenDoor),
    output: &Output,
    interrupt: &Interrupt,
) -> Result<(), Refusal> {
    let (node, cluster) = (place.apart.node, place.apart.cluster);
    let remote = remote(&file, &place);
    let narrator = Narrator::queued(output.clone());
    let warn = output.clone();
    let notices = Arc::new(Notices::new(move |line| warn.warn(line)));
    let told = narrator.clone();
    let (states, logs) = (file.settings.states.join(node.to_string()), file.settings.logs.clone());
    let mut builder = Cluster::builder().settings(file.settings).observer(move |event| told.observe(event));
    if let Some(filter) = options::log_as_asked() {
        builder = builder.log_filter(filter);
    }
    let address = listener.local_addr().map_err(|error| (error.to_string(), 1))?;
    let rules = if place.apart.rules.is_empty() { "; no rule of the network is in force" } else { "" };
    let process = Process::start(builder, listener, place, notices).map_err(|error| refused(node, &error))?;
    let place =
        format!("state in {}, log in {}", states.display(), logs.join(format!("{node}.log")).display());
    output.progress(&format!("{node} of cluster {cluster} listens on {address}; {place}{rules}"));
    let line = door.line();
    let gateway = door.serve(|| http::of_process(&process, remote, node)).map_err(|text| (text, 1))?;
    if let Some(line) = line {
        output.progress(&line);
    }
    while !interrupt.ends() && !interrupt.is_raised() {
        if let Some(why) = process.wait_for_end(interrupt.receiver()) {
            narrator.flush(Duration::from_secs(1));
            return Err((format!("{node} has ended: {why}"), 1));
        }
    }
    output.progress(&format!("{node} stops"));
    gateway.close();
    process.stop();
    narrator.flush(Duration::from_secs(1));
    Ok(())
}

/// The cluster as clients in this process see it: this node is where it says.
fn remote(file: &ClusterFile, place: &Place) -> RemoteCluster {
    let mut addresses = place.addresses.clone();
    addresses.insert(place.apart.node, place.advertised.clone());
    RemoteCluster {
        cluster: place.apart.cluster,
        security: place.security.clone(),
        token: place.token.clone(),
        addresses,
        settings: file.settings.clone(),
    }
}

/// Makes a founder's files, unless its cluster has run already.
fn init(file: &ClusterFile, apart: &Apart, security: &Security, output: &Output) -> Result<(), Refusal> {
    let needs_a_person = |text: String| (text, NEEDS_A_PERSON);
    let node = apart.node;
    let founders: Vec<NodeId> = file.addresses.keys().copied().collect();
    if !founders.contains(&node) {
        let text =
            format!("{node} is not among the nodes in the file: '--wipe' makes files of a node that joins");
        return Err((text, options::USAGE));
    }
    let mut silent = Vec::new();
    for (other, address) in file.addresses.iter().filter(|(other, _)| **other != node) {
        let hello = Hello {
            versions: VERSIONS,
            cluster: apart.cluster,
            epoch: Epoch::FIRST,
            token: file.token.clone(),
            caller: Caller::Probe { expects: *other },
        };
        match probe(address, *other, security, hello) {
            Ok(Some(welcome)) if welcome.has_run => {
                return Err(needs_a_person(format!(
                    "{other} says that the cluster has run: an empty founder could vote a second time; 'node {node} --wipe' joins it"
                )));
            }
            Ok(Some(_)) => {}
            Ok(None) => silent.push(*other),
            Err(why) => {
                return Err(needs_a_person(format!(
                    "{other} does not say whether the cluster has run: {why}"
                )));
            }
        }
    }
    if !silent.is_empty() {
        let names = joined(&silent, " ");
        output.warn(&format!("not asked whether the cluster has run, since nothing listens there: {names}"));
    }
    let made = make_files::<KeyValue>(&file.settings, apart, &NewFiles::Founding(founders));
    made.map_err(|error| needs_a_person(error.to_string()))?;
    let folder = file.settings.states.join(node.to_string());
    output.progress(&format!("{node}'s files are in {}", folder.display()));
    Ok(())
}

/// Where the file or the command line says that the node listens, as it is written and as it resolves.
fn address_of(
    options: &Options,
    file: &ClusterFile,
    security: &Security,
) -> Result<(HostPort, Vec<SocketAddr>), Refusal> {
    let node = options.node;
    let bind = options.bind.as_ref().or(file.addresses.get(&node)).ok_or_else(|| {
        let config = options.config.display();
        (format!("{node} has no address in {config}: --bind HOST:PORT gives one"), options::USAGE)
    })?;
    let found =
        bind.to_socket_addrs().map_err(|error| (format!("{bind}: {}", plain(&error)), options::USAGE))?;
    let found: Vec<SocketAddr> = found.collect();
    let permitted = found.iter().try_for_each(|address| security.permits(address.ip()));
    // What the file says needs a person, as any start with it.
    let code = if options.bind.is_some() { options::USAGE } else { NEEDS_A_PERSON };
    permitted.map_err(|why| (why, code))?;
    Ok((bind.clone(), found))
}

/// The same of a node that a person starts by hand, who can give it new files.
fn refused(node: NodeId, error: &ProcessError) -> Refusal {
    let (text, code) = refusal(error);
    let text = match error {
        ProcessError::Start(StartError::Storage(error @ StorageError::Damaged { .. })) => {
            format!("{error}: 'node {node} --wipe', once the others run")
        }
        ProcessError::Start(StartError::Storage(StorageError::Retired { .. })) => format!(
            "{node} was removed from the cluster: 'node {node} --wipe' gives it new files, and 'add {node}' at a console \
             then takes it in again"
        ),
        _ => text,
    };
    (text, code)
}

/// Listens there. The address of a process that was killed a moment ago is waited for.
fn bind_to(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let looks = tick(FREED_WITHIN / 10);
    let deadline = Instant::now() + FREED_WITHIN;
    loop {
        match TcpListener::bind(addresses) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                let _ = looks.recv();
            }
            bound => return bound,
        }
    }
}

/// Listens, and tells what others are to be told.
fn listen(
    options: &Options,
    file: &ClusterFile,
    security: &Security,
) -> Result<(TcpListener, HostPort), Refusal> {
    let (bind, found) = address_of(options, file, security)?;
    let listener = bind_to(&found).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            (format!("{bind} is in use: stop what listens there, or --bind another"), 1)
        }
        _ => (format!("{bind}: {}", plain(&error)), 1),
    })?;
    let advertised = match (&options.advertise, listener.local_addr()) {
        (Some(advertised), _) => advertised.clone(),
        (None, Ok(address)) if options.bind.is_some() => address.into(),
        _ => bind,
    };
    Ok((listener, advertised))
}
