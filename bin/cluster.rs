//! `cluster [NODES]`: a cluster of threads or of processes, and a console to break it and watch it heal.

use std::process::ExitCode;

use raftlab::programs::{Start, cluster};

/// Commands are allocated on one thread and freed on others: slow with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cluster::main(&Start::alone("cluster"))
}
