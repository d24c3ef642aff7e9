//! `replay DIR`: makes the steps of a recorded run again, and looks at any moment of it.

use std::process::ExitCode;

use raftlab::programs::{Start, replay};

/// Commands are allocated on one thread and freed on others: slow with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    replay::main(&Start::alone("replay"))
}
