//! `logs`: what the nodes wrote, merged by time or as a picture.

use std::process::ExitCode;

use raftlab::programs::{Start, logs};

fn main() -> ExitCode {
    logs::main(&Start::alone("logs"))
}
