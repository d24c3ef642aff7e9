//! A Raft that anyone can run, break, watch, measure and trust.

pub mod clock;
pub mod config;
pub mod net;
pub mod payload;
pub mod raft;
pub mod trace;
pub mod types;
