//! The programs: what each does with its command line.
//!
//! `bin/` has a file for each, which calls the function `main` of its module here; `raftlab` is all of them in one.

pub mod backup;
mod certs;
pub mod check_history;
mod child;
pub mod client;
pub mod client_load;
pub mod cluster;
mod cluster_file;
pub mod doctor;
mod http;
pub mod logs;
pub mod node;
mod processes;
mod progress_line;
pub mod recover;
mod refusal;
pub mod replay;
pub mod simulate;
mod slow;
mod start;
mod web;
pub mod whole;

pub use self::start::Start;

/// The exit codes of a program with a console, for its help.
const EXIT_CODES: &str = "\
Exit code 0: all well; 1: a directive, an expectation or a check failed; 2: wrong usage; 3: inconclusive (no leader in
time, an unknown outcome, an open verdict); 130: interrupted.";
