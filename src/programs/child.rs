//! A node's process as a child of `cluster --processes`: it listens, says where, and waits to be told the rest.
//!
//! Its standard output is for the supervisor, its standard error for a person, behind the node's name. What happens to the node
//! is told by the supervisor's console. When its standard input ends, its supervisor has gone: it stops.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::after;

use super::refusal::{NEEDS_A_PERSON, Refusal, refusal};
use crate::cluster::{Apart, Cluster, NewFiles, make_files};
use crate::console::options;
use crate::console::printer::Output;
use crate::console::session;
use crate::interrupt::Interrupt;
use crate::links::{Notices, Source};
use crate::process::{Place, Process};
use crate::state_machine::kv::KeyValue;
use crate::supervisor::lines::{Begin, Said};
use crate::tls::Security;
use crate::types::NodeId;

/// How long it may take to stop once its supervisor has gone.
const STOP_PATIENCE: Duration = Duration::from_secs(4);

pub(super) fn run(node: NodeId, bind: &str, output: &Output) -> Result<(), Refusal> {
    wake_at_the_parents_end();
    let failed = |error: io::Error| (error.to_string(), 1);
    let interrupt = Arc::new(Interrupt::new());
    session::heed_signals(&interrupt).map_err(|text| (text, options::USAGE))?;
    // The port that it had may be another's by now.
    let listener = TcpListener::bind(bind).or_else(|_| TcpListener::bind("127.0.0.1:0")).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    say(output, &Said::Listens(address));
    let mut input = BufReader::new(io::stdin());
    let mut line = String::new();
    // Without a line the supervisor has gone.
    if input.read_line(&mut line).map_err(failed)? == 0 {
        return Ok(());
    }
    let begin: Begin = serde_json::from_str(&line)
        .map_err(|error| (format!("{node} is told what it does not understand: {error}"), 1))?;
    let is_alone = Arc::new(AtomicBool::new(false));
    stop_after(input, Arc::clone(&is_alone), Arc::clone(&interrupt)).map_err(failed)?;
    serve(node, begin, listener, output, &interrupt, &is_alone)
}

fn serve(
    node: NodeId,
    begin: Begin,
    listener: TcpListener,
    output: &Output,
    interrupt: &Interrupt,
    is_alone: &AtomicBool,
) -> Result<(), Refusal> {
    let Begin { cluster, epoch, token, mut settings, nodes, addresses, rules, wipe } = begin;
    // What it hears is told by the supervisor, which knows which processes run.
    let notices = Arc::new(Notices::new(|line| log::info!(target: "raftlab::links", "{line}")));
    let peers = nodes.into_iter().filter(|other| *other != node).collect();
    let apart = Apart { cluster, node, peers, rules };
    if wipe {
        let made = make_files::<KeyValue>(&settings, &apart, &NewFiles::Joining(epoch));
        made.map_err(|error| (error.to_string(), NEEDS_A_PERSON))?;
    }
    settings.seed = settings.seed.or_else(|| Some(options::fresh_seed()));
    let mut builder = Cluster::builder().settings(settings);
    if let Some(filter) = options::log_as_asked() {
        builder = builder.log_filter(filter);
    }
    let advertised = listener.local_addr().map_err(|error| (error.to_string(), 1))?.into();
    let security = Security::Loopback;
    let place =
        Place { apart, token, security, addresses, advertised, faults: true, said_by: Source::Itself };
    let process = Process::start(builder, listener, place, notices).map_err(|error| refusal(&error))?;
    say(output, &Said::Runs { member: process.member(), loaded: process.loaded().to_string() });
    while !interrupt.ends() && !interrupt.is_raised() {
        if let Some(why) = process.wait_for_end(interrupt.receiver()) {
            return Err((format!("{node} has ended: {why}"), 1));
        }
    }
    if is_alone.load(Ordering::Acquire) {
        process.end();
    } else {
        process.stop();
    }
    Ok(())
}

fn say(output: &Output, said: &Said) {
    output.progress(&serde_json::to_string(said).expect("it has a text"));
}

/// Stops when the input ends, at the latest after a while: a disk may not answer.
fn stop_after(
    mut input: impl Read + Send + 'static,
    is_alone: Arc<AtomicBool>,
    interrupt: Arc<Interrupt>,
) -> io::Result<()> {
    let wait = move || {
        // Nothing more is said on it.
        let _ = io::copy(&mut input, &mut io::sink());
        is_alone.store(true, Ordering::Release);
        interrupt.end();
        let _ = after(STOP_PATIENCE).recv();
        process::exit(1);
    };
    thread::Builder::new().name("supervisor".to_string()).spawn(wait).map(drop)
}

/// A frozen process does not see that its input has ended. Linux wakes it then.
fn wake_at_the_parents_end() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // Without it a frozen child stays behind, frozen.
        let _ = set_parent_process_death_signal(Some(Signal::CONT));
    }
}
