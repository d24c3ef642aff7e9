//! `raftlab PROGRAM ...`: all programs in one.

use std::process::ExitCode;

use raftlab::programs::{Start, whole};

/// Commands are allocated on one thread and freed on others: slow with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    whole::main(&Start::alone("raftlab"))
}
