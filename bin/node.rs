//! `node NAME`: one node of a cluster, in a process of its own.

use std::process::ExitCode;

use raftlab::programs::{Start, node};

/// Commands are allocated on one thread and freed on others: slow with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    node::main(&Start::alone("node"))
}
