//! The same workload on raftlab and on two of its peers, in one process and in turns: `cargo run --release` in this
//! folder. It prints throughput, p50, p99, and raftlab's figures by each peer's.
//!
//! **The workload.** Three nodes keep everything in memory. Clients put values of 16 bytes under 10,000 keys, as fast as
//! answers come, each with a number of commands in flight. A command is answered when it is committed and the leader has
//! applied it to its map; the others apply it to theirs. After each run every command must have been answered, by one
//! leader all the way; all three nodes must have applied as much, and hold the same map. The peers' nodes count commands;
//! raftlab's tell the last entry that they applied, which must hold the last that was answered.
//!
//! **The systems**, each on what the machine gives to all:
//!
//! - `router` and `express`: raftlab with its defaults, a thread a node, all messages through the router's thread or
//!   past it. Clients are threads; with one command in flight they call `Client::submit`, else they keep a `Pipeline`
//!   full, which lets commands that leave together share an entry. Sessions, exactly-once, the safety checks, the recorder's
//!   ring of the newest steps and snapshots that are written are part of it. `bare`: as `express`, with `recorder_bytes = 0`:
//!   no peer has such a ring. `shared`: as `express`, and the threads, with one command in flight each, have clones of one
//!   client, as those of a program that serves many callers have.
//! - `raft-rs`: the crate `raft`, a thread a node, crossbeam channels straight to each inbox, no router. Clients are
//!   threads. A node takes in all that waits, proposes all commands of it as one message, and handles what is ready once
//!   for all of it. The log is a `VecDeque`, trimmed without a snapshot. See `src/raft_rs.rs`.
//! - `openraft`: the crate `openraft` on a Tokio runtime of a worker a core, calls between nodes made directly, pipelined
//!   by its own stream. Each command in flight is a task that calls `client_write`, which costs less than a thread that
//!   blocks. It snapshots every 50,000 entries, without writing. See `src/open_raft.rs`.
//! - `openraft-groups`: the same, where clients have many commands in flight: each hands them over in four groups in turn
//!   by `client_write_many`, as the clients of the others hand over groups.
//!
//! With `--processes`, instead, three processes each on a disk of this machine, values of 64 bytes, blocking clients, and
//! the same number of connections (`--connections`) for both:
//!
//! - `over-tcp`: raftlab's programs, which `cargo build --profile dist --features tls --bins` builds, at the defaults of
//!   `cluster.toml`. `over-tls`: the same with certificates, all connections encrypted.
//! - `etcd`: the program `etcd` (Debian: `etcd-server`) at its defaults, asked by gRPC, all clients at its leader.
//!   See `src/etcd.rs`.
//!
//! Both answer when a quorum has synced the command to disk. With `--fail-over` it is measured how long no write is answered
//! when the leader's process is killed, at equal election timeouts: see `src/fail_over.rs`.
//!
//! All systems in memory have the same allocator. The peers do less than raftlab: none has sessions, so none applies a repeated command
//! once. Their commands and maps are as cheap as may be (shared bytes, never copied on the way). Rounds are interleaved,
//! each run has a cluster of its own, and figures are medians.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that prints a table")]

mod driver;
mod etcd;
mod fail_over;
mod map;
mod open_raft;
mod options;
mod over_tcp;
mod process;
mod raft_rs;
mod raftlab_system;
mod table;

use std::process::ExitCode;

use driver::{Figure, Plan};
use open_raft::Asking;
use options::{FORMS, Form, Options, SYSTEMS, System};
use over_tcp::Links;
use raftlab::Cluster;
use raftlab_system::Callers;
use table::Results;

/// The same for all: commands are made on one thread and let go on others.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("error: {reason}");
            return ExitCode::from(2);
        }
    };
    let (text, failures) = if options.fail_over {
        fail_over::measure(&options)
    } else {
        let (results, failures) = measure(&options);
        (table::text(&options, &results, failures.is_empty()), failures)
    };
    println!("{text}");
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every system in every form, round by round. A run that fails stops no other; its system's median is that of fewer.
fn measure(options: &Options) -> (Results, Vec<String>) {
    let (mut results, mut failures) = (Results::new(), Vec::new());
    for number in 1..=options.rounds {
        for form in FORMS.iter().filter(|form| options.wants_form(form)) {
            let wanted = |system: &System| options.wants_system(*system) && system.knows(form);
            for system in SYSTEMS.into_iter().filter(wanted) {
                let told = format!("round {number}: {:<7} {:<15}", form.name, system.name());
                match run(system, form, options) {
                    Ok(figure) => {
                        eprintln!("{told} {:>10.0}/s", figure.rate);
                        results.entry((form.name, system)).or_default().insert(number, figure);
                    }
                    Err(reason) => failures.push(format!("{told} {reason}")),
                }
            }
        }
    }
    (results, failures)
}

fn run(system: System, form: &Form, options: &Options) -> Result<Figure, String> {
    let plan = Plan {
        clients: form.clients,
        window: form.window,
        connections: form.clients.min(options.connections),
        value_bytes: if system.is_processes() { options::VALUE_BYTES } else { 16 },
        span: options.span,
    };
    let raftlab = |cluster, callers| raftlab_system::run(&plan, cluster, callers);
    match system {
        System::Router => raftlab(Cluster::builder(), Callers::Apart),
        System::Express => raftlab(Cluster::builder().express(), Callers::Apart),
        System::Bare => raftlab(raftlab_system::bare(), Callers::Apart),
        System::Shared => raftlab(Cluster::builder().express(), Callers::Shared),
        System::RaftRs => raft_rs::run(&plan),
        System::OpenRaft => open_raft::run(&plan, Asking::OneByOne),
        System::OpenRaftGroups => open_raft::run(&plan, Asking::InGroups),
        System::OverTcp => over_tcp::run(&plan, Links::Plain),
        System::OverTls => over_tcp::run(&plan, Links::Encrypted),
        System::Etcd => etcd::run(&plan),
    }
}
