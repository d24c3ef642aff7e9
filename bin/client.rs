//! `client`: the console of a cluster whose nodes are processes.

use std::process::ExitCode;

use raftlab::programs::{Start, client};

/// Commands are allocated on one thread and freed on others: slow with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    client::main(&Start::alone("client"))
}
