//! `client_load`: a cluster under load from many clients, with faults at set times.

use std::process::ExitCode;

use raftlab::programs::{Start, client_load};

/// Commands are allocated on one thread and freed on others: slow with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    client_load::main(&Start::alone("client_load"))
}
