//! A Raft that anyone can run, break, watch, measure and trust.

pub mod config;
pub mod console;
pub mod net;
pub mod payload;
pub mod raft;
pub mod types;
