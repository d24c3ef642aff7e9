//! A Raft that anyone can run, break, watch, measure and trust.

pub mod check;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod console;
pub mod interrupt;
pub mod lab;
pub mod net;
pub mod node;
pub mod payload;
pub mod raft;
pub mod server;
pub mod sim;
pub mod state_machine;
pub mod storage;
pub mod trace;
pub mod types;
