//! `check_history FILE`: judges a file of client operations by linearizability.

use std::process::ExitCode;

use raftlab::programs::{Start, check_history};

fn main() -> ExitCode {
    check_history::main(&Start::alone("check_history"))
}
