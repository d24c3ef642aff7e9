//! `simulate [NODES]`: the same cluster and the same console in virtual time.

use std::process::ExitCode;

use raftlab::programs::{Start, simulate};

/// Commands are allocated on one thread and freed on others: slow with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    simulate::main(&Start::alone("simulate"))
}
